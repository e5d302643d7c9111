"""Data norm, margins and the margin bound against numpy, hand counts and a simulation."""

import math
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pacbound.data.registry import load
from pacbound.errors import BoundError, DataError
from pacbound.measures.rademacher.capacity import Limit, chain_class
from pacbound.measures.rademacher.complexity import complexity
from pacbound.measures.rademacher.margin_bound import (
    data_norm,
    grid_index,
    grid_value,
    margins,
    place_nats,
    post_hoc,
    rademacher_margin,
    ramp_sum,
    rounded_up_class,
)


def test_the_norm_of_cifar10_is_the_published_one(data_root: Path) -> None:
    if not (data_root / "cifar10").is_dir():
        pytest.skip("CIFAR-10 is not at hand")
    mean = torch.tensor([0.4914, 0.4822, 0.4465]).reshape(3, 1, 1)
    std = torch.tensor([0.247, 0.243, 0.261]).reshape(3, 1, 1)
    found = data_norm(load("cifar10", data_root).x, lambda x: (x.float() / 255 - mean) / std)
    assert found == pytest.approx(12411.64, rel=5e-4)


def test_the_norm_streams_over_everything_and_is_never_below() -> None:
    x = torch.randn(2500, 7, generator=torch.Generator().manual_seed(0))
    exact = math.sqrt(math.fsum((x.numpy().astype(np.longdouble) ** 2 * 4).flatten().tolist()))
    assert exact <= data_norm(x, lambda part: 2 * part) <= exact * (1 + 1e-7)


def test_a_norm_of_nan_is_refused() -> None:
    with pytest.raises(DataError, match="finite"):
        data_norm(torch.tensor([[math.nan, 1.0]]), lambda part: part)


def test_margins_and_ramp_by_hand() -> None:
    logits = torch.tensor([[3.0, 1.0, 0.0], [1.0, 1.0, 0.0], [0.0, 2.5, 3.0], [math.nan, 0.0, 9.0]])
    found = margins(logits, torch.tensor([0, 0, 1, 2]))
    assert found.tolist() == [2.0, 0.0, -0.5, -math.inf]
    assert ramp_sum(found, 4.0) == pytest.approx(0.5 + 1 + 1 + 1, rel=1e-11)
    assert ramp_sum(found, 4.0) >= 3.5
    assert ramp_sum(torch.tensor([5.0, 4.0]), 4.0) == 0


def test_the_confidence_term_is_the_worked_number() -> None:
    assert rademacher_margin(0, 10000, 0.0, 0.05).value == pytest.approx(0.040743045, abs=1e-9)
    found = rademacher_margin(1000, 10000, 0.02, 0.05, 7.0).value
    assert found == pytest.approx(0.1 + 0.04 + 3 * math.sqrt((math.log(40) + 7) / 20000))
    exact = Fraction(1, 10) + Fraction(0.02) * 2
    assert found >= float(exact)


@pytest.mark.parametrize(
    "arguments",
    [(-1, 10, 0.1, 0.05), (11, 10, 0.1, 0.05), (1, 10, -0.1, 0.05), (1, 10, 0.1, 0.0), (1, 10, math.nan, 0.05)],
)
def test_the_bound_refuses_what_is_outside_its_ranges(arguments: tuple[float, int, float, float]) -> None:
    with pytest.raises(BoundError, match="rademacher_margin"):
        rademacher_margin(*arguments)


def test_an_infinite_complexity_is_a_vacuous_bound() -> None:
    assert rademacher_margin(0, 10, math.inf, 0.05).value == 1


@settings(deadline=None)
@given(st.floats(1e-12, 1e12))
def test_the_grid_rounds_up_by_at_most_a_quarter_octave(value: float) -> None:
    a = grid_index(value)
    assert grid_value(a - 1) < value <= grid_value(a)
    assert grid_value(a) == pytest.approx(2 ** (a / 4), rel=1e-15)


def test_the_places_of_the_grid_have_mass_one_together() -> None:
    span = 20000
    mass = math.fsum(math.exp(-place_nats(a)) for a in range(-span, span + 1))
    rest = 2 / 1.5 / (span + 2)  # sum over |a| > span of (2/3) / ((|a| + 1)(|a| + 2)), telescoped
    assert mass + rest == pytest.approx(1, abs=1e-9)
    assert mass < 1


def test_every_limit_is_paid_and_zero_stays_zero() -> None:
    network = chain_class((Limit("a", 3.0, 0.4, 10), Limit("b", 1.0, 0.0, 10)))
    rounded = rounded_up_class(network)
    first, second = rounded.network.limits
    assert (first.lipschitz, first.distance) == (grid_value(7), grid_value(-5))  # 2^(7/4) = 3.36, 2^(-5/4) = 0.42
    assert (second.lipschitz, second.distance) == (1.0, 0.0)

    def price(a: int) -> float:
        return math.log(1.5 * (abs(a) + 1) * (abs(a) + 2))

    assert rounded.nats == pytest.approx(price(7) + price(-5) + price(0) + 2 * math.log(2))


def test_the_best_margin_is_chosen_among_paid_ones() -> None:
    network = chain_class((Limit("a", 1.0, 1e-4, 10),))
    margin = torch.full((5000,), 3.0, dtype=torch.float64)
    bound, gamma = post_hoc(network, margin, 10.0, 0.05)
    assert gamma <= 3
    rounded = rounded_up_class(network)
    own = complexity(rounded.network, 10.0, 5000, gamma).value
    price = rounded.nats + place_nats(-int(math.log2(gamma)))
    assert bound.value == rademacher_margin(ramp_sum(margin, gamma), 5000, own, 0.05, price).value
    for j in range(-8, 9):
        size = complexity(rounded.network, 10.0, 5000, 2.0**-j).value
        other = rademacher_margin(ramp_sum(margin, 2.0**-j), 5000, size, 0.05, rounded.nats + place_nats(j))
        assert bound.value <= other.value


def test_the_promise_holds_on_a_task_of_known_risk() -> None:
    """A threshold classifier (w, 0) picked by its training error: the risk stays below the bound, which is not 1."""
    generator = np.random.default_rng(1)
    n, broken = 3000, 0
    for _ in range(20):
        x = generator.normal(size=n)
        y = np.where(generator.random(n) < 0.1, x < 0, x > 0)  # 10 % noise: risk 0.1 for w > 0
        w = 0.01 * np.sign(((2 * y - 1) * x).sum())
        logits = torch.tensor(np.stack([w * x, np.zeros(n)], axis=1))
        margin = margins(logits, torch.tensor(np.where(y, 0, 1)))
        network = chain_class((Limit("w", 0.01, 0.01, 2),))
        bound, _ = post_hoc(network, margin, float(np.linalg.norm(x)), 0.05)
        broken += bound.value < (0.1 if w > 0 else 0.9)
    assert broken == 0
