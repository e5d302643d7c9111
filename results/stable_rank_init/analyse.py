"""What runs.json says: how fast each initialisation learned, table, curves, and a paragraph that follows from them.

python results/stable_rank_init/analyse.py     prints the report and draws loss.svg
"""

import itertools
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

WINDOW = 25  # steps over which a loss is averaged
FIRST = 4  # windows that stand for the start
HE = "he"
FIGURE = "loss.svg"


@dataclass(frozen=True)
class Run:
    """One training: losses are means over windows of `WINDOW` steps."""

    rank: str
    rate: float
    seed: int
    steps: int
    losses: list[float]
    diverged: bool
    test_risk: float | None
    stable_rank_before: float
    stable_rank_after: float | None


def finished(path: Path) -> list[Run]:
    """Runs written so far."""
    return [Run(**run) for run in json.loads(path.read_text())] if path.exists() else []


def report(folder: Path) -> str:
    """Table of every run and the curves, Markdown for the README of the folder."""
    runs = finished(folder / "runs.json")
    if not runs:
        return f"No runs yet: `python results/{folder.name}/run.py`.\n"
    return f"{table(runs)}\n![training loss against step]({FIGURE})\n"


def draw(folder: Path) -> None:
    """Make the curves anew, where there are runs."""
    runs = finished(folder / "runs.json")
    if runs:
        plot(runs, folder / FIGURE)


def summary(folder: Path) -> str:
    """What may be said, in words that follow from the figures."""
    runs = finished(folder / "runs.json")
    if not runs:
        return f"No runs yet: `python results/{folder.name}/run.py`.\n"
    start = f"over the first {FIRST * WINDOW} steps"
    lines = [_against_he(start, runs, rate, lambda r: mean(r.losses[:FIRST])) for rate in _rates(runs)]
    ends = [_against_he("at the end", runs, rate, lambda r: r.losses[-1]) for rate in _rates(runs)]
    seeds = len({run.seed for run in runs})
    faster = any("better" in line for line in lines)
    verdict = "Some spectra start faster" if faster else "No prescribed stable rank starts faster at any learning rate"
    words = [f"- learning rate {rate}: {a}; {b}." for rate, a, b in zip(_rates(runs), lines, ends, strict=True)]
    path = f"results/{folder.name}"
    ranks = ", ".join(rank for rank in _ranks(runs) if rank != HE)
    return (
        f"Training loss at stable ranks {ranks} against He's, {seeds} seeds with the same batches; better or worse "
        f"where all seeds say so. {verdict}.\n\n" + "\n".join(words) + f"\n\n"
        f"Table and curves: [{path}]({path}/README.md).\n"
    )


def _against_he(when: str, runs: list[Run], rate: float, loss: Callable[[Run], float]) -> str:
    """Which ranks are below He's loss for every seed, which above, which diverged."""
    he = {r.seed: loss(r) for r in of(runs, HE, rate) if not r.diverged}
    kinds: dict[str, list[str]] = {"better": [], "undecided": [], "worse": [], "diverged": []}
    for rank in _ranks(runs):
        group = of(runs, rank, rate)
        if rank == HE or not group:
            continue
        gaps = [loss(r) - he[r.seed] for r in group if not r.diverged and r.seed in he]
        if any(r.diverged for r in group):
            kinds["diverged"].append(rank)
        else:
            kinds["better" if max(gaps) < 0 else "worse" if min(gaps) > 0 else "undecided"].append(rank)
    said = [f"{kind} at {', '.join(ranks)}" for kind, ranks in kinds.items() if ranks]
    return f"{when} {', '.join(said)}"


def _ranks(runs: list[Run]) -> list[str]:
    return list(dict.fromkeys(run.rank for run in runs))


def _rates(runs: list[Run]) -> list[float]:
    return list(dict.fromkeys(run.rate for run in runs))


def of(runs: list[Run], rank: str, rate: float) -> list[Run]:
    """Runs of one initialisation at one learning rate."""
    return [r for r in runs if (r.rank, r.rate) == (rank, rate)]


def table(runs: list[Run]) -> str:
    """Means over the seeds that did not diverge, as Markdown: how fast, how far, and the stable rank after training."""
    head = ["stable rank", "rate", "diverged", f"loss in the first {FIRST * WINDOW} steps", "last loss", "test risk",
            "rank before", "rank after"]  # fmt: skip
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    for rate, rank in itertools.product(_rates(runs), _ranks(runs)):
        group = of(runs, rank, rate)
        stable = [r for r in group if not r.diverged]
        columns = [[mean(r.losses[:FIRST]) for r in stable], [r.losses[-1] for r in stable],
                   [r.test_risk for r in stable if r.test_risk is not None], [r.stable_rank_before for r in group],
                   [r.stable_rank_after for r in stable if r.stable_rank_after is not None]]  # fmt: skip
        figures = [f"{mean(column):.4g}" if column else "-" for column in columns]
        lines.append(f"| {rank} | {rate} | {len(group) - len(stable)} of {len(group)} | " + " | ".join(figures) + " |")
    return "\n".join(lines) + "\n"


def plot(runs: list[Run], path: Path) -> None:
    """Mean over seeds of the training loss against step, with the range of the seeds, as far as none diverged."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    plt.rcParams["svg.hashsalt"] = "pacbound"
    figure, panels = plt.subplots(1, len(_rates(runs)), figsize=(5 * len(_rates(runs)), 4), sharey=True, squeeze=False)
    for panel, rate in zip(panels[0], _rates(runs), strict=True):
        for color, rank in enumerate(_ranks(runs)):
            windows = list(zip(*(run.losses for run in of(runs, rank, rate)), strict=False))  # up to the shortest
            steps = [(i + 0.5) * WINDOW for i in range(len(windows))]
            low, high = [min(losses) for losses in windows], [max(losses) for losses in windows]
            label = "He" if rank == HE else f"stable rank {rank}"
            panel.plot(steps, [mean(losses) for losses in windows], color=f"C{color}", label=label)
            panel.fill_between(steps, low, high, color=f"C{color}", alpha=0.2, linewidth=0)
        panel.set(title=f"learning rate {rate}", xlabel="step", yscale="log")
    panels[0][0].set_ylabel("training loss")
    panels[0][0].legend()
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


if __name__ == "__main__":
    draw(Path(__file__).parent)
    print(summary(Path(__file__).parent), report(Path(__file__).parent), sep="\n")
