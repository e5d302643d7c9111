"""Render a certificate for people: text for the terminal, Markdown for a model card, LaTeX for a paper.

Reads the certificate and nothing else; every printed figure is rounded up.
"""

from collections.abc import Callable
from decimal import Decimal
from typing import Literal, NamedTuple

from ..certificate.difference import DifferenceCertificate
from ..certificate.documents import AnyCertificate
from ..certificate.language import LanguageCertificate
from ..certificate.recheck import recheck_arithmetic
from ..certificate.schema import Baseline, Certificate, MethodRow, OtherBound
from ..certificate.statement import confidence, describe_loss, percent_up, rate_up, share_up
from .complaint import complaint
from .difference import difference_facts, difference_not_said
from .language import language_facts, language_not_said, language_warning
from .picked import ON_ITS_WORD, facts_of_picks, not_said_of_picks, picked_network
from .shared import DECODED, INTEGRITY, UNPAID, added_to_theta0, theta0_words, unseen
from .tables import latex_text, markdown_text, wrapped

Format = Literal["text", "markdown", "latex", "json"]
FORMATS: tuple[Format, ...] = Format.__args__  # type: ignore[attr-defined]

ELSEWHERE = "It is about new data from the same source: nothing is said where the distribution shifts."
MOST_LABELS = 20  # that are printed
NOT_SAID = (
    ELSEWHERE,
    DECODED,
    UNPAID,
    INTEGRITY,
)
NOT_SAID_OF_DRAW = (
    ELSEWHERE,
    "It is about the one network drawn from the posterior: not about another draw, nor about the posterior's mean.",
    UNPAID,
    INTEGRITY,
)
NOT_SAID_OF_ORIGINAL = (
    ELSEWHERE,
    "It is about the original network in float32, eval mode: the decoded network only stands in for it.",
    UNPAID,
    INTEGRITY,
)
BY_ITS_AUTHOR = ", as its author counted; not rechecked here (verify --test does)"
BY_THE_SET = "; charges which examples were picked, and needs no order of picking"
CORE = "of all but versions, seconds and notes: the same for whoever runs this again with the same outcome"
UNBROKEN = 1 << 30  # columns
SIMPLER = "; smaller than the bound above: here the simple bound is the better one"


class Sheet(NamedTuple):
    """What every format prints. facts: (name, value). ledger: (item, bits, kind, why)."""

    statement: str
    warning: str
    facts: tuple[tuple[str, str], ...]
    ledger: tuple[tuple[str, str, str, str], ...]
    total_bits: str
    declarations: tuple[str, ...]
    not_said: tuple[str, ...]


def render(certificate: AnyCertificate, format: Format = "text", width: int | None = None) -> str:
    """Return the certificate in one of FORMATS, without a final newline.

    The arithmetic is rechecked on the way: where a check fails, what people read opens with a warning. json is the
    document itself. width: of the lines of text, which are broken between words; None leaves them as long as they are.

    >>> FORMATS
    ('text', 'markdown', 'latex', 'json')
    """
    return _text(certificate, width or UNBROKEN) if format == "text" else RENDERERS[format](certificate)


def sheet(certificate: AnyCertificate) -> Sheet:
    """Return what every format prints; the arithmetic is rechecked on the way."""
    if isinstance(certificate, LanguageCertificate):
        facts, not_said = language_facts(certificate), language_not_said(certificate)
        return _sheet(certificate, language_warning(certificate), facts, not_said)
    if isinstance(certificate, DifferenceCertificate):
        facts, not_said = difference_facts(certificate), difference_not_said(certificate)
        wrong = complaint(certificate)
        return _sheet(certificate, wrong and f"This certificate does not stand: {wrong}.", facts, not_said)
    last = recheck_arithmetic(certificate)[-1]
    warning = "" if last.complaint is None else f"This certificate does not stand: {last.check}: {last.complaint}."
    return _sheet(certificate, warning, tuple(_facts(certificate)), _not_said(certificate))


