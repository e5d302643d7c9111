"""Certificates of language models as a report, and side by side. Reads certificates and nothing else."""

import csv
import io
import json
from collections.abc import Sequence
from functools import partial

from ..certificate.canonical import Json
from ..certificate.language import LanguageCertificate, OtherAnswers, OtherForm, OtherPredictor
from ..certificate.language_statement import bits_a_byte_up, bits_up, unit_name
from ..certificate.statement import confidence, percent_up
from ..errors import CertificateError
from .beside import Format, Section, latex_of, markdown_of, text_of
from .complaint import complaint
from .drawn import COLOURS, FAINT, Drawing, drawing, sheet
from .language import HELD_OUT_PAIRS, NAMES, language_facts, language_not_said
from .report import Lead, Report
from .shared import check_it, statement_and_facts
from .tables import Column, shortest_names

NamedLanguage = tuple[str, LanguageCertificate]
MOST_DRAWN = 6  # certificates with figures of their own
ALONE = "Each bound holds alone; the best of J independent statements holds at J delta."
ONE_TEXT = "They are about one text, whose luck moves them together."
MANY_TEXTS = "They are about different texts or statements: figures in different rows are not of one mean."


def language_report(
    certificates: Sequence[NamedLanguage], unread: Sequence[tuple[str, str]] = (), title: str = ""
) -> Report:
    """Make a report of language models: the table, then each with its figures.

    Raises: CertificateError where there is no certificate, or a name stands twice.
    """
    names = [name for name, _ in certificates]
    if not names or len(set(names)) < len(names):
        raise CertificateError(f"report: give at least one certificate, each under its own name, got {names}.")
    sections = [section for name, one in certificates for section in _about(name, one)]
    if len(certificates) > 1:
        sections = [*compared(certificates), *sections]
    first = certificates[0][1]
    figures = partial(_figures, tuple(certificates[:MOST_DRAWN]))
    about = title or f"Language models on {first.text.name}"
    return Report(about, (), None, tuple(unread), False, Lead(tuple(sections), figures))


def render_compared(certificates: Sequence[NamedLanguage], format: Format, width: int) -> str:
    """Return language models side by side, smallest bound first, without a final newline."""
    if format in ("csv", "json"):
        rows = [_row(name, one) for name, one in _ordered(certificates)]
        if format == "json":
            return json.dumps({"language_models": rows}, indent=1)
        text = io.StringIO()
        writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        return text.getvalue().rstrip("\n")
    sections = compared(certificates)
    if format == "text":
        return text_of(sections, width)
    return markdown_of(sections) if format == "markdown" else latex_of(sections)


def compared(certificates: Sequence[NamedLanguage]) -> list[Section]:
    """Return the table of language models, smallest bound first; what does not stand is in no ranking."""
    wrong = {name: complaint(one) for name, one in certificates}
    rows = [(name, one) for name, one in _ordered(certificates) if not wrong[name]]
    folder, short = shortest_names([name for name, _ in rows]) if rows else ("", ())
    columns = (
        Column("certificate", short, True),
        Column("bound", tuple(_figure(one, one.stated_bound.value) for _, one in rows)),
        Column(
            "a byte",
            tuple(
                "" if one.errors is not None else bits_a_byte_up(one.stated_bound.value, one.text) for _, one in rows
            ),
        ),
        Column("mean", tuple(bits_up(one.mean) for _, one in rows)),
        Column("held out", tuple(_of(one, "held_out") for _, one in rows)),
        Column("n-gram", tuple(_of(one, "n-gram") for _, one in rows)),
        Column("bits", tuple(f"{one.ledger.bits:,}" for _, one in rows)),
        Column("n", tuple(f"{one.losses.n:,}" for _, one in rows)),
        Column("statement", tuple(one.units.statement for _, one in rows), True),
        Column("text", tuple(one.text.name for _, one in rows), True),
        Column("model", tuple(_model(one) for _, one in rows), True),
    )
    asked = any(one.errors is not None for _, one in rows)
    same = len({(one.text.digest, one.units.statement, one.stated_bound.delta) for _, one in rows}) == 1
    unit = "bits a symbol, or of answers the share of prompts not answered exactly" if asked else "bits a symbol"
    about = [f"{unit}, confidence {confidence(rows[0][1].stated_bound.delta)} each"] if rows else []
    about += [f"in {folder}"] if folder else []
    sections = [Section("", None, tuple(about))] if about else []
    if rows:
        sections.append(Section("", columns, (*((ONE_TEXT if same else MANY_TEXTS,) if len(rows) > 1 else ()), ALONE)))
    broken = tuple(f"{name} does not stand: {why}." for name, why in wrong.items() if why)
    return [*sections, *([Section("Does not stand", None, broken)] if broken else [])]


