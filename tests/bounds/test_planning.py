import math
from fractions import Fraction

import pytest

from pacbound.bounds.occam import occam_binomial
from pacbound.bounds.planning import affordable_bits, examples_needed
from pacbound.errors import BoundError


@pytest.mark.parametrize(
    ("errors", "n", "delta", "target"),
    [
        (1200, 60_000, 0.05, 0.1),
        (0, 500, 0.01, 0.3),
        (499, 1437, 0.05, 0.6),
        (29_000, 60_000, 0.05, 0.9),
        (9, 10, 0.05, 0.999),
    ],
)
def test_one_bit_more_than_affordable_misses_the_target(errors, n, delta, target):
    bits = affordable_bits(errors, n, delta, target)
    assert occam_binomial(errors, n, bits, delta).value <= target
    assert occam_binomial(errors, n, bits + 1, delta).value > target


@pytest.mark.parametrize(("errors", "n", "target"), [(10, 100, 0.11), (100, 100, 0.5), (10, 100, 0.05)])
def test_no_message_is_affordable_where_the_empty_one_misses(errors, n, target):
    assert occam_binomial(errors, n, 0, 0.05).value > target
    assert affordable_bits(errors, n, 0.05, target) is None


def by_counting(rate: Fraction, bits: int, delta: float, target: float) -> int:
    n = 1
    while occam_binomial(math.ceil(rate * n), n, bits, delta).value > target:
        n += 1
    return n


@pytest.mark.parametrize("rate", [0, 0.02, 0.03, 0.17, 0.3, 0.45, 0.5, Fraction(1, 7), Fraction(137, 600)])
@pytest.mark.parametrize(
    ("bits", "delta", "target"), [(0, 0.05, 0.6), (10, 0.05, 0.62), (40, 0.3, 0.7), (0, 0.5, 0.58), (3, 0.5, 0.9)]
)
def test_examples_needed_is_the_smallest_number_that_counting_finds(rate, bits, delta, target):
    exact = rate if isinstance(rate, Fraction) else Fraction(str(rate))
    assert examples_needed(rate, bits, delta, target) == by_counting(exact, bits, delta, target)


@pytest.mark.parametrize(
    ("rate", "bits", "delta", "target"),
    [("0.57", 3, 0.05, 0.7759), ("0.59", 1, 0.9, 0.6034), ("0.6", 3, 0.5, 0.6703), ("0.27", 3, 0.9, 0.3016866)],
)
def test_rounding_to_integers_that_lets_a_smaller_number_through_is_seen(rate, bits, delta, target):
    assert examples_needed(float(rate), bits, delta, target) == by_counting(Fraction(rate), bits, delta, target)


def test_examples_needed_at_a_real_size():
    n = examples_needed(0.02, 5000, 0.05, 0.1)
    assert occam_binomial(math.ceil(n / 50), n, 5000, 0.05).value <= 0.1
    assert occam_binomial(math.ceil((n - 1) / 50), n - 1, 5000, 0.05).value > 0.1
    assert 60_000 < n < 70_000


@pytest.mark.parametrize(
    ("rate", "target"), [(1e-4, 1e-4), (0.2, 0.1), (1.0, 0.999), (1e-4, math.nextafter(1e-4, 1.0))]
)
def test_no_number_of_examples_brings_the_bound_to_the_error_rate(rate, target):
    assert examples_needed(rate, 100, 0.05, target) is None


@pytest.mark.parametrize("target", [0.0, 1.0, -0.1, 1.5, math.nan])
def test_a_target_that_is_no_risk_is_refused(target):
    with pytest.raises(BoundError, match="affordable_bits: target is a risk"):
        affordable_bits(1, 10, 0.05, target)
    with pytest.raises(BoundError, match="examples_needed: target is a risk"):
        examples_needed(0.1, 10, 0.05, target)


@pytest.mark.parametrize("rate", [-0.1, 1.1])
def test_a_rate_that_is_no_rate_is_refused(rate):
    with pytest.raises(BoundError, match="error_rate lies in"):
        examples_needed(rate, 10, 0.05, 0.5)
