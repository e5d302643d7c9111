"""Occam bounds: a deterministic predictor that a prefix-free message of `bits` bits describes, and the test set.

A message of b bits has prior mass 2^-b (Kraft), so a statement that fails with probability delta 2^-b for
each message fails with probability at most delta for all of them together. The predictor may be chosen
after seeing the sample, in any way.
"""

from ..errors import BoundError
from .balls import (
    DETERMINISTIC,
    IID,
    UNIT_LOSS,
    check,
    check_count,
    claim,
    empirical_risk,
    log_inverse,
    nats_of,
    working,
)
from .claims import Bound
from .inversion import binomial_tail_inverse, kl_inverse_upper

_ZERO_ONE = "loss of one example is 0 or 1"


def occam_hoeffding(errors: float, n: int, bits: float, delta: float) -> Bound:
    """Bound the risk by risk <= r + sqrt((bits ln 2 + ln(1/delta)) / (2n)), r = errors/n.

    Reference: McAllester 1998, "Some PAC-Bayesian theorems" (the countable case); Hoeffding 1963, Theorem 1.

    Args: errors: count, or sum of losses in [0, 1]. n: examples. bits: message length. delta: in (0, 1).

    Raises: BoundError outside the ranges.

    Assumes: i.i.d. examples; loss in [0, 1]; the code was fixed before the sample.
    Rounds: up, in ball arithmetic; a larger value is a weaker true statement.
    """
    check("occam_hoeffding", errors, n, bits, delta)
    with working():
        nats = nats_of(bits) + log_inverse(delta)
        value = empirical_risk(errors, n) + (nats / (2 * n)).sqrt()
        return claim(
            "occam_hoeffding",
            value,
            delta,
            "McAllester 1998, countable case; Hoeffding 1963, Theorem 1",
            (IID, UNIT_LOSS, DETERMINISTIC),
        )


def occam_kl(errors: float, n: int, bits: float, delta: float) -> Bound:
    """Bound the risk by sup { p : kl(r || p) <= (bits ln 2 + ln(1/delta)) / n }, r = errors/n.

    One-sided Chernoff: no sqrt(n) term. The default for losses in [0, 1] that are not counts.

    Reference: Langford 2005, "Tutorial on practical prediction theory for classification", Theorem 4.1
    with the relative-entropy Chernoff bound; Hoeffding 1963, Theorem 1 for losses in [0, 1].

    Args: errors: count, or sum of losses in [0, 1]. n: examples. bits: message length. delta: in (0, 1).

    Raises: BoundError outside the ranges.

    Assumes: i.i.d. examples; loss in [0, 1]; the code was fixed before the sample.
    Rounds: up; the upper end of the inversion is proved outside by a ball.
    """
    check("occam_kl", errors, n, bits, delta)
    with working():
        nats = nats_of(bits) + log_inverse(delta)
        return claim(
            "occam_kl",
            kl_inverse_upper(empirical_risk(errors, n), nats / n),
            delta,
            "Langford 2005, Theorem 4.1 in relative-entropy form; Hoeffding 1963, Theorem 1",
            (IID, UNIT_LOSS, DETERMINISTIC),
        )


def occam_binomial(errors: float, n: int, bits: float, delta: float) -> Bound:
    """Bound the risk by sup { p : P[Bin(n, p) <= errors] >= delta 2^-bits }.

    The tightest Occam bound for 0-1 losses, and the default for a coded network.

    Reference: Langford 2005, "Tutorial on practical prediction theory for classification", Theorem 4.1.

    Args: errors: integer count. n: examples. bits: message length. delta: in (0, 1).

    Raises: BoundError outside the ranges, or where errors is not an integer.

    Assumes: i.i.d. examples; loss 0 or 1; the code was fixed before the sample.
    Rounds: up; at the value returned the tail is proved to be below delta 2^-bits.
    """
    check("occam_binomial", errors, n, bits, delta)
    check_count("occam_binomial", errors)
    return claim(
        "occam_binomial",
        binomial_tail_inverse(int(errors), n, bits, delta),
        delta,
        "Langford 2005, Theorem 4.1",
        (IID, _ZERO_ONE, DETERMINISTIC),
    )


def test_set(errors: float, n: int, bits: float, delta: float) -> Bound:
    """Bound the risk by Clopper-Pearson on examples that took no part in training: no message is needed.

    Reference: Langford 2005, "Tutorial on practical prediction theory for classification", Theorem 3.3.

    Args: errors: integer count on the held-out examples. n: held-out examples. bits: 0. delta: in (0, 1).

    Raises: BoundError outside the ranges, where errors is not an integer, or where bits > 0.

    Assumes: i.i.d. examples; loss 0 or 1; the predictor was fixed before these examples were looked at.
    Rounds: up; at the value returned the tail is proved to be below delta.
    """
    check("test_set", errors, n, bits, delta)
    check_count("test_set", errors)
    if bits > 0:
        raise BoundError(
            f"test_set: held-out examples need no message, so bits is 0, got {bits}. "
            "For a predictor chosen on the same examples use occam_binomial."
        )
    return claim(
        "test_set",
        binomial_tail_inverse(int(errors), n, 0, delta),
        delta,
        "Langford 2005, Theorem 3.3",
        ("the n examples are i.i.d. and took no part in choosing the predictor", _ZERO_ONE, "deterministic predictor"),
    )
