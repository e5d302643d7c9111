"""What several processes tell each other at a step of training: one vector like w, whatever the network's size.

Bytes are those of the loopback interface, headers included, which all processes of one machine share; figures hold
where nothing else talks there. Run: python -m pytest -m benchmark -s tests/benchmarks/test_distributed.py
"""

import time
from pathlib import Path
from typing import NamedTuple

import pytest
import torch

from pacbound.distributed import first
from pacbound.models.reference import build, initialise
from pacbound.specs.specs import ProjectorSpec
from pacbound.subspace.layout import Layout
from pacbound.subspace.projectors import make_projector
from pacbound.subspace.subspace import Subspace, layer_scale
from pacbound.training.fit import Sample
from pacbound.training.joint import batch_loss
from tests.several import joined, several

pytestmark = pytest.mark.benchmark
NETWORKS = {"lenet1": (1, 28, 28), "resnet20": (3, 32, 32)}
DIMENSIONS, SIZES, BATCH, STEPS = (256, 1024, 4096), (1, 2, 4), 250, 10
COUNTERS = Path("/proc/net/dev")


class Step(NamedTuple):
    """A step of training: parameters, milliseconds, and the bytes that all processes sent together."""

    D: int
    milliseconds: float
    sent: float


def loopback() -> int:
    """Bytes sent so far on the loopback interface."""
    line = next(line for line in COUNTERS.read_text("ascii").splitlines() if line.strip().startswith("lo:"))
    return int(line.split(":")[1].split()[8])


def steps(name: str, d: int) -> Step:
    """Some steps of a network in a subspace, on noise."""
    shape = NETWORKS[name]
    net = build(name, shape, 10)
    initialise(net, 0)
    layout = Layout.of(net)
    projector = make_projector(ProjectorSpec(kind="fastfood", D=layout.D, d=d))
    subspace = Subspace(net, layout, layout.flatten(net), projector, layer_scale(layout))
    sample = Sample(torch.randn(BATCH, *shape), torch.randint(10, (BATCH,)))
    w, rows = torch.zeros(d, requires_grad=True), torch.arange(BATCH)
    batch_loss(subspace, sample, w, rows, "cross_entropy")
    first(lambda: None)  # all of them are there
    began, before = time.perf_counter(), loopback()
    for _ in range(STEPS):
        batch_loss(subspace, sample, w, rows, "cross_entropy")
    first(lambda: None)
    return Step(layout.D, (time.perf_counter() - began) / STEPS * 1e3, (loopback() - before) / STEPS)


def test_a_step_tells_one_vector_like_w_whatever_the_size_of_the_network(tmp_path: Path) -> None:
    if not COUNTERS.exists():
        pytest.skip("this system does not count bytes in /proc/net/dev")
    print(f"\nbatches of {BATCH}; bytes of one process at a step: of d + 2 numbers, and sent, headers included")
    print(f"{'network':10}{'D':>10}{'d':>6}{'processes':>11}{'4 (d + 2)':>11}{'sent':>9}{'4 D':>12}{'ms':>8}")
    found = {}
    for name in NETWORKS:
        for d in DIMENSIONS:
            for size in SIZES:
                folder = tmp_path / f"{name}-{d}-{size}"
                (step, *_) = (one.returned for one in several(size, joined, steps, name, d, folder=folder))
                assert isinstance(step, Step)
                sent, vector = step.sent / size, 4 * (d + 2)
                found[name, d, size] = sent
                print(
                    f"{name:10}{step.D:10,}{d:6}{size:11}{vector:11,}{sent:9,.0f}{4 * step.D:12,}"
                    f"{step.milliseconds:8.1f}"
                )
                assert size == 1 or vector / 2 < sent < 4 * vector + 4096
    for d in DIMENSIONS:
        assert found["resnet20", d, 2] == pytest.approx(found["lenet1", d, 2], rel=0.2)
