"""The embedded digits at default settings, five seeds of theta0 and P, none selected."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from experiment import run

COMMANDS = {f"seed_{seed}": ["--data", "digits", "--seed", str(seed)] for seed in range(5)}

if __name__ == "__main__":
    run(Path(__file__).parent, COMMANDS)
