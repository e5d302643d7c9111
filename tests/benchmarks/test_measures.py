"""Time and memory of the measures: ResNet-32 under a minute, a tangent kernel of 500 points within 30 s and 2 GiB.

Run: python -m pytest -m benchmark tests/benchmarks/test_measures.py
"""

import resource
import time

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
MOST_SECONDS_RESNET, MOST_SECONDS_KERNEL, MOST_BYTES_KERNEL = 60, 30, 2 << 30


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


def test_certified_norms_of_resnet32_take_seconds(capsys: pytest.CaptureFixture[str]) -> None:
    torch.set_num_threads(CPU_THREADS)
    net = resnet32()
    assert sum(p.numel() for p in net.parameters()) == 464_154
    start = time.perf_counter()
    found = layers_of(net, torch.zeros(1, 3, 32, 32))
    norms = [operator_norm(record) for record in found.records]
    seconds = time.perf_counter() - start
    with capsys.disabled():
        print(f"\nlayers and certified norms of ResNet-32: {seconds:.1f} s")
    assert (len(norms), found.refusal) == (32, "")
    assert all(norm.lower > 0.9 * norm.upper for norm in norms)
    assert seconds < MOST_SECONDS_RESNET


def test_rademacher_refuses_folded_batch_normalisation_by_name() -> None:
    x, labels = torch.randn(64, 3, 32, 32), torch.randint(10, (64,))
    with pytest.raises(ModelError, match="without batch normalisation"):
        MEASURES["rademacher"](resnet32(), x[:1], (x, labels))


@pytest.mark.parametrize("name", [name for name in MEASURES if name != "rademacher"])
def test_each_measure_of_resnet32_leaves_room_in_a_minute(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    torch.set_num_threads(CPU_THREADS)
    x, labels = torch.randn(64, 3, 32, 32), torch.randint(10, (64,))
    start = time.perf_counter()
    MEASURES[name](resnet32(), x[:1], (x, labels))
    seconds = time.perf_counter() - start
    with capsys.disabled():
        print(f"\n{name} of ResNet-32: {seconds:.1f} s")
    assert seconds < MOST_SECONDS_RESNET / 3


def test_a_tangent_kernel_of_500_points_is_quick_and_small(capsys: pytest.CaptureFixture[str]) -> None:
    torch.set_num_threads(CPU_THREADS)
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(784, 12), nn.ReLU(), nn.Linear(12, 20), nn.ReLU(), nn.Linear(20, 10))
    x, labels = torch.randn(500, 784), torch.randint(10, (500,))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    found = MEASURES["ntk"](net, x[:1], (x, labels))
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # KiB
    with capsys.disabled():
        print(f"\nkernel of 500 points: {seconds:.1f} s, {(peak - before) / 2**20:.2f} GiB more")
    assert found[0].unit == "on 500 points"
    assert seconds < MOST_SECONDS_KERNEL
    assert (peak - before) * 1024 < MOST_BYTES_KERNEL
