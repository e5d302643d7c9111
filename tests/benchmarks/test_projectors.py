"""Time of each projector, forward and backward, in passes: one pass reads and writes D floats.

Run: python -m pytest -m benchmark tests/benchmarks/test_projectors.py
"""

import time
from collections.abc import Callable

import pytest
import torch

from pacbound.specs.specs import PROJECTOR_KINDS, ProjectorKind, ProjectorSpec
from pacbound.subspace.layout import Layout, Slot
from pacbound.subspace.projectors import make_projector

pytestmark = pytest.mark.benchmark
# D, d, kinds, and the most passes of some of them
KINDS = tuple(kind for kind in PROJECTOR_KINDS if kind != "ekfac")  # which is made of a network
CASES = (
    (44_426, 1_024, KINDS, {"fastfood": 300}),
    (11_173_962, 3_500, KINDS, {"fastfood": 300, "tiled": 18}),
    (124_000_000, 25_000, ("fastfood", "tiled"), {"tiled": 30}),
)
MOST_BYTES = 8 << 30  # dense entries beyond these are drawn again in every product
FILM_SHARE = 0.0013  # of the parameters: normalisation and classifier of ResNet-18


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


def _step(spec: ProjectorSpec) -> Callable[[], object]:
    projector, w = make_projector(spec, _layout(spec.D)), torch.randn(spec.d, requires_grad=True)
    upstream = torch.randn(spec.D)
    return lambda: torch.autograd.grad(projector.project(w), w, upstream)


@pytest.mark.parametrize(("D", "d", "kinds", "most"), CASES, ids=lambda value: str(value)[:9])
def test_forward_and_backward_in_passes_over_memory(
    D: int,
    d: int,
    kinds: tuple[ProjectorKind, ...],
    most: dict[ProjectorKind, int],
    timed: Callable[..., float],
    figure: Callable[..., None],
) -> None:
    torch.set_num_threads(1)
    source, target = torch.randn(D), torch.empty(D)
    for kind in kinds:
        spec = _spec(kind, D, d)
        if _bytes(spec) > MOST_BYTES:
            continue
        one_pass = timed(lambda: target.copy_(source), 31, time.process_time)
        made: list[Callable[[], object]] = []
        build = timed(lambda: made.append(_step(spec)), 1, time.process_time)  # noqa: B023
        made[0]()
        seconds = timed(made[0], 31 if D < 1 << 20 else 5, time.process_time)
        where = f"{kind} at D = {D:,}, d = {d:,}"
        figure(f"making {where}", build, one_pass, "a pass over D")
        figure(f"{where}, forward and backward", seconds, one_pass, "a pass over D", most=most.get(kind))
