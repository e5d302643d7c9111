"""What the trainings in DATA.json say: the least capacity at 0.5 points more test error, table, curve, paragraph.

python results/excess_capacity/analyse.py     prints the report, draws capacity_and_error.svg
"""

import json
import math
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parents[1]))

from pacbound.training.constrained import Excess, Outcome, excess_capacity  # noqa: E402

TOLERANCE = 0.005
TARGET = 1.0  # of log10 capacity
FIGURE = "capacity_and_error.svg"
Document = dict[str, list[dict[str, object]]]


def report(folder: Path) -> str:
    """Table and curve of every data set on file, Markdown for the README of the folder."""
    whole = finished(folder)
    if not whole:
        return f"No runs yet: `python results/{folder.name}/run.py`.\n"
    tables = [f"{name}\n\n{table(rows)}" for name, rows in whole.items()]
    return "\n".join([*tables, f"![log10 capacity against test error]({FIGURE})\n"])


def draw(folder: Path) -> None:
    """Make the curve anew, where there are trainings."""
    whole = finished(folder)
    if whole:
        plot(whole, folder / FIGURE)


def summary(folder: Path) -> str:
    """One paragraph for each data set."""
    parts = [paragraph(name, rows) for name, rows in finished(folder).items()]
    path = f"results/{folder.name}"
    last = f"Table and curve: [{path}]({path}/README.md)." if parts else f"No runs yet: `python {path}/run.py`."
    return "\n\n".join([*parts, last]) + "\n"


def finished(folder: Path) -> dict[str, list[Outcome]]:
    """Name of a data set -> its trainings, where there is a free one and another."""
    found = {path.stem: outcomes_of(path) for path in sorted(folder.glob("*.json"))}
    return {name: rows for name, rows in found.items() if len(rows) > 1}


def outcomes_of(path: Path) -> list[Outcome]:
    """The free training first."""
    document: Document = json.loads(path.read_text("utf-8"))
    names = ("label", "train_error", "test_error", "log10_capacity")
    return [Outcome(**{name: row[name] for name in names}) for row in document["outcomes"]]  # type: ignore[arg-type]


def excess_of(rows: list[Outcome]) -> Excess:
    return excess_capacity(rows[0], rows[1:], TOLERANCE)


def paragraph(name: str, rows: list[Outcome]) -> str:
    """What may be said, and that the choice was made on the test set."""
    found = excess_of(rows)
    verdict = "reaches" if found.log10_excess >= TARGET else "falls short of"
    least = min(rows[1:], key=lambda row: row.log10_capacity)
    return (
        f"**{name}**: log10 capacity is {found.log10_excess:.2f} lower at no more than {100 * TOLERANCE:.1f} points "
        f"more test error ({_up(rows[0].test_error)} free, {_up(found.chosen.test_error)} at *{found.chosen.label}*), "
        f"which {verdict} the aim of {TARGET:g}. The smallest class tried has {least.log10_capacity:.2f} and errs "
        f"{_up(least.test_error)}. Errors are those of the test set, on which the class was chosen too; one seed; "
        "capacities are measured after training with certified norms, not read from the knobs."
    )


def table(rows: list[Outcome]) -> str:
    """One line for each training, the smallest class last."""
    free = rows[0]
    lines = ["| class | log10 capacity | lower by | training error | test error |", "|---|---|---|---|---|"]
    for row in sorted(rows, key=lambda row: -row.log10_capacity):
        lines.append(
            f"| {row.label} | {row.log10_capacity:.2f} | {free.log10_capacity - row.log10_capacity:.2f} "
            f"| {_up(row.train_error)} | {_up(row.test_error)} |"
        )
    return "\n".join(lines) + "\n"


def plot(found: dict[str, list[Outcome]], path: Path) -> None:
    """Test error against log10 capacity, one mark for each training; the line is the tolerance."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    with matplotlib.rc_context({"svg.hashsalt": "excess_capacity"}):
        figure, panels = plt.subplots(1, len(found), figsize=(5 * len(found), 3.6), squeeze=False)
        for panel, (name, rows) in zip(panels[0], found.items(), strict=True):
            for word, marker in (("both", "o"), ("norm alone", "s"), ("distance alone", "^")):
                own = [row for row in rows[1:] if _kind(row.label) == word]
                panel.plot([r.log10_capacity for r in own], [100 * r.test_error for r in own], marker, label=word)
            panel.plot(rows[0].log10_capacity, 100 * rows[0].test_error, "k*", markersize=10, label="free")
            panel.axhline(
                100 * (rows[0].test_error + TOLERANCE), color="grey", linestyle=":", label="free + 0.5 points"
            )
            panel.set(title=name, xlabel="log10 capacity", ylabel="test error, %")
            panel.legend()
        figure.tight_layout()
        figure.savefig(path, metadata={"Date": None})
        plt.close(figure)


def _kind(label: str) -> str:
    norm, distance = (float(part.rsplit(" ", 1)[1]) for part in label.split(", "))
    return "distance alone" if norm == 1 else "norm alone" if distance == 1 else "both"


def _up(rate: float) -> str:
    return f"{math.ceil(10000 * rate - 1e-9) / 100:.2f} %"


if __name__ == "__main__":
    draw(HERE)
    print(summary(HERE), report(HERE), sep="\n")
