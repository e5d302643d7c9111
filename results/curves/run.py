"""The bound against the length of training, seed 0: shorter runs of the commands of results/features."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from experiment import run

RANDOM = ["--projector", "fastfood"]
CIFAR = ["--model", "flip-opponent-c16k3p1-R-A3-c32k3p1-R-A3-L", "--d", "2048"]
CIFAR_BARS = ["--model", "flip-bars2-c12k3p1-R-A3-c32k3p1-R-A3-L", "--d", "2048"]
WAYS = {
    "mnist": (["--model", "moments-edges1-c8k5-R-A4s3-L", *RANDOM], (3, 8, 20)),
    "fashion-mnist": (["--model", "edges2-c12k5-R-A4s3-L", *RANDOM], (3, 8, 20, 43)),
    "digits": (["--model", "c16k3-R-A2-L"], (16, 64, 200)),
    "cifar10": ([*CIFAR, *RANDOM], (3, 13)),
    "cifar10_bars": ([*CIFAR_BARS, "--projector", "ekfac"], (3, 13)),
    "cifar10_ekfac": ([*CIFAR, "--projector", "ekfac"], (3, 13)),
}
COMMANDS = {
    f"{data}-epochs_{epochs}": ["--data", data.partition("_")[0], *options, "--epochs", str(epochs)]
    for data, (options, lengths) in WAYS.items()
    for epochs in lengths
}

if __name__ == "__main__":
    run(Path(__file__).parent, COMMANDS)
