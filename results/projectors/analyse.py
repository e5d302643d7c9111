"""Mean bounds in both subspaces, and their difference seed by seed.

python results/projectors/analyse.py prints them.
"""

from pathlib import Path
from statistics import mean, stdev

from pacbound.certificate.schema import Certificate
from pacbound.certificate.statement import percent_up

KINDS = ("fastfood", "tiled")
HEAD = "| data, network | D | d | fastfood | tiled | tiled less fastfood, by seed |\n|---|---:|---:|---:|---:|---:|\n"


def report(folder: Path) -> str:
    """One row for data and network, where both kinds have the same seeds."""
    ways = sorted({path.stem.split("-")[0] for path in folder.glob("*-tiled-seed_*.json")})
    return HEAD + "".join(_row(folder, way) for way in ways)


def _row(folder: Path, way: str) -> str:
    seeds = sorted(path.stem.split("_")[-1] for path in folder.glob(f"{way}-tiled-seed_*.json"))
    found = {kind: [Certificate.load(folder / f"{way}-{kind}-seed_{seed}.json") for seed in seeds] for kind in KINDS}
    bounds = {kind: [one.bound.value for one in found[kind]] for kind in KINDS}
    spread = {kind: f" ± {100 * stdev(bounds[kind]):.2f}" if len(seeds) > 1 else "" for kind in KINDS}
    differences = [100 * (b - a) for a, b in zip(bounds["fastfood"], bounds["tiled"], strict=True)]
    spec = found["tiled"][0].hypothesis
    assert spec.projector is not None  # a certificate of this experiment has a subspace
    cells = (
        f"{way.split('_')[0]}, `{spec.model}`", f"{spec.projector.D:,}", f"{spec.projector.d:,}",
        *(f"{percent_up(mean(bounds[kind]))}{spread[kind]}" for kind in KINDS),
        ", ".join(f"{difference:+.2f}" for difference in differences),
    )  # fmt: skip
    return f"| {' | '.join(cells)} |\n"


if __name__ == "__main__":
    print(report(Path(__file__).parent))
