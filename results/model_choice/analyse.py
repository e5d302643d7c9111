"""What the JSON files here say: candidates of each data set, the shortest code first.

python results/model_choice/analyse.py prints the report.
"""

import json
from pathlib import Path

from pacbound.certificate.statement import percent_up

DEFAULTS = {
    "mnist": "c4k5-R-A3-c12k5-R-A3-L",
    "fashion-mnist": "c4k5-R-A3-c12k5-R-A3-L",
    "cifar10": "c8k5p-R-A3-c16k5p-R-A3-c32k5p-R-A3-L",
}


def report(folder: Path) -> str:
    """One table a data set; the network that was picked is in bold."""
    return "\n".join(_table(name, rows) for name in DEFAULTS if (rows := _rows(folder / f"{name}.json")))


def summary(folder: Path) -> str:
    """One line for the pages: LeNet against the network that was picked."""
    parts = []
    for name, default in DEFAULTS.items():
        rows = {row["network"]: row for row in _rows(folder / f"{name}.json")}
        if rows.keys() >= {default, "c16k5-M-R-c32k5-M-R-F64-R-L"}:
            before, after = rows["c16k5-M-R-c32k5-M-R-F64-R-L"], rows[default]
            parts.append(f"{name} {percent_up(before['bound'])} to {percent_up(after['bound'])}")
    return f"From LeNet to `lenet1` and, for colour, `pooled`, at equal steps: {', '.join(parts) or 'not run yet'}.\n"


def _rows(path: Path) -> list[dict]:
    rows = json.loads(path.read_text("utf-8")) if path.exists() else []
    return sorted(rows, key=lambda row: row["bound"])


def _table(name: str, rows: list[dict]) -> str:
    head = f"{name}\n\n| network | D | risk | bits | bound of the posterior | seconds |\n|---|---|---|---|---|---|\n"
    lines = []
    for row in rows:
        network = f"**{row['network']}**" if row["network"] == DEFAULTS[name] else row["network"]
        lines.append(
            f"| {network} | {row['D']:,} | {percent_up(row['risk'])} | {row['bits']:,.0f} | "
            f"{percent_up(row['bound'])} | {row['seconds']:.0f} |\n"
        )
    return head + "".join(lines)


if __name__ == "__main__":
    print(report(Path(__file__).parent))
