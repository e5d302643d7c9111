"""The bound against the length of training, seed 0: shorter runs of the commands of results/features."""

import runpy
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from experiment import run

FEATURES = runpy.run_path(str(Path(__file__).parents[1] / "features" / "run.py"))
NAMES = ("MNIST", "FASHION", "CIFAR", "CIFAR_BARS", "DIGITS", "RANDOM", "EKFAC")
MNIST, FASHION, CIFAR, CIFAR_BARS, DIGITS, RANDOM, EKFAC = (FEATURES[name] for name in NAMES)
WAYS = {
    "mnist": ([*MNIST, *RANDOM], (3, 8, 20)),
    "fashion-mnist": ([*FASHION, *RANDOM], (3, 8, 20, 43)),
    "digits": (DIGITS, (16, 64, 200)),
    "cifar10": ([*CIFAR, *RANDOM], (3, 13)),
    "cifar10_bars": ([*CIFAR_BARS, *EKFAC], (3, 13)),
    "cifar10_ekfac": ([*CIFAR, *EKFAC], (3, 13)),
}
COMMANDS = {
    f"{data}-epochs_{epochs}": ["--data", data.partition("_")[0], *options, "--epochs", str(epochs)]
    for data, (options, lengths) in WAYS.items()
    for epochs in lengths
}

if __name__ == "__main__":
    run(Path(__file__).parent, COMMANDS)
