"""A certificate in plain words: what was promised, by how much of what, on whose word, and how to check it."""

import shlex
from decimal import Decimal
from typing import NamedTuple

from ..bounds.claims import RiskEstimate
from ..certificate.difference import DifferenceCertificate
from ..certificate.documents import AnyCertificate
from ..certificate.language import LanguageCertificate, TextRecord
from ..certificate.schema import Certificate
from ..certificate.statement import describe_loss, guessing_risk, percent_up, rate_up, share_up, vacuous
from ..certificate.tuned import ALTERATION
from .divided import formula

NAMED_DATA = ("digits", "mnist", "fashion-mnist", "cifar10")  # that `--data` takes by name
NAMED_TEXTS = {
    "tinyshakespeare": "tinyshakespeare", "wikitext-2-valid": "wikitext-2:valid", "wikitext-2-test": "wikitext-2:test",
}  # fmt: skip
ALTERED = {"cifar10-86jpeg": "cifar10"}  # named so because some images differ, and loaded by the name of the others
KNOWN_LOSSES = ("zero_one", "error_probability")
SAID_BY = {"says the user": "the user, in so many words", "says the author": "its author, in so many words"}
BY_MAKING = "whoever made the certificate, by making it"


Needed = tuple[str, str, str]  # an option, what stands after it, and what that is, or ''


class Declared(NamedTuple):
    """One thing taken on somebody's word."""

    item: str
    sentence: str
    by: str


class Lever(NamedTuple):
    """What the bound would be if one thing were otherwise."""

    change: str
    bound: str


class Checking(NamedTuple):
    """How to check a certificate: lines for a shell, and what to put in place of the words in capitals."""

    install: str
    command: str
    fill_in: tuple[str, ...]


def in_words(certificate: Certificate) -> tuple[str, ...]:
    """Return a few sentences for a reader who knows none of the words of the field."""
    risk, stated, ledger = certificate.risk, certificate.stated_bound, certificate.ledger
    parameters = certificate.hypothesis.parameters
    each = "" if not parameters else f", {ledger.bits / parameters:.3f} for each of its {parameters:,} parameters"
    loss = describe_loss(risk.loss)
    at, limit = figure(share_up(risk.errors, risk.n), risk), figure(stated.value, risk)
    sentences = [
        f"On the {risk.n:,} examples of the sample its {loss} is {at} ({risk.errors:,} of {risk.n:,}).",
        f"Everything about it that could have been fitted to them is told in {ledger.bits:,} bits{each}. "
        "The fewer bits, the less it can have learned by heart.",
        f"So on new data from the same source its {loss} is at most {limit}, unless the sample was an unlucky one; the "
        f"chance of that was at most {percent_up(Decimal(repr(stated.delta)))} before it was drawn.",
    ]
    if certificate.picks is not None:
        sentences[1] = (
            f"It was made from {certificate.picks.picked:,} of these examples alone, by a recipe that is told in "
            f"{ledger.bits:,} bits. The fewer examples it needed, the less it can have learned by heart."
        )
    if certificate.comparison is not None:
        sentences[0] = sentences[0].replace(" its ", " the stand-in's ", 1)
        sentences[1] = (
            f"A simpler network that stands in for it is told in {ledger.bits:,} bits, and how often both answer "
            "differently was counted on inputs without labels."
        )
    if vacuous(certificate.bound, risk.loss, certificate.data.classes):
        guess = guessing_risk(risk.loss, certificate.data.classes)
        sentences.append(f"That says nothing: a guess does as well ({figure(guess, risk)}).")
    return tuple(sentences)


def declared(certificate: AnyCertificate) -> tuple[Declared, ...]:
    """Return the declared entries, and on whose word they stand."""
    return tuple(
        Declared(
            entry.item,
            entry.why,
            next((by for words, by in SAID_BY.items() if words in entry.why), BY_MAKING),
        )
        for entry in certificate.entries
        if entry.kind == "declared"
    )


