"""Theorems that are computed for a whole array at once: their numbers as pairs of float64, then one walk for all."""

from collections.abc import Callable, Sequence

import numpy as np
from flint import arb
from numpy.typing import NDArray

from .balls import working
from .doubled import Column, Doubled, exact, log, over, plus, times
from .pac_bayes import log_xi
from .walks import binomial_inverses, kl_inverses

_BLOCK = 1 << 13  # places at a time: their arrays stay in the cache
_EXACT = 2.0**53  # whole numbers from here on are not all float64

Together = Callable[[Sequence[NDArray[np.generic]], object], Column]
Nats = Callable[[Column, Doubled], Doubled]  # n and bits ln 2 + ln(1/delta) -> what kl is compared with, times n
Inverses = Callable[[Column, Column, Doubled], Column]  # errors, n, bits ln 2 + ln(1/delta)


def _by(inverses: Inverses, whole: bool = False, signed: bool = False, no_bits: bool = False) -> Together:
    """Return the function of (errors, n, bits), delta: nan where its conditions fail, for the theorem to refuse.

    whole: errors are counted. signed: bits may be negative. no_bits: they are 0.
    """

    def together(numbers: Sequence[NDArray[np.generic]], delta: object) -> Column:
        value = np.full(numbers[0].size, np.nan)
        if not isinstance(delta, float) or not 0.0 < delta < 1.0 or any(one.dtype.kind not in "iuf" for one in numbers):
            return value
        errors, n, bits = (one.astype(np.float64) for one in numbers)
        usable = (errors >= 0) & (errors <= n) & (n >= 1) & (n == np.floor(n)) & (n < _EXACT) & (np.abs(bits) < _EXACT)
        usable &= (errors == np.floor(errors)) | (not whole)
        usable &= (bits == 0) if no_bits else (bits >= 0) | signed
        rows = np.flatnonzero(usable)
        with working(), np.errstate(all="ignore"):
            two, rest = Doubled.of(arb(2).log()), Doubled.of(-arb(delta).log())
            for start in range(0, rows.size, _BLOCK):
                at = rows[start : start + _BLOCK]
                value[at] = inverses(errors[at], n[at], plus(times(exact(bits[at]), two), rest))
        return value

    return together


def _by_kl(more: Nats) -> Inverses:
    return lambda errors, n, level: kl_inverses(over(exact(errors), n), over(more(n, level), n))


def _binomial(errors: Column, n: Column, level: Doubled) -> Column:
    value = np.ones_like(errors)
    rows = np.flatnonzero(errors < n)
    k, m = errors[rows], n[rows]
    above, chosen, left = (_log_gammas(one + 1.0) for one in (m, k, m - k))
    log_choose = plus(plus(above, -chosen), -left)
    value[rows] = binomial_inverses(k, m, level[rows], log_choose, above.high + chosen.high + left.high)
    return value


def _log_gammas(x: Column) -> Doubled:
    return _for_each(x, lambda one: arb(one).lgamma())


def _for_each(x: Column, function: Callable[[float], arb]) -> Doubled:
    """Evaluate a ball at the different values of x."""
    values, places = np.unique(x, return_inverse=True)
    made = [Doubled.of(function(one)) for one in values.tolist()]
    return Doubled(np.array([one.high for one in made]), np.array([one.low for one in made]))[places]


def _with_root(n: Column, level: Doubled) -> Doubled:
    """Add ln(2 sqrt(n))."""
    two = Doubled.of(arb(2).log())
    return plus(plus(over(log(exact(n)), np.float64(2.0)), two), level)  # type: ignore[arg-type]


def _with_xi(n: Column, level: Doubled) -> Doubled:
    return plus(_for_each(n, lambda one: log_xi(int(one))), level)


def _drawn(n: Column, level: Doubled) -> Doubled:
    nats = _with_root(n, level)
    return Doubled(np.maximum(nats.high, 0.0), np.where(nats.high > 0.0, nats.low, 0.0))


TOGETHER: dict[str, Together] = {
    "occam_kl": _by(_by_kl(lambda n, level: level)),
    "pac_bayes_kl": _by(_by_kl(_with_root)),
    "pac_bayes_kl_xi": _by(_by_kl(_with_xi)),
    "single_draw": _by(_by_kl(_drawn), signed=True),
    "occam_binomial": _by(_binomial, whole=True),
    "test_set": _by(_binomial, whole=True, no_bits=True),
}
