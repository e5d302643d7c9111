"""The bound against minutes of one core: python results/curves/analyse.py prints the points.

The shorter runs are here, the longer ones, each with three seeds, in results/features.
"""

import csv
import re
import sys
from pathlib import Path
from statistics import mean
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parents[1]))
from experiment import costs_of

from pacbound.certificate.schema import Certificate
from pacbound.certificate.statement import percent_up
from pacbound.reports.drawn import COLOURS, MARKERS, sheet

# data set -> what its longer runs are called in results/features
DATA = {"cifar10": "cifar10_bars", "digits": "digits", "fashion-mnist": "fashion-mnist_bars", "mnist": "mnist_bars"}
TICKS = (0.1, 0.3, 1, 3, 10, 30)
HEAD = "| data | epochs | minutes of one core | bound |\n|---|---:|---:|---:|\n"


class Point(NamedTuple):
    """Passes over the sample, minutes of one core, the bound."""

    epochs: float
    minutes: float
    bound: float


def report(folder: Path) -> str:
    """One row a length of training."""
    return HEAD + "".join(
        f"| {data} | {point.epochs:.0f} | {point.minutes:.1f} | {percent_up(point.bound)} |\n"
        for data in DATA
        for point in _points(folder, data)
    )


def summary(folder: Path) -> str:
    """Short runs with one draw a step and with two that mirror each other, of pairs.csv."""
    runs: dict[tuple[str, str], list[tuple[float, float]]] = {}
    with open(folder / "pairs.csv", encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            runs.setdefault((row["data"], row["epochs"]), []).append((float(row["one draw"]), float(row["mirrored"])))
    lines = ["| data | epochs | one draw | mirrored | by seed |\n|---|---:|---:|---:|---|\n"]
    for (data, epochs), bounds in runs.items():
        before, after = (percent_up(mean(column)) for column in zip(*bounds, strict=True))
        by_seed = ", ".join(f"{100 * (new - old):+.2f}" for old, new in bounds)
        lines.append(f"| {data} | {epochs} | {before} | {after} | {by_seed} |\n")
    return "".join(lines)


def draw(folder: Path) -> None:
    """Write minutes.svg: a curve a data set."""
    with sheet() as (figure, axes):
        for place, data in enumerate(DATA):
            _, minutes, bounds = zip(*_points(folder, data), strict=True)
            axes.plot(
                minutes, [100 * bound for bound in bounds], f"{MARKERS[place]}-", color=COLOURS[place], label=data
            )
        axes.set_xscale("log")
        axes.set_xticks(TICKS, [f"{tick:g}" for tick in TICKS])
        axes.minorticks_off()
        axes.set_ylim(0)
        axes.set_xlabel("minutes of one core")
        axes.set_ylabel("bound in %")
        figure.legend(loc="outside upper left", ncols=len(DATA), fontsize=8)
        figure.savefig(folder / "minutes.svg", metadata={"Date": None})


def _points(folder: Path, data: str) -> list[Point]:
    """Of each length of training the mean over its seeds, the shortest first."""
    files: dict[int, list[Path]] = {}
    longer = (folder.parent / "features").glob(f"{DATA[data]}*-seed_*.json")
    named = (path for path in longer if re.fullmatch(rf"{DATA[data]}(_long|_longest)?-seed_\d+", path.stem))
    for path in (*folder.glob(f"{data}-epochs_*.json"), *named):
        files.setdefault(round(Certificate.load(path).environment.epochs or 0), []).append(path)
    return [
        Point(
            epochs,
            mean(float(costs_of(path.parent)[path.stem, "certify"][0]) for path in paths),
            mean(Certificate.load(path).bound.value for path in paths),
        )
        for epochs, paths in sorted(files.items())
    ]


if __name__ == "__main__":
    print(report(Path(__file__).parent))
