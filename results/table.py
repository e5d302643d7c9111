"""Make what the READMEs and docs/ say of results/ from the files there: print it, --write it, or --check it.

<!-- table NAME --> to <!-- end --> holds a row for each certificate of results/NAME; <!-- show NAME --> a rendering;
<!-- study NAME --> the arms of the small study on each sample; <!-- summary NAME --> and <!-- report NAME --> what the
functions of that name in results/NAME/analyse.py make of the folder. Reports stand in the README.md of the experiment,
whose plot is drawn by --write. So are other plots, each by the command beside it: <!-- drawn by pacbound ... -->.
"""

import functools
import importlib.util
import os
import re
import shlex
import statistics
import subprocess
import sys
from pathlib import Path
from types import ModuleType

from pacbound.certificate.schema import Certificate
from pacbound.certificate.statement import percent_up, share_up
from pacbound.reports.beside import markdown_of
from pacbound.reports.show import render
from pacbound.studies.catalogue import read_study
from pacbound.studies.running import results_of
from pacbound.studies.section import sections

RESULTS = Path(__file__).parent
ROOT = RESULTS.parent
DOCS = ROOT / "docs"
PAGES = (ROOT / "README.md", *sorted(RESULTS.glob("*/README.md")), *sorted(DOCS.rglob("*.md")))
BLOCK = re.compile(r"(<!-- (table|show|study|summary|report) ([a-z0-9_]+) -->\n)(.*?)(<!-- end -->)", re.DOTALL)
LINK = re.compile(r"\]\((results/[^)]+)\)")  # of what is made, from the root of the repository
DRAWN = re.compile(r"<!-- drawn by pacbound (.+) -->")
WIDTH = 100  # of what `pacbound show` prints
STUDIES = {"transfer_heads": "transfer"}  # folder -> study, where the names differ
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
        f"[{path.stem}]({path.relative_to(ROOT)})",
        f"**{percent_up(cert.bound.value)}**",
        percent_up(share_up(cert.risk.errors, cert.risk.n)),
        "" if test is None else percent_up(share_up(test.errors, test.n)),
        f"{cert.ledger.bits:,}",
        "0" if projector is None else f"{projector.d:,}",
        "" if cert.hypothesis.parameters is None else f"{cert.hypothesis.parameters:,}",
        f"{sum(cert.environment.seconds.values()) / 60:.1f}",
        "" if epochs is None else f"{epochs:.0f}",
    )


def rewritten(text: str, page: Path) -> str:
    """Return the text of a page with every table made anew."""
    return BLOCK.sub(lambda match: match[1] + made(match[2], match[3], page) + match[5], text)


def made(kind: str, name: str, page: Path) -> str:
    """Return what stands in a block of a page; its links are relative to the page."""
    return LINK.sub(lambda match: f"]({_linked(ROOT / match[1], page)})", MAKERS[kind](RESULTS / name))


def _linked(file: Path, page: Path) -> str:
    """The way from a page to a file; in docs/ an experiment has a page of its own."""
    if DOCS in page.parents and file.name == "README.md":
        file = DOCS / "results" / f"{file.parent.name}.md"
    way = Path(os.path.relpath(file, page.parent)).as_posix()
    return f"./{way}" if file.parent == page.parent else way


def shown(folder: Path) -> str:
    """What `pacbound show` prints of the first certificate of an experiment."""
    return f"```\n{render(Certificate.load(min(folder.glob('*.json'))), width=WIDTH)}\n```\n"


def studied(folder: Path) -> str:
    """The arms of a study on each of its samples, with the spread over seeds."""
    study = read_study(STUDIES.get(folder.name, folder.name.replace("_", "-")))
    found = sections(study, results_of(study, folder, folder))
    return markdown_of([section for section in found if section.table is not None]) + "\n"


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
    "study": studied,
    "summary": functools.partial(analysed, "summary"),
    "report": functools.partial(analysed, "report"),
}


def _natural(path: Path) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdigit() else (0, part) for part in re.split(r"(\d+)", path.stem)]


def main() -> int:
    """Print, write or check."""
    stale = 0
    for page in PAGES:
        before = page.read_text("utf-8")
        after = rewritten(before, page)
        name = page.relative_to(ROOT)
        if "--check" in sys.argv:
            print(f"{name} {'holds what results/ say' if before == after else 'is stale: results/table.py --write'}")
            stale += before != after
        elif "--write" in sys.argv:
            page.write_text(after, "utf-8")
            for _, kind, experiment, _, _ in BLOCK.findall(before):
                if kind == "report" and hasattr(_analysis(RESULTS / experiment), "draw"):  # some have no plot
                    _analysis(RESULTS / experiment).draw(RESULTS / experiment)
            for command in DRAWN.findall(before):
                subprocess.run([sys.executable, "-m", "pacbound_cli", *shlex.split(command)], cwd=ROOT, check=True)
        else:
            for _, kind, experiment, _, _ in BLOCK.findall(before):
                print(f"{name}: {kind} {experiment}\n{made(kind, experiment, page)}")
    return int(stale > 0)


if __name__ == "__main__":
    sys.exit(main())
