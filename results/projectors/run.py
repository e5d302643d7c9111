"""The same short runs in the subspaces of fastfood and of tiled fastfood: three seeds each, none selected."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from experiment import run

WAYS = {
    "digits": ["--data", "digits", "--model", "mlp", "--epochs", "60"],
    "mnist": ["--data", "mnist", "--model", "edges2-c12k5-R-A4s3-L", "--epochs", "4"],
    "cifar10": ["--data", "cifar10", "--model", "flip-opponent-c16k3p1-R-A3-c32k3p1-R-A3-L", "--epochs", "2"],
}
COMMANDS = {
    f"{way}-{kind}-seed_{seed}": [*options, "--projector", kind, "--seed", str(seed)]
    for way, options in WAYS.items()
    for seed in range(3)
    for kind in ("fastfood", "tiled")
}

if __name__ == "__main__":
    run(Path(__file__).parent, COMMANDS)
