"""The plain encoders: what they offer is on the lattice or in the book, and is learned."""

import functools

import numpy as np
import pytest
import torch

from pacbound.bits.codes import code_bits
from pacbound.networks.hypothesis import make_base, make_subspace
from pacbound.quantize import dequantize
from pacbound.specs.specs import CodebookSpec, LatticeSpec, ProjectorSpec
from pacbound.subspace.subspace import Subspace
from pacbound.training.fit import Sample
from pacbound.training.plain import Candidate, PlainPlan, default_epochs, encode_plain, seconds_an_epoch
from pacbound.training.state import Checkpoint
from tests.tiny import clouds, network


def space() -> Subspace:
    return make_subspace(make_base(network(), None), ProjectorSpec(kind="fastfood", D=83, d=16), True)


def plan(**changes: object) -> PlainPlan:
    fields: dict[str, object] = {
        "kind": "lattice", "epochs": (3, 1, 1), "batch": 20, "rate": 0.1, "beta": 1.0, "step_index": 32,
        "levels": 5, "init": "kmeans", "codes": ("gaussian", "adaptive"), "seed": 0,
    }  # fmt: skip
    return PlainPlan(**{**fields, **changes})  # type: ignore[arg-type]


def errors_of(candidate: Candidate) -> int:
    x, y = clouds(120)
    w = dequantize(candidate.symbols, candidate.code.levels, candidate.quantizer)
    return int((space().call(torch.from_numpy(w), x).argmax(1) != y).sum())


def encode(chosen: PlainPlan) -> list[Candidate]:
    encoded = encode_plain(space(), Sample(*clouds(120)), chosen, Checkpoint(None, ""), False)
    assert encoded.epochs == sum(chosen.epochs)
    return encoded.candidates


@functools.cache
def of_the_plan() -> list[Candidate]:
    return encode(plan())


def test_the_lattice_encoder_offers_a_message_after_each_phase_and_it_has_learned() -> None:
    candidates = of_the_plan()
    assert len(candidates) == 3
    for candidate in candidates:
        assert candidate.quantizer == LatticeSpec(step_index=32)
        assert candidate.symbols.shape == (16,)
        assert candidate.code.levels == 2 * int(np.abs(candidate.symbols - candidate.code.levels // 2).max()) + 1
        assert candidate.code.kind in ("gaussian", "adaptive")
    x, y = clouds(120)
    untrained = int((space().call(torch.zeros(16), x).argmax(1) != y).sum())
    assert errors_of(candidates[-1]) < 0.5 * untrained


def test_the_codebook_encoder_offers_one_message_with_at_most_so_many_centroids() -> None:
    (candidate,) = encode(plan(kind="codebook", epochs=(3, 2), codes=("static",)))
    assert isinstance(candidate.quantizer, CodebookSpec)
    assert 2 <= len(candidate.quantizer.centroids) <= 5
    assert candidate.code.levels == len(candidate.quantizer.centroids)
    assert candidate.code.counts == tuple(np.bincount(candidate.symbols))
    x, y = clouds(120)
    untrained = int((space().call(torch.zeros(16), x).argmax(1) != y).sum())
    assert errors_of(candidate) < 0.5 * untrained


def test_a_dear_bit_makes_shorter_messages() -> None:
    cheap, dear = encode(plan(beta=0.0))[-1], encode(plan(beta=30.0))[-1]
    assert code_bits(dear.symbols, dear.code) < code_bits(cheap.symbols, cheap.code)


def test_equal_plans_give_equal_messages() -> None:
    one, other = of_the_plan(), encode(plan())
    assert [c.symbols.tolist() for c in one] == [c.symbols.tolist() for c in other]
    assert [c.code for c in one] == [c.code for c in other]
    assert any(a.symbols.tolist() != b.symbols.tolist() for a, b in zip(one, encode(plan(seed=1)), strict=True))


@pytest.mark.parametrize(
    ("arguments", "epochs"),
    [
        (("lattice", 60_000, 250, None), (10, 5, 8)),
        (("lattice", 60_000, 500, None), (20, 10, 16)),
        (("codebook", 60_000, 250, None), (15, 8)),
        (("lattice", 1437, 71, None), (120, 60, 96)),
        (("lattice", 60_000, 250, 46), (20, 10, 16)),
        (("codebook", 60_000, 250, 46), (30, 16)),
        (("lattice", 10, 250, 1), (1, 1, 1)),
    ],
)
def test_epochs_keep_the_shares_of_the_phases(
    arguments: tuple[str, int, int, int | None], epochs: tuple[int, ...]
) -> None:
    assert default_epochs(*arguments) == epochs  # type: ignore[arg-type]


def test_an_epoch_takes_as_many_times_a_step_as_it_has_steps() -> None:
    data = Sample(*clouds(120))
    one_step, many = seconds_an_epoch(space(), data, 120), seconds_an_epoch(space(), data, 1)
    assert 0 < one_step < 5
    assert many > 5 * one_step  # 120 steps of one example
