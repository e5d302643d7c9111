"""Two curves of a selection: errors left against picks, and the bound where it would have stopped.

Where a round did not ask all other examples, what it leaves is estimated from those that it counted; an open mark says
so. The round that was taken is counted, and has the bound of the certificate.
"""

from math import ceil, floor, log10
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ..bounds.preference import picks
from ..certificate.picked import listed_rounds
from ..certificate.recheck import recheck_arithmetic
from ..certificate.schema import Certificate
from ..certificate.statement import percent_up
from ..errors import CertificateError, RequestError
from .drawn import COLOURS
from .image_files import check_figure_path, save_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

BLUE, ORANGE, *_ = COLOURS
GREY = "0.45"
ESTIMATED = "estimated from 10,000 of them"
SIZE = (6.4, 6.4)
FEW_POWERS = 3  # of ten on an axis, so that 2 and 5 times them are named too


class Point(NamedTuple):
    """A round: so many picks, errors left outside them, whether these were counted, and the bound in (0, 1].

    bound is None where the selection could not stop, between two of the sizes that were written down.
    """

    picked: int
    left: float
    counted: bool
    bound: float | None


class Curves(NamedTuple):
    """Rounds in the order of picks, and the one that was taken, as its errors were counted in the end."""

    n: int
    points: tuple[Point, ...]
    taken: Point


def curves_of(certificate: Certificate) -> Curves:
    """Read the rounds of a selection; errors left are wrong / asked (n - picked).

    Raises: RequestError where the certificate has no picks, or none of their rounds; CertificateError where the rounds
    are those of no selection.
    """
    part, n = certificate.picks, certificate.risk.n
    if part is None or not part.rounds:
        lacking = "picked no examples" if part is None else "lists no rounds of its selection"
        raise RequestError(f"plot: curves are of a selection of examples, and this certificate {lacking}.")
    points: list[Point] = []
    for one, listed in zip(part.rounds, listed_rounds(certificate), strict=True):
        rest, before = n - one.picked, points[-1].picked if points else -1
        if not (before < one.picked and one.wrong <= one.asked <= rest and (one.asked or not rest)):
            raise CertificateError(
                f"plot: a round asks some of the {rest:,} examples that are not picked, and picks grow; got "
                f"{one.wrong:,} of {one.asked:,} wrong at {one.picked:,} picks after {max(before, 0):,}."
            )
        left = one.left(n)
        bound = _bound(certificate, one.picked, left) if listed else None
        points.append(Point(one.picked, left, one.asked == rest, bound))
    taken = Point(part.picked, float(part.errors), True, certificate.stated_bound.value)
    return Curves(n, tuple(points), taken)


def _bound(certificate: Certificate, picked: int, left: float) -> float:
    """The bound of these picks and errors left, a part of an error being one."""
    errors = min(certificate.risk.n - picked, -int(-left // 1))
    return picks(picked, errors, certificate.risk.n, certificate.ledger.bits, certificate.stated_bound.delta).value


def draw_errors(axes: "Axes", curves: Curves) -> None:
    """Draw errors left against picks."""
    _curve(axes, [(one.picked, one.left, one.counted) for one in curves.points], BLUE, "errors left outside the picks")
    _mark(axes, curves.taken.picked, curves.taken.left, f"taken: {curves.taken.left:,.0f} errors, counted")
    axes.set_ylabel("misclassified examples")
    _scales(axes, curves, [curves.taken.left, *(one.left for one in curves.points)])


def draw_bound(axes: "Axes", curves: Curves) -> None:
    """Draw the bound at every size where the selection could have stopped, and beside it the share of picks."""
    stops = [(one.picked, 100 * one.bound, one.counted) for one in curves.points if one.bound is not None]
    _curve(axes, stops, ORANGE, "bound, if stopped here")
    value = curves.taken.bound
    assert value is not None
    _mark(axes, curves.taken.picked, 100 * value, f"taken: {percent_up(value)}")
    axes.set_ylabel("bound on the error, in %")
    _scales(axes, curves, [100 * value, *(y for _, y, _ in stops)])


def _curve(axes: "Axes", marks: "list[tuple[int, float, bool]]", colour: str, what: str) -> None:
    """Draw (picks, value, whether counted): a line, open marks for estimates and full ones for counts."""
    axes.plot([x for x, _, _ in marks], [y for _, y, _ in marks], color=colour, lw=1.4, label=what)
    for counted, face, name in ((False, "white", ESTIMATED), (True, colour, "all others were asked")):
        xs, ys = [x for x, _, exact in marks if exact == counted], [y for _, y, exact in marks if exact == counted]
        if xs:
            axes.plot(xs, ys, "o", ms=4, color=colour, mfc=face, label=name, zorder=3, clip_on=False)


def _mark(axes: "Axes", picked: int, value: float, text: str) -> None:
    """Mark the stop that was taken, which stands on a line of its own."""
    axes.axvline(picked, color=GREY, lw=0.8, ls="--", zorder=0)
    axes.plot([picked], [value], "D", ms=6, color="black", label=text, zorder=4, clip_on=False)


def _scales(axes: "Axes", curves: Curves, values: list[float]) -> None:
    """Logarithmic both ways, where zero picks and zero errors have a place too."""
    sizes = [one.picked for one in curves.points]
    first, least = min((size for size in sizes if size), default=1), min((y for y in values if y), default=1.0)
    axes.set_xscale("symlog", linthresh=first, linscale=0.3)
    axes.set_xlim(0, 1.1 * max(*sizes, first))
    _ticks(axes.xaxis, first, max(*sizes, first), True)
    if min(values) > 0:
        axes.set_yscale("log")
    else:
        axes.set_yscale("symlog", linthresh=least, linscale=0.3)
        axes.set_ylim(bottom=0)
    _ticks(axes.yaxis, least, max(values), min(values) == 0)
    axes.grid(color="0.9", lw=0.6)
    axes.legend(frameon=False, fontsize=8)


def _ticks(axis: "Axis", low: float, high: float, zero: bool) -> None:
    """Put ticks at 1, 2 and 5 times powers of ten, at the powers alone where these are many, and at 0 if so asked."""
    powers = range(floor(log10(low)), ceil(log10(max(high, low))) + 1)
    parts = (1, 2, 5) if len(powers) <= FEW_POWERS else (1,)
    round_figures = [part * 10.0**power for power in powers for part in parts]
    ticks = [*([0.0] if zero else []), *(tick for tick in round_figures if low / 1.3 <= tick <= high * 1.3)]
    axis.set_ticks(ticks, [f"{tick:,g}" for tick in ticks])
    axis.set_ticks([], minor=True)


def plot_picks(certificate: Certificate, path: str | Path) -> None:
    """Draw both curves of a certificate into a .svg, .png or .pdf file.

    Raises: RequestError where there is nothing to draw, matplotlib is missing or the file cannot be written;
    CertificateError where the certificate does not stand.
    """
    check_figure_path(Path(path))
    curves = curves_of(certificate)
    last = recheck_arithmetic(certificate)[-1]
    if last.complaint is not None:
        raise CertificateError(f"plot: the certificate does not stand: {last.check}: {last.complaint}.")

    def draw(figure: "Figure") -> None:
        above, below = figure.subplots(2, 1, sharex=True)
        draw_errors(above, curves)
        draw_bound(below, curves)
        below.set_xlabel(f"picked examples, of {curves.n:,}")
        above.set_title(f"{certificate.hypothesis.model} on {certificate.data.name}", loc="left", fontsize=10)

    save_figure(draw, SIZE, Path(path))
