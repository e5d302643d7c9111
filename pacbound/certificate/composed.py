"""Recheck what is composed: both parts of a bound for an original network, and their sum. No torch."""

from typing import TYPE_CHECKING

from ..bounds.disagreement import SPLIT_BITS, delta_splits, sum_up, surrogate_risk
from ..bounds.inversion import binomial_tail_inverse
from ..specs.grammar import OWN_NETWORK
from ..specs.specs import BaseOrigin, DrawSpec
from .parts import DisagreementPart, SurrogatePart

if TYPE_CHECKING:
    from .schema import Certificate


def recheck_parts(certificate: "Certificate") -> str | None:
    """Return what is wrong with the parts of a composed certificate, or None."""
    one, other = certificate.parts
    if not isinstance(one, SurrogatePart) or not isinstance(other, DisagreementPart):
        return "the parts are a surrogate and a disagreement, in this order"
    risk, delta = certificate.risk, certificate.stated_bound.delta
    if risk.loss != "zero_one" or not isinstance(risk.errors, int):
        return f"disagreement is about errors, and the loss is {risk.loss}"
    hypothesis = certificate.hypothesis
    if may_follow(hypothesis.base, hypothesis.model, other.original.sha256):
        return (
            "a surrogate is a described network with theta0 from a seed, or trained from one on other examples, or it "
            "starts from a checkpoint that is not the original, so that neither can follow the original"
        )
    if isinstance(hypothesis.quantizer, DrawSpec):
        return "a surrogate is decoded, not drawn"
    if (one.delta, other.delta) not in delta_splits(delta):
        return f"delta {delta} is shared out in one of 16 ways, and ({one.delta}, {other.delta}) is none of them"
    paid = certificate.ledger.bits_of("choice")  # by the inputs too, since a choice is made after they were looked at
    if paid < SPLIT_BITS:
        return f"the split of delta costs {SPLIT_BITS} bits, and the choices of the ledger {paid} in all"
    if other.bits != paid:
        return f"both parts pay the choices of the ledger, {paid} bits, and the disagreement pays {other.bits}"
    return _values(certificate, one, other, risk.errors)


def may_follow(base: BaseOrigin, model: str, original: str) -> bool:
    """Whether the prior of a surrogate could know the original network, which may have seen the labelled sample.

    It cannot where the network is described and theta0 drawn from a seed, or trained from there on the first examples
    of a split with their labels. A checkpoint, and a network that goes with it, is disjoint from the sample by
    declaration; the original is not.

    Args: base, model: of the surrogate. original: SHA-256 of the file of the original.
    """
    if base.checkpoint is not None:
        return base.checkpoint == original
    drawn = base.kind == "seeded" or (base.split is not None and base.split.start is None)
    return not drawn or model == OWN_NETWORK


def _values(certificate: "Certificate", one: SurrogatePart, other: DisagreementPart, errors: int) -> str | None:
    """Each value may be larger than what its counts give, never smaller; likewise the sum."""
    bits, stated, part = certificate.ledger.bits, certificate.stated_bound.value, certificate.picks
    picked, errors = (None, errors) if part is None else (part.picked, part.errors)
    first = surrogate_risk(errors, certificate.risk.n, bits, one.delta, picked)
    if one.value < first:
        return f"the surrogate has {errors:,} errors and {bits:,} bits, which gives {first!r}; stated is {one.value!r}"
    second = binomial_tail_inverse(other.differing, other.inputs.m, other.bits, other.delta)
    if other.value < second:
        return f"{other.differing:,} of {other.inputs.m:,} inputs differ, giving {second!r}; stated is {other.value!r}"
    whole = sum_up(one.value, other.value)
    return None if stated >= whole else f"the parts add up to {whole!r}; stated is {stated!r}"
