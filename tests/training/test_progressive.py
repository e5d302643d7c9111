"""The whole encoder on a problem of a second: messages decode, killed runs resume, every part can be switched off."""

import importlib
import math
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from pacbound.bits.coder import Symbols
from pacbound.bits.message import pack
from pacbound.bits.profile import profile_tables
from pacbound.bits.trellis import trellis_tables
from pacbound.errors import PacboundError, QuantizeError, SubspaceError
from pacbound.networks.hypothesis import Base, Hypothesis, make_base, make_subspace
from pacbound.networks.risk import zero_one
from pacbound.quantize import dequantize
from pacbound.specs.specs import PROFILE_CODE, CodeSpec, HypothesisSpec, ProfileSpec, ProjectorSpec, TrellisSpec
from pacbound.subspace.curvature import Rows
from pacbound.subspace.subspace import Subspace
from pacbound.training.fit import Sample
from pacbound.training.plain import Candidate, Encoded
from pacbound.training.progressive import Deadline, Task, _Run, encode_posterior, train_posterior
from pacbound.training.refine import Point, best_point, evaluate_point, refine
from pacbound.training.rounding import Prices, prices_of
from pacbound.training.settings import PosteriorSettings, block_edges, posterior_settings
from pacbound.training.state import Checkpoint
from tests.tiny import clouds, network

D_SMALL = 12
QUICK = PosteriorSettings(
    batch=30, warm_steps=8, smooth_steps=20, bounded_steps=9, block_steps=2, first_scale=0.3, smooth_beta=1,
    fisher_examples=40, blocks=3, beam=16, refine_rounds=2, refine_trials=4,
)  # fmt: skip
SHORT = {"warm_steps": 2, "smooth_steps": 4, "bounded_steps": 6}  # for what does not ask how well they are learned


def _problem() -> tuple[Base, Subspace, Sample]:
    base = make_base(network(), 0)
    subspace = make_subspace(base, ProjectorSpec(kind="dense", D=base.layout.D, d=D_SMALL), True)
    return base, subspace, Sample(*clouds(200))


def _encode(settings: PosteriorSettings = QUICK) -> list[Candidate]:
    return _encoded(settings, Checkpoint(None, "")).candidates


def _encoded(settings: PosteriorSettings, checkpoint: Checkpoint) -> Encoded:
    _, subspace, sample = _problem()
    return encode_posterior(_task(subspace, sample, settings, checkpoint))


def _task(subspace: Subspace, sample: Sample, settings: PosteriorSettings, checkpoint: Checkpoint) -> Task:
    return Task(subspace, sample, settings, 0, checkpoint, progress=False)


class _Copying(Checkpoint):
    """Writes as often as it is asked, and keeps a copy of each: what a run that was killed there would have left."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, "key")
        self.left: list[Path] = []

    def save(self, tensors: dict[str, Tensor], force: bool = False) -> None:
        super().save(tensors, force=True)
        assert self.path is not None
        self.left.append(Path(shutil.copy(self.path, f"{self.path}-{len(self.left) + 1}")))


class _Going(Checkpoint):
    """Goes on from what a killed run left, and leaves it as it is."""

    def save(self, tensors: dict[str, Tensor], force: bool = False) -> None:
        """Write nothing."""


@pytest.fixture(scope="module")
def copying(tmp_path_factory: pytest.TempPathFactory) -> _Copying:
    return _Copying(tmp_path_factory.mktemp("whole") / "state")


@pytest.fixture(scope="module")
def whole(copying: _Copying) -> Encoded:
    """The quick encoder, neither changed nor killed."""
    return _encoded(QUICK, copying)


@pytest.fixture(scope="module")
def trained(whole: Encoded, copying: _Copying) -> _Going:
    """What it left before anything was rounded: each of its seven stages writes as it begins and as it ends."""
    assert len(copying.left) == 2 * 7
    return _Going(copying.left[2 * 5 - 1], "key")


def _first(candidates: list[Candidate]) -> tuple[Symbols, ProfileSpec | TrellisSpec, CodeSpec | None]:
    assert isinstance(candidates[0].quantizer, ProfileSpec | TrellisSpec)
    return candidates[0].symbols, candidates[0].quantizer, candidates[0].code


def _errors(subspace: Subspace, sample: Sample, w: Tensor) -> int:
    return int(zero_one(subspace.call(w, sample.x), sample.y).sum())


def test_the_best_message_decodes_to_a_network_with_few_errors(whole: Encoded) -> None:
    base, subspace, sample = _problem()
    symbols, profile, code = _first(whole.candidates)
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


@pytest.mark.parametrize("lives", [1, 2, 3, 4, 5, 7, 8])
def test_a_killed_run_resumes_to_the_same_message(
    lives: int, whole: Encoded, copying: _Copying, tmp_path: Path
) -> None:
    left = Path(shutil.copy(copying.left[lives - 1], tmp_path))
    resumed = _encoded(QUICK, Checkpoint(left, "key"))
    assert resumed.epochs == whole.epochs == pytest.approx(QUICK.steps * QUICK.batch / 200)
    for one, other in zip(resumed.candidates, whole.candidates, strict=True):
        np.testing.assert_array_equal(one.symbols, other.symbols)
        assert one.quantizer == other.quantizer


@pytest.mark.parametrize(
    "change",
    [
        {"curvature": False},
        {"refreshes": 0},
        {"bounded": False},
        {"identity": True},
        {"trellis": False},
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
    candidates = _encode(QUICK.model_copy(update=SHORT | change))
    assert candidates
    assert all(((one.symbols >= 0) & (one.symbols <= 40)).all() for one in candidates)


@pytest.mark.parametrize("refreshes", [0, 1, 3])
def test_each_part_of_the_bounded_stage_begins_with_the_fisher_of_softer_predictions(
    refreshes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of logits as they are, before the smooth stage, and one for each part, at a temperature of its own."""
    measured: list[tuple[int, float]] = []
    progressive = importlib.import_module("pacbound.training.progressive")
    original, (_, subspace, sample) = progressive.curvature, _problem()

    def watched(rows: Rows, *rest: object, **named: object) -> Tensor:
        measured.append((run.steps, rows.temperature))
        return original(rows, *rest, **named)

    monkeypatch.setattr(progressive, "curvature", watched)
    settings = QUICK.model_copy(update={**SHORT, "blocks": 1, "bounded_steps": 7, "refreshes": refreshes})
    run = _Run(_task(subspace, sample, settings, Checkpoint(None, "")))
    run.trained()
    assert [steps for steps, _ in measured] == [2, 6, 9, 11][: 1 + refreshes]
    assert run.steps == settings.steps == 13
    temperatures = [temperature for _, temperature in measured]
    assert temperatures[0] == 1
    assert 1 not in temperatures[1:]
    assert len(set(temperatures)) == len(temperatures)