def levers(certificate: Certificate) -> tuple[Lever, ...]:
    """Return what the same theorem says of fewer bits or errors; none where its bound is no function of these."""
    bound = formula(certificate)
    bits, risk, delta = certificate.ledger.bits, certificate.risk, certificate.stated_bound.delta
    if isinstance(bound, str) or bits <= 0:
        return ()
    half = risk.errors // 2 if risk.counts else risk.errors / 2
    cases = [
        ("as it is", risk.errors, bits),
        ("half the bits", risk.errors, bits // 2),
        ("no bits at all: what the size of the sample alone costs", risk.errors, 0),
        ("half the errors", half, bits),
        ("no errors at all: what the bits alone cost", 0, bits),
    ]
    return tuple(Lever(what, figure(bound(errors, cost, delta), risk)) for what, errors, cost in cases)


def checking(certificate: AnyCertificate, file: str) -> Checking:
    """Return how to check a certificate to the highest level. file: its name, as a shell is to read it."""
    words = ["pacbound", "verify", shlex.quote(file)]
    version = certificate.environment.versions.get("pacbound")
    install = f"pip install pacbound{'' if version is None else f'=={version}'}"
    if not isinstance(certificate, Certificate):
        needed = _of_versions(certificate) if isinstance(certificate, DifferenceCertificate) else _of_text(certificate)
        given = [word for option, place, _ in needed for word in (option, place)]
        return Checking(install, " ".join([*words, *given]), tuple(what for _, _, what in needed if what))
    fill_in = []
    name = ALTERED.get(certificate.data.name, certificate.data.name)
    known, _, alteration = name.partition(".")
    if known in NAMED_DATA and (not alteration or ALTERATION.fullmatch(alteration)):
        words += ["--data", f"{known}+{alteration}" if alteration else name]
    else:
        words += ["--data", "DATA"]
        fill_in.append(f"DATA: the sample, called {name}, as a .npz or .safetensors file or module:callable")
    comparison = certificate.comparison
    if (certificate.hypothesis.model if comparison is None else comparison.original.model) == "user":
        words += ["--model", "MODEL"]
        fill_in.append("MODEL: the network, as module:callable")
    if certificate.hypothesis.base.kind.startswith("checkpoint") or comparison is not None:
        words += ["--checkpoint", "FILE"]
        stated = certificate.hypothesis.base.sha256 if comparison is None else comparison.original.sha256
        fill_in.append(f"FILE: the checkpoint with SHA-256 {stated}")
    if comparison is not None:
        words += ["--unlabelled", "INPUTS"]
        fill_in.append(f"INPUTS: the {comparison.inputs.m:,} inputs without labels, called {comparison.inputs.name}")
    if not certificate.risk.counts and certificate.risk.loss not in KNOWN_LOSSES:
        words += ["--loss", "LOSS"]
        fill_in.append(f"LOSS: the loss called {certificate.risk.loss}, as module:function")
    if certificate.data.note and known in NAMED_DATA and not alteration:
        fill_in.append(f"instead of {name}, where it was prepared: {certificate.data.note}")
    return Checking(install, " ".join(words), tuple(fill_in))


def _of_text(certificate: LanguageCertificate) -> list[Needed]:
    """What a language model is checked with."""
    base, needed = certificate.hypothesis.base, [_text(certificate.text), *_tokenizer(certificate.text)]
    if certificate.hypothesis.model == "user" or base.kind.startswith("checkpoint"):
        needed.append(("--checkpoint", "FILE", f"FILE: the checkpoint with SHA-256 {base.checkpoint or base.sha256}"))
    return needed


def _of_versions(certificate: DifferenceCertificate) -> list[Needed]:
    """What versions of a network are checked with."""
    text, reference = certificate.text, certificate.reference
    needed: list[Needed] = []
    if text is not None:
        needed += [_text(text), *_tokenizer(text)]
    else:
        needed.append(("--data", "DATA", f"DATA: the held-out data, called {certificate.about}"))
    needed.append(("--reference", "REFERENCE", f"REFERENCE: the network with SHA-256 {reference.sha256}"))
    needed += [
        ("--checkpoint", "FILE", f"FILE: the version with SHA-256 {row.sha256}")
        for row in certificate.versions
        if row.sha256 is not None
    ]
    if text is None and reference.model == "user":
        needed.append(("--model", "MODEL", "MODEL: the network, as module:callable"))
    return needed


def _text(text: TextRecord) -> Needed:
    if text.name in NAMED_TEXTS:
        return "--data", NAMED_TEXTS[text.name], ""
    return "--data", "DATA", f"DATA: the file of the text, called {text.name}, whole or from byte {text.begin:,} on"


def _tokenizer(text: TextRecord) -> list[Needed]:
    stated = text.alphabet.sha256
    what = f"TOKENIZER: the file of the tokenizer with SHA-256 {stated}"
    return [] if stated is None else [("--tokenizer", "TOKENIZER", what)]


def figure(risk: float | Decimal, estimate: RiskEstimate) -> str:
    """Print a risk rounded up: per cent where errors are counted, else a rate."""
    return percent_up(risk) if estimate.counts else rate_up(risk)
