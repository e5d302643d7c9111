"""The record of one layer as a linear map: kernel, geometry and size, everything an operator norm depends on."""

import math
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from ...errors import ModelError

Kind = Literal["dense", "conv"]

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)


@dataclass(frozen=True, eq=False)
class LayerRecord:
    """One linear map y = A x + bias as it stands in the network, in float64 on the CPU.

    name: of the module. weight: (out, in / groups, *kernel), a folded normalisation multiplied in; for a dense
    layer (out, in). kernel: the same tensor as the module holds it, nothing folded. bias: (out,) or None, folding
    included. input_size, output_size: sides of the maps without batch and channels; for a dense layer the sizes of
    the dimensions over which it is repeated, usually (). stride, dilation: per dimension. padding: (low, high) per
    dimension. padding_mode: zeros, circular, reflect or replicate. folded: name of the normalisation, or "".
    """

    name: str
    kind: Kind
    weight: Tensor
    kernel: Tensor
    bias: Tensor | None
    input_size: tuple[int, ...]
    output_size: tuple[int, ...]
    stride: tuple[int, ...] = ()
    padding: tuple[tuple[int, int], ...] = ()
    dilation: tuple[int, ...] = ()
    groups: int = 1
    padding_mode: str = "zeros"
    folded: str = ""

    @property
    def out_channels(self) -> int:
        """Channels (or features) going out."""
        return self.weight.shape[0]

    @property
    def in_channels(self) -> int:
        """Channels (or features) coming in, over all groups."""
        return self.weight.shape[1] * self.groups

    @property
    def kernel_size(self) -> tuple[int, ...]:
        """Taps per dimension, before dilation; () for a dense layer."""
        return tuple(self.weight.shape[2:])

    @property
    def parameters(self) -> int:
        """Numbers in kernel and bias."""
        return self.weight.numel() + (0 if self.bias is None else self.bias.numel())


@dataclass(frozen=True)
class Skipped:
    """A part of the network with parameters that is not expressed as a linear map, and why."""

    name: str
    reason: str


def express(module: nn.Module, name: str, entering: tuple[int, ...], leaving: tuple[int, ...]) -> LayerRecord | None:
    """Record a linear or convolution module, or return None for any other module.

    Args: entering, leaving: shapes (batch, ...) of its input and output. A subclass with a forward pass of its own
        is another module, and so is one with complex weights.
    """
    if torch.is_complex(getattr(module, "weight", torch.empty(0))):
        return None
    if isinstance(module, nn.Linear) and type(module).forward is nn.Linear.forward:
        weight = _double(module.weight)
        return LayerRecord(
            name, "dense", weight, weight, _optional(module.bias), tuple(entering[1:-1]), tuple(leaving[1:-1])
        )
    for kind in CONVOLUTIONS:
        if isinstance(module, kind) and all(
            getattr(type(module), part) is getattr(kind, part) for part in ("forward", "_conv_forward")
        ):
            return _express_conv(module, name, entering, leaving)
    return None


def _express_conv(
    module: nn.Conv1d | nn.Conv2d | nn.Conv3d, name: str, entering: tuple[int, ...], leaving: tuple[int, ...]
) -> LayerRecord:
    weight = _double(module.weight)
    spatial = weight.ndim - 2
    return LayerRecord(
        name=name,
        kind="conv",
        weight=weight,
        kernel=weight,
        bias=_optional(module.bias),
        input_size=tuple(entering[-spatial:]),
        output_size=tuple(leaving[-spatial:]),
        stride=tuple(module.stride),
        padding=_padding(module),
        dilation=tuple(module.dilation),
        groups=module.groups,
        padding_mode=module.padding_mode,
    )


