"""Make what the READMEs say of results/ from the files there: print it, --write it, or --check it.

<!-- table NAME --> to <!-- end --> holds a row for each certificate of results/NAME; <!-- show NAME --> a rendering;
<!-- summary NAME --> and <!-- report NAME --> what the functions of that name in results/NAME/analyse.py make of the
folder. Summaries stand in README.md; reports in the README.md of the experiment, whose plot is drawn by --write.
"""

import functools
import importlib.util
import re
import statistics
import sys
from pathlib import Path
from types import ModuleType

from pacbound.certificate.schema import Certificate
from pacbound.certificate.statement import percent_up, share_up
from pacbound.reports.show import render

RESULTS = Path(__file__).parent
READMES = (RESULTS.parent / "README.md", *sorted(RESULTS.glob("*/README.md")))
BLOCK = re.compile(r"(<!-- (table|show|summary|report) ([a-z0-9_]+) -->\n)(.*?)(<!-- end -->)", re.DOTALL)
COLUMNS = ("certificate", "bound", "training error", "test error", "bits", "d", "D", "minutes", "epochs")


def table(folder: Path) -> str:
    """One row for each certificate of an experiment, and the mean and spread of the bound over seeds."""
    paths = sorted(folder.glob("*.json"), key=_natural)
    if not paths:
        return f"No runs yet: `python results/{folder.name}/run.py`.\n"
    rows = [cells(path) for path in paths]
    shown = len(COLUMNS) if any(row[-1] for row in rows) else len(COLUMNS) - 1  # older certificates know no epochs
    lines = [COLUMNS, ("---",) * len(COLUMNS), *rows]
    seeds = [path for path in paths if path.stem.startswith("seed_")]
    return "".join(f"| {' | '.join(line[:shown])} |\n" for line in lines) + _mean(seeds)


def _mean(seeds: list[Path]) -> str:
    values = [Certificate.load(path).bound.value for path in seeds]
    if len(values) < 2:
        return ""
    spread = f"standard deviation {100 * statistics.stdev(values):.2f} points"
    return f"\nMean over {len(values)} seeds {percent_up(statistics.mean(values))}, {spread}.\n"


def cells(path: Path) -> tuple[str, ...]:
    """What a row of the table says of one certificate, by COLUMNS."""
    cert = Certificate.load(path)
    test = cert.held_out
    projector = cert.hypothesis.projector
    epochs = cert.environment.epochs
    return (
        f"[{path.stem}]({path.relative_to(RESULTS.parent)})",
        f"**{percent_up(cert.bound.value)}**",
        percent_up(share_up(cert.risk.errors, cert.risk.n)),
        "" if test is None else percent_up(share_up(test.errors, test.n)),
        f"{cert.ledger.bits:,}",
        "0" if projector is None else f"{projector.d:,}",
        "" if cert.hypothesis.parameters is None else f"{cert.hypothesis.parameters:,}",
        f"{sum(cert.environment.seconds.values()) / 60:.1f}",
        "" if epochs is None else f"{epochs:.0f}",
    )


def rewritten(readme: str) -> str:
    """Return the README with every table made anew."""
    return BLOCK.sub(lambda match: match[1] + MAKERS[match[2]](RESULTS / match[3]) + match[5], readme)


def shown(folder: Path) -> str:
    """What `pacbound show` prints of the first certificate of an experiment."""
    return f"```\n{render(Certificate.load(min(folder.glob('*.json'))))}\n```\n"


def analysed(kind: str, folder: Path) -> str:
    """Return what `summary` or `report` of the experiment's own analyse.py says of its folder."""
    return str(getattr(_analysis(folder), kind)(folder))


@functools.cache
def _analysis(folder: Path) -> ModuleType:
    path = folder / "analyse.py"
    spec = importlib.util.spec_from_file_location(f"analyse_{folder.name}", path)
    if spec is None or spec.loader is None or not path.is_file():
        raise FileNotFoundError(f"results/{folder.name}/analyse.py says what its files mean, and there is none.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # its dataclasses look themselves up
    before = list(sys.path)
    spec.loader.exec_module(module)
    sys.path[:] = before
    return module


MAKERS = {
    "table": table,
    "show": shown,
    "summary": functools.partial(analysed, "summary"),
    "report": functools.partial(analysed, "report"),
}


def _natural(path: Path) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdigit() else (0, part) for part in re.split(r"(\d+)", path.stem)]


def main() -> int:
    """Print, write or check."""
    stale = 0
    for path in READMES:
        before = path.read_text("utf-8")
        after = rewritten(before)
        name = path.relative_to(RESULTS.parent)
        if "--check" in sys.argv:
            print(f"{name} {'holds what results/ say' if before == after else 'is stale: results/table.py --write'}")
            stale += before != after
        elif "--write" in sys.argv:
            path.write_text(after, "utf-8")
            for _, kind, made, _, _ in BLOCK.findall(before):
                if kind == "report" and hasattr(_analysis(RESULTS / made), "draw"):  # some have no plot
                    _analysis(RESULTS / made).draw(RESULTS / made)
        else:
            for _, kind, made, _, _ in BLOCK.findall(before):
                print(f"{name}: {kind} {made}\n{MAKERS[kind](RESULTS / made)}")
    return int(stale > 0)


if __name__ == "__main__":
    sys.exit(main())
