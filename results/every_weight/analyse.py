"""Bounds of every weight coded beside those of a subspace: python results/every_weight/analyse.py prints them."""

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


def report(folder: Path) -> str:
    """One row a data set and way."""
    rows = [_row(folder, data, way) for data in ("wine", "digits", "mnist") for way in WAYS]
    return HEAD + "".join(rows)


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
        f"{len(bounds)}, deviation {100 * stdev(bounds):.2f}" if len(bounds) > 1 else "one",
        percent_up(mean(one.risk.errors / one.risk.n for one in made)),
        f"{mean(one.ledger.bits for one in made):,.0f}",
    )  # fmt: skip
    return f"| {' | '.join(cells)} |\n"


if __name__ == "__main__":
    print(report(Path(__file__).parent))
