import csv
import io
import json
from pathlib import Path

import pytest
from pacbound_cli.main import app
from typer.testing import CliRunner

from pacbound.errors import RequestError, VerificationError
from pacbound.reports.exports.subject import Exported
from pacbound.reports.exports.table import FORMATS, export
from tests.forge import forge, honest


@pytest.fixture
def path(tmp_path: Path) -> Path:
    honest().save(tmp_path / "a.json")
    return tmp_path / "a.json"


@pytest.mark.parametrize("name", FORMATS)
def test_export_prints_or_writes_what_the_format_gives(path: Path, name: str) -> None:
    expected = export([Exported.load(path)], name) + "\n"  # type: ignore[arg-type]
    assert CliRunner().invoke(app, ["export", str(path), "--format", name]).output == expected
    target = path.with_name("out")
    assert CliRunner().invoke(app, ["export", str(path), "--format", name, "-o", str(target)]).exit_code == 0
    assert target.read_text("utf-8") == expected


@pytest.mark.parametrize("verb", ["export", "report", "verify"])
def test_no_page_and_no_claim_is_written_over_a_certificate(path: Path, verb: str) -> None:
    other = path.with_name("b.json")
    honest(count=100).save(other)
    options = {"export": ["--format", "csv", "-o"], "report": ["--format", "md", "-o"], "verify": ["--attest"]}
    for target in (path, other):
        before = target.read_bytes()
        result = CliRunner().invoke(app, [verb, str(path), *options[verb], str(target)])
        assert isinstance(result.exception, RequestError)
        assert "is a certificate, which would be lost" in str(result.exception)
        assert target.read_bytes() == before
    other.write_text("what was written before")
    assert CliRunner().invoke(app, [verb, str(path), *options[verb], str(other)]).exit_code == 0


def test_csv_takes_a_folder_and_says_what_does_not_stand(path: Path) -> None:
    def smaller(document: dict) -> None:  # type: ignore[type-arg]
        document["bound"]["value"] = 0.001

    forge(honest(), smaller, path.with_name("b.json"))
    result = CliRunner().invoke(app, ["export", str(path.parent), "--format", "csv"])
    assert result.exit_code == 1
    assert [row["stands"] for row in csv.DictReader(io.StringIO(result.stdout))] == ["yes", "no"]
    refused = CliRunner().invoke(app, ["export", str(path.with_name("b.json")), "--format", "mlflow"])
    assert isinstance(refused.exception, VerificationError)
    several = CliRunner().invoke(app, ["export", str(path.parent), "--format", "in-toto"])
    assert isinstance(several.exception, RequestError)


def test_attest_writes_what_verify_found_whichever_way_it_went(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import hashlib

    monkeypatch.setenv("SOURCE_DATE_EPOCH", "86400")
    target = path.with_name("found.json")
    arguments = ["verify", "--level", "message", "--attest", str(target)]
    assert CliRunner().invoke(app, [*arguments, str(path)]).exit_code == 0
    document = json.loads(target.read_text("utf-8"))
    assert document["subject"] == [
        {"name": "a.json", "digest": {"sha256": hashlib.sha256(path.read_bytes()).hexdigest()}}
    ]
    assert document["predicate"]["verificationResult"] == "PASSED"
    assert document["predicate"]["timeVerified"] == "1970-01-02T00:00:00Z"
    path.write_text(path.read_text("utf-8").replace(honest().digest, "0" * 64), "utf-8")
    assert CliRunner().invoke(app, [*arguments, str(path)]).exit_code == 1
    found = json.loads(target.read_text("utf-8"))["predicate"]
    assert found["verificationResult"] == "FAILED"
    assert found["urn:pacbound:predicate:verification:1"]["failed"] == "digest"


def test_attest_is_about_one_file_that_stays_as_it_is(path: Path) -> None:
    from pacbound.verification.attest import attest, file_sha256
    from pacbound.verification.verification import verify

    honest().save(path.with_name("b.json"))
    refused = CliRunner().invoke(app, ["verify", str(path.parent), "--attest", str(path.with_name("x"))])
    assert isinstance(refused.exception, RequestError)
    before, found = file_sha256(path), verify(path, level="arithmetic")
    path.write_text("{}")
    with pytest.raises(RequestError, match="changed while it was verified"):
        attest(found, path, before)
