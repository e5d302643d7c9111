"""Means over the seeds here, beside those of the networks that were the default before.

python results/features/analyse.py prints them.
"""

import csv
import runpy
import sys
from pathlib import Path
from statistics import mean, stdev

sys.path.insert(0, str(Path(__file__).parents[1]))
from experiment import costs_of

from pacbound.certificate.schema import Certificate
from pacbound.certificate.statement import percent_up

# data set -> certificates of the networks without features, on one lattice
BEFORE = {
    "mnist": "mnist/seed_*.json",
    "fashion-mnist": "fashion_mnist/seed_*.json",
    "cifar10": "cifar10/default.json",
    "digits": "digits/with_mlp_*.json",
}
HEAD = (
    "| data | network | before | bound | standard deviation | training error | test error | bits | CPU minutes |\n"
    "|---|---|---:|---:|---:|---:|---:|---:|---:|\n"
)
TRIED = "| network | beside it | steps | error | bits | bound | ms a step |\n|---|---|---:|---:|---:|---:|---:|\n"


def report(folder: Path) -> str:
    """One row for each way of run.py that was run."""
    ways = runpy.run_path(str(folder / "run.py"))["WAYS"]
    return HEAD + "".join(_row(folder, way) for way in ways if list(folder.glob(f"{way}-seed_*.json")))


def summary(folder: Path) -> str:
    """What was tried for CIFAR-10, of tried.csv."""
    with open(folder / "tried.csv", encoding="utf-8", newline="") as file:
        return TRIED + "".join(
            f"| `{network}` | {beside} | {int(steps):,} | {percent_up(float(error))} | {int(bits):,} "
            f"| {percent_up(float(bound))} | {milliseconds} |\n"
            for network, beside, steps, error, bits, bound, milliseconds in csv.reader(file)
        )


def _row(folder: Path, way: str) -> str:
    before = [one.bound.value for one in _certificates(folder.parent, BEFORE[way.partition("_")[0]])]
    now = _certificates(folder, f"{way}-seed_*.json")
    bounds = [one.bound.value for one in now]
    held_out = [one.held_out.errors / one.held_out.n for one in now if one.held_out is not None]
    cells = (
        way, f"`{now[0].hypothesis.model}`", percent_up(mean(before)), f"**{percent_up(mean(bounds))}**",
        f"{100 * stdev(bounds):.2f} over {len(bounds)} seeds" if len(bounds) > 1 else "one seed",
        percent_up(mean(one.risk.errors / one.risk.n for one in now)),
        percent_up(mean(held_out)) if held_out else "", f"{mean(one.ledger.bits for one in now):,.0f}",
        ", ".join(
            minutes
            for (name, verb), (minutes, _) in costs_of(folder).items()
            if verb == "certify" and name.startswith(f"{way}-seed_")
        ),
    )  # fmt: skip
    return f"| {' | '.join(cells)} |\n"


def _certificates(folder: Path, pattern: str) -> list[Certificate]:
    return [Certificate.load(path) for path in sorted(folder.glob(pattern))]


if __name__ == "__main__":
    print(report(Path(__file__).parent))
