"""Forged splits: another permutation, another cut, other examples, another theta0. Each is refused by name.

What none of these can catch is a theta0 that saw the rest: that stands on the user's word, and the certificate says so.
"""

import base64
import hashlib
from pathlib import Path

import pytest

from pacbound.bits.coder import Symbols
from pacbound.bits.message import pack, unpack
from pacbound.certificate import Certificate
from pacbound.certificate.accounting import complete
from pacbound.methods.table import certify
from pacbound.networks.frozen import freeze_network
from pacbound.specs.specs import BaseOrigin, HypothesisSpec
from tests.forge import Document, Edit, caught, forge
from tests.tiny import clouds, network, quick

N = 320


@pytest.fixture(scope="module")
def certificate() -> Certificate:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pacbound.training.start.EPOCHS", 2)
        return certify(network(), clouds(N), request=quick(d=8, epochs=1, batch=60, prior_share=0.5), progress=False)


@pytest.fixture
def folder(certificate: Certificate, tmp_path: Path) -> Path:
    certificate.save(tmp_path / "honest.json")
    return tmp_path


def refused(path: Path) -> tuple[str, str] | None:
    return caught(path, "risk", data=clouds(N), model=network())


def sent_anew(certificate: Certificate, document: Document, **changed: object) -> None:
    """Write another split into the message, too, with every bit of it paid."""
    spec = certificate.hypothesis
    assert spec.base.split is not None
    split = {**spec.base.split.model_dump(), **changed}
    base = BaseOrigin.model_validate({**spec.base.model_dump(), "split": split})
    forged = HypothesisSpec.model_validate({**spec.model_dump(), "base": base.model_dump()})
    symbols: Symbols = unpack(certificate.payload(), spec)[1]
    message, coded = pack(forged, symbols)
    document["hypothesis"] = forged.model_dump(mode="json")
    document["message"] = {"bits": message.bits, "payload": base64.b64encode(message.payload).decode()}
    ledger = complete(coded, forged, certificate.data.name, certificate.data.digest)
    document["ledger"] = [entry.model_dump(mode="json") for entry in ledger.entries]


def test_the_honest_split_stands_at_every_level(folder: Path) -> None:
    assert refused(folder / "honest.json") is None


def put(**changed: object) -> Edit:
    return lambda document: document["hypothesis"]["base"]["split"].update(changed)


def as_values(document: Document) -> None:
    del document["hypothesis"]["base"]["split"]
    document["hypothesis"]["base"]["kind"] = "values"


def without_section(document: Document) -> None:
    del document["hypothesis"]["base"]["split"]


def with_null(document: Document) -> None:
    document["hypothesis"]["base"].update(split=None, kind="values")


def without_word(document: Document) -> None:
    document["ledger"] = [entry for entry in document["ledger"] if entry["item"] != "theta0"]


def fewer_errors(document: Document) -> None:
    document["risk"]["errors"] -= 1
    document["also"] = []


@pytest.mark.parametrize(
    ("edit", "level", "check"),
    [
        pytest.param(put(seed=1), "message", "hypothesis", id="another permutation than was sent"),
        pytest.param(put(parts=16), "arithmetic", "sample", id="another cut, n as it was"),
        pytest.param(put(whole=N + 4), "arithmetic", "sample", id="more examples than there are"),
        pytest.param(put(digest="b" * 64), "risk", "data", id="another whole sample"),
        pytest.param(put(size=10), "risk", "network", id="another size of theta0"),
        pytest.param(as_values, "message", "decode", id="theta0 passed off as values handed over"),
        pytest.param(without_word, "message", "ledger", id="nobody's word for theta0"),
        pytest.param(fewer_errors, "risk", "errors", id="fewer errors on the rest"),
    ],
)
def test_each_forgery_is_caught_first_at_its_level(
    certificate: Certificate, folder: Path, edit: Edit, level: str, check: str
) -> None:
    assert certificate.risk.errors > 0
    assert refused(forge(certificate, edit, folder / "forged.json", consistent=True)) == (level, check)


@pytest.mark.parametrize("edit", [put(parts=0), put(whole=1), without_section, with_null])
def test_a_malformed_split_is_caught_by_the_schema(certificate: Certificate, folder: Path, edit: Edit) -> None:
    assert refused(forge(certificate, edit, folder / "forged.json")) == ("arithmetic", "schema")


def test_a_sentence_without_the_split_is_caught(certificate: Certificate, folder: Path) -> None:
    def edit(document: Document) -> None:
        document["statement"] = document["statement"].replace(", apart from 160 others that theta0 was trained on", "")

    assert refused(forge(certificate, edit, folder / "forged.json")) == ("arithmetic", "statement")


def test_another_permutation_sent_and_paid_is_caught_by_the_examples(certificate: Certificate, folder: Path) -> None:
    """The rest of another permutation holds examples that theta0 saw; its digest is another."""

    def edit(document: Document) -> None:
        sent_anew(certificate, document, seed=1)
        document["also"] = []

    assert refused(forge(certificate, edit, folder / "shifted.json", consistent=True)) == ("risk", "split")


def test_a_shifted_cut_with_its_own_n_is_caught_by_the_examples(certificate: Certificate, folder: Path) -> None:
    def edit(document: Document) -> None:
        sent_anew(certificate, document, parts=16)
        document["data"]["n"] = document["data"]["distinct"] = document["risk"]["n"] = 240
        document["also"] = []

    assert refused(forge(certificate, edit, folder / "cut.json", consistent=True)) == ("risk", "split")


def test_another_theta0_beside_the_certificate_is_caught_by_its_digest(certificate: Certificate, folder: Path) -> None:
    (folder / certificate.hypothesis.base.file).write_bytes(freeze_network(network(seed=8)))
    assert refused(folder / "honest.json") == ("risk", "network")


def test_another_theta0_under_its_own_digest_is_caught_by_its_errors(certificate: Certificate, folder: Path) -> None:
    raw = freeze_network(network(seed=8))
    sha256 = hashlib.sha256(raw).hexdigest()
    (folder / f"{sha256[:16]}.safetensors").write_bytes(raw)

    def edit(document: Document) -> None:
        document["hypothesis"]["base"]["sha256"] = sha256
        document["hypothesis"]["base"]["split"]["size"] = len(raw)

    assert refused(forge(certificate, edit, folder / "other.json")) == ("risk", "errors")
