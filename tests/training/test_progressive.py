"""The whole encoder on a problem of a second: messages decode, killed runs resume, every part can be switched off."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from pacbound.bits.message import pack
from pacbound.bits.profile import profile_steps, profile_tables
from pacbound.errors import PacboundError, SubspaceError
from pacbound.hypothesis import Base, Hypothesis, make_base, make_subspace
from pacbound.risk import zero_one
from pacbound.specs import PROFILE_CODE, HypothesisSpec, ProjectorSpec
from pacbound.subspace.subspace import Subspace
from pacbound.training.fit import Sample
from pacbound.training.progressive import (
    Candidate,
    PosteriorSettings,
    block_edges,
    encode_posterior,
)
from pacbound.training.refine import Point, evaluate_point, refine
from pacbound.training.state import Checkpoint
from tests.tiny import clouds, network

D_SMALL = 12
QUICK = PosteriorSettings(
    batch=30, warm_steps=40, smooth_steps=120, bounded_steps=60, block_steps=5, fisher_examples=200, blocks=3,
    beam=16, refine_rounds=2, refine_trials=6,
)  # fmt: skip


def _problem() -> tuple[Base, Subspace, Sample]:
    base = make_base(network(), 0)
    subspace = make_subspace(base, ProjectorSpec(kind="dense", D=base.layout.D, d=D_SMALL), True)
    return base, subspace, Sample(*clouds(200))


def _encode(settings: PosteriorSettings = QUICK, checkpoint: Checkpoint | None = None) -> list[Candidate]:
    _, subspace, sample = _problem()
    return encode_posterior(subspace, sample, settings, 0, checkpoint or Checkpoint(None, ""), progress=False)


def _errors(subspace: Subspace, sample: Sample, w: Tensor) -> int:
    return int(zero_one(subspace.call(w, sample.x), sample.y).sum())


def test_the_best_message_decodes_to_a_network_with_few_errors() -> None:
    base, subspace, sample = _problem()
    symbols, profile, code = _encode()[0]
    assert symbols.dtype == np.int32
    assert symbols.shape == (D_SMALL,)
    spec = HypothesisSpec(
        model="user", layout_digest=base.layout.digest, base=base.origin, projector=subspace.projector.spec,
        quantizer=profile, code=code,
    )  # fmt: skip
    message, _ = pack(spec, symbols)
    decoded = Hypothesis.unpack(message.payload, spec, base)
    assert code == PROFILE_CODE
    assert int(zero_one(decoded(sample.x), sample.y).sum()) < 0.2 * sample.n
    assert message.bits < 8 * D_SMALL + 60


class _Killed(Exception):
    pass


class _Dying(Checkpoint):
    """Writes as often as it is asked and dies after a number of writes."""

    def __init__(self, path: Path, lives: int) -> None:
        super().__init__(path, "key")
        self.lives = lives

    def save(self, tensors: dict[str, Tensor], force: bool = False) -> None:
        super().save(tensors, force=True)
        self.lives -= 1
        if self.lives == 0:
            raise _Killed


@pytest.mark.parametrize("lives", [1, 2, 3, 5, 6, 8, 9])
def test_a_killed_run_resumes_to_the_same_message(tmp_path: Path, lives: int) -> None:
    whole = _encode()
    with pytest.raises(_Killed):
        _encode(checkpoint=_Dying(tmp_path / "state", lives))
    resumed = _encode(checkpoint=Checkpoint(tmp_path / "state", "key"))
    for (symbols, profile, _), (expected, expected_profile, _) in zip(resumed, whole, strict=True):
        np.testing.assert_array_equal(symbols, expected)
        assert profile == expected_profile


@pytest.mark.parametrize(
    "change",
    [
        {"curvature": False},
        {"refresh": False},
        {"bounded": False},
        {"identity": True},
        {"blocks": 1},
        {"beam": 1},
        {"refine_rounds": 0},
        {"warm_steps": 0},
        {"block_steps": 0},
        {"survivors": 1},
    ],
    ids=lambda change: next(iter(change)),
)
def test_every_part_can_be_switched_off(change: dict[str, object]) -> None:
    candidates = _encode(QUICK.model_copy(update=change))
    assert all(((symbols >= 0) & (symbols <= 40)).all() for symbols, _, _ in candidates)


def test_without_refinement_both_candidates_are_the_beams_best() -> None:
    first, second = _encode(QUICK.model_copy(update={"refine_rounds": 0}))
    np.testing.assert_array_equal(first[0], second[0])


def test_edges_cover_all_coefficients_in_shrinking_blocks() -> None:
    assert block_edges(1024, 1) == [0, 1024]
    assert block_edges(3, 10) == [0, 1, 2, 3]
    edges = block_edges(1024, 10)
    assert edges[0] == 0
    assert edges[-1] == 1024
    assert (np.diff(np.diff(edges)) < 0).all()
    assert len(edges) == 11


def _point(integers: np.ndarray) -> tuple[Subspace, Sample, Point, np.ndarray, np.ndarray]:
    _, subspace, sample = _problem()
    _, profile, _ = _encode()[0]
    steps = profile_steps(profile, D_SMALL)
    nats = -np.log(profile_tables(profile, D_SMALL) / (1 << 24))
    return subspace, sample, evaluate_point(subspace, sample, integers, steps, nats, 40), steps, nats


def test_a_point_counts_errors_and_nats_of_the_decoded_coefficients() -> None:
    integers = np.array([1, -2, 0, 3, 0, 0, 1, 0, -1, 2, 0, 1], np.int32)
    subspace, sample, point, steps, nats = _point(integers)
    w = torch.from_numpy((integers * steps).astype(np.float32))
    assert point.errors == _errors(subspace, sample, w)
    assert point.nats == pytest.approx(sum(nats[i][q + 20] for i, q in enumerate(integers)))
    assert int((point.margins <= 0).sum()) == point.errors


def test_refinement_lowers_the_bound_of_a_spoilt_point_and_never_raises_it() -> None:
    symbols, _, _ = _encode()[0]
    integers = (symbols - 20).astype(np.int32)
    integers[:3] += 2
    subspace, sample, point, steps, nats = _point(integers)
    better = refine(subspace, sample, point, steps, nats, 40, 6, 20, progress=False)
    assert better.bound < point.bound
    w = torch.from_numpy((better.integers * steps).astype(np.float32))
    assert better.errors == _errors(subspace, sample, w)
    same = refine(subspace, sample, better, steps, nats, 40, 0, 20, progress=False)
    np.testing.assert_array_equal(same.integers, better.integers)


def test_a_dimension_without_room_for_its_curvature_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pacbound.subspace.curvature.MAX_DIMENSION", D_SMALL - 1)
    with pytest.raises(SubspaceError, match="switch the curvature off"):
        _encode()
    assert len(_encode(QUICK.model_copy(update={"curvature": False}))) == 2


def test_inputs_that_are_no_numbers_are_refused_and_not_encoded() -> None:
    _, subspace, sample = _problem()
    broken = Sample(sample.x * math.inf, sample.y)
    with pytest.raises(PacboundError, match="Lower the rates"):
        encode_posterior(subspace, broken, QUICK, 0, Checkpoint(None, ""), progress=False)
