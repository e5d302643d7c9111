"""Which kind of rounding a posterior gets, at any scale of its prior, and the moves that refine what it made."""

import math

import numpy as np
import pytest
import torch

from pacbound.bits.message import pack, unpack
from pacbound.quantize import dequantize
from pacbound.specs.specs import PROFILE_CODE, BaseOrigin, HypothesisSpec, ProfileSpec, ProjectorSpec, TrellisSpec
from pacbound.training import refine
from pacbound.training.moves import Moves, pairs_of, single_moves
from pacbound.training.posterior import Posterior
from pacbound.training.refine import _Moving
from pacbound.training.rounding import Standing, prices_of, rounded, with_block, with_profile
from pacbound.training.settings import PosteriorSettings

COUNT = 60
SETTINGS = PosteriorSettings(beam=64)
CURVE = {"kap": 44, "c0": 29, "c1": 4, "c2": 1}


def _standing(s: float, ratio: float) -> Standing:
    """A posterior whose standard deviations are s / ratio in every direction."""
    spread = s * math.sqrt(1 - ratio**-2)  # of means, where the prior fits
    mean = torch.from_numpy(np.random.default_rng(0).normal(0, spread, COUNT)).float()
    log_std = torch.full((COUNT,), math.log(s / ratio))
    return Standing(
        Posterior(mean, torch.eye(COUNT), log_std, torch.tensor(math.log(s))), np.zeros(0, np.int32), None, 1.0
    )


