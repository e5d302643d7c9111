"""Figures of the benchmarks, as ratios to a baseline of the same run: a table, and files in results/benchmarks.

Each module that ran writes MODULE.csv there, so that a part of the suite can be run alone.
"""

import csv
import os
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

FOLDER = Path(__file__).parents[2] / "results" / "benchmarks"
COLUMNS = ("what", "measured", "baseline", "unit", "over", "ratio", "at most")


@dataclass(frozen=True)
class Figure:
    """What was measured over a baseline of the same run, both in one unit; most: the largest ratio that passes."""

    what: str
    measured: float
    baseline: float
    unit: str
    over: str
    most: float | None

    @property
    def ratio(self) -> float:
        """What people compare."""
        return self.measured / self.baseline


Figures = dict[str, list[Figure]]
FIGURES = pytest.StashKey[Figures]()


@pytest.fixture
def figure(request: pytest.FixtureRequest) -> Callable[..., None]:
    """Note a figure; it fails the test, after being noted, where its ratio is above `most`."""
    module = request.path.stem.removeprefix("test_")
    kept = request.config.stash.setdefault(FIGURES, {}).setdefault(module, [])

    def note(
        what: str, measured: float, baseline: float, over: str, *, unit: str = "s", most: float | None = None
    ) -> None:
        made = Figure(what, measured, baseline, unit, over, most)
        kept.append(made)
        assert most is None or made.ratio <= most, f"{what}: {made.ratio:.3g} of {over}, at most {most}"

    return note


def timed(act: Callable[[], object], times: int = 1, clock: Callable[[], float] = time.perf_counter) -> float:
    """The median seconds of an act."""
    found = []
    for _ in range(times):
        start = clock()
        act()
        found.append(clock() - start)
    return statistics.median(found)


@pytest.fixture(scope="session", name="timed")
def _timed() -> Callable[..., float]:
    return timed


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print one table of all figures, and write a file for each module."""
    noted = {module: rows for module, rows in config.stash.get(FIGURES, {}).items() if rows}
    if not noted:
        return
    where = {
        "threads": torch.get_num_threads(), "cores": os.cpu_count(), "machine": platform.machine(),
        "python": platform.python_version(), "torch": torch.__version__,
    }  # fmt: skip
    terminalreporter.section("figures, " + ", ".join(f"{name} {value}" for name, value in where.items()))
    FOLDER.mkdir(parents=True, exist_ok=True)
    for module, figures in noted.items():
        with open(FOLDER / f"{module}.csv", "w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow((*COLUMNS, *where))
            for one in figures:
                most = "" if one.most is None else f"{one.most:g}"
                numbers = (f"{one.measured:.4g}", f"{one.baseline:.4g}", one.unit, one.over, f"{one.ratio:.3g}", most)
                writer.writerow((one.what, *numbers, *where.values()))
                said = f"{one.what} ({one.measured:.3g} {one.unit})"
                terminalreporter.write_line(f"{one.ratio:10.3g} x {one.over}: {said}")