def _sheet(
    certificate: AnyCertificate,
    warning: str,
    facts: tuple[tuple[str, str], ...],
    not_said: tuple[str, ...],
) -> Sheet:
    return Sheet(
        statement=certificate.statement,
        warning=warning,
        facts=facts,
        ledger=tuple((e.item, f"{e.bits:,}", e.kind, e.why) for e in certificate.entries),
        total_bits=f"{certificate.ledger.bits:,}",
        declarations=certificate.declarations,
        not_said=not_said,
    )


def _not_said(certificate: Certificate) -> tuple[str, ...]:
    if certificate.comparison is not None:
        return NOT_SAID_OF_ORIGINAL if certificate.picks is None else (*NOT_SAID_OF_ORIGINAL, ON_ITS_WORD)
    if certificate.picks is not None:
        return (ELSEWHERE, *not_said_of_picks(certificate), UNPAID, INTEGRITY)
    quantizer = certificate.hypothesis.quantizer
    return NOT_SAID_OF_DRAW if quantizer is not None and quantizer.kind == "draw" else NOT_SAID


def _facts(certificate: Certificate) -> list[tuple[str, str]]:
    stated, risk, data = certificate.stated_bound, certificate.risk, certificate.data
    facts = [
        ("bound", f"{_figure(stated.value, risk.counts)} ({stated.theorem}, confidence {confidence(stated.delta)})"),
        *_parts(certificate),
        *facts_of_picks(certificate),
        (f"training {describe_loss(risk.loss)}", _errors(risk.errors, risk.n, risk.counts)),
        *(_beside(other, certificate) for other in certificate.also),
        *_methods(certificate),
        *_sweep(certificate),
        ("data", f"{data.name}, {data.n:,} examples, {data.classes} classes, sha256 {data.digest[:16]}"),
        ("distinct inputs", _distinct(certificate)),
    ]
    if data.like is not None:
        facts.append(("like", f"the inputs are those of {data.like}, in this or another form"))
    if data.note:
        facts.append(("about the data", data.note))
    if data.labels is not None:
        more = ", ..." if len(data.labels) > MOST_LABELS else ""
        named = ", ".join(f"{k} {label}" for k, label in enumerate(data.labels[:MOST_LABELS]))
        facts.append(("classes", f"{named}{more}"))
    called = certificate.environment.network
    facts.append(("network", _network(certificate) + ("" if called is None else f"; its author calls it {called}")))
    if not certificate.hypothesis.preprocess.short:
        facts.append(("preprocessing", _preprocess(certificate)))
    facts.append(("theta0", theta0_words(certificate)))
    if (word := certificate.hypothesis.train) is not None:
        facts.append(("trained part", f"{word}, all else is frozen in theta0"))
    if (split := certificate.hypothesis.base.split) is not None:
        saw = f"theta0 saw the first {split.first:,} of {split.whole:,} examples, permuted by seed {split.seed}"
        facts.append(("split", f"{saw}; whole sample sha256 {split.digest[:16]}"))
    facts.append(("message", f"{certificate.message.bits:,} bits"))
    posterior = certificate.hypothesis.quantizer
    if posterior is not None and posterior.kind == "draw":
        facts.append(("posterior", f"{posterior.file}, draw {posterior.index}"))
    facts += [(f"measure {one.name}", f"{one.value:.6g} {one.unit}".strip()) for one in certificate.measures]
    facts += [("note", note) for note in certificate.environment.notes or ()]
    facts.append(("digest", certificate.digest))
    facts.append(("core digest", certificate.core_digest))
    facts.append(("", CORE))
    return facts


def _distinct(certificate: Certificate) -> str:
    """How many inputs of the sample are distinct, and why others are not, where somebody says so."""
    data = certificate.data
    unseen = "" if certificate.hypothesis.base.split is None else ", apart from those that theta0 saw"
    why = "" if data.repeats is None else f"; repeated, says the user: {data.repeats}"
    return f"{data.distinct:,} of {data.n:,}{unseen}{why}"


