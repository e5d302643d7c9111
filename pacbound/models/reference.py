"""The reference networks, and the initialisation that a receiver can repeat."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..errors import ModelError
from ..specs.specs import RAW_PIXEL_MODELS, REFERENCE_MODELS
from ..subspace.random import normals
from .published import build_published

MLP_WIDTH = 256  # one wide layer codes shorter than two of 128: results on digits, 0.312 against 0.322
CNN_WIDTHS = (16, 32, 64)
RESNET_WIDTHS = (16, 32, 64)
RESNET_BLOCKS = 3  # in each of three stages: 6 * 3 + 2 = 20 layers
NORM_GROUPS = 8


def build(name: str, input_shape: Sequence[int], classes: int) -> nn.Module:
    """Build a reference network; its parameters are torch's until `initialise` sets them.

    Args: name: of `specs.REFERENCE_MODELS`. input_shape: of one example, (channels, height, width) or
        (height, width) for grey images; mlp takes any shape. classes: number of logits.
    Returns: a module from (batch, *input_shape) float32 to (batch, classes).
    Raises: ModelError where the name is unknown or the shape does not fit.
    """
    if name not in REFERENCE_MODELS:
        raise ModelError(f"build: a reference network is one of {', '.join(REFERENCE_MODELS)}, got {name!r}.")
    shape = tuple(int(size) for size in input_shape)
    if classes < 2 or not shape or min(shape) < 1:
        raise ModelError(f"build: {name} has at least 2 classes and 1 feature, got {classes} and shape {shape}.")
    if name == "mlp":
        return mlp(math.prod(shape), classes)
    if name in RAW_PIXEL_MODELS:
        _check_images(name, (1, *shape) if len(shape) == 2 else shape)
        return build_published(name, shape, classes)
    if len(shape) == 2:  # (batch, height, width) -> (batch, 1, height, width)
        return nn.Sequential(nn.Unflatten(1, (1, shape[0])), *_images(name, (1, *shape), classes))
    return _images(name, shape, classes)


def _images(name: str, shape: tuple[int, ...], classes: int) -> nn.Sequential:
    _check_images(name, shape)
    makers = {"lenet": lenet, "lenet1": lenet1, "pooled": pooled, "cnn": cnn, "resnet20": resnet20}
    return makers[name](shape, classes)


def _check_images(name: str, shape: tuple[int, ...]) -> None:
    if len(shape) != 3 or min(shape[1:]) < 4:
        raise ModelError(
            f"build: {name} reads images of (channels, height, width) with sides of at least 4, got {shape}. "
            "For other features choose mlp or bring your own network as module:callable."
        )


def lenet(shape: tuple[int, ...], classes: int) -> nn.Sequential:
    """Two 5x5 convolutions (16, 32 channels), each max-pooled by 2, then 64 hidden units.

    46,730 parameters for (1, 28, 28) and 10 classes. Pooling comes before ReLU, which is the same function with
    fewer comparisons. Images with a side below 16 are padded to keep their size.
    After LeCun et al. 1998, "Gradient-based learning applied to document recognition".
    """
    channels, height, width = shape
    padding = 0 if min(height, width) >= 16 else 2
    sides = [_pooled(_pooled(side, padding), padding) for side in (height, width)]
    return nn.Sequential(
        nn.Conv2d(channels, 16, 5, padding=padding), nn.MaxPool2d(2), nn.ReLU(),
        nn.Conv2d(16, 32, 5, padding=padding), nn.MaxPool2d(2), nn.ReLU(),
        nn.Flatten(), nn.Linear(32 * math.prod(sides), 64), nn.ReLU(), nn.Linear(64, classes),
    )  # fmt: skip


def lenet1(shape: tuple[int, ...], classes: int) -> nn.Sequential:
    """Two 5x5 convolutions (4, 12 channels), each averaged over overlapping 3x3 places, then logits.

    2,406 parameters for (1, 28, 28) and 10 classes: of the networks tried, the one with the shortest code on MNIST
    (results/model_choice). The widths are those of LeNet 1 (LeCun et al. 1995, "Comparison of learning algorithms for
    handwritten digit recognition"). Images with a side below 16 are padded to keep their size.
    """
    return _averaging(shape, classes, widths=(4, 12), padding=0 if min(shape[1:]) >= 16 else 2)


def pooled(shape: tuple[int, ...], classes: int) -> nn.Sequential:
    """Three padded 5x5 convolutions (8, 16, 32 channels), each averaged over overlapping 3x3 places, then logits.

    19,546 parameters for (3, 32, 32) and 10 classes; results/model_choice compares it with others on CIFAR-10.
    """
    return _averaging(shape, classes, widths=(8, 16, 32), padding=2)


def _averaging(shape: tuple[int, ...], classes: int, widths: tuple[int, ...], padding: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    channels, *sides = shape
    for wider in widths:
        sides = [side + 2 * padding - 4 for side in sides]
        window = min(3, *sides)
        layers += [nn.Conv2d(channels, wider, 5, padding=padding), nn.ReLU(), nn.AvgPool2d(window, 2)]
        channels, sides = wider, [(side - window) // 2 + 1 for side in sides]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(channels * math.prod(sides), classes))


def mlp(features: int, classes: int) -> nn.Sequential:
    """Flatten, one hidden layer of 256, logits."""
    return nn.Sequential(nn.Flatten(), nn.Linear(features, MLP_WIDTH), nn.ReLU(), nn.Linear(MLP_WIDTH, classes))


def cnn(shape: tuple[int, ...], classes: int) -> nn.Sequential:
    """All-convolutional: 3x3 layers, two of them with stride 2, a 1x1 layer to the classes, the mean over places.

    After Springenberg et al. 2014, arXiv:1412.6806, much smaller.
    """
    first, second, third = CNN_WIDTHS
    return nn.Sequential(
        nn.Conv2d(shape[0], first, 3, padding=1), nn.ReLU(),
        nn.Conv2d(first, second, 3, stride=2, padding=1), nn.ReLU(),
        nn.Conv2d(second, second, 3, padding=1), nn.ReLU(),
        nn.Conv2d(second, third, 3, stride=2, padding=1), nn.ReLU(),
        nn.Conv2d(third, classes, 1), MeanOverPlaces(),
    )  # fmt: skip


def resnet20(shape: tuple[int, ...], classes: int) -> nn.Sequential:
    """The 20-layer CIFAR network of He et al. 2015 (arXiv:1512.03385, sec. 4.2) with GroupNorm in 8 groups.

    Shortcuts are parameter-free (option A). GroupNorm (Wu and He 2018, arXiv:1803.08494) has no running
    statistics, so the network is the same function in training and evaluation. 269,722 parameters for
    (3, 32, 32) and 10 classes.
    """
    before = RESNET_WIDTHS[0]
    layers: list[nn.Module] = [
        nn.Conv2d(shape[0], before, 3, padding=1, bias=False), nn.GroupNorm(NORM_GROUPS, before), nn.ReLU(),
    ]  # fmt: skip
    for width in RESNET_WIDTHS:
        for _ in range(RESNET_BLOCKS):
            layers.append(ResidualBlock(before, width))
            before = width
    return nn.Sequential(*layers, MeanOverPlaces(), nn.Linear(before, classes))


class MeanOverPlaces(nn.Module):
    """Global average pooling: (batch, channels, height, width) -> (batch, channels)."""

    def forward(self, x: Tensor) -> Tensor:
        """Average over height and width."""
        return x.mean(dim=(2, 3))


class ResidualBlock(nn.Module):
    """Two normalised 3x3 convolutions beside a shortcut; a wider block halves the sides."""

    def __init__(self, before: int, width: int) -> None:
        """Args: channels coming in and going out; more going out than in means stride 2."""
        super().__init__()
        self.stride = 1 if width == before else 2
        self.padded = width - before
        self.conv1 = nn.Conv2d(before, width, 3, stride=self.stride, padding=1, bias=False)
        self.norm1 = nn.GroupNorm(NORM_GROUPS, width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.norm2 = nn.GroupNorm(NORM_GROUPS, width)

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, before, h, w) to (batch, width, h / stride, w / stride)."""
        y = self.norm2(self.conv2(F.relu(self.norm1(self.conv1(x)))))
        shortcut = x[:, :, :: self.stride, :: self.stride]
        half = self.padded // 2  # option A: new channels are zeros on both sides of the old ones
        return F.relu(y + F.pad(shortcut, (0, 0, 0, 0, half, self.padded - half)))


def initialise(module: nn.Module, seed: int) -> None:
    """Set every parameter from our own generator, so that a seed means the same network everywhere.

    Parameters with 2 or more dimensions are normal with standard deviation sqrt(2 / fan_in) (He et al. 2015,
    arXiv:1502.01852, eq. 10), fan_in being the entries per output; flat ones called `weight` (normalisation
    layers) are 1, all other flat ones (biases) 0. Each parameter draws from a stream of its own, named by its
    position, so tied parameters count once and layers do not depend on each other's sizes.

    Args: module: changed in place. seed: of the generator, recorded in the certificate.
    """
    with torch.no_grad():
        for position, (name, parameter) in enumerate(module.named_parameters()):
            if parameter.ndim >= 2:
                fan_in = parameter.numel() // parameter.shape[0]
                values = normals(seed, f"models/initialise/{position}", parameter.numel()) * math.sqrt(2 / fan_in)
                parameter.copy_(torch.from_numpy(values).reshape(parameter.shape))
            else:
                parameter.fill_(1.0 if name.rpartition(".")[2] == "weight" else 0.0)


def _pooled(side: int, padding: int) -> int:
    return (side + 2 * padding - 4) // 2  # a 5x5 convolution, then a pool of 2
