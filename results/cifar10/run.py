"""CIFAR-10 from scratch, one seed: the bound against the minutes of training. gpu.toml is for a machine with a GPU."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from experiment import run

EPOCHS = (15, 50, 150, 300)
COMMANDS = {f"epochs_{n}": ["--data", "cifar10", "--d", "2048", "--epochs", str(n)] for n in EPOCHS}

if __name__ == "__main__":
    run(Path(__file__).parent, COMMANDS)
