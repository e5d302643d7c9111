"""What every theorem shares: ball arithmetic, rounding outward, and the checks of (errors, n, bits, delta)."""

import math
from contextlib import AbstractContextManager

from flint import arb, ctx

from ..errors import BoundError
from .claims import Bound

PRECISION = 128  # bits of every ball; 512 costs 40 times as much and moves no float64

IID = "the n examples are i.i.d. and had no part in choosing the prior or the code"
DETERMINISTIC = "deterministic predictor: the one decoded from the message"
DRAWN = "deterministic predictor: the one drawn from Q, by noise that had no part in choosing Q"
RANDOMISED = "randomised predictor: a fresh draw from Q for each example (Q may be a point mass)"
UNIT_LOSS = "loss of one example in [0, 1]"


def working() -> AbstractContextManager[object]:
    """Open a context in which balls have PRECISION bits, whatever the caller had set."""
    return ctx.workprec(PRECISION)


def check(theorem: str, errors: float, n: int, bits: float, delta: float, signed: bool = False) -> None:
    """Refuse arguments outside the conditions of every theorem.

    Args: errors: count or sum of losses, 0 <= errors <= n. n: examples, >= 1. bits: >= 0.
        delta: in (0, 1). signed: bits may be negative.

    Raises: BoundError naming the rule, the value and the remedy.
    """
    if not _is_int(n) or n < 1:
        raise BoundError(f"{theorem}: n counts the examples and is an integer >= 1, got {n!r}.")
    if not _is_number(errors) or not 0 <= errors <= n:
        raise BoundError(
            f"{theorem}: errors lies between 0 and n = {n}, got {errors!r}. Give the number of errors among the n."
        )
    if not _is_number(bits) or (bits < 0 and not signed):
        raise BoundError(
            f"{theorem}: bits is the length of the message and is finite and >= 0, got {bits!r}. "
            "Take it from a ledger; a message cannot be shorter than empty."
        )
    if not _is_number(delta) or not 0 < delta < 1:
        raise BoundError(
            f"{theorem}: delta is the probability of failure and lies in (0, 1), got {delta!r}. The usual one is 0.05."
        )


def check_count(theorem: str, errors: float) -> None:
    """Refuse a sum of losses where the theorem is about counts. Raises: BoundError."""
    if not _is_int(errors):
        raise BoundError(
            f"{theorem}: holds for losses that are 0 or 1, so errors is an integer, got {errors!r}. "
            "For another loss in [0, 1] use occam_kl."
        )


def empirical_risk(errors: float, n: int) -> arb:
    """Return errors / n as a ball."""
    return arb(errors) / n


def nats_of(bits: float) -> arb:
    """Return bits * ln 2 as a ball."""
    return arb(bits) * arb(2).log()


def log_inverse(delta: float) -> arb:
    """Return ln(1 / delta) as a ball."""
    return -arb(delta).log()


def rounded_up(ball: arb) -> float:
    """Return a float64 at or above every point of the ball; infinity where the ball is not finite."""
    if not ball.is_finite():
        return math.inf
    return math.nextafter(float(ball.upper()), math.inf)


def claim(theorem: str, value: arb | float, delta: float, reference: str, assumes: tuple[str, ...]) -> Bound:
    """Make the Bound: value rounded up and clipped to [0, 1]. Every loss here is at most 1, so 1 always holds."""
    outer = rounded_up(value) if isinstance(value, arb) else value
    return Bound(value=min(1.0, max(0.0, outer)), theorem=theorem, reference=reference, delta=delta, assumes=assumes)


def _is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: object) -> bool:
    return _is_int(value) or (isinstance(value, float) and math.isfinite(value))
