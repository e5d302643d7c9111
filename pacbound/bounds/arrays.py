"""`pb.bound`: occam_binomial for numbers as people hold them, and for arrays of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, overload

from ..errors import BoundError
from .claims import Bound
from .occam import occam_binomial

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Numbers = NDArray[np.integer] | NDArray[np.floating] | Sequence[float]


@dataclass(frozen=True, eq=False)
class BoundArray:
    """A Bound for each place of an array: each holds with probability 1 - delta by itself, not jointly.

    value: float64, of the shape of the arguments, in [0, 1], rounded up. The rest: as of Bound.
    """

    value: "NDArray[np.float64]"
    theorem: str
    reference: str
    delta: float
    assumes: tuple[str, ...]


@overload
def bound(  # type: ignore[overload-overlap]  # numbers alone give a Bound
    errors: float, n: int, bits: float, delta: float
) -> Bound: ...


@overload
def bound(errors: "float | Numbers", n: "int | Numbers", bits: "float | Numbers", delta: float) -> BoundArray: ...


def bound(errors: "float | Numbers", n: "int | Numbers", bits: "float | Numbers", delta: float) -> Bound | BoundArray:
    """Bound the risk by sup { p : P[Bin(n, p) <= errors] >= delta 2^-bits }, as occam_binomial does.

    Whole numbers may be of Python or numpy, and floats that are whole. Arrays and lists broadcast against each other.

    Args: errors: count. n: examples. bits: message length. delta: in (0, 1), one number.

    Returns: a Bound for numbers, a BoundArray where an argument is an array.

    Raises: BoundError outside the ranges, where errors or n is not whole, or where arrays do not broadcast.

    >>> bound(1200.0, 60000, bits=5000, delta=0.05) == bound(1200, 60000, bits=5000, delta=0.05)
    True
    >>> bound([0, 1200], 60000, bits=[[0], [5000]], delta=0.05).value.shape
    (2, 2)
    """
    if not any(_is_array(value) for value in (errors, n, bits)):
        return occam_binomial(_plain(errors), _plain(n), _plain(bits), _plain(delta))  # type: ignore[arg-type]
    return _each(errors, n, bits, _plain(delta))  # type: ignore[arg-type]  # a delta that is no number is refused


def _each(errors: object, n: object, bits: object, delta: float) -> BoundArray:
    import numpy as np

    try:
        places = np.broadcast(*[np.asarray(value) for value in (errors, n, bits)])
    except ValueError as cause:
        raise BoundError(f"bound: errors, n and bits are arrays of one shape, or broadcast to one; {cause}.") from None
    made = [occam_binomial(_plain(e), _plain(m), _plain(b), delta) for e, m, b in places]  # type: ignore[arg-type]
    value = np.array([one.value for one in made], dtype=np.float64).reshape(places.shape)
    value.flags.writeable = False
    like = occam_binomial(0, 1, 0, delta)
    return BoundArray(value, like.theorem, like.reference, like.delta, like.assumes)


def _is_array(value: object) -> bool:
    return isinstance(value, (list, tuple)) or getattr(value, "ndim", 0) > 0


def _plain(value: object) -> object:
    """A Python number, an int where it is whole; what is none is left for the theorem to refuse."""
    item = getattr(value, "item", None)
    plain = item() if callable(item) and not _is_array(value) else value
    return int(plain) if isinstance(plain, float) and plain.is_integer() else plain
