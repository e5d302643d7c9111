"""How many threads torch computes with: one, until a step was measured to be clearly faster on more.

A small network is slower on two threads than on one, and far slower where cores are busy or fewer than are visible:
each operation waits for its last thread. So work begins on one thread, a step is timed on more, never more than the
machine and the user leave, and is timed again where units of work take much longer than before, and now and then while
more threads than are used might help. What is timed has no effect, so that results depend on the numbers alone.
"""

import functools
import math
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from threadpoolctl import ThreadpoolController

NOTE = "threads"
WORTH = 0.8  # of the time on fewer threads at most; below it more of them are taken
SLOWER = 2.0  # times the least time of a unit of work: the machine is no longer what it was
SHORT = 0.0005  # seconds: what there is to divide in a step is less than what dividing costs
TIMES, WINDOW, LONG = 3, 0.03, 1.0  # a step is timed so often and for so many seconds; once where it is longer
ROUND, LEAST, MOST = 10, 0.1, 1.0  # units of work that are timed together, in seconds from LEAST to MOST or one unit
PAUSE = 60.0  # seconds before more threads are tried again
SHARE, SHARE_WHERE_SLOW = 0.02, 0.1  # of the time, at most, that goes into timing

clock = time.perf_counter


class Notes(Protocol):
    """Where a run notes what it goes on with when it was interrupted."""

    def note(self, name: str, make: Callable[[], list[int]]) -> list[int]:
        """Return what is noted under a name, making it the first time."""
        ...

    def renew(self, name: str, values: list[int]) -> None:
        """Note other values under a name."""
        ...


def most_threads() -> int:
    """Return torch's number of threads, where the cores and the quota of this process hold them.

    torch's number is what OMP_NUM_THREADS or set_num_threads say, and otherwise that of the cores.
    """
    import torch

    return max(1, min(torch.get_num_threads(), cores(), math.floor(min(quota(), 1 << 20))))


def cores() -> int:
    """Return how many cores this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def quota(root: Path = Path("/")) -> float:
    """Return how many cores' time the control groups of this process leave it, the least of any level; else inf."""
    return min([math.inf, *map(_quota_of, control_groups("cpu", root))])


@functools.cache
def control_groups(controller: str, root: Path = Path("/")) -> tuple[Path, ...]:
    """Return the folders of the control groups of this process, of every level and version; none on another system.

    They are found once a process; what they say is read whenever it matters.

    root: of the file system, in which /proc/self/cgroup says the groups and /sys/fs/cgroup holds them. A group that is
    not visible there, as from inside a container, is the one that is mounted.
    """
    try:
        lines = (root / "proc/self/cgroup").read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return ()
    found: list[Path] = []
    for controllers, path in (line.split(":", 2)[1:] for line in lines if line.count(":") >= 2):
        if controllers and controller not in controllers.split(","):
            continue
        top = root / "sys/fs/cgroup" / (controller if controllers else "")  # version 1 has a tree for each controller
        group = top / path.lstrip("/")
        found += [folder for folder in (group, *group.parents) if folder.is_relative_to(top)]
    return tuple(found)


def _quota_of(group: Path) -> float:
    """The quota of one group, in either version's files."""
    for files in (("cpu.max",), ("cpu.cfs_quota_us", "cpu.cfs_period_us")):
        try:
            share, period = " ".join((group / file).read_text("utf-8") for file in files).split()
            return int(share) / int(period) if int(share) > 0 else math.inf
        except (OSError, ValueError, ArithmeticError):  # no such file; "max"; or no quota at all
            continue
    return math.inf


_most: ContextVar[int | None] = ContextVar("most", default=None)
_choice: ContextVar["_Choice | None"] = ContextVar("choice", default=None)


