"""How a step in the subspace grows with D and with d: its time over a pass of memory, its peak memory over theta.

Each size is measured in a process of its own, by this file as a program.
Run: python -m pytest -m benchmark tests/benchmarks/test_growth.py
"""

import json
import resource
import subprocess
import sys
from collections.abc import Callable

import pytest

pytestmark = pytest.mark.benchmark
SIZES = (
    *((D, 256) for D in (10_000, 100_000, 1_000_000, 10_000_000, 120_000_000)),
    *((1_000_000, d) for d in (1_024, 4_096, 16_384, 65_536)),
)
LARGE = 10_000_000
MOST_COPIES = 12  # of theta in float32, where D is large
LAYERS, EXAMPLES = 30, 8


@pytest.mark.parametrize(("D", "d"), SIZES)
def test_growth(D: int, d: int, figure: Callable[..., None]) -> None:
    command = [sys.executable, __file__, str(D), str(d)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    reached, seconds, one_pass, memory = json.loads(done.stdout)
    what = f"a step at D = {reached:,}, d = {d:,}"
    figure(what, seconds, one_pass, "a pass over D")
    theta = 4 * reached / 2**30
    figure(f"memory of {what}", memory, theta, "theta", unit="GiB", most=MOST_COPIES if D >= LARGE else None)


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # KiB to GiB


def measure(D: int, d: int) -> tuple[int, float, float, float]:
    """D as it came out, seconds of a step and of a pass over D, and GiB that subspace and step hold at most."""
    import torch
    from torch.nn.functional import cross_entropy

    from pacbound.specs.specs import ProjectorSpec
    from pacbound.subspace.layout import Layout
    from pacbound.subspace.projectors import make_projector
    from pacbound.subspace.subspace import Subspace, layer_scale
    from pacbound.training.timing import median_seconds

    torch.set_num_threads(1)
    before = _peak()
    side = max(8, round((D / LAYERS) ** 0.5))
    net = torch.nn.Sequential(*[torch.nn.Linear(side, side, bias=False) for _ in range(LAYERS)])
    layout = Layout.of(net)
    projector = make_projector(ProjectorSpec(kind="fastfood", D=layout.D, d=d), layout)
    subspace = Subspace(net, layout, layout.flatten(net), projector, layer_scale(layout))
    w = torch.zeros(d, requires_grad=True)
    x, y = torch.randn(EXAMPLES, side), torch.randint(side, (EXAMPLES,))
    times = 3 if D >= LARGE else 9
    step = median_seconds(lambda _: torch.autograd.grad(cross_entropy(subspace.call(w, x), y), w), times)
    memory = _peak() - before
    source, target = torch.randn(layout.D), torch.empty(layout.D)
    return layout.D, step, median_seconds(lambda _: target.copy_(source), 3 * times), memory


if __name__ == "__main__":
    print(json.dumps(measure(int(sys.argv[1]), int(sys.argv[2]))))
