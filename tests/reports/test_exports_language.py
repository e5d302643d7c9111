"""Language models and versions of a network in every format: the figures are the certificate's own."""

import csv
import io
import json
import re
import shlex
from dataclasses import fields
from pathlib import Path

import pytest

from pacbound.certificate.difference import DifferenceCertificate
from pacbound.certificate.language import LanguageCertificate
from pacbound.certificate.language_statement import bits_up
from pacbound.errors import RequestError, VerificationError
from pacbound.reports.exports.model_card import metadata
from pacbound.reports.exports.subject import Exported
from pacbound.reports.exports.table import FORMATS, export
from pacbound.reports.words import checking
from pacbound.verification.difference import difference_lacks
from pacbound.verification.language import language_lacks
from pacbound.verification.recount import Given
from tests.forge import Document, forge
from tests.reports.test_exports import parsed, published

RESULTS = Path(__file__).parents[2] / "results" / "language"
NAMES = ("shakespeare_gru48", "answers", "positions", "quantization_stories260K")


@pytest.fixture(scope="module", params=NAMES)
def exported(request: pytest.FixtureRequest) -> Exported:
    return Exported.load(RESULTS / f"{request.param}.json")


def stated(exported: Exported) -> list[float]:
    certificate = exported.certificate
    if isinstance(certificate, DifferenceCertificate):
        return [row.value for row in certificate.versions]
    assert isinstance(certificate, LanguageCertificate)
    return [certificate.stated_bound.value]


def test_a_bill_of_materials_is_valid_and_says_the_bounds(exported: Exported) -> None:
    jsonschema = pytest.importorskip("jsonschema", reason="jsonschema is not installed")
    from referencing import Registry, Resource

    names = ("spdx.SNAPSHOT.schema.json", "jsf-0.82.SNAPSHOT.schema.json", "cryptography-defs.SNAPSHOT.schema.json")
    registry = Registry().with_resources(
        [(f"http://cyclonedx.org/schema/{name}", Resource.from_contents(published(name))) for name in names]
    )
    document = json.loads(export([exported], "cyclonedx"))
    jsonschema.Draft7Validator(published("bom-1.7.SNAPSHOT.schema.json"), registry=registry).validate(document)
    (component,) = document["components"]
    metrics = component["modelCard"]["quantitativeAnalysis"]["performanceMetrics"]
    certified = [one for one in metrics if "certified to be at most" in one["type"]]
    assert [float(one["value"]) for one in certified] == stated(exported)
    signed = isinstance(exported.certificate, DifferenceCertificate)  # a version may be better than its reference
    assert all(("lowerBound" in one["confidenceInterval"]) != signed for one in certified)


def test_a_claim_is_a_statement_with_the_documents_own_parts(exported: Exported) -> None:
    document = parsed(export([exported], "in-toto"), "urn:pacbound:predicate:certificate:1")
    own, predicate = exported.certificate.document(), document["predicate"]
    assert predicate["statement"] == own["statement"]
    assert predicate["ledger"] == own["ledger"]
    assert predicate["certificate"]["annotations"]["schema"].endswith(str(own["schema_version"]))
    key = "versions" if isinstance(exported.certificate, DifferenceCertificate) else "bound"
    assert predicate[key] == own[key]


def test_a_model_card_says_the_statement_and_the_figures(exported: Exported) -> None:
    text = export([exported], "model-card")
    assert exported.certificate.statement in text.replace("\\", "")
    (index,) = metadata(exported)["model-index"]  # type: ignore[misc, call-overload]
    metrics = index["results"][0]["metrics"]  # type: ignore[call-overload, index]
    bounds = [one["value"] for one in metrics if "upper_bound" in str(one["type"])]  # type: ignore[index, union-attr, call-overload]
    assert bounds == stated(exported)