@pytest.mark.parametrize("s", [200.0, 3.0, 1.36, 0.05, 2.0**-14])
def test_a_scale_anywhere_between_the_ends_of_the_header_is_rounded_and_read_back(s: float) -> None:
    now = with_block(_standing(s, 8), COUNT // 2, SETTINGS)
    assert isinstance(now.profile, TrellisSpec)
    assert 2 ** (-now.profile.scale_index / 16) == pytest.approx(s, rel=0.03)
    integers = np.concatenate([now.integers, rounded(now, COUNT - COUNT // 2, SETTINGS).integers[0]])
    symbols = (integers + 20).astype(np.int32)
    spec = HypothesisSpec(
        model="lenet", layout_digest="0" * 64, base=BaseOrigin(), quantizer=now.profile, code=PROFILE_CODE,
        projector=ProjectorSpec(kind="fastfood", D=100, d=COUNT),
    )  # fmt: skip
    decoded, carried, _ = unpack(pack(spec, symbols)[0].payload, spec)
    w = dequantize(carried, 41, now.profile)
    assert decoded == spec
    np.testing.assert_array_equal(w, prices_of(now.profile, COUNT).coefficients(integers).numpy())
    assert np.abs(w - _standing(s, 8).posterior.mean.numpy()).max() < 4.4 * s / 8  # a step


@pytest.mark.parametrize("ratio", [1.1, 2, 4, 16])
def test_a_trellis_rounds_for_less_at_any_rate_and_no_worse_where_all_is_zero(ratio: float) -> None:
    nats = {}
    for trellis in (True, False):
        settings = SETTINGS.model_copy(update={"trellis": trellis})
        now = with_profile(_standing(0.05, ratio), settings)
        assert isinstance(now.profile, TrellisSpec if trellis else ProfileSpec)
        nats[trellis] = float(rounded(now, COUNT, settings).nats[0])
    assert nats[True] < nats[False] - 0.03 * COUNT if ratio > 1.5 else nats[True] == pytest.approx(nats[False])


@pytest.mark.parametrize("kind", [ProfileSpec, TrellisSpec])
def test_a_standing_comes_back_from_its_tensors(kind: type[ProfileSpec | TrellisSpec]) -> None:
    now = Standing(_standing(0.05, 8).posterior, np.array([1, -2], np.int32), kind(scale_index=68, **CURVE), 1.5)
    back = Standing.of(now.tensors())
    assert back.profile == now.profile
    assert back.known()[1] == now.known()[1]
    assert torch.equal(back.known()[0], now.known()[0])


def _all_moves(integers: np.ndarray, profile: ProfileSpec | TrellisSpec) -> Moves:
    single = single_moves(integers, prices_of(profile, len(integers)))
    return single + pairs_of(single, np.arange(0, len(single.nats), 3))


@pytest.mark.parametrize("d", [1, 2, 3, 9])
@pytest.mark.parametrize("kind", [ProfileSpec, TrellisSpec])
def test_moves_change_the_places_that_they_name_as_they_say_and_no_others(
    kind: type[ProfileSpec | TrellisSpec], d: int
) -> None:
    profile = kind(scale_index=68, **CURVE)
    integers = np.random.default_rng(d).integers(-3, 4, d).astype(np.int32)
    prices = prices_of(profile, d)
    before, moves = dequantize(integers + 20, 41, profile), _all_moves(integers, profile)
    assert len(moves.nats) >= 2 * d
    for index, nats in enumerate(moves.nats):
        after = moves.applied(integers, index)
        expected = np.zeros(d)
        np.add.at(expected, moves.places[index], moves.shifts[index])
        np.testing.assert_allclose(dequantize(after + 20, 41, profile) - before, expected * prices.steps, atol=1e-6)
        assert prices.total(after) - prices.total(integers) == pytest.approx(nats, abs=1e-9)
        assert (after != integers).any()


def test_under_a_trellis_every_neighbour_on_another_path_is_a_move() -> None:
    """All strings of 4 symbols that differ from the first in at most three places in a row, by the table of states."""
    follows = {(0, 0): 0, (0, 1): 2, (1, 0): 2, (1, 1): 0, (2, 0): 1, (2, 1): 3, (3, 0): 3, (3, 1): 1}

    def lattices(k: tuple[int, ...]) -> list[int]:
        states = [0]
        for value in k:
            states.append(follows[states[-1], value % 2])
        return [state // 2 for state in states[:-1]]

    start = (1, 0, -1, 2)
    found = set()
    moves = single_moves(np.array(start, np.int32), prices_of(TrellisSpec(scale_index=68, **CURVE), 4))
    for index in range(len(moves.nats)):
        found.add(tuple(moves.applied(np.array(start, np.int32), index).tolist()))
    for side in (-1, 1):
        for i in range(4):
            assert (*start[:i], start[i] + 2 * side, *start[i + 1 :]) in found
    flipped = [(1 + a, b, -1 + c, 2) for a in (-1, 1) for b in (-2, 0, 2) for c in (-1, 1)]
    here = {k for k in flipped if [x ^ y for x, y in zip(lattices(k), lattices(start), strict=True)] == [0, 1, 0, 0]}
    near = {k for k in here if abs(k[1] + lattices(k)[1] / 2 - lattices(start)[1] / 2) < 2}
    assert near <= found
    assert len(near) == 8


def _moving(d: int, count: int, profile: ProfileSpec | TrellisSpec) -> _Moving:
    """Integers among `count` examples near the boundary, of random margins and slopes, an error worth two nats."""
    rng = np.random.default_rng(d)
    moving = _Moving.__new__(_Moving)
    moving.prices, moving.worth = prices_of(profile, d), 2.0
    moving.integers = rng.integers(-3, 4, d).astype(np.int32)
    moving.margins = torch.from_numpy(rng.normal(size=2 * count).astype(np.float32))
    moving.near = torch.from_numpy(rng.permutation(2 * count)[:count])
    moving.slopes = rng.normal(size=(d, count)).astype(np.float32)
    moving.missed, moving.squares = 3.0, 2.0
    return moving


@pytest.mark.parametrize("d", [1, 7])
def test_what_moves_promise_is_what_they_say_one_by_one_and_pairs_of_one_coefficient_are_none(d: int) -> None:
    moving = _moving(d, 9, TrellisSpec(scale_index=16, **CURVE))
    moving.margins[moving.near[:3]] = torch.tensor([math.nan, math.inf, -math.inf])
    margins, single = moving.margins[moving.near].numpy(), single_moves(moving.integers, moving.prices)
    for moves in (single, pairs_of(single, np.arange(len(single.nats)))):
        expected = []
        for places, shifts, nats in zip(moves.places, moves.shifts, moves.nats, strict=True):
            shift = sum(moving.slopes[place] * np.float32(by) for place, by in zip(places, shifts, strict=True))
            wrong = int((margins + shift <= 0).sum()) - int((margins <= 0).sum())
            expected.append(2.0 * (wrong + 1.5 * sum(float(by) ** 2 for by in shift) / 9) + nats)
        np.testing.assert_allclose(moving.predicted(moves), expected, rtol=1e-5, atol=1e-5)
        assert len(expected) == 0 or d > 1 or moves is single


@pytest.mark.parametrize("kind", [ProfileSpec, TrellisSpec])
def test_a_group_shifts_margins_as_the_decoded_coefficients_do_and_promises_more_the_larger(
    kind: type[ProfileSpec | TrellisSpec],
) -> None:
    profile, gains = kind(scale_index=68, **CURVE), []
    moving = _moving(60, 200, profile)
    moving.missed, moving.worth = 0.0, 50.0
    before, margins = dequantize(moving.integers + 20, 41, profile), moving.margins[moving.near].numpy()
    for size in (1, 2, 4, 30):
        trial = moving.group(size)
        assert trial is not None
        steps = (dequantize(trial.integers + 20, 41, profile) - before) / moving.prices.steps
        shift = steps @ moving.slopes
        assert trial.errors == (margins + shift <= 0).sum() - (margins <= 0).sum()
        assert trial.square == pytest.approx((shift**2).mean(), rel=1e-4)
        gains.append(50 * trial.errors + moving.prices.total(trial.integers) - moving.prices.total(moving.integers))
    assert gains == sorted(gains, reverse=True)
    assert gains[0] > gains[-1]
    assert moving.group(0) is None


def test_what_shifts_cost_beside_the_predicted_errors_is_learned_from_the_trials(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    moving = _moving(30, 200, ProfileSpec(scale_index=68, **CURVE))
    moving.errors = 1000
    moving.subspace = moving.sample = None  # type: ignore[assignment]
    start, margins = moving.integers, moving.margins
    for lower, helps in ((0.5, False), (-9.0, True)):
        moving.missed = moving.squares = 0.0
        trial = moving.group(4)
        assert trial is not None
        monkeypatch.setattr(refine, "_errors", lambda *_, lower=lower: (0, margins - lower))
        more = int(((margins > 0) & (margins <= lower)).sum()) - int(((margins <= 0) & (margins > lower)).sum())
        assert moving.helps(trial) is helps
        assert (moving.missed, moving.squares) == (more - trial.errors, trial.square)
        assert helps or moving.group(4) is None  # for shifts cost more now
        assert moving.integers is (trial.integers if helps else start)
        assert moving.errors == (1000 + more if helps else 1000)
        assert torch.equal(moving.margins, margins - lower if helps else margins)
