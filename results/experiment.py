"""Run the commands of an experiment: finished certificates are skipped, unfinished runs are resumed.

An experiment is a folder with a run.py that names its commands; each writes one certificate beside it. What the run
that finished it took stands in costs.csv: minutes of all cores together, and the most memory that it held.
"""

import os
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
        process = subprocess.Popen([sys.executable, "-m", "pacbound_cli", *command], cwd=folder)
        _, status, used = os.wait4(process.pid, 0)  # of this process alone
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise subprocess.CalledProcessError(process.returncode, command)
        minutes, gibibytes = (used.ru_utime + used.ru_stime) / 60, used.ru_maxrss / 2**20  # of kibibytes
        with open(folder / "costs.csv", "a", encoding="utf-8") as costs:
            costs.write(f"{name},certify,{minutes:.1f},{gibibytes:.2f}\n")
