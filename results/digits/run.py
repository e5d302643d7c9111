"""The embedded digits at default settings, and by the network that was the default before: five seeds, none selected."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from experiment import run

WAYS = {"seed": [], "mlp_seed": ["--model", "mlp"]}
COMMANDS = {
    f"{way}_{seed}": ["--data", "digits", *options, "--seed", str(seed)]
    for way, options in WAYS.items()
    for seed in range(5)
}

if __name__ == "__main__":
    run(Path(__file__).parent, COMMANDS)
