"""The three inversions behind every bound, each returning its OUTER end, certified in ball arithmetic.

All look for the root of a function that is convex and increasing in p. Newton's step from the right of
such a root never crosses it, so the search walks inward from an upper bound; a step is kept only where a
ball proves that the new p is still on the outer side. What rounding spoils makes the answer larger, never
smaller.
"""

import functools
import math
from collections.abc import Callable

from flint import arb

from ..errors import BoundError
from .balls import check, check_count, log_inverse, nats_of, working

BELOW_ONE = math.nextafter(1.0, 0.0)
UNIT = 2.0**-53  # relative error of one float64 operation
START_BITS = 20
NEGLIGIBLE = 2.0**-56  # share of the sum at which the remaining terms are bounded instead of added
MAX_TERMS = 1 << 20


def kl_inverse_upper(rate: float | arb, nats: float | arb) -> float:
    """Return an upper end of { p >= rate : kl(rate || p) <= nats }.

    kl(q || p) = q ln(q/p) + (1-q) ln((1-q)/(1-p)). A ball stands for its least favourable point.

    Args: rate: in [0, 1]. nats: >= 0.

    Returns: float64 p with kl(rate || p) > nats proved, or 1.0; the true end is a few units in the last place below.

    Raises: BoundError outside the ranges.

    >>> kl_inverse_upper(0.1, 0.05) - 0.220078601 < 1e-9
    True
    """
    with working():
        q, c = arb(rate), arb(nats)
        if not (q >= 0 and q <= 1):
            raise BoundError(f"kl_inverse_upper: rate lies in [0, 1], got {rate}. Divide the errors by n.")
        if not (c >= 0 and c.is_finite()):
            raise BoundError(f"kl_inverse_upper: nats is finite and >= 0, got {nats}.")
        if not q < 1:
            return 1.0

        def outside(p: float) -> tuple[arb, float]:
            ball = arb(p)
            # kl also grows to the left of q: there it proves nothing about the upper end
            if not ball > q:
                return arb(-1), 1.0
            gap = _kl(q, ball) - c
            return gap, float(ball - q) / (p * (1.0 - p))

        return _outer_root(_above_kl_root(float(q), float(c)), outside)


def binomial_tail_inverse(errors: int, n: int, bits: float, delta: float) -> float:
    """Return an upper end of { p : P[Bin(n, p) <= errors] >= delta 2^-bits }: Clopper-Pearson at level delta 2^-bits.

    The level is carried as bits * ln 2 + ln(1/delta) and never formed, so it cannot underflow.
    ln P[Bin(n,p) <= k] = ln pmf(k) + ln S, with S the sum of pmf(k-i)/pmf(k): ln pmf as a ball, S in
    float64 rounded up, its terms falling at least geometrically.

    Args: errors: k, an integer in [0, n]. n: examples. bits: >= 0. delta: in (0, 1).

    Returns: float64 p at which the tail is proved to be below the level; 1.0 for errors = n.

    Raises: BoundError outside the ranges.

    Reference: Clopper and Pearson 1934; Langford 2005, "Tutorial on practical prediction theory for
    classification", Definition 3.2.

    >>> binomial_tail_inverse(1, 10, 0, 0.05) - 0.394163302 < 1e-9
    True
    """
    check("binomial_tail_inverse", errors, n, bits, delta)
    check_count("binomial_tail_inverse", errors)
    return _binomial_tail_inverse(errors, n, bits, delta)


@functools.lru_cache(maxsize=1024)
def _binomial_tail_inverse(errors: int, n: int, bits: float, delta: float) -> float:
    """The same of checked arguments, kept: whoever issues, checks and tells a certificate asks for it again."""
    if errors == n:
        return 1.0
    with working():
        level = nats_of(bits) + log_inverse(delta)
        log_choose = log_binomial(n, errors)

        def outside(p: float) -> tuple[arb, float]:
            ratio_sum = _descending_ratio_sum(errors, n, p)
            log_pmf = _log_pmf(log_choose, errors, n, p)
            return -level - log_pmf - arb(ratio_sum).log(), (n - errors) / ((1.0 - p) * ratio_sum)

        # Chernoff: ln P[Bin(n,p) <= k] <= -n kl(k/n || p), so the kl root is never inside
        return _outer_root(min(kl_inverse_upper(arb(errors) / n, level / n), BELOW_ONE), outside)


