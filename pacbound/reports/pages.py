"""A report as a page of HTML that needs nothing else, and as Markdown: templates filled from plain records."""

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from ..certificate.schema import Certificate
from ..certificate.statement import confidence
from .beside import Section, markdown_of, render, sections
from .drawn import Drawing
from .figures import against_d, against_size, bits_of_many, bits_of_one, by_layer, frontier_of, transfer
from .picked import Strip, not_shown
from .report import Report, Subject
from .show import sheet
from .tables import Column, Table, markdown_table, markdown_text
from .words import Checking, Declared, Lever, checking, declared, figure, in_words, levers

TEMPLATES = Path(__file__).with_name("templates")
MOST_LAYERS = 12  # measures drawn
SHOWN = 0.5  # seconds of a stage, from which it is said how long it took
MOST_DRAWN = 6  # certificates with figures of their own; a figure takes a third of a second
LEFT_OUT = f"Left out of reports on more than {MOST_DRAWN} certificates: report this one alone."
CHECKED = "For this report its arithmetic and its message were checked; errors were not counted again."
UNPROVED = "No frontier: the certificate does not stand."
NOT_CHECKED = "For this report its checks were run up to the one that failed."


Pairs = tuple[tuple[str, str], ...]  # name, value


class Part(NamedTuple):
    """What a page says of one certificate; a figure is None where the format has none, or a reason."""

    name: str
    anchor: str
    complaint: str
    limit: str
    confidence: str
    statement: str
    words: tuple[str, ...]
    bits: Drawing | str | None
    ledger: Table
    declared: tuple[Declared, ...]
    frontier: Drawing | str | None
    levers: Table | None
    figures: Pairs
    layers: tuple[Drawing, ...]
    pictures: tuple[Strip, ...]
    provenance: Pairs
    checking: Checking
    checked: str
    not_said: tuple[str, ...]


class Overview(NamedTuple):
    """What a page says of several certificates; figures are left out of Markdown."""

    sections: tuple[Section, ...]
    markdown: str
    frontier: Drawing | str | None
    figures: tuple[Drawing | str, ...]


def page(report: Report) -> str:
    """Return a page without script and without anything from outside; the same bytes from the same certificates.

    Raises: CertificateError where matplotlib is missing.
    """
    found = _environment(True).get_template("report.html.j2")
    css = (TEMPLATES / "report.css").read_text("utf-8")
    figures = report.lead.figures() if report.lead else ()
    return found.render(
        report=report, css=css, parts=_parts(report, True), overview=_overview(report, True), figures=figures
    ) + "\n"  # fmt: skip


def markdown(report: Report) -> str:
    """Return the report as Markdown, without figures and without a final newline."""
    found = _environment(False).get_template("report.md.j2")
    text = found.render(report=report, parts=_parts(report, False), overview=_overview(report, False))
    return text.rstrip()


@functools.cache
def _environment(html: bool) -> Environment:
    """Templates, which are read once a process."""
    made = Environment(loader=FileSystemLoader(TEMPLATES), autoescape=html, undefined=StrictUndefined)
    made.filters["plain"] = markdown_text
    made.filters["told"] = markdown_of
    made.filters["rows"] = lambda table: "\n".join(markdown_table(table))
    return made


def _parts(report: Report, drawn: bool) -> list[Part]:
    few = len(report.subjects) <= MOST_DRAWN
    return [
        _part(subject, f"c{index}", drawn, few, report.pictures.get(subject.name, ()))
        for index, subject in enumerate(report.subjects)
    ]


def _part(subject: Subject, anchor: str, drawn: bool, few: bool, given: tuple[Strip, ...]) -> Part:
    certificate, stands = subject.certificate, subject.stands
    found, moved = sheet(certificate), levers(certificate) if stands else ()
    figures, origin = _divided(found.facts)
    bits, frontier, layers = _figures(subject, anchor, few) if drawn else (None, None, ())
    return Part(
        name=subject.name,
        anchor=anchor,
        complaint=subject.complaint,
        limit=figure(certificate.stated_bound.value, certificate.risk),
        confidence=confidence(certificate.stated_bound.delta),
        statement=certificate.statement,
        words=in_words(certificate) if stands else (),
        bits=bits,
        ledger=_ledger(certificate),
        declared=declared(certificate),
        frontier=frontier,
        levers=_levers(moved) if moved else None,
        figures=figures,
        layers=layers,
        pictures=(given or not_shown(certificate, f"{subject.name}.json")) if stands else (),
        provenance=_provenance(origin, certificate),
        checking=checking(certificate, f"{subject.name}.json"),
        checked=CHECKED if stands else NOT_CHECKED,
        not_said=found.not_said,
    )


def _figures(subject: Subject, anchor: str, few: bool) -> tuple[Drawing | str, Drawing | str, tuple[Drawing, ...]]:
    """Bits, frontier and layers of one certificate."""
    if not few:
        return LEFT_OUT, LEFT_OUT, ()
    certificate = subject.certificate
    layered = [one for one in certificate.measures if one.per_layer][:MOST_LAYERS]
    return (
        bits_of_one(certificate.ledger, f"{anchor}-bits"),
        frontier_of([(subject.name, certificate)], f"{anchor}-frontier") if subject.stands else UNPROVED,
        tuple(by_layer(one, f"{anchor}-l{index}") for index, one in enumerate(layered)),
    )


def _levers(moved: Sequence[Lever]) -> Table:
    changes = tuple(one.change for one in moved)
    return Column("if it had", changes, True), Column("at most", tuple(one.bound for one in moved))


def _ledger(certificate: Certificate) -> Table:
    entries = certificate.entries
    total = certificate.ledger.bits
    return (
        Column("item", (*(entry.item for entry in entries), "sum"), True),
        Column("bits", (*(f"{entry.bits:,}" for entry in entries), f"{total:,}")),
        Column("kind", (*(entry.kind for entry in entries), ""), True),
        Column("why", (*(entry.why for entry in entries), ""), True),
    )


def _divided(facts: Pairs) -> tuple[Pairs, Pairs]:
    """The facts of `show`: figures, and, from the data on, where they come from."""
    start = [name for name, _ in facts].index("data")
    return facts[:start], tuple((name, value) for name, value in facts[start:] if name not in ("digest", ""))


def _provenance(facts: Pairs, certificate: Certificate) -> Pairs:
    """With the sample's whole digest, versions and times."""
    made = certificate.environment
    versions = ", ".join(f"{name} {version}" for name, version in sorted(made.versions.items()))
    times = ", ".join(f"{name} {seconds:,.0f} s" for name, seconds in made.seconds.items() if seconds >= SHOWN)
    rows = [
        *facts,
        ("sample, sha256", certificate.data.digest),
        *((("versions", versions),) if versions else ()),
        *((("time taken", times),) if times else ()),
        ("schema version", certificate.schema_version),
        ("digest", certificate.digest),
    ]
    return tuple(rows)


def _overview(report: Report, drawn: bool) -> Overview | None:
    if report.comparison is None or not report.whole:
        return None
    comparison = report.comparison
    made = {subject.name: subject.certificate for subject in report.subjects}
    rows = [(row.name, made[row.name]) for row in comparison.rows]
    frontier = frontier_of(rows, "all-frontier") if drawn else None
    figures = (
        (
            bits_of_many(rows, "all-bits"),
            against_d(comparison, "all-d"),
            against_size(comparison, "all-size"),
            transfer(comparison, "all-transfer"),
        )
        if drawn
        else ()
    )
    return Overview(tuple(sections(comparison)), render(comparison, "markdown"), frontier, figures)
