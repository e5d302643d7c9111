"""Do the bounds on a mean loss hold where the truth is known, and break where something is not paid or leaks?"""

import math
from collections.abc import Callable

import numpy as np
import pytest
from scipy.stats import binom

from pacbound.bounds.language import positions, stream
from pacbound.bounds.losses import LAMBDAS, loss_sums

HIT, MISS, DELTA = -math.log2(0.75), 2.0, 0.05
N = 1000


def value_of(centre: float, lambdas: tuple[float, ...], bits: float, n: int = N) -> Callable[[int], float]:
    """The bound as a function of the hits of a network that says .75 for one of two symbols; computed once each."""
    known: dict[int, float] = {}

    def value(hits: int) -> float:
        if hits not in known:
            x = np.repeat([HIT, MISS], [hits, n - hits])
            known[hits] = stream(loss_sums(x, centre, MISS, lambdas=lambdas), bits, DELTA).value
        return known[hits]

    return value


@pytest.mark.parametrize(("log2_networks", "unpaid"), [(20, 0.999), (10, 0.5)])
def test_the_best_of_many_coins_paid_and_not(log2_networks, unpaid):
    risk, rate = (HIT + MISS) / 2, 0.2
    u = np.random.default_rng(log2_networks).random(20_000)
    best = binom.isf(-np.expm1(np.log(u) / 2**log2_networks), N, 0.5).astype(int)  # of 2^B independent ones
    for bits, low, high in ((log2_networks, 5e-4, DELTA), (0, unpaid, 1.0)):
        value = value_of(risk, (rate,), bits)
        assert low <= np.mean([value(int(hits)) < risk for hits in best]) <= high


# A Markov source: symbol 1 follows s with probability ONE[s]. Each of 2^B networks says, at every position, .75 for
# one of the two symbols, by bits of its own that do not depend on the text. Given the path, a network's loss and
# the conditional mean of it follow from how often it named the symbol that came, for each (s, symbol).
ONE = np.array([0.35, 0.6])
LOG2_NETWORKS, LENGTH, PATHS = 12, 400, 400


def worst_networks(seed: int) -> list[tuple[int, float]]:
    """For each path the hits and the true mean of the network whose mean loss lies farthest below the true mean."""
    rng = np.random.default_rng(seed)
    u, paths = rng.random((PATHS, LENGTH)), np.zeros((PATHS, LENGTH + 1), int)
    for i in range(LENGTH):
        paths[:, i + 1] = u[:, i] < ONE[paths[:, i]]
    made = []
    for states, symbols in zip(paths[:, :-1], paths[:, 1:], strict=True):
        hits, true = np.zeros(1 << LOG2_NETWORKS, int), np.zeros(1 << LOG2_NETWORKS)
        for s in (0, 1):
            for y in (0, 1):
                count = int(np.sum((states == s) & (symbols == y)))
                named = rng.binomial(count, 0.5, 1 << LOG2_NETWORKS)  # times that y was named there
                chance = ONE[s] if y else 1 - ONE[s]
                hits += named
                true += named * (chance * HIT + (1 - chance) * MISS)
                true += (count - named) * ((1 - chance) * HIT + chance * MISS)
        gaps = true - (hits * HIT + (LENGTH - hits) * MISS)
        worst = int(np.argmax(gaps))
        made.append((int(hits[worst]), true[worst] / LENGTH))
    return made


def test_a_markov_source_keeps_the_promise_when_paid_and_not_otherwise():
    made = worst_networks(seed=11)
    paid = value_of(1.2, LAMBDAS, LOG2_NETWORKS, LENGTH)
    assert np.mean([paid(hits) < true for hits, true in made]) <= DELTA
    unpaid = value_of(1.2, (0.21,), 0, LENGTH)
    assert np.mean([unpaid(hits) < true for hits, true in made]) > 0.9


def test_a_menu_of_lambdas_that_is_not_paid_is_cheaper_than_it_may_be():
    hits = 540
    paid = value_of(1.2, LAMBDAS, 0)(hits)
    assert min(value_of(1.2, (rate,), 0)(hits) for rate in LAMBDAS[::4]) < paid
    assert paid <= value_of(1.2, (0.125,), math.log2(37))(hits) + 1e-12


def test_a_centre_that_knows_the_next_symbol_breaks_it():
    # nothing is paid because nothing is chosen: one network, a fair coin. c_i = X_i is no function of the past.
    rng, risk = np.random.default_rng(2), (HIT + MISS) / 2
    failures = {"honest": 0, "leak": 0}
    for _ in range(120):
        x = np.where(rng.random(N) < 0.5, HIT, MISS)
        failures["honest"] += stream(loss_sums(x, risk, MISS), 0, DELTA).value < risk
        failures["leak"] += stream(loss_sums(x, x, MISS), 0, DELTA).value < risk
    assert failures["honest"] <= DELTA * 120
    assert failures["leak"] > 3 * DELTA * 120


def test_a_network_that_sees_one_future_symbol_is_no_network_of_the_past():
    # it names the symbol that comes: its losses are all HIT, while what a draw after the same past costs is the coin's
    x = np.full(300, HIT)
    assert stream(loss_sums(x, 1.0, MISS), 0, DELTA).value < (HIT + MISS) / 2


def test_a_ceiling_taken_from_the_drawn_positions_breaks_it():
    # one position in a hundred loses 20, the others nothing: a draw without one of them has a maximum of 0
    rng, risk, n = np.random.default_rng(4), 0.2, 100
    failures = {"population": 0, "sample": 0}
    for _ in range(200):
        x = 20.0 * (rng.random(n) < 0.01)
        failures["population"] += positions(loss_sums(x, 0.0, 20.0), 0, DELTA).value < risk
        failures["sample"] += positions(loss_sums(x, 0.0, float(x.max())), 0, DELTA).value < risk
    assert failures["population"] == 0
    assert failures["sample"] > 0.25 * 200
