"""Sample compression: published figures, an mpmath sum of the published form, and what is refused."""

import inspect
import math

import mpmath
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pacbound.bounds.inversion import binomial_tail_inverse, preference_inverse
from pacbound.bounds.preference import SIZE_BITS, picks, picks_classical
from pacbound.errors import BoundError

REPEATABLE = settings(derandomize=True, deadline=None, max_examples=60)
DELTAS = st.floats(1e-9, 0.999)
PERCENT = [
    (0, 60000, 0.0075), (10, 60000, 0.0363), (300, 60000, 0.5978), (600, 60000, 1.1396), (800, 60000, 1.4953),
    (1000, 60000, 1.8483), (1320, 60000, 2.4096), (1000, 43200, 2.5663), (6000, 60000, 10.4482),
    (8000, 60000, 13.8460), (16000, 50000, 32.7914), (20000, 50000, 40.8393), (5, 1437, 0.9768), (100, 1437, 9.2039),
    (3, 20, 43.5093),
]  # fmt: skip


def log_published(k: int, n: int, e: float, bits: float, delta: float) -> mpmath.mpf:
    """ln of delta 2^-bits / n sum_{m=k..n-1} C(m,k)/C(n,k) (1-e)^-(n-m), added term by term; 0 at the solution."""
    with mpmath.workdps(50):
        odds = 1 / (1 - mpmath.mpf(e))
        term = mpmath.mpf(n - k) / n * odds
        total, m, nothing = term, n - 1, mpmath.mpf(10) ** -45
        while m > k:
            term *= odds * (m - k) / m
            total += term
            m -= 1
            if term < total * nothing:
                break  # from here on the ratios only fall
        return mpmath.log(total) + mpmath.log(mpmath.mpf(delta) / n) - bits * mpmath.log(2)


def inner(value: float) -> float:
    """A point a hair inside: relative to the nearer end of [0, 1]."""
    return value - 1e-11 * min(value, 1.0 - value) - 4 * math.ulp(value)


