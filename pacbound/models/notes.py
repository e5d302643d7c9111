"""What the layers of a network note about units: where they stand in the parameters, and what leaves the layer."""

from collections import Counter
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from .labels import FIXED, Labels, Roles, Units


class Place(NamedTuple):
    """Where a unit stands: along an axis of a tensor; axis -1 says what distinguishes it there and moves nothing.

    block: of a grouped convolution, from 1 on; 0 elsewhere. Positions along axis 1 count within their block.
    """

    tensor: int
    axis: int
    block: int
    role: int
    position: int


@dataclass
class Block:
    """One block of a grouped convolution: `rows` of its weight. anchored: fixed entries enter it."""

    layer: str
    tensor: int
    rows: range
    anchored: bool = False


class Notes:
    """The places of all units, noted in the order of computation."""

    def __init__(self) -> None:
        """Nothing is noted yet."""
        self.units, self.roles = Units(), Roles()
        self.places: list[tuple[int, Place]] = []  # with the elementary unit
        self.blocks: list[Block] = []

    def vectors(
        self, places: dict[str, int], entering: Labels, kind: Tensor, dim: int = 1, layer: str = ""
    ) -> Labels | None:
        """A factor or shift for each slice along a dimension, and what the network fixes for it.

        kind: (slices,), equal where the network does the same to them. layer: of a normalisation whose slices of one
        kind share their statistics; these may change places among themselves, and all of a kind with another kind.
        """
        if entering.unit.ndim < 2 or entering.unit.shape[dim] != len(kind):
            return None
        slices = self.along(entering, dim)
        unit = slices.unit
        if places:
            unit = torch.where(unit == FIXED, self.units.new(len(kind)), unit)
        turns, seen = [], Counter[tuple[int, int]]()
        for pair in zip(unit.tolist(), slices.role.tolist(), strict=True):  # each copy of a unit has its own entries
            turns.append(seen[pair])
            seen[pair] += 1
        alike = [slices.role, torch.tensor(turns)]
        role = self.roles.fresh(*alike) if layer else self.roles.fresh(*alike, kind)
        for one in kind.unique() if layer else (None,):
            chosen = torch.arange(len(kind)) if one is None else torch.nonzero(kind == one)[:, 0]
            block = self._block(layer, slices.unit[chosen]) if layer and len(chosen) < len(kind) else 0
            for tensor, axis in [(tensor, 0) for tensor in places.values()] or [(-1, -1)]:
                self.note(tensor, axis, unit[chosen], role[chosen], block, chosen)
        shape = [1] * entering.unit.ndim
        shape[dim] = -1
        both = self.roles.fresh(entering.role, role.view(shape).expand(entering.role.shape))
        return Labels(unit.view(shape).expand(both.shape).contiguous(), both)

    def normalised(self, entering: Labels, dim: int) -> Labels | None:
        """Softmax: every slice is divided by what all of them add up to."""
        dim %= entering.unit.ndim
        return self.vectors({}, entering, torch.zeros(entering.unit.shape[dim], dtype=torch.int64), dim, "softmax")

    def linear(self, places: dict[str, int], entering: Labels, out: int) -> Labels:
        """Features are the last dimension."""
        leading = entering.unit.shape[:-1]
        rows = entering.rows(entering.unit.ndim - 1)
        features = self.fibres(Labels(rows.unit.T, rows.role.T))
        leaving = self.units.new(out)
        self.note(places["weight"], 1, features.unit, features.role)
        for tensor in places.values():
            self.note(tensor, 0, leaving)
        role = self.roles.every(leading)[..., None].expand(*leading, out)
        return Labels(leaving.expand(*leading, out).contiguous(), role.contiguous())

    def convolution(
        self, name: str, module: nn.Module, places: dict[str, int], entering: Labels, value: Tensor
    ) -> Labels:
        """Channels are dimension 1; each group is a block, which reads its own channels."""
        channels, weight, groups = self.along(entering, 1), module.weight, int(module.groups)  # type: ignore[arg-type]
        assert isinstance(weight, Tensor)
        leaving = self.units.new(len(weight))
        inside, outside = weight.shape[1], len(weight) // groups
        for j in range(groups):
            rows = range(j * outside, (j + 1) * outside)
            block = 0
            fibre = slice(j * inside, (j + 1) * inside)
            if groups > 1:
                block = self._block(name, channels.unit[fibre], places["weight"], rows)
            axis = 1 if groups == 1 or inside > 1 else -1
            self.note(places["weight"], axis, channels.unit[fibre], channels.role[fibre], block)
            for tensor in places.values():
                self.note(tensor, 0, leaving[rows.start : rows.stop], None, block, torch.tensor(rows))
        shape = (1, -1, *[1] * (value.ndim - 2))
        place = self.roles.every(torch.Size([value.shape[0], 1, *value.shape[2:]]))
        return Labels(leaving.view(shape).expand(value.shape).contiguous(), place.expand(value.shape).contiguous())

    def along(self, entering: Labels, dim: int) -> Labels:
        """Units and roles of the slices along a dimension, channels or features."""
        return self.fibres(Labels(entering.unit.movedim(dim, 0), entering.role.movedim(dim, 0)).rows(1))

    def whole(self, rows: Labels) -> Labels | None:
        """Rows that are taken together, None where one of them mixes units: sums over units are not followed."""
        highest = rows.unit.amax(dim=1, keepdim=True)
        if bool(((rows.unit != FIXED) & (rows.unit != highest)).any()):
            return None
        return self.fibres(rows)

    def spread(self, rows: Labels | None, value: Tensor, dims: int) -> Labels | None:
        """Labels of (leading dimensions, places) from those of each row and the number of the place."""
        if rows is None:
            return None
        places = value.shape[dims:].numel()
        unit = rows.unit[:, None].expand(-1, places)
        role = self.roles.fresh(rows.role[:, None].expand(-1, places), torch.arange(places).expand(len(unit), -1))
        return Labels(unit.reshape(value.shape), role.reshape(value.shape))

    def fibres(self, rows: Labels) -> Labels:
        """One unit and role for each row of entries (count, entries): fixed where a row mixes units."""
        free = rows.unit != FIXED
        highest = rows.unit.amax(dim=1)
        mixed = (free & (rows.unit != highest[:, None])).any(dim=1)
        self.units.fix(rows.unit[mixed])
        unit = torch.where(mixed, torch.zeros_like(highest), highest)
        return Labels(self.units.roots(unit), self.roles.of_rows(rows.role))

    def _block(self, layer: str, entering: Tensor, tensor: int = -1, rows: range = range(0)) -> int:
        """Number of a new block."""
        self.blocks.append(Block(layer, tensor, rows, bool((entering == FIXED).any())))
        return len(self.blocks)

    def note(
        self, tensor: int, axis: int, unit: Tensor, role: Tensor | None = None, block: int = 0, at: Tensor | None = None
    ) -> None:
        """Note where units stand. role, at: for each unit, by default 0 and one after the other."""
        roles = torch.zeros_like(unit) if role is None else role
        positions = torch.arange(len(unit)) if at is None else at
        for one, kind, position in zip(unit.tolist(), roles.tolist(), positions.tolist(), strict=True):
            if one != FIXED:
                self.places.append((one, Place(tensor, axis, block, kind, position)))
