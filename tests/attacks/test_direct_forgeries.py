"""What a forger does to a direct code: more saving, other units, damaged messages; each caught at its level."""

import base64
import functools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from pacbound.bits.message import pack
from pacbound.bits.units import coded_arrays, orbit_saving
from pacbound.bounds.table import theorem
from pacbound.certificate import Certificate, DataRecord
from pacbound.certificate.accounting import complete
from pacbound.errors import LedgerError
from pacbound.models.units import unit_groups
from pacbound.networks.hypothesis import Hypothesis, make_zero_base
from pacbound.networks.risk import evaluate
from pacbound.reports.show import render
from pacbound.specs.specs import HypothesisSpec
from pacbound.specs.tensors import DirectSpec, TensorSpec
from tests.direct_cases import count, ternary
from tests.forge import caught, forge
from tests.tiny import examples, network

SAMPLE = examples()


def coded_network(order: bool = True, seed: int = 0) -> tuple[HypothesisSpec, np.ndarray]:
    """The tiny network with random ternary weights, its units in order or not."""
    base = make_zero_base(network())
    slots = base.layout.slots
    tensors = tuple(TensorSpec(name=s.name, shape=s.shape, coding=ternary()) for s in slots)
    spec = DirectSpec(tensors=tensors, groups=unit_groups(base.module, base.layout, SAMPLE.x[:2]))
    symbols = np.random.default_rng(seed).integers(0, 3, count(spec)).astype(np.int32)
    if order:
        coded = coded_arrays(spec, symbols)
        coded.sort()
        symbols = coded.symbols()
    fields: dict[str, Any] = {"layout_digest": base.layout.digest, "base": base.origin, "quantizer": spec}
    return HypothesisSpec.model_validate({"model": "user", "layer_scale": False, **fields}), symbols


def issue(spec: HypothesisSpec, symbols: np.ndarray, saving: int) -> Certificate:
    """A certificate of a direct code with a saving of one's choice."""
    message, coded = pack(spec, symbols)
    base = make_zero_base(network())
    risk = evaluate(Hypothesis.unpack(message.payload, spec, base), SAMPLE, progress=False)
    ledger = complete(coded, spec, SAMPLE.name, SAMPLE.digest(), saving_bits=saving)
    return Certificate.issue(
        bound=theorem("occam_binomial")(risk.errors, risk.n, ledger.bits, 0.05),
        risk=risk,
        ledger=ledger,
        message=message,
        data=DataRecord(
            name=SAMPLE.name, digest=SAMPLE.digest(), n=SAMPLE.n, classes=SAMPLE.classes, distinct=SAMPLE.n
        ),
        hypothesis=spec,
    )


@functools.cache
def honest() -> Certificate:
    spec, symbols = coded_network()
    assert isinstance(spec.quantizer, DirectSpec)
    return issue(spec, symbols, orbit_saving(spec.quantizer, symbols))


def everything(path: Path, model: nn.Module | None = None) -> tuple[str, str] | None:
    return caught(path, "risk", data=SAMPLE, model=model or network(3))


def edited(certificate: Certificate, path: Path, edit: Any, consistent: bool = True) -> Path:
    return forge(certificate, edit, path, consistent=consistent)


def test_the_honest_code_stands_at_every_level_and_without_any_weights(tmp_path: Path) -> None:
    certificate = honest()
    certificate.save(tmp_path / "honest.json")
    shown = render(certificate)
    assert "83 parameters coded directly" in shown
    assert "every one of them stands in the message" in shown
    assert everything(tmp_path / "honest.json") is None
    saving = next(entry for entry in certificate.entries if entry.item == "orbit saving")
    assert (saving.kind, saving.bits) == ("derived", -15)  # floor(log2 8!) = 15: eight units, all different
    assert certificate.ledger.bits == sum(e.bits for e in certificate.entries if e.kind == "counted") - 15


@pytest.mark.parametrize("bits", [-16, -14, 0, 5])
def test_another_saving_is_caught_when_the_message_is_decoded(bits: int, tmp_path: Path) -> None:
    def edit(document: dict[str, Any]) -> None:
        next(e for e in document["ledger"] if e["item"] == "orbit saving")["bits"] = bits

    assert everything(edited(honest(), tmp_path / "c.json", edit)) == ("message", "ledger")


def test_a_second_saving_under_another_name_is_caught_by_arithmetic(tmp_path: Path) -> None:
    def edit(document: dict[str, Any]) -> None:
        document["ledger"].append({"item": "gauge saving", "bits": -9, "kind": "derived", "why": "signs"})

    assert everything(edited(honest(), tmp_path / "c.json", edit)) == ("arithmetic", "sums")


def test_a_saving_without_a_direct_code_is_refused() -> None:
    spec, symbols = coded_network()
    _, coded = pack(spec, symbols)
    with pytest.raises(LedgerError, match="orbit saving"):
        complete(coded, spec, "clouds", "")
    with pytest.raises(LedgerError, match="orbit saving"):
        complete(coded, spec.model_copy(update={"quantizer": None}), "clouds", "", saving_bits=3)
    with pytest.raises(LedgerError, match=">= 0"):
        complete(coded, spec, "clouds", "", saving_bits=-3)


