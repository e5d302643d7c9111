"""The embedded digits at default settings, and by the default network of before: five seeds, none selected."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from experiment import run

WAYS = {"seed": [], "with_mlp": ["--model", "mlp"]}
COMMANDS = {
    f"{way}_{seed}": ["--data", "digits", *options, "--seed", str(seed)]
    for way, options in WAYS.items()
    for seed in range(5)
}

if __name__ == "__main__":
    run(Path(__file__).parent, COMMANDS)
