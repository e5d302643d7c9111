"""Tangent kernels against Jacobians by plain autograd, recursions against quadrature, predictions against descent."""

import itertools
import math

import numpy as np
import pytest
import torch
from torch import nn

from pacbound.errors import ModelError
from pacbound.measures.ntk import ntk
from pacbound.measures.ntk.ntk import (
    alignment,
    empirical_ntk,
    expected_ntk,
    infinite_width_ntk,
    linear_dynamics,
    measure_ntk,
    spectrum_of,
)
from tests.measures.haar import haar_layers

WIDTHS, RANKS, SCALES = (20, 32, 24, 16), (4, 6.5, 3), (1.5, 1.2, 2)


def small_net() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 3, 3, padding=1), nn.BatchNorm2d(3), nn.Tanh(), nn.Flatten(), nn.Linear(48, 2)
    ).eval()


def jacobian_rows(net: nn.Module, x: torch.Tensor) -> np.ndarray:
    """(n, K, D) by one backward pass per example and logit."""
    net = net.double()
    rows = []
    for example in x.double():
        for logit in net(example[None])[0]:
            net.zero_grad()
            logit.backward(retain_graph=True)
            rows.append(torch.cat([p.grad.reshape(-1) for p in net.parameters() if p.grad is not None]).numpy().copy())
    return np.array(rows).reshape(len(x), -1, len(rows[0]))


@pytest.mark.parametrize("memory", [1 << 29, 20_000, 1])
def test_kernels_of_all_kinds_agree_with_brute_force_at_any_block_size(memory, monkeypatch):
    monkeypatch.setattr(ntk, "MEMORY_BYTES", memory)
    net, x = small_net(), torch.randn(5, 1, 4, 4, generator=torch.Generator().manual_seed(1))
    found = {kind: empirical_ntk(net, x, kind) for kind in ("trace", "sum", "full")}
    rows = jacobian_rows(net, x)
    flat = rows.reshape(10, -1)
    np.testing.assert_allclose(found["trace"].matrix, np.einsum("ikd,jkd->ij", rows, rows), atol=1e-10)
    np.testing.assert_allclose(found["sum"].matrix, rows.sum(1) @ rows.sum(1).T, atol=1e-10)
    np.testing.assert_allclose(found["full"].matrix, flat @ flat.T, atol=1e-10)
    for kernel in found.values():
        assert sum(kernel.trace_of.values()) == pytest.approx(float(kernel.matrix.trace()))
    assert found["trace"].trace_of["4.bias"] == pytest.approx(5 * 2)  # the derivative of a logit by its bias is 1


def test_frozen_parameters_have_no_part_in_the_kernel():
    net, x = small_net(), torch.randn(3, 1, 4, 4)
    net[0].requires_grad_(False)
    assert "0.weight" not in empirical_ntk(net, x).trace_of
    net.requires_grad_(False)
    with pytest.raises(ModelError, match="requires_grad"):
        empirical_ntk(net, x)


def test_a_network_is_left_as_it_was():
    net, x = small_net(), torch.randn(3, 1, 4, 4)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    empirical_ntk(net, x)
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())
    assert all(p.grad is None and p.dtype == torch.float32 for p in net.parameters())


def test_batch_normalisation_in_training_mode_is_named():
    with pytest.raises(ModelError, match="but 1 is a batch normalisation"):
        empirical_ntk(small_net().train(), torch.zeros(2, 1, 4, 4))


@pytest.mark.parametrize(
    ("net", "x", "message"),
    [
        (nn.Linear(3, 2), torch.zeros(2, 4), "runs on one example"),
        (nn.Conv1d(1, 1, 1), torch.zeros(2, 1, 4), "have shape"),
    ],
)
def test_unfit_inputs_are_refused(net, x, message):
    with pytest.raises(ModelError, match=message):
        empirical_ntk(net, x)


