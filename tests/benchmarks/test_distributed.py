"""What several processes tell each other at a step of training, and the bounds and counts that they come to.

Bytes are those of the loopback interface, headers included, which all processes of one machine share; figures hold
where nothing else talks there. Run: python -m pytest -m benchmark tests/benchmarks/test_distributed.py
"""

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
import torch

import pacbound as pb
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
NETWORKS = {"lenet": (1, 28, 28), "resnet20": (3, 32, 32)}
DIMENSIONS, SIZES, BATCH, STEPS = (256, 1024, 4096), (2, 4), 8, 50
COUNTERS = Path("/proc/net/dev")
SEEDS, PROCESSES = (0, 1, 2), (1, 2, 4)
MOST_POINTS = 0.1  # by which the bound of several processes may be above that of one


class Step(NamedTuple):
    """A step of training: parameters of the network, and the bytes that all processes sent together."""

    D: int
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
    before = loopback()
    for _ in range(STEPS):
        batch_loss(subspace, sample, w, rows, "cross_entropy")
    first(lambda: None)
    return Step(layout.D, (loopback() - before) / STEPS)


def test_a_step_tells_one_vector_like_w_whatever_the_size_of_the_network(
    figure: Callable[..., None], tmp_path: Path
) -> None:
    if not COUNTERS.exists():
        pytest.skip("this system does not count bytes in /proc/net/dev")
    for name in NETWORKS:
        for d in DIMENSIONS:
            for size in SIZES:
                ended = several(size, joined, steps, name, d, folder=tmp_path / f"{name}-{d}-{size}")
                step, sent = ended[0].returned, {"unit": "bytes"}
                assert isinstance(step, Step), ended[0].err
                each, what = step.sent / size, f"sent by each of {size} processes at a step, {name}, d = {d}"
                figure(what, each, 4 * (d + 2), "d + 2 numbers", most=2 + 6 * 1024 / d, **sent)
                figure(what, each, 4 * step.D, f"the {step.D:,} numbers of a gradient", **sent)


def torchrun(size: int, *words: object) -> str:
    """What `pacbound WORDS` prints in so many processes."""
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", str(size), "-m", "--", "pacbound_cli"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [*command, *map(str, words)], env=environment, check=True, stdout=subprocess.PIPE, text=True
    ).stdout


def test_several_processes_come_to_the_bound_of_one_and_count_the_same(
    figure: Callable[..., None], tmp_path: Path
) -> None:
    means, counts = {}, {}
    for size in PROCESSES:
        bounds = []
        for seed in SEEDS:
            path = tmp_path / f"{size}-{seed}.json"
            torchrun(size, "certify", "--data", "mnist", "--seed", seed, "--output", path)
            bounds.append(100 * pb.Certificate.load(path).stated_bound.value)
        means[size] = statistics.mean(bounds)
        said = torchrun(size, "verify", tmp_path / "1-0.json", "--data", "mnist", "--json")
        counts[size] = json.loads(said)["recount"]["errors"]
    for size in PROCESSES[1:]:
        what = f"bound of MNIST by {size} processes, mean of {len(SEEDS)} seeds"
        figure(what, means[size], means[1], "one process", unit="%", most=1 + MOST_POINTS / means[1])
        figure(f"errors counted by {size} processes", counts[size], counts[1], "one process", unit="errors", most=1)
        assert counts[size] == counts[1]
