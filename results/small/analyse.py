"""Means over the seeds here: python results/small/analyse.py prints them."""

from pathlib import Path
from statistics import mean, stdev

from pacbound.certificate.schema import Certificate
from pacbound.certificate.statement import percent_up

WAYS = (
    "usps_like_before", "usps_like", "usps_like_bars", "usps_like_moments", "breast_cancer_before", "breast_cancer",
    "breast_cancer_share", "wine_before", "wine", "wine_share",
    "wine_quarter", "wine_all", "wine_all_picks",
)  # fmt: skip
HEAD = (
    "| sample | n | network | d | bound | deviation | training error | bits |\n"
    "|---|---:|---|---:|---:|---:|---:|---:|\n"
)


def report(folder: Path) -> str:
    """One row a way."""
    return HEAD + "".join(_row([Certificate.load(p) for p in sorted(folder.glob(f"{w}-seed_*.json"))], w) for w in WAYS)


def _row(made: list[Certificate], way: str) -> str:
    bounds = [one.bound.value for one in made]
    d = {0 if one.hypothesis.projector is None else one.hypothesis.projector.d for one in made}
    spread = f"{100 * stdev(bounds):.2f} over {len(bounds)} seeds" if len(bounds) > 1 else "one seed"
    cells = (
        way, f"{made[0].risk.n:,}", f"`{made[0].hypothesis.model}`", " or ".join(map(str, sorted(d))),
        f"**{percent_up(mean(bounds))}**", spread,
        percent_up(mean(one.risk.errors / one.risk.n for one in made)), f"{mean(one.ledger.bits for one in made):,.0f}",
    )  # fmt: skip
    return f"| {' | '.join(cells)} |\n"


if __name__ == "__main__":
    print(report(Path(__file__).parent))
