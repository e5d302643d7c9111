"""Arrays of double-double numbers: pairs of float64 whose exact sum carries about 104 bits.

Every operation is float64 without fused steps, so it is the same on every machine. The relative error of one is below
2^-98, that of `log` too where the argument is exact; users add them up and leave a factor of 16.

Reference: Dekker 1971, "A floating-point technique for extending the available precision"; Hida, Li and Bailey 2001,
"Algorithms for quad-double precision floating point arithmetic".
"""

from dataclasses import dataclass
from functools import cache
from typing import Any, Self

import numpy as np
from flint import arb
from numpy.typing import NDArray

from .balls import working

Column = NDArray[np.float64]
_SPLIT = 134217729.0  # 2^27 + 1
_TABLE = 1 << 12  # reciprocals of the logarithm: what is left of the argument is below 2^-12


@dataclass(frozen=True, slots=True)
class Doubled:
    """The number high + low, where |low| is at most half a unit in the last place of high."""

    high: Column
    low: Column

    @classmethod
    def of(cls, value: arb) -> Self:
        """Round a ball's middle."""
        high = float(value)
        return cls(np.float64(high), np.float64(float(value - arb(high))))  # type: ignore[arg-type]

    def __getitem__(self, at: NDArray[Any]) -> "Doubled":
        """Return the numbers at places of the arrays."""
        return Doubled(self.high[at], self.low[at])

    def __neg__(self) -> "Doubled":
        """Return minus the number."""
        return Doubled(-self.high, -self.low)


def exact(values: Column) -> Doubled:
    """Return float64 values as they are."""
    return Doubled(values, np.zeros_like(values))


def plus(a: Doubled, b: Doubled) -> Doubled:
    """Return a + b, the error relative to the larger of |a| and |b|."""
    high, low = _two_sum(a.high, b.high)
    return _renormalised(high, low + (a.low + b.low))


def minus(a: Doubled, b: Doubled) -> Doubled:
    """Return a - b, the error relative to the larger of |a| and |b|."""
    return plus(a, -b)


def times(a: Doubled, b: Doubled) -> Doubled:
    """Return a b."""
    high, low = _two_product(a.high, b.high)
    return _renormalised(high, low + (a.high * b.low + a.low * b.high))


def over(a: Doubled, b: Column) -> Doubled:
    """Return a / b for float64 b."""
    first = a.high / b
    high, low = _two_product(first, b)
    return _renormalised(first, ((a.high - high) - low + a.low) / b)


def one_minus(p: Column) -> Doubled:
    """Return 1 - p, exactly."""
    return Doubled(*_two_sum(np.ones_like(p), -p))


def log(x: Doubled) -> Doubled:
    """Return ln x for x > 0; relative to |ln x| where x is near 1, and to 1 elsewhere, the error is below 2^-98.

    x = 2^e m with m in [1/2, 1); a table has r near 1/m with few bits and ln r, so that z = m r - 1 is small and
    known exactly; ln(1 + z) is a series of which the first terms are pairs. r = 1 next to m = 1.
    """
    mantissa, exponent = np.frexp(x.high)
    reciprocals, high, low, two = _table()
    place = np.minimum(((mantissa - 0.5) * (2 * _TABLE) + 0.5).astype(np.int64), _TABLE)
    r = reciprocals[place]
    top, rest = _two_product(mantissa, r)
    z = _renormalised(top - 1.0, rest + np.ldexp(x.low, -exponent) * r)
    # z - z^2/2 + z^3/3 - ...: from the fifth term on float64 suffices, |z|^4 < 2^-48
    tail = z.high * (1 / 5 + z.high * (-1 / 6 + z.high * (1 / 7 + z.high * (-1 / 8 + z.high / 9))))
    series = plus(_fraction(-1, 4), exact(tail))
    series = plus(_fraction(1, 3), times(series, z))
    series = plus(_fraction(-1, 2), times(series, z))
    series = plus(z, times(times(z, z), series))
    whole = times(exact(exponent.astype(np.float64)), two)
    return plus(minus(whole, Doubled(high[place], low[place])), series)


def _two_sum(a: Column, b: Column) -> tuple[Column, Column]:
    total = a + b
    other = total - a
    return total, (a - (total - other)) + (b - other)


def _renormalised(high: Column, low: Column) -> Doubled:
    total = high + low
    return Doubled(total, low - (total - high))


def _two_product(a: Column, b: Column) -> tuple[Column, Column]:
    product = a * b
    a_high, b_high = a * _SPLIT, b * _SPLIT
    a_high, b_high = a_high - (a_high - a), b_high - (b_high - b)
    a_low, b_low = a - a_high, b - b_high
    return product, ((a_high * b_high - product) + a_high * b_low + a_low * b_high) + a_low * b_low


@cache
def _fraction(above: int, below: int) -> Doubled:
    with working():
        return Doubled.of(arb(above) / below)


@cache
def _table() -> tuple[Column, Column, Column, Doubled]:
    """r near 1/m at m = 1/2, ..., 1, with ln r as pairs, and ln 2."""
    with working():
        middles = 0.5 + np.arange(_TABLE + 1) / (2 * _TABLE)
        reciprocals = np.round(2.0**20 / middles) / 2.0**20
        logs = [Doubled.of(arb(r).log()) for r in reciprocals.tolist()]
        high, low = np.array([one.high for one in logs]), np.array([one.low for one in logs])
        return reciprocals, high, low, Doubled.of(arb(2).log())
