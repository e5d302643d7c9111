"""Theorems for numbers as people hold them, and for arrays of them: `pb.bound`, and `pb.bounds.NAME`.

An array gets at each place what the theorem gives for those numbers, to the last bit. Those that invert kl or the
binomial tail are computed for all places at once by `walks`; whatever that leaves open, and all others, one by one.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import wraps
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
    return on_arrays(occam_binomial)(errors, n, bits, delta)


def on_arrays(theorem: Callable[..., Bound]) -> Callable[..., Bound | BoundArray]:
    """Return the theorem for numbers and arrays of any kind: each argument but delta may be an array.

    Arrays broadcast; an option of the theorem beyond its numbers, such as C, is given by name.

    Raises: the result raises BoundError as the theorem does, and where arrays do not broadcast.

    >>> from pacbound.bounds.occam import occam_kl
    >>> on_arrays(occam_kl)([0.0, 12.5], 600, 50, 0.05).value.tolist()[1] == occam_kl(12.5, 600, 50, 0.05).value
    True
    """
    names = theorem.__code__.co_varnames
    last = names.index("delta")

    @wraps(theorem)
    def either(*numbers: object, **named: object) -> Bound | BoundArray:
        given = dict(zip(names, numbers, strict=False)) | named
        columns = [given.pop(name) for name in names[:last] if name in given]
        delta = _plain(given.pop("delta", None))
        if len(columns) < last or not any(_is_array(value) for value in columns):
            return theorem(*map(_plain, columns), delta=delta, **given)
        return _each(theorem, names[:last], columns, delta, given)

    return either


def _each(
    theorem: Callable[..., Bound], names: Sequence[str], columns: list[object], delta: object, given: dict[str, object]
) -> BoundArray:
    import numpy as np

    from .together import TOGETHER

    try:
        places = np.broadcast_arrays(*[np.asarray(value) for value in columns])
    except ValueError as cause:
        listed = f"{', '.join(names[:-1])} and {names[-1]}"
        raise BoundError(f"bound: {listed} are arrays of one shape, or broadcast to one; {cause}.") from None
    flat = [place.reshape(-1) for place in places]
    together = TOGETHER.get(theorem.__name__)
    value = np.full(places[0].size, np.nan) if together is None else together(flat, delta)
    for at in np.flatnonzero(np.isnan(value)):
        value[at] = theorem(*[_plain(column[at]) for column in flat], delta=delta, **given).value
    value = value.reshape(places[0].shape)
    value.flags.writeable = False
    like = theorem(*[0 if name != "n" else 1 for name in names], delta=delta, **given)
    return BoundArray(value, like.theorem, like.reference, like.delta, like.assumes)


def _is_array(value: object) -> bool:
    return isinstance(value, (list, tuple)) or getattr(value, "ndim", 0) > 0


def _plain(value: object) -> object:
    """A Python number, an int where it is whole; what is none is left for the theorem to refuse."""
    item = getattr(value, "item", None)
    plain = item() if callable(item) and not _is_array(value) else value
    return int(plain) if isinstance(plain, float) and plain.is_integer() else plain
