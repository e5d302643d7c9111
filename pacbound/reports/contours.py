"""Lines on which a bound is the same, over bits and training error: the frontier that certificates lie on.

Matplotlib is loaded by whoever made the axes; this module only draws on them.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from ..bounds.arrays import on_arrays
from ..bounds.table import THEOREMS
from ..errors import BoundError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

POINTS = 32  # of the grid along each axis: 1,024 bounds
NOT_OF_BITS = ("test_set",)  # no message, so no line over bits
LEVELS = 8  # at most so many lines, at round figures
EDGE = 0.1  # of an axis, along which no label stands
LINE = "0.55"  # a grey that reads on white and on black


class Window(NamedTuple):
    """A part of the plane of bits and training error.

    n: examples. delta: in (0, 1). bits: least and most of the ledger, >= 0 (> 0 where logarithmic). errors: least and
    most training error, in [0, 1]. theorem: one of THEOREMS whose bound is a function of errors and bits. logarithmic:
    whether bits are spaced by a factor.
    """

    n: int
    delta: float
    bits: tuple[float, float]
    errors: tuple[float, float]
    theorem: str = "occam_binomial"
    logarithmic: bool = False


class Frontier(NamedTuple):
    """The bound over a grid: bounds[i][j] is that of errors[i] (of n) and bits[j]."""

    errors: tuple[int, ...]
    bits: tuple[float, ...]
    bounds: tuple[tuple[float, ...], ...]


def frontier(window: Window) -> Frontier:
    """Evaluate a theorem over a grid of whole errors and bits.

    Raises: BoundError where a range is empty or outside, or the theorem is no function of errors and bits.
    """
    if not has_frontier(window.theorem):
        raise BoundError(
            f"frontier: lines belong to a bound of errors and bits, got {window.theorem!r}. Leave them out."
        )
    (low, high), (least, most), logarithmic = window.bits, window.errors, window.logarithmic
    if not (0 <= low < high and (low > 0 or not logarithmic)) or not 0 <= least < most <= 1:
        raise BoundError(
            "frontier: bits rise from 0 or more (from above 0 where logarithmic) and errors within [0, 1], got "
            f"{window.bits} and {window.errors}. Widen the ranges."
        )
    step = [index / (POINTS - 1) for index in range(POINTS)]
    errors = sorted({round(window.n * (least + (most - least) * share)) for share in step})
    bits = [low * (high / low) ** share if logarithmic else low + (high - low) * share for share in step]
    return over_grid(window.theorem, window.n, window.delta, errors, bits)


def over_grid(theorem: str, n: int, delta: float, errors: Sequence[int], bits: Sequence[float]) -> Frontier:
    """Evaluate one of THEOREMS at all pairs of errors (of n) and bits. Raises: BoundError as the theorem does."""
    found = on_arrays(THEOREMS[theorem])([[one] for one in errors], n, bits, delta)
    return Frontier(tuple(errors), tuple(bits), tuple(map(tuple, found.value.tolist())))  # type: ignore[union-attr]


def draw_contours(axes: "Axes", window: Window, percent: bool = True) -> tuple[float, ...]:
    """Draw the lines of equal bound in a window, whose limits and scale the axes get; their labels are left alone.

    Args: percent: whether errors and bounds are printed in per cent, as counts are, or as rates.
    Returns: the levels drawn, as of draw_lines().
    Raises: BoundError as frontier().
    """
    found, scale = frontier(window), 100.0 if percent else 1.0
    axes.set_xscale("log" if window.logarithmic else "linear")
    axes.set_xlim(*window.bits)
    axes.set_ylim(scale * window.errors[0], scale * window.errors[1])
    return draw_lines(axes, found, window.n, percent)


def draw_lines(axes: "Axes", found: Frontier, n: int, percent: bool) -> tuple[float, ...]:
    """Draw the lines of equal bound at round levels, labelled, with bits to the right and training error upwards.

    Args: axes: to draw on. n: examples. percent: whether errors and bounds are printed in per cent, or as rates.
    Returns: the levels drawn, as risks in [0, 1]; none where the bound hardly changes over the grid.
    """
    from matplotlib.ticker import MaxNLocator

    scale = 100.0 if percent else 1.0
    values = [[scale * value for value in row] for row in found.bounds]
    low, high = min(map(min, values)), max(map(max, values))
    levels = [float(level) for level in MaxNLocator(LEVELS).tick_values(low, high) if low < level < high]
    if len(found.errors) < 2 or not levels:  # a sample so small that the range holds one count
        return ()
    rates = [scale * errors / n for errors in found.errors]
    drawn = axes.contour(found.bits, rates, values, levels=levels, colors=LINE, linewidths=0.8)
    places = [place for level in levels if (place := _label_place(found.bits, rates, values, level)) is not None]
    axes.clabel(drawn, fmt="%g %%" if percent else "%g", fontsize=8, manual=places)
    return tuple(level / scale for level in levels)


def _label_place(
    bits: Sequence[float], rates: Sequence[float], values: Sequence[Sequence[float]], level: float
) -> tuple[float, float] | None:
    """Where the line of a level crosses the diagonal of the grid; none near its ends, where a label would be cut."""
    for k in range(round(EDGE * POINTS), round((1 - EDGE) * POINTS)):
        row, column = (round(k * (len(axis) - 1) / (POINTS - 1)) for axis in (rates, bits))
        if values[row][column] >= level:
            return None if k == round(EDGE * POINTS) else (bits[column], rates[row])
    return None


def has_frontier(theorem: str) -> bool:
    """Whether the bound of that theorem is a function of errors and bits, so that lines can be drawn."""
    return theorem in THEOREMS and theorem not in NOT_OF_BITS
