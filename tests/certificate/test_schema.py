import base64
import functools
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from pydantic import ValidationError

from pacbound.bits.message import pack
from pacbound.bounds.claims import RiskEstimate
from pacbound.bounds.table import THEOREMS, rounded_up
from pacbound.certificate import Certificate, DataRecord, Environment
from pacbound.certificate.export import LANGUAGE_PATH, PATH, language_schema_text, schema_text
from pacbound.certificate.schema import StatedBound
from pacbound.errors import CertificateError
from tests.forge import digest_of, honest, spec_of, symbols_of

KEYS = [
    "schema_version", "statement", "bound", "risk", "ledger", "message", "data", "hypothesis", "declarations",
    "measures", "parts", "also", "environment", "digest",
]  # fmt: skip


@functools.cache
def shipped() -> jsonschema.Draft202012Validator:
    """The schema that others check certificates by."""
    return jsonschema.Draft202012Validator(json.loads(PATH.read_text(encoding="utf-8")))


def issue(certificate: Certificate, **changed: Any) -> Certificate:
    spec = certificate.hypothesis
    arguments: dict[str, Any] = {
        "bound": certificate.bound,
        "risk": certificate.risk,
        "ledger": certificate.ledger,
        "message": pack(spec, symbols_of(64))[0],
        "data": certificate.data,
        "hypothesis": spec,
    }
    return Certificate.issue(**{**arguments, **changed})


def test_the_top_level_keys_are_those_others_build_on() -> None:
    document = honest().document()
    assert list(document) == KEYS
    assert list(document["bound"]) == ["value", "theorem", "delta"]
    assert list(document["risk"]) == ["errors", "n", "loss"]
    assert list(document["ledger"][0]) == ["item", "bits", "kind", "why"]
    assert list(document["message"]) == ["bits", "payload"]


def test_the_digest_is_the_one_that_format_md_describes() -> None:
    certificate = honest()
    assert certificate.digest == certificate.expected_digest() == digest_of(certificate.document())


def test_a_saved_certificate_is_read_back_whole(tmp_path: Path) -> None:
    certificate = honest()
    certificate.save(tmp_path / "a.json")
    loaded = Certificate.load(tmp_path / "a.json")
    assert loaded == certificate
    assert hash(loaded) == hash(certificate)
    assert loaded.payload() == certificate.payload()
    assert loaded.to_json() == certificate.to_json()
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]


def test_properties_give_the_records_that_the_document_stands_for() -> None:
    certificate = honest()
    bits = sum(entry["bits"] for entry in certificate.document()["ledger"])
    assert certificate.ledger.bits == bits
    assert certificate.risk == RiskEstimate(errors=900, n=60000, data_digest="a" * 64)
    assert certificate.bound == THEOREMS["occam_binomial"](900, 60000, bits, 0.05)
    assert certificate.bound.reference


def test_a_long_message_goes_into_a_sidecar_that_moves_with_the_certificate(tmp_path: Path) -> None:
    large = honest(count=3_000_000)
    (tmp_path / "there").mkdir()
    large.save(tmp_path / "a.json")
    loaded = Certificate.load(tmp_path / "a.json")
    loaded.save(tmp_path / "there" / "b.json")
    name = large.document()["message"]["file"]
    assert sorted(p.name for p in (tmp_path / "there").iterdir()) == sorted(["b.json", name])
    assert (tmp_path / "there" / name).read_bytes() == large.payload()
    assert set(large.document()["message"]) == {"bits", "file", "sha256", "size"}
    with pytest.raises(CertificateError, match="load the certificate by its path"):
        Certificate.from_json(large.to_json()).payload()


def test_messages_up_to_a_megabyte_of_text_stand_in_the_certificate() -> None:
    certificate = honest(count=2_000_000)
    encoded = certificate.document()["message"]["payload"]
    assert base64.b64decode(encoded) == certificate.payload()
    assert 600_000 < len(encoded) <= 1_000_000


def test_two_runs_that_differ_in_time_and_versions_share_the_core_digest() -> None:
    one = honest()
    two = issue(one, environment=Environment(versions={"numpy": "9.9"}, seconds={"fit": 99.0}))
    three = issue(one, environment=Environment())
    assert two.digest != three.digest
    assert two.core_digest == three.core_digest
    assert three.core_digest != issue(honest(errors=901)).core_digest


