"""How many threads torch computes with: as many as make a step fastest, measured and not assumed.

A small network is slower on two threads than on one, and far slower where cores are busy or fewer than are visible.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch

from .state import Checkpoint

TIMES = 3


@contextmanager
def measured_threads(step: Callable[[], object], checkpoint: Checkpoint) -> Iterator[None]:
    """Compute with one thread or with torch's own number, whichever makes `step` faster; restore the number after.

    The choice is noted in the state of a run, which goes on with it: another number sums up in another order.
    """
    before = torch.get_num_threads()

    def choose() -> list[int]:
        found = {count: _seconds(step, count) for count in {1, before}}
        return [min(found, key=lambda count: (found[count], count))]

    try:
        torch.set_num_threads(1 if before == 1 else checkpoint.note("threads", choose)[0])
        yield
    finally:
        torch.set_num_threads(before)


def _seconds(step: Callable[[], object], count: int) -> float:
    """The shortest of some times of a step on `count` threads."""
    torch.set_num_threads(count)
    step()
    times = []
    for _ in range(TIMES):
        started = time.perf_counter()
        step()
        times.append(time.perf_counter() - started)
    return min(times)
