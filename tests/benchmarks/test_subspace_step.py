"""Time of one training step in the subspace over a plain one: ResNet-20 on 32 x 32 images, batches of 128.

Run: python -m pytest -m benchmark tests/benchmarks/test_subspace_step.py
"""

from collections.abc import Callable
from statistics import median

import pytest
import torch
from torch.nn.functional import cross_entropy

from pacbound.models.reference import build, initialise
from pacbound.specs.specs import ProjectorSpec
from pacbound.subspace.layout import Layout
from pacbound.subspace.projectors import make_projector
from pacbound.subspace.subspace import Subspace, layer_scale

pytestmark = pytest.mark.benchmark
BATCH, COEFFICIENTS, PAIRS, THREADS = 128, 1024, 12, 2
MOST_OVER_PLAIN = 1.15


def test_a_subspace_step_costs_little_more_than_a_plain_step(
    figure: Callable[..., None], timed: Callable[..., float]
) -> None:
    torch.set_num_threads(THREADS)
    net = build("resnet20", (3, 32, 32), 10)
    initialise(net, 0)
    layout = Layout.of(net)
    projector = make_projector(ProjectorSpec(kind="fastfood", D=layout.D, d=COEFFICIENTS))
    subspace = Subspace(net, layout, layout.flatten(net), projector, layer_scale(layout))
    w = torch.zeros(COEFFICIENTS, requires_grad=True)
    x, y = torch.randn(BATCH, 3, 32, 32), torch.randint(10, (BATCH,))
    coefficients = torch.optim.Adam([w], lr=1e-3)
    parameters = torch.optim.Adam(net.parameters(), lr=1e-3)

    def in_subspace() -> None:
        coefficients.zero_grad()
        cross_entropy(subspace.call(w, x), y).backward()
        coefficients.step()

    def plain() -> None:
        parameters.zero_grad()
        cross_entropy(net(x), y).backward()
        parameters.step()

    in_subspace(), plain()
    pairs = [(timed(in_subspace), timed(plain)) for _ in range(PAIRS)]
    a, b = (median(times) for times in zip(*pairs, strict=True))
    figure(f"a step of ResNet-20 in a subspace, batch {BATCH}", a, b, "a plain step", most=MOST_OVER_PLAIN)
