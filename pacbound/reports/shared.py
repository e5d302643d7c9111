"""What pages say of certificates of every kind in the same words: the network, its theta0, what is not said."""

from collections.abc import Sequence

from ..certificate.document import Document
from ..certificate.documents import AnyCertificate
from ..certificate.language import LanguageCertificate
from ..certificate.schema import Certificate
from .beside import Section
from .tables import Column
from .words import checking

OfNetwork = Certificate | LanguageCertificate

UNSEEN = ", if its examples had no part in the weights that were handed over"
INTEGRITY = "The digest shows integrity, not authorship: anybody can write a certificate, so verify it."
UNPAID = (
    "It is one statement: networks of one's own, other deltas and runs that were thrown away are not paid for, and the "
    "best of J statements holds at J delta."
)
DECODED = "It is about the network decoded from the message: not about the one that was trained, before coding."


def unseen(certificate: OfNetwork) -> str:
    """Return the condition of every held-out figure where weights were handed over, which may have seen the examples.

    Those of a network that is drawn from a seed, or made from zeros by its own run, saw the sample alone, and so did
    what was trained from a seed on a part of it, in a described network.
    """
    spec, part = certificate.hypothesis, certificate.comparison if isinstance(certificate, Certificate) else None
    base = spec.base
    trained_here = base.kind == "split" and base.split is not None and base.split.start is None
    own = base.kind == "seeded" or (trained_here and spec.model != "user")
    own |= base.kind == "zero" and isinstance(certificate, LanguageCertificate)
    return "" if own and part is None else UNSEEN


def added_to_theta0(model: str, certificate: OfNetwork) -> str:
    """Return the network with what was added to theta0. model: what it is called."""
    spec = certificate.hypothesis
    if spec.projector is None:
        return f"{model}; w = 0: nothing was added to theta0, which is the network itself"
    return f"{model}, D = {spec.projector.D:,} parameters, d = {spec.projector.d:,} ({spec.projector.kind})"


def theta0_words(certificate: OfNetwork) -> str:
    """Return where theta0 comes from."""
    base = certificate.hypothesis.base
    if base.kind == "zero":
        return "all parameters 0: every one of them stands in the message"
    if base.sha256 is None:
        return f"drawn by pacbound's generator from seed {base.seed}"
    if base.kind == "split":
        begun = "" if base.checkpoint is None else f" from a checkpoint, sha256 {base.checkpoint[:16]}"
        return f"trained on a part of the sample{begun}, in {base.file}"
    what = "values handed over" if base.kind == "values" else "a checkpoint"
    head = f", its last layer drawn from seed {base.seed}" if base.kind == "checkpoint_new_head" else ""
    if base.head is not None:
        head = f", its last layer means over rows of its own, {'by names' if base.head.named else 'as coded'}"
    return f"{what}, sha256 {base.sha256[:16]}{head}"


def check_it(certificate: AnyCertificate, name: str) -> Section:
    """Return how to check a certificate by copy and paste. name: of its file, without the ending."""
    found = checking(certificate, f"{name}.json")
    return Section("Check it yourself", None, (found.install, found.command, *found.fill_in))


def statement_and_facts(
    name: str, certificate: Document, facts: Sequence[tuple[str, str]], wrong: str
) -> tuple[Section, Section]:
    """Return the statement of a certificate and the table of its facts. wrong: why it does not stand, or empty."""
    said = (f"THIS CERTIFICATE DOES NOT STAND: {wrong}.",) if wrong else ()
    names, values = zip(*(fact for fact in facts if fact[0] != "digest"), strict=True)
    return (
        Section(name, None, (*said, certificate.statement)),
        Section(
            "", (Column("", names, True), Column("figures and origin", values, True)), (f"digest {certificate.digest}",)
        ),
    )
