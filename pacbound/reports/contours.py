"""Lines on which a bound is the same, over bits and training error: the frontier that certificates lie on.

Matplotlib is loaded by whoever made the axes; this module only draws on them.
"""

from typing import TYPE_CHECKING, NamedTuple

from ..bounds.table import THEOREMS
from ..errors import BoundError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

POINTS = 32  # of the grid along each axis: 1,024 bounds take a third of a second
NOT_OF_BITS = ("test_set",)  # no message, so no line over bits
LEVELS = 8  # at most so many lines, at round figures
LINE = "0.55"  # a grey that reads on white and on black


class Frontier(NamedTuple):
    """The bound over a grid: bounds[i][j] is that of errors[i] (of n) and bits[j]."""

    errors: tuple[int, ...]
    bits: tuple[float, ...]
    bounds: tuple[tuple[float, ...], ...]


def frontier(
    n: int,
    delta: float,
    bits_range: tuple[float, float],
    error_range: tuple[float, float],
    theorem: str = "occam_binomial",
    logarithmic: bool = False,
) -> Frontier:
    """Evaluate a theorem over a grid of whole errors and bits.

    Args: n: examples. delta: in (0, 1). bits_range: least and most bits of the ledger, >= 0 (> 0 where logarithmic).
        error_range: least and most training error, in [0, 1]. theorem: one of THEOREMS whose bound is a function of
        errors and bits. logarithmic: whether bits are spaced by a factor.

    Raises: BoundError where a range is empty or outside, or the theorem is no function of errors and bits.
    """
    if theorem not in THEOREMS or theorem in NOT_OF_BITS:
        raise BoundError(f"frontier: lines belong to a bound of errors and bits, got {theorem!r}. Leave them out.")
    (low, high), (least, most) = bits_range, error_range
    if not (0 <= low < high and (low > 0 or not logarithmic)) or not 0 <= least < most <= 1:
        raise BoundError(
            "frontier: bits rise from 0 or more (from above 0 where logarithmic) and errors within [0, 1], got "
            f"{bits_range} and {error_range}. Widen the ranges."
        )
    step = [index / (POINTS - 1) for index in range(POINTS)]
    errors = sorted({round(n * (least + (most - least) * share)) for share in step})
    bits = [low * (high / low) ** share if logarithmic else low + (high - low) * share for share in step]
    bound = THEOREMS[theorem]
    return Frontier(
        tuple(errors), tuple(bits), tuple(tuple(bound(one, n, each, delta).value for each in bits) for one in errors)
    )


def draw_contours(
    axes: "Axes",
    n: int,
    delta: float,
    bits_range: tuple[float, float],
    error_range: tuple[float, float],
    theorem: str = "occam_binomial",
    logarithmic: bool = False,
    percent: bool = True,
) -> tuple[float, ...]:
    """Draw the lines of equal bound at round levels, labelled, with bits to the right and training error upwards.

    Args: axes: to draw on; its limits are set to the ranges, its labels are left alone. percent: whether errors and
        bounds are printed in per cent, as counts are, or as rates. The others: as of frontier().
    Returns: the levels drawn, as risks in [0, 1]; none where the bound hardly changes over the ranges.
    Raises: BoundError as frontier().
    """
    from matplotlib.ticker import MaxNLocator

    found = frontier(n, delta, bits_range, error_range, theorem, logarithmic)
    scale = 100.0 if percent else 1.0
    values = [[scale * value for value in row] for row in found.bounds]
    low, high = min(map(min, values)), max(map(max, values))
    levels = [float(level) for level in MaxNLocator(LEVELS).tick_values(low, high) if low < level < high]
    axes.set_xscale("log" if logarithmic else "linear")
    axes.set_xlim(*bits_range)
    axes.set_ylim(scale * error_range[0], scale * error_range[1])
    if len(found.errors) < 2 or not levels:  # a sample so small that the range holds one count
        return ()
    rates = [scale * errors / n for errors in found.errors]
    drawn = axes.contour(found.bits, rates, values, levels=levels, colors=LINE, linewidths=0.8)
    axes.clabel(drawn, fmt="%g %%" if percent else "%g", fontsize=8)
    return tuple(level / scale for level in levels)


def has_frontier(theorem: str) -> bool:
    """Whether the bound of that theorem is a function of errors and bits, so that lines can be drawn."""
    return theorem in THEOREMS and theorem not in NOT_OF_BITS
