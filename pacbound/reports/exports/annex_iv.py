"""The paragraph on accuracy and robustness that technical documentation under Regulation (EU) 2024/1689 asks for.

Facts of the certificate, and what it is silent on; no legal advice, and no claim that the duty is met.
"""

from ...certificate.schema import Certificate
from ...certificate.statement import confidence, describe_loss, percent_up, share_up
from ...errors import RequestError
from ..shared import unseen
from ..show import sheet
from ..tables import markdown_text
from ..words import checking, declared, figure
from .subject import Exported

SILENT = (
    "accuracy for specific persons or groups of persons: the figure is one average over the source of the sample",
    "robustness against errors, faults, changed inputs or an attacker, and cybersecurity",
    "data from another source, or from the same one after it has changed",
    "whether this error measure is the right one for the intended purpose, and whether the figure is good enough",
    "foreseeable unintended outcomes, human oversight, and everything else that the annex asks for",
)


def annex_iv(exported: Exported) -> str:
    """Return the section as Markdown, without a final newline. Raises: RequestError of no classifier."""
    certificate = exported.certificate
    if not isinstance(certificate, Certificate):
        raise RequestError(
            f"export: annex-iv is about the errors of a classifier, and {exported.name} is about bits of a text or "
            "versions of a network. Export a model-card."
        )
    risk, stated, data = certificate.risk, certificate.stated_bound, certificate.data
    loss, limit = describe_loss(risk.loss), figure(stated.value, risk)
    spec = certificate.hypothesis
    about = "the network" if certificate.comparison is None else "the original network"
    lines = [
        "### Accuracy and robustness",
        "",
        "For the technical documentation of Regulation (EU) 2024/1689, Annex IV, points 2(g), 3 and 4, and Article 15. "
        "These are facts of one pacbound certificate; whether they suffice is for the provider to say.",
        "",
        f"**Expected level of accuracy.** {_plain(certificate.statement)} The measure is the {loss}; the bound of "
        f"{_plain(limit)} for {about} ({_plain(spec.model)}) follows by {_plain(stated.theorem)} from "
        f"{risk.errors:,} errors on {risk.n:,} examples and {certificate.ledger.bits:,} bits.",
        "",
        f"**Data it was measured on.** {_plain(data.name)}, {data.n:,} examples of {data.classes} classes, "
        f"{data.distinct:,} of them distinct, SHA-256 {data.digest}. "
        f"{_plain(data.note + '. ' if data.note else '')}The network was fitted to them; the bound pays for that.",
        "",
        f"**Held-out data.** {_held_out(certificate)}",
        "",
        "**Taken on trust.** " + " ".join(f"{_plain(one.sentence)} ({one.by})." for one in declared(certificate)),
        "",
        "**Not said.** The certificate says nothing on:",
        "",
        *(f"- {one};" for one in SILENT),
        "",
        *(f"- {_plain(one)}" for one in sheet(certificate).not_said),
        "",
        f"**Check.** `{checking(certificate, exported.name).command}` counts the errors again; digest of the "
        f"certificate {certificate.digest}.",
    ]
    return "\n".join(lines)


def _held_out(certificate: Certificate) -> str:
    other, risk = certificate.held_out, certificate.risk
    if other is None or other.held_out is None:
        return "None is stated."
    return _plain(
        f"{other.errors:,} errors of {other.n:,} ({percent_up(share_up(other.errors, other.n))}), as their author "
        f"counted, not checked again; at most {figure(other.value, risk)} by {other.theorem}, confidence "
        f"{confidence(other.delta)}{unseen(certificate)}; SHA-256 {other.held_out.digest}."
    )


def _plain(text: str) -> str:
    return markdown_text(text)
