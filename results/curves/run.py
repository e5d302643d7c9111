"""The bound against the length of training, seed 0: shorter runs of the commands of results/features."""

import runpy
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from experiment import run

FEATURES = runpy.run_path(str(Path(__file__).parents[1] / "features" / "run.py"))
MNIST, FASHION, CIFAR = (FEATURES[f"{name}_BARS"] for name in ("MNIST", "FASHION", "CIFAR"))
WAYS = {
    "digits": (FEATURES["DIGITS"], (16, 64, 200)),
    "mnist": ([*MNIST, *FEATURES["EKFAC"]], (3, 8, 20)),
    "fashion-mnist": ([*FASHION, *FEATURES["EKFAC"]], (3, 8, 20, 43)),
    "cifar10": ([*CIFAR, *FEATURES["EKFAC"]], (3, 13)),
}
COMMANDS = {
    f"{data}-epochs_{epochs}": ["--data", data, *options, "--epochs", str(epochs)]
    for data, (options, lengths) in WAYS.items()
    for epochs in lengths
}

if __name__ == "__main__":
    run(Path(__file__).parent, COMMANDS)
