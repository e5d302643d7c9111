"""Every mutation of the package is caught by the test meant for it; minutes, so it belongs to the slow job."""

import re
import subprocess
import sys

import pytest

from tests.sabotage import COPIED, MUTATIONS, REPOSITORY


@pytest.mark.slow
def test_every_mutation_is_caught() -> None:
    script = [sys.executable, str(REPOSITORY / "tests" / "sabotage.py")]
    run = subprocess.run(script, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr


def test_every_mutation_still_fits_the_source_and_names_a_test_that_exists() -> None:
    misfits = []
    for mutation in MUTATIONS:
        file, function = mutation.test.split("::")
        line_stands_once = (REPOSITORY / mutation.file).read_text("utf-8").count(mutation.old) == 1
        test_exists = re.search(rf"^def {function}\(", (REPOSITORY / file).read_text("utf-8"), re.MULTILINE)
        if not (line_stands_once and test_exists and mutation.file.split("/")[0] in COPIED):
            misfits.append(mutation.name)
    assert misfits == []


def test_names_are_distinct_and_every_mutation_changes_something() -> None:
    assert len({mutation.name for mutation in MUTATIONS}) == len(MUTATIONS) >= 12
    assert all(mutation.old != mutation.new for mutation in MUTATIONS)
