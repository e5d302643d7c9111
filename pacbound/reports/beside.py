"""Print a comparison: text that fits a terminal, Markdown, LaTeX, CSV and JSON, with what the differences mean.

Printed risks and their means are rounded up; differences, which are no statements, to the nearest.
"""

import csv
import io
import json
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Literal, NamedTuple

from ..certificate.canonical import Json
from ..certificate.statement import confidence, describe_loss, percent_up, rate_up, share_up
from ..notebook import html_table
from .compare import Apart, Comparison, Row
from .seeds import Contrast
from .tables import (
    Column,
    Table,
    latex_table,
    latex_text,
    markdown_table,
    markdown_text,
    shortest_names,
    text_table,
    wrapped,
)

Format = Literal["text", "markdown", "latex", "csv", "json"]
FORMATS: tuple[Format, ...] = Format.__args__  # type: ignore[attr-defined]
WIDTH = 80
MOST_NAMES = 5  # in a sentence

SHARED = (
    "All are about one sample: its luck moves their bounds together, so that a difference is one of codes and errors, "
    "and the spread is over seeds on this sample, not over samples. A smaller bound is a stronger statement, which "
    "does not make the error on new data smaller."
)
DIVIDED = (
    "by errors + by bits = to first: the bound as a function of both, one changed before the other, averaged over "
    "both orders."
)
OVER_SEEDS = "Over seeds: runs that differ in the seed alone, as far as certificates say"
NO_REPEATS = (
    "No two runs differ in the seed alone, so that nothing says whether a difference is larger than the spread over "
    "seeds. Certify again with other seeds."
)
UNCLEAR = (
    "A seed occurs twice among runs that are alike in all that a certificate holds; training options are free and "
    "stand in none. These were taken one by one: {}. Give runs of one kind names that differ in seed_N alone."
)
INTERVAL = (
    "spread: standard deviation of the difference between one run and one of the first. 95 % interval of the mean "
    "difference, by Student's t over seeds, each by itself."
)


class Section(NamedTuple):
    """A heading or '', a table or None, and sentences under it."""

    title: str
    table: Table | None
    sentences: tuple[str, ...]


def render(comparison: Comparison, format: Format = "text", width: int = WIDTH) -> str:
    """Return the comparison in one of FORMATS, without a final newline.

    csv has a line for each certificate, those set apart at the end; json is the record with bits_per_parameter in
    every row and a verdict in every contrast. width: of the text.
    """
    return {
        "text": lambda: text_of(sections(comparison), width),
        "markdown": lambda: markdown_of(sections(comparison)),
        "latex": lambda: _latex(sections(comparison)),
        "csv": lambda: _csv(comparison),
        "json": lambda: _json(comparison),
    }[format]()


def render_html(comparison: Comparison) -> str:
    """Return what a notebook shows: the tables, and the sentences under them."""
    blocks = []
    for section in sections(comparison):
        note = " ".join(section.sentences)
        if section.table is None:
            blocks.append(html_table((section.title,), ((note,),)) if note else "")
        else:
            rows = list(zip(*(column.cells for column in section.table), strict=True))
            blocks.append(html_table([column.head for column in section.table], rows, section.title, note))
    return "".join(blocks)


def sections(comparison: Comparison) -> list[Section]:
    """Return what every format prints, in order."""
    rows = comparison.rows
    names = list(dict.fromkeys([row.name for row in _every(comparison)] + [one.name for one in comparison.groups]))
    folder, shortened = shortest_names(names)
    short = dict(zip(names, shortened, strict=True))
    head = f"{comparison.data}, {describe_loss(comparison.loss)}, confidence {confidence(comparison.delta)} each"
    columns, same = _columns(rows, short, comparison.first)
    about = [head + (f"; in {folder}" if folder else "")] + ([f"the same in all: {'; '.join(same)}"] if same else [])
    about += [f"first: {short[comparison.first]}"] if comparison.first != rows[0].name else []
    sections = [Section("", None, tuple(about)), Section("", columns, tuple(_about_parts(rows, short)))]
    if len(rows) > 1:
        sections += [*_seeds(comparison, short), Section("What this means", None, _meaning(comparison, short))]
    return sections + _apart(comparison.apart, short)


def _columns(rows: Sequence[Row], short: dict[str, str], first: str) -> tuple[Table, list[str]]:
    """The columns of a table, and what would be the same in every row of it."""
    figures = _figures(rows, first)
    texts = [
        Column("d", tuple(_dimension(row) for row in rows)),
        Column("model", tuple(row.model for row in rows), True),
        Column("theta0", tuple(row.prior.removesuffix(f" {row.seed}") for row in rows), True),
        Column("seed", tuple(row.seed for row in rows)),
        Column("theorem", tuple(row.theorem for row in rows), True),
    ]
    several = len(rows) > 1
    same = [f"{one.head} {one.cells[0]}" for one in texts if several and len(set(one.cells)) == 1 and one.cells[0]]
    kept = [one for one in texts if not (several and len(set(one.cells)) == 1)]
    names = Column("certificate", tuple(short[row.name] for row in rows), True)
    return (names, *figures, *kept, *_measures(rows)), same