def _padding(module: nn.Conv1d | nn.Conv2d | nn.Conv3d) -> tuple[tuple[int, int], ...]:
    """Entries added at the low and high end of each dimension."""
    if module.padding == "same":
        totals = [d * (k - 1) for d, k in zip(module.dilation, module.kernel_size, strict=True)]
        return tuple((total // 2, total - total // 2) for total in totals)
    if module.padding == "valid":
        return tuple((0, 0) for _ in module.kernel_size)
    return tuple((int(side), int(side)) for side in module.padding)


def fold(record: LayerRecord, norm: _BatchNorm, name: str) -> LayerRecord:
    """Multiply the affine map of a batch normalisation in evaluation mode into the layer before it.

    y -> gamma (y - mean) / sqrt(var + eps) + beta per output channel.
    Raises: ModelError where the normalisation has no running statistics or another number of channels.
    """
    if norm.running_mean is None or norm.running_var is None:
        raise ModelError(
            f"fold: {name} has running statistics, got none, so its map depends on the batch. "
            "Use track_running_stats=True."
        )
    mean, variance = _double(norm.running_mean), _double(norm.running_var)
    if len(mean) != record.out_channels:
        raise ModelError(f"fold: {name} has the {record.out_channels} channels of {record.name}, got {len(mean)}.")
    scale = 1 / torch.sqrt(variance + norm.eps)
    if norm.weight is not None:
        scale = scale * _double(norm.weight)
    bias = torch.zeros_like(mean) if record.bias is None else record.bias
    bias = (bias - mean) * scale
    if norm.bias is not None:
        bias = bias + _double(norm.bias)
    weight = record.weight * scale.reshape(-1, *[1] * (record.weight.ndim - 1))  # (out, 1, ...)
    return replace(record, weight=weight, bias=bias, folded=f"{record.folded}+{name}" if record.folded else name)


def squared_frobenius(record: LayerRecord) -> float:
    """Squared Frobenius norm of the whole linear operator, at its input size.

    Each tap counts as often as it meets an input entry; for circular padding and stride 1 that is h w ||K||^2.
    Raises: ModelError for padding that repeats entries (reflect, replicate), where taps add up.
    """
    if record.kind == "dense":
        return float(record.weight.square().sum()) * math.prod(record.input_size)
    if record.padding_mode not in ("zeros", "circular"):
        raise ModelError(f"squared_frobenius: {record.name} pads with zeros or circularly, got {record.padding_mode}.")
    if record.padding_mode == "circular":
        return float(_wrapped(record).square().sum()) * math.prod(record.output_size)
    squares = record.weight.square()
    for dimension in reversed(range(len(record.kernel_size))):
        squares = squares @ _uses(record, dimension)  # (..., taps) @ (taps,): sums the last dimension
    return float(squares.sum())


def _wrapped(record: LayerRecord) -> Tensor:
    """The kernel with taps added that meet on the circle, one entry per place, shape (out, in / groups, *sides)."""
    weight = record.weight
    for dimension, (taps, side) in enumerate(zip(record.kernel_size, record.input_size, strict=True)):
        places = (torch.arange(taps) * record.dilation[dimension]) % side
        shape = [*weight.shape]
        shape[2 + dimension] = side
        weight = torch.zeros(shape, dtype=torch.float64).index_add(2 + dimension, places, weight)
    return weight


def _uses(record: LayerRecord, dimension: int) -> Tensor:
    """How many outputs read an input entry, not a padded zero, through each tap of one dimension, shape (taps,)."""
    places = torch.arange(record.output_size[dimension]) * record.stride[dimension]
    taps = torch.arange(record.kernel_size[dimension]) * record.dilation[dimension]
    reads = places[None] + taps[:, None] - record.padding[dimension][0]  # (taps, outputs)
    inside = (reads >= 0) & (reads < record.input_size[dimension])
    return inside.sum(dim=1).to(torch.float64)


def _double(tensor: Tensor) -> Tensor:
    return tensor.detach().to("cpu", torch.float64).clone()


def _optional(tensor: Tensor | None) -> Tensor | None:
    return None if tensor is None else _double(tensor)
