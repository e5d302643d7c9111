"""The weights that a direct code is about: those of a file, batch normalisation folded to fresh running statistics."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm, _NormBase

from ...bits.units import coded_positions, unit_positions
from ...errors import ModelError
from ...networks.checkpoints import load_checkpoint
from ...networks.hypothesis import Base
from ...specs.tensors import DirectSpec, TensorSpec, UnitGroup

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Weights:
    """Every parameter of a network in full shape and in the order of its layout, and its interchangeable units.

    notes: what a reader should know of how their file was read.
    """

    names: tuple[str, ...]
    arrays: tuple[Array, ...]
    groups: tuple[UnitGroup, ...]
    notes: tuple[str, ...] = ()

    def frame(self) -> DirectSpec:
        """What is declared of a direct code of these weights: names, shapes, unit axes; nothing is coded yet."""
        tensors = zip(self.names, self.arrays, strict=True)
        return DirectSpec(tensors=tuple(TensorSpec(name=n, shape=a.shape) for n, a in tensors), groups=self.groups)

    def coded(self) -> tuple[Array, ...]:
        """The parts of the tensors that are coded."""
        positions = coded_positions(self.frame())
        return tuple(
            array.reshape(array.shape or (1,))[np.ix_(*p)] for array, p in zip(self.arrays, positions, strict=True)
        )

    def with_coded(self, parts: Sequence[Array]) -> "Weights":
        """The same with other values in the parts that are coded, and zeros elsewhere."""
        arrays = []
        for array, part, positions in zip(self.arrays, parts, coded_positions(self.frame()), strict=True):
            full = np.zeros(array.shape or (1,), np.float32)
            full[np.ix_(*positions)] = part
            arrays.append(full.reshape(array.shape))
        return replace(self, arrays=tuple(arrays))

    def keep(self, importance: Sequence[NDArray[np.float64]], sizes: Sequence[int]) -> "Weights":
        """Keep the most important units of each group; they come first, the others are dropped.

        importance: (units,) for each group, higher is better. sizes: how many to keep.
        """
        arrays = [array.copy() for array in self.arrays]
        groups = []
        for group, values, size in zip(self.groups, importance, sizes, strict=True):
            order = np.argsort(-values, kind="stable")
            for axis in group.axes:
                places = unit_positions(axis)
                array = arrays[axis.tensor]
                source = np.arange(array.shape[axis.axis])
                source[places] = places[order]
                arrays[axis.tensor] = array.take(source, axis=axis.axis)
            groups.append(group.model_copy(update={"kept": size}))
        return replace(self, arrays=tuple(arrays), groups=tuple(groups))


def unit_sums(weights: Weights, entries: Sequence[NDArray[np.floating]]) -> list[NDArray[np.float64]]:
    """Add up non-negative entries, one array for each tensor in full shape, over every unit of every group."""
    sums = []
    for group in weights.groups:
        total = np.zeros(group.size)
        for axis in group.axes:
            values = np.moveaxis(np.asarray(entries[axis.tensor], np.float64), axis.axis, 0)
            total += values[unit_positions(axis)].reshape(group.size, -1).sum(1)
        sums.append(total)
    return sums


def without_idle_units(weights: Weights) -> Weights:
    """Drop units into which nothing leads or which nothing reads, until there are none.

    Writers are the first axis of a tensor, readers another.
    """
    while True:
        size = sum(group.kept for group in weights.groups)
        live = [np.ones(group.size, bool) for group in weights.groups]
        for j, group in enumerate(weights.groups):
            for writers in (True, False):
                axes = tuple(axis for axis in group.axes if (axis.axis == 0) == writers)
                if axes:
                    part = replace(weights, groups=(group.model_copy(update={"axes": axes}),))
                    live[j] &= unit_sums(part, [array != 0 for array in weights.arrays])[0] > 0
        weights = weights.keep([mask.astype(float) for mask in live], [int(mask.sum()) for mask in live])
        weights = weights.with_coded(weights.coded())
        if sum(group.kept for group in weights.groups) == size:
            return weights


def read_weights(
    base: Base,
    checkpoint: str | Path,
    groups: tuple[UnitGroup, ...],
    rename: Sequence[str] = (),
    key: str | None = None,
) -> Weights:
    """Read a checkpoint into the layout of a base of zeros.

    Raises: ModelError where the file does not fit, a value is not finite, or a normalisation cannot be folded.
    """
    module = copy.deepcopy(base.module)
    notes = load_checkpoint(module, checkpoint, rename, key=key)
    return replace(weights_of(module, base, groups), notes=notes)


def weights_of(module: nn.Module, base: Base, groups: tuple[UnitGroup, ...]) -> Weights:
    """Take the weights of a module, folding running statistics; the module is changed. Raises: ModelError."""
    for name, part in module.named_modules():
        if isinstance(part, _NormBase) and part.running_mean is not None:
            _fold(name, part)
    named: dict[str, Tensor] = dict(module.named_parameters())
    arrays = tuple(named[slot.name].detach().float().numpy().copy() for slot in base.layout.slots)
    for slot, array in zip(base.layout.slots, arrays, strict=True):
        if not np.isfinite(array).all():
            raise ModelError(f"weights_of: weights are finite, {slot.name} has one that is not. Repair the checkpoint.")
    return Weights(tuple(slot.name for slot in base.layout.slots), arrays, groups)


def _fold(name: str, norm: _NormBase) -> None:
    """Change scale and shift so that mean 0 and variance 1 give what the running statistics gave."""
    mean, variance = norm.running_mean, norm.running_var
    if not isinstance(norm, _BatchNorm) or norm.weight is None or norm.bias is None or mean is None or variance is None:
        raise ModelError(
            f"weights_of: running statistics are folded into the scale and shift of a batch normalisation, "
            f"{name} is a {type(norm).__name__} without them. Use affine=True, or fold them into the layer before it."
        )
    with torch.no_grad():
        scale = norm.weight / torch.sqrt(variance + norm.eps)
        norm.bias.copy_(norm.bias - mean * scale)
        norm.weight.copy_(scale * (1 + norm.eps) ** 0.5)
        mean.zero_()
        variance.fill_(1.0)
