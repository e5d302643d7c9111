"""Units that may change places: what of each tensor is coded, and what their order is worth.

With a code that gives a message and its reordered copies the same mass P, the orbit as a whole has mass |orbit| P, so
that its one sorted member may be charged log2 |orbit| bits less (Shen 2024, arXiv:2305.11417, for the orbits). The
groups are eliminated in a fixed order; the signature of a unit is taken from entries whose other indices are unpermuted
or belong to groups before it, and equal signatures are not counted as different:

    |orbit| >= prod_groups kept! / prod_signatures multiplicity!
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..errors import MessageError
from ..specs.tensors import BlockTensor, DirectSpec, LatticeTensor, Quantized, UnitAxis, ZeroTensor
from .coder import Symbols

Indices = NDArray[np.int64]


def unit_positions(axis: UnitAxis) -> Indices:
    """Return the positions (units, width) of every unit along its axis."""
    starts = np.concatenate([start + axis.width * np.arange(units) for start, units in axis.runs])
    return starts[:, None] + np.arange(axis.width)


def coded_positions(spec: DirectSpec) -> list[list[Indices]]:
    """Return, per tensor and axis, the positions that are coded, ascending: all but those of dropped units."""
    alive = [[np.ones(side, bool) for side in tensor.sides] for tensor in spec.tensors]
    for group in spec.groups:
        for axis in group.axes:
            alive[axis.tensor][axis.axis][unit_positions(axis)[group.kept :]] = False
    return [[np.flatnonzero(mask) for mask in masks] for masks in alive]


def coded_shapes(spec: DirectSpec) -> list[tuple[int, ...]]:
    """Return the shape of the coded part of every tensor."""
    return [tuple(len(positions) for positions in axes) for axes in coded_positions(spec)]


def side_count(coding: Quantized, shape: tuple[int, ...]) -> int:
    """Return how many row offsets or block scales precede the symbols of a tensor."""
    count = math.prod(shape)
    if isinstance(coding, BlockTensor):
        return -(-count >> coding.block_log2) if count else 0
    return shape[0] if isinstance(coding, LatticeTensor) and coding.rows is not None else 0


class Coded:
    """The symbols of a direct code as one array (coded shape) per tensor, and the offsets (rows,) of its rows."""

    def __init__(self, spec: DirectSpec, values: Sequence[Symbols | None], rows: Sequence[Symbols | None]) -> None:
        """values: per tensor, None where it is zero. rows: per tensor, None where rows have no offsets."""
        self.spec = spec
        self.values = list(values)
        self.rows = list(rows)
        self._positions = coded_positions(spec)
        self._units = [[self._coded_units(axis, group.kept) for axis in group.axes] for group in spec.groups]
        self.movable = [all(self._moves(axis.tensor) for axis in group.axes) for group in spec.groups]
        self._turn = self._turns()

    def _coded_units(self, axis: UnitAxis, kept: int) -> Indices:
        """Places (kept, width) of the kept units within the coded part of an axis."""
        return np.searchsorted(self._positions[axis.tensor][axis.axis], unit_positions(axis)[:kept])

    def _moves(self, tensor: int) -> bool:
        """Whether the code of a tensor has the same mass in every order: blocks have not, their scales stay."""
        return not isinstance(self.spec.tensors[tensor].coding, BlockTensor)

    def _turns(self) -> list[list[Indices]]:
        """Per tensor and axis, which group moves each place; -1 for none."""
        turns = [[np.full(len(places), -1) for places in axes] for axes in self._positions]
        for j, group in enumerate(self.spec.groups):
            for axis, units in zip(group.axes, self._units[j], strict=True):
                if self.movable[j]:
                    turns[axis.tensor][axis.axis][units] = j
        return turns

    def signatures(self, j: int) -> NDArray[np.int32]:
        """Return the signature of each unit of group j, (kept, entries), in its present order."""
        group = self.spec.groups[j]
        columns = [np.zeros((group.kept, 0), np.int32)]
        for axis, units in zip(group.axes, self._units[j], strict=True):
            values, rows = self.values[axis.tensor], self.rows[axis.tensor]
            if rows is not None and axis.axis == 0:
                columns.append(rows[units])
            if values is None:
                continue
            values = values.take(units.reshape(-1), axis=axis.axis)  # first, so that all groups together copy little
            for other, turn in enumerate(self._turn[axis.tensor]):
                if other != axis.axis:
                    values = values.take(np.flatnonzero(turn < j), axis=other)
            moved = np.moveaxis(values, axis.axis, 0)  # (kept * width, others)
            columns.append(moved.reshape(group.kept, axis.width * math.prod(moved.shape[1:])))
        return np.concatenate(columns, axis=1)

    def sort(self) -> None:
        """Put the units of every movable group into the order of their signatures, group by group."""
        for j, group in enumerate(self.spec.groups):
            if self.movable[j] and group.kept > 1:
                signatures = self.signatures(j)
                if signatures.shape[1]:
                    self._permute(j, np.lexsort(signatures.T[::-1]))

    def _permute(self, j: int, order: Indices) -> None:
        for axis, units in zip(self.spec.groups[j].axes, self._units[j], strict=True):
            values, rows = self.values[axis.tensor], self.rows[axis.tensor]
            sides = len(self._positions[axis.tensor][axis.axis])
            source = np.arange(sides)
            source[units] = units[order]
            if values is not None:
                self.values[axis.tensor] = values.take(source, axis=axis.axis)
            if rows is not None and axis.axis == 0:
                self.rows[axis.tensor] = rows[source]

    def orders(self) -> int:
        """Return prod kept! / prod multiplicity!, at most the number of distinct orders of all movable units.

        Raises: MessageError where the units of a group do not stand in the order of their signatures.
        """
        orders = 1
        for j, group in enumerate(self.spec.groups):
            if self.movable[j] and group.kept > 1:
                steps = _lexicographic_steps(self.signatures(j))
                if (steps < 0).any():
                    raise MessageError(f"message: units stand in the order of their signatures, not so in group {j}.")
                runs = np.diff(np.flatnonzero(np.concatenate([[True], steps != 0, [True]])))
                orders *= math.factorial(group.kept) // math.prod(math.factorial(int(run)) for run in runs)
        return orders

    def symbols(self) -> Symbols:
        """Return everything as one vector, in the order of the message."""
        pairs = zip(self.rows, self.values, strict=True)
        parts = [part.reshape(-1) for pair in pairs for part in pair if part is not None]
        return np.concatenate([np.zeros(0, np.int32), *parts])


def coded_arrays(spec: DirectSpec, symbols: Symbols) -> Coded:
    """Split the symbols of a message into arrays; scales of blocks stand among the rows.

    Raises: MessageError where there are more or fewer symbols than the tensors take.
    """
    values: list[Symbols | None] = []
    rows: list[Symbols | None] = []
    place = 0
    for tensor, shape in zip(spec.tensors, coded_shapes(spec), strict=True):
        coding, count = tensor.coding, math.prod(shape)
        if isinstance(coding, ZeroTensor):
            values.append(None)
            rows.append(None)
            continue
        side = side_count(coding, shape)
        sent = symbols[place : place + side + count]
        if len(sent) != side + count:
            raise MessageError(f"message: {tensor.name} takes {side + count} symbols, got {len(sent)}.")
        rows.append(sent[:side] if side else None)
        values.append(sent[side:].reshape(shape))
        place += side + count
    if place != len(symbols):
        raise MessageError(f"message: the tensors take {place} symbols, got {len(symbols)}.")
    return Coded(spec, values, rows)


def orbit_saving(spec: DirectSpec, symbols: Symbols) -> int:
    """Return log2 of the lower bound on |orbit| above in bits, rounded down, for a sorted message.

    Raises: MessageError where units are not sorted, or there are more or fewer symbols than the tensors take.
    """
    return coded_arrays(spec, symbols).orders().bit_length() - 1


def _lexicographic_steps(signatures: NDArray[np.int32]) -> NDArray[np.int64]:
    """The first difference that is not 0 between each row and the next, shape (rows - 1,); 0 where rows are equal."""
    change = np.diff(signatures.astype(np.int64), axis=0)
    if not change.shape[1]:
        return np.zeros(len(change), np.int64)
    return change[np.arange(len(change)), np.argmax(change != 0, axis=1)]
