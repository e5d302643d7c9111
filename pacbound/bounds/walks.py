"""The walks of `inversion` on whole arrays: the same float64 at each place, or nan where pairs cannot decide.

Each step repeats the scalar one: the sign of the gap and the next float64 must be the same at both ends of an interval
that holds the gap, and then they are those of the ball. Where they differ the caller asks the scalar function.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from .doubled import Column, Doubled, exact, log, minus, one_minus, over, plus, times
from .inversion import BELOW_ONE, MAX_TERMS, NEGLIGIBLE, START_BITS, UNIT

Rows = NDArray[np.intp]
# rows and p -> the gap, the most that it is wrong by, the slope (nan where its rounding is in doubt)
Outside = Callable[[Rows, Column], tuple[Doubled, Column, Column]]

_WRONG = 2.0**-94  # of the magnitudes that went into a gap, at most: sixteen times what its operations lose
_TINY = 1e-200  # below it the low parts of products underflow
_EVERY = 8  # terms after which finished rows leave a sum


def kl_inverses(q: Doubled, c: Doubled) -> Column:
    """Return kl_inverse_upper(q, c) at each place.

    Args: q: (m,) rates in [0, 1], exact or to 100 bits. c: (m,) nats >= 0, likewise.
    """
    rest = plus(exact(np.ones_like(q.high)), -q)
    inner = (q.high > _TINY) & (rest.high > _TINY)
    entropy = plus(_weighted_log(q, inner), _weighted_log(rest, inner))
    constant = minus(entropy, c)
    magnitude = np.abs(entropy.high) + c.high

    def outside(rows: Rows, p: Column) -> tuple[Doubled, Column, Column]:
        here, other, left = q[rows], rest[rows], one_minus(p)
        first, second = times(here, log(exact(p))), times(other, log(left))
        gap = minus(minus(constant[rows], first), second)
        wrong = _WRONG * (magnitude[rows] + np.abs(first.high) + np.abs(second.high))
        beyond = minus(exact(p), here)
        doubt = _WRONG * (p + here.high)
        clear = (beyond.high + (beyond.low - doubt)) == (beyond.high + (beyond.low + doubt))
        slope = np.where(clear, beyond.high / (p * (1.0 - p)), np.nan)
        within = beyond.high <= 0.0  # kl also grows to the left of q
        return Doubled(np.where(within, -1.0, gap.high), np.where(within, 0.0, gap.low)), wrong, slope

    found = _walk(_kl_starts(q.high, rest.high, entropy.high, c.high), outside)
    usable = (inner | (q.high == 0.0)) & (c.high > _TINY)
    return np.where(rest.high == 0.0, 1.0, np.where(usable, found, np.nan))


def binomial_inverses(k: Column, n: Column, level: Doubled, log_choose: Doubled, magnitude: Column) -> Column:
    """Return binomial_tail_inverse at each place.

    Args: k, n: (m,) whole numbers, 0 <= k < n. level: (m,) bits ln 2 + ln(1/delta). log_choose: (m,) ln C(n, k).
        magnitude: (m,) of the terms that log_choose is a difference of.
    """
    start = kl_inverses(over(exact(k), n), over(level, n))

    def outside(rows: Rows, p: Column) -> tuple[Doubled, Column, Column]:
        k_, n_ = k[rows], n[rows]
        ratio_sum = _descending_ratio_sums(k_, n_, p)
        first, second = times(exact(k_), log(exact(p))), times(exact(n_ - k_), log(one_minus(p)))
        log_pmf = plus(plus(log_choose[rows], first), second)
        last = log(exact(ratio_sum))
        gap = minus(minus(-level[rows], log_pmf), last)
        sizes = magnitude[rows] + level.high[rows] + np.abs(first.high) + np.abs(second.high) + last.high
        return gap, _WRONG * sizes, (n_ - k_) / ((1.0 - p) * ratio_sum)

    return _walk(np.minimum(start, BELOW_ONE), outside)


def _walk(start: Column, outside: Outside) -> Column:
    """Walk as `inversion._outer_root` from each start; nan where a start is nan or a step is in doubt."""
    outer, trial, push = np.ones_like(start), start.copy(), np.ones_like(start)
    outer[~(trial > _TINY)] = np.nan
    rows = np.flatnonzero(trial < outer)
    while rows.size:
        p = trial[rows]
        gap, wrong, slope = outside(rows, p)
        least, most = gap.high + (gap.low - wrong), gap.high + (gap.low + wrong)
        proved, refuted = least > 0.0, most < 0.0
        inward = np.maximum(p - least / slope, np.spacing(0.0))
        sure = (refuted | (proved & (inward == np.maximum(p - most / slope, np.spacing(0.0))))) & (inward > _TINY)
        outer[rows] = np.where(sure, np.where(proved, p, outer[rows]), np.nan)
        trial[rows] = np.where(proved, inward, p + push[rows] * np.spacing(p))
        push[rows] = np.where(proved, push[rows], 2.0 * push[rows])
        rows = rows[trial[rows] < outer[rows]]  # never where outer is nan
    return outer


def _kl_starts(q: Column, rest: Column, entropy: Column, c: Column) -> Column:
    """Return `inversion._above_kl_root`; nan where other logarithms might round to other bits."""
    start = np.minimum(q + np.sqrt(c / 2.0), -np.expm1(-(c - entropy) / np.maximum(rest, _TINY)))
    mantissa, exponent = np.frexp(start)
    few = mantissa * 2.0**START_BITS
    doubt = 2.0**-20
    found = np.minimum(np.ldexp(np.ceil(few), exponent - START_BITS), BELOW_ONE)
    return np.where(np.ceil(few - doubt) == np.ceil(few + doubt), found, np.nan)


def _weighted_log(x: Doubled, usable: NDArray[np.bool_]) -> Doubled:
    """Return x ln x, and 0 where x is not usable."""
    safe = Doubled(np.where(usable, x.high, 1.0), np.where(usable, x.low, 0.0))
    return times(safe, log(safe))


def _descending_ratio_sums(k: Column, n: Column, p: Column) -> Column:
    """Return `inversion._descending_ratio_sum` at each place, from the same operations in the same order."""
    odds = (1.0 - p) / p
    result = np.ones_like(p)
    rows = np.flatnonzero(k > 0)
    total = term = np.ones_like(rows, dtype=np.float64)
    k_, below, odds = k[rows], (n - k)[rows] + 1.0, odds[rows]
    open_ = np.ones(rows.size, dtype=bool)
    i = 0
    while rows.size:
        ratio = (k_ - i) / (below + i) * odds
        grown = term * ratio
        room = 1.0 - ratio
        ended = open_ & (((ratio < 1.0) & (grown < room * NEGLIGIBLE * total)) | (i == MAX_TERMS) | (i == k_))
        if ended.any():
            at, last = rows[ended], np.where(i == k_[ended], 0.0, ratio[ended])
            room_ = 1.0 - last * (1.0 + 16.0 * UNIT)
            remainder = 2.0 * term[ended] * last / room_
            sums = (total[ended] + remainder) * (1.0 + 8.0 * (i + 8) * UNIT)
            result[at] = np.where((room_ <= 0.0) | ~np.isfinite(total[ended]), np.nan, sums)
            open_ &= ~ended
        if i % _EVERY == 0 and not open_.all():
            rows, k_, below = rows[open_], k_[open_], below[open_]
            odds, grown, total = odds[open_], grown[open_], total[open_]
            open_ = np.ones(rows.size, dtype=bool)
        term = grown
        total = total + term
        i += 1
    return result
