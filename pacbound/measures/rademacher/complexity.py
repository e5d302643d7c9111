"""Rademacher complexity of a class of networks: two closed forms, Dudley's integral, and the bound they give.

Empirical Rademacher complexity R_S of the ramp losses F_gamma, in [0, 1], over the n examples of S. Graf et al.
2022, "On measuring excess capacity in neural networks", arXiv:2202.08070, Theorem 3.5 (here `club` and `spade`).
As published c = 4. Proved here with c = sqrt 2: the margin is a minimum of functionals of constant sqrt 2, and
projecting the centres of a cover onto the convex set of allowed kernels keeps its radius.
"""

import math
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Final

import numpy as np
from flint import arb

from ...bounds.balls import rounded_up, working
from .capacity import Covered, NetworkClass, covered_layers

PUBLISHED: Final = Fraction(16)  # c^2
PROVED: Final = Fraction(2)
PUBLISHED_PSI: Final = 2.7
PSI_TERMS: Final = 1000
PSI_LIMIT: Final = 1 << 20  # beyond it the supremum 2 stands for psi
GRID: Final = 400
FLOAT_SLACK: Final = 1e-9  # relative, for the sums of Dudley's integral in float64
SHARES: Final = (0.0, 0.5, 2 / 3, 1.0)  # radii proportional to Ct^q


@dataclass(frozen=True)
class Complexity:
    """Upper bounds of one R_S, rounded up; all hold, so that the smallest does. inf where too large for a double."""

    club: float
    spade: float
    dudley: float

    @property
    def value(self) -> float:
        """The smallest of the three."""
        return min(self.club, self.spade, self.dudley)


def published_complexity(network: NetworkClass, data_norm: float, n: int, gamma: float) -> Complexity:
    """Bound R_S(F_gamma) by both forms of the theorem as published: c = 4, psi < 2.7. Not what certificates use.

    Args: data_norm: ||X||, square root of the sum of squares over the sample. n: examples. gamma: margin.
    Raises: BoundError outside the ranges.
    """
    covered = covered_layers(network, data_norm, n, gamma, PUBLISHED)
    return Complexity(club(covered, n), spade(covered, n, PUBLISHED_PSI), math.inf)


def complexity(network: NetworkClass, data_norm: float, n: int, gamma: float) -> Complexity:
    """Bound R_S(F_gamma) with c = sqrt 2: both closed forms with the exact psi, and Dudley's integral itself.

    Assumes: kernels in the class, whose start does not depend on S; zero or circular padding; maps of 0 to 0.
    Rounds: up; ceilings are exact.
    Raises: BoundError outside the ranges.
    """
    covered = covered_layers(network, data_norm, n, gamma, PROVED)
    return Complexity(club(covered, n), spade(covered, n), dudley(covered, n))


def club(covered: tuple[Covered, ...], n: int) -> float:
    """4/n + 12 H_{n-1} / sqrt n * sqrt(ln 2W) * (sum_i ceil(Ct_i^(2/3)))^(3/2), W the largest layer."""
    if not covered:
        return 0.0
    total = sum(cube_root_up(layer.squared) for layer in covered)
    widest = max(layer.parameters for layer in covered)
    with working():
        harmonic = arb(n).digamma() + arb.const_euler()
        return rounded_up(
            arb(4) / n + 12 * harmonic / arb(n).sqrt() * arb(2 * widest).log().sqrt() * arb(total) * arb(total).sqrt()
        )


def spade(covered: tuple[Covered, ...], n: int, psi_bound: float | None = None) -> float:
    """12 / sqrt n * sqrt(sum_i 2 W_i (ln(1 + m_i) + psi(m_i))), m_i = ceil(L^2 Ct_i^2), L covered layers.

    psi_bound: a constant in place of the exact psi.
    """
    with working():
        total = arb(0)
        for layer in covered:
            m = math.ceil(len(covered) ** 2 * layer.squared)
            added = arb(psi_bound) if psi_bound is not None else arb(psi(m))
            total += 2 * layer.parameters * (arb(1 + m).log() + added)
        return rounded_up(12 / arb(n).sqrt() * total.sqrt()) if covered else 0.0


