import json
import subprocess
import sys
from pathlib import Path

import pytest
from pacbound_cli.main import app
from typer.testing import CliRunner

from tests.command import pacbound
from tests.forge import Document, forge, honest


@pytest.fixture
def path(tmp_path: Path) -> Path:
    honest().save(tmp_path / "good.json")
    return tmp_path / "good.json"


@pytest.fixture
def bad(path: Path) -> Path:
    def lower(document: Document) -> None:
        document["bound"]["value"] = 0.01

    return forge(honest(), lower, path.with_name("bad.json"))


def test_a_certificate_that_stands_exits_0_and_says_what_was_not_checked(path: Path) -> None:
    done = pacbound("verify", path)
    assert done.code == 0
    assert "good.json stands, at level message" in done.out
    assert "Not checked:" in done.out
    assert done.err == ""


def test_a_forged_certificate_exits_1_and_names_the_check(bad: Path) -> None:
    done = pacbound("verify", bad)
    assert done.code == 1
    assert "DOES NOT STAND" in done.out
    assert "check 'bound' failed" in done.out
    assert "Not checked" not in done.out


def test_a_damaged_file_exits_1_since_it_is_no_certificate(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("{")
    done = pacbound("verify", tmp_path / "a.json")
    assert (done.code, "'schema'" in done.out) == (1, True)


@pytest.mark.parametrize("arguments", [["none.json"], [], ["--level", "risk"], ["--level", "deep"]])
def test_wrong_usage_exits_2(path: Path, arguments: list[str]) -> None:
    given = [path, *arguments] if arguments[:1] == ["--level"] else arguments
    done = pacbound("verify", *given)
    assert done.code == 2
    assert done.err
    assert "Traceback" not in done.err


def test_a_folder_gives_a_table_and_the_worst_exit_code(path: Path, bad: Path) -> None:
    runner = CliRunner()
    result = runner.invoke(app, ["verify", str(path.parent)])
    assert result.exit_code == 1
    folder, _, *rows = result.output.splitlines()[:4]
    assert folder == f"in {path.parent}/"
    assert [line.split()[:2] for line in rows] == [[bad.stem, "FAILS"], [path.stem, "stands"]]
    bad.unlink()
    assert runner.invoke(app, ["verify", str(path.parent)]).exit_code == 0
    result = runner.invoke(app, ["verify", str(path), str(path.with_name("none.json"))])
    assert result.exit_code == 2
    assert "stands" in result.output
    assert "none.json" in result.output


def test_a_folder_without_certificates_is_wrong_usage(tmp_path: Path) -> None:
    assert pacbound("verify", tmp_path).code == 2


def test_json_is_one_record_for_one_file_and_a_list_for_several(path: Path, bad: Path) -> None:
    one = json.loads(pacbound("verify", path, "--json").out)
    assert (one["stands"], one["level"], one["failed"]) == (True, "message", None)
    done = pacbound("verify", path, bad, "--json")
    assert done.code == 1
    assert [record["failed"] for record in json.loads(done.out)] == [None, "bound"]


WITHOUT_TORCH = """
import sys
sys.modules["torch"] = None  # importing it now raises ImportError
from pacbound_cli.main import main
for level in ("arithmetic", "message"):
    sys.argv = ["pacbound", "verify", "good.json", "--level", level]
    try:
        main()
    except SystemExit as end:
        print(end.code, f"was the end at {level}")
"""


@pytest.fixture(scope="module")
def said_without_torch(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What a process without torch says at both levels, the lower one first."""
    folder = tmp_path_factory.mktemp("without")
    honest().save(folder / "good.json")
    command = [sys.executable, "-c", WITHOUT_TORCH]
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, check=True).stdout


@pytest.mark.parametrize("level", ["arithmetic", "message"])
def test_levels_below_risk_do_not_import_torch(said_without_torch: str, level: str) -> None:
    assert f"stands, at level {level}" in said_without_torch
    assert f"0 was the end at {level}\n" in said_without_torch