def _figures(rows: Sequence[Row], first: str) -> list[Column]:
    figures = [
        Column("bound", tuple(_risk(row.bound, row.counts) for row in rows)),
        Column("error", tuple(_risk(share_up(row.errors, row.n), row.counts) for row in rows)),
        Column("bits", tuple(f"{row.bits:,}" for row in rows)),
        Column("picked", tuple("" if row.picked is None else f"{row.picked:,}" for row in rows)),
    ]
    if len(rows) > 1:
        gaps = [("to first", "difference"), ("by errors", "by_errors"), ("by bits", "by_bits")]
        figures += [
            Column(head, tuple(_gap(getattr(row, field), row) if row.name != first else "" for row in rows))
            for head, field in gaps
        ]
    per_parameter = [row.bits_per_parameter for row in rows]
    figures.append(Column("bits/param", tuple("" if one is None else f"{one:.4f}" for one in per_parameter)))
    return [one for one in figures if any(one.cells)]


def _measures(rows: Sequence[Row]) -> list[Column]:
    names = dict.fromkeys(name for row in rows for name in row.measures)
    units = {name: next(row.units[name] for row in rows if name in row.units) for name in names}
    return [Column(f"{n} ({units[n]})", tuple(_figure(row.measures.get(n)) for row in rows)) for n in names]


def _about_parts(rows: Sequence[Row], short: dict[str, str]) -> list[str]:
    """What the parts of a difference are, and why some rows have none."""
    why: dict[str, list[str]] = {}
    for row in rows:
        if row.undivided and len(rows) > 1:
            why.setdefault(row.undivided, []).append(short[row.name])
    lines = [DIVIDED] if any(row.by_errors is not None for row in rows) and len(rows) > 1 else []
    return lines + [f"not divided: {_some(names)}: {reason}." for reason, names in why.items()]


def _some(names: Sequence[str]) -> str:
    """The first names, and how many more there are."""
    more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    return ", ".join(names[:MOST_NAMES]) + more


def _seeds(comparison: Comparison, short: dict[str, str]) -> list[Section]:
    """Groups of seeds beside each other, where there is one with more than one run."""
    groups = comparison.groups
    unclear = [short[name] for one in groups if one.unclear for name in one.runs]
    notes = [UNCLEAR.format(_some(unclear))] if unclear else []
    if all(one.deviation is None for one in groups):
        return [Section("Over seeds", None, (*notes, NO_REPEATS))]
    contrasts = {one.name: one for one in comparison.contrasts}
    counts = comparison.rows[0].counts
    columns: Table = (
        Column("runs", tuple(short[one.name] for one in groups), True),
        Column("seeds", tuple(str(len(one.runs)) for one in groups)),
        Column("mean bound", tuple(_risk(one.mean, counts) for one in groups)),
        Column("deviation", tuple(_points(one.deviation, counts) for one in groups)),
    )
    if contrasts:
        columns += _contrasted([contrasts.get(one.name) for one in groups], counts)
        notes = [INTERVAL, *notes]
    return [Section(OVER_SEEDS, columns, tuple(notes))]


def _contrasted(found: Sequence[Contrast | None], counts: bool) -> Table:
    def cells(of: Callable[[Contrast], str]) -> tuple[str, ...]:
        return tuple("" if one is None else of(one) for one in found)

    def interval(one: Contrast) -> str:
        if one.low is None or one.high is None:
            return ""
        return f"{_signed(one.low, counts)} to {_signed(one.high, counts)}"

    return (
        Column("to first", cells(lambda one: _signed(one.difference, counts))),
        Column("spread", cells(lambda one: _points(one.deviation, counts))),
        Column("95 % interval", cells(interval)),
        Column("compared", cells(lambda one: f"{one.runs} pairs" if one.paired else f"{one.runs} runs"), True),
        Column("by errors", cells(lambda one: _signed(one.by_errors, counts))),
        Column("by bits", cells(lambda one: _signed(one.by_bits, counts))),
        Column("so the difference is", cells(lambda one: one.verdict), True),
    )


def _meaning(comparison: Comparison, short: dict[str, str]) -> tuple[str, ...]:
    rows, j = comparison.rows, len(comparison.rows)
    best = min(rows, key=lambda row: row.bound)
    together = j * Decimal(repr(comparison.delta))
    left = "no confidence" if together >= 1 else f"confidence {confidence(float(together))}"
    alone = (
        f"Each bound holds alone, with confidence {confidence(comparison.delta)}. The best of J statements holds at J "
        f"delta: picked afterwards, the best of these {j} holds with {left}; runs that are not here count too."
    )
    if comparison.jointly is not None:
        now, then = _risk(best.bound, best.counts), _risk(comparison.jointly, best.counts)
        reads = f"still read {now}" if now == then else f"read {then} instead of {now}"
        alone += f" Stated at delta / {j}, it would {reads}, with confidence {confidence(comparison.delta)}."
    guess = ("Differences of risks are in points of per cent.",) if best.counts else ()
    return (alone, SHARED, *guess)


