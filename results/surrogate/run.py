"""Bounds for published networks as they are: the training set with labels, half of the test inputs without.

The other half of the test set, with labels, gives the test-set bound beside it. Checkpoints below the data root:
advertorch's cleanly trained LeNet for MNIST (Ding et al. 2019), the ResNets of akamaster/pytorch_resnet_cifar10.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from experiment import run

from pacbound.data.roots import data_root

ROOT = data_root() / "checkpoints"


def command(data: str, model: str, file: str, *more: str) -> list[str]:
    """Options for one original network."""
    original = ["--method", "surrogate", "--model", model, "--checkpoint", str(ROOT / file)]
    return [
        *original,
        "--data",
        data,
        "--unlabelled",
        f"{data}:test:1/2",
        "--test",
        f"{data}:test:2/2",
        "--earlier-looks",
        "0",
        *more,
    ]


COMMANDS = {
    "mnist_lenet": command("mnist", "lenet-mnist", "lenet5-mnist/mnist_lenet5_clntrained.pt"),
    "cifar10_resnet20": command("cifar10", "resnet20-bn", "resnet-cifar10/resnet20-12fca82f.th", "--d", "2048"),
    "cifar10_resnet32": command("cifar10", "resnet32-bn", "resnet-cifar10/resnet32-d509ac18.th", "--d", "2048"),
}

if __name__ == "__main__":
    run(Path(__file__).parent, COMMANDS)