@functools.lru_cache(maxsize=1)
def _algebra(modules: int) -> "ThreadpoolController":
    """The libraries of linear algebra that so many modules have loaded; looking for them takes a millisecond."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


@contextmanager
def one_thread(always: bool = False) -> Iterator[None]:
    """Compute on one thread where `measured_threads` finds no more to be faster; put back the caller's number after.

    always: whatever it would find, so that all is summed up in one order.
    """
    import torch

    if _most.get() is not None and not always:
        yield
        return
    before, most, choice = torch.get_num_threads(), _most.set(1 if always else most_threads()), _choice.set(None)
    try:
        torch.set_num_threads(1)
        with _algebra(len(sys.modules)).limit(limits=1, user_api="blas"):  # numpy's own
            yield
    finally:
        torch.set_num_threads(before)
        _choice.reset(choice)
        _most.reset(most)


@contextmanager
def measured_threads(step: Callable[[], object], notes: Notes | None = None) -> Iterator[None]:
    """Compute with as many threads as make `step` fastest; put back the number before after. Inside another: as there.

    Args: step: a typical unit of the work, without effect; it is run now and then. notes: of a run, which goes on with
        the number that it notes, since another one sums up in another order; but not where that makes it slower.
    """
    import torch

    if _choice.get() is not None:
        yield
        return
    before, most = torch.get_num_threads(), _most.get() or most_threads()
    chosen = _Choice(step, most, notes) if most > 1 else None
    held = _choice.set(chosen)
    try:
        torch.set_num_threads(1)
        if chosen is not None:
            chosen.begin()
        yield
    finally:
        torch.set_num_threads(before)
        _choice.reset(held)


def tick(kind: str) -> None:
    """Say that one more unit of work of a kind is done: a step, a batch."""
    chosen = _choice.get()
    if chosen is not None:
        chosen.tick(kind)


class _Choice:
    """The number of threads of a run, and how long units of its work take with it."""

    def __init__(self, step: Callable[[], object], most: int, notes: Notes | None) -> None:
        self.step, self.most, self.notes = step, most, notes
        self.count, self.kind, self.units = 1, "", 0
        self.cost, self.decided, self.since = 0.0, clock(), clock()
        self.least: dict[str, float] = {}  # seconds of a unit, by kind

    def begin(self) -> None:
        """Decide, or go on with the number noted."""
        if self.notes is None:
            self.decide()
            return
        noted = min(self.most, self.notes.note(NOTE, lambda: [self.decide()])[0])
        if noted != self.count:
            found, alone = _seconds(self.step, noted), _seconds(self.step, 1)
            self.use(noted)
            if found > SLOWER * alone:
                self.decide_again()

    def decide(self) -> int:
        """Double the number while that makes a step clearly faster; return it."""
        started = clock()
        count, seconds = 1, _seconds(self.step, 1)
        while count < self.most and seconds > SHORT:
            more = min(2 * count, self.most)
            found = _seconds(self.step, more)
            if found > WORTH * seconds:
                break
            count, seconds = more, found
        self.cost, self.decided = clock() - started, clock()
        self.use(count)
        return count

    def decide_again(self) -> None:
        """Decide, and note what a resumed run goes on with from now on."""
        count = self.decide()
        if self.notes is not None:
            self.notes.renew(NOTE, [count])

    def use(self, count: int) -> None:
        """Compute with a number of threads from now on."""
        import torch

        torch.set_num_threads(count)
        self.count = count
        self.least.clear()
        self.units, self.since = 0, clock()

    def tick(self, kind: str) -> None:
        """Count a unit of work; decide again where units have become slow, or more threads may help by now."""
        now = clock()
        if kind != self.kind:
            self.kind, self.units, self.since = kind, 0, now
            return
        self.units += 1
        took = now - self.since
        if took < LEAST or (self.units < ROUND and took < MOST):
            return
        each = took / self.units
        self.units, self.since = 0, now
        least = self.least[kind] = min(each, self.least.get(kind, each))
        pause = now - self.decided
        slow = self.count > 1 and each > SLOWER * least and pause > self.cost / SHARE_WHERE_SLOW
        if slow or (self.count < self.most and pause > max(PAUSE, self.cost / SHARE)):
            self.decide_again()


def _seconds(step: Callable[[], object], count: int) -> float:
    """The mean seconds of a step on `count` threads, so that waiting counts; of the first one where it is long."""
    import torch

    torch.set_num_threads(count)
    started = clock()
    step()  # what is set up once
    first = clock() - started
    if first > LONG:
        return first
    times, started = 0, clock()
    while times < TIMES or clock() - started < WINDOW:
        step()
        times += 1
    return (clock() - started) / times
