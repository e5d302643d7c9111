"""Does the guarantee hold, and is the test able to see it fail? The best of 2^B coins, paid for and not."""

import functools

import numpy as np
import pytest

from pacbound.bounds.occam import occam_binomial

DELTA = 0.05
REPEATS = 4000
# (B, n, true risk of every coin): the risk is one at which the integer count wastes little of delta,
# so that a correct bound fails in 3.7 % of the samples (exact: 1 - (1 - P[Bin(n, risk) <= k])^(2^B) at the
# largest k whose bound lies below the risk); 4000 repeats spread by 0.3 %.
SETTINGS = [(4, 200, 0.168), (8, 200, 0.158), (10, 300, 0.146)]


@functools.cache
def best_of_many_coins(log2_coins: int, n: int, risk: float, seed: int) -> np.ndarray:
    """Errors of the best of 2^B classifiers whose errors are independent coins; shape (REPEATS,)."""
    rng = np.random.default_rng(seed)
    return np.array([rng.binomial(n, risk, size=1 << log2_coins).min() for _ in range(REPEATS)])


def violations(errors: np.ndarray, n: int, bits: int, risk: float) -> float:
    """Share of the repeats in which the bound lies below the true risk."""
    value = {int(k): occam_binomial(int(k), n, bits, DELTA).value for k in np.unique(errors)}
    return float(np.mean([value[int(k)] < risk for k in errors]))


@pytest.mark.parametrize(("log2_coins", "n", "risk"), SETTINGS)
def test_paying_for_the_choice_keeps_the_promise_and_wastes_little(log2_coins, n, risk):
    errors = best_of_many_coins(log2_coins, n, risk, seed=log2_coins)
    assert 0.01 <= violations(errors, n, log2_coins, risk) <= DELTA


@pytest.mark.parametrize(("log2_coins", "n", "risk"), SETTINGS)
def test_a_choice_that_is_not_paid_for_breaks_the_promise(log2_coins, n, risk):
    errors = best_of_many_coins(log2_coins, n, risk, seed=log2_coins)
    assert violations(errors, n, 0, risk) > 0.30
