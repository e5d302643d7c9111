"""The beam against exhaustive search and against the quadratic form written out."""

import itertools

import numpy as np
import pytest

from pacbound.errors import QuantizeError
from pacbound.quantize.beam import beam, lower_factor


def _problem(seed: int, m: int, reach: int = 2) -> tuple[np.ndarray, ...]:
    """mean, precision, steps and prices of m coefficients whose best symbols are small."""
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(m, m)) / np.sqrt(m)
    precision = root @ root.T + 0.5 * np.eye(m)
    prices = np.abs(np.arange(-reach, reach + 1)) * rng.uniform(0.2, 1.0, (m, 1))
    return rng.uniform(-0.8, 0.8, m), precision, rng.uniform(0.8, 1.2, m), prices


def _direct(x_integers: np.ndarray, mean: np.ndarray, precision: np.ndarray, steps: np.ndarray, prices: np.ndarray,
            share: float = 0.0) -> float:  # fmt: skip
    x = x_integers * steps
    gap = x - mean
    price = sum(row[q + len(row) // 2] for row, q in zip(prices, x_integers, strict=True))
    return float(gap @ precision @ gap / 2 + price - share * x @ x)


@pytest.mark.parametrize("seed", range(12))
def test_a_wide_beam_finds_the_best_of_all_symbol_strings(seed: int) -> None:
    mean, precision, steps, prices = _problem(seed, 5)
    best = min(_direct(np.array(q), mean, precision, steps, prices) for q in itertools.product(range(-2, 3), repeat=5))
    found = beam(mean, lower_factor(precision), steps, prices, 5, 4**5)
    assert found.nats[0] == pytest.approx(best, abs=1e-9)


def test_every_survivor_is_priced_as_the_quadratic_form_says() -> None:
    mean, precision, steps, prices = _problem(3, 7)
    found = beam(mean, lower_factor(precision), steps, prices, 7, 20, prior_scale=2.0)
    assert len(found.integers) == 20
    assert (np.diff(found.nats) >= 0).all()
    for integers, nats in zip(found.integers, found.nats, strict=True):
        assert nats == pytest.approx(_direct(integers, mean, precision, steps, prices, share=1 / 8), abs=1e-9)
    assert len({tuple(q) for q in found.integers}) == 20


def test_what_is_still_free_moves_to_its_conditional_mean() -> None:
    mean, precision, steps, prices = _problem(4, 6)
    found = beam(mean, lower_factor(precision), steps, prices, 2, 3)
    for integers, rest in zip(found.integers, found.rest, strict=True):
        gap = integers * steps[:2] - mean[:2]
        expected = mean[2:] - np.linalg.solve(precision[2:, 2:], precision[2:, :2] @ gap)
        np.testing.assert_allclose(rest, expected, atol=1e-9)


def test_identity_precision_and_equal_prices_give_plain_rounding() -> None:
    rng = np.random.default_rng(0)
    mean, steps = rng.normal(size=40) * 3, rng.uniform(0.5, 1.5, 40)
    for width in (1, 16):
        found = beam(mean, np.eye(40), steps, np.zeros((40, 41)), 40, width)
        np.testing.assert_array_equal(found.integers[0], np.rint(mean / steps))


def test_a_wider_beam_never_costs_more() -> None:
    mean, precision, steps, prices = _problem(1, 60)
    costs = [beam(mean, lower_factor(precision), steps, prices, 60, width).nats[0] for width in (1, 8, 256)]
    assert costs[0] >= costs[1] >= costs[2]
    assert costs[2] < costs[0]


def test_symbols_are_cut_to_the_alphabet_and_a_wish_far_beyond_it_is_refused() -> None:
    flat = np.zeros((1, 5))
    assert beam(np.array([2.6]), np.eye(1), np.ones(1), flat, 1, 4).integers[0, 0] == 2
    with pytest.raises(QuantizeError, match="asks for symbols within 2, got 50"):
        beam(np.array([50.0]), np.eye(1), np.ones(1), flat, 1, 4)


def test_the_factor_is_that_of_the_inverse() -> None:
    _, precision, _, _ = _problem(6, 8)
    lower = lower_factor(precision)
    np.testing.assert_array_equal(lower, np.tril(lower))
    np.testing.assert_allclose(lower @ lower.T, np.linalg.inv(precision), atol=1e-10)


@pytest.mark.parametrize("bad", [np.diag([1.0, -1.0]), np.full((2, 2), np.nan)])
def test_a_precision_that_is_none_is_refused(bad: np.ndarray) -> None:
    with pytest.raises(QuantizeError, match="precision matrix"):
        lower_factor(bad)


TRELLIS = {(0, 0): 0, (0, 1): 2, (1, 0): 2, (1, 1): 0, (2, 0): 1, (2, 1): 3, (3, 0): 3, (3, 1): 1}


def _along_the_trellis(integers: tuple[int, ...], state: int) -> tuple[np.ndarray, np.ndarray]:
    """Points in steps and the lattice of each, by the table of states."""
    lattices = []
    for k in integers:
        lattices.append(state // 2)
        state = TRELLIS[state, k % 2]
    return np.array(integers) + np.array(lattices) / 2, np.array(lattices)


@pytest.mark.parametrize("state", range(4))
@pytest.mark.parametrize("seed", range(4))
def test_under_a_trellis_a_wide_beam_finds_the_best_of_all_symbol_strings(seed: int, state: int) -> None:
    mean, precision, steps, prices = _problem(seed, 5)
    both = np.stack([prices, prices + np.random.default_rng(seed).uniform(0, 1, prices.shape)])

    def cost(integers: tuple[int, ...]) -> float:
        points, lattices = _along_the_trellis(integers, state)
        gap = points * steps - mean
        price = sum(both[h, i, k + 2] for i, (h, k) in enumerate(zip(lattices, integers, strict=True)))
        return float(gap @ precision @ gap / 2 + price)

    best = min(itertools.product(range(-2, 3), repeat=5), key=cost)
    found = beam(mean, lower_factor(precision), steps, both, 5, 4**5, state=state)
    assert found.nats[0] == pytest.approx(cost(best), abs=1e-9)
    assert found.integers[0].tolist() == list(best)
    narrow = beam(mean, lower_factor(precision), steps, both, 2, 3, state=state)
    for integers, rest in zip(narrow.integers, narrow.rest, strict=True):
        gap = _along_the_trellis(tuple(integers), state)[0] * steps[:2] - mean[:2]
        expected = mean[2:] - np.linalg.solve(precision[2:, 2:], precision[2:, :2] @ gap)
        np.testing.assert_allclose(rest, expected, atol=1e-9)


def test_a_trellis_of_four_states_makes_a_fifth_less_error_than_plain_rounding_at_the_same_step() -> None:
    count = 1500
    mean, free = np.random.default_rng(0).uniform(-8, 8, count), np.zeros((2, count, 41))
    plain = beam(mean, np.eye(count), np.ones(count), free[0], count, 1).nats[0]
    trellis = beam(mean, np.eye(count), np.ones(count), free, count, 32, state=0).nats[0]
    assert plain == pytest.approx(count / 24, rel=0.05)  # step^2 / 12, halved
    assert trellis == pytest.approx(10**-0.099 * count / 24, rel=0.03)  # 0.99 dB, Marcellin and Fischer 1990
