"""Every format against its published schema, and every figure against the certificate's."""

import csv
import hashlib
import io
import json
import re
from pathlib import Path

import pytest

from pacbound.certificate import Certificate, schema
from pacbound.errors import RequestError, VerificationError
from pacbound.reports.exports.in_toto import verification_summary
from pacbound.reports.exports.subject import Exported
from pacbound.reports.exports.table import FORMATS, export
from tests.forge import forge, honest

REPOSITORY = Path(__file__).parents[2]
REAL = (
    "mnist/seed_0", "surrogate/mnist_lenet", "transfer/fashion_mnist_checkpoint", "draw/mnist",
    "direct/lenet_tuned_0.25", "picks/cifar10_features",
)  # fmt: skip


def saved(folder: Path, certificate: Certificate) -> Exported:
    certificate.save(folder / "a.json")
    return Exported.load(folder / "a.json")


@pytest.fixture(scope="module", params=["forged note", "square loss", *REAL])
def exported(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    if request.param == "forged note":
        return saved(tmp_path_factory.mktemp("note"), honest(note='"quotes": - \\ & <b> é'))
    if request.param == "square loss":
        return saved(tmp_path_factory.mktemp("loss"), honest(errors=900.125, loss="square"))
    return Exported.load(REPOSITORY / "results" / f"{request.param}.json")


def published(name: str) -> dict:  # type: ignore[type-arg]
    """A schema as the CycloneDX library ships it."""
    library = pytest.importorskip("cyclonedx", reason="cyclonedx-python-lib, of the extra exports, is not installed")
    (file,) = (Path(library.__file__).parent / "schema").rglob(name)
    return json.loads(file.read_text("utf-8"))  # type: ignore[no-any-return]


def test_cyclonedx_is_valid_by_the_published_schema(exported: Exported) -> None:
    jsonschema = pytest.importorskip("jsonschema", reason="jsonschema is not installed")
    from referencing import Registry, Resource

    names = ("spdx.SNAPSHOT.schema.json", "jsf-0.82.SNAPSHOT.schema.json", "cryptography-defs.SNAPSHOT.schema.json")
    others = {name: Resource.from_contents(published(name)) for name in names}
    base = "http://cyclonedx.org/schema/"
    registry = Registry().with_resources([(base + name, one) for name, one in others.items()])
    bom = published("bom-1.7.SNAPSHOT.schema.json")
    validator = jsonschema.Draft7Validator(bom, registry=registry, format_checker=jsonschema.FormatChecker())
    document = json.loads(export([exported], "cyclonedx"))
    validator.validate(document)
    (component,) = document["components"]
    first, trained, *_ = component["modelCard"]["quantitativeAnalysis"]["performanceMetrics"]
    stated = exported.certificate.stated_bound
    assert float(first["confidenceInterval"]["upperBound"]) == float(first["value"]) == stated.value
    assert float(trained["value"]) == exported.certificate.risk.rate
    document["components"][0]["modelCard"]["quantitativeAnalysis"]["performanceMetrics"][0]["error"] = "1"
    with pytest.raises(jsonschema.ValidationError):
        validator.validate(document)


def parsed(text: str, kind: str) -> dict:  # type: ignore[type-arg]
    """A statement after the published protocol buffers have read and validated it."""
    library = pytest.importorskip("in_toto_attestation.v1.statement", reason="in-toto-attestation is not installed")
    from google.protobuf import json_format

    document = json.loads(text)
    read = json_format.Parse(text, library.spb.Statement())
    library.Statement.copy_from_pb(read).validate()
    assert read.predicate_type == document["predicateType"] == kind
    assert json_format.MessageToDict(read)["predicate"].keys() == document["predicate"].keys()
    return document  # type: ignore[no-any-return]


def test_in_toto_is_a_statement_about_the_network(exported: Exported) -> None:
    document = parsed(export([exported], "in-toto"), "urn:pacbound:predicate:certificate:1")
    certificate = exported.certificate
    (subject,) = document["subject"]
    found = subject["digest"]["sha256"]
    made = certificate.hypothesis.quantizer
    if made is not None and made.kind == "picks":
        file = REPOSITORY / "results" / "picks" / made.file
        assert (subject["name"], found) == (made.file, hashlib.sha256(file.read_bytes()).hexdigest())
    elif certificate.comparison is None:
        assert found == hashlib.sha256(certificate.payload()).hexdigest()
    else:
        assert found == certificate.comparison.original.sha256
    assert document["predicate"]["bound"]["value"] == certificate.stated_bound.value
    assert document["predicate"]["certificate"]["annotations"]["schema"] == schema.SCHEMA_ID
    assert document["predicate"]["statement"] == certificate.statement


@pytest.mark.parametrize("failed", [None, "bound"])
def test_a_verification_summary_is_read_by_its_published_predicate(failed: str | None) -> None:
    made = verification_summary(
        "a.json", "a" * 64, "0.1.0", "2026-01-02T03:04:05Z", "message", ("schema",), failed, failed, ("x",), "s"
    )
    document = parsed(json.dumps(made), "https://slsa.dev/verification_summary/v1")
    from google.protobuf import json_format
    from in_toto_attestation.predicates.vsa.v1 import vsa_pb2

    levels = document["predicate"].pop("verifiedLevels")  # a list by the specification, one string in this library
    read = json_format.ParseDict(document["predicate"], vsa_pb2.VerificationSummary(), ignore_unknown_fields=True)
    assert read.time_verified.ToJsonString() == "2026-01-02T03:04:05Z"
    assert read.policy.uri == "urn:pacbound:certificate:2"
    if failed is None:
        assert read.verification_result == "PASSED"
        assert levels == ["PACBOUND_ARITHMETIC", "PACBOUND_MESSAGE"]
    else:
        assert read.verification_result == "FAILED"
        assert levels == ["FAILED"]
    assert not any(level.startswith("SLSA_") for level in levels)


def test_the_hub_reads_the_model_card(exported: Exported) -> None:
    hub = pytest.importorskip("huggingface_hub", reason="huggingface_hub is not installed")
    text = export([exported], "model-card")
    card = hub.ModelCard(text, ignore_metadata_errors=False)
    certificate = exported.certificate
    assert card.data.model_name == exported.facts.network
    results = {(one.dataset_split, one.metric_type): one for one in card.data.eval_results}
    assert results["train", "risk_upper_bound"].metric_value == certificate.stated_bound.value
    assert results["train", "risk_upper_bound"].metric_args["certificate_digest"] == certificate.digest
    assert results["train", certificate.risk.loss].metric_value == certificate.risk.rate
    assert all(one.verified is None for one in card.data.eval_results)  # that word is the Hub's own
    assert "### Accuracy and robustness" in card.text
    assert certificate.statement in card.text.replace("\\", "")
    assert hub.ModelCard(str(card), ignore_metadata_errors=False).data.to_dict() == card.data.to_dict()


def test_yaml_says_what_the_metadata_say(exported: Exported) -> None:
    yaml = pytest.importorskip("yaml", reason="PyYAML is not installed")
    from pacbound.reports.exports.model_card import metadata

    head = export([exported], "model-card").split("---\n")[1]
    assert yaml.safe_load(head) == metadata(exported)


def test_mlflow_keeps_within_the_limits_of_log_batch(exported: Exported) -> None:
    document = json.loads(export([exported], "mlflow"))
    assert set(document) == {"metrics", "params", "tags"}
    for kind, fields in (("metrics", {"key", "value", "timestamp", "step"}), ("params", {"key", "value"})):
        assert all(set(one) == fields for one in document[kind])
    for kind, most in (("metrics", 1000), ("params", 100), ("tags", 100)):
        keys = [one["key"] for one in document[kind]]
        assert len(keys) == len(set(keys)) <= most
        assert all(re.fullmatch(r"[A-Za-z0-9_\-./ ]{1,250}", key) for key in keys)
    assert all(isinstance(one["value"], str) and len(one["value"]) <= 5000 for one in document["tags"])
    assert all(isinstance(one["value"], str) and len(one["value"]) <= 500 for one in document["params"])
    values = {one["key"]: one["value"] for one in document["metrics"]}
    assert values["pacbound.risk_upper_bound"] == exported.certificate.stated_bound.value
    assert values["pacbound.ledger_bits"] == exported.certificate.ledger.bits


def test_mlflow_itself_takes_the_batch(exported: Exported) -> None:
    pytest.importorskip("mlflow", reason="mlflow, which is large, is not installed")
    from mlflow.entities import Metric, Param, RunTag
    from mlflow.utils.validation import _validate_batch_log_data, _validate_batch_log_limits

    document = json.loads(export([exported], "mlflow"))
    metrics = [Metric(**one) for one in document["metrics"]]
    batch = metrics, [Param(**one) for one in document["params"]], [RunTag(**one) for one in document["tags"]]
    _validate_batch_log_limits(*batch)
    _validate_batch_log_data(*batch)
    assert len(metrics) >= 3


def test_csv_has_a_line_for_each_and_no_bound_of_what_does_not_stand(tmp_path: Path) -> None:
    good = saved(tmp_path, honest(note="a, b"))

    def smaller(document: dict) -> None:  # type: ignore[type-arg]
        document["bound"]["value"] = 0.001

    bad = Exported.load(forge(honest(), smaller, tmp_path / "b.json"))
    first, second = csv.DictReader(io.StringIO(export([good, bad], "csv")))
    assert float(first["bound"]) == good.certificate.stated_bound.value
    assert (first["name"], first["stands"], first["errors"], first["held_out_errors"]) == (
        "a.json",
        "yes",
        "900",
        "100",
    )
    assert (second["stands"], second["bound"]) == ("no", "")
    assert second["why_not"].startswith("bound: occam_binomial gives")


@pytest.mark.parametrize("name", [name for name in FORMATS if name != "csv"])
def test_what_does_not_stand_is_exported_nowhere_else(name: str, tmp_path: Path) -> None:
    def smaller(document: dict) -> None:  # type: ignore[type-arg]
        document["bound"]["value"] = 0.001

    bad = Exported.load(forge(honest(), smaller, tmp_path / "b.json"))
    with pytest.raises(VerificationError, match=r"b.json does not stand: bound: occam_binomial gives"):
        export([bad], name)  # type: ignore[arg-type]
    with pytest.raises(RequestError, match="about one certificate, got 2"):
        export([bad, bad], name)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", FORMATS)
def test_the_same_certificate_gives_the_same_text(name: str, exported: Exported) -> None:
    assert export([exported], name) == export([exported], name)  # type: ignore[arg-type]


def test_annex_iv_gives_facts_and_says_what_it_is_silent_on(exported: Exported) -> None:
    text = export([exported], "annex-iv").replace("\\", "")
    certificate = exported.certificate
    assert certificate.statement in text
    for word in ("Annex IV", "Article 15", "groups of persons", "robustness", "cybersecurity", "Taken on trust"):
        assert word in text
    assert certificate.data.digest in text
    assert certificate.digest in text
    for sentence in certificate.declarations:
        assert sentence in text
    assert "complies" not in text
    assert "pacbound verify" in text


def test_the_id_of_the_schema_is_that_of_the_published_file_and_of_the_format() -> None:
    folder = REPOSITORY / "pacbound" / "certificate"
    assert json.loads((folder / "schema.json").read_text("utf-8"))["$id"] == schema.SCHEMA_ID
    assert schema.SCHEMA_ID in (folder / "FORMAT.md").read_text("utf-8")
