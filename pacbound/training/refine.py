"""Final moves on the decoded point that lower the bound, counted on the true error.

The margins of the examples nearest to the boundary are linearised in w, which predicts the errors that every move, and
pairs of the best, would gain or lose there. What is not linear, and examples farther away, lose in proportion to the
mean square of the shifts of margins, for the loss bends upwards from a trained point: how many errors is learned from
the trials. A trial is a group of moves that together promise most, counted on three times as many examples; it is kept
where it helps, else half of it is tried. The outcome of all rounds is confirmed on the whole sample.
moves.py says what a move is. Several processes divide what is counted and differentiated; process 0 chooses.
"""

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_array
from torch import Tensor

from ..bounds.occam import occam_binomial
from ..distributed import each, first, over, slices
from ..networks.passes import batch_for
from ..networks.risk import zero_one
from ..progress import hidden, tqdm
from ..subspace.curvature import example_gradients
from ..subspace.subspace import Subspace
from ..threads import tick
from .fit import Sample
from .moves import Moves, pairs_of, single_moves
from .posterior import bound_beta
from .rounding import Prices
from .settings import PosteriorSettings

NEAR = 4000  # examples of smallest margin whose margins are linearised
JUDGED = 3 * NEAR  # that moves are judged on
BORDER = 6000  # that survivors are compared on
POOL = 512  # moves of the best prediction, of which a group is made
PAIRED = 64  # moves of which pairs are made
GROUP = 8  # moves tried together at first
CHUNK = 1 << 18  # margins predicted at a time
GRADIENT_ELEMENTS = 1 << 23
DELTA = 0.05

_batches: "WeakKeyDictionary[Subspace, int]" = WeakKeyDictionary()  # how many examples are asked at once


@dataclass(frozen=True)
class Point:
    """Integers (d,), what they make of the sample and what they cost; bound: the binomial tail's."""

    integers: NDArray[np.int32]
    errors: int
    nats: float
    bound: float
    margins: Tensor  # (n,) logit of the label minus the largest other


def evaluate_point(
    subspace: Subspace, sample: Sample, integers: NDArray[np.int32], prices: Prices, overhead_bits: int
) -> Point:
    """Count the errors of the decoded coefficients on the whole sample."""
    errors, margins = _errors(subspace, sample, prices.coefficients(integers))
    nats = prices.total(integers)
    return Point(integers, errors, nats, _bound(errors, sample.n, nats, overhead_bits), margins)


def best_point(
    subspace: Subspace, sample: Sample, survivors: Sequence[NDArray[np.int32]], prices: Prices, overhead_bits: int
) -> Point:
    """Return the survivor (d,) of smallest bound: all are counted near the boundary of the first, the best wholly.

    Survivors differ in few symbols, hence in errors near that boundary alone; where that is not so, the first is kept.
    """
    start = evaluate_point(subspace, sample, survivors[0], prices, overhead_bits)
    border = first(lambda: _border(start.margins, BORDER))
    near, there = sample.subset(border), int((start.margins[border] <= 0).sum())

    def estimate(integers: NDArray[np.int32]) -> float:
        errors = start.errors - there + _errors(subspace, near, prices.coefficients(integers))[0]
        return _bound(errors, sample.n, prices.total(integers), overhead_bits)

    estimates = [start.bound, *(estimate(integers) for integers in survivors[1:])]
    best = first(lambda: int(np.argmin(estimates)))
    if best == 0:
        return start
    other = evaluate_point(subspace, sample, survivors[best], prices, overhead_bits)
    return first(lambda: min(start, other, key=lambda point: point.bound))