def _ordered(certificates: Sequence[NamedLanguage]) -> list[NamedLanguage]:
    """Smallest bound first, those of answers after those in bits a byte."""

    def rank(named: NamedLanguage) -> tuple[bool, float, str]:
        name, one = named
        asked = one.errors is not None
        return asked, one.stated_bound.value if asked else one.bits_a_byte, name

    return sorted(certificates, key=rank)


def _figure(certificate: LanguageCertificate, value: float) -> str:
    return bits_up(value) if certificate.errors is None else percent_up(value)


def _of(certificate: LanguageCertificate, name: str) -> str:
    beside: tuple[OtherPredictor | OtherAnswers, ...] = (*certificate.predictors, *certificate.beside_answers)
    return next((_figure(certificate, one.value) for one in beside if one.name == name), "")


def _model(certificate: LanguageCertificate) -> str:
    called = certificate.environment.network
    return called or ("checkpoint" if certificate.hypothesis.model == "user" else certificate.hypothesis.model)


def _row(name: str, one: LanguageCertificate) -> dict[str, Json]:
    return {
        "name": name,
        "stands": not complaint(one),
        "bound": one.stated_bound.value,
        "bound_bits_a_byte": one.bits_a_byte if one.errors is None else None,
        "theorem": one.stated_bound.theorem,
        "delta": one.stated_bound.delta,
        "mean": one.mean,
        "bits": one.ledger.bits,
        "n": one.losses.n,
        "text": one.text.name,
        "text_digest": one.text.digest,
        "model": _model(one),
        **{f"{other.name}": other.value for other in (*one.predictors, *one.beside_answers)},
    }


def _about(name: str, certificate: LanguageCertificate) -> list[Section]:
    """Statement, figures, ledger and declarations of one certificate."""
    ledger = certificate.entries
    return [
        *statement_and_facts(name, certificate, language_facts(certificate), complaint(certificate)),
        Section(
            "Where the bits go",
            (
                Column("item", (*(entry.item for entry in ledger), "sum"), True),
                Column("bits", (*(f"{entry.bits:,}" for entry in ledger), f"{certificate.ledger.bits:,}")),
                Column("kind", (*(entry.kind for entry in ledger), ""), True),
                Column("why", (*(entry.why for entry in ledger), ""), True),
            ),
            (),
        ),
        Section("What is declared", None, certificate.declarations),
        check_it(certificate, name),
        Section("What it does not say", None, language_not_said(certificate)),
    ]


def _figures(certificates: Sequence[NamedLanguage]) -> tuple[Drawing, ...]:
    made = []
    for place, (name, certificate) in enumerate(certificates):
        if complaint(certificate):
            continue
        if certificate.errors is not None:
            made.append(_answered(certificate, certificate.errors, name, f"lm{place}-answers"))
            continue
        made += [
            _frontier(certificate, name, f"lm{place}-frontier"),
            _gaps(certificate, name, f"lm{place}-gaps"),
            *((_along(certificate, name, f"lm{place}-along"),) if certificate.along else ()),
        ]
    return tuple(made)


def _answered(certificate: LanguageCertificate, errors: int, name: str, anchor: str) -> Drawing:
    """Bits against the share of prompts not answered exactly: seen, and certified."""
    points = [("the network", certificate.ledger.bits, errors / certificate.losses.n, certificate.stated_bound.value)]
    for one in certificate.beside_answers:
        label = NAMES["theta0"][0] if one.text is None else HELD_OUT_PAIRS[0]
        points.append((label, one.bits, one.errors / one.n, one.value))
    caption = f"{name}: share of prompts not answered exactly, seen (dot) and certified (bar), against bits."
    return _against_bits(points, "share not answered exactly", anchor, "Bits against errors", caption)


