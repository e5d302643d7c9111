"""The Fisher matrix against brute force: every label weighted by its probability, no sampling, no vmap, no adjoint."""

import math
import subprocess
import sys

import pytest
import torch
from scipy.optimize import minimize_scalar
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from pacbound.errors import SubspaceError
from pacbound.specs.specs import ProjectorSpec
from pacbound.subspace.curvature import (
    Kind,
    Rows,
    calibrated_temperature,
    curvature,
    example_gradients,
    examples_within,
    fisher,
)
from pacbound.subspace.layout import Layout
from pacbound.subspace.low_rank import low_rank_curvature
from pacbound.subspace.projectors import make_projector
from pacbound.subspace.subspace import Subspace

FEATURES, CLASSES, D_SMALL = 4, 3, 6


def _subspace(scaled: bool = True, d: int = D_SMALL) -> Subspace:
    network = nn.Sequential(nn.Linear(FEATURES, 5), nn.Tanh(), nn.Linear(5, CLASSES))
    layout = Layout.of(network)
    generator = Generator().manual_seed(1)
    theta0 = torch.randn(layout.D, generator=generator) / 2
    scale = torch.rand(layout.D, generator=generator) * 4 if scaled else None
    projector = make_projector(ProjectorSpec(kind="dense", D=layout.D, d=d), layout)
    return Subspace(network, layout, theta0, projector, scale)


def _inputs(n: int = 4) -> Tensor:
    return torch.randn(n, FEATURES, generator=Generator().manual_seed(2))


def _exact(subspace: Subspace, w: Tensor, x: Tensor, temperature: float = 1.0) -> Tensor:
    """Mean over x of sum_y p(y|x) J_y J_y^T, J by autograd through the explicit matrix."""
    matrix = subspace.projector.as_matrix()
    scale = torch.ones(subspace.layout.D) if subspace.scale is None else subspace.scale
    total = torch.zeros(subspace.d, subspace.d, dtype=torch.float64)
    for row in x:
        for label in range(CLASSES):
            free = w.clone().requires_grad_()
            logits = subspace.call_at(subspace.theta0 + scale * (matrix @ free), row[None])
            logs = F.log_softmax(logits / temperature, 1)[0, label]
            (gradient,) = torch.autograd.grad(logs, free)
            total += logs.detach().exp().double() * torch.outer(gradient, gradient).double()
    return total / len(x)


