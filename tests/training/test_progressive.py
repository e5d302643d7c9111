"""The whole encoder on a problem of a second: messages decode, killed runs resume, every part can be switched off."""

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from pacbound.bits.message import pack
from pacbound.bits.profile import profile_steps, profile_tables
from pacbound.errors import PacboundError, QuantizeError, SubspaceError
from pacbound.hypothesis import Base, Hypothesis, make_base, make_subspace
from pacbound.risk import zero_one
from pacbound.specs import PROFILE_CODE, HypothesisSpec, ProjectorSpec
from pacbound.subspace.subspace import Subspace
from pacbound.training.fit import Sample
from pacbound.training.progressive import (
    Candidate,
    Deadline,
    PosteriorSettings,
    _Run,
    block_edges,
    encode_posterior,
    train_posterior,
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


def test_a_dimension_without_room_for_its_precision_is_refused_before_training(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pacbound.training.progressive.MAX_DIMENSION", D_SMALL - 1)
    monkeypatch.setattr("pacbound.training.progressive._Run._train", None)
    with pytest.raises(QuantizeError, match=r"d up to 11, got d = 12\. Choose a smaller d, or --encoder plain"):
        _encode()


def test_beyond_the_dense_the_curvature_is_of_low_rank(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pacbound.training.progressive.DENSE_DIMENSION", D_SMALL - 1)
    monkeypatch.setattr("pacbound.subspace.curvature.DENSE_DIMENSION", D_SMALL - 1)
    subspace, sample, point, _, _ = _point(_encode()[0][0] - 20)
    assert subspace.d == D_SMALL
    assert point.errors < 0.2 * sample.n


def test_what_is_left_after_the_first_block_can_be_diagonalised() -> None:
    edges = block_edges(8192, 10)
    assert (edges[0], edges[-1]) == (0, 8192)
    assert all(8192 - edge <= 4096 for edge in edges[1:])
    assert len(edges) > 5


def _failing(monkeypatch: pytest.MonkeyPatch, name: str, fails: Callable[[_Run, int], bool]) -> list[int]:
    """Let a method of the run raise at the calls for which `fails` says so; returns the count of calls."""
    method, calls = getattr(_Run, name), [0]

    def now_and_then(self: _Run, *arguments: object, **named: object) -> object:
        calls[0] += 1
        if fails(self, calls[0]):
            raise SubspaceError("fisher: broken for the test.")
        return method(self, *arguments, **named)

    monkeypatch.setattr(_Run, name, now_and_then)
    return calls


@pytest.mark.parametrize(
    ("name", "fails"),
    [
        ("_with_curvature", lambda run, call: call == 1),  # after the warm stage
        ("_with_curvature", lambda run, call: call == 2),  # after the smooth one
        ("_with_block", lambda run, call: call == 2),  # with a third of the coefficients fixed
        ("_round", lambda run, call: len(run.edges) > 2),  # no block at all
        ("_round", lambda run, call: run.settings.kap < 6),  # nothing but the widest steps
    ],
)
def test_where_a_later_part_fails_the_last_good_posterior_becomes_the_message(
    name: str, fails: Callable[[_Run, int], bool], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    _failing(monkeypatch, name, fails)
    symbols, profile, _ = _encode()[0]
    assert "broken for the test. Going on with what was trained before." in caplog.text
    monkeypatch.undo()
    _, subspace, sample = _problem()
    w = torch.from_numpy(((symbols - 20) * profile_steps(profile, D_SMALL)).astype(np.float32))
    assert _errors(subspace, sample, w) < 0.2 * sample.n


def test_where_nothing_can_be_rounded_the_cause_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    _failing(monkeypatch, "_round", lambda run, call: True)
    with pytest.raises(SubspaceError, match="broken for the test"):
        _encode()


def test_when_the_time_is_over_training_stops_and_what_there_is_is_rounded(caplog: pytest.LogCaptureFixture) -> None:
    _, subspace, sample = _problem()
    long = QUICK.model_copy(update={"warm_steps": 10**6})
    over = Deadline(training=0.0, refinement=0.0)
    checkpoint = Checkpoint(None, "")
    symbols, profile, _ = encode_posterior(subspace, sample, long, 0, checkpoint, progress=False, until=over)[0]
    assert "the budget ended in warm, step 102 of 1000000" in caplog.text
    w = torch.from_numpy(((symbols - 20) * profile_steps(profile, D_SMALL)).astype(np.float32))
    assert _errors(subspace, sample, w) < 0.5 * sample.n
    assert train_posterior(subspace, sample, long, 0, checkpoint, progress=False, until=over).mean.shape == (D_SMALL,)


def test_inputs_that_are_no_numbers_are_refused_and_not_encoded() -> None:
    _, subspace, sample = _problem()
    broken = Sample(sample.x * math.inf, sample.y)
    with pytest.raises(PacboundError, match="Lower the rates"):
        encode_posterior(subspace, broken, QUICK, 0, Checkpoint(None, ""), progress=False)
