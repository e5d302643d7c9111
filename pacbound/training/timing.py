"""How long a step takes on this machine, for plans and forecasts."""

import itertools
import statistics
import time
from collections.abc import Callable
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

FEW, LONG = 4, 0.25  # examples that are tried first; seconds that a step of more of them may take


def median_seconds(step: Callable[[int], object], times: int) -> float:
    """Return the median of so many timings of a step, which is called with its number."""
    found = []
    for number in range(times):
        started = time.perf_counter()
        step(number)
        found.append(time.perf_counter() - started)
    return sorted(found)[times // 2]


def seconds_between(train: Callable[[Callable[P, T]], None], losses: Callable[P, T]) -> float:
    """Return the median of the seconds between the steps of a training, each of which asks for its losses once."""
    begun: list[float] = []

    def noted(*args: P.args, **kwargs: P.kwargs) -> T:
        begun.append(time.perf_counter())
        return losses(*args, **kwargs)

    train(noted)
    return statistics.median(after - before for before, after in itertools.pairwise(begun))


def seconds_of(step: Callable[[int], object], size: int, times: int, most: int | None = None) -> float:
    """Return the seconds of a step on `size` examples, which it is called with: the median of so many timings.

    Where the largest one that is tried (`within`) has fewer, time goes on growing as it did from half as many.
    """
    count = within(step, size if most is None else min(most, size))
    seconds = median_seconds(lambda _: step(count), times)
    if count == size:
        return seconds
    half, each = max(1, count // 2), seconds / count
    more = (seconds - median_seconds(lambda _: step(half), times)) / (count - half) if half < count else each
    return seconds + min(max(more, 0.0), each) * (size - count)


def within(step: Callable[[int], object], most: int) -> int:
    """Return on how many examples, of `most`, a step is quick: FEW, or twice as many as long as that is within LONG."""
    count = min(FEW, most)
    step(count)  # what is set up once
    while count < most:
        seconds = median_seconds(lambda _: step(count), 1)  # noqa: B023  (called at once)
        if 2 * seconds > LONG:
            break
        count = min(2 * count, most)
    return count
