import math
import time
from fractions import Fraction

import mpmath
import pytest
from flint import arb
from hypothesis import given, settings
from hypothesis import strategies as st

from pacbound.bounds.balls import working
from pacbound.bounds.inversion import _descending_ratio_sum, binomial_tail_inverse, kl_inverse_upper
from pacbound.errors import BoundError

REPEATABLE = settings(derandomize=True, deadline=None, max_examples=150)
SLACK = 1e-11  # relative distance within which the outer end must lie
DELTAS = st.floats(1e-9, 0.999)


def inner(value: float, slack: float = SLACK) -> float:
    """A point a hair inside the value; the hair is relative to the nearer end of [0, 1]."""
    return value - slack * min(value, 1.0 - value) - 4 * math.ulp(value)


@st.composite
def cases(draw) -> tuple[int, int, int, float]:
    n = draw(st.integers(1, 20_000))
    k = draw(st.integers(0, n - 1))
    bits = draw(st.one_of(st.integers(0, 64), st.integers(0, 5000), st.integers(0, 10**6)))
    return k, n, bits, draw(DELTAS)


@REPEATABLE
@given(case=cases())
def test_binomial_inverse_is_sandwiched_by_the_oracle(case, log_cdf_oracle, log_level_oracle):
    k, n, bits, delta = case
    value, level = binomial_tail_inverse(k, n, bits, delta), log_level_oracle(bits, delta)
    if value < 1.0:
        assert log_cdf_oracle(k, n, value) < level, "the value returned lies inside: not a bound"
    assert log_cdf_oracle(k, n, inner(value)) >= level, "the value returned is needlessly loose"


@pytest.mark.parametrize(
    ("k", "n", "bits", "delta"),
    [
        (1200, 60_000, 3000, 0.05),
        (30_000, 60_000, 0, 0.05),
        (300_000, 1_300_000, 300_000, 0.05),
        (100, 1_300_000, 1_000_000, 0.05),
        (3, 10_000_000, 17, 1e-12),
        (29_999, 60_000, 0, 0.95),
        (9_999, 10_000, 1, 0.5),
    ],
)
def test_binomial_inverse_is_sandwiched_at_real_sizes(k, n, bits, delta, log_cdf_oracle, log_level_oracle):
    value, level = binomial_tail_inverse(k, n, bits, delta), log_level_oracle(bits, delta)
    assert log_cdf_oracle(k, n, value) < level
    assert log_cdf_oracle(k, n, inner(value)) >= level


@pytest.mark.parametrize(("k", "n", "bits"), [(1200, 60_000, 3000), (10_000, 50_000, 0), (100, 1000, 500)])
def test_binomial_inverse_agrees_with_flints_incomplete_beta(k, n, bits):
    value = binomial_tail_inverse(k, n, bits, 0.05)
    with working():
        for point, outside in ((value, True), (inner(value), False)):
            tail = (1 - arb(point)).beta_lower(arb(n - k), arb(k + 1), True)
            level = arb(0.05) * arb(2) ** (-bits)
            assert (tail < level) is outside
            assert (tail >= level) is not outside


@pytest.mark.parametrize(
    ("k", "n", "bits", "truth", "published_mistake"),
    [
        (10_000, 50_000, 3000, 0.32973, 0.2743),
        (1200, 60_000, 5000, 0.107193596, 0.0503),
        (6812, 50_000, 8487, 0.3506, 0.202),
    ],
)
def test_long_messages_do_not_fall_into_the_underflow_of_published_code(k, n, bits, truth, published_mistake):
    value = binomial_tail_inverse(k, n, bits, 0.05)
    assert value == pytest.approx(truth, abs=6e-5)
    assert value > published_mistake + 0.05


@pytest.mark.parametrize("bits", [1018, 1060, 1074, 1075, 2000, 10**6])
def test_no_step_where_the_level_leaves_float64(bits):
    below, here, above = (binomial_tail_inverse(5000, 50_000, bits + step, 0.05) for step in (-1, 0, 1))
    assert below < here < above
    assert above - here == pytest.approx(here - below, rel=1e-2)


@pytest.mark.parametrize(("k", "n"), [(1, 1), (7, 7), (60_000, 60_000)])
@pytest.mark.parametrize("bits", [0, 1000])
def test_all_wrong_gives_one(k, n, bits):
    assert binomial_tail_inverse(k, n, bits, 0.05) == 1.0


