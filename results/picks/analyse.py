"""What the certificates here say, and which of codes, picks, a prior share and a plain test set is the tightest.

python results/picks/analyse.py prints both tables.
"""

from collections.abc import Iterator
from pathlib import Path
from statistics import mean

from pacbound.certificate.schema import Certificate
from pacbound.certificate.statement import percent_up

RESULTS = Path(__file__).parents[1]
# data set -> files of parameter codes, of picks, of a theta0 trained on half of the sample
BESIDE = {
    "mnist": ("features/mnist_bars-seed_*.json", "picks/mnist_*.json", "prior/mnist_32.json"),
    "fashion-mnist": (
        "features/fashion-mnist_bars-seed_*.json",
        "picks/fashion-mnist_*.json",
        "prior/fashion-mnist_32.json",
    ),
    "cifar10": ("features/cifar10_bars-seed_*.json", "picks/cifar10_0.json", "prior/cifar10_32.json"),
    "features of cifar10": ("", "picks/cifar10_features.json", ""),
    "digits": ("features/digits-seed_*.json", "picks/digits_*.json", "prior/digits_32.json"),
}
HEAD = (
    "| data | parameter codes | picks | theta0 from half of the sample | test set alone |\n|---|---:|---:|---:|---:|\n"
)


def report(folder: Path) -> str:
    """One row a certificate: how many examples were picked, which errors are left, and what follows."""
    lines = ["| certificate | network | picks | errors left | k of n | bits | bound | test error | minutes |\n"]
    lines += ["|---|---|---:|---:|---:|---:|---:|---:|---:|\n"]
    return "".join([*lines, *(_row(path) for path in sorted(folder.glob("*.json")))])


def summary(folder: Path) -> str:
    """Each way to a bound over the same data sets: means over seeds where there are several."""
    rows = []
    for name, files in BESIDE.items():
        found = [list(_certificates(pattern)) for pattern in files]
        if found[1]:
            figures = [percent_up(mean(one.bound.value for one in some)) if some else "" for some in found]
            rows.append(f"| {name} | {' | '.join(figures)} | {_test(found[1])} |\n")
    return HEAD + "".join(rows)


def _certificates(pattern: str) -> Iterator[Certificate]:
    if pattern:
        yield from (Certificate.load(path) for path in sorted(RESULTS.glob(pattern)))


def _test(certificates: list[Certificate]) -> str:
    """The mean bound that held-out examples alone give for the same networks."""
    values = [other.value for one in certificates if (other := one.held_out) is not None]
    return percent_up(mean(values)) if values else ""


def _row(path: Path) -> str:
    one = Certificate.load(path)
    part, test = one.picks, one.held_out
    assert part is not None
    cells = (
        f"[{path.stem}]({path.relative_to(RESULTS.parent)})", f"`{one.hypothesis.model}`", f"{part.picked:,}",
        f"{part.errors:,}", f"{part.picked + part.errors:,} of {one.risk.n:,}", f"{one.ledger.bits}",
        f"**{percent_up(one.bound.value)}**", "" if test is None else percent_up(test.errors / test.n),
        f"{sum(one.environment.seconds.values()) / 60:.1f}",
    )  # fmt: skip
    return f"| {' | '.join(cells)} |\n"


if __name__ == "__main__":
    print(report(Path(__file__).parent))
    print(summary(Path(__file__).parent))