@pytest.mark.parametrize("epochs", [None, 2.5])
def test_epochs_are_written_where_there_were_any_and_nowhere_else(epochs: float | None, tmp_path: Path) -> None:
    issue(honest(), environment=Environment(epochs=epochs)).save(tmp_path / "c.json")
    written = json.loads((tmp_path / "c.json").read_text())["environment"]
    assert written.get("epochs", "absent") == (epochs or "absent")
    assert Certificate.load(tmp_path / "c.json").environment.epochs == epochs
    shipped().validate(json.loads((tmp_path / "c.json").read_text()))


def test_a_certificate_is_frozen() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        honest().statement = "better"  # type: ignore[misc]


def test_risk_counted_on_other_data_is_not_issued() -> None:
    certificate = honest()
    for data in (
        DataRecord(name="mnist", digest="b" * 64, n=60000, classes=10, distinct=60000),
        DataRecord(name="mnist", digest="a" * 64, n=59999, classes=10, distinct=59999),
    ):
        with pytest.raises(CertificateError, match="one sample"):
            issue(certificate, data=data)


@pytest.mark.parametrize("value", ["/home/someone/data", "C:\\data", "host name", ""])
def test_the_environment_has_no_room_for_a_path(value: str) -> None:
    with pytest.raises(ValidationError):
        Environment(versions={"numpy": value})


def test_every_theorem_has_a_name_in_the_schema_and_no_other_does() -> None:
    enum = StatedBound.model_json_schema()["properties"]["theorem"]["enum"]
    own_arguments = {"disagreement", "picks", "picks_classical"}  # about two networks, or about picked examples
    assert set(enum) == {*THEOREMS, *own_arguments}


def test_a_loss_that_is_no_count_carries_a_sum() -> None:
    certificate = honest(errors=900.125, loss="error_probability")
    assert certificate.document()["risk"]["errors"] == 900.125
    assert certificate.bound.theorem == "occam_kl"


def test_the_zero_hypothesis_is_a_certificate_too() -> None:
    spec = spec_of(64).model_copy(update={"projector": None, "quantizer": None, "code": None, "layer_scale": False})
    message, ledger = pack(spec, symbols_of(0))
    zero = issue(honest(), hypothesis=spec, message=message, ledger=ledger)
    assert zero.document()["hypothesis"]["projector"] is None


def test_the_shipped_json_schema_is_the_one_that_the_records_give() -> None:
    assert PATH.read_text(encoding="utf-8") == schema_text()
    assert LANGUAGE_PATH.read_text(encoding="utf-8") == language_schema_text()


def test_the_json_schema_accepts_honest_certificates_of_every_shape() -> None:
    shipped().check_schema(shipped().schema)
    for certificate in (honest(), honest(errors=900.125, loss="square"), honest(count=3_000_000)):
        shipped().validate(json.loads(certificate.to_json()))


@pytest.mark.parametrize("key", KEYS)
def test_the_json_schema_refuses_a_certificate_that_lacks_a_key(key: str) -> None:
    document = honest().document()
    del document[key]
    with pytest.raises(jsonschema.ValidationError):
        shipped().validate(document)
    with pytest.raises(CertificateError):
        Certificate.from_json(json.dumps(document).encode())


def test_reading_and_rechecking_need_neither_torch_nor_scipy(tmp_path: Path) -> None:
    honest().save(tmp_path / "a.json")
    code = (
        "import sys; from pacbound.verification.verification import verify; "
        "import pacbound.certificate, pacbound.reports.show; "
        "assert verify(sys.argv[1], level='arithmetic').stands and verify(sys.argv[1], level='message').stands; "
        "print({'torch', 'scipy', 'sklearn'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "a.json")], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "set()"


def test_the_representation_is_one_line_with_bound_theorem_and_data() -> None:
    certificate = issue(honest())
    for text in (repr(certificate), str(certificate), f"{certificate}"):
        assert "\n" not in text
        assert len(text) < 160
        for part in ("mnist", "occam_binomial", rounded_up(certificate.bound.value), "900 of 60,000", "delta 0.05"):
            assert part in text
