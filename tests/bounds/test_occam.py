import math

import mpmath
import pytest

from pacbound.bounds import occam
from pacbound.errors import BoundError

DELTA = 0.05


@pytest.mark.parametrize(
    ("errors", "n", "bits", "hoeffding", "kl", "binomial"),
    [
        (1200, 60_000, 5000, 0.190017931, 0.107271655, 0.107193596),
        (6000, 60_000, 0, 0.104996442, 0.103024477, 0.102037180),
        (15_000, 50_000, 20_000, 0.672369968, 0.665155766, 0.665091037),
        (50, 1000, 50, 0.187209860, 0.132607142, 0.129204643),
        (0, 10_000, 1000, None, 0.067246478, 0.067246478),
        (0, 10, 0, None, None, 0.258865551),
        (1, 10, 0, None, None, 0.394163302),
        (120, 12_000, 0, None, 0.01239, 0.01163),
    ],
)
def test_known_values(errors, n, bits, hoeffding, kl, binomial):
    found = (
        occam.occam_hoeffding(errors, n, bits, DELTA).value,
        occam.occam_kl(errors, n, bits, DELTA).value,
        occam.occam_binomial(errors, n, bits, DELTA).value,
    )
    for value, known in zip(found, (hoeffding, kl, binomial), strict=True):
        if known is not None:
            assert value == pytest.approx(known, abs=5e-6 if errors == 120 else 6e-10)


@pytest.mark.parametrize(
    ("errors", "n", "bits"), [(1200, 60_000, 5000), (15_000, 50_000, 20_000), (0, 3, 0), (7.25, 60, 9)]
)
def test_occam_kl_is_outward_against_mpmath(errors, n, bits, kl_oracle):
    value = occam.occam_kl(errors, n, bits, DELTA).value
    with mpmath.workdps(50):
        rate = mpmath.mpf(errors) / n
        nats = (bits * mpmath.log(2) - mpmath.log(mpmath.mpf(DELTA))) / n
        assert kl_oracle(rate, mpmath.mpf(value)) >= nats
        assert kl_oracle(rate, mpmath.mpf(value) * (1 - mpmath.mpf(10) ** -13)) <= nats


@pytest.mark.parametrize(("errors", "n", "bits"), [(1200, 60_000, 5000), (0, 10_000, 1000), (7.25, 60, 9)])
def test_occam_hoeffding_is_outward_against_mpmath(errors, n, bits):
    value = occam.occam_hoeffding(errors, n, bits, DELTA).value
    with mpmath.workdps(50):
        nats = bits * mpmath.log(2) - mpmath.log(mpmath.mpf(DELTA))
        truth = mpmath.mpf(errors) / n + mpmath.sqrt(nats / (2 * n))
        assert 0 <= value - truth < 1e-15


def test_vacuous_is_a_result():
    assert occam.occam_hoeffding(9, 10, 100, DELTA).value == 1.0
    assert occam.occam_binomial(9, 10, 10_000, DELTA).value == 1.0


def test_test_set_is_the_binomial_inversion_without_a_message():
    held_out = occam.test_set(30, 1000, 0, DELTA)
    assert held_out.value == occam.occam_binomial(30, 1000, 0, DELTA).value
    assert "took no part" in " ".join(held_out.assumes)


def test_test_set_refuses_a_message():
    with pytest.raises(BoundError, match="bits is 0, got 8"):
        occam.test_set(30, 1000, 8, DELTA)


@pytest.mark.parametrize("theorem", [occam.occam_binomial, occam.test_set])
@pytest.mark.parametrize("errors", [30.0, 30.5])
def test_a_sum_of_losses_is_refused_where_counts_are_needed(theorem, errors):
    with pytest.raises(BoundError, match=rf"{theorem.__name__}.*use occam_kl"):
        theorem(errors, 1000, 0, DELTA)


def test_a_sum_of_losses_is_accepted_where_losses_lie_in_the_unit_interval():
    low, middle, high = (occam.occam_kl(errors, 1000, 10, DELTA).value for errors in (30, 30.5, 31))
    assert low < middle < high


def test_bounds_say_what_they_assume():
    bound = occam.occam_binomial(30, 1000, 8, DELTA)
    assert bound.theorem == "occam_binomial"
    assert bound.delta == DELTA
    assert any("deterministic" in line for line in bound.assumes)
    assert any("0 or 1" in line for line in bound.assumes)


def test_a_nan_never_becomes_a_bound():
    for theorem in (occam.occam_hoeffding, occam.occam_kl):
        with pytest.raises(BoundError, match="errors"):
            theorem(math.nan, 10, 0, DELTA)
