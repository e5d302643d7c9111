"""Checks that certificates of every kind share; each returns a complaint, or None where there is nothing wrong."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from ..bits.ledger import Entry
from ..records import Record
from ..specs.repeats import too_many_repeats
from ..specs.specs import HypothesisSpec
from .document import Document, InlineMessage, SidecarMessage, declared_sentences

OfKind = TypeVar("OfKind", bound=Document)
Checks = Sequence[tuple[str, Callable[[OfKind], str | None]]]


class Finding(Record):
    """One check: its name, and what is wrong, if anything."""

    check: str
    complaint: str | None = None


def run_checks(checks: Checks[OfKind], certificate: OfKind) -> tuple[Finding, ...]:
    """Run checks in order and stop at the first complaint, which is the last finding."""
    findings: list[Finding] = []
    for name, check in checks:
        findings.append(Finding(check=name, complaint=check(certificate)))
        if findings[-1].complaint is not None:
            break
    return tuple(findings)


def check_digest(certificate: Document) -> str | None:
    """Whether the digest is that of the content."""
    if certificate.expected_digest() == certificate.digest:
        return None
    return "the digest is not that of the content: the file was damaged or edited after it was written"


def check_declarations(certificate: Document) -> str | None:
    """Whether what is declared is what the ledger declares."""
    if certificate.declarations == declared_sentences(certificate.ledger):
        return None
    return "the declarations are the reasons of the declared entries of the ledger, in order"


def check_counted(certificate: Document, message: InlineMessage | SidecarMessage) -> str | None:
    """Whether what the ledger counts is as long as the message says."""
    counted = certificate.ledger.bits_of("counted")
    if counted == message.bits:
        return None
    return f"counted entries sum to {counted:,} bits and the message says {message.bits:,}"


def check_repeats(n: int, distinct: int, why: str | None, what: str = "examples") -> str | None:
    """Whether repeats beyond 1 % of a sample have the user's word why."""
    if why is None and too_many_repeats(n, distinct):
        return f"{n - distinct:,} of {n:,} {what} are repeats, which is more than 1 %, and nobody says why"
    return None


def compare_hypotheses(stated: HypothesisSpec, sent: HypothesisSpec) -> str | None:
    """Whether a message describes the network that its certificate states."""
    if sent == stated:
        return None
    one, other = stated.model_dump(), sent.model_dump()
    fields = ", ".join(name for name in one if one[name] != other[name])
    return f"the message describes another network than the certificate: {fields} differ"


def compare_entries(expected: Sequence[Entry], stated: Sequence[Entry]) -> str | None:
    """Whether a ledger holds the entries that it must hold, in order."""
    for want, have in zip(expected, stated, strict=False):
        if want != have:
            return (
                f"entry {have.item[:60]!r} ({have.kind}, {have.bits:,} bits) should be "
                f"{want.item!r} ({want.kind}, {want.bits:,} bits), with the reason {want.why!r}"
            )
    if len(expected) != len(stated):
        return f"there are {len(expected)} entries, the certificate has {len(stated)}"
    return None
