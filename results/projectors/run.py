"""The same short runs in the subspace of fastfood and of tiled fastfood: three seeds each, none selected."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from experiment import run

WAYS = {
    "mnist": ["--data", "mnist", "--epochs", "4"],
    "mnist-lenet": ["--data", "mnist", "--model", "lenet", "--epochs", "2"],
    "cifar10": ["--data", "cifar10", "--epochs", "3"],
}
COMMANDS = {
    f"{way}-{kind}-seed_{seed}": [*options, "--projector", kind, "--seed", str(seed)]
    for way, options in WAYS.items()
    for seed in range(3)
    for kind in ("fastfood", "tiled")
}

if __name__ == "__main__":
    run(Path(__file__).parent, COMMANDS)
