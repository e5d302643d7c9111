"""CIFAR-10 from scratch, one seed: the bound against the minutes of training. gpu.toml is for a machine with a GPU."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from experiment import run

PLANS = {"default": [], **{f"epochs_{n}": ["--epochs", str(n)] for n in (15, 200)}}
COMMANDS = {name: ["--data", "cifar10", "--model", "pooled", "--d", "2048", *plan] for name, plan in PLANS.items()}

if __name__ == "__main__":
    run(Path(__file__).parent, COMMANDS)
