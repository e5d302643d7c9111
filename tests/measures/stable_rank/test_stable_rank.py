"""Stable ranks, their initialisation and the laws of propagation, against hand values and simulation."""

import itertools
import math

import numpy as np
import pytest
import torch
from torch import nn

from pacbound.errors import ModelError
from pacbound.measures.layers.layers import layers_of
from pacbound.measures.stable_rank.stable_rank import (
    feed_forward_factors,
    haar,
    log2_gains,
    measure_stable_rank,
    normalise_stable_rank,
    second_moment_variance,
    spectrum,
    stable_rank,
    stable_rank_init_,
)
from tests.measures.haar import haar_layers

WIDTHS, RANKS, SCALES = (20, 32, 24, 16), (4, 6.5, 3), (1.5, 1.2, 2)


def numpy_rank(matrix) -> float:
    values = np.linalg.svd(np.asarray(matrix, dtype=np.float64), compute_uv=False)
    return float((values**2).sum() / values[0] ** 2)


def test_stable_ranks_by_hand():
    assert stable_rank(torch.diag(torch.tensor([3.0, 4.0]))) == pytest.approx(25 / 16)
    assert stable_rank(torch.tensor([[1.0, 2.0], [3.0, 4.0]])) == pytest.approx(1.004484395, abs=1e-9)
    assert stable_rank(torch.zeros(3, 2)) == 0
    assert stable_rank(torch.eye(5) * 1e-30) == pytest.approx(5)


def test_weights_of_a_diverged_training_are_refused():
    with pytest.raises(ModelError, match="diverged"):
        stable_rank(torch.tensor([[1.0, float("nan")]]))


def test_gaussian_matrices_have_the_stable_rank_of_random_matrix_theory():
    generator = torch.Generator().manual_seed(0)
    square = np.mean([stable_rank(torch.randn(100, 100, generator=generator)) for _ in range(20)])
    assert square == pytest.approx(26.3, abs=0.7)
    assert stable_rank(torch.randn(400, 100, generator=generator)) == pytest.approx(44.9, abs=2)


@pytest.mark.parametrize(("rank", "size", "power"), [(4, 16, 0.430022), (10, 64, 0.324510)])
def test_power_spectra_have_the_known_exponent(rank, size, power):
    values = spectrum(rank, size, "power")
    np.testing.assert_allclose(values, np.arange(1, size + 1) ** -power, rtol=1e-5)


@pytest.mark.parametrize("profile", ["flat", "power"])
@pytest.mark.parametrize(("rank", "size"), [(1, 1), (1, 7), (2.5, 7), (7, 7), (6.999, 7)])
def test_spectra_start_at_one_and_have_the_prescribed_rank(profile, rank, size):
    values = spectrum(rank, size, profile)
    assert values[0] == 1
    assert (np.diff(values) <= 0).all()
    assert (values**2).sum() == pytest.approx(rank, abs=1e-9)


@pytest.mark.parametrize("rank", [0.5, 8])
def test_ranks_outside_the_possible_are_refused(rank):
    with pytest.raises(ModelError, match="between 1 and the smaller side"):
        spectrum(rank, 7)


def test_haar_columns_are_orthonormal_and_point_everywhere_alike():
    q = haar(9, 4, seed=1, stream="test")
    np.testing.assert_allclose(q.T @ q, np.eye(4), atol=1e-12)
    draws = np.array([haar(5, 2, seed, "spread")[:, 1] for seed in range(1500)])
    np.testing.assert_allclose(draws.mean(axis=0), 0, atol=0.05)  # a missing sign of R leaves a bias
    np.testing.assert_allclose(draws.T @ draws / len(draws), np.eye(5) / 5, atol=0.03)
    fourth = (draws**4).mean(axis=0)
    np.testing.assert_allclose(fourth, 3 / 35, atol=0.015)  # of a coordinate of the sphere in 5 dimensions


def test_rank_normalisation_keeps_the_top_direction():
    found = normalise_stable_rank(torch.diag(torch.tensor([3.0, 2.0, 1.0])), 1.25)
    np.testing.assert_allclose(found.numpy(), np.diag([3, 1.341641, 0.670820]), atol=1e-6)
    assert numpy_rank(found) == pytest.approx(1.25)
    kept = torch.diag(torch.tensor([3.0, 1.0]))
    torch.testing.assert_close(normalise_stable_rank(kept, 2), kept.double())
    with pytest.raises(ModelError, match="at least 1"):
        normalise_stable_rank(kept, 0.9)


def test_feed_forward_factors_by_hand():
    factors = feed_forward_factors(WIDTHS, RANKS, SCALES)
    assert factors == pytest.approx((0.225, 0.14625, 0.25))
    assert math.prod(factors) == pytest.approx(0.0082265625)
    assert feed_forward_factors((4, 4), (2,), (1,), slope=1)[0] == pytest.approx(0.5)  # linear: r s^2 / n
    with pytest.raises(ModelError, match="widths"):
        feed_forward_factors((4, 4), (2, 2), (1,))


def test_second_moment_law_holds_in_simulation():
    rng, nets = np.random.default_rng(7), 5000
    h = np.full((nets, WIDTHS[0]), WIDTHS[0] ** -0.5)
    for layer, (n_in, n_out) in enumerate(itertools.pairwise(WIDTHS)):
        values = SCALES[layer] * np.sqrt(np.clip(RANKS[layer] - np.arange(math.ceil(RANKS[layer])), 0, 1))
        h = np.maximum(np.einsum("noi,ni->no", haar_layers(rng, nets, n_out, n_in, values), h), 0)
    squares = (h**2).sum(axis=1)
    error = squares.std() / math.sqrt(nets)
    assert squares.mean() == pytest.approx(0.0082265625, abs=4 * error)
    assert error < 0.03 * 0.0082265625  # narrow enough to tell a wrong factor


