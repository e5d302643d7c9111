"""What others have published beside our certificates about the same question: claims.toml says which.

python results/table.py prints the table.
"""

import tomllib
from pathlib import Path
from statistics import mean, stdev

from pacbound.certificate.schema import Certificate
from pacbound.certificate.statement import percent_up

CLAIMS = "claims.toml"
HEAD = "| claim | published | ours | source of the published figures |\n|---|---:|---:|---|\n"


def report(folder: Path) -> str:
    """One row a claim; an arrow stands between the figures of one claim, and a dash where nobody ran it here."""
    document = tomllib.loads((folder / CLAIMS).read_text("utf-8"))
    rows = [
        f"| {claim['what']} | {' → '.join(f'{one} %' for one in claim['published'])} "
        f"| {' → '.join(_ours(folder.parent, pattern) for pattern in claim['ours'])} "
        f"| {document['sources'][claim['source']]} |\n"
        for claim in document["claim"]
    ]
    return HEAD + "".join(rows)


def summary(folder: Path) -> str:
    """The best published figures of parameter codes, in a sentence for README.md."""
    document = tomllib.loads((folder / CLAIMS).read_text("utf-8"))
    named = [claim for claim in document["claim"] if "short" in claim]
    figures = ", ".join(f"{claim['published'][0]} % on {claim['short']}" for claim in named)
    return f"The best published figures of parameter codes: {figures} ({document['sources']['lotfi']}, on GPUs).\n"


def _ours(results: Path, pattern: str) -> str:
    """The bound of the certificates of a pattern: over several the mean, their number and their spread in points."""
    paths = sorted(results.glob(f"{pattern}.json")) if pattern else []
    values = [Certificate.load(path).bound.value for path in paths]
    if not values:
        return "–"
    name = f"[{percent_up(mean(values))}](results/{paths[0].relative_to(results).as_posix()})"
    return name if len(values) == 1 else f"{name} ± {100 * stdev(values):.2f} ({len(values)} runs)"
