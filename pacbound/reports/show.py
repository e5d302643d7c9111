"""Render a certificate for people: text for the terminal, Markdown for a model card, LaTeX for a paper.

Reads the certificate and nothing else; every printed figure is rounded up.
"""

from collections.abc import Callable
from decimal import Decimal
from typing import Literal, NamedTuple

from ..certificate.recheck import recheck_arithmetic
from ..certificate.schema import Baseline, Certificate, MethodRow, OtherBound
from ..certificate.statement import confidence, describe_loss, percent_up, rate_up, share_up

Format = Literal["text", "markdown", "latex", "json"]
FORMATS: tuple[Format, ...] = Format.__args__  # type: ignore[attr-defined]

ELSEWHERE = "It is about new data from the same source: nothing is said where the distribution shifts."
INTEGRITY = "The digest shows integrity, not authorship: anybody can write a certificate, so verify it."
UNPAID = (
    "It is one statement: networks of one's own, other deltas and runs that were thrown away are not paid for, and the "
    "best of J statements holds at J delta."
)
NOT_SAID = (
    ELSEWHERE,
    "It is about the network decoded from the message: not about the one that was trained, before coding.",
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
UNSEEN = ", if its examples had no part in the weights that were handed over"
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


def render(certificate: Certificate, format: Format = "text") -> str:
    """Return the certificate in one of FORMATS, without a final newline.

    The arithmetic is rechecked on the way: where a check fails, what people read opens with a warning. json is the
    document itself.

    >>> FORMATS
    ('text', 'markdown', 'latex', 'json')
    """
    return RENDERERS[format](certificate)


def sheet(certificate: Certificate) -> Sheet:
    """Return what every format prints; the arithmetic is rechecked on the way."""
    last = recheck_arithmetic(certificate)[-1]
    warning = "" if last.complaint is None else f"This certificate does not stand: {last.check}: {last.complaint}."
    return Sheet(
        statement=certificate.statement,
        warning=warning,
        facts=tuple(_facts(certificate)),
        ledger=tuple((e.item, f"{e.bits:,}", e.kind, e.why) for e in certificate.entries),
        total_bits=f"{certificate.ledger.bits:,}",
        declarations=certificate.declarations,
        not_said=_not_said(certificate),
    )


def _not_said(certificate: Certificate) -> tuple[str, ...]:
    if certificate.comparison is not None:
        return NOT_SAID_OF_ORIGINAL
    quantizer = certificate.hypothesis.quantizer
    return NOT_SAID_OF_DRAW if quantizer is not None and quantizer.kind == "draw" else NOT_SAID


def _facts(certificate: Certificate) -> list[tuple[str, str]]:
    stated, risk, data = certificate.stated_bound, certificate.risk, certificate.data
    facts = [
        ("bound", f"{_figure(stated.value, risk.counts)} ({stated.theorem}, confidence {confidence(stated.delta)})"),
        *_parts(certificate),
        (f"training {describe_loss(risk.loss)}", _errors(risk.errors, risk.n, risk.counts)),
        *(_beside(other, certificate) for other in certificate.also),
        *_methods(certificate),
        ("data", f"{data.name}, {data.n:,} examples, {data.classes} classes, sha256 {data.digest[:16]}"),
        ("distinct inputs", _distinct(certificate)),
    ]
    if data.like is not None:
        facts.append(("like", f"the inputs are those of {data.like}, in this or another form"))
    if data.note:
        facts.append(("about the data", data.note))
    facts.append(("network", _network(certificate)))
    facts.append(("theta0", _base(certificate)))
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
        return f"by {other.theorem}", at
    spec = certificate.hypothesis
    from_seed = spec.base.kind == "seeded" or (spec.base.kind == "split" and spec.model != "user")
    handed_over = certificate.comparison is not None or not from_seed
    return "test error", (
        f"{_errors(other.errors, other.n, counts)}{BY_ITS_AUTHOR}; bound from the test set {at}"
        + (UNSEEN if handed_over else "")
        + (SIMPLER if other.value < certificate.stated_bound.value else "")
    )


def _errors(errors: int | float, n: int, counts: bool) -> str:
    return f"{errors:,} of {n:,} ({_figure(share_up(errors, n), counts)})"


def _figure(risk: float | Decimal, counts: bool) -> str:
    return percent_up(risk) if counts else rate_up(risk)


def _network(certificate: Certificate) -> str:
    spec = certificate.hypothesis
    if spec.quantizer is not None and spec.quantizer.kind == "direct":
        kept = "".join(f", {group.kept} of {group.size}" for group in spec.quantizer.groups if group.kept < group.size)
        return f"{spec.model}, {spec.parameters:,} parameters coded directly{kept and '; units kept' + kept[1:]}"
    if spec.projector is None:
        return f"{spec.model}, w = 0: theta0 itself"
    return f"{spec.model}, D = {spec.projector.D:,} parameters, d = {spec.projector.d:,} ({spec.projector.kind})"


def _base(certificate: Certificate) -> str:
    base = certificate.hypothesis.base
    if base.kind == "zero":
        return "all parameters 0: every one of them stands in the message"
    if base.sha256 is None:
        return f"drawn by pacbound's generator from seed {base.seed}"
    if base.kind == "split":
        return f"trained on a part of the sample, in {base.file}"
    what = "values handed over" if base.kind == "values" else "a checkpoint"
    head = f", its last layer drawn from seed {base.seed}" if base.kind == "checkpoint_new_head" else ""
    return f"{what}, sha256 {base.sha256[:16]}{head}"


def _text(certificate: Certificate) -> str:
    found = sheet(certificate)
    width = max(len(name) for name, _ in found.facts)
    items = max(len(item) for item, *_ in found.ledger)
    digits = max(len(found.total_bits), *(len(bits) for _, bits, _, _ in found.ledger))
    lines = [f"WARNING. {found.warning}", ""] if found.warning else []
    lines += [found.statement, ""]
    lines += [f"  {name:<{width}}  {value}" for name, value in found.facts]
    lines += ["", "Ledger, in bits: what a receiver must be told"]
    lines += [f"  {item:<{items}}  {bits:>{digits}}  {kind:<8}  {why}" for item, bits, kind, why in found.ledger]
    lines += [f"  {'sum':<{items}}  {found.total_bits:>{digits}}"]
    lines += ["", "Declared, not checked", *(f"  - {sentence}" for sentence in found.declarations)]
    lines += ["", "What it does not say", *(f"  - {sentence}" for sentence in found.not_said)]
    return "\n".join(lines)


def _markdown(certificate: Certificate) -> str:
    found = sheet(certificate)
    lines = [f"**WARNING.** {_markdown_text(found.warning)}", ""] if found.warning else []
    lines += [f"> {_markdown_text(found.statement)}", "", "| | |", "|---|---|"]
    lines += [f"| {_markdown_text(name)} | {_markdown_text(value)} |" for name, value in found.facts]
    lines += ["", "| ledger item | bits | kind | why |", "|---|---:|---|---|"]
    lines += ["| " + " | ".join(_markdown_text(cell) for cell in row) + " |" for row in found.ledger]
    lines += [f"| **sum** | **{found.total_bits}** | | |"]
    lines += ["", "Declared, not checked:", "", *(f"- {_markdown_text(s)}" for s in found.declarations)]
    lines += ["", "What it does not say:", "", *(f"- {_markdown_text(s)}" for s in found.not_said)]
    return "\n".join(lines)


def _latex(certificate: Certificate) -> str:
    found = sheet(certificate)
    lines = [rf"\textbf{{WARNING.}} {_latex_text(found.warning)}", ""] if found.warning else []
    lines += [r"\begin{quote}", _latex_text(found.statement), r"\end{quote}", ""]
    lines += [r"\begin{tabular}{lp{0.7\linewidth}}", r"\hline"]
    lines += [rf"{_latex_text(name)} & {_latex_text(_breakable(value))} \\" for name, value in found.facts]
    lines += [r"\hline", r"\end{tabular}", "", r"\begin{tabular}{lrlp{0.5\linewidth}}", r"\hline"]
    lines += [r"item & bits & kind & why \\", r"\hline"]
    lines += [" & ".join(_latex_text(cell) for cell in row) + r" \\" for row in found.ledger]
    lines += [r"\hline", rf"sum & {found.total_bits} & & \\", r"\hline", r"\end{tabular}", ""]
    lines += ["Declared, not checked:", r"\begin{itemize}"]
    lines += [rf"\item {_latex_text(s)}" for s in found.declarations]
    lines += [r"\end{itemize}", "What it does not say:", r"\begin{itemize}"]
    lines += [rf"\item {_latex_text(s)}" for s in found.not_said]
    return "\n".join([*lines, r"\end{itemize}"])


def _json(certificate: Certificate) -> str:
    """The document itself, indented."""
    return certificate.to_json().decode("utf-8").rstrip()


MARKDOWN_SPECIAL = frozenset("\\`*_{}[]<>#|&~$")
LATEX_SPECIAL = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "_": r"\_", "%": r"\%",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", '"': r"\textquotedbl{}",
}  # fmt: skip


def _markdown_text(text: str) -> str:
    """Escape what Markdown and HTML would read as markup."""
    return "".join(f"\\{c}" if c in MARKDOWN_SPECIAL else c for c in text)


def _latex_text(text: str) -> str:
    """Escape what TeX would read as a command; percentages get a thin space."""
    escaped = "".join(LATEX_SPECIAL.get(c, c) for c in text)
    return escaped.replace(r" \%", r"\,\%")


def _breakable(value: str) -> str:
    """Give TeX places to break a 64-digit digest."""
    if len(value) == 64 and " " not in value:
        return " ".join(value[k : k + 16] for k in range(0, 64, 16))
    return value


RENDERERS: dict[Format, Callable[[Certificate], str]] = {
    "text": _text,
    "markdown": _markdown,
    "latex": _latex,
    "json": _json,
}