@lru_cache(maxsize=4096)
def psi(m: int) -> float:
    """sum_{j >= m} sqrt(m / j) ln((j + 2) / (j + 1)) for m >= 1, rounded up; 0 for m = 0; below 2.

    The tail of a convex function is below its integral from half a step earlier, which has a closed form.
    """
    if m == 0:
        return 0.0
    if m >= PSI_LIMIT:
        return 2.0
    with working():
        end = m + PSI_TERMS
        total = arb(0)
        for j in range(m, end):
            total += (arb(j + 2) / (j + 1)).log() / arb(j).sqrt()
        return min(2.0, rounded_up(arb(m).sqrt() * (total + _tail(arb(2 * end - 1) / 2))))


def _tail(a: arb) -> arb:
    """Integral from a to infinity of ln((x + 2) / (x + 1)) / sqrt x, by parts."""
    roots = 4 * arb(2).sqrt() * (2 / a).sqrt().atan() - 4 * (1 / a.sqrt()).atan()
    return roots - 2 * a.sqrt() * ((a + 2) / (a + 1)).log()


def cube_root_up(value: Fraction) -> int:
    """Smallest integer whose cube is at least `value`, exactly."""
    target = math.ceil(value)
    low, high = 0, 1 << (target.bit_length() // 3 + 1)
    while low < high:
        middle = (low + high) // 2
        if middle**3 >= target:
            high = middle
        else:
            low = middle + 1
    return low


def dudley(covered: tuple[Covered, ...], n: int) -> float:
    """min over a of 4 a + 12 / sqrt n * integral_a^1 sqrt(ln N(u)) du, radii in units of sqrt n.

    ln N(u) <= sum_i ln C(2 W_i + k_i - 1, k_i), k_i = ceil(Ct_i^2 / u_i^2), and k_i = 0 where Ct_i <= u_i: one
    centre then covers the layer. Any split u = sum u_i is allowed; a few powers of Ct_i are tried at each u. The
    integrand falls with u, so that the sum over left ends of a grid is above the integral.
    Rounds: up, by a relative slack of 1e-9.
    """
    if not covered:
        return 0.0
    squared = [_float_up(layer.squared) for layer in covered]
    if not all(math.isfinite(value) for value in squared):
        return math.inf
    scales = np.sqrt(np.array(squared)) * (1 + FLOAT_SLACK)
    sizes = np.array([layer.parameters for layer in covered], dtype=np.float64)
    lowest = min(1e-6, 0.1 / n)
    radii = np.geomspace(lowest, 1.0, GRID)
    entropies = np.sqrt(entropy(scales, sizes, radii[:-1])) * (1 + FLOAT_SLACK)  # at left ends
    pieces = entropies * np.diff(radii)
    behind = np.concatenate([np.cumsum(pieces[::-1])[::-1], [0.0]])  # integral from each radius to 1
    totals = 4 * radii + 12 / math.sqrt(n) * behind
    return float(totals.min()) * (1 + FLOAT_SLACK)


def entropy(scales: np.ndarray, sizes: np.ndarray, radii: np.ndarray) -> np.ndarray:
    """Smallest ln N over the splits tried, at each radius, shape (radii,). Args: scales, sizes: (layers,)."""
    best = np.full(len(radii), np.inf)
    for power in SHARES:
        logs = power * np.log(scales)
        shares = np.exp(logs - logs.max())
        shares = shares / shares.sum() * (1 - FLOAT_SLACK)
        own = radii[:, None] * shares[None]  # (radii, layers)
        with np.errstate(over="ignore"):
            terms = np.where(scales[None] <= own, 0.0, np.ceil((scales[None] / own) ** 2))
        best = np.minimum(best, _multisets(2 * sizes[None], terms).sum(axis=1))
    return best


def _multisets(kinds: np.ndarray, terms: np.ndarray) -> np.ndarray:
    """Upper bound of ln C(kinds + terms - 1, terms): entropy of a split of kinds + terms - 1, or terms ln kinds."""
    others = kinds - 1
    with np.errstate(divide="ignore", invalid="ignore"):
        split = terms * np.log1p(others / terms) + others * np.log1p(terms / others)
        split = np.where(np.isfinite(split), split, np.inf)
    return np.where(terms > 0, np.minimum(split, terms * np.log(kinds)), 0.0)


def _float_up(value: Fraction) -> float:
    try:
        return math.nextafter(float(value), math.inf)
    except OverflowError:
        return math.inf
