"""Tables of the benchmarks, and how a step grows: `python -m pytest -m benchmark tests/benchmarks` wrote the files."""

import csv
import re
from pathlib import Path

from pacbound.reports.drawn import COLOURS, MARKERS, sheet

HEAD = "| benchmark | measured | over | ratio | at most |\n|---|---:|---|---:|---:|\n"
GROWTH = re.compile(r"(memory of )?a step at D = ([\d,]+), d = ([\d,]+)")
TICKS = {10.0**2: "100", 10.0**4: "10 k", 10.0**6: "1 M", 10.0**8: "100 M"}
SMALLEST_D = 256  # of the curves against D


def report(folder: Path) -> str:
    """One table a file, with where it was measured."""
    return "\n".join(_table(path) for path in sorted(folder.glob("*.csv")))


def _table(path: Path) -> str:
    rows = _rows(path)
    lines = [
        f"| {row['what']} | {row['measured']} {row['unit']} | {row['over']} | **{row['ratio']}** | {row['at most']} |\n"
        for row in rows
    ]
    first = rows[0]
    where = f"torch {first['torch']}, threads: {first['threads']}, cores: {first['cores']}, {first['machine']}"
    return f"**{path.stem}**: {where}\n\n{HEAD}{''.join(lines)}"


def _rows(path: Path) -> list[dict[str, str]]:
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def draw(folder: Path) -> None:
    """Write growth.svg: time and memory of a step against D at one d, and against d at one D."""
    points = [(found, row) for row in _rows(folder / "growth.csv") if (found := GROWTH.match(row["what"]))]
    sizes = [(bool(m[1]), int(m[2].replace(",", "")), int(m[3].replace(",", "")), float(r["ratio"])) for m, r in points]
    middle = max({D for _, D, d, _ in sizes if d > SMALLEST_D})
    with sheet(3.2) as (figure, axes):
        for place, memory in enumerate((False, True)):
            label = "peak memory in thetas" if memory else "seconds of a step in passes over D"
            curve = sorted((D, ratio) for kind, D, d, ratio in sizes if kind == memory and d == SMALLEST_D)
            axes.plot(*zip(*curve, strict=True), MARKERS[place] + "-", color=COLOURS[place], label=f"{label}, d = 256")
            curve = sorted((d, ratio) for kind, D, d, ratio in sizes if kind == memory and D == middle)
            axes.plot(
                *zip(*curve, strict=True), MARKERS[place] + ":", color=COLOURS[place],
                label=f"{label}, against d at D = {middle:,}",
            )  # fmt: skip
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xticks(list(TICKS), list(TICKS.values()))
        axes.yaxis.set_major_formatter("{x:g}")
        axes.set_xlabel("D, or d where dotted")
        figure.legend(loc="outside upper left", fontsize=8)
        figure.savefig(folder / "growth.svg", metadata={"Date": None})


if __name__ == "__main__":
    print(report(Path(__file__).parent))
