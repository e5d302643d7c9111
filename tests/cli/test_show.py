import json
from pathlib import Path

import pytest
from pacbound_cli.main import app
from typer.testing import CliRunner

from pacbound.errors import DataError, PacboundError
from pacbound.reports.show import FORMATS, render
from tests.forge import honest
from tests.reports.picks_cases import picked


@pytest.fixture
def path(tmp_path: Path) -> Path:
    honest().save(tmp_path / "a.json")
    return tmp_path / "a.json"


@pytest.mark.parametrize("name", FORMATS)
def test_show_prints_what_render_gives(path: Path, name: str) -> None:
    result = CliRunner().invoke(app, ["show", str(path), "--format", name], env={"COLUMNS": "70"})
    assert result.exit_code == 0
    assert result.output == render(honest(), name, 70) + "\n"  # type: ignore[arg-type]


def test_text_is_the_default_and_json_is_machine_readable(path: Path) -> None:
    runner = CliRunner()
    assert runner.invoke(app, ["show", str(path)], env={"COLUMNS": "90"}).output == render(honest(), width=90) + "\n"
    document = json.loads(runner.invoke(app, ["show", str(path), "--format", "json"]).output)
    assert document["bound"]["value"] == honest().bound.value


@pytest.mark.parametrize("arguments", [["none.json"], [], ["{path}", "--format", "pdf"]])
def test_wrong_usage_prints_no_certificate(path: Path, arguments: list[str]) -> None:
    result = CliRunner().invoke(app, ["show", *(a.format(path=path) for a in arguments)])
    assert result.exit_code != 0
    assert "probability" not in result.stdout


@pytest.fixture
def picks_path(tmp_path: Path) -> Path:
    picked().save(tmp_path / "picks.json")
    return tmp_path / "picks.json"


def test_curves_are_written_beside_what_is_printed(picks_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="the report extra is not installed")
    target = picks_path.with_name("curves.svg")
    result = CliRunner().invoke(app, ["show", str(picks_path), "--plot", str(target)])
    assert result.exit_code == 0
    assert result.stdout == render(picked()) + "\n"
    assert "<svg" in target.read_text()
    assert str(target) in result.stderr


def test_pictures_of_another_sample_are_refused_in_one_line(picks_path: Path) -> None:
    target = picks_path.with_name("sheet.png")
    result = CliRunner().invoke(app, ["show", str(picks_path), "--picked", str(target), "--data", "digits"])
    assert result.exit_code != 0
    assert isinstance(result.exception, DataError)
    assert "60,000 examples, got 1,437" in str(result.exception)
    assert not target.exists()


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--picked", "{folder}/sheet.png"], "Give --data"),
        (["--data", "digits"], "--picked"),
        (["--plot", "{folder}/curves.txt"], "ends in"),
        (["--plot", "{folder}/none/curves.svg"], "folder that exists"),
    ],
)
def test_drawings_are_refused_with_a_reason(picks_path: Path, arguments: list[str], reason: str) -> None:
    given = [argument.format(folder=picks_path.parent) for argument in arguments]
    result = CliRunner().invoke(app, ["show", str(picks_path), *given])
    assert result.exit_code != 0
    assert isinstance(result.exception, PacboundError)
    assert reason in str(result.exception)
