"""The simulated error is the textbook's where nothing is low-rank, and follows d_M / n where something is."""

import itertools
import math
from collections.abc import Iterator

import numpy as np
import pytest

from pacbound.errors import ModelError
from pacbound.measures.redundancy import simulating
from pacbound.measures.redundancy.simulating import NOISE, Simulation, simulate


@pytest.fixture(scope="module", autouse=True)
def few_starts() -> Iterator[None]:
    """The alternation begins twice, not six times: the best fit of two is good enough for what is asked here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(simulating, "STARTS", 2)
        yield


@pytest.fixture(scope="module", params=["tucker", "cp"])
def found(request: pytest.FixtureRequest) -> Simulation:
    return simulate(request.param, (2, 3), 2, (2, 8), 3, repeats=2 if request.param == "cp" else 4)


def test_a_full_layer_has_the_error_of_least_squares() -> None:
    """Of D numbers and a normal design, the squared error is sigma^2 D / (n - D - 1) on average, D = 4 here."""
    full = simulate("tucker", (2,), 2, (2,), 2, repeats=60)
    for point in full.points:
        expected = NOISE**2 * 4 / (point.n - 4 - 1)
        assert point.error**2 == pytest.approx(expected, rel=5 * math.sqrt(2 / (4 * 60)))


def test_the_error_falls_with_the_sample_at_the_rate_of_the_theory(found: Simulation) -> None:
    for _, group in itertools.groupby(found.points, lambda point: point.outputs):
        points = list(group)
        assert all(b.n == 2 * a.n for a, b in itertools.pairwise(points))
        assert points[-1].error < points[2].error < points[0].error
    assert found.slope == pytest.approx(0.5, abs=0.12)


def test_output_channels_add_parameters_and_no_error(found: Simulation) -> None:
    few, many = found.points[: len(found.points) // 2], found.points[len(found.points) // 2 :]
    assert [(p.dimension, p.n) for p in few] == [(p.dimension, p.n) for p in many]
    assert many[0].naive > few[0].naive
    ratios = [math.log(b.error / a.error) for a, b in zip(few, many, strict=True)]
    assert abs(float(np.mean(ratios))) < 0.35


def test_the_low_rank_is_used() -> None:
    """36 numbers, of which rank 1 leaves 3 + 3 + 4 - 2: least squares without it would err more than twice as much."""
    one = simulate("cp", (3, 3), 1, (2,), 4, repeats=6).points[-1]
    assert one.error < NOISE * math.sqrt(36 / one.n) / 1.5


def test_a_seed_draws_the_same_again() -> None:
    assert simulate("cp", (2, 2), 1, (2,), 2, 2) == simulate("cp", (2, 2), 1, (2,), 2, 2)
    assert simulate("cp", (2, 2), 1, (2,), 2, 2).slope != simulate("cp", (2, 2), 1, (2,), 2, 2, seed=1).slope


@pytest.mark.parametrize(
    "arguments",
    [
        {"form": "tt"}, {"rank": 0}, {"rank": 5}, {"outputs": ()}, {"outputs": (1,)}, {"outputs": (0,)}, {"sizes": ()},
        {"sizes": (0, 3)}, {"repeats": 0}, {"sizes": (1,)}, {"sizes": (64, 64)}, {"seed": -1},
    ],
)  # fmt: skip
def test_what_no_tensor_has_is_refused(arguments: dict[str, object]) -> None:
    with pytest.raises(ModelError, match="simulate: "):
        simulate(**arguments)  # type: ignore[arg-type]