def test_the_batch_of_mlflow_keeps_its_limits(exported: Exported) -> None:
    document = json.loads(export([exported], "mlflow"))
    for kind, most in (("metrics", 1000), ("params", 100), ("tags", 100)):
        keys = [one["key"] for one in document[kind]]
        assert len(keys) == len(set(keys)) <= most
        assert all(re.fullmatch(r"[A-Za-z0-9_\-./ ]{1,250}", key) for key in keys)
    assert all(len(one["value"]) <= 5000 for one in document["tags"])
    assert all(len(one["value"]) <= 500 for one in document["params"])
    bounds = [one["value"] for one in document["metrics"] if "upper_bound" in one["key"] and "held" not in one["key"]]
    assert bounds == stated(exported)


def test_csv_has_a_line_for_each_bound() -> None:
    lines = list(csv.DictReader(io.StringIO(export([Exported.load(RESULTS / f"{n}.json") for n in NAMES], "csv"))))
    one = LanguageCertificate.load(RESULTS / "shakespeare_gru48.json")
    assert (float(lines[0]["bound"]), float(lines[0]["error"])) == (one.stated_bound.value, one.mean)
    assert int(lines[0]["bits"]) == one.ledger.bits
    asked = LanguageCertificate.load(RESULTS / "answers.json")
    assert (int(lines[1]["errors"]), int(lines[1]["n"])) == (asked.errors, asked.losses.n)
    versions = DifferenceCertificate.load(RESULTS / "quantization_stories260K.json").versions
    assert [float(line["bound"]) for line in lines[3:]] == [row.value for row in versions]
    assert all(line["stands"] == "yes" for line in lines)


def test_documentation_about_errors_is_refused_of_bits(exported: Exported) -> None:
    with pytest.raises(RequestError, match="annex-iv is about the errors of a classifier"):
        export([exported], "annex-iv")


@pytest.mark.parametrize("name", [name for name in FORMATS if name != "csv"])
def test_a_language_model_that_does_not_stand_is_not_exported(name: str, tmp_path: Path) -> None:
    def smaller(document: Document) -> None:
        document["bound"]["value"] = 2.0

    honest = LanguageCertificate.load(RESULTS / "shakespeare_gru48.json")
    bad = Exported.load(forge(honest, smaller, tmp_path / "b.json"))
    with pytest.raises(VerificationError, match="does not stand: bound: stream gives"):
        export([bad], name)  # type: ignore[arg-type]
    assert ",no," in export([bad], "csv")
    assert bits_up(2.0) not in export([bad], "csv").splitlines()[1]


@pytest.mark.parametrize("name", [*NAMES, "shakespeare_stories", "shakespeare_split", "shakespeare_gru32_wikitext"])
def test_the_command_for_a_reader_gives_what_verify_asks_for_and_no_more(name: str) -> None:
    certificate = Exported.load(RESULTS / f"{name}.json").certificate
    found = checking(certificate, "a b.json")
    first, verb, file, *rest = shlex.split(found.command)
    assert (first, verb, file) == ("pacbound", "verify", "a b.json")
    options = dict(zip(rest[::2], rest[1::2], strict=True))

    def lacking(given: dict[str, str]) -> list[str]:
        data, checkpoint, tokenizer = (given.get(f"--{one}") for one in ("data", "checkpoint", "tokenizer"))
        if isinstance(certificate, LanguageCertificate):
            return language_lacks(certificate, data, checkpoint, tokenizer)
        assert isinstance(certificate, DifferenceCertificate)
        brought = dict.fromkeys(field.name for field in fields(Given))
        brought |= {"data": data, "checkpoint": checkpoint, "tokenizer": tokenizer, "model": given.get("--model")}
        return difference_lacks(certificate, Given(**brought), given.get("--reference"))  # type: ignore[arg-type]

    assert lacking(options) == []
    for option in options:
        assert len(lacking({one: value for one, value in options.items() if one != option})) == 1
    capitals = {value for value in options.values() if value.isupper()}
    assert {line.split(":")[0] for line in found.fill_in} == capitals
    assert all(line in export([Exported.load(RESULTS / f"{name}.json")], "model-card") for line in found.fill_in)
