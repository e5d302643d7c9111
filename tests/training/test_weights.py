"""Every weight on a lattice of its tensor: it learns, and what it offers is what a receiver decodes."""

import numpy as np
import pytest
import torch

import pacbound as pb
from pacbound.bits.message import pack
from pacbound.errors import ModelError
from pacbound.networks.hypothesis import Hypothesis, make_base, make_subspace
from pacbound.networks.risk import evaluate
from pacbound.specs.specs import BaseOrigin, HypothesisSpec, TensorLattice, TensorsSpec, every_weight
from pacbound.subspace.subspace import layer_scale
from pacbound.training import weights
from pacbound.training.fit import Sample
from pacbound.training.refine import evaluate_point
from pacbound.training.settings import PosteriorSettings
from pacbound.training.state import Checkpoint
from pacbound.training.weights import WeightsPlan, encode_weights, prices_of
from tests.tiny import clouds, examples, network

LATTICES = (
    TensorLattice(size=48, step_index=20, ratio_index=60), TensorLattice(size=8),
    TensorLattice(size=24, step_index=30, ratio_index=60), TensorLattice(size=3, step_index=30, ratio_index=60),
)  # fmt: skip


def spec_of(lattices: tuple[TensorLattice, ...], origin: BaseOrigin, digest: str) -> HypothesisSpec:
    quantizer = TensorsSpec(lattices=lattices)
    return HypothesisSpec(
        model="user", layout_digest=digest, base=origin, projector=every_weight(quantizer.parameters),
        quantizer=quantizer,
    )  # fmt: skip


@pytest.fixture
def few_moves(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refinement tries little."""
    monkeypatch.setattr(weights, "SETTINGS", PosteriorSettings(refine_rounds=1, refine_trials=4))


@pytest.mark.usefixtures("few_moves")
def test_it_learns_the_clouds_and_refinement_makes_no_bound_larger() -> None:
    base = make_base(network(), 0)
    subspace = make_subspace(base, every_weight(base.layout.D), True)
    sample = Sample(*clouds(300))
    plan = WeightsPlan(steps=80, batch=50, rate=0.1, beta=1.0, seed=0)
    refined, first = encode_weights(subspace, sample, plan, Checkpoint(None, ""), False).candidates
    points = [evaluate_point(subspace, sample, c.symbols - 20, prices_of(c.quantizer), 0) for c in (refined, first)]
    assert points[0].bound <= points[1].bound
    assert all(point.errors < 60 for point in points)  # of 300, and two thirds by guessing
    spec = spec_of(refined.quantizer.lattices, base.origin, base.layout.digest)
    message, ledger = pack(spec, refined.symbols)
    decoded = Hypothesis.unpack(message.payload, spec, base)
    assert evaluate(decoded, examples(300), "zero_one", False).errors == points[0].errors
    symbols = {entry.item: entry.bits for entry in ledger.entries}["symbols"]
    assert symbols - 1 <= points[0].nats / np.log(2) <= symbols


def test_each_decoded_weight_is_theta0_and_its_symbol_times_step_and_layer_scale() -> None:
    base = make_base(network(), 3)
    symbols = np.random.default_rng(1).integers(18, 23, 83).astype(np.int32)
    symbols[48:56] = 20
    spec = spec_of(LATTICES, base.origin, base.layout.digest)
    decoded = Hypothesis.unpack(pack(spec, symbols)[0].payload, spec, base)
    steps = torch.cat([torch.full((48,), 2.0**-2.5), torch.zeros(8), torch.full((27,), 2.0**-3.75)])
    expected = base.theta0 + layer_scale(base.layout) * steps * torch.from_numpy(symbols - 20).float()
    assert torch.allclose(base.layout.flatten(decoded.network()), expected, rtol=1e-6, atol=1e-7)


def test_lattices_of_other_tensors_of_the_same_total_are_refused() -> None:
    base = make_base(network(), 0)
    moved = (TensorLattice(size=47), TensorLattice(size=9), *LATTICES[2:])
    spec = spec_of(moved, base.origin, base.layout.digest)
    payload = pack(spec, np.full(83, 20, np.int32))[0].payload
    with pytest.raises(ModelError, match="of the network's tensors"):
        Hypothesis.unpack(payload, spec, base)


@pytest.mark.usefixtures("few_moves")
def test_a_certificate_of_every_weight_stands_at_every_level_and_a_cheaper_one_does_not(tmp_path) -> None:
    request = pb.Request(encoder="weights", epochs=10, batch=60, rate=0.1, beta=1.0)
    made = pb.certify(network(), clouds(180), request=request, progress=False)
    assert made.hypothesis.quantizer.kind == "tensors"
    made.save(tmp_path / "c.json")
    for level in ("arithmetic", "message", "risk"):
        given = {"data": clouds(180), "model": network()} if level == "risk" else {}
        assert pb.verify(tmp_path / "c.json", level=level, **given).stands
    lattices = made.hypothesis.quantizer.lattices
    first = next(k for k, lattice in enumerate(lattices) if lattice.step_index is not None)
    step = lattices[first].step_index
    changed = (*lattices[:first], lattices[first].model_copy(update={"step_index": step - 1}), *lattices[first + 1 :])
    quantizer = made.hypothesis.quantizer.model_copy(update={"lattices": changed})
    forged = made.model_copy(update={"hypothesis": made.hypothesis.model_copy(update={"quantizer": quantizer})})
    assert not pb.verify(forged, level="message").stands
