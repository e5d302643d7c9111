"""Questions asked before training: how many bits are affordable, and how many examples are needed."""

import math
from collections.abc import Callable
from fractions import Fraction

from ..errors import BoundError
from .balls import check
from .inversion import binomial_tail_inverse

MAX_EXAMPLES = 10**10


def affordable_bits(errors: int, n: int, delta: float, target: float) -> int | None:
    """Return the largest integer bits with occam_binomial(errors, n, bits, delta) <= target.

    Args: errors: integer count. n: examples. delta: in (0, 1). target: risk, in (0, 1).

    Returns: bits, or None where even a message of 0 bits misses the target.

    Raises: BoundError outside the ranges.

    >>> affordable_bits(0, 10_000, 0.05, 0.067246479)
    1000
    """
    check("affordable_bits", errors, n, 0, delta)
    _check_target("affordable_bits", target)

    def too_many(bits: int) -> bool:
        return binomial_tail_inverse(errors, n, bits, delta) > target

    if too_many(0):
        return None
    return _first(too_many, 1) - 1


def examples_needed(error_rate: float | Fraction, bits: int, delta: float, target: float) -> int | None:
    """Return the smallest n at which a network with that error rate and message reaches the target.

    errors = ceil(error_rate * n). At a fixed number of errors the bound falls with n, so each number of errors
    is judged at the largest n that has it; the first that reaches the target is then searched for its smallest n.

    Args: error_rate: in [0, 1]; a float is read as the decimal it prints as. bits: message length.
        delta: in (0, 1). target: risk, in (0, 1).

    Returns: n, or None where target <= error_rate, or where 10^10 examples are too few.

    Raises: BoundError outside the ranges.

    >>> examples_needed(0, 1000, 0.05, 0.067246479)
    10000
    """
    rate = error_rate if isinstance(error_rate, Fraction) else Fraction(repr(error_rate))
    if not 0 <= rate <= 1:
        raise BoundError(f"examples_needed: error_rate lies in [0, 1], got {error_rate}. Divide the errors by n.")
    check("examples_needed", 0, 1, bits, delta)
    _check_target("examples_needed", target)
    if Fraction(target) <= rate:
        return None

    def reached(n: int) -> bool:
        return binomial_tail_inverse(math.ceil(rate * n), n, bits, delta) <= target

    if rate == 0:
        return _first(reached, 1) if reached(MAX_EXAMPLES) else None

    def reached_with(errors: int) -> bool:
        return _most_examples(errors, rate) > MAX_EXAMPLES or reached(_most_examples(errors, rate))

    found = _first(reached_with, 1)
    if _most_examples(found, rate) > MAX_EXAMPLES and not reached(MAX_EXAMPLES):
        return None
    first = _earlier(reached_with, found, rate, target)
    # among the n with this number of errors, and no further: beyond them the errors jump
    return _between(reached, _most_examples(first - 1, rate), _most_examples(first, rate))


def _most_examples(errors: int, rate: Fraction) -> int:
    """Return the largest n with ceil(rate * n) <= errors."""
    return math.floor(errors / rate)


def _earlier(reached_with: Callable[[int], bool], first: int, rate: Fraction, target: float) -> int:
    """Return the first number of errors before `first` that also reaches the target, or `first`.

    Rounding to integers can let a smaller number through: it moves the rate by at most rate/n, while the
    bound gains about (target - rate)/(2n) per example, so only some 2 rate/(target - rate) numbers are in doubt.
    """
    doubtful = math.ceil(4 * rate / (Fraction(target) - rate)) + 8
    for errors in range(max(1, first - min(doubtful, 256)), first):
        if reached_with(errors):
            return errors
    return first


def _first(holds: Callable[[int], bool], start: int) -> int:
    """Return the smallest integer >= start at which a monotone condition holds, by doubling and bisection."""
    low, step = start - 1, 1
    while not holds(low + step):
        low += step
        step *= 2
    return _between(holds, low, low + step)


def _between(holds: Callable[[int], bool], low: int, high: int) -> int:
    """Return the smallest integer in (low, high] at which a monotone condition holds, knowing that it holds at high."""
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high


def _check_target(question: str, target: float) -> None:
    if not 0 < target < 1:
        raise BoundError(
            f"{question}: target is a risk in (0, 1), got {target}. For 10 % write 0.1; a risk of 1 needs no bound."
        )
