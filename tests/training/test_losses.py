"""Training losses against mpmath and numpy."""

import math

import mpmath
import numpy as np
import pytest
import torch

from pacbound.training.losses import SURROGATES, cross_entropy, error_probability, gaussian_nats


def exact_nats(v: float, scale: float) -> float:
    """-ln(Phi((|v| + 1/2) / s) - Phi((|v| - 1/2) / s)) at 80 digits, as a difference of upper tails."""
    with mpmath.workdps(80):
        size, s = mpmath.mpf(abs(v)), mpmath.mpf(scale) * mpmath.sqrt(2)
        mass = (mpmath.erfc((size - 0.5) / s) - mpmath.erfc((size + 0.5) / s)) / 2
        return float(-mpmath.log(mass))


@pytest.mark.parametrize("scale", [0.05, 0.3, 1.0, 4.0, 50.0])
@pytest.mark.parametrize("v", [0.0, 0.2, -0.5, 1.0, -3.0, 7.0, 20.0])
def test_the_price_of_a_coefficient_is_minus_the_log_of_its_cell(v: float, scale: float) -> None:
    found = float(gaussian_nats(torch.tensor([v]), torch.tensor(math.log(scale))))
    assert found == pytest.approx(exact_nats(v, scale), rel=2e-4, abs=1e-5)


def test_prices_add_up() -> None:
    v, log_scale = torch.tensor([0.0, 1.0, -2.0]), torch.tensor(0.3)
    parts = sum(exact_nats(float(k), math.exp(0.3)) for k in v)
    assert float(gaussian_nats(v, log_scale)) == pytest.approx(parts, rel=1e-5)


def test_the_slopes_of_the_price_are_those_of_finite_differences_of_the_exact_price() -> None:
    v, log_scale = torch.tensor([1.3, -2.6], requires_grad=True), torch.tensor(0.4, requires_grad=True)
    gaussian_nats(v, log_scale).backward()
    s, h = math.exp(0.4), 1e-5
    by_v = [(exact_nats(x + h, s) - exact_nats(x - h, s)) / (2 * h) for x in (1.3, -2.6)]
    total = [sum(exact_nats(x, math.exp(0.4 + t)) for x in (1.3, -2.6)) for t in (h, -h)]
    assert v.grad is not None
    assert log_scale.grad is not None
    assert v.grad.tolist() == pytest.approx(by_v, rel=1e-3)
    assert float(log_scale.grad) == pytest.approx((total[0] - total[1]) / (2 * h), rel=1e-3)


def test_a_far_coefficient_has_a_finite_price_and_slope_in_float32() -> None:
    v, log_scale = torch.tensor([300.0], requires_grad=True), torch.tensor(0.0, requires_grad=True)
    price = gaussian_nats(v, log_scale)
    price.backward()
    assert float(price.detach()) == pytest.approx(299.5**2 / 2, rel=1e-3)
    assert v.grad is not None
    assert float(v.grad) == pytest.approx(299.5, rel=1e-2)


def test_surrogates_are_their_formulas_in_numpy() -> None:
    generator = np.random.default_rng(0)
    logits, y = generator.normal(0, 3, (20, 4)), generator.integers(0, 4, 20)
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    own = p[np.arange(20), y]
    torch_logits, labels = torch.tensor(logits), torch.tensor(y)
    assert float(cross_entropy(torch_logits, labels)) == pytest.approx(-np.log(own).mean())
    assert float(error_probability(torch_logits, labels)) == pytest.approx(1 - own.mean())
    assert SURROGATES == {"cross_entropy": cross_entropy, "error_probability": error_probability}


def test_a_hopeless_example_costs_at_most_one() -> None:
    logits = torch.tensor([[1e4, 0.0]])
    assert float(error_probability(logits, torch.tensor([1]))) == 1.0
    assert float(error_probability(logits, torch.tensor([0]))) == 0.0
