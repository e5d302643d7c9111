"""CPU seconds of survivors and refinement on MNIST and CIFAR-10, over counting eight survivors wholly.

Features are captured beforehand, as the command does it.

Run: python -m pytest -m benchmark tests/benchmarks/test_refinement.py
"""

import time
from collections.abc import Callable
from typing import TypeVar

import pytest

import pacbound as pb
from pacbound.pipeline.capturing import with_captured
from pacbound.pipeline.preparation import prepare, sample_of
from pacbound.training.progressive import Task, _Run
from pacbound.training.refine import best_point, evaluate_point, refine
from pacbound.training.rounding import prices_of, rounded, with_profile
from pacbound.training.settings import posterior_settings
from pacbound.training.state import Checkpoint

T = TypeVar("T")
pytestmark = pytest.mark.benchmark
STEPS, OVERHEAD_BITS = 1500, 72
DIMENSIONS = {"mnist": 1024, "cifar10": 2048}
MOST_OF_SURVIVORS, MOST_OF_REFINEMENT = 0.45, 2.0


def _timed(act: Callable[[], T]) -> tuple[T, float]:
    start = time.process_time()
    made = act()
    return made, time.process_time() - start


@pytest.mark.parametrize("data", DIMENSIONS)
def test_survivors_and_refinement_cost_few_passes_and_lower_the_bound(data: str, figure: Callable[..., None]) -> None:
    request = pb.Request(data=data, d=DIMENSIONS[data], projector="fastfood")
    setup = with_captured(prepare("auto", data, None, request, request.loss), None, progress=False)
    subspace, sample = setup.subspace(), sample_of(setup)
    settings = posterior_settings(250, STEPS).model_copy(update={"blocks": 1, "fisher_examples": 1000})
    run = _Run(Task(subspace, sample, settings, 0, Checkpoint(None, ""), progress=False))
    now = with_profile(run.trained(), settings)
    assert now.profile is not None
    survivors = list(rounded(now, now.d, settings).integers[: settings.survivors])
    prices = prices_of(now.profile, now.d)

    def wholly() -> float:
        return min(evaluate_point(subspace, sample, one, prices, OVERHEAD_BITS).bound for one in survivors)

    best, before = _timed(wholly)
    first, survived = _timed(lambda: best_point(subspace, sample, survivors, prices, OVERHEAD_BITS))
    refined, seconds = _timed(lambda: refine(subspace, sample, first, prices, settings, progress=False))
    assert first.bound <= best + 0.001
    assert refined.bound <= first.bound
    over = "eight counted wholly"
    figure(f"eight survivors, {data}", survived, before, over, unit="CPU s", most=MOST_OF_SURVIVORS)
    figure(f"refinement, {data}", seconds, before, over, unit="CPU s", most=MOST_OF_REFINEMENT)
