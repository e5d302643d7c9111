"""The figures of a report: where the bits go, the frontier, bounds against d and size, transfer, measures by layer.

A figure that would show nothing is a sentence that says why.
"""

from collections.abc import Callable, Sequence

from ..bits.ledger import Ledger
from ..bounds.claims import Measure
from ..certificate.schema import Certificate
from ..certificate.statement import confidence
from .compare import Comparison, Row
from .contours import Window, draw_contours
from .divided import formula
from .drawn import COLOURS, INK, MARKERS, Drawing, drawing, sheet

DESCRIPTION = (
    "zero flag", "model", "base", "head", "trained part", "split", "preprocessing", "layer scale", "dimension",
    "projector", "quantizer", "prior scale", "header", "symbol model", "recipe", "stop",
)  # fmt: skip
KINDS = ("weights", "description of the network", "choices")
HATCHES = ("", "///", "\\\\\\")
MOST_BARS = 14  # beyond, names are too small to read
WIDE = 10  # figures that spread over this factor are drawn on a logarithmic axis
MARGIN = 1.5
LEAST_ERROR = 0.005  # of the range of errors drawn


def by_kind(certificate: Certificate) -> tuple[int, int, int]:
    """Return the bits of KINDS; they add up to the ledger. What a draw or an order is worth goes with the weights."""
    described = sum(e.bits for e in certificate.entries if e.kind == "counted" and e.item in DESCRIPTION)
    choices = certificate.ledger.bits_of("choice")
    return certificate.ledger.bits - described - choices, described, choices


def bits_of_one(ledger: Ledger, name: str) -> Drawing:
    """Draw a bar for each entry that costs or saves bits; the smallest share one."""
    entries = [(entry.item, entry.bits) for entry in ledger if entry.bits]
    if len(entries) > MOST_BARS:
        kept = sorted(entries, key=lambda one: -abs(one[1]))[: MOST_BARS - 1]
        rest = sum(bits for _, bits in entries) - sum(bits for _, bits in kept)
        left = len(entries) - len(kept)
        entries = [one for one in entries if one in kept] + [(f"{left} others", rest)]
    with sheet(0.7 + 0.24 * len(entries)) as (figure, axes):
        places = range(len(entries))
        bars = axes.barh(places, [bits for _, bits in entries], color=COLOURS[0])
        axes.bar_label(bars, [f"{bits:,}" for _, bits in entries], color=INK, padding=3)
        axes.set_yticks(places, [item for item, _ in entries])
        axes.invert_yaxis()
        axes.margins(x=0.15)
        axes.set_xlabel("bits")
        total = f"{ledger.bits:,} bits in all"
        return drawing(figure, name, f"Bits of each entry of the ledger, {total}", f"Bits of each entry: {total}.")


def bits_of_many(named: Sequence[tuple[str, Certificate]], name: str) -> Drawing:
    """Draw a bar for each certificate, of what KINDS take of it."""
    shown = named[:MOST_BARS]
    parts = [by_kind(certificate) for _, certificate in shown]
    with sheet(1.1 + 0.3 * len(shown)) as (figure, axes):
        start = [0.0] * len(shown)
        for index, kind in enumerate(KINDS):
            widths = [part[index] for part in parts]
            axes.barh(
                range(len(shown)), widths, left=start, label=kind, color=COLOURS[index], hatch=HATCHES[index],
                edgecolor=INK, linewidth=0.4,
            )  # fmt: skip
            start = [before + width for before, width in zip(start, widths, strict=True)]
        axes.set_yticks(range(len(shown)), [one for one, _ in shown])
        axes.invert_yaxis()
        axes.set_xlabel("bits")
        figure.legend(loc="outside upper center", ncols=len(KINDS), fontsize=9, handlelength=1.2, columnspacing=1)
        more = f" The {len(shown)} with the smallest bounds, of {len(named)}." if len(named) > len(shown) else ""
        return drawing(figure, name, "Bits by what they are spent on", f"What the bits are spent on.{more}")


def frontier_of(named: Sequence[tuple[str, Certificate]], name: str) -> Drawing | str:
    """Draw certificates of one sample and delta over lines of equal bound; a reason where none can be drawn."""
    bounds = {one: formula(certificate) for one, certificate in named}
    drawable = [(one, c) for one, c in named if not isinstance(bounds[one], str) and c.ledger.bits > 0]
    if not drawable:
        reason = next((why for why in bounds.values() if isinstance(why, str)), "its ledger sums to no bits")
        return f"No frontier: {reason}."
    first = drawable[0][1]
    theorem, n, delta = first.stated_bound.theorem, first.risk.n, first.stated_bound.delta
    drawn = [(one, c) for one, c in drawable if c.stated_bound.theorem == theorem]
    bits, rates = [c.ledger.bits for _, c in drawn], [c.risk.rate for _, c in drawn]
    wide = max(bits) > WIDE * min(bits)
    reach = (min(bits) / MARGIN if wide else 0.0, MARGIN * max(bits))
    errors = (0.0, min(1.0, max(MARGIN * max(rates), LEAST_ERROR)))
    percent = first.risk.counts
    with sheet() as (figure, axes):
        draw_contours(axes, Window(n, delta, reach, errors, theorem, wide), percent)
        scale = 100 if percent else 1
        for index, ((one, _), x, y) in enumerate(zip(drawn, bits, rates, strict=True)):
            style = index % len(COLOURS)
            label = one if len(drawn) <= len(COLOURS) else None
            marker, colour = (MARKERS[style], COLOURS[style]) if label else (MARKERS[0], COLOURS[0])
            axes.plot(x, scale * y, marker, color=colour, markersize=7, label=label, zorder=3)
        axes.set_xlabel("bits of the ledger")
        axes.set_ylabel("training error in %" if percent else f"mean {first.risk.loss} loss")
        if 1 < len(drawn) <= len(COLOURS):
            figure.legend(loc="outside upper center", fontsize=9, ncols=2)
        left = len(named) - len(drawn)
        apart = f" {left} not drawn: another theorem, or no function of bits and errors." if left else ""
        return drawing(
            figure, name, "Training error against bits, with lines of equal bound",
            f"Lines: the same bound by {theorem} at n = {n:,}, confidence {confidence(delta)}.{apart}",
        )  # fmt: skip


