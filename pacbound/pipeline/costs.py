"""What the stages of the posterior encoder cost: how much of what each does, and what keeps them in proportion.

Amounts are counted in few kinds of work, the same on every machine. What one of each takes here is measured for a
forecast (`measured`). How many examples the curvature has follows from the steps of training, and where a network is
large, as what survivors and refinement may look at, from floating-point operations: no clock, so that a run repeats
(`in_proportion`).
"""

import time
from bisect import bisect_right
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from ..networks.passes import ALONE, FEW
from ..networks.passes import BATCH as CHECKED_AT_ONCE
from ..networks.rebuilt import BATCHES, LABELLED_ROWS, LARGE_ROWS, ROWS
from ..quantize.beam import beam
from ..subspace.curvature import DENSE_DIMENSION, LARGE, SHARED, Rows
from ..subspace.low_rank import PASSES
from ..subspace.subspace import Subspace
from ..training.fit import Sample
from ..training.posterior import TIMED_STEPS, seconds_a_step
from ..training.refine import BORDER, JUDGED, NEAR
from ..training.settings import PosteriorSettings, block_edges
from ..training.timing import seconds_of

RANKED = 3  # candidates that are asked once, and one of them counted: w = 0, the best, and the best unrefined
RANKED_LARGE = 2  # of a large network, which is hardly refined
ROUNDS_TAKEN, TRIALS_TAKEN = 0.3, 0.1  # of the rounds of refinement that are allowed, one at least; of their trials
TIMED_EXAMPLES, TIMED_SIZE, TIMED_BLOCK = 64, 512, 32
TIMED_LARGE, TIMED_ROWS = 8, 2  # examples asked, and rows, of a large network: each of its passes takes long

# Where a network is not large: examples of a batch that one row takes as long as, and rows a coefficient at least.
ROW_EXAMPLES, LEAST_ROWS = 5, 4
# Floating-point operations a parameter as whose worth the passes over theta count, beside those of the network, and how
# many times cheaper one is in a batch in bfloat16. Measured at D = 11 and 124 million, to the curvature's disfavour.
STEP_PASSES, ROW_PASSES, PRODUCT_PASSES, BATCHED = 1800, 750, 600, 4
SHARE, SURVIVORS_SHARE = 1 / 4, 1 / 8  # of training: of all curvature, of all refinement; and of survivors


class Work(NamedTuple):
    """How much of each kind of work, or what one of each takes: steps of training; gradients of one example in the
    subspace (rows); examples asked in batches, and alone; products P w; cubes: d^3 of dense float64 algebra; rounded:
    coefficients through the beam."""

    steps: float = 0.0
    rows: float = 0.0
    asked: float = 0.0
    alone: float = 0.0
    products: float = 0.0
    cubes: float = 0.0
    rounded: float = 0.0

    def times(self, units: "Work") -> float:
        """Return what so much work takes in all. units: what one of each takes."""
        return sum(amount * unit for amount, unit in zip(self, units, strict=True))


def amounts_of(settings: PosteriorSettings, n: int, d: int) -> dict[str, Work]:
    """Return what each stage does, in their order; what it does not know beforehand as runs have it on average."""
    edges, near = block_edges(d, settings.blocks), min(n, NEAR)
    free = [d - edge for edge in edges[:-1]]  # before each block is rounded
    rounds = min(settings.refine_rounds, max(1.0, ROUNDS_TAKEN * settings.refine_rounds))
    trials = rounds * TRIALS_TAKEN * settings.refine_trials
    again = n * (1 - 1 / settings.survivors)  # the best, which is rarely the first
    return {
        "training": Work(steps=settings.steps - (settings.blocks - len(free)) * settings.block_steps),
        "curvature": Work(rows=_rows(settings, d), cubes=sum(m**3 for m in settings.matrices(d))),
        "rounding": Work(cubes=sum(m**3 for m in free), rounded=d),
        "survivors": Work(asked=n + (settings.survivors - 1) * min(n, BORDER) + again, products=settings.survivors),
        "refinement": Work(
            rows=rounds * near,
            asked=trials * min(n, JUDGED) + n * bool(rounds),
            products=rounds + trials,
        ),
    }  # fmt: skip


def ranking(n: int, D: int) -> Work:
    """Return what it takes to ask all candidates once."""
    ranked = RANKED if D <= LARGE else RANKED_LARGE
    return Work(asked=ranked * n, products=ranked)


def counting(n: int) -> Work:
    """Return what it takes to ask one candidate in two passes, and some examples alone.

    Before these a batch is asked three times, to see that the network gives one answer to one input, and some of it one
    by one.
    """
    return Work(asked=2 * n + 3 * min(n, CHECKED_AT_ONCE), alone=min(n, ALONE) + min(n, FEW), products=1)


def checking(at_once: int) -> Work:
    """Return what a large network of somebody's own is asked before the work begins: `rebuilt.check_promise`.

    at_once: examples asked together (`passes.batch_for`).
    """
    programs = 16 * sum(2 * batch for batch in BATCHES) + min(ROWS, at_once) + min(LARGE_ROWS, at_once)
    return Work(asked=3 * LARGE_ROWS + LARGE_ROWS + programs + 4 * LABELLED_ROWS)


