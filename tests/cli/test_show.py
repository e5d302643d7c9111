import json
from pathlib import Path

import pytest
from pacbound_cli.main import app
from typer.testing import CliRunner

from pacbound.reports.show import FORMATS, render
from tests.forge import honest


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
