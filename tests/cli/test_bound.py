import json
import re
import subprocess
import sys

import pytest

from pacbound.bounds.table import all_bounds
from tests.command import pacbound

ARGUMENTS = ["bound", "--errors", "1200", "--n", "60000", "--bits", "5000"]
ANSI = re.compile(r"\x1b\[[0-9;]*m")


def test_json_holds_every_bound_at_full_precision():
    done = pacbound(*ARGUMENTS, "--json")
    report = json.loads(done.out)
    assert (done.code, done.err) == (0, "")
    assert list(report) == ["n", "errors", "bits", "delta", "bounds"]
    assert (report["n"], report["errors"], report["bits"], report["delta"]) == (60_000, 1200, 5000, 0.05)
    expected = [
        {"theorem": one.theorem, "value": one.value, "reference": one.reference}
        for one in all_bounds(1200, 60_000, 5000, 0.05)
    ]
    assert report["bounds"] == expected


def test_the_table_marks_the_tightest_and_prints_values_rounded_up():
    done = pacbound(*ARGUMENTS)
    assert (done.code, done.err) == (0, "")
    names = {one.theorem for one in all_bounds(1200, 60_000, 5000, 0.05)}
    rows = {word: line for line in done.out.splitlines() if (word := line[2:].partition(" ")[0]) in names}
    assert [name for name, line in rows.items() if line.startswith("*")] == ["occam_binomial"]
    for one in all_bounds(1200, 60_000, 5000, 0.05):
        printed = float(rows[one.theorem][2:].split()[1])
        assert one.value <= printed < one.value + 1.001e-6


def test_a_target_answers_both_planning_questions():
    report = json.loads(pacbound(*ARGUMENTS, "--target", "0.1", "--json").out)
    assert report["target"] == {"risk": 0.1, "affordable_bits": 4439, "examples_needed": 67_587}
    words = " ".join(pacbound(*ARGUMENTS, "--target", "0.1").out.split())
    assert "4439 bits" in words
    assert "67587 examples" in words


def test_a_target_out_of_reach_is_a_result():
    done = pacbound(*ARGUMENTS, "--target", "0.02")
    assert done.code == 0
    assert "no message is short enough" in " ".join(done.out.split())
    assert "no number of examples" in " ".join(done.out.split())
    assert json.loads(pacbound(*ARGUMENTS, "--target", "0.02", "--json").out)["target"]["affordable_bits"] is None


def test_a_vacuous_bound_is_a_result_and_says_so():
    done = pacbound("bound", "--errors", "10", "--n", "10", "--bits", "5")
    assert done.code == 0
    assert "vacuous" in done.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--errors", "12", "--n", "6", "--bits", "4"], "errors lies between 0 and n = 6, got 12"),
        (["--errors", "1", "--n", "0", "--bits", "4"], "n counts the examples"),
        (["--errors", "1", "--n", "6", "--bits", "-4"], "bits is the length of the message"),
        (["--errors", "1", "--n", "6", "--bits", "4", "--delta", "1"], "delta is the probability of failure"),
        (["--errors", "1", "--n", "6", "--bits", "4", "--delta", "nan"], "delta is the probability of failure"),
        (["--errors", "1", "--n", "6", "--bits", "4", "--target", "7"], "target is a risk"),
        (["--errors", "1.5", "--n", "6", "--bits", "4"], "--errors"),
        (["--errors", "1", "--n", "6"], "--bits"),
    ],
)
def test_bad_input_exits_with_2_and_says_what_was_wrong(arguments, message):
    done = pacbound("bound", *arguments)
    assert done.code == 2
    assert done.out == ""
    assert message in ANSI.sub("", done.err)
    assert "Traceback" not in done.err


def test_help_shows_an_example_whose_numbers_are_true():
    text = pacbound("bound", "--help").out
    example, table = "pacbound bound --errors 1200 --n 60000 --bits 5000 --target 0.1", pacbound(*ARGUMENTS).out
    assert example in text
    for name, value in (("occam_binomial", "0.107194"), ("occam_kl", "0.107272")):
        assert any(name in line and value in line for line in text.splitlines())
        assert any(name in line and value in line for line in table.splitlines())


def test_the_command_imports_neither_torch_nor_scipy():
    code = (
        "import sys\nfrom pacbound_cli.main import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "print(*sorted({'torch', 'scipy', 'numpy', 'sklearn'} & set(sys.modules)), file=sys.stderr)\n"
    )
    command = [sys.executable, "-c", code, *ARGUMENTS, "--target", "0.1"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "occam_binomial" in done.stdout
    assert done.stderr.strip() == ""
