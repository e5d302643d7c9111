"""How much of a difference between two bounds is errors, and how much is bits."""

from collections.abc import Callable

from ..bounds.table import THEOREMS, theorem
from ..certificate.schema import Certificate
from ..errors import BoundError
from ..records import Record

Formula = Callable[[float, float, float], float]  # errors, bits, delta -> value, at the n of one sample


class Division(Record):
    """A difference of bounds in two parts that add up to it; both None where `why_not` says why there are none."""

    by_errors: float | None = None
    by_bits: float | None = None
    why_not: str = ""


def formula(certificate: Certificate) -> Formula | str:
    """Return the headline as a function of errors, bits and delta at this n, or why it is no such function.

    This is the one place that knows which headlines are: a theorem of another kind is refused here, and nowhere else.
    """
    stated, risk = certificate.stated_bound, certificate.stated_risk
    if certificate.parts:
        return "its bound is a sum: that of a surrogate, and how often two networks differ"
    if stated.theorem not in THEOREMS:
        return f"by {stated.theorem} its bound is one of more than errors and bits"
    function = theorem(stated.theorem)

    def value(errors: float, bits: float, delta: float) -> float:
        return function(errors, risk.n, bits, delta).value

    try:
        implied = value(risk.errors, certificate.ledger.bits, stated.delta)
    except BoundError as cause:
        return str(cause)
    if implied != stated.value:
        return f"it states {stated.value!r}, where {stated.theorem} gives {implied!r}"
    return value


def divide(first: Certificate, other: Certificate) -> Division:
    """Divide the bound of `other` minus that of `first`, two certificates about one n and one delta.

    With B(errors, bits) the bound, the errors are changed before the bits and after them, and each part is the
    average over both orders (the Shapley value of two players):
    by_errors = (B(e', b) - B(e, b) + B(e', b') - B(e, b')) / 2, and likewise by_bits; their sum is B(e', b') - B(e, b).
    """
    names = first.stated_bound.theorem, other.stated_bound.theorem
    if names[0] != names[1] and not first.parts and not other.parts:
        return Division(why_not=f"its bound is by {names[1]}, not {names[0]}")
    bound, base = formula(other), formula(first)
    if isinstance(bound, str):
        return Division(why_not=bound)
    if isinstance(base, str):
        return Division(why_not=f"of the first, {base}")
    (e, b), (e2, b2) = _point(first), _point(other)
    start, end = first.stated_bound.value, other.stated_bound.value
    delta = other.stated_bound.delta
    only_errors, only_bits = bound(e2, b, delta), bound(e, b2, delta)
    return Division(
        by_errors=(only_errors - start + end - only_bits) / 2, by_bits=(only_bits - start + end - only_errors) / 2
    )


def _point(certificate: Certificate) -> tuple[float, int]:
    return certificate.stated_risk.errors, certificate.ledger.bits