def test_networks_that_torch_func_cannot_differentiate_are_named():
    class Branching(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(2, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.linear(x) if float(x.sum()) > 0 else -self.linear(x)

    with pytest.raises(ModelError, match="Branching"):
        empirical_ntk(Branching(), torch.ones(2, 2))


def test_spectrum_in_brief_by_hand():
    brief = spectrum_of(torch.diag(torch.tensor([4.0, 1.0, 1.0], dtype=torch.float64)))
    assert (brief.lambda_max, brief.lambda_min, brief.condition) == pytest.approx((4, 1, 4))
    assert brief.effective_rank == pytest.approx(36 / 18)
    assert brief.max_stable_step == pytest.approx(0.5)
    singular = spectrum_of(torch.ones(3, 3, dtype=torch.float64))
    assert singular.effective_rank == pytest.approx(1)
    assert 1e14 < singular.condition < math.inf
    with pytest.raises(ModelError, match="positive eigenvalue"):
        spectrum_of(torch.zeros(2, 2, dtype=torch.float64))


def test_alignment_is_one_only_for_the_kernel_of_the_targets():
    y = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)
    assert alignment(torch.outer(y, y), y) == pytest.approx(1)
    assert alignment(torch.eye(3, dtype=torch.float64), y) == pytest.approx(1 / math.sqrt(3))
    both = torch.stack([y, torch.tensor([0.0, 1.0, 3.0], dtype=torch.float64)], dim=1)
    kernel = torch.diag(torch.tensor([3.0, 2.0, 1.0], dtype=torch.float64))
    expected = np.trace(both.numpy().T @ kernel.numpy() @ both.numpy()) / (math.sqrt(14) * (both.numpy() ** 2).sum())
    assert alignment(kernel, both) == pytest.approx(expected)


def test_linear_dynamics_are_those_of_descent_on_a_linear_model():
    """A linear model is its own linearisation: small steps of descent must follow the prediction."""
    rng = np.random.default_rng(2)
    x, y = rng.normal(size=(6, 4)), rng.normal(size=(6, 2))
    w = rng.normal(size=(4, 2))
    kernel = torch.from_numpy(x @ x.T)
    times = torch.tensor([0.0, 0.5, 2.0])
    predicted = linear_dynamics(kernel, torch.from_numpy(x @ w), torch.from_numpy(y), 0.1, times)
    found, step = [x @ w], 1e-3
    for index in range(1, 2001):
        w = w - step * 0.1 * x.T @ (x @ w - y)
        if index in (500, 2000):
            found.append(x @ w)
    np.testing.assert_allclose(predicted.numpy(), np.array(found), atol=2e-3)


def test_dynamics_of_single_outputs_have_their_shape():
    kernel = torch.eye(3, dtype=torch.float64)
    path = linear_dynamics(kernel, torch.ones(3), torch.zeros(3), 2.0, torch.tensor([0.0, 1.0]))
    np.testing.assert_allclose(path.numpy(), [[1] * 3, [math.exp(-2)] * 3], atol=1e-12)


def test_infinite_width_recursion_has_the_known_values():
    assert [t for _, t in infinite_width_ntk(1.0, 3)] == pytest.approx([2, 3, 4])
    covariance, tangent = zip(*infinite_width_ntk(0.5, 3), strict=True)
    assert covariance == pytest.approx((0.608998, 0.683906, 0.738128), abs=1e-6)
    assert tangent == pytest.approx((0.942331, 1.351480, 1.737845), abs=1e-6)
    covariance, tangent = zip(*infinite_width_ntk(0.0, 3), strict=True)
    assert covariance == pytest.approx((0.318310, 0.493731, 0.604826), abs=1e-6)
    assert tangent == pytest.approx((0.318310, 0.685709, 1.060388), abs=1e-6)


def test_recursion_step_is_the_gaussian_expectation_of_relu():
    """E over correlated normals by Gauss-Hermite quadrature in polar form; factor 2 c from the halved variance."""
    rho, factor = 0.3, 0.7
    angles = (np.arange(200_000) + 0.5) * 2 * math.pi / 200_000
    u, v = np.cos(angles), rho * np.cos(angles) + math.sqrt(1 - rho**2) * np.sin(angles)
    product = 2 * np.mean(np.maximum(u, 0) * np.maximum(v, 0))  # E radius^2 = 2
    active = np.mean((u > 0) & (v > 0))
    (covariance, tangent), *_ = infinite_width_ntk(rho, 1, factor)
    assert covariance == pytest.approx(2 * factor * product, abs=1e-6)
    assert tangent == pytest.approx(2 * factor * (product + active * rho), abs=1e-4)


def test_expected_terms_by_hand():
    terms = expected_ntk(WIDTHS, RANKS, SCALES)
    assert terms == pytest.approx((0.0082265625, 0.016453125, 0.0421875, 0.0365625))
    assert sum(terms) == pytest.approx(0.1034296875)


def test_expected_terms_agree_with_simulated_networks():
    """Squared gradient norms of random nets by hand-written backpropagation, in the order readout, layer 3, 2, 1."""
    rng, nets = np.random.default_rng(8), 4000
    h, weights = [np.full((nets, WIDTHS[0]), WIDTHS[0] ** -0.5)], []
    for layer, (n_in, n_out) in enumerate(itertools.pairwise(WIDTHS)):
        values = SCALES[layer] * np.sqrt(np.clip(RANKS[layer] - np.arange(math.ceil(RANKS[layer])), 0, 1))
        weights.append(haar_layers(rng, nets, n_out, n_in, values))
        h.append(np.maximum(np.einsum("noi,ni->no", weights[-1], h[-1]), 0))
    delta = rng.normal(size=(nets, WIDTHS[-1])) / math.sqrt(WIDTHS[-1])
    terms = [(h[-1] ** 2).sum(axis=1)]
    for layer in (2, 1, 0):
        delta = delta * (h[layer + 1] > 0)
        terms.append((delta**2).sum(axis=1) * (h[layer] ** 2).sum(axis=1))
        delta = np.einsum("noi,no->ni", weights[layer], delta)
    means, errors = np.mean(terms, axis=1), np.std(terms, axis=1) / math.sqrt(nets)
    gap = np.abs(means - expected_ntk(WIDTHS, RANKS, SCALES))
    assert (gap < 4 * errors + 0.04 * means).all()  # leading order in the widths: within some percent
    assert (errors < 0.04 * means).all()


def test_measures_describe_the_trace_kernel_and_its_labels():
    net, x = small_net(), torch.randn(6, 1, 4, 4, generator=torch.Generator().manual_seed(4))
    labels = torch.tensor([0, 1, 1, 0, 1, 0])
    found = {m.name: m for m in measure_ntk(net, x[:1], (x, labels))}
    rows = jacobian_rows(net, x)
    kernel = np.einsum("ikd,jkd->ij", rows, rows)
    values = np.linalg.eigvalsh(kernel)
    signs = np.where(labels.numpy() == 1, 1.0, -1.0)
    assert found["ntk_lambda_max"].value == pytest.approx(values[-1])
    assert found["ntk_lambda_min"].value == pytest.approx(values[0], rel=1e-6)
    assert found["ntk_trace"].value == pytest.approx(np.trace(kernel))
    assert found["ntk_alignment"].value == pytest.approx(signs @ kernel @ signs / np.linalg.norm(kernel) / 6)
    assert found["ntk_max_stable_step"].unit.endswith("6 points")
    assert "ntk_alignment" not in {m.name for m in measure_ntk(net, x)}


def test_large_networks_are_measured_on_fewer_points(monkeypatch):
    monkeypatch.setattr(ntk, "MEMORY_BYTES", 8 * 2 * 134 * 10)  # room for ten points of 2 logits and 134 parameters
    net, x = small_net(), torch.randn(30, 1, 4, 4)
    assert measure_ntk(net, x)[0].unit == "on 10 points"


def test_sorted_classes_are_all_represented() -> None:
    """A part of a sample sorted by class holds each class in its share, the same each time, and says so."""
    labels = torch.tensor([0] * 600 + [1] * 150 + [2] * 150)
    chosen = ntk.stratified(labels, 500)
    assert chosen.tolist() == sorted(set(chosen.tolist()))
    assert torch.bincount(labels[chosen]).tolist() in ([334, 83, 83], [333, 84, 83], [333, 83, 84])
    assert torch.equal(chosen, ntk.stratified(labels, 500))
    net, x = nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3)), torch.randn(900, 6)
    found = {m.name: m for m in measure_ntk(net, x[:1], (x, labels))}
    assert "500 of 900 examples, stratified by class, seed 0" in found["ntk_trace"].reference
    kernel = ntk.empirical_ntk(net, x[chosen]).matrix.numpy()
    targets = np.eye(3)[labels[chosen].numpy()] - 1 / 3
    by_hand = np.sum(targets @ targets.T * kernel) / np.linalg.norm(kernel) / np.sum(targets**2)
    assert found["ntk_alignment"].value == pytest.approx(by_hand, rel=1e-9)


def test_one_class_alone_has_no_alignment() -> None:
    net, x = nn.Linear(6, 3), torch.randn(20, 6)
    found = {m.name: m.value for m in measure_ntk(net, x[:1], (x, torch.zeros(20, dtype=torch.int64)))}
    assert "ntk_alignment" not in found
    assert all(math.isfinite(value) for value in found.values())