def test_no_errors_has_a_closed_form():
    with mpmath.workdps(40):
        truth = 1 - mpmath.exp((mpmath.log(mpmath.mpf(0.05)) - 1000 * mpmath.log(2)) / 10_000)
        value = binomial_tail_inverse(0, 10_000, 1000, 0.05)
        assert 0 <= value - truth < 1e-15


def test_binomial_inverse_is_fast_enough_for_a_command_line():
    start = time.perf_counter()
    binomial_tail_inverse(1200, 60_000, 3000, 0.05)
    binomial_tail_inverse(300_000, 1_300_000, 300_000, 0.05)
    assert time.perf_counter() - start < 0.5


@REPEATABLE
@given(case=cases())
def test_binomial_inverse_is_monotone(case):
    k, n, bits, delta = case
    value = binomial_tail_inverse(k, n, bits, delta)
    assert binomial_tail_inverse(k + 1, n, bits, delta) >= value
    assert binomial_tail_inverse(k, n, bits + 1, delta) >= value
    assert binomial_tail_inverse(k, n + 1, bits, delta) <= value
    assert binomial_tail_inverse(k, n, bits, delta / 2) >= value


@REPEATABLE
@given(case=cases(), p=st.floats(0.001, 0.999))
def test_ratio_sum_is_never_below_the_exact_sum(case, p):
    k, n = min(case[0], 200), case[1]
    (right, whole), top, bottom = Fraction(p).as_integer_ratio(), 1, 1
    for j in range(1, k + 1):  # sum = 1 + r_k (1 + r_(k-1) (... (1 + r_1))) with r_j = j (1 - p) / ((n - j + 1) p)
        bottom *= (n - j + 1) * right
        top = bottom + j * (whole - right) * top
    exact = Fraction(top, bottom)
    found = _descending_ratio_sum(k, n, p)
    assert found == math.inf or exact <= Fraction(found) <= exact * (1 + Fraction(1, 10**12))


@REPEATABLE
@given(rate=st.floats(0, 1), nats=st.one_of(st.floats(0, 1e-6), st.floats(0, 1), st.floats(0, 50)))
def test_kl_inverse_returns_the_outer_end(rate, nats, kl_oracle):
    value = kl_inverse_upper(rate, nats)
    assert rate <= value <= 1.0
    if value < 1.0:
        assert kl_oracle(rate, value) >= nats, "the value returned lies inside: not a bound"
    near = inner(value) - 1e-18  # the 128 bits of a ball end near here, which matters only at nats = 0
    assert near <= rate or kl_oracle(rate, near) <= nats, "the value returned is needlessly loose"


def test_kl_inverse_at_a_known_point():
    assert kl_inverse_upper(0.1, 0.05) == pytest.approx(0.220078601, abs=5e-10)


def test_kl_inverse_reproduces_a_monte_carlo_certificate():
    assert kl_inverse_upper(0.02, math.log(2 / 0.01) / 150_000) == pytest.approx(0.021199394, abs=5e-10)


def test_kl_inverse_of_a_wide_ball_covers_its_worst_point():
    with working():
        wide = arb(0.1, 0.01)
        assert kl_inverse_upper(wide, 0.05) >= kl_inverse_upper(0.11, 0.05)


@pytest.mark.parametrize(("rate", "nats"), [(-0.1, 0.1), (1.1, 0.1), (math.nan, 0.1), (0.1, -1.0), (0.1, math.inf)])
def test_kl_inverse_refuses_what_has_no_meaning(rate, nats):
    with pytest.raises(BoundError, match="kl_inverse_upper"):
        kl_inverse_upper(rate, nats)


@pytest.mark.parametrize(
    ("arguments", "rule"),
    [
        ((1, 0, 0, 0.05), "n counts"),
        ((1, 2.0, 0, 0.05), "n counts"),
        ((1, True, 0, 0.05), "n counts"),
        ((11, 10, 0, 0.05), "between 0 and n"),
        ((-1, 10, 0, 0.05), "between 0 and n"),
        ((1.5, 10, 0, 0.05), "use occam_kl"),
        ((1, 10, -1, 0.05), "bits"),
        ((1, 10, math.nan, 0.05), "bits"),
        ((1, 10, math.inf, 0.05), "bits"),
        ((1, 10, 0, 0.0), "delta"),
        ((1, 10, 0, 1.0), "delta"),
        ((1, 10, 0, math.nan), "delta"),
    ],
)
def test_binomial_inverse_refuses_by_name(arguments, rule):
    with pytest.raises(BoundError, match=rule):
        binomial_tail_inverse(*arguments)
