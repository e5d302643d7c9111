"""Search a grid: start runs in the order of the engine, write down what came of them, stop when time is up.

Killed at any moment, the same call goes on: what is finished is in the folder, what was running has its state there.
"""

import hashlib
import logging
import time
from pathlib import Path

from ..bounds.table import rounded_up
from ..data.registry import load_any
from ..pipeline.looks import looks_beside, number_of_look
from ..progress import hidden, tqdm
from ..records import Record
from .engines import engine_of
from .executors import Executor, Outcome, Where, executor_of
from .folder import Folder, Line, Sweep
from .plan import Plan

LOG = logging.getLogger("pacbound")
LISTEN_SECONDS = 0.5
JOB_MINUTES = 24 * 60  # limit of a job where no budget says less


class Summary(Record):
    """What a sweep came to. bits: what each certificate pays for the grid. refused, broken: run from 1 -> why."""

    runs: int
    finished: int
    bits: int
    best: Line | None
    refused: dict[int, str]
    broken: dict[int, str]
    seconds: float

    @property
    def left(self) -> int:
        """Runs that were not tried, or stopped; the same command goes on with them."""
        return self.runs - self.finished - len(self.refused) - len(self.broken)


def sweep(
    plan: Plan,
    output: Path,
    *,
    jobs: int = 1,
    where: Where = "processes",
    budget: float | None = None,
    data_dir: str | Path | None = None,
    progress: bool = True,
) -> Summary:
    """Run what is left of a plan in a folder, and return what came of all of it.

    Args: output: folder of the sweep; beside it lies the record of how many sweeps with a price there were. jobs: runs
        at a time. budget: minutes after which no run starts and those that run are stopped, to be resumed by the same
        call. The grid is paid in full whatever of it was searched.
    Raises: PacboundError, above all where the folder holds another sweep, or another process searches it.
    """
    folder = Folder(output)
    begun = begin(plan, folder, data_dir)
    with folder.locked("sweep", wait=False):
        driver = _Driver(begun, folder, progress)
        executor = executor_of(folder, where, JOB_MINUTES if budget is None else max(1, round(budget)))
        try:
            driver.search(executor, jobs, None if budget is None else 60 * budget)
        finally:
            executor.stop()
    return driver.summary()


def begin(plan: Plan, folder: Folder, data_dir: str | Path | None) -> Sweep:
    """Number the sweep where its grid has a price, and write down what is to be run before anything is.

    Raises: PacboundError where the sample or a file cannot be read, or the folder holds another sweep.
    """
    texts = plan.texts_of()
    sample = load_any(plan.request.data, data_dir, reading=plan.request.reading).digest()
    number = None
    if plan.priced:
        grid = hashlib.sha256(f"{plan.request.model_dump_json()} {texts} {plan.runs}".encode()).hexdigest()
        earlier = plan.search.earlier_sweeps or 0
        folder.path.parent.mkdir(parents=True, exist_ok=True)
        number = number_of_look(looks_beside(folder.path), "sweep", sample, grid, earlier)
    root = None if data_dir is None else str(Path(data_dir).resolve())
    begun = Sweep(plan=plan, grid=plan.record(0, number, texts), sample=sample, data_dir=root)
    folder.write(begun)
    return begun


class _Driver:
    """What is known of the runs while they are searched."""

    def __init__(self, sweep: Sweep, folder: Folder, progress: bool) -> None:
        self._sweep, self._folder, self._progress = sweep, folder, progress
        self._started = time.monotonic()
        self._lines: dict[int, Line] = {}
        self._refused: dict[int, str] = {}
        self._broken: dict[int, str] = {}
        known = folder.lines()
        for run in range(len(sweep.plan.runs)):
            certificate = folder.finished(sweep, run)
            if certificate is not None:
                self._lines[run] = folder.result(sweep, run, certificate)
                if known.get(run) != self._lines[run]:
                    folder.append(self._lines[run])

    def search(self, executor: Executor, jobs: int, seconds: float | None) -> None:
        """Start what is left, at most so many at a time, until all is done or time is up."""
        search = self._sweep.plan.search
        engine = engine_of(search.engine, self._sweep.grid, search.seed)
        left = [run for run in range(len(self._sweep.plan.runs)) if run not in self._lines]
        running: set[int] = set()
        with self._bar() as bar:
            while left or running:
                if seconds is not None and time.monotonic() - self._started >= seconds:
                    break
                while left and len(running) < jobs:
                    run = engine.ask(left, self._values())
                    left.remove(run)
                    running.add(run)
                    executor.start(run)
                outcome = executor.wait(LISTEN_SECONDS)
                if outcome is not None:
                    running.discard(outcome.run)
                    self._note(outcome)
                    bar.update()
                    self._say(bar)

    def summary(self) -> Summary:
        """Return what it came to."""
        best = min(self._lines.values(), key=rank, default=None)
        return Summary(
            runs=len(self._sweep.plan.runs),
            finished=len(self._lines),
            bits=(self._sweep.grid.choices - 1).bit_length(),
            best=best,
            refused={run + 1: why for run, why in sorted(self._refused.items())},
            broken={run + 1: why for run, why in sorted(self._broken.items())},
            seconds=round(time.monotonic() - self._started, 3),
        )

    def _note(self, outcome: Outcome) -> None:
        run = outcome.run
        if outcome.broken is not None:  # not its request's fault: it is tried again by the next call
            self._broken[run] = outcome.broken
            LOG.warning("sweep: run %d broke off: %s", run + 1, outcome.broken)
            return
        certificate = self._folder.finished(self._sweep, run)
        if certificate is None:
            self._refused[run] = outcome.refusal or "it has no certificate"
            options = self._sweep.grid.values_of(run)
            self._folder.append(Line(run=run + 1, options=options, refusal=self._refused[run]))
            LOG.warning("sweep: run %d was refused: %s", run + 1, self._refused[run])
            return
        self._lines[run] = self._folder.result(self._sweep, run, certificate)
        self._folder.append(self._lines[run])

    def _values(self) -> dict[int, float]:
        return {run: line.bound for run, line in self._lines.items() if line.bound is not None}

    def _bar(self) -> "tqdm[None]":
        total = len(self._sweep.plan.runs)
        bar = tqdm(total=total, initial=len(self._lines), desc="sweep", unit="run", disable=hidden(self._progress))
        self._say(bar)
        return bar

    def _say(self, bar: "tqdm[None]") -> None:
        values = self._values()
        if values:
            bar.set_postfix_str(f"best bound {rounded_up(min(values.values()))}")


def rank(line: Line) -> tuple[float, float, int]:
    """By the bound; of equal ones the fewest errors, then the first."""
    return (1.0 if line.bound is None else line.bound, line.errors or 0, line.run)
