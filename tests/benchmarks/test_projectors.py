"""Time of each projector, forward and backward, in passes: one pass reads and writes D floats.

Run: python -m pytest -m benchmark tests/benchmarks/test_projectors.py
"""

import time
from collections.abc import Callable
from statistics import median

import pytest
import torch

from pacbound.specs.specs import PROJECTOR_KINDS, ProjectorKind, ProjectorSpec
from pacbound.subspace.layout import Layout, Slot
from pacbound.subspace.projectors import make_projector

pytestmark = pytest.mark.benchmark
SIZES = ((44_426, 1_024), (11_173_962, 3_500))
MOST_PASSES = 300  # for the default kind, the first of PROJECTOR_KINDS
MOST_BYTES = 8 << 30
FILM_SHARE = 0.0013  # of the parameters: normalisation and classifier of ResNet-18
THREADS = 2


def _spec(kind: ProjectorKind, D: int, d: int) -> ProjectorSpec:
    if kind == "identity":
        d = D
    parts = {
        "sum": (ProjectorSpec(kind="kron_qr", D=D, d=d), ProjectorSpec(kind="film", D=D, d=d)),
        "permuted": (ProjectorSpec(kind="fastfood", D=D, d=d),),
    }
    return ProjectorSpec(kind=kind, D=D, d=d, parts=parts.get(kind, ()))


def _layout(D: int) -> Layout:
    """One slot that film selects and one that it does not."""
    edge = int(D * FILM_SHARE)
    slots = (Slot("fc", (edge,), torch.float32, 0, edge), Slot("conv", (D - edge,), torch.float32, edge, D))
    return Layout(slots, (), (), "")


def _bytes(spec: ProjectorSpec) -> int:
    """Working memory of the kinds whose size grows with D d."""
    rows = {"dense": spec.D, "film": int(spec.D * FILM_SHARE)}.get(spec.kind, 0)
    return 4 * rows * spec.d


def _seconds(act: Callable[[], object], repeats: int) -> float:
    act()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        act()
        times.append(time.perf_counter() - start)
    return median(times)


def _step(spec: ProjectorSpec) -> Callable[[], object]:
    projector, w = make_projector(spec, _layout(spec.D)), torch.randn(spec.d, requires_grad=True)
    upstream = torch.randn(spec.D)
    return lambda: torch.autograd.grad(projector.project(w), w, upstream)


@pytest.mark.parametrize(("D", "d"), SIZES)
def test_forward_and_backward_in_passes_over_memory(D: int, d: int, capsys: pytest.CaptureFixture[str]) -> None:
    torch.set_num_threads(THREADS)
    source, target = torch.randn(D), torch.empty(D)
    one_pass = _seconds(lambda: target.copy_(source), 101)
    passes, lines = {}, [f"\nD = {D:,}, d = {d:,}: one pass {one_pass * 1e3:.3f} ms, {THREADS} threads"]
    for kind in PROJECTOR_KINDS:
        spec = _spec(kind, D, d)
        if _bytes(spec) > MOST_BYTES:
            lines.append(f"  {kind:9} skipped: {_bytes(spec) / 2**30:.0f} GiB of entries, drawn again in every product")
            continue
        start = time.perf_counter()
        step = _step(spec)
        build = time.perf_counter() - start
        seconds = _seconds(step, 31 if D < 1 << 20 else 7)
        passes[kind] = seconds / one_pass
        lines.append(f"  {kind:9} {passes[kind]:8.1f} passes  {seconds * 1e3:9.2f} ms   built in {build:6.2f} s")
    with capsys.disabled():
        print("\n".join(lines))
    assert passes[PROJECTOR_KINDS[0]] <= MOST_PASSES