def _apart(apart: Sequence[Apart], short: dict[str, str]) -> list[Section]:
    """One table for each reason, the best first."""
    reasons = dict.fromkeys(one.reason for one in apart if one.stands)
    sections = []
    for reason in reasons:
        rows = sorted((one.row for one in apart if one.reason == reason), key=lambda row: (row.bound, row.bits))
        columns, same = _columns(rows, short, "")
        table = tuple(column for column in columns if column.head not in GAPS)
        about = (f"the same in all: {'; '.join(same)}",) if same else ()
        sections.append(Section(f"Not comparable: {reason}", table, about))
    broken = tuple(f"WARNING. {short[one.row.name]} is in no ranking: {one.reason}." for one in apart if not one.stands)
    return [*sections, Section("", None, broken)] if broken else sections


GAPS = ("to first", "by errors", "by bits")


def text_of(sections: Sequence[Section], width: int) -> str:
    """Return sections as text, apart by an empty line."""
    blocks = []
    for section in sections:
        lines = wrapped(section.title, width) if section.title else []
        if section.table is not None:
            lines += text_table(section.table, width)
        if section.table is not None and section.sentences:
            lines.append("")
        for sentence in section.sentences:
            lines += wrapped(sentence, width)
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks)


def markdown_of(sections: Sequence[Section]) -> str:
    """Return sections as Markdown, without a final newline."""
    blocks = []
    for section in sections:
        blocks += [f"**{markdown_text(section.title)}**"] if section.title else []
        blocks += ["\n".join(markdown_table(section.table))] if section.table is not None else []
        blocks += [markdown_text(sentence) for sentence in section.sentences]
    return "\n\n".join(blocks)


def _latex(sections: Sequence[Section]) -> str:
    blocks = []
    for section in sections:
        blocks += [rf"\paragraph{{{latex_text(section.title)}}}"] if section.title else []
        blocks += ["\n".join(latex_table(section.table))] if section.table is not None else []
        blocks += [latex_text(sentence) for sentence in section.sentences]
    return "\n\n".join(blocks)


def _csv(comparison: Comparison) -> str:
    """A line for each certificate: rank in the table, empty of those set apart, whose reason stands last."""
    measures = list(dict.fromkeys(n for row in _every(comparison) for n in row.measures))
    groups = {name: one.name for one in comparison.groups for name in one.runs}
    fields = [
        "name", "bound", "theorem", "errors", "n", "error", "bits", "bits_per_parameter", "picked", "d", "D", "model",
        "prior", "seed", "difference", "by_errors", "by_bits",
    ]  # fmt: skip
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["rank", *fields, "group", *measures, "apart"])
    reasons = ["" for _ in comparison.rows] + [one.reason for one in comparison.apart]
    for place, (row, reason) in enumerate(zip(_every(comparison), reasons, strict=True), 1):
        cells = [getattr(row, field) for field in fields]
        values = [row.measures.get(name) for name in measures]
        writer.writerow(["" if reason else place, *cells, groups.get(row.name, ""), *values, reason])
    return stream.getvalue().rstrip("\n")


def _json(comparison: Comparison) -> str:
    document: dict[str, Json] = comparison.model_dump(mode="json")
    document["rows"] = [_document(row) for row in comparison.rows]
    document["apart"] = [{**_document(one.row), "reason": one.reason, "stands": one.stands} for one in comparison.apart]
    document["contrasts"] = [{**one.model_dump(mode="json"), "verdict": one.verdict} for one in comparison.contrasts]
    return json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False)


def _document(row: Row) -> dict[str, Json]:
    return {**row.model_dump(mode="json"), "bits_per_parameter": row.bits_per_parameter}


def _every(comparison: Comparison) -> list[Row]:
    return [*comparison.rows, *(one.row for one in comparison.apart)]


def _dimension(row: Row) -> str:
    return "" if row.d is None else "w = 0" if row.d == 0 else f"{row.d:,}"


def _risk(risk: float | Decimal, counts: bool) -> str:
    return percent_up(risk) if counts else rate_up(risk)


def _points(value: float | None, counts: bool) -> str:
    return "" if value is None else f"{100 * value:.2f}" if counts else f"{value:.4f}"


def _signed(value: float | None, counts: bool) -> str:
    if value is None:
        return ""
    text = f"{100 * value:+.2f}" if counts else f"{value:+.4f}"
    return text[1:] if float(text) == 0 else text


def _gap(value: float | None, row: Row) -> str:
    return _signed(value, row.counts)


def _figure(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if value.is_integer() and abs(value) < 1e15 else f"{value:.4g}"