@pytest.mark.parametrize(("k", "n", "percent"), PERCENT)
def test_published_figures_from_both_sides(k, n, percent):
    value = picks(k // 3, k - k // 3, n, 0, 0.05).value
    assert value == picks(k, 0, n, 0, 0.05).value, "only the sum of picks and errors counts"
    assert abs(100 * value - percent) <= 0.5001e-4


@pytest.mark.parametrize(
    ("k", "n", "bits", "delta"),
    [
        (0, 6000, 0, 0.05),
        (1386, 60_000, SIZE_BITS, 0.05),
        (9158, 60_000, 6, 0.05),
        (300, 6000, 900, 0.05),
        (54_200, 60_000, 6, 0.05),
        (2999, 6000, 0, 0.999),
        (30, 6000, 40_000, 1e-12),
    ],
)
def test_the_value_solves_the_published_form_from_outside(k, n, bits, delta):
    value = preference_inverse(k, n, bits, delta)
    assert log_published(k, n, value, bits, delta) > 0
    assert log_published(k, n, inner(value), bits, delta) <= 0


@REPEATABLE
@given(n=st.integers(1, 400), share=st.floats(0, 0.9999), bits=st.integers(0, 300), delta=DELTAS)
def test_the_value_is_sandwiched_by_the_oracle(n, share, bits, delta):
    k = int(share * n)
    value = preference_inverse(k, n, bits, delta)
    assert value > k / n
    if value < 1.0:
        assert log_published(k, n, value, bits, delta) > 0, "the value returned lies inside: not a bound"
    assert log_published(k, n, inner(value), bits, delta) <= 0, "the value returned is needlessly loose"


@pytest.mark.parametrize("n", [1, 2, 20, 1000])
def test_closed_forms_of_one_remaining_example_and_of_one_example(n):
    assert preference_inverse(n - 1, n, 3, 0.05) == pytest.approx(1 - 0.05 / 8 / n**2, abs=1e-15)
    assert preference_inverse(n, n, 0, 0.05) == 1.0


def test_what_was_chosen_is_paid_by_its_share_of_delta():
    paid = picks(1300, 86, 60_000, SIZE_BITS, 0.05).value
    assert paid == pytest.approx(picks(1300, 86, 60_000, 0, 0.05 / 64).value, rel=1e-12)
    assert (round(100 * picks(1300, 86, 60_000, 0, 0.05).value, 3), round(100 * paid, 3)) == (2.525, 2.595)


@REPEATABLE
@given(n=st.integers(2, 10**5), share=st.floats(0, 0.999), bits=st.integers(0, 5000), delta=DELTAS)
def test_monotone_and_never_below_a_test_set_of_the_same_size(n, share, bits, delta):
    picked = int(share * n) // 2
    errors = int(share * n) - picked
    for bound in (picks, picks_classical):
        value, room = bound(picked, errors, n, bits, delta).value, 1e-14
        assert (picked + errors) / n <= value + room if bound is picks else errors / n <= value
        assert bound(picked, errors + 1, n, bits, delta).value >= value - room
        assert bound(picked, errors, n, bits + 1, delta).value >= value - room
        assert bound(picked, errors, n, bits, delta / 2).value >= value - room
    k = picked + errors
    assert picks(picked, errors, n, bits, delta).value >= binomial_tail_inverse(k, n, bits, delta) * (1 - 1e-12)
    assert bound(picked, errors, n, bits, delta, ordered=True).value >= value


def test_everything_picked_or_wrong_says_nothing():
    for picked, errors in ((20, 0), (0, 20), (7, 13)):
        assert picks(picked, errors, 20, 0, 0.05).value == 1.0
        assert picks_classical(picked, errors, 20, 0, 0.05).value == 1.0


@pytest.mark.parametrize("ordered", [False, True])
@pytest.mark.parametrize(
    ("picked", "errors", "n", "bits"), [(10, 0, 60_000, 0), (833, 553, 60_000, 6), (3, 1, 20, 5), (0, 4, 100, 0)]
)
def test_the_classical_form_pays_the_set_its_size_and_where_used_its_order(
    picked, errors, n, bits, ordered, log_cdf_oracle, log_level_oracle
):
    value = picks_classical(picked, errors, n, bits, 0.05, ordered).value
    with mpmath.workdps(50):
        level = log_level_oracle(bits, 0.05) - mpmath.log(mpmath.binomial(n, picked)) - mpmath.log(n)
        if ordered:
            level -= mpmath.log(mpmath.factorial(picked))
        assert log_cdf_oracle(errors, n - picked, value) < level
        assert log_cdf_oracle(errors, n - picked, inner(value)) >= level


def test_an_order_that_carries_labels_cannot_pass_for_a_set():
    # 300 of 2000 examples with coin labels, in an order that tells the other 1700: true risk one half
    assert picks_classical(300, 0, 2000, 0, 0.05).value < 0.4
    assert picks_classical(300, 0, 2000, 0, 0.05, ordered=True).value > 0.5


def test_documented_with_its_conditions_and_carried_by_the_record():
    for bound in (picks, picks_classical):
        text = inspect.getdoc(bound)
        for word in ("Reference:", "Assumes:", "Rounds:", "Raises:"):
            assert word in text
        made = bound(3, 2, 100, 0, 0.1)
        assert (made.theorem, made.delta) == (bound.__name__, 0.1)
        assert any("picked examples" in line for line in made.assumes)
    assert any("preference" in line for line in picks(3, 2, 100, 0, 0.1).assumes)
    assert any("ordered" in line for line in picks_classical(3, 2, 100, 0, 0.1, ordered=True).assumes)


@pytest.mark.parametrize("bound", [picks, picks_classical])
@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ((8, 5, 12, 0, 0.05), "different examples"),
        ((13, 0, 12, 0, 0.05), "different examples"),
        ((-1, 0, 12, 0, 0.05), "picks counts"),
        ((1.0, 0, 12, 0, 0.05), "picks counts"),
        ((True, 0, 12, 0, 0.05), "picks counts"),
        ((1, 0.5, 12, 0, 0.05), "integer"),
        ((1, -1, 12, 0, 0.05), "errors"),
        ((1, 0, 0, 0, 0.05), "n counts"),
        ((1, 0, 12, -1, 0.05), "bits"),
        ((1, 0, 12, math.nan, 0.05), "bits"),
        ((1, 0, 12, 0, 1.0), "delta"),
    ],
)
def test_what_lies_outside_the_conditions_is_refused(bound, arguments, word):
    with pytest.raises(BoundError, match=rf"^{bound.__name__}: .*{word}"):
        bound(*arguments)
