"""Make what README.md says of results/ from the certificates there: print it, --write it, or --check it.

<!-- table NAME --> to <!-- end --> holds a row for each certificate of results/NAME; <!-- show NAME --> a rendering.
"""

import re
import statistics
import sys
from pathlib import Path

from pacbound.certificate.schema import Certificate, OtherBound
from pacbound.certificate.statement import percent_up
from pacbound.show import render

RESULTS = Path(__file__).parent
README = RESULTS.parent / "README.md"
BLOCK = re.compile(r"(<!-- (table|show) ([a-z0-9_]+) -->\n)(.*?)(<!-- end -->)", re.DOTALL)
COLUMNS = ("certificate", "bound", "training error", "test error", "bits", "d", "D", "minutes")
HEAD = f"| {' | '.join(COLUMNS)} |\n{'|---' * len(COLUMNS)}|\n"


def table(folder: Path) -> str:
    """One row for each certificate of an experiment, and the mean and spread of the bound over seeds."""
    paths = sorted(folder.glob("*.json"), key=_natural)
    return (
        HEAD + "".join(row(path) for path in paths) + _mean([path for path in paths if path.stem.startswith("seed_")])
    )


def _mean(seeds: list[Path]) -> str:
    values = [Certificate.load(path).bound.value for path in seeds]
    if len(values) < 2:
        return ""
    spread = f"standard deviation {100 * statistics.stdev(values):.2f} points"
    return f"\nMean over {len(values)} seeds {percent_up(statistics.mean(values))}, {spread}.\n"


def row(path: Path) -> str:
    cert = Certificate.load(path)
    test = next((o for o in cert.also if isinstance(o, OtherBound) and o.sample == "test"), None)
    projector = cert.hypothesis.projector
    cells = [
        f"[{path.stem}]({path.relative_to(RESULTS.parent)})",
        f"**{percent_up(cert.bound.value)}**",
        percent_up(cert.risk.rate),
        "" if test is None else percent_up(test.errors / test.n),
        f"{cert.ledger.bits:,}",
        "0" if projector is None else f"{projector.d:,}",
        "" if projector is None else f"{projector.D:,}",
        f"{sum(cert.environment.seconds.values()) / 60:.1f}",
    ]
    return f"| {' | '.join(cells)} |\n"


def rewritten(readme: str) -> str:
    """Return the README with every table made anew."""
    return BLOCK.sub(lambda match: match[1] + MAKERS[match[2]](RESULTS / match[3]) + match[5], readme)


def shown(folder: Path) -> str:
    """What `pacbound show` prints of the first certificate of an experiment."""
    return f"```\n{render(Certificate.load(min(folder.glob('*.json'))))}\n```\n"


MAKERS = {"table": table, "show": shown}


def _natural(path: Path) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdigit() else (0, part) for part in re.split(r"(\d+)", path.stem)]


def main() -> int:
    """Print, write or check."""
    before = README.read_text("utf-8")
    after = rewritten(before)
    if "--check" in sys.argv:
        print(
            "README.md holds the tables of results/"
            if before == after
            else "README.md is stale: results/table.py --write"
        )
        return int(before != after)
    if "--write" in sys.argv:
        README.write_text(after, "utf-8")
    else:
        print("\n".join(f"{name}\n{MAKERS[kind](RESULTS / name)}" for _, kind, name, _, _ in BLOCK.findall(before)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