@pytest.mark.parametrize(
    ("refreshes", "least", "measured"),
    [(0, 12, [12]), (1, 12, [12, 12]), (2, 12, [12, 12, 12, 5]), (2, 13, [12, 12, 12])],
)
def test_before_each_block_but_the_first_the_fisher_of_what_is_free_is_measured_again(
    refreshes: int, least: int, measured: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of twelve coefficients seven are fixed in the first block of three; the last has no stage after it."""
    seen: list[Rows] = []
    progressive = importlib.import_module("pacbound.training.progressive")
    original, (_, subspace, sample) = progressive.curvature, _problem()

    def watched(rows: Rows, examples: int, *rest: object, **named: object) -> Tensor:
        assert examples == settings.examples_of(rows.d) == min(90, 12 * rows.d)
        seen.append(rows)
        return original(rows, examples, *rest, **named)

    monkeypatch.setattr(progressive, "curvature", watched)
    monkeypatch.setattr("pacbound.training.settings.BLOCKS_DIMENSION", least)
    settings = QUICK.model_copy(update={**SHORT, "blocks": 3, "refreshes": refreshes, "fisher_examples": 90})
    now = _Run(_task(subspace, sample, settings, Checkpoint(None, ""))).trained()
    assert [rows.d for rows in seen] == measured == settings.matrices(12)
    if 5 in measured:
        torch.testing.assert_close(seen[-1].known, now.known()[0][:7])
        assert seen[-1].temperature != 1


@pytest.mark.parametrize(
    ("steps", "parts", "rounds"), [(None, 3, 8), (20_600, 3, 8), (7_750, 3, 6), (6_000, 2, 5), (1_000, 1, 1)]
)
def test_a_shorter_run_has_fewer_rounds_and_fewer_parts_of_a_thousand_steps_or_more(
    steps: int | None, parts: int, rounds: int
) -> None:
    settings = posterior_settings(250, steps)
    assert settings.refine_rounds == rounds
    assert len(settings.bounded_parts) == settings.refreshes == parts
    assert min(settings.bounded_parts) >= 1000 or parts == 1
    assert sum(settings.bounded_parts) == settings.bounded_steps


def test_without_refinement_the_beams_best_is_the_one_candidate_and_with_it_the_last(
    whole: Encoded, trained: _Going
) -> None:
    (alone,) = _encoded(QUICK.model_copy(update={"refine_rounds": 0}), trained).candidates
    np.testing.assert_array_equal(alone.symbols, whole.candidates[-1].symbols)


def test_edges_cover_all_coefficients_in_shrinking_blocks() -> None:
    assert block_edges(1024, 1) == [0, 1024]
    assert block_edges(3, 10) == [0, 1, 2, 3]
    edges = block_edges(1024, 10)
    assert edges[0] == 0
    assert edges[-1] == 1024
    assert (np.diff(np.diff(edges)) < 0).all()
    assert len(edges) == 11


CURVE = {"scale_index": 42, "kap": 44, "c0": 14, "c1": 2, "c2": -1}  # as the encoder fits it to the problem
PROFILES = (ProfileSpec.model_validate(CURVE), TrellisSpec.model_validate(CURVE))


def _point(integers: np.ndarray, profile: ProfileSpec | TrellisSpec) -> tuple[Subspace, Sample, Point, Prices]:
    _, subspace, sample = _problem()
    prices = prices_of(profile, D_SMALL)
    return subspace, sample, evaluate_point(subspace, sample, integers, prices, 40), prices


def _table_of_each(integers: np.ndarray, profile: ProfileSpec | TrellisSpec) -> Iterator[np.ndarray]:
    """The table that each symbol is coded with, the states written out."""
    state = 0
    for i, k in enumerate(integers.tolist()):
        tables = trellis_tables(profile, D_SMALL) if isinstance(profile, TrellisSpec) else None
        yield profile_tables(profile, D_SMALL)[i] if tables is None else tables[0 if state in (0, 1) else 1, i]
        state = {0: (0, 2), 1: (2, 0), 2: (1, 3), 3: (3, 1)}[state][k % 2]


@pytest.mark.parametrize("profile", PROFILES, ids=lambda profile: profile.kind)
def test_a_point_counts_errors_and_nats_of_the_decoded_coefficients(profile: ProfileSpec | TrellisSpec) -> None:
    integers = np.array([1, -2, 0, 3, 0, 0, 1, 0, -1, 2, 0, 1], np.int32)
    subspace, sample, point, _ = _point(integers, profile)
    tables = zip(_table_of_each(integers, profile), integers, strict=True)
    assert point.errors == _errors(subspace, sample, torch.from_numpy(dequantize(integers + 20, 41, profile)))
    assert point.nats == pytest.approx(-sum(math.log(table[q + 20] / (1 << 24)) for table, q in tables))
    assert int((point.margins <= 0).sum()) == point.errors


def _spoilt(trained: _Going, profile: ProfileSpec | TrellisSpec = PROFILES[0]) -> np.ndarray:
    """The integers that the encoder finds, moved away from them."""
    found = _encoded(QUICK.model_copy(update={"trellis": profile is PROFILES[1]}), trained).candidates[0].symbols
    return (found - 20).astype(np.int32) + np.array([2] * 3 + [0] * (D_SMALL - 3), np.int32)


@pytest.mark.parametrize("profile", PROFILES, ids=lambda profile: profile.kind)
def test_refinement_lowers_the_bound_of_a_spoilt_point_and_never_raises_it(
    profile: ProfileSpec | TrellisSpec, trained: _Going
) -> None:
    settings = PosteriorSettings(overhead_bits=40, refine_rounds=2, refine_trials=8)
    subspace, sample, point, prices = _point(_spoilt(trained, profile), profile)
    better = refine(subspace, sample, point, prices, settings, progress=False)
    assert better.bound < point.bound
    assert better.errors == _errors(subspace, sample, torch.from_numpy(dequantize(better.integers + 20, 41, profile)))
    same = refine(subspace, sample, better, prices, settings.model_copy(update={"refine_rounds": 0}), progress=False)
    np.testing.assert_array_equal(same.integers, better.integers)


def test_refinement_that_a_count_of_the_sample_does_not_confirm_is_left(
    trained: _Going, monkeypatch: pytest.MonkeyPatch
) -> None:
    subspace, sample, point, prices = _point(_spoilt(trained), PROFILES[0])
    settings = PosteriorSettings(overhead_bits=40, refine_rounds=2, refine_trials=8)
    refining = importlib.import_module("pacbound.training.refine")
    worse = replace(point, bound=point.bound + 1e-6)
    monkeypatch.setattr(refining, "evaluate_point", lambda *_: worse)
    assert refine(subspace, sample, point, prices, settings, progress=False) is point
    monkeypatch.setattr(refining, "evaluate_point", lambda *_: replace(point, bound=point.bound - 1e-6))
    assert refine(subspace, sample, point, prices, settings, progress=False) is not point


def test_the_best_survivor_is_the_one_whose_errors_near_the_boundary_are_fewest(whole: Encoded) -> None:
    rng = np.random.default_rng(0)
    first = (whole.candidates[0].symbols - 20).astype(np.int32)
    survivors = [first, *(first + (rng.random((6, D_SMALL)) < 0.2).astype(np.int32))]
    subspace, sample, _, prices = _point(first, PROFILES[0])
    best = best_point(subspace, sample, survivors, prices, 40)
    bounds = [evaluate_point(subspace, sample, integers, prices, 40).bound for integers in survivors]
    assert best.bound == min(bounds)  # n is below the number of examples called near
    assert len(set(bounds)) > 1


def test_a_dimension_without_room_for_its_precision_is_refused_before_training(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pacbound.training.progressive.MAX_DIMENSION", D_SMALL - 1)
    monkeypatch.setattr("pacbound.training.progressive._Run._train", None)
    with pytest.raises(QuantizeError, match=r"d up to 11, got d = 12\. Choose a smaller d, or --encoder plain"):
        _encode()


def test_beyond_the_dense_the_curvature_is_of_low_rank(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("training.progressive", "training.settings", "subspace.curvature"):
        monkeypatch.setattr(f"pacbound.{module}.DENSE_DIMENSION", D_SMALL - 1)
    _, subspace, sample = _problem()
    symbols, profile, _ = _first(_encode())
    assert _errors(subspace, sample, torch.from_numpy(dequantize(symbols, 41, profile))) < 0.2 * sample.n


def test_what_is_left_after_the_first_block_can_be_diagonalised() -> None:
    edges = block_edges(8192, 10)
    assert (edges[0], edges[-1]) == (0, 8192)
    assert all(8192 - edge <= 4096 for edge in edges[1:])
    assert len(edges) > 5


def _failing(monkeypatch: pytest.MonkeyPatch, name: str, fails: Callable[..., bool]) -> None:
    """Let a function of the encoder raise where `fails` says so of the number of the call and its arguments."""
    module, _, last = f"pacbound.training.{name}".rpartition(".")
    holder = _Run if module.endswith("_Run") else importlib.import_module(module)
    function, calls = getattr(holder, last), [0]

    def now_and_then(*arguments: object, **named: object) -> object:
        calls[0] += 1
        if fails(calls[0], *arguments):
            raise SubspaceError("fisher: broken for the test.")
        return function(*arguments, **named)

    monkeypatch.setattr(holder, last, now_and_then)


@pytest.mark.parametrize(
    ("lives", "name", "fails"),
    [
        (2, "progressive._Run._with_curvature", lambda call, *_: call == 1),  # after the warm stage
        (4, "progressive._Run._with_curvature", lambda call, *_: call == 1),  # after the smooth one
        (10, "progressive.with_block", lambda call, *_: call == 2),  # with a third of the coefficients fixed
        (10, "rounding.beam", lambda call, mean, lower, steps, nats, block, *_: block < len(mean)),  # no block at all
        (10, "rounding.fit_profile", lambda call, precisions, scale, kap: kap < 6),  # nothing but the widest steps
    ],
)
def test_where_a_later_part_fails_the_last_good_posterior_becomes_the_message(
    lives: int, name: str, fails: Callable[..., bool], whole: Encoded, copying: _Copying,
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    _failing(monkeypatch, name, fails)
    symbols, profile, _ = _first(_encoded(QUICK, _Going(copying.left[lives - 1], "key")).candidates)
    assert "broken for the test. Going on with what was trained before." in caplog.text
    monkeypatch.undo()
    _, subspace, sample = _problem()
    w = torch.from_numpy(dequantize(symbols, 41, profile))
    assert _errors(subspace, sample, w) < 0.25 * sample.n


def test_where_nothing_can_be_rounded_no_message_is_offered_and_the_cause_is_said(
    trained: _Going, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    _failing(monkeypatch, "rounding.beam", lambda *_: True)
    assert _encoded(QUICK, trained).candidates == []
    assert "broken for the test. Nothing of it can be rounded: w = 0 is what is left to certify." in caplog.text


def test_when_the_time_is_over_training_stops_and_what_there_is_is_rounded(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("pacbound.training.posterior.ROUND_STEPS", 30)
    _, subspace, sample = _problem()
    long = QUICK.model_copy(update={"warm_steps": 10**6})
    over = Deadline(training=0.0, refinement=0.0)
    task = replace(_task(subspace, sample, long, Checkpoint(None, "")), until=over)
    encoded = encode_posterior(task)
    symbols, profile, _ = _first(encoded.candidates)
    assert encoded.epochs == pytest.approx(30 * 30 / 200)
    assert "the budget ended in warm, step 30 of 1000000" in caplog.text
    w = torch.from_numpy(dequantize(symbols, 41, profile))
    assert _errors(subspace, sample, w) < 0.6 * sample.n  # of three classes
    trained = train_posterior(task)
    assert trained.posterior.mean.shape == (D_SMALL,)
    assert trained.epochs == encoded.epochs


def test_inputs_that_are_no_numbers_are_refused_and_not_encoded() -> None:
    _, subspace, sample = _problem()
    broken = Sample(sample.x * math.inf, sample.y)
    with pytest.raises(PacboundError, match="Lower the rates"):
        encode_posterior(_task(subspace, broken, QUICK, Checkpoint(None, "")))
