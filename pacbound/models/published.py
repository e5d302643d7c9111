"""The architectures of published checkpoints, with the parameter names of their files.

Each network reads raw pixels, 0 to 255, and standardises them itself by the constants it was trained with. The
constants are part of the architecture, so that a message need not carry them: beside these networks the
preprocessing is always `none`.
"""

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional as F

from ..errors import ModelError

CIFAR_MEAN, CIFAR_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
RESNET_WIDTHS = (16, 32, 64)
LENET_WIDTHS = (32, 64, 200)
PIXEL_MAXIMUM = 255.0


class Pixels(nn.Module):
    """From raw pixels to what a published network was trained on: x' = (x / 255 - mean) / std for each channel."""

    def __init__(self, shape: Sequence[int], mean: tuple[float, ...] = (0.0,), std: tuple[float, ...] = (1.0,)) -> None:
        """Args: shape of one example, (height, width) or (channels, height, width). mean, std: one or per channel."""
        super().__init__()
        self.shape = (1, *shape) if len(shape) == 2 else tuple(shape)
        self.mean, self.std = mean, std

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, *shape) to (batch, channels, height, width); a grey image fills all channels alike."""
        x = x.reshape(len(x), *self.shape) / PIXEL_MAXIMUM
        mean, std = (x.new_tensor(values).view(1, -1, 1, 1) for values in (self.mean, self.std))
        return (x - mean) / std


class LeNetForMnist(nn.Module):
    """Two 3x3 convolutions (32, 64 channels), each max-pooled by 2, then 200 hidden units.

    648,226 parameters for (1, 28, 28) and 10 classes. The network of advertorch's cleanly trained MNIST
    checkpoint (Ding et al. 2019, arXiv:1902.07623), x / 255.
    """

    def __init__(self, shape: Sequence[int], classes: int) -> None:
        """Args: shape of one example; classes: number of logits."""
        super().__init__()
        self.pixels = Pixels(shape)
        channels, height, width = self.pixels.shape
        first, second, hidden = LENET_WIDTHS
        self.conv1 = nn.Conv2d(channels, first, 3, padding=1)
        self.conv2 = nn.Conv2d(first, second, 3, padding=1)
        self.linear1 = nn.Linear(second * (height // 4) * (width // 4), hidden)
        self.linear2 = nn.Linear(hidden, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Map raw pixels (batch, *shape) to logits (batch, classes)."""
        x = F.max_pool2d(F.relu(self.conv1(self.pixels(x))), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        return self.linear2(F.relu(self.linear1(x.flatten(1))))


class ResNetForCifar(nn.Module):
    """The CIFAR network of He et al. 2015 (arXiv:1512.03385, sec. 4.2) with 6 * blocks + 2 layers and BatchNorm.

    Shortcuts are parameter-free (option A). 269,722 parameters for blocks = 3 and 464,154 for blocks = 5, at 10
    classes: those of the checkpoints by Idelbayev, "Proper ResNet Implementation for CIFAR10/CIFAR100 in PyTorch".
    Running statistics are those of the checkpoint; from a seed they stay mean 0 and variance 1.
    """

    def __init__(self, shape: Sequence[int], classes: int, blocks: int) -> None:
        """Args: shape of one example, in colour or grey. classes: number of logits. blocks: in each of three stages.

        Raises: ModelError for another number of channels than 1 or 3.
        """
        super().__init__()
        self.pixels = Pixels(shape, CIFAR_MEAN, CIFAR_STD)
        if self.pixels.shape[0] not in (1, len(CIFAR_MEAN)):
            raise ModelError(
                f"build: a ResNet of CIFAR reads colour or grey images, got {self.pixels.shape[0]} channels. "
                "Choose resnet20, which reads any number."
            )
        first, second, third = RESNET_WIDTHS
        self.conv1 = nn.Conv2d(len(CIFAR_MEAN), first, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(first)
        self.layer1 = _stage(first, first, blocks)
        self.layer2 = _stage(first, second, blocks)
        self.layer3 = _stage(second, third, blocks)
        self.linear = nn.Linear(third, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Map raw pixels (batch, *shape) to logits (batch, classes)."""
        x = F.relu(self.bn1(self.conv1(self.pixels(x))))
        return self.linear(self.layer3(self.layer2(self.layer1(x))).mean(dim=(2, 3)))


class NormalisedBlock(nn.Module):
    """Two batch-normalised 3x3 convolutions beside a shortcut; a wider block halves the sides."""

    def __init__(self, before: int, width: int) -> None:
        """Args: channels coming in and going out; more going out than in means stride 2."""
        super().__init__()
        self.stride = 1 if width == before else 2
        self.padded = width - before
        self.conv1 = nn.Conv2d(before, width, 3, stride=self.stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, before, h, w) to (batch, width, h / stride, w / stride)."""
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        half = self.padded // 2  # option A: new channels are zeros on both sides of the old ones
        shortcut = F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, half, self.padded - half))
        return F.relu(y + shortcut)


def _stage(before: int, width: int, blocks: int) -> nn.Sequential:
    return nn.Sequential(NormalisedBlock(before, width), *(NormalisedBlock(width, width) for _ in range(blocks - 1)))


def build_published(name: str, shape: Sequence[int], classes: int) -> nn.Module:
    """Build the network of a name in `specs.RAW_PIXEL_MODELS`; its parameters are torch's until they are loaded.

    Args: shape of one example, (channels, height, width) or (height, width). classes: number of logits.
    Raises: ModelError for channels that it cannot read.
    """
    if name == "lenet-mnist":
        return LeNetForMnist(shape, classes)
    return ResNetForCifar(shape, classes, {"resnet20-bn": 3, "resnet32-bn": 5}[name])