def _frontier(certificate: LanguageCertificate, name: str, anchor: str) -> Drawing:
    """Bits against loss: of each predictor its mean loss, and above it what is certified."""
    unit = unit_name(certificate.text)
    points = [("the network", certificate.ledger.bits, certificate.mean, certificate.stated_bound.value)]
    points += [
        (NAMES[one.name][0], one.bits, one.mean, one.value)
        for one in certificate.predictors
        if one.name not in ("uniform", "held_out")
    ]
    caption = f"{name}: mean loss (dot) and certified loss (bar) against bits. {_ngram_note(certificate)}"
    return _against_bits(points, f"bits a {unit}", anchor, "Bits against loss", caption)


def _against_bits(
    points: list[tuple[str, int, float, float]], scale: str, anchor: str, title: str, caption: str
) -> Drawing:
    """Draw (label, bits, seen, certified)."""
    with sheet() as (figure, axes):
        for place, (label, bits, mean, value) in enumerate(points):
            colour = COLOURS[place % len(COLOURS)]
            axes.plot([1 + bits, 1 + bits], [mean, value], color=colour, linewidth=2)
            axes.plot([1 + bits], [mean], "o", color=colour, markersize=5)
            axes.plot([1 + bits], [value], "_", color=colour, markersize=12, markeredgewidth=2)
            axes.annotate(label, (1 + bits, value), xytext=(4, 4), textcoords="offset points", fontsize=8)
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
        axes.minorticks_off()
        axes.set_xlim(0.7, 30 * max(1 + bits for _, bits, _, _ in points))
        axes.set_xlabel("bits of the ledger, + 1")
        axes.set_ylabel(scale)
        return drawing(figure, anchor, title, caption)


def _ngram_note(certificate: LanguageCertificate) -> str:
    learns = any(one.name == "n-gram" for one in certificate.predictors)
    return "The n-gram goes on learning and is no frozen network." if learns else ""


def _gaps(certificate: LanguageCertificate, name: str, anchor: str) -> Drawing:
    """How far each statement lies above the mean loss that it is made from."""
    bars: list[tuple[str, float]] = [
        (certificate.stated_bound.theorem, certificate.stated_bound.value - certificate.mean)
    ]
    bars += [(one.theorem, one.value - certificate.mean) for one in certificate.also if isinstance(one, OtherForm)]
    bars += [("held out, 0 bits", one.value - one.mean) for one in certificate.predictors if one.name == "held_out"]
    with sheet(height=0.9 + 0.4 * len(bars)) as (figure, axes):
        axes.barh([label for label, _ in bars][::-1], [gap for _, gap in bars][::-1], color=COLOURS[0], height=0.6)
        for place, (_, gap) in enumerate(bars[::-1]):
            axes.annotate(
                f"{gap:.3f}", (gap, place), xytext=(4, 0), textcoords="offset points", va="center", fontsize=8
            )
        axes.set_xlim(0, 1.15 * max(gap for _, gap in bars))
        axes.set_xlabel(f"bits a {unit_name(certificate.text)} above the mean loss")
        return drawing(figure, anchor, "The gap by statement", f"{name}: what each statement adds to the mean loss.")


def _along(certificate: LanguageCertificate, name: str, anchor: str) -> Drawing:
    """Mean losses of equal parts of the units."""
    with sheet(height=2.6) as (figure, axes):
        parts = len(certificate.along)
        order = "the shortest documents first" if certificate.units.separator else "in order"
        axes.plot([(k + 0.5) / parts for k in range(parts)], certificate.along, color=COLOURS[0], linewidth=1.2)
        axes.axhline(certificate.mean, color=FAINT, linewidth=1)
        axes.axhline(certificate.stated_bound.value, color=COLOURS[1], linewidth=1)
        axes.annotate(
            "certified", (0.0, certificate.stated_bound.value), xytext=(2, 3), textcoords="offset points", fontsize=8
        )
        axes.set_xlim(0, 1)
        axes.set_xlabel("share of the text")
        axes.set_ylabel(f"bits a {unit_name(certificate.text)}")
        return drawing(figure, anchor, "Loss along the text", f"{name}: mean loss of {parts} equal parts, {order}.")