@pytest.mark.parametrize(("scaled", "temperature"), [(False, 1.0), (True, 1.0), (True, 0.3)])
def test_sampled_labels_average_to_the_exact_fisher_matrix(
    scaled: bool, temperature: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pacbound.subspace.curvature.MAX_CHUNK", 2000)
    subspace, x = _subspace(scaled), _inputs()
    w = torch.full((D_SMALL,), 0.1)
    rows = Rows(subspace, x, lambda _: w, temperature=temperature)
    found = curvature(rows, 20_000, Generator().manual_seed(0), progress=False)
    exact = _exact(subspace, w, x, temperature)
    assert found.dtype == torch.float64
    assert torch.linalg.norm(found - exact) < 0.05 * torch.linalg.norm(exact)


def test_a_random_draw_averages_the_fisher_over_the_draws() -> None:
    subspace, x = _subspace(), _inputs()
    points = torch.tensor([[0.5], [-0.5]]) * torch.ones(2, D_SMALL)

    def draw(generator: Generator) -> Tensor:
        return points[int(torch.randint(2, (), generator=generator))]

    found = fisher(subspace, x, draw, 20_000, Generator().manual_seed(0), progress=False)
    exact = (_exact(subspace, points[0], x) + _exact(subspace, points[1], x)) / 2
    assert torch.linalg.norm(found - exact) < 0.08 * torch.linalg.norm(exact)


@pytest.mark.parametrize("kind", ["fisher", "gauss_newton"])
@pytest.mark.parametrize("known", [1, 4])
def test_where_some_coefficients_are_known_the_matrix_is_that_of_the_others_at_the_whole_point(
    known: int, kind: Kind
) -> None:
    subspace, x, y = _subspace(), _inputs(), torch.tensor([0, 2, 1, 1])
    w = torch.linspace(-0.4, 0.3, D_SMALL)
    whole = Rows(subspace, x, lambda _: w, y)
    part = Rows(subspace, x, lambda _: w[known:], y, known=w[:known])
    expected = curvature(whole, 40, Generator().manual_seed(0), kind, progress=False)[known:, known:]
    found = curvature(part, 40, Generator().manual_seed(0), kind, progress=False)
    torch.testing.assert_close(found, expected)
    low_rank = low_rank_curvature(part, 40, Generator().manual_seed(0), D_SMALL, kind, progress=False)
    torch.testing.assert_close(low_rank.diagonal(), expected.diagonal())
    assert calibrated_temperature(part, 4, Generator()) == calibrated_temperature(whole, 4, Generator())


@pytest.mark.parametrize("sharpness", [1 / 30, 1.0, 25.0])
def test_at_the_calibrated_temperature_no_other_gives_the_labels_less_cross_entropy(sharpness: float) -> None:
    subspace, x = _subspace(), _inputs(400)
    w = torch.full((D_SMALL,), 0.1)
    with torch.no_grad():
        subspace.theta0[subspace.layout.slots[-2].start :] *= sharpness  # logits times as much
        subspace.scale[subspace.layout.slots[-2].start :] *= sharpness
        logits = subspace.call_at(subspace.theta(w), x).double()
    y = torch.multinomial((logits / (3 * sharpness)).softmax(1), 1, generator=Generator().manual_seed(3))[:, 0]
    found = calibrated_temperature(Rows(subspace, x, lambda _: w, y), 400, Generator().manual_seed(0))
    best = minimize_scalar(lambda log: float(F.cross_entropy(logits / math.exp(log), y)), (-3, 5), tol=1e-9)
    assert math.log(found) == pytest.approx(best.x, abs=1e-4)
    assert 1.5 * sharpness < found < 6 * sharpness


def test_labels_that_no_temperature_makes_likely_ask_for_the_highest() -> None:
    subspace, x = _subspace(), _inputs(50)
    w = torch.zeros(D_SMALL)
    wrong = subspace.call_at(subspace.theta(w), x).argmin(1)
    assert calibrated_temperature(Rows(subspace, x, lambda _: w, wrong), 50, Generator()) == pytest.approx(64)


@pytest.mark.parametrize("large", [D_SMALL, 1 << 22])
@pytest.mark.parametrize("scaled", [False, True])
def test_gradients_of_examples_are_those_of_a_loop_in_the_order_of_the_batch(
    large: int, scaled: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pacbound.subspace.curvature.LARGE", large)
    subspace, x = _subspace(scaled), _inputs(3)
    y = torch.tensor([2, 0, 1])
    w = torch.linspace(-1, 1, D_SMALL)

    def score(logits: Tensor, y: Tensor) -> Tensor:
        return logits.gather(1, y[:, None]).sum() ** 2

    found = example_gradients(subspace, subspace.theta(w), x, y, score)
    for k in range(3):
        free = w.clone().requires_grad_()
        (expected,) = torch.autograd.grad(score(subspace.call(free, x[k : k + 1]), y[k : k + 1]), free)
        torch.testing.assert_close(found[k], expected, rtol=1e-4, atol=1e-5)


def test_one_gradient_at_a_time_has_those_of_tied_and_of_unused_parameters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pacbound.subspace.curvature.LARGE", 1)
    net = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    net[1].weight = net[0].weight
    net[0].register_module("unused", nn.Linear(2, 2))
    layout = Layout.of(net)
    subspace = Subspace(net, layout, layout.flatten(net), make_projector(ProjectorSpec(kind="dense", D=layout.D, d=4)))
    x, y, w = torch.randn(2, 3, generator=Generator().manual_seed(0)), torch.tensor([0, 2]), torch.full((4,), 0.1)
    found = example_gradients(subspace, subspace.theta(w), x, y, F.cross_entropy)
    for k in range(2):
        free = w.clone().requires_grad_()
        (expected,) = torch.autograd.grad(F.cross_entropy(subspace.call(free, x[k : k + 1]), y[k : k + 1]), free)
        torch.testing.assert_close(found[k], expected, rtol=1e-4, atol=1e-5)


def test_the_same_generator_gives_the_same_matrix() -> None:
    subspace, x = _subspace(), _inputs()
    first, second = (
        fisher(subspace, x, lambda _: torch.zeros(D_SMALL), 50, Generator().manual_seed(3), False) for _ in range(2)
    )
    assert torch.equal(first, second)


def test_a_network_that_overflows_is_refused_and_not_averaged() -> None:
    subspace, x = _subspace(), _inputs()
    with pytest.raises(SubspaceError, match="not finite"):
        fisher(subspace, x, lambda _: torch.full((D_SMALL,), torch.inf), 10, Generator().manual_seed(0), False)


def test_a_dimension_beyond_memory_is_refused_before_anything_is_allocated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pacbound.subspace.curvature.DENSE_DIMENSION", D_SMALL - 1)
    with pytest.raises(SubspaceError, match=r"d up to 5, got d = 6"):
        fisher(_subspace(), _inputs(), lambda _: torch.zeros(D_SMALL), 10, Generator().manual_seed(0), False)


def _jacobians(subspace: Subspace, w: Tensor, x: Tensor) -> Tensor:
    """(n, outputs, d), a backward pass for each output of each example, through the explicit matrix."""
    matrix = subspace.projector.as_matrix() * (1 if subspace.scale is None else subspace.scale[:, None])
    found = torch.zeros(len(x), CLASSES, subspace.d)
    for k, row in enumerate(x):
        for label in range(CLASSES):
            free = w.clone().requires_grad_()
            logits = subspace.call_at(subspace.theta0 + matrix @ free, row[None])
            (found[k, label],) = torch.autograd.grad(logits[0, label], free)
    return found


@pytest.mark.parametrize("d", [2, D_SMALL])
def test_gauss_newton_of_cross_entropy_is_the_exact_fisher_matrix(d: int) -> None:
    subspace, x = _subspace(d=d), _inputs()
    w = torch.full((d,), 0.1)
    rows = Rows(subspace, x, lambda _: w, torch.tensor([0, 2, 1, 1]))
    found = curvature(rows, len(x), Generator().manual_seed(0), "gauss_newton", progress=False)
    torch.testing.assert_close(found, _exact(subspace, w, x), rtol=1e-4, atol=1e-6)


def test_gauss_newton_of_any_loss_is_the_jacobian_around_its_hessian() -> None:
    subspace, x = _subspace(), _inputs()
    y, w = torch.tensor([0, 2, 1, 1]), torch.linspace(-0.2, 0.2, D_SMALL)

    def loss(logits: Tensor, y: Tensor) -> Tensor:
        return ((logits - y[:, None]) ** 2).sum() * 1.5 + logits[0, 0] * logits[0, 1]

    bend = 3 * torch.eye(CLASSES)
    bend[0, 1] = bend[1, 0] = 1
    expected = torch.stack([j.T @ bend @ j for j in _jacobians(subspace, w, x)]).mean(0).double()
    found = curvature(Rows(subspace, x, lambda _: w, y, loss), 4, Generator().manual_seed(0), "gauss_newton", False)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_gauss_newton_without_labels_or_with_infinite_outputs_is_refused() -> None:
    subspace, x = _subspace(), _inputs()
    with pytest.raises(SubspaceError, match="Give y"):
        curvature(Rows(subspace, x, lambda _: torch.zeros(D_SMALL)), 4, Generator(), "gauss_newton", False)
    far = Rows(subspace, x, lambda _: torch.full((D_SMALL,), torch.inf), torch.zeros(4, dtype=torch.int64))
    with pytest.raises(SubspaceError, match="not finite"):
        curvature(far, 4, Generator(), "gauss_newton", False)


def test_the_number_of_examples_is_cut_to_the_time_there_is() -> None:
    rows = Rows(_subspace(), _inputs(), lambda _: torch.zeros(D_SMALL))
    assert examples_within(rows, 1e6, 300, Generator()) == 300
    assert examples_within(rows, 0.0, 300, Generator()) == 4  # one chunk at least
    few, many = (examples_within(rows, seconds, 10**9, Generator()) for seconds in (0.01, 10.0))
    assert 4 <= few < many


PEAK = """
import resource, torch
from pacbound.networks.hypothesis import make_base, make_subspace
from pacbound.models.reference import build
from pacbound.specs import ProjectorSpec
from pacbound.subspace.curvature import fisher
torch.set_num_threads(1)
base = make_base(build("resnet20", (3, 32, 32), 10), 0)
space = make_subspace(base, ProjectorSpec(kind="fastfood", D=base.layout.D, d=1024), True)
x = torch.randn(64, 3, 32, 32)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
fisher(space, x, lambda _: torch.zeros(1024), 64, torch.Generator().manual_seed(0), False)
print(base.layout.D, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.slow
def test_memory_stays_bounded_for_a_residual_network() -> None:
    output = subprocess.run([sys.executable, "-c", PEAK], capture_output=True, text=True, check=True).stdout
    parameters, kilobytes = (int(part) for part in output.split())
    assert parameters > 260_000
    assert kilobytes < 1_500_000
