"""What a teacher is worth, from measured.csv and rounded.csv: python results/distillation/analyse.py prints it."""

import csv
from collections import defaultdict
from pathlib import Path
from statistics import mean, stdev

from pacbound.certificate.statement import percent_up

ARMS = {
    "labels": "none",
    "smooth": "for .7 of the cross-entropy, at temperature 3",
    "smooth_and_half_bounded": "the same, and for half of the bounded loss",
    "teacher_alone": "for all of both, at temperature 1",
}
HEAD = (
    "| the teacher in the place of labels | error | bits | bound of the posterior | CPU seconds |\n"
    "|---|---:|---:|---:|---:|\n"
)


ROUNDED = (
    "| certificates of | in the loss | error | bits | bound | over seeds | CPU seconds |\n"
    "|---|---|---:|---:|---:|---|---:|\n"
)
NAMES = {"labels": "labels", "teacher": "the teacher's probabilities"}


def report(folder: Path) -> str:
    """One row an arm before rounding; one row a data set and arm of whole runs."""
    before = "".join(
        f"| {ARMS[arm]} | {percent_up(float(error))} | {int(bits):,} | {percent_up(float(bound))} | {seconds} |\n"
        for arm, error, bits, bound, seconds in _rows(folder / "measured.csv")
    )
    whole = defaultdict(list)
    for data, _, arm, errors, n, bits, bound, seconds in _rows(folder / "rounded.csv"):
        whole[data, arm].append((int(errors) / int(n), int(bits), float(bound), float(seconds)))
    return HEAD + before + "\n" + ROUNDED + "".join(_row(*key, runs) for key, runs in sorted(whole.items()))


def _row(data: str, arm: str, runs: list[tuple[float, int, float, float]]) -> str:
    errors, bits, bounds, seconds = zip(*runs, strict=True)
    spread = f"{len(bounds)}, deviation {100 * stdev(bounds):.2f}" if len(bounds) > 1 else "one"
    cells = (
        data, NAMES[arm], percent_up(mean(errors)), f"{mean(bits):,.0f}", f"**{percent_up(mean(bounds))}**", spread,
        f"{mean(seconds):.0f}",
    )  # fmt: skip
    return f"| {' | '.join(cells)} |\n"


def _rows(path: Path) -> list[list[str]]:
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


if __name__ == "__main__":
    print(report(Path(__file__).parent))
