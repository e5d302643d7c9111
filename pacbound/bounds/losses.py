"""What the theorems about bounded losses need from (X, c, M): sums rounded up, one for each lambda. No logarithm of
numpy, whose accuracy nobody promises: products in float64, each correctly rounded, and one logarithm in a ball."""

import math
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Self
from zipfile import BadZipFile

import numpy as np
from flint import arb
from numpy.typing import ArrayLike, NDArray
from pydantic import Field, model_validator

from ..errors import BoundError, DataError
from ..records import Record
from .balls import rounded_up, working

_QUARTERS = (1.0, 1.189207115002721, 1.4142135623730951, 1.681792830507429)  # 2^0, 2^(1/4), 2^(1/2), 2^(3/4)


def quarter_powers(first: int, last: int) -> tuple[float, ...]:
    """Return 2^(j/4) for j = first, ..., last, the same float64 on every machine."""
    return tuple(math.ldexp(_QUARTERS[j % 4], j // 4) for j in range(first, last + 1))


# A menu written down before the data; lambda is paid inside the theorems, by ln 37.
LAMBDAS = quarter_powers(-40, -4)  # 2^-10, ..., 2^-1, in units of one over the loss

_BLOCK = 1 << 16  # positions at a time: the memory needed does not grow with the stream
_LARGEST = 2.0**40  # of any loss, centre or ceiling
_NEAR_ONE = 1.0 - 2.0**-20  # lambda (M - c) above it: rounding would be felt, and the bound is useless there
# what numpy.load says of other files, and of damaged ones
_UNREADABLE = (
    OSError,
    ValueError,
    EOFError,
    BadZipFile,
    TypeError,
    AttributeError,
    RuntimeError,
    MemoryError,
    zlib.error,
)

Column = NDArray[np.float64]


class LossSums(Record):
    """Sufficient statistics of losses X_i <= M_i around centres c_i, i = 1, ..., n; all sums rounded up.

    log_sums: for each lambda sum_i [c_i - ln(1 - lambda (X_i - c_i)) / lambda] in units of the loss, None where
    lambda (M_i - c_i) reaches 1. reach: max (M_i - c_i). losses, ceilings: sums of X_i and M_i. lowest: what no loss
    can be below. centre, ceiling: the one value of all c_i, of all M_i; None where they differ.
    """

    n: int = Field(ge=1)
    lambdas: tuple[float, ...] = Field(min_length=1)
    log_sums: tuple[float | None, ...]
    reach: float
    losses: float
    ceilings: float
    lowest: float
    centre: float | None
    ceiling: float | None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if len(self.log_sums) != len(self.lambdas) or min(self.lambdas) <= 0:
            raise ValueError("there is one log-sum for each lambda > 0")
        if any(total is not None and rate * self.reach >= 1 for rate, total in self.log_terms):
            raise ValueError("a log-sum stands only where lambda (M - c) < 1 at every position")
        if self.losses > self.ceilings or (self.ceiling is not None and self.ceiling < self.lowest):
            raise ValueError("no loss exceeds its ceiling or lies below the lowest")
        return self

    @property
    def log_terms(self) -> tuple[tuple[float, float | None], ...]:
        """Each lambda with its log-sum."""
        return tuple(zip(self.lambdas, self.log_sums, strict=True))


def loss_sums(
    x: ArrayLike, c: ArrayLike, m: ArrayLike, lowest: float = 0.0, lambdas: tuple[float, ...] = LAMBDAS
) -> LossSums:
    """Sum up losses x around centres c below ceilings m.

    y_i = 1 - lambda (x_i - c_i) is rounded down, and ln prod y_i taken in a ball; with n factors the rounding of the
    products is below n 2^-52 nats.

    Args: x: losses, one for each position, rounded up by whoever made them. c, m: as long as x, or one number for all
        positions. lowest: what no loss can be below; negative for differences of losses. lambdas: the grid, fixed
        before the data.

    Raises: BoundError for arrays that are empty, not one-dimensional, of different lengths or not finite, and for a
        loss outside [lowest, M].
    """
    losses = _column("X", x)
    size = losses.size
    centres, ceilings = _column("c", c, size), _column("M", m, size)
    if losses.ndim == 0 or not size:
        raise BoundError("losses: X holds one loss for each position and there is at least one, got none.")
    if not math.isfinite(lowest) or abs(lowest) > _LARGEST:
        raise BoundError(f"losses: lowest is what no loss can be below, a finite number, got {lowest!r}.")
    centres, ceilings = np.broadcast_to(centres, size), np.broadcast_to(ceilings, size)
    at = int(np.argmin(losses))
    if losses[at] < lowest:
        raise BoundError(
            f"losses: X at {at} is {losses[at]:.6g}, below the lowest possible loss {lowest:.6g}. A loss in bits "
            "is never negative; for differences of losses give `lowest`, the lower end of their range."
        )
    at = int(np.argmax(losses > ceilings))
    if losses[at] > ceilings[at]:
        raise BoundError(
            f"losses: X at {at} is {losses[at]:.6g}, above its M {ceilings[at]:.6g}. M is at least the loss of every "
            "symbol of the vocabulary, such as log2(V / alpha)."
        )
    blocks = [slice(start, start + _BLOCK) for start in range(0, size, _BLOCK)]
    return joined([_block_sums(losses[b], centres[b], ceilings[b], lowest, lambdas) for b in blocks])


def joined(parts: Sequence[LossSums]) -> LossSums:
    """Add up the sums of consecutive parts of one stream, so that it is never held as a whole.

    Raises: BoundError where there is no part, or where two differ in lambdas or in the lowest loss.
    """
    if not parts:
        raise BoundError("losses: there is nothing to join. Give the sums of at least one part.")
    first = parts[0]
    if any((part.lambdas, part.lowest) != (first.lambdas, first.lowest) for part in parts):
        raise BoundError("losses: parts of one stream share the lambdas and the lowest loss. Sum them up alike.")
    columns = zip(*(part.log_sums for part in parts), strict=True)
    centres, ceilings = {part.centre for part in parts}, {part.ceiling for part in parts}
    return LossSums(
        n=sum(part.n for part in parts),
        lambdas=first.lambdas,
        log_sums=tuple(None if None in column else _sum_up(column) for column in columns),
        reach=max(part.reach for part in parts),
        losses=_sum_up(part.losses for part in parts),
        ceilings=_sum_up(part.ceilings for part in parts),
        lowest=first.lowest,
        centre=first.centre if len(centres) == 1 else None,
        ceiling=first.ceiling if len(ceilings) == 1 else None,
    )


def read_losses(file: Path) -> LossSums:
    """Sum up a .npz file with the arrays X, c, M (c and M may be single numbers) and, if there is one, lowest.

    Raises: DataError where the file cannot be read or an array is missing; BoundError as loss_sums does.
    """
    try:
        with file.open("rb") as opened, np.load(opened, allow_pickle=False) as arrays:
            held = {name: arrays[name] for name in arrays.files}
    except FileNotFoundError:
        raise DataError(
            f"losses: there is no file {file}. Write one with numpy.savez(FILE, X=..., c=..., M=...)."
        ) from None
    except _UNREADABLE as cause:
        raise DataError(
            f"losses: {file} is not a file of arrays as numpy.savez writes it ({type(cause).__name__})."
        ) from None
    missing, unknown = {"X", "c", "M"} - set(held), set(held) - {"X", "c", "M", "lowest"}
    if missing or unknown:
        raise DataError(
            f"losses: {file} holds X (losses), c (centres) and M (ceilings), and may hold the number lowest, "
            f"got {', '.join(sorted(held)) or 'nothing'}. Write it with numpy.savez(FILE, X=..., c=..., M=...)."
        )
    lowest = _column("lowest", held.get("lowest", 0.0))
    if lowest.size != 1:
        raise DataError(f"losses: lowest is one number for all positions, got {lowest.size} in {file}.")
    return loss_sums(held["X"], held["c"], held["M"], float(lowest.reshape(-1)[0]))


def _column(name: str, values: ArrayLike, size: int | None = None) -> Column:
    """Return float64 values of shape (size,) or (), of any size where none is given; refuse everything else."""
    try:
        array = np.asarray(values)
    except ValueError:
        raise BoundError(f"losses: {name} holds real numbers, got lists of different lengths.") from None
    if array.dtype.kind not in "fiu" or array.dtype.itemsize > 8:
        raise BoundError(f"losses: {name} holds real numbers of at most 64 bits, got an array of {array.dtype}.")
    if array.ndim > 1:
        raise BoundError(f"losses: {name} has one axis, the positions, got the shape {array.shape}. Flatten it.")
    if array.ndim == 1 and size not in (None, array.size):
        raise BoundError(
            f"losses: X has {size} positions and {name} the shape {array.shape}. Give one number for each position, or "
            "one for all."
        )
    column = array.astype(np.float64)
    bad = np.flatnonzero(~(np.abs(column) <= _LARGEST))
    if bad.size:
        raise BoundError(
            f"losses: {name} at {int(bad[0])} is {column.reshape(-1)[bad[0]]}. Every number is finite and at most 2^40."
        )
    return column


def _block_sums(x: Column, c: Column, m: Column, lowest: float, lambdas: tuple[float, ...]) -> LossSums:
    reach = math.nextafter(float(np.max(m - c)), math.inf)
    with working():
        centres = arb(_sum_up(c.tolist()))
        used = [rate for rate in lambdas if rate * reach <= _NEAR_ONE]
        found = {
            rate: rounded_up(centres - total / arb(rate))
            for rate, total in zip(used, _log_sums(x - c, used), strict=True)
        }
    return LossSums(
        n=x.size,
        lambdas=lambdas,
        log_sums=tuple(map(found.get, lambdas)),
        reach=reach,
        losses=_sum_up(x.tolist()),
        ceilings=_sum_up(m.tolist()),
        lowest=lowest,
        centre=_only(c),
        ceiling=_only(m),
    )


def _log_sums(d: Column, rates: Sequence[float]) -> Iterator[arb]:
    """Yield a lower bound of sum_i ln(1 - rate d_i) for each rate, where d_i is x_i - c_i rounded to nearest."""
    log_2, rounding = arb(2).log(), arb(d.size) * arb(2) ** -52
    together = max(1, _BLOCK // d.size)  # rates whose products are taken at once, as few positions need little time
    for start in range(0, len(rates), together):
        product = np.multiply.outer(rates[start : start + together], d)  # (rates, n)
        y = 1.0 - product
        # three roundings: of the difference and the product 2^-53 |product| each, of y 2^-53 y; half of it is unused
        y -= (np.abs(product) + y) * 2.0**-51
        exponent = np.zeros(len(y), np.int64)
        while y.shape[1] > 1:
            mantissas, exponents = np.frexp(y)
            exponent += exponents.sum(1, dtype=np.int64)
            if mantissas.shape[1] % 2:
                mantissas = np.append(mantissas, np.ones((len(y), 1)), 1)
            y = mantissas[:, ::2] * mantissas[:, 1::2]
        for mantissa, power in zip(y[:, 0].tolist(), exponent.tolist(), strict=True):
            yield arb(mantissa).log() + power * log_2 - rounding


def _sum_up(values: object) -> float:
    """Return the sum rounded up; math.fsum is correctly rounded."""
    return math.nextafter(math.fsum(values), math.inf)  # type: ignore[arg-type]


def _only(values: Column) -> float | None:
    return float(values[0]) if (values == values[0]).all() else None