def test_one_layer_fluctuates_as_predicted():
    values = (1, 1, 1, 0.5)
    assert second_moment_variance(values, 20) == pytest.approx(0.01151989, abs=1e-8)
    rng = np.random.default_rng(5)
    points = rng.normal(size=(60000, 20))
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    squares = (points[:, :4] ** 2) @ np.square(values)
    assert squares.mean() == pytest.approx(0.1625, abs=0.002)
    assert squares.var() == pytest.approx(0.01151989, rel=0.03)


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(1))


@pytest.mark.parametrize("profile", ["flat", "power"])
def test_initialisation_has_the_prescribed_rank_and_he_scale(profile):
    net = nn.Sequential(
        nn.Conv2d(3, 16, 3), nn.BatchNorm2d(16), nn.Flatten(), nn.Linear(64, 32), nn.Linear(32, 4, bias=False)
    )
    used = stable_rank_init_(net, 6.5, seed=3, profile=profile)
    assert used == {"0": 6.5, "3": 6.5, "4": 4.0}  # 4 outputs have no more than rank 4
    for name, rank in used.items():
        layer = net.get_submodule(name)
        matrix = layer.weight.detach().flatten(1)
        assert numpy_rank(matrix) == pytest.approx(rank, rel=1e-4)
        assert float(matrix.square().sum()) == pytest.approx(2 * matrix.shape[0], rel=1e-4)  # as He's in expectation
        assert layer.bias is None or not layer.bias.any()
    assert torch.equal(net[1].weight, torch.ones(16))


def test_norm_preserving_scale_keeps_squared_norms_in_expectation():
    net = nn.Linear(30, 20)
    stable_rank_init_(net, 5, seed=0, scale="norm")
    assert float(net.weight.detach().square().sum()) == pytest.approx(2 * 30, rel=1e-4)
    assert feed_forward_factors((30, 20), (5,), (math.sqrt(2 * 30 / 5),))[0] == pytest.approx(1)


def test_initialisation_repeats_by_seed_and_differs_between_layers():
    one, two, other = (nn.Sequential(nn.Linear(8, 8), nn.Linear(8, 8)) for _ in range(3))
    for net, seed in ((one, 1), (two, 1), (other, 2)):
        stable_rank_init_(net, 3, seed)
    assert torch.equal(one[0].weight, two[0].weight)
    assert not torch.equal(one[0].weight, other[0].weight)
    assert not torch.equal(one[0].weight, one[1].weight)


def test_unknown_owners_of_parameters_are_refused():
    with pytest.raises(ModelError, match="Block"):
        stable_rank_init_(nn.Sequential(nn.Linear(3, 3), Block()), 2, 0)


def test_measures_agree_with_dense_matrices():
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(2, 3, 3, padding=1, padding_mode="circular", bias=False), nn.ReLU(), nn.Flatten(), nn.Linear(75, 4)
    ).double()
    x = torch.randn(1, 2, 5, 5, dtype=torch.float64)
    found = {m.name: m for m in measure_stable_rank(net, x)}
    matrix = torch.autograd.functional.jacobian(net[0], x).reshape(75, 50)
    assert found["stable_rank_reshaped"].per_layer["0"] == pytest.approx(numpy_rank(net[0].weight.detach().flatten(1)))
    assert found["stable_rank_operator"].per_layer["0"] == pytest.approx(numpy_rank(matrix), rel=1e-5)
    assert found["stable_rank_operator"].per_layer["3"] == pytest.approx(numpy_rank(net[3].weight.detach()), rel=1e-5)
    expected = math.log2(float(matrix.square().sum()) / 75 / 2)
    assert found["stable_rank_log2_gain"].per_layer["0"] == pytest.approx(expected)
    assert found["stable_rank_reshaped"].verified
    assert not found["stable_rank_log2_gain"].verified
    product = found.pop("stable_rank_spectral_product")
    tops = [float(np.linalg.norm(m, 2)) for m in (matrix.numpy(), net[3].weight.detach().numpy())]
    assert not product.verified
    assert 10**product.value == pytest.approx(
        (tops[0] * tops[1]) ** 2 * (numpy_rank(matrix) + numpy_rank(net[3].weight.detach())), rel=1e-5
    )
    for measure in found.values():
        total = sum(measure.per_layer.values())
        assert measure.value == pytest.approx(total if "gain" in measure.name else total / 2)


def test_he_like_initialisation_is_forecast_to_keep_activations():
    net = nn.Sequential(nn.Linear(40, 30), nn.ReLU(), nn.Linear(30, 20), nn.ReLU(), nn.Linear(20, 10))
    stable_rank_init_(net, 4, 0)
    gains = log2_gains(layers_of(net, torch.zeros(1, 40)))
    assert gains == pytest.approx({"0": 0, "2": 0, "4": 1}, abs=1e-4)  # the last layer has no ReLU to halve it


def test_operator_rank_is_at_most_the_true_one_under_zero_padding():
    torch.manual_seed(1)
    layer = nn.Conv2d(2, 4, 3, stride=2, padding=1, bias=False).double()
    x = torch.randn(1, 2, 6, 6, dtype=torch.float64)
    found = {m.name: m.value for m in measure_stable_rank(layer, x)}["stable_rank_operator"]
    true = numpy_rank(torch.autograd.functional.jacobian(layer, x).reshape(-1, 72))
    assert 0.8 * true < found <= true


def test_networks_without_linear_layers_are_refused_by_name():
    with pytest.raises(ModelError, match="GroupNorm"):
        measure_stable_rank(nn.Sequential(nn.GroupNorm(2, 4)), torch.zeros(1, 4, 3))
