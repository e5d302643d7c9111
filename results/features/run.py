"""Networks behind features that cost no bits, under dependent quantization: three seeds a data set, none selected."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from experiment import run

WAYS = {
    "mnist": ["--model", "moments-edges1-c8k5-R-A4s3-L"],
    "fashion-mnist": ["--epochs", "86"],
    "mnist_4": ["--model", "moments-edges1-c8k5-R-A4s3-L", "--encoder-seeds", "4"],
    "digits": ["--model", "c16k3-R-A2-L"],
    "digits_ekfac": ["--model", "c16k3-R-A2-L", "--projector", "ekfac"],
    "digits_4": ["--model", "c16k3-R-A2-L", "--encoder-seeds", "4"],
    "mnist_ekfac": ["--model", "moments-edges1-c8k5-R-A4s3-L", "--projector", "ekfac"],
    "fashion-mnist_ekfac": ["--epochs", "86", "--projector", "ekfac"],
    "cifar10": ["--d", "2048"],
    "cifar10_long": ["--d", "2048", "--epochs", "104"],
    "cifar10_longest": ["--d", "2048", "--epochs", "208"],
    "cifar10_ekfac": ["--projector", "ekfac", "--d", "2048"],
    "cifar10_ekfac_longest": ["--projector", "ekfac", "--d", "2048", "--epochs", "208"],
}
COMMANDS = {
    f"{data}-seed_{seed}": ["--data", data.partition("_")[0], *options, "--seed", str(seed)]
    for data, options in WAYS.items()
    for seed in range(3)
}

if __name__ == "__main__":
    run(Path(__file__).parent, COMMANDS)
