"""What the certificates here say, beside what they took: minutes by the clock and of a processor, most memory held.

python results/backbones/analyse.py prints the report.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from experiment import costs_of

from pacbound.certificate.schema import Certificate
from pacbound.certificate.statement import percent_up, share_up

COLUMNS = (
    "certificate", "trained", "n", "bound", "training error", "test error", "bits", "minutes", "of a processor",
    "memory", "to verify, of a processor", "memory",
)  # fmt: skip
CACHED = "frozen-"  # begins the names of files of passes that may be made again
FEW = "few_"  # begins the names of those that compare what is trained


def report(folder: Path) -> str:
    """Return one table of the experiments, and one of what is trained, on few texts."""
    paths = sorted(path for path in folder.glob("*.json") if not path.stem.startswith(CACHED))
    few = [path for path in paths if path.stem.startswith(FEW)]
    parts = [_table([path for path in paths if path not in few], folder)]
    if few:
        parts.append("What is trained, by two minutes on half of 1,500 texts, the bound being about the others:\n")
        parts.append(_table(few, folder))
    return "\n".join(parts)


def _table(paths: list[Path], folder: Path) -> str:
    costs = costs_of(folder)
    rows = [COLUMNS, ("---",) * len(COLUMNS), *(_cells(path, costs) for path in paths)]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _cells(path: Path, costs: dict[tuple[str, str], tuple[str, str]]) -> tuple[str, ...]:
    cert = Certificate.load(path)
    test, base = cert.held_out, cert.hypothesis.base
    drawn = base.kind == "seeded" or (base.split is not None and base.split.start is None)
    return (
        f"[{path.stem}](results/{path.parent.name}/{path.name})",
        f"{cert.hypothesis.train or 'all'}{', from random weights' if drawn else ''}",
        f"{cert.risk.n:,}",
        f"**{percent_up(cert.bound.value)}**",
        percent_up(share_up(cert.risk.errors, cert.risk.n)),
        "" if test is None else percent_up(share_up(test.errors, test.n)),
        f"{cert.ledger.bits:,}",
        f"{sum(cert.environment.seconds.values()) / 60:.1f}",
        *_cost(costs.get((path.stem, "certify"))),
        *_cost(costs.get((path.stem, "verify"))),
    )


def _cost(found: tuple[str, str] | None) -> tuple[str, str]:
    return ("", "") if found is None else (found[0], f"{found[1]} GiB")


if __name__ == "__main__":
    print(report(Path(__file__).parent))