def _parts(certificate: Certificate) -> list[tuple[str, str]]:
    """What a bound for an original network is made of, and what that network is."""
    part = certificate.comparison
    if part is None:
        return []
    one, inputs = certificate.parts[0], part.inputs
    differ = f"{_errors(part.differing, inputs.m, True)} of the inputs, {part.bits:,} bits"
    note = f", {inputs.note}" if inputs.note else ""
    return [
        ("original network", f"{part.original.model}, sha256 {part.original.sha256[:16]}"),
        ("surrogate's risk", f"at most {percent_up(one.value)} (share of delta {one.delta:.3g})"),
        (
            "both differ",
            f"with probability at most {percent_up(part.value)} (share of delta {part.delta:.3g}): {differ}",
        ),
        (
            "unlabelled inputs",
            f"{inputs.name}{note}, {inputs.m:,}, {inputs.distinct:,} of them distinct, sha256 {inputs.digest[:16]}",
        ),
    ]


def _methods(certificate: Certificate) -> list[tuple[str, str]]:
    """The methods of a list fixed beforehand, and what came of each."""
    times = certificate.environment.seconds
    return [
        (f"method {row.name}", _outcome(row, certificate.risk.counts, times.get(f"method-{row.name}")))
        for row in certificate.methods or ()
    ]


def _sweep(certificate: Certificate) -> list[tuple[str, str]]:
    """Which run of which grid this is."""
    sweep = certificate.sweep
    if sweep is None:
        return []
    values = ", ".join(f"{name} {value}" for name, value in sweep.values_of(sweep.chosen).items())
    return [("sweep", f"run {sweep.chosen + 1} of {len(sweep.runs)}: {values}" if values else "one run")]


def _outcome(row: MethodRow, counts: bool, seconds: float | None) -> str:
    if row.value is None or row.errors is None or row.n is None or row.bits is None:
        return "refused"
    return (
        f"bound {_figure(row.value, counts)}, training error {_errors(row.errors, row.n, counts)}, {row.bits:,} bits"
        + ("" if seconds is None else f", {seconds:,.0f} s")
    )


def _beside(other: OtherBound | Baseline, certificate: Certificate) -> tuple[str, str]:
    counts = certificate.risk.counts
    if isinstance(other, Baseline):
        return f"majority class, {other.sample}", _errors(other.errors, other.n, True)
    at = f"{_figure(other.value, counts)} (confidence {confidence(other.delta)})"
    if other.sample == "train":
        return f"by {other.theorem}", at + (BY_THE_SET if other.theorem == "picks_classical" else "")
    return "test error", (
        f"{_errors(other.errors, other.n, counts)}{BY_ITS_AUTHOR}; bound from the test set {at}"
        + unseen(certificate)
        + (SIMPLER if other.value < certificate.stated_bound.value else "")
    )


def _preprocess(certificate: Certificate) -> str:
    spec = certificate.hypothesis.preprocess
    of = "tokenizer" if spec.name == "tokens" else "constants"
    return spec.text if spec.sha256 is None else f"{spec.text}, {of} sha256 {spec.sha256[:16]}"


def _errors(errors: int | float, n: int, counts: bool) -> str:
    return f"{errors:,} of {n:,} ({_figure(share_up(errors, n), counts)})"


def _figure(risk: float | Decimal, counts: bool) -> str:
    return percent_up(risk) if counts else rate_up(risk)


def _network(certificate: Certificate) -> str:
    spec = certificate.hypothesis
    model = f"the user's own, layout {spec.layout_digest[:8]}" if spec.model == "user" else spec.model
    if spec.quantizer is not None and spec.quantizer.kind == "direct":
        kept = "".join(f", {group.kept} of {group.size}" for group in spec.quantizer.groups if group.kept < group.size)
        return f"{model}, {spec.parameters:,} parameters coded directly{kept and '; units kept' + kept[1:]}"
    if (picked := picked_network(certificate)) is not None:
        return picked
    return added_to_theta0(model, certificate)


