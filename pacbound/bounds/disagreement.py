"""A bound for a network h that nobody coded: the risk of a coded surrogate g, plus how often the two disagree."""

import math
from dataclasses import dataclass
from fractions import Fraction

from flint import arb

from ..errors import BoundError
from .balls import IID, check, check_count, claim, working
from .claims import Bound
from .inversion import binomial_tail_inverse, preference_inverse

SPLITS = 16
SPLIT_BITS = 4  # log2 of SPLITS
_ODDS = range(-7, 9)  # of the surrogate's share of delta against the other's: 2^7, ..., 2^-8
_ASSUMES = (
    IID,
    "loss of one example is 0 or 1",
    "the inputs are i.i.d. from the same source and had no part in choosing either predictor",
    "deterministic predictor: the original network, which took no part in choosing the prior or the code of the other",
)


@dataclass(frozen=True)
class Disagreement:
    """The bound, its two terms, and their shares of delta. Each term holds by itself with its own share."""

    bound: Bound
    surrogate: float
    surrogate_delta: float
    difference: float
    difference_delta: float


def delta_splits(delta: float) -> tuple[tuple[float, float], ...]:
    """Return the 16 ways to share delta out: delta / (1 + 2^j), j = -7 .. 8, to the surrogate, the rest to the other.

    Each share is rounded down.

    >>> delta_splits(0.5)[7]
    (0.25, 0.25)
    """
    whole = Fraction(delta)
    firsts = [whole / (1 + Fraction(2) ** j) for j in _ODDS]
    return tuple((_rounded_down(first), _rounded_down(whole - first)) for first in firsts)


def disagreement(
    errors: int,
    n: int,
    bits: int,
    differing: int,
    inputs: int,
    choice_bits: int,
    delta: float,
    picked: int | None = None,
) -> Disagreement:
    """Bound the risk of h by B_g + D: occam_binomial of g at delta1 plus the binomial tail of g != h at delta2.

    Where g is what a learner makes from `picked` examples, B_g is the theorem `picks` in the place of occam_binomial.

        L(h) <= L(g) + P[g(x) != h(x)] <= B_g(errors, n, bits, delta1) + D(differing, inputs, choice_bits, delta2)

    (delta1, delta2) is the best of 16 pairs that each add up to delta, chosen after both counts are known. Where the
    4 bits of that choice are paid: for pair j let A_j be "B_g fails at delta1_j / 16" and D_j "D fails at
    delta2_j / 16". The pair used fails only if A_j or D_j happens for some j, so with probability at most
    sum_j (delta1_j + delta2_j) / 16 = delta. Hence both terms pay, not one of them: `bits` and `choice_bits` each
    contain the 4 bits. Any other choice made after the inputs were looked at, such as which of several surrogates
    to keep, lies in `choice_bits` too. A pair named beforehand would be free, and would have to be believed.

    Reference: Bazinet, Zantedeschi and Germain 2026, "Bound to Disagree: Generalization Bounds via Certifiable
    Surrogates" (arXiv 2602.23128); the terms are Langford 2005, Theorems 4.1 and 3.3, and a union bound.

    Args: errors, n: of g on the labelled sample; with picks, errors are those outside them. bits: of g's whole ledger.
        differing: inputs on which g and h differ, of `inputs` unlabelled ones. choice_bits: of the choices in the
        ledger, from 4 to `bits`. delta: in (0, 1). picked: |T|, None for a coded g.

    Raises: BoundError outside the ranges.

    Assumes: i.i.d. examples and inputs of one source; neither h nor g was fitted to the inputs; the prior of g is
        independent of the labelled sample, whereas h may have been trained on it.
    Rounds: up, each term and the sum; the shares of delta down.
    """
    check("disagreement", errors, n, bits, delta)
    check("disagreement", differing, inputs, choice_bits, delta)
    check_count("disagreement", errors)
    check_count("disagreement", differing)
    if not SPLIT_BITS <= choice_bits <= bits:
        raise BoundError(
            f"disagreement: both terms pay {SPLIT_BITS} bits for the split of delta, and what the inputs pay stands in "
            f"the ledger of {bits} bits, got choice_bits = {choice_bits}. Take both from one ledger."
        )
    made = []
    for first, second in delta_splits(delta):
        if first > 0 and second > 0:
            one = surrogate_risk(errors, n, bits, first, picked)
            other = binomial_tail_inverse(differing, inputs, choice_bits, second)
            made.append((sum_up(one, other), one, first, other, second))
    if not made:
        raise BoundError(f"disagreement: delta is large enough to be shared out, got {delta!r}. The usual one is 0.05.")
    value, one, first, other, second = min(made)
    bound = claim("disagreement", value, delta, "Bazinet et al. 2026; Langford 2005, Theorems 4.1 and 3.3", _ASSUMES)
    return Disagreement(bound, one, first, other, second)


def surrogate_risk(errors: int, n: int, bits: int, delta: float, picked: int | None = None) -> float:
    """Return the bound of the surrogate alone, rounded up: by its code, or by the examples it is made from.

    Raises: BoundError outside the ranges.
    """
    if picked is None:
        return binomial_tail_inverse(errors, n, bits, delta)
    return preference_inverse(picked + errors, n, bits, delta)


def sum_up(one: float, other: float) -> float:
    """Return one + other rounded up, at most 1."""
    with working():
        exact = arb(one) + arb(other)
        nearest = one + other
        return min(1.0, nearest if arb(nearest) >= exact else math.nextafter(nearest, math.inf))


def _rounded_down(exact: Fraction) -> float:
    nearest = float(exact)
    return nearest if Fraction(nearest) <= exact else math.nextafter(nearest, 0.0)
