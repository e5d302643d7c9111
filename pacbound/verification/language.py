"""Recheck a language model's certificate: arithmetic, message, and the losses of the network it decodes to."""

from pathlib import Path

from ..certificate.language import LanguageCertificate
from ..certificate.language_recheck import recheck_language_arithmetic, recheck_language_message
from ..certificate.recheck import Finding
from ..specs.grammar import OWN_NETWORK
from ..specs.specs import CHECKPOINT_KINDS


def language_lacks(certificate: LanguageCertificate, data: object, checkpoint: object, tokenizer: object) -> list[str]:
    """Return what level risk lacks."""
    lacking = []
    if data is None:
        lacking.append("the text (--data)")
    base = certificate.hypothesis.base
    needs = certificate.hypothesis.model == OWN_NETWORK or base.kind in CHECKPOINT_KINDS
    if needs and checkpoint is None:
        lacking.append("the checkpoint (--checkpoint)")
    if certificate.text.alphabet.kind == "tokenizer" and tokenizer is None:
        lacking.append("the tokenizer (--tokenizer)")
    return lacking


def recheck_language(
    certificate: LanguageCertificate, level: str, data: object, data_dir: str | Path | None,
    checkpoint: str | Path | None, tokenizer: str | Path | None, test: object,
) -> tuple[tuple[Finding, ...], bool]:  # fmt: skip
    """Run the checks of a level in order, up to the first complaint.

    Returns: the findings, and whether held-out text was counted again.
    """
    findings = recheck_language_arithmetic(certificate)
    if level == "arithmetic" or findings[-1].complaint is not None:
        return findings, False
    findings += recheck_language_message(certificate)
    if level == "message" or findings[-1].complaint is not None:
        return findings, False
    from .language_losses import recount_losses

    more, held = recount_losses(certificate, data, data_dir, checkpoint, tokenizer, test)
    return findings + more, held


def language_unchecked(certificate: LanguageCertificate, level: str, held: bool) -> tuple[str, ...]:
    """What a verification did not look at, whatever its outcome."""
    unchecked = []
    beside = [*(one.name for one in certificate.predictors), *(one.name for one in certificate.beside_answers)]
    if level == "arithmetic":
        unchecked.append("that the message decodes to this network and this ledger (level message)")
    if level != "risk":
        unchecked.append("that the network has these losses on the text, and sees no symbol ahead (level risk)")
        if beside:
            unchecked.append("the other predictors beside it (level risk)")
    else:
        unchecked.append("that the network sees no symbol ahead, beyond texts whose future was changed")
    if not held and "held_out" in beside:
        unchecked.append("the losses on held-out text, as their author counted them (give it with --test)")
    unchecked.append("what is declared: " + "; ".join(certificate.declarations))
    unchecked.append("who wrote it: the digest shows integrity, not authorship")
    return tuple(unchecked)
