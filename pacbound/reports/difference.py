"""Certificates of what versions of a network lose: what every format prints, and their page. They read nothing else."""

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from ..certificate.difference import DifferenceCertificate, VersionRow
from ..certificate.difference_statement import version_name
from ..certificate.language_statement import bits_a_byte_up, bits_up, unit_name
from ..certificate.statement import confidence, rate_up
from .beside import Section
from .complaint import complaint
from .drawn import COLOURS, FAINT, Drawing, drawing, sheet
from .report import Lead, Report
from .shared import INTEGRITY, UNPAID, check_it, statement_and_facts
from .tables import Column

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LINEAR = 0.01  # losses within it stand on a linear scale
NamedDifference = tuple[str, DifferenceCertificate]
ANOTHER_REFERENCE = "It is about these two networks: nothing is said of how good the reference is."
MIXED = (
    "It is about predictions after mixing with the uniform distribution: without it one symbol may cost any number of "
    "bits, and no bound would hold."
)

PASTS = "It is about the pasts of this very text: on new text, whose pasts differ, a version may lose more."
ELSEWHERE = "It is about new examples from the same source: nothing is said where the distribution shifts."


def difference_facts(certificate: DifferenceCertificate) -> tuple[tuple[str, str], ...]:
    """Return (name, value) of everything that a reader asks about."""
    facts = [(version_name(row.name), _figures(certificate, row)) for row in certificate.versions]
    facts.append(("confidence", f"{confidence(certificate.delta)}, of all versions at once, by {certificate.theorem}"))
    text, data, prediction = certificate.text, certificate.data, certificate.prediction
    if text is not None and prediction is not None:
        alphabet = text.alphabet
        read_by = "" if alphabet.sha256 is None else f", sha256 {alphabet.sha256[:16]}"
        facts += [
            ("text", f"{text.name}, {text.symbols:,} symbols, {text.bytes:,} bytes, sha256 {text.digest[:16]}"),
            ("alphabet", f"{alphabet.kind}, {alphabet.size:,} symbols{read_by}"),
            ("smoothing", f"alpha {prediction.smoothing:g} over {alphabet.size:,} symbols, of both networks"),
            ("windows", f"{prediction.window:,} symbols, every {prediction.step:,}"),
        ]
    if data is not None:
        distinct = f"{data.distinct:,} distinct inputs"
        facts.append(("data", f"{data.name}, {data.n:,} examples, {distinct}, sha256 {data.digest[:16]}"))
        facts.append(("loss", certificate.loss or ""))
    reference = certificate.reference
    facts.append(("reference", f"sha256 {reference.sha256[:16]}, values {reference.values[:16]}"))
    facts += [
        (version_name(row.name), f"sha256 {row.sha256[:16]}, values {row.values[:16]}")
        for row in certificate.versions
        if row.sha256 is not None
    ]
    facts += [("note", note) for note in certificate.environment.notes or ()]
    return (*facts, ("digest", certificate.digest), ("core digest", certificate.core_digest))


def difference_not_said(certificate: DifferenceCertificate) -> tuple[str, ...]:
    """Return what the certificate is not about."""
    about = (ELSEWHERE,) if certificate.text is None else (PASTS, MIXED)
    return (*about, ANOTHER_REFERENCE, UNPAID, INTEGRITY)


def difference_report(
    certificates: Sequence[NamedDifference], unread: Sequence[tuple[str, str]] = (), title: str = ""
) -> Report:
    """Make a report of what versions lose: of each certificate a table and, of language models, the curve of bits."""
    sections = [section for name, one in certificates for section in _about(name, one)]
    about = title or f"What quantization loses on {certificates[0][1].about}"
    return Report(about, (), None, tuple(unread), False, Lead(tuple(sections), partial(_drawings, tuple(certificates))))


def curve(certificate: DifferenceCertificate, name: str, anchor: str) -> Drawing:
    """Return the curve of `draw_curve` as a figure of a page."""
    with sheet() as (figure, axes):
        draw_curve(axes, certificate)
        caption = f"{name}: certified (dot) and measured (cross); the line is lattices of growing resolution."
        return drawing(figure, anchor, "Bits a weight against loss", caption)


def draw_curve(axes: "Axes", certificate: DifferenceCertificate) -> None:
    """Draw the certified and the measured loss of each quantizer's version against its bits a weight."""
    wide = [(row.bits_a_weight, row) for row in certificate.versions if row.bits_a_weight is not None]
    rows = sorted(wide, key=lambda one: one[0])
    scale = 1.0 if certificate.text is None else certificate.text.symbols / certificate.text.bytes
    for family, colour in zip(("lattice", "blocks"), COLOURS, strict=False):
        of_one = [one for one in rows if _family(one[1]) == family]
        line, bits = "-" if family == "lattice" else "", [width for width, _ in of_one]
        axes.plot(bits, [row.value * scale for _, row in of_one], f"o{line}", color=colour, markersize=4)
        axes.plot(bits, [row.mean * scale for _, row in of_one], f"x{line}", color=colour, markersize=4, alpha=0.5)
        for width, row in of_one if family == "blocks" else ():
            axes.annotate(
                row.name, (width, row.value * scale), xytext=(0, 6), textcoords="offset points", fontsize=8, ha="center"
            )
    axes.set_yscale("symlog", linthresh=LINEAR)  # a version may do better than the reference
    axes.axhline(0, color=FAINT, linewidth=0.8)
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.minorticks_off()
    axes.set_xlabel("bits a weight")
    axes.set_ylabel("loss beyond the reference's" + ("" if certificate.text is None else ", bits a byte"))


def _family(row: VersionRow) -> str:
    return "lattice" if row.name.startswith("lattice") else "blocks"


def _figures(certificate: DifferenceCertificate, row: VersionRow) -> str:
    width = "" if row.bits_a_weight is None else f"; {row.bits_a_weight:.2f} bits a weight"
    if certificate.text is None:
        return f"loses at most {rate_up(row.value)} (measured {rate_up(row.mean)}){width}"
    unit, value, mean = unit_name(certificate.text), row.value, row.mean
    a_byte = f", {bits_a_byte_up(value, certificate.text)} bits a byte" if unit == "token" else ""
    return f"loses at most {bits_up(value)} bits a {unit}{a_byte} (measured {bits_up(mean)} bits a {unit}){width}"


def _about(name: str, certificate: DifferenceCertificate) -> list[Section]:
    """Statement, figures, ledger and declarations of one certificate."""
    ledger = certificate.entries
    return [
        *statement_and_facts(name, certificate, difference_facts(certificate), complaint(certificate)),
        Section(
            "Where the bits go",
            (
                Column("item", tuple(entry.item for entry in ledger), True),
                Column("bits", tuple(f"{entry.bits:,}" for entry in ledger)),
                Column("why", tuple(entry.why for entry in ledger), True),
            ),
            (),
        ),
        check_it(certificate, name),
        Section("What it does not say", None, difference_not_said(certificate)),
    ]


def _drawings(certificates: Sequence[NamedDifference]) -> tuple[Drawing, ...]:
    return tuple(
        curve(one, name, f"difference{place}")
        for place, (name, one) in enumerate(certificates)
        if not complaint(one) and sum(row.bits is not None for row in one.versions) > 1
    )
