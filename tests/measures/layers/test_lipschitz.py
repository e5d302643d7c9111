"""Lipschitz constants of fixed operations against Jacobians at many points, and attained where it is claimed."""

import math

import pytest
import torch
from torch import nn

from pacbound.measures.layers.layers import layers_of
from pacbound.measures.layers.lipschitz import MODULES, of_module


def steepest(module: nn.Module, shape: tuple[int, ...], points: int = 12, spread: float = 3.0) -> float:
    """Largest norm of the Jacobian over random points."""
    generator = torch.Generator().manual_seed(0)
    best = 0.0
    for _ in range(points):
        x = spread * torch.randn(1, *shape, generator=generator, dtype=torch.float64)
        jacobian = torch.autograd.functional.jacobian(module, x, vectorize=True)
        best = max(best, float(torch.linalg.matrix_norm(jacobian.reshape(-1, x.numel()), 2)))
    return best


def scalar_slope(module: nn.Module) -> float:
    """Largest slope of an elementwise function on a fine grid."""
    x = torch.linspace(-8, 8, 160_001, dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(module(x).sum(), x)
    return float(slope.abs().max())


ELEMENTWISE = [
    nn.ReLU(), nn.ReLU6(), nn.LeakyReLU(0.2), nn.LeakyReLU(1.7), nn.ELU(), nn.ELU(1.5), nn.CELU(0.5), nn.GELU(),
    nn.GELU(approximate="tanh"), nn.SiLU(), nn.SELU(), nn.Tanh(), nn.Sigmoid(), nn.Hardsigmoid(), nn.Hardswish(),
    nn.Softplus(), nn.Softsign(), nn.Tanhshrink(), nn.Hardtanh(0.5, 2), nn.CELU(1.5), nn.Mish(),
]  # fmt: skip


@pytest.mark.parametrize("module", ELEMENTWISE, ids=str)
def test_activations_are_never_steeper_and_nearly_as_steep_as_claimed(module):
    fixed = of_module(module, (1, 4))
    found = scalar_slope(module)
    assert found <= fixed.lipschitz + 1e-9
    assert found >= 0.998 * fixed.lipschitz
    if fixed.keeps_zero:
        assert float(module(torch.zeros(1))) == 0


POOLS = [
    (nn.MaxPool2d(3, 2, 1), (1, 7, 7)), (nn.MaxPool2d(2), (2, 6, 6)), (nn.MaxPool2d(3, 1), (1, 5, 5)),
    (nn.MaxPool2d((3, 2), (1, 2)), (1, 6, 4)), (nn.MaxPool2d(2, 2, dilation=2), (1, 7, 7)),
    (nn.MaxPool1d(3, 2), (1, 9)),
    (nn.AvgPool2d(2), (2, 6, 6)), (nn.AvgPool2d(3, 2, 1), (1, 7, 7)), (nn.AvgPool1d(3, 1), (1, 8)),
    (nn.AvgPool2d(3, 2, 1, count_include_pad=False), (1, 7, 7)), (nn.AvgPool2d(3, 2, ceil_mode=True), (1, 6, 6)),
    (nn.AdaptiveAvgPool2d(1), (1, 5, 3)), (nn.AdaptiveAvgPool2d((2, None)), (1, 5, 3)),
    (nn.AdaptiveAvgPool2d((3, 2)), (1, 7, 4)), (nn.AdaptiveMaxPool2d((3, 2)), (1, 7, 4)), (nn.Softmax(dim=1), (5,)),
    (nn.PixelShuffle(2), (4, 2, 2)), (nn.ZeroPad2d(1), (1, 2, 2)), (nn.ChannelShuffle(2), (4, 2, 2)),
]  # fmt: skip


@pytest.mark.parametrize(("module", "shape"), POOLS, ids=str)
def test_pools_and_moves_have_no_steeper_jacobian(module, shape):
    assert steepest(module, shape) <= of_module(module, (1, *shape)).lipschitz * (1 + 1e-9)


def row_sums(function, shape: tuple[int, ...], points: int = 4) -> float:
    """Largest Lipschitz constant in the maximum norm seen at random points: the largest l1 norm of a Jacobian's row."""
    generator = torch.Generator().manual_seed(1)
    best = 0.0
    for _ in range(points):
        x = 3 * torch.randn(1, *shape, generator=generator, dtype=torch.float64)
        jacobian = torch.autograd.functional.jacobian(function, x, vectorize=True).reshape(-1, x.numel())
        best = max(best, float(jacobian.abs().sum(dim=1).max()))
    return best


@pytest.mark.parametrize(("module", "shape"), POOLS, ids=str)
def test_pools_and_moves_have_their_constant_in_the_maximum_norm(module, shape):
    maximum = of_module(module, (1, *shape)).maximum
    assert row_sums(module, shape) <= maximum * (1 + 1e-9)
    assert maximum == 1


def test_a_mean_that_is_scaled_up_is_not_taken_for_the_identity():
    """2 * mean over 4 has Euclidean constant 1 and maximum-norm constant 2."""
    net = nn.Sequential(
        nn.Conv2d(1, 2, 3, padding=1), nn.AvgPool2d(2), nn.LeakyReLU(2.0), nn.Flatten(), nn.Linear(8, 2)
    )
    first, _ = layers_of(net, torch.zeros(1, 1, 4, 4)).blocks
    assert (first.main.after[0], first.maximum) == (1, 2)


def test_overlapping_max_pool_attains_its_constant():
    x = torch.zeros(1, 1, 5, 5, dtype=torch.float64)
    y = x.clone()
    y[..., 2, 2] = 1  # with stride 2 the entry stands in 4 windows
    pool = nn.MaxPool2d(3, 2)
    assert float((pool(y) - pool(x)).norm() / (y - x).norm()) == 2 == of_module(pool, (1, 1, 5, 5)).lipschitz


@pytest.mark.parametrize(("module", "shape", "value"), [(nn.AvgPool2d(2), (1, 1, 4, 4), 0.5),
                                                        (nn.AdaptiveAvgPool2d(1), (1, 1, 4, 9), 1 / 6)])  # fmt: skip
def test_averages_attain_their_constants(module, shape, value):
    assert of_module(module, shape).lipschitz == pytest.approx(value)
    assert steepest(module, shape[1:], points=1) == pytest.approx(value)


class Call(nn.Module):
    def __init__(self, function) -> None:
        super().__init__()
        self.first, self.function = nn.Conv2d(2, 2, 1), function

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.function(self.first(x))


F = nn.functional
CALLS = [
    lambda x: F.max_pool2d(x, 3, stride=2, padding=1), lambda x: torch.max_pool2d(x, 2),
    lambda x: F.avg_pool2d(x, 3, 1), lambda x: F.avg_pool2d(x, 2, count_include_pad=False),
    lambda x: F.adaptive_avg_pool2d(x, (3, 2)), lambda x: x.mean((2, 3)), lambda x: torch.mean(x, dim=3),
    lambda x: x.mean(dim=-1, keepdim=True), lambda x: F.leaky_relu(x, 1.5), lambda x: F.elu(x, alpha=2.0),
    lambda x: 3 * x, lambda x: torch.mul(x, other=-2), lambda x: x / 5, lambda x: x - 1, lambda x: 1 - x,
    lambda x: F.gelu(x, approximate="tanh"), lambda x: x.flatten(1), lambda x: x[:, 1:, ::2], lambda x: -x,
    lambda x: F.pad(x, (1, 1)), lambda x: F.pad(x, (1, 1), value=2.0), lambda x: x.permute(0, 2, 3, 1).tanh(),
    lambda x: x + x, lambda x: F.silu(x), lambda x: torch.sigmoid(x), lambda x: x.transpose(1, 2).abs(),
]  # fmt: skip


@pytest.mark.parametrize("index", range(len(CALLS)))
def test_called_functions_have_no_steeper_jacobian(index):
    found = layers_of(Call(CALLS[index]), torch.zeros(1, 2, 6, 6))
    assert found.refusal == ""
    (block,) = found.blocks
    sums = row_sums(CALLS[index], (2, 6, 6))
    assert sums <= block.maximum * (1 + 1e-9) < 2.5 * sums
    true = steepest(CALLS[index], (2, 6, 6), points=4)
    constant = block.main.after[0] * block.after
    assert true <= constant * (1 + 1e-9)
    assert constant <= 2.5 * true  # no constant is idle


UNKNOWN = [
    lambda x: 1 / x, lambda x: x * x, lambda x: F.dropout(x), lambda x: x.mean(), lambda x: x.mean(0),
    lambda x: F.pad(x, (1, 1, 1, 1), mode="reflect"), lambda x: torch.log_softmax(x, dim=1), lambda x: x**2,
    lambda x: x[:, torch.tensor([0, 0])], lambda x: F.avg_pool2d(x, 2, divisor_override=1), lambda x: torch.exp(x),
    lambda x: F.adaptive_avg_pool2d(x, 9), lambda x: x * math.inf,
]  # fmt: skip


@pytest.mark.parametrize("index", range(len(UNKNOWN)))
def test_operations_without_a_known_constant_are_refused(index):
    found = layers_of(Call(UNKNOWN[index]), torch.ones(2, 2, 6, 6))
    assert found.refusal
    assert [r.name for r in found.records] == ["first"]


def test_every_listed_module_was_tried():
    tried = {type(m) for m in ELEMENTWISE} | {type(m) for m, _ in POOLS}
    trivial = {nn.Identity, nn.Flatten, nn.Unflatten, nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d}
    assert set(MODULES) - tried - trivial == {nn.PixelUnshuffle}
