"""Networks from their descriptions: what each layer of specs/grammar.py is, for a shape and a number of classes."""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..errors import ModelError
from ..specs.grammar import FEATURES, NORMS, ON_MAPS, VIEWS, Architecture, Layer, turned
from .features import Bars, ColourBars, Edges, Moments, Opponent, edge_stride
from .published import CIFAR_MEAN, CIFAR_STD, Pixels
from .views import Front, MeanOfViews, MeanOverViews, count_views

TURNS = 4  # of the group of quarter turns
SMALL_SIDE = 16  # below it, images are padded by default
MAX_PARAMETERS = 1 << 28  # a description is a few characters; it must not exhaust the memory of whoever reads it
MAX_PLACES = 1 << 24  # numbers between two layers, for one example
ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {"R": nn.ReLU, "tanh": nn.Tanh, "gelu": nn.GELU, "silu": nn.SiLU}
READ_BY = {"opponent": ("colour",), "bars": ("grey", "colour")}  # features that do not read grey images alone
POOLS: dict[str, Callable[[int, int], nn.Module]] = {"A": nn.AvgPool2d, "M": nn.MaxPool2d}


def build_architecture(architecture: Architecture, input_shape: Sequence[int], classes: int) -> nn.Sequential:
    """Build the network of a description; its parameters are torch's until `initialise` sets them.

    Args: input_shape: of one example, (channels, height, width), (height, width) for grey images, or any other where no
        layer reads images. classes: number of logits, at least 2.
    Returns: a module from (batch, *input_shape) float32 to (batch, classes).
    Raises: ModelError that names the first layer that does not fit.
    """
    shape = tuple(int(size) for size in input_shape)
    if architecture.reads_sequences:
        raise ModelError(
            f"build: {architecture} says what symbol comes next in a sequence and classifies no examples, got examples "
            f"of shape {shape}. Start with another layer than {architecture.layers[0].kind}, or certify a text with "
            "--task lm."
        )
    if classes < 2 or not shape or min(shape) < 1:
        raise ModelError(
            f"build: {architecture} has at least 2 classes and 1 feature, got {classes} and shape {shape}."
        )
    draft = _Draft(architecture, shape, classes)
    for position in range(len(architecture.layers)):
        draft.add(position)
    views = {layer.kind: layer.size for layer in architecture.layers if layer.kind in VIEWS}
    mirrored, reach = "flip" in views, views.get("V") or 0
    if any(layer.kind in FEATURES for layer in architecture.layers):
        trained = next(k for k, module in enumerate(draft.modules) if any(True for _ in module.parameters()))
        front = Front(nn.Sequential(*draft.modules[:trained]), mirrored, reach)
        network = nn.Sequential(*draft.modules[trained:])
        return nn.Sequential(front, MeanOfViews(network, count_views(mirrored, reach)))
    network = nn.Sequential(*draft.modules)
    return nn.Sequential(MeanOverViews(network, mirrored, reach)) if views else network


