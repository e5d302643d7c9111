"""Rounding that respects correlations: sequential (LDL, Babai) with a beam and the price of each symbol.

The coefficients x have a quadratic cost (x - mean)^T A (x - mean) / 2 in nats. With A^-1 = L L^T, L lower, they are
rounded in index order: once x_0 .. x_{i-1} stand, the best place of x_i is mean_i + sum_{j<i} L_ij z_j, and missing it
by e costs e^2 / (2 L_ii^2) = z_i^2 / 2. Babai 1986 takes the nearest symbol each time; a beam keeps the best few.

Under a trellis (bits/trellis.py) each survivor has a state too, which says on which of two lattices its next
coefficient lies, and is offered four neighbours there: two of either parity, so that it can go on in both next states.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..bits.trellis import NEXT, halves
from ..errors import QuantizeError

Vector = NDArray[np.float64]
_NEXT = np.array(NEXT)


@dataclass(frozen=True)
class Rounded:
    """The survivors of a beam, best first: integers (k, b), costs in nats (k,), the mean of the coefficients still
    free given each survivor (k, m - b)."""

    integers: NDArray[np.int32]
    nats: Vector
    rest: Vector


def lower_factor(precision: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return L, lower triangular with L L^T = A^-1. Raises: QuantizeError where A is not positive definite."""
    if not np.isfinite(precision).all():
        raise QuantizeError("Beam: the precision matrix is finite, got NaN or infinity; the training diverged.")
    try:
        # A = U U^T with U upper (reverse, factor, reverse), hence A^-1 = U^-T U^-1 and U^-T is lower
        reverse = np.linalg.cholesky(precision[::-1, ::-1])[::-1, ::-1]
    except np.linalg.LinAlgError:
        raise QuantizeError("Beam: the precision matrix is positive definite, got another one.") from None
    return np.linalg.inv(reverse).T


def beam(
    mean: Vector,
    lower: NDArray[np.float64],
    steps: Vector,
    symbol_nats: NDArray[np.float64],
    block: int,
    width: int,
    prior_scale: float | None = None,
    state: int | None = None,
) -> Rounded:
    """Round the first `block` of the free coefficients.

    Args:
        mean: (m,). lower: L of the precision (m, m). steps: (m,).
        symbol_nats: price of the integer q at column q + Q, (m, 2 Q + 1); under a trellis for h = 0 and 1,
            (2, m, 2 Q + 1).
        block: b <= m. width: survivors kept.
        prior_scale: s where the precision already contains a prior N(0, s^2), whose share is taken out again so that
            the rate is not counted twice; None where it does not.
        state: of the trellis before the first coefficient; None where there is no trellis.

    Raises: QuantizeError where no survivor can follow with |q| <= Q.
    """
    reach = symbol_nats.shape[-1] // 2
    share = 0.0 if prior_scale is None else 0.5 / prior_scale**2
    prices = symbol_nats.reshape(-1, *symbol_nats.shape[-2:])  # (1 or 2, m, 2 Q + 1)
    place = np.tile(mean[:block], (1, 1))  # (k, b): where each survivor would like its coefficients
    cost = np.zeros(1)
    states = np.full(1, state or 0)
    chosen: list[NDArray[np.int64]] = []
    parents: list[NDArray[np.int64]] = []
    for i in range(block):
        wish = place[:, i]
        if not (np.abs(wish) <= steps[i] * (reach + 1)).any():
            raise QuantizeError(
                f"Beam: coefficient {i} asks for symbols within {reach}, got {np.abs(wish).min() / steps[i]:.0f}. "
                "Use larger steps (kap) or a larger prior scale."
            )
        h = states >> 1
        q, repeated = _nearest(wish / steps[i], reach) if state is None else _four(wish / steps[i] - h / 2, reach)
        x = (q + h[:, None] / 2) * steps[i]
        nats = (x - wish[:, None]) ** 2 / (2 * lower[i, i] ** 2) + prices[h[:, None], i, q + reach] - share * x**2
        total = (cost[:, None] + np.where(repeated, np.inf, nats)).ravel()
        kept = _smallest(total, width)
        parent = kept // 4
        symbol = q.ravel()[kept]
        z = (x.ravel()[kept] - wish[parent]) / lower[i, i]
        place = place[parent]
        place[:, i + 1 :] += z[:, None] * lower[i + 1 : block, i]
        cost = total[kept]
        states = states[parent] if state is None else _NEXT[states[parent], symbol & 1]
        chosen.append(symbol)
        parents.append(parent)
    order = np.argsort(cost, kind="stable")
    integers = _trace_back(chosen, parents, order)
    rounded = (integers if state is None else integers + halves(integers, state) / 2) * steps[:block]
    z = np.linalg.solve(lower[:block, :block], (rounded - mean[:block]).T)  # (b, k)
    return Rounded(integers, cost[order], mean[block:] + (lower[block:, :block] @ z).T)


def _nearest(wish: Vector, reach: int) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """The nearest integer, its neighbours and zero, (k, 4), cut to the alphabet; and which stand there already."""
    nearest = np.clip(np.rint(wish), -reach, reach).astype(np.int64)
    q = np.clip(np.stack([nearest - 1, nearest, nearest + 1, np.zeros_like(nearest)], 1), -reach, reach)
    repeated = q == q[:, 1:2]
    repeated[:, 1] = False
    repeated[:, 3] = (q[:, :3] == 0).any(1)
    return q, repeated


def _four(wish: Vector, reach: int) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """The four nearest integers, (k, 4), moved into the alphabet as a whole; none stands there twice."""
    lowest = np.clip(np.floor(wish) - 1, -reach, reach - 3).astype(np.int64)
    q = lowest[:, None] + np.arange(4)
    return q, np.zeros_like(q, dtype=bool)


def _smallest(values: Vector, count: int) -> NDArray[np.int64]:
    finite = np.flatnonzero(np.isfinite(values))
    if len(finite) == 0:
        raise QuantizeError("Beam: costs are finite, got none; the mean or the precision is not usable.")
    if len(finite) <= count:
        return finite
    return finite[np.argpartition(values[finite], count)[:count]]


def _trace_back(
    chosen: list[NDArray[np.int64]], parents: list[NDArray[np.int64]], last: NDArray[np.int64]
) -> NDArray[np.int32]:
    """Follow survivors back to their first symbol: (k, b)."""
    integers = np.zeros((len(last), len(chosen)), np.int32)
    place = last
    for i in reversed(range(len(chosen))):
        integers[:, i] = chosen[i][place]
        place = parents[i][place]
    return integers
