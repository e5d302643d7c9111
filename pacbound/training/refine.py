"""Final moves on the decoded point that lower the bound, counted on the true error.

The margins of the examples nearest to the boundary are linearised in w, which predicts the errors that every move would
gain or lose. The most promising moves, and pairs of them, are tried: on those examples first, on three times as many
where they still help; what all rounds have kept is confirmed on the whole sample. moves.py says what a move is.
Several processes divide what is counted and differentiated; process 0 chooses.
"""

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
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

NEAR = 2000  # examples of smallest margin whose margins are linearised
BORDER = 3 * NEAR  # that moves are judged on
PAIRED = 64  # moves of which pairs are made
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
    border = first(lambda: _border(start))
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
    bar, found = tqdm(range(settings.refine_rounds), desc="refinement", disable=hidden(progress)), point
    for _ in bar:
        if over(until):
            break
        moved = _Round(subspace, sample, found, prices).moved(settings.refine_trials, settings.overhead_bits)
        if np.array_equal(moved.integers, found.integers):
            break
        found = moved
        bar.set_postfix_str(f"{found.errors} errors, bound near {found.bound:.4f}")
    bar.close()
    if found is point:
        return point
    confirmed = evaluate_point(subspace, sample, found.integers, prices, settings.overhead_bits)
    return first(lambda: min(point, confirmed, key=lambda one: one.bound))


class _Round:
    """One linearisation: moves are tried in the order of their predicted gain, each that helps being kept at once."""

    def __init__(self, subspace: Subspace, sample: Sample, point: Point, prices: Prices) -> None:
        self.border = first(lambda: _border(point))
        self.subspace, self.prices, self.point, self.n = subspace, prices, point, sample.n
        self.parts = [sample.subset(rows) for rows in (self.border[:NEAR], self.border[NEAR:])]
        self.worth = 1 / bound_beta(point.errors / sample.n, point.nats, sample.n)  # nats of one error
        self.integers = point.integers
        self.offers: tuple[Moves, NDArray[np.float64]] | None = None  # of these integers; process 0 alone makes them
        w = prices.coefficients(point.integers)
        self.counts = self.before = [_errors(subspace, part, w) for part in self.parts]
        step = torch.from_numpy(prices.steps).float()
        self.slopes = (_margin_slopes(subspace, self.parts[0], w) * step).T.contiguous().numpy()  # (d, m), a step

    def moved(self, trials: int, overhead_bits: int) -> Point:
        """Return the point after the moves that helped among so many tried, its margins known near the boundary."""
        for _ in range(trials):
            trial = first(self.next_trial)
            if trial is None:
                break
            self.judge(trial)
        margins = self.point.margins.clone()
        margins[self.border] = torch.cat([margins for _, margins in self.counts])
        errors = self.point.errors + sum(errors for errors, _ in self.counts) - sum(errors for errors, _ in self.before)
        nats = self.prices.total(self.integers)
        return Point(self.integers, errors, nats, _bound(errors, self.n, nats, overhead_bits), margins)

    def next_trial(self) -> NDArray[np.int32] | None:
        """Return the integers after the best move not yet tried; None where no move promises anything."""
        self.offers = self.offers or self.promising()
        moves, gains = self.offers
        best = int(gains.argmin()) if len(gains) else 0
        if not len(gains) or gains[best] >= 0:
            return None
        gains[best] = np.inf
        return moves.applied(self.integers, best)

    def promising(self) -> tuple[Moves, NDArray[np.float64]]:
        """Single moves and pairs of the best, with their predicted change of the objective in nats."""
        single = single_moves(self.integers, self.prices)
        gains = self.predicted(single)
        pairs = pairs_of(single, gains.argsort()[:PAIRED])
        return single + pairs, np.concatenate([gains, self.predicted(pairs)])

    def predicted(self, moves: Moves) -> NDArray[np.float64]:
        margins, (count, width) = self.counts[0][1].numpy(), moves.places.shape
        entries = moves.shifts.astype(np.float32).ravel(), moves.places.ravel(), np.arange(0, count * width + 1, width)
        shifts, chunk = csr_array(entries, shape=(count, len(self.slopes))), max(1, CHUNK // len(margins))
        starts = range(0, max(1, count), chunk)  # one of no moves too, such as the pairs of one coefficient
        wrong = [(shifts[start : start + chunk] @ self.slopes <= -margins).sum(1) for start in starts]
        return self.worth * (np.concatenate(wrong) - (margins <= 0).sum()) + moves.nats

    def judge(self, trial: NDArray[np.int32]) -> None:
        """Try integers, and go on from them where they help on every part so far."""
        w, objective = self.prices.coefficients(trial), self.prices.total(trial) - self.prices.total(self.integers)
        counts = []
        for part, (errors, _) in zip(self.parts, self.counts, strict=True):
            counts.append(_errors(self.subspace, part, w))
            objective += self.worth * (counts[-1][0] - errors)
            if first(functools.partial(bool, objective >= 0)):
                return
        self.integers, self.counts, self.offers = trial, counts, None


def _bound(errors: int, n: int, nats: float, overhead_bits: int) -> float:
    return occam_binomial(errors, n, int(np.ceil(nats / np.log(2))) + overhead_bits, DELTA).value


def _border(point: Point) -> Tensor:
    """Rows of the examples nearest to the boundary, the nearest first."""
    return point.margins.abs().argsort()[:BORDER]


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
