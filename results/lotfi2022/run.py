"""The published recipe (one learned codebook, static counts, Catoni over a grid) under our accounting."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from experiment import run

COMMANDS = {"mnist": ["--preset", "lotfi2022", "--data", "mnist", "--model", "lenet"]}

if __name__ == "__main__":
    run(Path(__file__).parent, COMMANDS)
