"""The disagreement theorem: sandwiched by mpmath over all 16 splits, and does its promise hold, by simulation?"""

from fractions import Fraction

import mpmath
import numpy as np
import pytest

from pacbound.bounds.disagreement import SPLITS, delta_splits, disagreement, sum_up
from pacbound.errors import BoundError

CASES = [(1725, 60000, 2480, 170, 5000, 13, 0.05), (3, 240, 60, 0, 150, 5, 0.05), (0, 50, 9, 9, 50, 4, 0.5)]


def upper_end(log_cdf, k: int, n: int, bits: int, delta: Fraction) -> mpmath.mpf:
    """sup { p : P[Bin(n, p) <= k] >= delta 2^-bits }, by bisection and then secants at 40 digits."""
    with mpmath.workdps(40):
        level = mpmath.log(mpmath.mpf(delta.numerator) / delta.denominator) - bits * mpmath.log(2)
        low, high = mpmath.mpf(k) / n, mpmath.mpf(1)
        for _ in range(10):
            middle = (low + high) / 2
            low, high = (middle, high) if log_cdf(k, n, middle) >= level else (low, middle)
        return mpmath.findroot(lambda p: log_cdf(k, n, p) - level, (low, high), solver="anderson", tol=1e-50)


@pytest.mark.parametrize(("errors", "n", "bits", "differing", "m", "choices", "delta"), CASES)
def test_the_value_lies_just_above_the_best_of_sixteen_sums(
    errors, n, bits, differing, m, choices, delta, log_cdf_oracle
):
    made = disagreement(errors, n, bits, differing, m, choices, delta)
    sums = []
    for j in range(-7, 9) if n < 1000 else range(3, 7):  # the large case is slow: its best split is among these
        first = Fraction(delta) / (1 + Fraction(2) ** j)
        one = upper_end(log_cdf_oracle, errors, n, bits, first)
        sums.append(one + upper_end(log_cdf_oracle, differing, m, choices, Fraction(delta) - first))
    best = float(min(sums))
    assert best * (1 - 1e-12) <= made.bound.value <= best * (1 + 1e-12)
    assert made.bound.value >= made.surrogate + made.difference
    assert (made.bound.theorem, made.bound.delta) == ("disagreement", delta)


@pytest.mark.parametrize("delta", [0.05, 0.1, 1e-9, 0.999, 0.3333333])
def test_sixteen_different_splits_each_add_up_to_delta_at_most(delta):
    splits = delta_splits(delta)
    assert len(set(splits)) == SPLITS == 16
    for first, second in splits:
        assert first > 0
        assert second > 0
        assert 0 <= Fraction(delta) - Fraction(first) - Fraction(second) <= Fraction(delta) * Fraction(2) ** -51
    assert max(first for first, _ in splits) > 0.98 * delta
    assert min(first for first, _ in splits) < 0.01 * delta


def test_sums_are_rounded_up_and_clipped():
    for one, other in ((0.1, 0.2), (0.3, 1e-20), (2.0**-60, 0.5)):
        assert Fraction(sum_up(one, other)) >= Fraction(one) + Fraction(other)
    assert sum_up(0.25, 0.5) == 0.75
    assert sum_up(0.7, 0.7) == 1.0


def test_more_of_anything_bad_never_lowers_it():
    value = disagreement(30, 1000, 50, 20, 300, 13, 0.05).bound.value
    worse = [(31, 50, 20, 13, 0.05), (30, 51, 20, 13, 0.05), (30, 50, 21, 13, 0.05), (30, 50, 20, 14, 0.05)]
    for errors, bits, differing, choices, delta in [*worse, (30, 50, 20, 13, 0.04)]:
        assert disagreement(errors, 1000, bits, differing, 300, choices, delta).bound.value > value


@pytest.mark.parametrize(
    "arguments",
    [
        (1, 0, 9, 0, 5, 4, 0.05), (1, 10, 9, 6, 5, 4, 0.05), (1, 10, 9, 0, 0, 4, 0.05), (1, 10, 9, 0, 5, 4, 0.0),
        (1, 10, 9, 0, 5, 3, 0.05), (1, 10, 9, 0, 5, 10, 0.05), (0.5, 10, 9, 0, 5, 4, 0.05), (1, 10, 9, 0.5, 5, 4, 0.05),
        (1, 10, 9, 0, 5, 4, 5e-324),
    ],
)  # fmt: skip
def test_what_lies_outside_its_conditions_is_refused(arguments):
    with pytest.raises(BoundError, match=r"^disagreement: "):
        disagreement(*arguments)


# A world of known risk: g is the best of 2^B coins of risk p on n examples, and h = g but for a share q of the inputs,
# where g is right and h wrong, so that L(h) = p + q exactly. One of J such g, the one with the least disagreement on m
# inputs, is kept. delta is large, so that the share of a split, delta / 16 and less, can be seen in 4000 repeats; p
# is tiny and n huge, so that nothing but the second term can fail, and its promise is tested where it is tight.
DELTA, REPEATS, M, Q = 0.9, 4000, 400, 0.1
N, P = 10**6, 1e-6
LOOKS = 8


def violations(looks: int, paid_looks: int, split_bits: int, seed: int) -> float:
    rng = np.random.default_rng(seed)
    differing = rng.binomial(M, Q, size=(REPEATS, looks)).min(1)
    errors = rng.binomial(N, P, size=REPEATS)
    choices = split_bits + (paid_looks - 1).bit_length()
    value = {}
    for pair in set(zip(errors.tolist(), differing.tolist(), strict=True)):
        value[pair] = disagreement(pair[0], N, choices, pair[1], M, choices, DELTA).bound.value
    return float(np.mean([value[e, k] < P + Q for e, k in zip(errors.tolist(), differing.tolist(), strict=True)]))


def test_looks_and_split_paid_for_keep_the_promise_and_waste_little():
    share = DELTA / SPLITS  # a split chosen afterwards may fail for each of 16, and the last one alone fails here
    assert 0.2 * share <= violations(LOOKS, LOOKS, 4, seed=1) <= share


def test_looks_that_are_not_paid_for_break_it():
    share = DELTA / SPLITS
    assert violations(LOOKS, 1, 4, seed=1) > 2 * share
