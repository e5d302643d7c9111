"""Relaxations and the schedule, against what they are defined to be."""

import itertools
import math

import pytest
import torch
from torch import Generator

from pacbound.training.losses import gaussian_nats
from pacbound.training.phases import Continuous, NearestCentroid, StraightThrough, UniformNoise, one_cycle

STEP = 0.25


def generator() -> Generator:
    return Generator().manual_seed(3)


def lattice_parameters() -> dict[str, torch.Tensor]:
    w = torch.tensor([0.1, 0.13, -0.6, 0.9], requires_grad=True)
    return {"w": w, "log_scale": torch.tensor(0.2, requires_grad=True)}


def test_the_network_sees_the_coefficients_themselves_and_pays_nothing_without_quantization() -> None:
    parameters = lattice_parameters()
    w, nats = Continuous().apply(parameters, generator())
    assert w is parameters["w"]
    assert float(nats) == 0.0


def test_rounding_gives_lattice_points_with_the_gradient_of_the_identity() -> None:
    parameters = lattice_parameters()
    w, nats = StraightThrough(STEP).apply(parameters, generator())
    assert w.tolist() == pytest.approx([0.0, 0.25, -0.5, 1.0], abs=1e-7)
    assert float(nats.detach()) == pytest.approx(float(gaussian_nats(w / STEP, torch.tensor(0.2)).detach()))
    (w * torch.tensor([1.0, 2.0, 3.0, 4.0])).sum().backward()
    assert parameters["w"].grad is not None
    assert parameters["w"].grad.tolist() == [1.0, 2.0, 3.0, 4.0]
    assert parameters["log_scale"].grad is None


def test_noise_is_uniform_within_half_a_step_and_is_priced() -> None:
    w = torch.zeros(20_000, requires_grad=True)
    parameters = {"w": w, "log_scale": torch.tensor(0.2, requires_grad=True)}
    noisy, nats = UniformNoise(STEP).apply(parameters, generator())
    assert float(noisy.detach().abs().max()) <= STEP / 2
    counts = torch.histc(noisy.detach(), 10, -STEP / 2, STEP / 2)
    assert counts.min() > 1800  # 2000 each, standard deviation 42
    assert counts.max() < 2200
    nats.backward()
    assert parameters["log_scale"].grad is not None
    assert torch.autograd.grad(UniformNoise(STEP).apply(parameters, generator())[0].sum(), w)[0].eq(1).all()


def test_the_same_generator_gives_the_same_noise_and_another_another() -> None:
    parameters = lattice_parameters()
    first = UniformNoise(STEP).apply(parameters, generator())[0]
    assert torch.equal(first, UniformNoise(STEP).apply(parameters, generator())[0])
    assert not torch.equal(first, UniformNoise(STEP).apply(parameters, Generator().manual_seed(4))[0])


def test_nearest_centroids_need_no_order_and_collect_the_slopes_of_their_members() -> None:
    w = torch.tensor([0.1, 0.9, -0.9, 0.8], requires_grad=True)
    centroids = torch.tensor([1.0, -1.0, 0.0], requires_grad=True)
    chosen, nats = NearestCentroid().apply({"w": w, "centroids": centroids}, generator())
    assert chosen.tolist() == pytest.approx([0.0, 1.0, -1.0, 1.0], abs=1e-7)
    assert float(nats) == 0.0
    (chosen * torch.tensor([1.0, 2.0, 3.0, 4.0])).sum().backward()
    assert w.grad is not None
    assert centroids.grad is not None
    assert w.grad.tolist() == [1.0, 2.0, 3.0, 4.0]
    assert centroids.grad.tolist() == [6.0, 3.0, 1.0]


def test_the_cycle_rises_for_three_tenths_and_falls_to_nothing_while_momentum_mirrors_it() -> None:
    assert one_cycle(0.0) == pytest.approx((1 / 25, 0.95))
    assert one_cycle(0.15) == pytest.approx(((1 + 1 / 25) / 2, 0.9))
    assert one_cycle(0.3) == pytest.approx((1.0, 0.85))
    assert one_cycle(0.65) == pytest.approx(((1 + 1e-4) / 2, 0.9))
    assert one_cycle(1.0) == pytest.approx((1e-4, 0.95))
    grid = [one_cycle(k / 1000) for k in range(1001)]
    rates, momenta = [rate for rate, _ in grid], [momentum for _, momentum in grid]
    assert rates[:301] == sorted(rates[:301])
    assert rates[300:] == sorted(rates[300:], reverse=True)
    assert momenta[:301] == sorted(momenta[:301], reverse=True)
    assert momenta[300:] == sorted(momenta[300:])
    assert max(abs(a - b) for a, b in itertools.pairwise(rates)) < 2 * math.pi / 600  # no jump anywhere
