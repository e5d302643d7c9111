"""Time of the measures over training steps of the same network, and memory of a tangent kernel over its entries.

Run: python -m pytest -m benchmark tests/benchmarks/test_measures.py
"""

import resource
from collections.abc import Callable

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from pacbound.errors import ModelError
from pacbound.measures import MEASURES
from pacbound.measures.layers.layers import layers_of
from pacbound.measures.layers.operator_norms import operator_norm

pytestmark = pytest.mark.benchmark
CPU_THREADS = 2
MOST_STEPS, MOST_KERNEL_STEPS, MOST_KERNEL_SIZES = 200, 20_000, 200
IMAGES = 64
Figure = Callable[..., None]
Timed = Callable[..., float]


class Block(nn.Module):
    """Two 3x3 layers with batch normalisation and an option-A shortcut (He et al. 2015)."""

    def __init__(self, before: int, width: int) -> None:
        super().__init__()
        self.stride, self.extra = (1, 0) if before == width else (2, width - before)
        self.conv1 = nn.Conv2d(before, width, 3, self.stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        shortcut = F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, self.extra // 2, self.extra // 2))
        return F.relu(y + shortcut)


def resnet32() -> nn.Sequential:
    """464,154 parameters for (3, 32, 32) and 10 classes."""
    torch.manual_seed(0)
    layers: list[nn.Module] = [nn.Conv2d(3, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU()]
    before = 16
    for width in (16, 32, 64):
        for _ in range(5):
            layers.append(Block(before, width))
            before = width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10)).eval()


def stepping(net: nn.Module, x: torch.Tensor, labels: torch.Tensor) -> Callable[[], object]:
    """A training step: forward, loss and backward."""
    return lambda: F.cross_entropy(net(x), labels).backward()


def test_certified_norms_of_resnet32_take_some_training_steps(figure: Figure, timed: Timed) -> None:
    torch.set_num_threads(CPU_THREADS)
    net = resnet32()
    assert sum(p.numel() for p in net.parameters()) == 464_154
    norms = []

    def certified() -> None:
        found = layers_of(net, torch.zeros(1, 3, 32, 32))
        norms.extend(operator_norm(record) for record in found.records)
        assert found.refusal == ""

    seconds = timed(certified)
    assert len(norms) == 32
    assert all(norm.lower > 0.9 * norm.upper for norm in norms)
    step = timed(stepping(net, torch.randn(IMAGES, 3, 32, 32), torch.randint(10, (IMAGES,))), 3)
    figure("layers and certified norms of ResNet-32", seconds, step, f"a step on {IMAGES} images", most=MOST_STEPS)


def test_rademacher_refuses_folded_batch_normalisation_by_name() -> None:
    x, labels = torch.randn(64, 3, 32, 32), torch.randint(10, (64,))
    with pytest.raises(ModelError, match="without batch normalisation"):
        MEASURES["rademacher"](resnet32(), x[:1], (x, labels))


@pytest.mark.parametrize("name", [name for name in MEASURES if name != "rademacher"])
def test_each_measure_of_resnet32_takes_some_training_steps(name: str, figure: Figure, timed: Timed) -> None:
    torch.set_num_threads(CPU_THREADS)
    x, labels = torch.randn(IMAGES, 3, 32, 32), torch.randint(10, (IMAGES,))
    seconds = timed(lambda: MEASURES[name](resnet32(), x[:1], (x, labels)))
    step = timed(stepping(resnet32(), x, labels), 3)
    figure(f"{name} of ResNet-32", seconds, step, f"a step on {IMAGES} images", most=MOST_STEPS)


def test_a_tangent_kernel_of_500_points_is_quick_and_small(figure: Figure, timed: Timed) -> None:
    torch.set_num_threads(CPU_THREADS)
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(784, 12), nn.ReLU(), nn.Linear(12, 20), nn.ReLU(), nn.Linear(20, 10))
    x, labels = torch.randn(500, 784), torch.randint(10, (500,))
    step = timed(stepping(net, x, labels), 3)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found = []
    seconds = timed(lambda: found.extend(MEASURES["ntk"](net, x[:1], (x, labels))))
    more = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 2**20  # of KiB
    assert found[0].unit == "on 500 points"
    figure("a tangent kernel of 500 points", seconds, step, "a step on them", most=MOST_KERNEL_STEPS)
    kernel = 8 * (500 * 10) ** 2 / 2**30
    figure("its memory", more, kernel, "the kernel of all outputs in float64", unit="GiB", most=MOST_KERNEL_SIZES)
