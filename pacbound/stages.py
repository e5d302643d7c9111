"""How many seconds the stages of a run take, with those of its processes that were interrupted.

A stage within another one is told apart from it, so that all of them add up to the time of the run. Whoever runs a part
of the work names it (`clocked`), wherever that is; what counts is the run around it (`counted`), if there is one.
"""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar

clock = time.monotonic


class Stages:
    """Seconds of each stage of one run, in the order in which they first began."""

    def __init__(self) -> None:
        """Begin, outside every stage."""
        self._before: dict[str, float] = {}  # in interrupted processes
        self._own: dict[str, float] = {}
        self._open: list[str] = []
        self._since = clock()

    def seconds(self) -> dict[str, float]:
        """Return the seconds of each stage so far."""
        self._turn()
        names = [*self._before, *(name for name in self._own if name not in self._before)]
        return {name: self._before.get(name, 0.0) + self._own.get(name, 0.0) for name in names}

    def resume(self, kept: Mapping[str, float]) -> None:
        """Go on from what a state of the interrupted run kept; of several of its files each knows a part at least."""
        for name, seconds in kept.items():
            self._before[name] = max(seconds, self._before.get(name, 0.0))

    def begin(self, name: str) -> None:
        """Begin a stage, within the one that is open."""
        self._turn()
        self._open.append(name)

    def end(self) -> None:
        """End the stage that began last."""
        self._turn()
        self._open.pop()

    def _turn(self) -> None:
        """Count what has passed for the stage that is open."""
        now = clock()
        if self._open:
            self._own[self._open[-1]] = self._own.get(self._open[-1], 0.0) + now - self._since
        self._since = now


_run: ContextVar[Stages | None] = ContextVar("run", default=None)


@contextmanager
def counted() -> Iterator[Stages]:
    """Count the seconds of stages within; a run within another counts for itself."""
    run = Stages()
    token = _run.set(run)
    try:
        yield run
    finally:
        _run.reset(token)


@contextmanager
def clocked(name: str) -> Iterator[None]:
    """Be a stage of the run around it, where there is one."""
    run = _run.get()
    if run is None:
        yield
        return
    run.begin(name)
    try:
        yield
    finally:
        run.end()


def so_far() -> dict[str, float]:
    """Return the seconds of each stage of the run around it, for a state that is saved; none where there is none."""
    run = _run.get()
    return {} if run is None else run.seconds()


def go_on(kept: Mapping[str, float]) -> None:
    """Tell the run around it, where there is one, what a state has kept of the interrupted one."""
    run = _run.get()
    if run is not None:
        run.resume(kept)
