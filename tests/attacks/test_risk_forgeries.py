"""What only counting again can catch: a real network on the embedded digits, and lies about its errors or its data."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from pacbound.bits.message import pack
from pacbound.bounds.table import theorem
from pacbound.certificate import Certificate, DataRecord
from pacbound.certificate.accounting import complete
from pacbound.data.registry import load
from pacbound.models.reference import build
from pacbound.networks.hypothesis import Hypothesis, make_base
from pacbound.networks.risk import evaluate
from pacbound.specs.specs import PreprocessSpec
from pacbound.verification.verification import verify
from tests.forge import Document, caught, forge, spec_of, symbols_of


@pytest.fixture(scope="module")
def certificate() -> Certificate:
    return evaluated("zero_one")


def evaluated(loss: str) -> Certificate:
    """An untrained network in a subspace of 16 dimensions: vacuous, and every number right."""
    examples = load("digits")
    base = make_base(build("mlp", examples.shape, 10), seed=3)
    spec = spec_of(
        16,
        model="mlp",
        layout_digest=base.layout.digest,
        D=base.layout.D,
        preprocess=PreprocessSpec(name="digits"),
    )
    message, coded = pack(spec, symbols_of(16))
    risk = evaluate(Hypothesis.unpack(message.payload, spec, base), examples, loss, progress=False)
    ledger = complete(coded, spec, "digits", examples.digest())
    return Certificate.issue(
        bound=theorem("occam_binomial")(risk.errors, risk.n, ledger.bits, 0.05),
        risk=risk,
        ledger=ledger,
        message=message,
        data=DataRecord(name="digits", digest=examples.digest(), n=examples.n, classes=10, distinct=examples.n),
        hypothesis=spec,
    )


@pytest.fixture
def path(certificate: Certificate, tmp_path: Path) -> Path:
    certificate.save(tmp_path / "digits.json")
    return tmp_path / "digits.json"


def test_the_honest_certificate_stands_at_level_risk_which_is_the_default_for_embedded_data(path: Path) -> None:
    result = verify(path)
    assert result.level == "risk"
    assert result.stands
    assert result.recount is not None
    assert result.passed[-5:] == ("data", "distinct", "majority class", "network", "errors")


def test_one_error_fewer_than_there_are_is_caught_by_counting_and_by_nothing_else(
    certificate: Certificate, tmp_path: Path
) -> None:
    def lower(document: Document) -> None:
        document["risk"]["errors"] -= 1

    path = forge(certificate, lower, tmp_path / "lower.json", consistent=True)
    assert caught(path, "risk") == ("risk", "errors")


def test_more_errors_than_there_are_is_a_weaker_true_statement(certificate: Certificate, tmp_path: Path) -> None:
    def raise_errors(document: Document) -> None:
        document["risk"]["errors"] += 1

    assert caught(forge(certificate, raise_errors, tmp_path / "more.json", consistent=True), "risk") is None


def test_other_data_are_caught_by_digest_or_by_size(certificate: Certificate, tmp_path: Path, path: Path) -> None:
    def another_digest(document: Document) -> None:
        document["data"]["digest"] = "b" * 64

    assert caught(forge(certificate, another_digest, tmp_path / "other.json"), "risk") == ("risk", "data")
    assert caught(path, "risk", data=load("digits", split="test")) == ("risk", "data")
    examples = load("digits")
    exchanged = examples.subset([1, 0, *range(2, examples.n)])
    assert caught(path, "risk", data=exchanged) == ("risk", "data")


def test_renaming_the_data_to_save_the_tuning_entry_is_caught_by_their_digest(
    certificate: Certificate, tmp_path: Path
) -> None:
    def rename(document: Document) -> None:
        document["data"]["name"] = "my-own"
        document["ledger"] = [e for e in document["ledger"] if e["item"] != "package defaults"]

    path = forge(certificate, rename, tmp_path / "renamed.json", consistent=True)
    assert caught(path, "risk", data=load("digits")) == ("message", "ledger")


def test_tuned_data_in_another_form_that_deny_it_are_caught_by_their_rows(
    certificate: Certificate, tmp_path: Path
) -> None:
    digits = load("digits")
    other = replace(digits.subset([1, 0, *range(2, digits.n)]), name="my-own")

    def deny(document: Document) -> None:
        document["data"].update(name="my-own", digest=other.digest())
        document["ledger"] = [e for e in document["ledger"] if e["item"] != "package defaults"]

    path = forge(certificate, deny, tmp_path / "denied.json", consistent=True)
    assert caught(path, "risk", data=other) == ("risk", "tuned data")


def test_more_classes_than_the_sample_has_would_hide_a_vacuous_bound_and_are_caught(
    certificate: Certificate, tmp_path: Path
) -> None:
    def more(document: Document) -> None:
        document["data"]["classes"] = 1000

    path = forge(certificate, more, tmp_path / "classes.json", consistent=True)
    assert "vacuous" in certificate.statement
    assert "vacuous" not in path.read_text()
    assert caught(path, "risk") == ("risk", "data")


def test_a_loss_with_a_name_of_this_package_is_counted_by_it_and_not_by_whoever_brings_another(path: Path) -> None:
    result = verify(path, data="digits", loss=lambda logits, y: torch.zeros(len(y)))
    assert result.recount is not None
    assert result.recount.errors == Certificate.load(path).risk.errors > 0
    counted = evaluated("top_3")
    assert counted.risk.errors > 0
    recount = verify(counted, data="digits", loss=lambda logits, y: torch.zeros(len(y))).require().recount
    assert recount == counted.risk


def test_a_layout_that_is_not_that_of_the_network_is_caught_when_it_is_rebuilt(
    certificate: Certificate, tmp_path: Path
) -> None:
    def relayout(document: Document) -> None:
        document["hypothesis"]["layout_digest"] = "0" * 64

    assert caught(forge(certificate, relayout, tmp_path / "layout.json"), "risk") == ("risk", "network")


def test_a_size_that_is_not_that_of_the_network_is_caught_when_it_is_rebuilt(
    certificate: Certificate, tmp_path: Path
) -> None:
    def resize(document: Document) -> None:
        document["hypothesis"]["projector"]["D"] += 1

    assert caught(forge(certificate, resize, tmp_path / "size.json"), "risk") == ("risk", "network")


def test_another_network_from_the_caller_is_refused_by_its_layout(path: Path) -> None:
    assert caught(path, "risk", model="cnn") == ("risk", "network")