def asking(subspace: Subspace, sample: Sample) -> Work:
    """Return the seconds of asking one example, in a batch and alone, and of one product, on this machine."""
    large = subspace.layout.D > LARGE
    times = 1 if large else 2
    w, size = torch.zeros(subspace.d), min(TIMED_LARGE if large else TIMED_EXAMPLES, sample.n)
    theta = subspace.theta(w)

    def ask(count: int) -> object:
        return subspace.call_at(theta, sample.x[torch.arange(count) % len(sample.x)])

    with torch.no_grad():
        asked = _seconds(lambda: ask(size), 1) if large else seconds_of(ask, size, times)
        return Work(
            asked=asked / size,
            alone=_seconds(lambda: ask(1), times),
            products=_seconds(lambda: subspace.theta(w), times),
        )


def measured(subspace: Subspace, sample: Sample, batch: int, kinds: PosteriorSettings, units: Work) -> Work:
    """Return the seconds of one of each kind of work on this machine. units: what `asking` returned."""
    large = subspace.layout.D > LARGE
    times, steps = (1, 1) if large else (2, TIMED_STEPS)
    w, generator = torch.zeros(subspace.d), torch.Generator().manual_seed(0)
    rows = Rows(subspace, sample.x, lambda _: w)
    chunk = min(rows.chunk("fisher"), sample.n)
    size = min(subspace.d, TIMED_SIZE)

    def of(count: int) -> object:
        return rows.of("fisher", torch.arange(count), generator)

    if not kinds.curvature:
        row = 0.0
    elif large:  # a chunk has one product, whatever is timed
        count = min(TIMED_ROWS, chunk)
        row = max(0.0, _seconds(lambda: of(count), times) - units.products * (1 - count / chunk)) / count
    else:
        row = seconds_of(of, chunk, times, len(sample.x)) / chunk
    return units._replace(
        steps=seconds_a_step(subspace, sample, batch, steps),
        rows=row,
        cubes=_seconds(lambda: _algebra(size), times) / size**3,
        rounded=_seconds(lambda: _beam(kinds.beam), times) / TIMED_BLOCK,
    )


def in_proportion(
    settings: PosteriorSettings, module: nn.Module, x: Tensor, D: int, d: int, n: int
) -> PosteriorSettings:
    """Return settings whose curvature takes a quarter of training at most, that of a large network refinement too.

    By the examples of its batches; a large network by floating-point operations, which are counted for one example x
    (1, ...), and passes over theta. At least a matrix has SHARED examples, and LEAST_ROWS a coefficient where the
    network is not large.
    """
    if D <= LARGE:
        return with_rows(settings, d, SHARE * settings.steps * settings.batch / ROW_EXAMPLES, LEAST_ROWS * d)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        module(x)
    forward = float(counter.get_total_flops())
    training = settings.steps * (settings.batch * 3 * forward / BATCHED + STEP_PASSES * D)
    row, product = 3 * forward + ROW_PASSES * D, PRODUCT_PASSES * D
    survivor = min(n, BORDER) * forward + product
    each = amounts_of(settings.model_copy(update={"refine_rounds": 1}), n, d)["refinement"]
    a_round = each.rows * row + each.asked * forward + each.products * product
    less = {
        "survivors": min(settings.survivors, 1 + int(SURVIVORS_SHARE * training / survivor)),
        "refine_rounds": min(settings.refine_rounds, int(SHARE * training / a_round)),
    }
    return with_rows(settings.model_copy(update=less), d, SHARE * training / row)


def with_rows(settings: PosteriorSettings, d: int, most: float, least: int = SHARED) -> PosteriorSettings:
    """Return settings whose curvature has so many rows in all at most, but so many examples a matrix at least."""
    choices = range(least, settings.fisher_examples)

    def rows(examples: int) -> int:
        return _rows(settings.model_copy(update={"fisher_examples": examples}), d)

    if not choices or _rows(settings, d) <= most:
        return settings
    fit = bisect_right(choices, most, key=rows) - 1
    return settings.model_copy(update={"fisher_examples": choices[max(0, fit)]})


def _rows(settings: PosteriorSettings, d: int) -> int:
    """Gradients of one example that all matrices take: beyond the dense one in each of its passes."""
    return sum(settings.examples_of(m) * (1 if m <= DENSE_DIMENSION else PASSES + 1) for m in settings.matrices(d))


def _seconds(act: Callable[[], object], times: int) -> float:
    """The shortest of so many timings."""
    found = []
    for _ in range(times):
        started = time.perf_counter()
        act()
        found.append(time.perf_counter() - started)
    return min(found)


def _algebra(size: int) -> object:
    """What a block takes of dense algebra: a product, a factor, its inverse and eigenvectors."""
    matrix = torch.eye(size, dtype=torch.float64) + 1 / (1 + torch.arange(size, dtype=torch.float64))
    matrix = matrix @ matrix.T
    return torch.linalg.eigh(matrix), np.linalg.inv(np.linalg.cholesky(matrix.numpy()))


def _beam(width: int) -> object:
    """The beam on a few coefficients."""
    return beam(
        np.zeros(TIMED_BLOCK), np.eye(TIMED_BLOCK), np.ones(TIMED_BLOCK), np.ones((2, TIMED_BLOCK, 41)), TIMED_BLOCK,
        width, 1.0, 0,
    )  # fmt: skip
