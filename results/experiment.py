"""Run the commands of an experiment: finished certificates are skipped, unfinished runs are resumed.

An experiment is a folder with a run.py that names its commands; each writes one certificate beside it.
"""

import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path


def run(folder: Path, commands: Mapping[str, Sequence[str]]) -> None:
    """Run `pacbound certify OPTIONS --output NAME.json` in the folder for every name without a certificate."""
    chosen = sys.argv[1:] or list(commands)
    for name in chosen:
        if (folder / f"{name}.json").exists():
            print(f"{folder.name}/{name}: finished, skipped", flush=True)
            continue
        command = ["certify", *commands[name], "--output", f"{name}.json", "--resume"]
        print(f"{folder.name}/{name}: pacbound {' '.join(command)}", flush=True)
        subprocess.run([sys.executable, "-m", "pacbound_cli", *command], cwd=folder, check=True)
