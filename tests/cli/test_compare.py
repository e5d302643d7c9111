import json
from pathlib import Path

import pytest
from pacbound_cli.main import app
from typer.testing import CliRunner

from pacbound.errors import CertificateError
from pacbound.reports.compare import compare, render
from tests.forge import honest


@pytest.fixture
def paths(tmp_path: Path) -> list[str]:
    made = {"a.json": honest(), "b.json": honest(count=100), "other.json": honest(name="digits", digest="c" * 64)}
    for name, certificate in made.items():
        certificate.save(tmp_path / name)
    return [str(tmp_path / name) for name in made]


def test_compare_prints_what_render_gives(paths: list[str]) -> None:
    result = CliRunner().invoke(app, ["compare", *paths[:2]])
    assert result.exit_code == 0, result.output
    assert result.output == render(compare([(paths[0], honest()), (paths[1], honest(count=100))])) + "\n"


def test_json_sets_apart_what_cannot_be_compared(paths: list[str]) -> None:
    result = CliRunner().invoke(app, ["compare", *paths, "--json"])
    document = json.loads(result.stdout)
    assert [row["name"] for row in document["rows"]] == paths[:2]
    assert document["apart"][0]["reason"].startswith("other data: digits")


@pytest.mark.parametrize("arguments", [[], ["none.json"]])
def test_wrong_usage_prints_no_table(arguments: list[str]) -> None:
    result = CliRunner().invoke(app, ["compare", *arguments])
    assert result.exit_code != 0
    assert "bits/parameter" not in result.stdout


def test_the_file_that_is_no_certificate_is_named(paths: list[str], tmp_path: Path) -> None:
    (tmp_path / "runs.json").write_text("[1, 2]")
    result = CliRunner().invoke(app, ["compare", *paths, str(tmp_path / "runs.json")])
    assert isinstance(result.exception, CertificateError)
    assert str(result.exception).startswith(str(tmp_path / "runs.json"))
