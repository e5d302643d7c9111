"""The reference networks, and the initialisation that a receiver can repeat."""

import math
from collections.abc import Sequence

import torch
from torch import nn

from ..errors import ModelError
from ..specs.grammar import canonical_name, parse
from ..specs.specs import RAW_PIXEL_MODELS, REFERENCE_MODELS
from ..subspace.random import normals
from .architecture import build_architecture
from .published import build_published

SECOND_FACTOR = ".lora_B."


def build(name: str, input_shape: Sequence[int], classes: int) -> nn.Module:
    """Build a reference network or one by its description; its parameters are torch's until `initialise` sets them.

    The networks of published files have modules of their own, for the names in those files. Of the others:
    lenet has two 5x5 convolutions, each max-pooled, then 64 hidden units, 46,730 parameters for (1, 28, 28) and 10
    classes; pooling comes before ReLU, which is the same function with fewer comparisons (after LeCun et al. 1998,
    "Gradient-based learning applied to document recognition"). lenet1 has the widths of LeNet 1 (LeCun et al. 1995,
    "Comparison of learning algorithms for handwritten digit recognition"), 2,406 parameters. cnn is after Springenberg
    et al. 2014, arXiv:1412.6806, much smaller. resnet20 is the CIFAR network of He et al. 2015 (arXiv:1512.03385,
    sec. 4.2) with GroupNorm (Wu and He 2018, arXiv:1803.08494), which has no running statistics, 269,722 parameters.

    Args: name: of `specs.REFERENCE_MODELS`, or a description (specs/grammar.py). input_shape: of one example,
        (channels, height, width) or (height, width) for grey images; mlp takes any shape. classes: number of logits.
    Returns: a module from (batch, *input_shape) float32 to (batch, classes).
    Raises: ModelError where there is no such network or the shape does not fit.
    """
    name = canonical_name(name)
    shape = tuple(int(size) for size in input_shape)
    if name in REFERENCE_MODELS and name != "mlp" and shape and min(shape) >= 1:
        _check_images(name, (1, *shape) if len(shape) == 2 else shape)
    if name in RAW_PIXEL_MODELS and classes >= 2:
        return build_published(name, shape, classes)
    return build_architecture(parse(name), shape, classes)


def _check_images(name: str, shape: tuple[int, ...]) -> None:
    if len(shape) != 3 or min(shape[1:]) < 4:
        raise ModelError(
            f"build: {name} reads images of (channels, height, width) with sides of at least 4, got {shape}. "
            "For other features choose mlp or bring your own network as module:callable."
        )


def initialise(module: nn.Module, seed: int) -> None:
    """Set every parameter from our own generator, so that a seed means the same network everywhere.

    Parameters with 2 or more dimensions are normal with standard deviation sqrt(2 / fan_in) (He et al. 2015,
    arXiv:1502.01852, eq. 10), fan_in being the entries per output; flat ones called `weight` (normalisation
    layers) are 1, all other flat ones (biases) 0, and so is the second factor of an adapter, lora_B. Each parameter
    draws from a stream of its own, named by its position, so tied parameters count once and layers do not depend on
    each other's sizes.

    Args: module: changed in place. seed: of the generator, recorded in the certificate.
    """
    with torch.no_grad():
        for position, (name, parameter) in enumerate(module.named_parameters()):
            if SECOND_FACTOR in name:
                parameter.zero_()
            elif parameter.ndim >= 2:
                fan_in = parameter.numel() // parameter.shape[0]
                values = normals(seed, f"models/initialise/{position}", parameter.numel()) * math.sqrt(2 / fan_in)
                parameter.copy_(torch.from_numpy(values).reshape(parameter.shape))
            else:
                parameter.fill_(1.0 if name.rpartition(".")[2] == "weight" else 0.0)
