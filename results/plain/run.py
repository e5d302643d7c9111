"""The plain encoder (rate-aware lattice, no curvature) on MNIST and Fashion-MNIST with LeNet, one seed each."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from experiment import run

COMMANDS = {name: ["--data", name, "--encoder", "plain", "--model", "lenet"] for name in ("mnist", "fashion-mnist")}

if __name__ == "__main__":
    run(Path(__file__).parent, COMMANDS)
