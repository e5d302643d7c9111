"""Run the commands of an experiment: finished certificates are skipped, unfinished runs are resumed.

    python results/EXPERIMENT/run.py [NAME ...]
    python results/EXPERIMENT/run.py verify [NAME ...]     # counts the errors again, by `pacbound verify`

An experiment is a folder with a run.py that names its commands; each writes one certificate beside it. What the run
that finished it took stands in costs.csv: minutes of all cores together, and the most memory that it held.
"""

import csv
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

VERIFIED = (  # options of certify that verify has too
    "--data", "--test", "--unlabelled", "--model", "--checkpoint", "--tokenizer", "--surrogate",
    "--surrogate-checkpoint",
)  # fmt: skip


def run(folder: Path, commands: Mapping[str, Sequence[str]]) -> None:
    """Run `pacbound certify OPTIONS --output NAME.json` in the folder for every name without a certificate.

    Where the command line says `verify`, run `pacbound verify NAME.json` for every name with one.
    """
    verb, chosen = ("verify", sys.argv[2:]) if sys.argv[1:2] == ["verify"] else ("certify", sys.argv[1:])
    for name in chosen or list(commands):
        if (folder / f"{name}.json").exists() != (verb == "verify"):
            print(f"{folder.name}/{name}: {'finished' if verb == 'certify' else 'not made'}, skipped", flush=True)
            continue
        options = commands[name]
        if verb == "verify":
            command = [verb, f"{name}.json", *_of_verify(options)]
        else:
            command = [verb, *options, "--output", f"{name}.json", "--resume"]
        print(f"{folder.name}/{name}: pacbound {' '.join(command)}", flush=True)
        process = subprocess.Popen([sys.executable, "-m", "pacbound_cli", *command], cwd=folder)
        _, status, used = os.wait4(process.pid, 0)  # of this process alone
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise subprocess.CalledProcessError(process.returncode, command)
        minutes, gibibytes = (used.ru_utime + used.ru_stime) / 60, used.ru_maxrss / 2**20  # of kibibytes
        with open(folder / "costs.csv", "a", encoding="utf-8") as costs:
            costs.write(f"{name},{verb},{minutes:.1f},{gibibytes:.2f}\n")


def costs_of(folder: Path) -> dict[tuple[str, str], tuple[str, str]]:
    """Return minutes and GiB of the last run by (name, verb), of those that costs.csv of a folder has."""
    path = folder / "costs.csv"
    if not path.exists():
        return {}
    with open(path, encoding="utf-8", newline="") as lines:
        return {(name, verb): (minutes, gibibytes) for name, verb, minutes, gibibytes in csv.reader(lines)}


def _of_verify(options: Sequence[str]) -> Iterator[str]:
    """Yield those options that verify needs, with their values."""
    for option, value in zip(options, [*options[1:], ""], strict=True):
        if option in VERIFIED:
            yield from (option, value)
