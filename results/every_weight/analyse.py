"""Bounds of every weight coded beside those of a subspace: python results/every_weight/analyse.py prints them."""

import csv
from collections import defaultdict
from collections.abc import Sequence
from math import isnan
from pathlib import Path
from statistics import mean, stdev

from pacbound.certificate.schema import Certificate
from pacbound.certificate.statement import percent_up

WAYS = {
    "subspace": "a subspace",
    "tensors": "each on the lattice of its tensor (`--encoder weights`)",
    "axes": "each on its own axis, by the posterior encoder (`--projector identity`)",
    "whole": "as many random directions as weights, by the posterior encoder (`--d 8192`)",
}
ELSEWHERE = {"mnist-subspace": "ablation/11_trellis.json"}
HEAD = (
    "| data | network | coefficients | bound | over seeds | training error | bits |\n|---|---|---|---:|---|---:|---:|\n"
)
TRIED = {
    "subspace": "a subspace",
    "leading": "leading directions (`--projector ekfac`)",
    "leading_scales": "leading directions, a scale for each of four parts of the index",
    "weights": "each on its own axis, in the order of the network",
    "weights_tensors": "each on its own axis, a scale and a curve for each tensor",
    "stiff": "each on its own axis, the stiffest on noise first",
    "stiff_tensors": "the stiffest first in each tensor, a scale and a curve for each",
    "kronecker": "all leading directions",
    "kronecker_tensors": "all leading directions, tensor after tensor, a scale and a curve for each",
    "blocks_of_256": "all leading directions, in blocks of at most 256",
    "blocks_of_2048": "all leading directions, in blocks of at most 2,048",
    "lattices": "each on the lattice of its tensor (`--encoder weights`)",
}
RUNS = (
    "| sample | coefficients | posterior: error | bits | rounded: error | bits | bound | over seeds | CPU seconds |\n"
    "|---|---|---:|---:|---:|---:|---:|---|---:|\n"
)


def report(folder: Path) -> str:
    """One row a data set and way."""
    rows = [_row(folder, data, way) for data in ("wine", "digits", "mnist") for way in WAYS]
    return HEAD + "".join(rows)


def summary(folder: Path) -> str:
    """What was tried without a code for it, of tried.csv: one row a case and way."""
    found = defaultdict(list)
    with open(folder / "tried.csv", encoding="utf-8", newline="") as file:
        for case, way, _, *numbers in csv.reader(file):
            found[case, way].append([float(number or "nan") for number in numbers])
    cases = list(dict.fromkeys(case for case, _ in found))
    return RUNS + "".join(_tried(case, way, found[case, way]) for case in cases for way in TRIED if found[case, way])


def _tried(case: str, way: str, runs: list[list[float]]) -> str:
    risk, nats, errors, n, bits, bounds, seconds = zip(*runs, strict=True)
    known = not any(map(isnan, risk))
    cells = (
        case.replace("_", ", "), TRIED[way],
        percent_up(mean(risk)) if known else "", f"{mean(nats):,.0f}" if known else "",
        percent_up(mean(errors) / n[0]), f"{mean(bits):,.0f}", f"**{percent_up(mean(bounds))}**", _spread(bounds),
        f"{mean(seconds):.0f}",
    )  # fmt: skip
    return f"| {' | '.join(cells)} |\n"


def _spread(bounds: Sequence[float]) -> str:
    return f"{len(bounds)}, deviation {100 * stdev(bounds):.2f}" if len(bounds) > 1 else "one"


def _row(folder: Path, data: str, way: str) -> str:
    name = f"{data}-{way}"
    files = [folder.parent / ELSEWHERE[name]] if name in ELSEWHERE else sorted(folder.glob(f"{name}-seed_*.json"))
    made = [Certificate.load(file) for file in files]
    if not made:
        return ""
    bounds = [one.bound.value for one in made]
    cells = (
        data, f"`{made[0].hypothesis.model}`, D = {made[0].hypothesis.parameters:,}", WAYS[way],
        f"**{percent_up(mean(bounds))}**",
        _spread(bounds),
        percent_up(mean(one.risk.errors / one.risk.n for one in made)),
        f"{mean(one.ledger.bits for one in made):,.0f}",
    )  # fmt: skip
    return f"| {' | '.join(cells)} |\n"


if __name__ == "__main__":
    print(report(Path(__file__).parent))
    print(summary(Path(__file__).parent))
