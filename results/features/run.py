"""Networks behind features that cost no bits, under dependent quantization: three seeds a data set, none selected."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from experiment import run

MNIST = ["--model", "moments-edges1-c8k5-R-A4s3-L"]
FASHION = ["--model", "edges2-c12k5-R-A4s3-L"]
CIFAR = ["--model", "flip-opponent-c16k3p1-R-A3-c32k3p1-R-A3-L", "--d", "2048"]
MNIST_BARS = ["--model", "moments-bars1-c8k5-R-A4s3-L"]
FASHION_BARS = ["--model", "bars2-c8k5-R-A4s3-L"]
CIFAR_BARS = ["--model", "flip-bars2-c12k3p1-R-A3-c32k3p1-R-A3-L", "--d", "2048"]
DIGITS = ["--model", "c16k3-R-A2-L"]
RANDOM, EKFAC = ["--projector", "fastfood"], ["--projector", "ekfac"]
TWICE = ["--epochs", "86"]
WAYS = {
    "mnist": [*MNIST, *RANDOM],
    "mnist_ekfac": [*MNIST, *EKFAC],
    "mnist_bars": [*MNIST_BARS, *EKFAC],
    "mnist_bars_long": [*MNIST_BARS, *EKFAC, *TWICE],
    "fashion-mnist_ekfac": [*FASHION, *TWICE, *EKFAC],
    "fashion-mnist_bars": [*FASHION_BARS, *TWICE, *EKFAC],
    "cifar10_ekfac": [*EKFAC, *CIFAR],
    "cifar10_ekfac_longest": [*EKFAC, *CIFAR, "--epochs", "208"],
    "cifar10_bars": [*CIFAR_BARS, *EKFAC],
    "cifar10_bars_long": [*CIFAR_BARS, *EKFAC, "--epochs", "104"],
    "digits": DIGITS,
}
COMMANDS = {
    f"{data}-seed_{seed}": ["--data", data.partition("_")[0], *options, "--seed", str(seed)]
    for data, options in WAYS.items()
    for seed in range(3)
}

if __name__ == "__main__":
    run(Path(__file__).parent, COMMANDS)