def against_d(comparison: Comparison, name: str) -> Drawing | str:
    """Draw the bound against the dimension of the subspace; a reason where that does not vary."""
    rows = [row for row in comparison.rows if row.d]
    return _against(rows, lambda row: row.d or 0, "d, dimensions of the subspace", "the dimension d", name)


def against_size(comparison: Comparison, name: str) -> Drawing | str:
    """Draw the bound against the parameters of the network; a reason where their number does not vary."""
    rows = [row for row in comparison.rows if row.D]
    return _against(rows, lambda row: row.D or 0, "parameters of the network", "the size of the network", name)


def _against(rows: Sequence[Row], across: Callable[[Row], int], label: str, what: str, name: str) -> Drawing | str:
    values = sorted({across(row) for row in rows})
    if len(values) < 2:
        same = f": all have {values[0]:,}" if values else ": none has a subspace"
        return f"No figure of the bound against {what}{same if len(rows) != 1 else ', of one certificate'}."
    scale = 100 if rows[0].counts else 1
    with sheet() as (figure, axes):
        for index, (title, members) in enumerate(_series(rows).items()):
            points = sorted((across(row), scale * row.bound) for row in members)
            axes.plot(*zip(*points, strict=True), MARKERS[index], color=COLOURS[index], label=title, markersize=7)
        if values[-1] > WIDE * values[0]:
            axes.set_xscale("log")
        axes.set_xlabel(label)
        axes.set_ylabel("bound in %" if scale == 100 else "bound")
        figure.legend(loc="outside upper left", fontsize=9)
        return drawing(figure, name, f"Bound against {what}", f"The bound against {what}, one point a certificate.")


def transfer(comparison: Comparison, name: str) -> Drawing | str:
    """Draw the bounds of networks of one kind that start from weights of elsewhere beside those from a seed."""
    groups: dict[str, tuple[list[float], list[float]]] = {}
    for row in comparison.rows:
        side = 0 if row.prior.startswith("seeded") else 1
        if row.prior != "zeros":
            groups.setdefault(row.model, ([], []))[side].append(row.bound)
    both = {model: sides for model, sides in groups.items() if all(sides)}
    if not both:
        return "No figure of transfer: no network stands here both from a seed and from weights of elsewhere."
    scale = 100 if comparison.rows[0].counts else 1
    with sheet(1.2 + 0.45 * len(both)) as (figure, axes):
        for place, sides in enumerate(both.values()):
            ends = [scale * min(side) for side in sides]
            axes.plot(ends, [place, place], color=INK, linewidth=0.8)
            for index, values in enumerate(sides):
                label = ("from a seed", "transferred")[index] if place == 0 else None
                at = [scale * value for value in values]
                axes.plot(
                    at, [place] * len(at), MARKERS[index], color=COLOURS[index], markersize=8, linestyle="none",
                    label=label,
                )  # fmt: skip
        axes.set_yticks(range(len(both)), list(both))
        axes.set_ylim(len(both) - 0.5, -0.5)
        axes.set_xlabel("bound in %" if scale == 100 else "bound")
        figure.legend(loc="outside upper center", ncols=2, fontsize=9)
        return drawing(figure, name, "Bounds from a seed and from transferred weights", "Transfer against scratch.")


def by_layer(measure: Measure, name: str) -> Drawing:
    """Draw the values of a measure, layer by layer; of many layers every second, third ... bears its name."""
    layers = list(measure.per_layer)
    every = -(-len(layers) // (2 * MOST_BARS))
    with sheet(0.8 + 0.22 * -(-len(layers) // every)) as (figure, axes):
        axes.barh(range(len(layers)), list(measure.per_layer.values()), color=COLOURS[2])
        axes.set_yticks(range(0, len(layers), every), layers[::every])
        axes.invert_yaxis()
        axes.set_xlabel(measure.unit or measure.name)
        title = f"{measure.name}, layer by layer"
        return drawing(figure, name, title, f"{title}; of the whole network {measure.value:.6g}.")


def _series(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """Rows by network and start, as many as there are colours; the last holds all others."""
    series: dict[str, list[Row]] = {}
    for row in rows:
        series.setdefault(f"{row.model}, {_start(row)}", []).append(row)
    if len(series) <= len(COLOURS):
        return series
    own = list(series)[: len(COLOURS) - 1]
    others = [row for title, members in series.items() if title not in own for row in members]
    return {**{title: series[title] for title in own}, f"{len(series) - len(own)} others": others}


def _start(row: Row) -> str:
    return "from a seed" if row.prior.startswith("seeded") else row.prior
