"""Draw certificates as points: training error against bits, with lines on which the bound is the same."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..certificate.schema import Certificate
from ..certificate.statement import confidence
from ..errors import CertificateError
from . import drawn
from .compare import Comparison, Row
from .contours import Frontier, draw_lines, over_grid
from .divided import formula
from .seeds import Group
from .tables import shortest_names

if TYPE_CHECKING:
    from matplotlib.axes import Axes

POINTS = 40  # of the grid along each axis: 1,600 bounds
MOST_NAMED = 14  # beyond, names would cover each other: numbers stand for them
WIDE = 10  # bits that spread over this factor are drawn on a logarithmic axis
COLOURS = (*drawn.COLOURS, "#000000", "#999999")
MARKERS = drawn.MARKERS + "*X"
MOST_GROUPS = len(COLOURS) - 1  # the last colour is that of all other runs


def grid(theorem: str, rows: Sequence[Row], delta: float) -> Frontier:
    """Evaluate one of THEOREMS around the points of some rows, with a margin; errors are whole numbers."""
    n = rows[0].n
    most, least = max(row.errors for row in rows), min(row.errors for row in rows)
    edge = max(0.25 * (most - least), 0.1 * most, 2.0)
    errors = np.unique(np.linspace(max(0.0, least - edge), min(float(n), most + edge), POINTS).round().astype(int))
    low, high = min(row.bits for row in rows), max(row.bits for row in rows)
    if logarithmic(rows):
        bits = np.geomspace(max(1.0, low / 1.5), high * 1.5, POINTS)
    else:
        margin = max(0.25 * (high - low), 0.1 * abs(high), 2.0)
        bits = np.linspace(max(min(0.0, low), low - margin), high + margin, POINTS)
    return over_grid(theorem, n, delta, errors.tolist(), bits.tolist())


def logarithmic(rows: Sequence[Row]) -> bool:
    """Whether the bits spread so far that a linear axis would squeeze the short codes."""
    low, high = min(row.bits for row in rows), max(row.bits for row in rows)
    return low > 0 and high > WIDE * low


def draw(comparison: Comparison, certificates: dict[str, Certificate], path: str | Path) -> None:
    """Write an SVG of the rows of a comparison, the same bytes from the same certificates.

    Lines are those of the theorem of the first row. Rows whose bound is no function of errors and bits, or by another
    theorem, lie on other lines: they are hollow.

    Raises: CertificateError where the name does not end in .svg, matplotlib is missing, the file cannot be written, or
        the bound of the first is no function of errors and bits.
    """
    target = Path(path)
    if target.suffix != ".svg":
        raise CertificateError(f"plot: the file ends in .svg, got {target.name!r}. Rename it.")
    first = certificates[comparison.first]
    why_not = formula(first)
    if isinstance(why_not, str):
        raise CertificateError(f"plot: lines of equal bound are those of the first, got {comparison.first}: {why_not}.")
    try:
        import matplotlib
        from matplotlib.figure import Figure
    except ImportError:
        raise CertificateError("plot: matplotlib is not installed. Install pacbound[report].") from None
    with matplotlib.rc_context({"svg.hashsalt": "pacbound", "svg.fonttype": "none", "font.size": 9}):
        figure = Figure(figsize=(7, 5), layout="constrained")
        axes = figure.subplots()
        found = grid(first.stated_bound.theorem, comparison.rows, comparison.delta)
        draw_lines(axes, found, comparison.n, comparison.rows[0].counts)
        _points(axes, comparison)
        _describe(axes, comparison)
        try:
            figure.savefig(target, format="svg", metadata={"Date": None})
        except OSError as why:
            raise CertificateError(f"plot: {target.name!r} could not be written ({why.strerror}).") from None


def _points(axes: "Axes", comparison: Comparison) -> None:
    rows, scale = comparison.rows, 100.0 if comparison.rows[0].counts else 1.0
    styles = {name: _style(comparison, one) for one in comparison.groups for name in one.runs}
    groups = _with_colour(comparison)
    short = _short(comparison)
    marked = {name for one in groups for name in one.runs}
    for row in rows:
        colour, marker = styles[row.name]
        at = (row.bits, row.error * scale)
        inside = "none" if row.undivided else colour
        axes.plot(*at, marker, color=colour, markersize=6, linestyle="none", markerfacecolor=inside)
        if len(rows) <= MOST_NAMED or row.name not in marked:
            axes.annotate(short[row.name], at, (5, 4), textcoords="offset points", fontsize=7)
    for one in groups:
        colour, marker = _style(comparison, one)
        label = f"{short[one.name]} ({len(one.runs)} seeds)"
        axes.plot([], [], marker, color=colour, linestyle="none", label=label)
    if groups:
        axes.legend(fontsize=7)


def _with_colour(comparison: Comparison) -> list[Group]:
    """The groups that have a colour of their own: of several runs, the best first."""
    return [one for one in comparison.groups if len(one.runs) > 1][:MOST_GROUPS]


def _style(comparison: Comparison, one: Group) -> tuple[str, str]:
    """Colour and shape of a group."""
    groups = _with_colour(comparison)
    at = groups.index(one) if one in groups else MOST_GROUPS
    return COLOURS[at], MARKERS[at]


def _short(comparison: Comparison) -> dict[str, str]:
    """Names as they are drawn: without their folder, or the place in the table where too many have no colour."""
    names = [*(row.name for row in comparison.rows), *(one.name for one in comparison.groups)]
    short = dict(zip(names, shortest_names(names)[1], strict=True))
    if len(comparison.groups) > MOST_NAMED:
        short |= {row.name: str(place) for place, row in enumerate(comparison.rows, 1)}
    return short


def _describe(axes: "Axes", comparison: Comparison) -> None:
    rows = comparison.rows
    theorem = next(row.theorem for row in rows if row.name == comparison.first)
    numbers = "; numbers: place in the table" if len(comparison.groups) > MOST_NAMED else ""
    if logarithmic(rows):
        axes.set_xscale("log")
    axes.set_xlabel("bits of the ledger")
    axes.set_ylabel("training error in %" if rows[0].counts else f"mean {comparison.loss} loss")
    axes.set_title(
        f"{comparison.data}\nlines: equal bound by {theorem}, confidence {confidence(comparison.delta)}{numbers}",
        fontsize=9,
    )
