"""How long a step takes on this machine, for plans and forecasts."""

import time
from collections.abc import Callable


def median_seconds(step: Callable[[int], object], times: int) -> float:
    """Return the median of so many timings of a step, which is called with its number."""
    found = []
    for number in range(times):
        started = time.perf_counter()
        step(number)
        found.append(time.perf_counter() - started)
    return sorted(found)[times // 2]
