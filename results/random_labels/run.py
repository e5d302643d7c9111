"""Random labels: the certificate has to say that it is no better than guessing."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from experiment import run

COMMANDS = {"mnist": ["--data", "labels:mnist", "--model", "lenet"]}

if __name__ == "__main__":
    run(Path(__file__).parent, COMMANDS)
