"""The single-draw theorem: sandwiched by mpmath, negative ratios, and what it does and does not promise."""

import math

import mpmath
import pytest

from pacbound.bounds.draw import single_draw
from pacbound.bounds.pac_bayes import pac_bayes_kl
from pacbound.bounds.table import all_bounds
from pacbound.errors import BoundError


@pytest.mark.parametrize(
    ("errors", "n", "bits"), [(1200, 60000, 5000), (0, 1437, 300), (100, 1437, -3), (7, 50, 0), (20.5, 100, 40)]
)
def test_the_value_lies_just_above_the_root_of_its_inequality(errors, n, bits, kl_oracle):
    value = single_draw(errors, n, bits, 0.05).value
    with mpmath.workdps(40):
        nats = (bits * mpmath.log(2) + mpmath.log(2 * mpmath.sqrt(n) / mpmath.mpf(0.05))) / n
        risk = mpmath.mpf(errors) / n
        assert kl_oracle(risk, mpmath.mpf(value)) > nats
        assert kl_oracle(risk, mpmath.mpf(value) * (1 - mpmath.mpf(10) ** -12)) < nats


def test_a_point_mass_has_the_kl_bound_of_its_message():
    assert single_draw(1200, 60000, 5000, 0.05).value == pac_bayes_kl(1200, 60000, 5000, 0.05).value


def test_a_negative_right_hand_side_counts_as_zero_and_not_as_an_error():
    value = single_draw(30, 100, -1000, 0.05).value
    assert 0.3 <= value <= 0.3 + 1e-7
    assert single_draw(30, 100, -(2**50), 0.05).value == value


def test_more_errors_more_bits_and_less_delta_never_lower_it():
    value = single_draw(30, 1000, 50, 0.05).value
    assert value < single_draw(31, 1000, 50, 0.05).value
    assert value < single_draw(30, 1000, 51, 0.05).value
    assert value < single_draw(30, 1000, 50, 0.04).value
    assert single_draw(30, 30, 50, 0.05).value == 1.0


@pytest.mark.parametrize(
    "arguments", [(1, 0, 0, 0.05), (11, 10, 0, 0.05), (1, 10, math.nan, 0.05), (1, 10, 0, 0.0), (1, 10, 0, 1.0)]
)
def test_what_lies_outside_its_conditions_is_refused(arguments):
    with pytest.raises(BoundError, match=r"^single_draw: "):
        single_draw(*arguments)


def test_it_does_not_stand_among_the_bounds_of_a_message():
    assert "single_draw" not in {made.theorem for made in all_bounds(3, 100, 0, 0.05)}
