"""Forged draws: each must be refused by name, first of all a mean chosen after the noise is known."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy

from pacbound.certificate import Certificate
from pacbound.certificate.draw import Drawn, draw, freeze, noise
from pacbound.methods.table import certify
from pacbound.request.request import Request
from pacbound.specs.specs import DrawSpec
from tests.forge import Document, caught, forge
from tests.tiny import clouds, network, quick

pytestmark = pytest.mark.usefixtures("brief_posterior")
D_SMALL = 10


@pytest.fixture(scope="module")
def certificate() -> Certificate:
    request = Request(posterior="draw", d=D_SMALL, epochs=10, batch=60, earlier_draws=1)
    return certify(network(), clouds(600), request=request, progress=False)


@pytest.fixture
def folder(certificate: Certificate, tmp_path: Path) -> Path:
    certificate.save(tmp_path / "honest.json")
    return tmp_path


def spec_of(certificate: Certificate) -> DrawSpec:
    assert isinstance(certificate.hypothesis.quantizer, DrawSpec)
    return certificate.hypothesis.quantizer


def refused(path: Path) -> tuple[str, str] | None:
    return caught(path, "risk", data=clouds(600), model=network())


def name_file(raw: bytes) -> dict[str, Any]:
    return {"sha256": hashlib.sha256(raw).hexdigest(), "size": len(raw)}


def set_bits(document: Document, item: str, bits: int) -> None:
    next(entry for entry in document["ledger"] if entry["item"] == item)["bits"] = bits


def test_the_honest_draw_stands_at_every_level_and_says_what_it_rests_on(
    certificate: Certificate, folder: Path
) -> None:
    assert refused(folder / "honest.json") is None
    assert certificate.stated_bound.theorem == "single_draw"
    assert certificate.bound.value < 0.6  # a guess errs on 0.67
    assert any("the draw is honest, says the user" in sentence for sentence in certificate.declarations)
    assert "and of the network" in certificate.statement
    bits = {entry.item: (entry.kind, entry.bits) for entry in certificate.entries}
    assert bits["draws"] == ("choice", 3)  # the second look: log2(2 * 3)
    assert bits["log density ratio"][0] == "derived"


def shifted(certificate: Certificate) -> tuple[bytes, Drawn]:
    """A file whose mean makes the wanted h come out of the OLD noise, and what it gives with its own."""
    spec, raw = spec_of(certificate), certificate.beside()
    tensors = safetensors.numpy.load(raw)
    factor = np.zeros((D_SMALL, D_SMALL), np.float32)
    factor[np.tril_indices(D_SMALL)] = tensors["factor"]
    wanted = tensors["mean"]  # the centre of the posterior errs least
    mean = (wanted - factor @ noise(raw, spec.index, D_SMALL)).astype(np.float32)
    forged = freeze(mean, factor, spec.scale_index)
    own = draw(forged, spec.model_copy(update=name_file(forged)), D_SMALL)
    assert not np.allclose(own.coefficients, wanted, atol=1e-3)
    return forged, own


def test_a_mean_shifted_by_known_noise_gets_other_noise(certificate: Certificate, folder: Path) -> None:
    """mu' = h* - L z: the file differs, so does its hash, and with it z."""
    forged, own = shifted(certificate)
    files = name_file(forged)
    (folder / f"{files['sha256'][:16]}.safetensors").write_bytes(forged)

    def edit(document: Document) -> None:
        document["hypothesis"]["quantizer"].update(files)
        document["risk"]["errors"] = 0

    assert refused(forge(certificate, edit, folder / "ratio.json", consistent=True)) == ("message", "ledger")

    def edit_with_its_ratio(document: Document) -> None:
        edit(document)
        set_bits(document, "log density ratio", own.bits)

    path = forge(certificate, edit_with_its_ratio, folder / "errors.json", consistent=True)
    assert refused(path) == ("risk", "errors")


def test_the_old_hash_does_not_lead_to_the_shifted_file(certificate: Certificate, folder: Path) -> None:
    (folder / spec_of(certificate).file).write_bytes(shifted(certificate)[0])
    assert refused(folder / "honest.json") == ("message", "draw")


def _index(index: int, bits: int) -> Callable[[Document], None]:
    def edit(document: Document) -> None:
        document["hypothesis"]["quantizer"]["index"] = index
        set_bits(document, "draws", bits)

    return edit


def _drop(item: str) -> Callable[[Document], None]:
    def edit(document: Document) -> None:
        document["ledger"] = [entry for entry in document["ledger"] if entry["item"] != item]

    return edit


def _lower(item: str) -> Callable[[Document], None]:
    def edit(document: Document) -> None:
        set_bits(document, item, next(e["bits"] for e in document["ledger"] if e["item"] == item) - 1)

    return edit


@pytest.mark.parametrize(
    ("edit", "level", "check"),
    [
        (_index(1, 1), "message", "ledger"),  # an earlier number is another network
        (_index(3, 4), "message", "ledger"),
        (_lower("log density ratio"), "message", "ledger"),
        (_lower("draws"), "message", "ledger"),
        (_drop("draws"), "message", "ledger"),
        (_drop("sampling"), "message", "ledger"),
        (_drop("log density ratio"), "arithmetic", "sums"),
        (lambda d: d["hypothesis"]["quantizer"].update(scale_index=1), "message", "hypothesis"),
        (lambda d: d["hypothesis"]["quantizer"].update(size=7), "message", "draw"),
        (lambda d: d["bound"].update(theorem="occam_kl"), "arithmetic", "theorem"),
        (lambda d: d["bound"].update(theorem="occam_binomial"), "arithmetic", "theorem"),
        (lambda d: d["risk"].update(errors=0), "risk", "errors"),
    ],
)
def test_every_edit_is_refused_by_name(
    certificate: Certificate, folder: Path, edit: Callable[[Document], None], level: str, check: str
) -> None:
    assert refused(forge(certificate, edit, folder / "forged.json", consistent=True)) == (level, check)


def test_the_file_is_a_regular_file_of_its_own_beside_the_certificate(certificate: Certificate, folder: Path) -> None:
    file = folder / spec_of(certificate).file
    file.rename(folder / "elsewhere")
    assert refused(folder / "honest.json") == ("message", "draw")
    file.symlink_to(folder / "elsewhere")
    assert refused(folder / "honest.json") == ("message", "draw")


def test_a_decoded_network_has_no_single_draw(folder: Path) -> None:
    point = certify(network(), clouds(), request=quick(d=D_SMALL), progress=False)
    path = forge(point, lambda d: d["bound"].update(theorem="single_draw"), folder / "point.json", consistent=True)
    assert refused(path) == ("arithmetic", "theorem")


def test_the_message_level_draws_again_without_torch(folder: Path) -> None:
    import subprocess
    import sys

    program = (
        "import sys; from pacbound.verification.verification import verify\n"
        f"result = verify({str(folder / 'honest.json')!r}, level='message')\n"
        "print(result.stands, 'draw' in result.passed, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "True", "False"]