def refine(
    subspace: Subspace,
    sample: Sample,
    point: Point,
    prices: Prices,
    settings: PosteriorSettings,
    progress: bool = True,
    until: float = math.inf,
) -> Point:
    """Return a point whose bound is at most the given one's; no round begins after `until` of time.monotonic()."""
    bar = tqdm(range(settings.refine_rounds), desc="refinement", disable=hidden(progress))
    moving = _Moving(subspace, sample, point, prices)
    for _ in bar:
        if over(until) or not moving.round(settings.refine_trials):
            break
        bound = _bound(moving.errors, sample.n, prices.total(moving.integers), settings.overhead_bits)
        bar.set_postfix_str(f"{moving.errors} errors, bound near {bound:.4f}")
    bar.close()
    if moving.integers is point.integers:
        return point
    confirmed = evaluate_point(subspace, sample, moving.integers, prices, settings.overhead_bits)
    return first(lambda: min(point, confirmed, key=lambda one: one.bound))


class _Trial(NamedTuple):
    """Integers (d,) after some moves; the change of errors that slopes predict, and the mean square of the shifts."""

    moves: int
    integers: NDArray[np.int32]
    errors: int
    square: float


class _Moving:
    """Integers on their way down, their errors on the sample, and the margins of those that may change sides."""

    def __init__(self, subspace: Subspace, sample: Sample, point: Point, prices: Prices) -> None:
        border = first(lambda: _border(point.margins, JUDGED))
        self.subspace, self.sample, self.prices = subspace, sample.subset(border), prices
        self.worth = 1 / bound_beta(point.errors / sample.n, point.nats, sample.n)  # nats of one error
        self.integers, self.errors, self.margins = point.integers, point.errors, point.margins[border]
        self.missed = self.squares = 0.0  # of all trials: errors that were not predicted, and squares of shifts

    def round(self, trials: int) -> bool:
        """Linearise the margins nearest to the boundary and try groups of moves; say whether one helped.

        Where no move promises anything, or the best one by itself does not help, the round ends. Of a small sample the
        next best are tried, for that takes no time, in the hope that shifts cost half of what they seem to.
        """
        near = first(lambda: _border(self.margins, NEAR))
        step = torch.from_numpy(self.prices.steps).float()
        slopes = _margin_slopes(self.subspace, self.sample.subset(near), self.prices.coefficients(self.integers)) * step
        self.near, self.slopes = near, slopes.nan_to_num(0.0, 0.0, 0.0).T.contiguous().numpy()  # (d, m), of a step
        before, size, skipped = self.integers, GROUP, 0
        for _ in range(trials):
            trial = first(functools.partial(self.group, size, skipped))
            if trial is not None and self.helps(trial):
                size, skipped = 2 * size, 0
            elif trial is not None and trial.moves > 1:
                size = trial.moves // 2
            else:
                size, skipped, self.missed = 1, skipped + 1, self.missed / 2
                if skipped == JUDGED // len(self.margins):
                    break
        return self.integers is not before

    def group(self, size: int, skipped: int = 0) -> _Trial | None:
        """Make up to so many moves, each the best by prediction after those before it; None where none promises.

        skipped: of the best moves, how many are left out.
        """
        moves = self.best(single_moves(self.integers, self.prices))
        moves = self.best(moves + pairs_of(moves, np.arange(len(moves.nats))[:PAIRED]))
        moves = moves.chosen(np.arange(min(skipped, len(moves.nats) - 1), len(moves.nats)))
        shifts, nats = _shifts(moves, self.slopes), moves.nats.copy()
        shift, integers, made = np.zeros_like(self.slopes[0]), self.integers, 0
        for _ in range(size):
            gains = self.cost(shift + shifts) - self.cost(shift) + nats
            best = int(gains.argmin())
            if gains[best] >= 0:
                break
            integers, shift, made = moves.applied(integers, best), shift + shifts[best], made + 1
            nats[np.isin(moves.places, moves.places[best]).any(1)] = np.inf  # moves apart leave each other as they are
        margins = self.margins[self.near].numpy()
        errors = int((margins + shift <= 0).sum() - (margins <= 0).sum())
        return _Trial(made, integers, errors, float(np.square(shift).mean())) if made else None

    def best(self, moves: Moves) -> Moves:
        """Return those of the best prediction, the best first."""
        return moves.chosen(self.predicted(moves).argsort()[:POOL])

    def predicted(self, moves: Moves) -> NDArray[np.float64]:
        """Return the change of the objective by each move, in nats."""
        chunks = np.array_split(np.arange(len(moves.nats)), 1 + len(moves.nats) * len(self.near) // CHUNK)
        costs = [self.cost(_shifts(moves.chosen(chunk), self.slopes)) for chunk in chunks]
        return np.concatenate(costs) - self.cost(np.zeros_like(self.slopes[0])) + moves.nats

    def cost(self, shifts: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the errors near the boundary after shifts (..., m) of margins, and what others will bring, in nats."""
        bend = max(0.0, self.missed / self.squares) if self.squares else 0.0
        margins = self.margins[self.near].numpy()
        return self.worth * ((shifts + margins <= 0).sum(-1) + bend * np.square(shifts).mean(-1))

    def helps(self, trial: _Trial) -> bool:
        """Try integers, and go on from them where they lower the objective."""
        _, margins = _errors(self.subspace, self.sample, self.prices.coefficients(trial.integers))
        errors = int((margins <= 0).sum() - (self.margins <= 0).sum())
        self.missed, self.squares = self.missed + errors - trial.errors, self.squares + trial.square
        nats = self.prices.total(trial.integers) - self.prices.total(self.integers)
        helps = first(functools.partial(bool, self.worth * errors + nats < 0))
        if helps:
            self.integers, self.errors, self.margins = trial.integers, self.errors + errors, margins
        return helps


def _shifts(moves: Moves, slopes: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return how far each move shifts margins of slopes (d, m), (moves, m)."""
    count, width = moves.places.shape
    entries = moves.shifts.astype(np.float32).ravel(), moves.places.ravel(), np.arange(0, count * width + 1, width)
    return csr_array(entries, shape=(count, len(slopes))) @ slopes


def _bound(errors: int, n: int, nats: float, overhead_bits: int) -> float:
    return occam_binomial(errors, n, int(np.ceil(nats / np.log(2))) + overhead_bits, DELTA).value


def _border(margins: Tensor, count: int) -> Tensor:
    """Places of so many margins nearest to 0, the nearest first."""
    return margins.abs().argsort()[:count]


def _margin_slopes(subspace: Subspace, near: Sample, w: Tensor) -> Tensor:
    """Gradient in w of each margin, (m, d)."""
    theta = subspace.theta(w).detach()
    chunk = max(1, min(100, GRADIENT_ELEMENTS // subspace.layout.D))

    def slopes(rows: slice) -> Tensor:
        return example_gradients(subspace, theta, near.x[rows], near.y[rows], _margin)

    return torch.cat(list(each(slices(near.n, chunk), slopes)))


def _margin(logits: Tensor, y: Tensor) -> Tensor:
    own = logits.gather(1, y[:, None])[:, 0]
    others = logits.scatter(1, y[:, None], -torch.inf).amax(1)
    return (own - others).sum()


@torch.no_grad()
def _errors(subspace: Subspace, sample: Sample, w: Tensor) -> tuple[int, Tensor]:
    """Errors as risk.py counts them, and margins (n,)."""
    theta, margins = subspace.theta(w), torch.empty(sample.n)  # all at once: see `passes.readings`
    if subspace not in _batches:
        _batches[subspace] = batch_for(functools.partial(subspace.call_at, theta), sample.x)

    def counted(rows: slice) -> tuple[int, Tensor]:
        y = sample.y[rows]
        logits = subspace.call_at(theta, sample.x[rows]).float()
        own = logits.gather(1, y[:, None])[:, 0]
        tick("refinement")
        return int(zero_one(logits, y).sum()), own - logits.scatter(1, y[:, None], -torch.inf).amax(1)

    errors, batches = 0, slices(sample.n, _batches[subspace])
    for rows, (wrong, found) in zip(batches, each(batches, counted), strict=True):
        errors, margins[rows] = errors + wrong, found
    return errors, margins
