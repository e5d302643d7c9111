"""Recheck what is composed: both parts of a bound for an original network, and their sum. No torch."""

from typing import TYPE_CHECKING

from ..bounds.disagreement import SPLIT_BITS, delta_splits, sum_up, surrogate_risk
from ..bounds.inversion import binomial_tail_inverse
from ..specs.grammar import OWN_NETWORK
from ..specs.specs import DrawSpec
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
    if hypothesis.base.kind != "seeded" or hypothesis.model == OWN_NETWORK:
        return "a surrogate is a described network with theta0 from a seed, so that neither can follow the original"
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