class _Draft:
    """A network while it grows: its modules, the shape of what leaves the last one, and parameters so far."""

    def __init__(self, architecture: Architecture, shape: tuple[int, ...], classes: int) -> None:
        self.architecture, self.classes = architecture, classes
        self.modules: list[nn.Module] = []
        self.shape, self.flat, self.parameters = shape, False, 0
        self.small = len(shape) >= 2 and min(shape[-2:]) < SMALL_SIDE
        self.position = 0

    def add(self, position: int) -> None:
        """Append the modules of one layer."""
        self.position = position
        layer = self.architecture.layers[position]
        if layer.kind in ON_MAPS:
            self._read_images()
        if layer.kind in ("unit", "imagenet"):
            self._pixels(layer.kind)
        elif layer.kind in VIEWS:
            pass  # around all others: see build_architecture
        elif layer.kind in ("c", "t"):
            self._convolution(layer)
        elif layer.kind == "T":
            self._append(MostOfTurns(), (self.shape[0] // TURNS, *self.shape[1:]))
        elif layer.kind == "r":
            self._blocks(layer)
        elif layer.kind in POOLS:
            window = min(layer.size or 1, *self.shape[1:])
            stride = layer.stride or 1
            sides = [(side - window) // stride + 1 for side in self.shape[1:]]
            self._append(POOLS[layer.kind](window, stride), (self.shape[0], *sides))
        elif layer.kind in FEATURES:
            self._feature(layer)
        elif layer.kind == "blur":
            self.modules += [nn.ReplicationPad2d(1), nn.AvgPool2d(2, 1)]  # two means of two are (1, 2, 1) / 4
            self._append(nn.AvgPool2d(2), (self.shape[0], *((side + 1) // 2 for side in self.shape[1:])))
        elif layer.kind in ACTIVATIONS:
            self.modules.append(ACTIVATIONS[layer.kind]())
        elif layer.kind in NORMS:
            self._norm(layer)
        elif layer.kind == "G":
            self._append(MeanOverPlaces(), self.shape[:1])
            self.flat = True
        elif layer.kind == "P":
            self._spend(self.shape[0] * self.classes + self.classes)
            self.modules += [nn.Conv2d(self.shape[0], self.classes, 1), MeanOverPlaces()]
        else:
            self._linear(layer.size if layer.kind == "h" else self.classes)

    def _append(self, module: nn.Module, shape: tuple[int, ...]) -> None:
        if math.prod(shape) > MAX_PLACES:
            raise self._unfit(f"at most {MAX_PLACES:,} numbers leave a layer, got shape {shape}")
        self.modules.append(module)
        self.shape = shape

    def _spend(self, parameters: int) -> None:
        """Count parameters before they take memory."""
        self.parameters += parameters
        if self.parameters > MAX_PARAMETERS:
            raise self._unfit(f"a described network has at most {MAX_PARAMETERS:,} parameters, got {self.parameters:,}")

    def _unfit(self, rule: str) -> ModelError:
        layer = self.architecture.layers[self.position]
        return ModelError(
            f"build: layer {self.position + 1} ({layer}) of {self.architecture}: {rule}. "
            "Change the description, or bring your own network as module:callable."
        )

    def _read_images(self) -> None:
        """See that a map comes in; (height, width) becomes (1, height, width)."""
        if len(self.shape) == 2:
            self._append(nn.Unflatten(1, (1, self.shape[0])), (1, *self.shape))
        if len(self.shape) != 3:
            raise self._unfit(f"it reads images of (channels, height, width), got shape {self.shape}")

    def _pixels(self, kind: str) -> None:
        if len(self.shape) not in (2, 3):
            raise self._unfit(f"it reads images of (channels, height, width), got shape {self.shape}")
        mean, std = (CIFAR_MEAN, CIFAR_STD) if kind == "imagenet" else ((0.0,), (1.0,))
        channels, *sides = (1, *self.shape) if len(self.shape) == 2 else self.shape
        if kind == "imagenet" and channels not in (1, len(CIFAR_MEAN)):
            raise self._unfit(f"it reads colour or grey images, got {channels} channels")
        shape = (len(CIFAR_MEAN) if kind == "imagenet" else channels, *sides)
        self._append(Pixels(self.shape, mean, std), shape)

    def _feature(self, layer: Layer) -> None:
        channels, *sides = self.shape
        size, read = layer.size or 1, READ_BY.get(layer.kind, ("grey",))
        images = {1: "grey", len(CIFAR_MEAN): "colour"}.get(channels)
        if images not in read:
            raise self._unfit(f"it reads {' or '.join(read)} images, got {channels} channels")
        if images == "colour":
            if min(sides) < 3:
                raise self._unfit(f"it reads colour images with sides of at least 3, got shape {self.shape}")
            maps = ColourBars(smooth=size == 2) if layer.kind == "bars" else Opponent()
            self._append(maps, (maps.channels, *((side - 3) // 2 + 1 for side in sides)))
            return
        if layer.kind == "moments":
            self._append(Moments(), self.shape)
            return
        stride = edge_stride(tuple(sides))
        edges = Bars(size == 2) if layer.kind == "bars" else Edges(normalised=size <= 2, intensity=size % 2 == 0)
        self._append(edges, (edges.channels, *((side - 1) // stride + 1 for side in sides)))

    def _convolution(self, layer: Layer) -> None:
        width, kernel, stride, padding = layer.size or 1, layer.kernel or 1, layer.stride or 1, layer.padding
        if padding is None:
            padding = kernel // 2 if self.small else 0
        sides = [(side + 2 * padding - kernel) // stride + 1 for side in self.shape[1:]]
        if min(sides) < 1:
            raise self._unfit(
                f"a kernel of {kernel} with {padding} zeros around fits a map of {self.shape}: it does not"
            )
        self._spend(self.shape[0] * width * kernel**2 + width)
        if layer.kind == "t":
            on_turns = turned(self.architecture.layers[: self.position])
            module = TurnedConvolution(self.shape[0], width, kernel, stride, padding, on_turns)
            self._append(module, (TURNS * width, *sides))
        else:
            bias = not self._normed_next()
            self._append(nn.Conv2d(self.shape[0], width, kernel, stride, padding, bias=bias), (width, *sides))

    def _blocks(self, layer: Layer) -> None:
        width = layer.size or 1
        if width < self.shape[0]:
            raise self._unfit(f"a block has at least as many channels as come in, {self.shape[0]}")
        norm = next((it for it in reversed(self.architecture.layers[: self.position]) if it.kind in NORMS), None)
        for _ in range(layer.repeat or 1):
            before, *sides = self.shape
            self._spend(9 * width * (before + width) + 4 * width)
            norms = [self._make_norm(norm, width), self._make_norm(norm, width)]
            if before < width:
                sides = [(side + 1) // 2 for side in sides]
            self._append(ResidualBlock(before, width, *norms), (width, *sides))

    def _normed_next(self) -> bool:
        """Whether the next layer is a norm, which makes a bias needless; the head is never asked."""
        return self.architecture.layers[self.position + 1].kind in NORMS

    def _norm(self, layer: Layer) -> None:
        if len(self.shape) == 2:
            self._read_images()
        self._spend(2 * self.shape[0])
        norm = self._make_norm(layer, self.shape[0])
        assert norm is not None
        self.modules.append(norm)

    def _make_norm(self, layer: Layer | None, channels: int) -> nn.Module | None:
        """Return the norm of a layer for so many channels; None where there is none."""
        if layer is None:
            return None
        if layer.kind == "B":
            return nn.BatchNorm2d(channels) if len(self.shape) == 3 else nn.BatchNorm1d(channels)
        groups = layer.size or 1
        if channels % groups:
            raise self._unfit(f"{channels} channels fall into {groups} equal groups: they do not")
        return nn.GroupNorm(groups, channels)

    def _linear(self, units: int | None) -> None:
        assert units is not None
        if not self.flat:
            self._append(nn.Flatten(), (math.prod(self.shape),))
            self.flat = True
        self._spend((self.shape[0] + 1) * units)
        last = self.position == len(self.architecture.layers) - 1
        self._append(nn.Linear(self.shape[0], units, bias=last or not self._normed_next()), (units,))


class TurnedConvolution(nn.Module):
    """Convolution of the group of quarter turns: channels come and go as (turns, channels of one turn), turn first.

    Turning the image turns what comes out and moves its turns on by one (Cohen and Welling 2016, arXiv:1602.07576,
    eqs. 10 and 11), as long as the stride leaves no places over at the border.
    """

    def __init__(self, before: int, width: int, kernel: int, stride: int, padding: int, on_turns: bool) -> None:
        """Args: channels coming in, all turns together, and going out for each turn; on_turns: what comes has turns."""
        super().__init__()
        self.stride, self.padding, self.on_turns = stride, padding, on_turns
        self.weight = nn.Parameter(torch.empty(width, before, kernel, kernel))
        self.bias = nn.Parameter(torch.empty(width))
        nn.init.kaiming_normal_(self.weight)
        nn.init.zeros_(self.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, before, h, w) to (batch, 4 width, h', w')."""
        bank = torch.cat([self._turned(turns) for turns in range(TURNS)])
        return F.conv2d(x, bank, self.bias.repeat(TURNS), self.stride, self.padding)

    def _turned(self, turns: int) -> Tensor:
        """The filters after so many quarter turns, (width, before, k, k)."""
        weight = self.weight
        if self.on_turns:
            parts = weight.unflatten(1, (TURNS, -1))  # (width, turns, channels of one turn, k, k)
            weight = parts.roll(turns, 1).flatten(1, 2)
        return weight.rot90(turns, (-2, -1))


class MostOfTurns(nn.Module):
    """Maximum over the four turns: (batch, 4 channels, height, width) -> (batch, channels, height, width)."""

    def forward(self, x: Tensor) -> Tensor:
        """Take the largest of the turns."""
        return x.unflatten(1, (TURNS, -1)).amax(1)


class MeanOverPlaces(nn.Module):
    """Global average pooling: (batch, channels, height, width) -> (batch, channels)."""

    def forward(self, x: Tensor) -> Tensor:
        """Average over height and width."""
        return x.mean(dim=(2, 3))


class ResidualBlock(nn.Module):
    """Two normalised 3x3 convolutions beside a shortcut; a wider block halves the sides."""

    def __init__(self, before: int, width: int, norm1: nn.Module | None, norm2: nn.Module | None) -> None:
        """Args: channels coming in and going out, more going out meaning stride 2; a norm after each convolution.

        Without norms the convolutions have biases.
        """
        super().__init__()
        self.stride = 1 if width == before else 2
        self.padded = width - before
        self.conv1 = nn.Conv2d(before, width, 3, stride=self.stride, padding=1, bias=norm1 is None)
        self.norm1 = nn.Identity() if norm1 is None else norm1
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=norm2 is None)
        self.norm2 = nn.Identity() if norm2 is None else norm2

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, before, h, w) to (batch, width, h / stride, w / stride)."""
        y = self.norm2(self.conv2(F.relu(self.norm1(self.conv1(x)))))
        shortcut = x[:, :, :: self.stride, :: self.stride]
        half = self.padded // 2  # option A: new channels are zeros on both sides of the old ones
        return F.relu(y + F.pad(shortcut, (0, 0, 0, 0, half, self.padded - half)))
