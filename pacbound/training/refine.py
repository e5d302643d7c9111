"""Final moves on the decoded point: steps of one symbol that lower the bound, counted on the true error.

The margins of the examples near the boundary are linearised in w, which predicts the errors that every move of one
coefficient by one step would gain or lose; the most promising are tried on those examples, the accepted ones are
confirmed on the whole sample.
"""

import math
import time
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..bounds.occam import occam_binomial
from ..networks.risk import zero_one
from ..progress import hidden, tqdm
from ..subspace.curvature import example_gradients
from ..subspace.subspace import Subspace
from .fit import Sample
from .posterior import bound_beta
from .rounding import Prices
from .settings import PosteriorSettings

BORDER = 6000  # examples of smallest margin that moves are tried on
BATCH = 1000
GRADIENT_ELEMENTS = 1 << 23
DELTA = 0.05


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
    bits = int(np.ceil(nats / np.log(2))) + overhead_bits
    bound = occam_binomial(errors, sample.n, bits, DELTA).value
    return Point(integers, errors, nats, bound, margins)


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
    for _ in bar:
        if time.monotonic() > until:
            break
        moved = _refined(subspace, sample, point, prices, settings.refine_trials)
        if np.array_equal(moved, point.integers):
            break
        new = evaluate_point(subspace, sample, moved, prices, settings.overhead_bits)
        if new.bound >= point.bound:
            break
        point = new
        bar.set_postfix_str(f"{point.errors} errors, bound near {point.bound:.4f}")
    bar.close()
    return point


def _refined(subspace: Subspace, sample: Sample, point: Point, prices: Prices, trials: int) -> NDArray[np.int32]:
    """One linearisation: try moves in the order of their predicted gain, each accepted one being kept at once."""
    border = point.margins.abs().argsort()[:BORDER]
    near = sample.subset(border)
    worth = 1 / bound_beta(point.errors / sample.n, point.nats, sample.n)  # nats of one error
    integers = point.integers.copy()
    w = prices.coefficients(integers)
    errors, margins = _errors(subspace, near, w)
    slopes = _margin_slopes(subspace, near, w)
    tried: set[tuple[int, int]] = set()
    for _ in range(trials):
        gains, nats = _predicted(integers, prices, margins, slopes, worth)
        for move in tried:
            gains[move] = np.inf
        i, side = np.unravel_index(int(gains.argmin()), gains.shape)
        if gains[i, side] >= 0:
            break
        tried.add((int(i), int(side)))
        trial = integers.copy()
        trial[i] += 2 * int(side) - 1
        if abs(int(trial[i])) > prices.reach:
            continue
        new_errors, new_margins = _errors(subspace, near, prices.coefficients(trial))
        if worth * (new_errors - errors) + nats[i, side] < 0:
            integers, errors, margins = trial, new_errors, new_margins
            tried.add((int(i), 1 - int(side)))
    return integers


def _predicted(
    integers: NDArray[np.int32], prices: Prices, margins: Tensor, slopes: Tensor, worth: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Change of the objective in nats for every move, (d, 2), down and up; and its part in the price."""
    reach, place = prices.reach, np.arange(len(integers))
    now = prices.nats[place, integers + reach]
    nats = np.stack([prices.nats[place, np.clip(integers + side, -reach, reach) + reach] - now for side in (-1, 1)], 1)
    step = torch.from_numpy(prices.steps).float()
    wrong = (margins <= 0).sum()
    errors = torch.stack([((margins[:, None] + side * slopes * step) <= 0).sum(0) - wrong for side in (-1, 1)], 1)
    return worth * errors.numpy() + nats, nats


def _margin_slopes(subspace: Subspace, near: Sample, w: Tensor) -> Tensor:
    """Gradient in w of each margin, (m, d)."""
    theta = subspace.theta(w).detach()
    chunk = max(1, min(100, GRADIENT_ELEMENTS // subspace.layout.D))
    parts = [
        example_gradients(subspace, theta, x, y, _margin)
        for x, y in zip(near.x.split(chunk), near.y.split(chunk), strict=True)
    ]
    return torch.cat(parts)


def _margin(logits: Tensor, y: Tensor) -> Tensor:
    own = logits.gather(1, y[:, None])[:, 0]
    others = logits.scatter(1, y[:, None], -torch.inf).amax(1)
    return (own - others).sum()


@torch.no_grad()
def _errors(subspace: Subspace, sample: Sample, w: Tensor) -> tuple[int, Tensor]:
    """Errors as risk.py counts them, and margins (n,)."""
    theta = subspace.theta(w)
    errors, margins = 0, []
    for x, y in zip(sample.x.split(BATCH), sample.y.split(BATCH), strict=True):
        logits = subspace.call_at(theta, x).float()
        errors += int(zero_one(logits, y).sum())
        own = logits.gather(1, y[:, None])[:, 0]
        margins.append(own - logits.scatter(1, y[:, None], -torch.inf).amax(1))
    return errors, torch.cat(margins)