def _text(certificate: AnyCertificate, columns: int) -> str:
    found = sheet(certificate)
    names = max(len(name) for name, _ in found.facts)
    items = max(len(item) for item, *_ in found.ledger)
    digits = max(len(found.total_bits), *(len(bits) for _, bits, _, _ in found.ledger))
    lines = [*wrapped(f"WARNING. {found.warning}", columns), ""] if found.warning else []
    lines += [*wrapped(found.statement, columns), ""]
    for name, value in found.facts:
        lines += _beside_name(f"  {name:<{names}}  ", value, columns)
    lines += ["", "Ledger, in bits: what a receiver must be told"]
    for item, bits, kind, why in found.ledger:
        lines += _beside_name(f"  {item:<{items}}  {bits:>{digits}}  {kind:<8}  ", why, columns)
    lines += [f"  {'sum':<{items}}  {found.total_bits:>{digits}}"]
    for title, sentences in (("Declared, not checked", found.declarations), ("What it does not say", found.not_said)):
        lines += ["", title, *(line for one in sentences for line in wrapped(one, columns, "  - ", "    "))]
    return "\n".join(lines)


def _beside_name(name: str, value: str, columns: int) -> list[str]:
    """A name with its value beside it, or below it where a word of the value would not fit beside it."""
    if max(len(word) for word in value.split(" ")) + len(name) <= columns:
        return wrapped(value, columns, name, " " * len(name))
    return [name.rstrip(), *wrapped(value, columns, "    ", "    ")]


def _markdown(certificate: AnyCertificate) -> str:
    found = sheet(certificate)
    lines = [f"**WARNING.** {markdown_text(found.warning)}", ""] if found.warning else []
    lines += [f"> {markdown_text(found.statement)}", "", "| | |", "|---|---|"]
    lines += [f"| {markdown_text(name)} | {markdown_text(value)} |" for name, value in found.facts]
    lines += ["", "| ledger item | bits | kind | why |", "|---|---:|---|---|"]
    lines += ["| " + " | ".join(markdown_text(cell) for cell in row) + " |" for row in found.ledger]
    lines += [f"| **sum** | **{found.total_bits}** | | |"]
    lines += ["", "Declared, not checked:", "", *(f"- {markdown_text(s)}" for s in found.declarations)]
    lines += ["", "What it does not say:", "", *(f"- {markdown_text(s)}" for s in found.not_said)]
    return "\n".join(lines)


def _latex(certificate: AnyCertificate) -> str:
    found = sheet(certificate)
    lines = [rf"\textbf{{WARNING.}} {latex_text(found.warning)}", ""] if found.warning else []
    lines += [r"\begin{quote}", latex_text(found.statement), r"\end{quote}", ""]
    lines += [r"\begin{tabular}{lp{0.7\linewidth}}", r"\hline"]
    lines += [rf"{latex_text(name)} & {latex_text(_breakable(value))} \\" for name, value in found.facts]
    lines += [r"\hline", r"\end{tabular}", "", r"\begin{tabular}{lrlp{0.5\linewidth}}", r"\hline"]
    lines += [r"item & bits & kind & why \\", r"\hline"]
    lines += [" & ".join(latex_text(cell) for cell in row) + r" \\" for row in found.ledger]
    lines += [r"\hline", rf"sum & {found.total_bits} & & \\", r"\hline", r"\end{tabular}", ""]
    lines += ["Declared, not checked:", r"\begin{itemize}"]
    lines += [rf"\item {latex_text(s)}" for s in found.declarations]
    lines += [r"\end{itemize}", "What it does not say:", r"\begin{itemize}"]
    lines += [rf"\item {latex_text(s)}" for s in found.not_said]
    return "\n".join([*lines, r"\end{itemize}"])


def _json(certificate: AnyCertificate) -> str:
    """The document itself, indented."""
    return certificate.to_json().decode("utf-8").rstrip()


def _breakable(value: str) -> str:
    """Give TeX places to break a 64-digit digest."""
    if len(value) == 64 and " " not in value:
        return " ".join(value[k : k + 16] for k in range(0, 64, 16))
    return value


RENDERERS: dict[Format, Callable[[AnyCertificate], str]] = {
    "markdown": _markdown,
    "latex": _latex,
    "json": _json,
}