def test_units_out_of_order_are_caught_since_every_order_would_claim_the_same_mass(tmp_path: Path) -> None:
    spec, symbols = coded_network(order=False)
    issue(spec, symbols, 15).save(tmp_path / "c.json")
    assert everything(tmp_path / "c.json") == ("message", "order")


def test_groups_that_the_network_does_not_have_are_caught_when_it_is_rebuilt(tmp_path: Path) -> None:
    """The inputs declared interchangeable: the message fits, the function does not."""
    spec, _ = coded_network()
    assert isinstance(spec.quantizer, DirectSpec)
    hidden = spec.quantizer.groups[0]
    inputs = hidden.model_copy(
        update={"axes": (hidden.axes[0].model_copy(update={"axis": 1, "runs": ((0, 6),)}),), "kept": 6}
    )
    forged = spec.quantizer.model_copy(update={"groups": (hidden, inputs)})
    symbols = np.random.default_rng(0).integers(0, 3, count(forged)).astype(np.int32)
    coded = coded_arrays(forged, symbols)
    coded.sort()
    symbols = coded.symbols()
    issue(spec.model_copy(update={"quantizer": forged}), symbols, orbit_saving(forged, symbols)).save(
        tmp_path / "c.json"
    )
    assert everything(tmp_path / "c.json") == ("risk", "units")


def test_other_shapes_than_the_networks_are_caught(tmp_path: Path) -> None:
    certificate = honest()
    certificate.save(tmp_path / "c.json")
    wider = nn.Sequential(nn.Linear(6, 9), nn.ReLU(), nn.Linear(9, 3))
    assert everything(tmp_path / "c.json", wider) == ("risk", "units")


def test_kept_units_and_codings_are_those_of_the_message(tmp_path: Path) -> None:
    def fewer(document: dict[str, Any]) -> None:
        document["hypothesis"]["quantizer"]["groups"][0]["kept"] = 4

    def coarser(document: dict[str, Any]) -> None:
        document["hypothesis"]["quantizer"]["tensors"][0]["coding"]["step_index"] = 100

    for edit in (fewer, coarser):
        assert everything(edited(honest(), tmp_path / "c.json", edit)) == ("message", "hypothesis")


def test_another_shape_does_not_decode(tmp_path: Path) -> None:
    def narrower(document: dict[str, Any]) -> None:
        document["hypothesis"]["quantizer"]["tensors"][0]["shape"] = [8, 5]

    level, check = everything(edited(honest(), tmp_path / "c.json", narrower)) or ("", "")
    assert level == "message"
    assert check in ("decode", "hypothesis", "order", "ledger")


def test_a_truncated_layer_does_not_decode(tmp_path: Path) -> None:
    def truncated(document: dict[str, Any]) -> None:
        raw = base64.b64decode(document["message"]["payload"])
        document["message"]["payload"] = base64.b64encode(raw[:-8]).decode()

    assert everything(edited(honest(), tmp_path / "c.json", truncated)) == ("message", "decode")


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("tensors", 0, "shape"), [1 << 27, 1]),
        (("tensors", 0, "shape"), [0, 6]),
        (("tensors", 0, "coding", "step_index"), 1 << 62),
        (("tensors", 0, "coding", "table", "levels"), 1 << 62),
        (("groups", 0, "kept"), 9),
        (("groups", 0, "axes", 0, "runs"), [[0, 1 << 62]]),
        (("groups", 0, "axes", 0, "width"), 1 << 40),
        (("groups", 0, "axes", 0, "tensor"), 77),
    ],
)
def test_numbers_beyond_their_range_are_refused_before_anything_is_decoded(
    place: tuple[str | int, ...], value: object, tmp_path: Path
) -> None:
    def edit(document: dict[str, Any]) -> None:
        here: Any = document["hypothesis"]["quantizer"]
        for step in place[:-1]:
            here = here[step]
        here[place[-1]] = value

    assert everything(edited(honest(), tmp_path / "c.json", edit)) == ("arithmetic", "schema")


def test_a_base_of_numbers_beside_a_direct_code_is_refused(tmp_path: Path) -> None:
    def seeded(document: dict[str, Any]) -> None:
        document["hypothesis"]["base"]["kind"] = "seeded"

    assert everything(edited(honest(), tmp_path / "c.json", seeded)) == ("arithmetic", "schema")


def test_the_decoded_network_is_the_message_alone() -> None:
    """Rebuilt by hand from the symbols, on top of a module with other weights."""
    spec, symbols = coded_network()
    message, _ = pack(spec, symbols)
    hypothesis = Hypothesis.unpack(message.payload, spec, make_zero_base(network(11)))
    values = torch.from_numpy(symbols.astype(np.float32) - 1)
    first, shift, last, end = values.split([48, 8, 24, 3])
    x = SAMPLE.x[:7]
    expected = (x @ first.view(8, 6).T + shift).relu() @ last.view(3, 8).T + end
    assert torch.allclose(hypothesis(x), expected, atol=1e-5)
