"""The published recipe (one learned codebook, static counts, Catoni over a grid) under our accounting."""

from pathlib import Path

from experiment import run

COMMANDS = {"mnist": ["--preset", "lotfi2022", "--data", "mnist"]}

if __name__ == "__main__":
    run(Path(__file__).parent, COMMANDS)
