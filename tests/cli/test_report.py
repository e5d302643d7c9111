from pathlib import Path

import pytest
from pacbound_cli.main import app
from typer.testing import CliRunner

from pacbound.errors import CertificateError, RequestError
from pacbound.reports.report import report
from tests.forge import forge, honest


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    honest().save(tmp_path / "a.json")
    honest(count=100).save(tmp_path / "b.json")
    return tmp_path


def test_a_page_is_written_and_markdown_by_the_ending_of_the_file(folder: Path) -> None:
    pytest.importorskip("matplotlib", reason="the report extra is not installed")
    result = CliRunner().invoke(app, ["report", str(folder / "a.json"), "-o", str(folder / "r.html")])
    assert (result.exit_code, result.output) == (0, "")
    named = [("a", honest()), ("b", honest(count=100))]
    assert (folder / "r.html").read_text("utf-8") == report(named[:1], whole=False).html()
    assert CliRunner().invoke(app, ["report", str(folder), "-o", str(folder / "r.md")]).exit_code == 0
    assert (folder / "r.md").read_text("utf-8") == report(named).markdown() + "\n"


def test_one_certificate_has_no_overview_and_prints_to_standard_output(folder: Path) -> None:
    result = CliRunner().invoke(app, ["report", str(folder / "a.json"), "--format", "md"])
    assert result.output == report([("a", honest())], whole=False).markdown() + "\n"
    assert "Side by side" not in result.output


def test_what_does_not_stand_makes_the_status_one_and_other_files_are_listed(folder: Path) -> None:
    (folder / "notes.json").write_text("[1]")

    def smaller(document: dict) -> None:  # type: ignore[type-arg]
        document["bound"]["value"] = 0.001

    forge(honest(), smaller, folder / "c.json")
    result = CliRunner().invoke(app, ["report", str(folder), "--format", "md"])
    assert result.exit_code == 1
    assert "pacbound: c does not stand: bound: " in result.stderr
    assert "- notes.json: Certificate: a certificate is one JSON object" in result.stdout.replace("\\", "")
    assert "- c: **DOES NOT STAND**" in result.stdout


def test_a_file_that_is_no_certificate_is_refused_by_name(folder: Path) -> None:
    (folder / "notes.json").write_text("[1]")
    refused = CliRunner().invoke(app, ["report", str(folder / "notes.json")])
    assert isinstance(refused.exception, CertificateError)
    assert "notes.json" in str(refused.exception)
    (folder / "empty").mkdir()
    nothing = CliRunner().invoke(app, ["report", str(folder / "empty")])
    assert isinstance(nothing.exception, RequestError)
