"""What a teacher is worth, from measured.csv: python results/distillation/analyse.py prints it."""

import csv
from pathlib import Path

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


def report(folder: Path) -> str:
    """One row an arm."""
    with open(folder / "measured.csv", encoding="utf-8", newline="") as file:
        return HEAD + "".join(
            f"| {ARMS[arm]} | {percent_up(float(error))} | {int(bits):,} | {percent_up(float(bound))} | {seconds} |\n"
            for arm, error, bits, bound, seconds in csv.reader(file)
        )


if __name__ == "__main__":
    print(report(Path(__file__).parent))