def preference_inverse(k: int, n: int, bits: float, delta: float) -> float:
    """Return an upper end of the e in (k/n, 1] at which n e P[Bin(n, e) = k] = delta 2^-bits P[Bin(n, e) >= k + 1].

    The published form of the same equation, (delta/n) sum_{m=k..n-1} C(m,k)/C(n,k) (1-e)^-(n-m) = 1, shows that there
    is one root: every term grows with e, and ln of the sum is convex in -ln(1 - e), hence in e. The upper tail is
    1 - P[Bin <= k] where the lower one is at most a half, and a sum of its own where it is more.

    Args: k: an integer in [0, n]. n: examples. bits: >= 0. delta: in (0, 1).

    Returns: float64 e at which the left side is proved to be below the right; 1.0 for k = n.

    Raises: BoundError outside the ranges.

    Reference: Paccagnan et al. 2025 (arXiv 2512.04781); Campi and Garatti 2023, "Compression, generalization and
    learning", JMLR 24 (339), the theorem under the preference property.

    >>> abs(preference_inverse(9, 10, 0, 0.05) - (1 - 0.05 / 10**2)) < 1e-12
    True
    """
    check("preference_inverse", k, n, bits, delta)
    check_count("preference_inverse", k)
    if k == n:
        return 1.0
    with working():
        level = nats_of(bits) + log_inverse(delta)
        log_choose = log_binomial(n, k)

        def outside(e: float) -> tuple[arb, float]:
            log_pmf = _log_pmf(log_choose, k, n, e)
            ratio = _upper_tail_ratio(k, n, e, log_pmf)
            gap = -level + ratio.log() - (n * arb(e)).log()
            inverse = 1.0 / float(ratio) if ratio > 0 else 0.0
            # a mean of the exponents n - m over 1 - e, so at least 1
            return gap, max(1.0, (n - k) / (1.0 - e) * (1.0 + inverse) - (k + 1) / e)

        # where exp(-n kl(k/n || e)) = delta/(2n) the left side is at most e delta/2 and the tail at least 1/2
        start = kl_inverse_upper(arb(k) / n, (level + (2 * arb(n)).log()) / n)
        return _outer_root(min(start, BELOW_ONE), outside)


def log_binomial(n: int, k: int) -> arb:
    """Return ln C(n, k) as a ball."""
    return arb(n + 1).lgamma() - arb(k + 1).lgamma() - arb(n - k + 1).lgamma()


def _log_pmf(log_choose: arb, k: int, n: int, p: float) -> arb:
    """Return ln P[Bin(n, p) = k] as a ball, given ln C(n, k)."""
    return log_choose + arb(k) * arb(p).log() + arb(n - k) * (1 - arb(p)).log()


def _upper_tail_ratio(k: int, n: int, p: float, log_pmf: arb) -> arb:
    """Return a lower bound of P[Bin(n, p) >= k + 1] / P[Bin(n, p) = k], where p > k/n; whichever tail is accurate."""
    lower_tail = log_pmf.exp() * arb(_descending_ratio_sum(k, n, p))
    if lower_tail < 0.5:
        return (1 - lower_tail) / log_pmf.exp()
    return arb(_ascending_ratio_sum(k, n, p))


def _outer_root(start: float, outside: Callable[[float], tuple[arb, float]]) -> float:
    """Walk from `start` towards the root; return the smallest p proved outside, or 1.0.

    outside(p) -> (gap, slope): a ball that is positive only where p lies outside, and its derivative.
    """
    outer, trial, push = 1.0, start, 1.0
    while trial < outer:
        gap, slope = outside(trial)
        if gap > 0:
            outer = trial
            trial = max(trial - float(gap) / slope, math.ulp(0.0))
        else:
            # the push doubles and never shrinks, which ends the loop
            trial += push * math.ulp(trial)
            push *= 2.0
    return outer


def _kl(q: arb, p: arb) -> arb:
    at_zero = -(1 - q) * (1 - p).log() + (1 - q) * (1 - q).log()
    return at_zero if q == 0 else at_zero + q * (q / p).log()


def _above_kl_root(q: float, c: float) -> float:
    """Return a starting point above the root: the better of Pinsker and dropping q ln(1/p), with 20 bits.

    So few bits are the same whichever library took the logarithm; `walks` starts there too.
    """
    entropy = -(1.0 - q) * math.log1p(-q) - (q * math.log(q) if q > 0.0 else 0.0)
    start = min(q + math.sqrt(c / 2.0), -math.expm1(-(c + entropy) / (1.0 - q)))
    mantissa, exponent = math.frexp(start)
    return min(math.ldexp(math.ceil(mantissa * 2.0**START_BITS), exponent - START_BITS), BELOW_ONE)


def _descending_ratio_sum(k: int, n: int, p: float) -> float:
    """Return an upper bound of sum_{i=0..k} pmf(k-i)/pmf(k) of Bin(n, p), infinity where float64 cannot hold it.

    Successive ratios (k-i)(1-p)/((n-k+i+1)p) fall with i, so what follows a term t with next ratio r < 1
    is at most t r/(1-r). After N terms at most 6N float64 roundings have entered.
    """
    if k == 0:
        return 1.0
    odds = (1.0 - p) / p
    total = term = 1.0
    ratio = 0.0
    for i in range(k):
        ratio = (k - i) / (n - k + i + 1) * odds
        if (ratio < 1.0 and term * ratio < (1.0 - ratio) * NEGLIGIBLE * total) or i == MAX_TERMS:
            break
        term *= ratio
        total += term
    else:
        i, ratio = k, 0.0
    room = 1.0 - ratio * (1.0 + 16.0 * UNIT)
    if room <= 0.0 or not math.isfinite(total):
        return math.inf
    remainder = 2.0 * term * ratio / room
    return (total + remainder) * (1.0 + 8.0 * (i + 8) * UNIT)


def _ascending_ratio_sum(k: int, n: int, p: float) -> float:
    """Return a lower bound of sum_{i=1..n-k} pmf(k+i)/pmf(k) of Bin(n, p): what is left out is positive."""
    odds = p / (1.0 - p)
    total, term = 0.0, 1.0
    for i in range(1, min(n - k, MAX_TERMS) + 1):
        term *= (n - k - i + 1) / (k + i) * odds
        total += term
        if term < NEGLIGIBLE * total / n:
            break
    return total * (1.0 - 8.0 * (i + 8) * UNIT)
