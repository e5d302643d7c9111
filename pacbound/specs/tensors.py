"""Records of direct coding: how each tensor of a network is quantized and coded, and which units may change places.

Names, shapes and unit axes belong to the architecture and are declared; everything else is decoded from the message.
"""

import math
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from ..records import Record

MAX_ELEMENTS = 1 << 26  # of all tensors of a hypothesis together
MAX_PLACES = 1 << 20  # of all unit axes together
MAX_ROW_LEVELS = 255
MAX_HALF = 1 << 12  # symbols of a lattice are -half..half
MAX_SMOOTH_LEVELS = 1023  # of tables that are computed, so that a few bits cannot ask for minutes of arithmetic
TableKind = Literal["spike", "gaussian", "laplace", "static"]
TABLE_KINDS: tuple[TableKind, ...] = TableKind.__args__  # type: ignore[attr-defined]
BLOCK_KINDS = ("int8", "nf4", "fp4")
BLOCK_LEVELS = {"int8": 256, "nf4": 16, "fp4": 16}


class TableSpec(Record):
    """A symbol model that gives a tensor the same mass wherever its symbols stand.

    gaussian, laplace: discretised on -Q..Q, ratio_index as in CodeSpec. spike: 0 has 1 - 2^(-zero_index / 8), the rest
    falls off as exp(-(|q| - 1) 2^((ratio_index - 64) / 8)). static: counts of each level, which are sent.
    """

    kind: TableKind
    levels: int = Field(ge=1, le=2 * MAX_HALF + 1)
    ratio_index: int = Field(default=0, ge=0, lt=128)
    zero_index: int = Field(default=0, ge=0, lt=128)
    counts: tuple[Annotated[int, Field(ge=0, le=MAX_ELEMENTS)], ...] = Field(default=(), max_length=2 * MAX_HALF + 1)


class ZeroTensor(Record):
    """Every element is 0."""

    kind: Literal["zero"] = "zero"


class LatticeTensor(Record):
    """Integers times the step 2^(-step_index / 8 + 16), in each row times 2^(offset / 8) where `rows` codes offsets.

    A row is what belongs to one index of the first axis; its offset is coded under the table `rows`.
    """

    kind: Literal["lattice"] = "lattice"
    step_index: int = Field(ge=0, lt=512)
    rows: TableSpec | None = None
    table: TableSpec

    @model_validator(mode="after")
    def _reach(self) -> Self:
        if self.rows is not None and self.rows.levels > MAX_ROW_LEVELS:
            raise ValueError(f"offsets of rows have at most {MAX_ROW_LEVELS} levels")
        return self


class CodebookTensor(Record):
    """float16 centroids by bit pattern, in ascending order of the symbols."""

    kind: Literal["codebook"] = "codebook"
    centroids: tuple[Annotated[int, Field(ge=0, lt=1 << 16)], ...] = Field(min_length=1, max_length=256)
    table: TableSpec

    @model_validator(mode="after")
    def _finite(self) -> Self:
        if any((c >> 10) & 31 == 31 for c in self.centroids):
            raise ValueError("centroids are bit patterns of finite float16 numbers")
        return self


class BlockTensor(Record):
    """Blocks of 2^block_log2 elements in flat order, each a bfloat16 scale times entries of a fixed table.

    The tables are those of bitsandbytes: dynamic 8 bits, normal float and float of 4 bits.
    """

    kind: Literal["int8", "nf4", "fp4"]
    block_log2: int = Field(ge=6, lt=13)
    table: TableSpec


Quantized = Annotated[ZeroTensor | LatticeTensor | CodebookTensor | BlockTensor, Field(discriminator="kind")]


class TensorSpec(Record):
    """One tensor of the network: name and shape are declared, the rest is in the message."""

    name: str = Field(min_length=1, max_length=180)
    shape: tuple[Annotated[int, Field(ge=1, le=MAX_ELEMENTS)], ...] = Field(max_length=8)
    coding: Quantized = ZeroTensor()

    @property
    def sides(self) -> tuple[int, ...]:
        """The shape, (1,) for a scalar."""
        return self.shape or (1,)


class UnitAxis(Record):
    """Where the units of a group lie along one axis of one tensor.

    runs: (start, units): that many units follow one another from a position on, each `width` positions wide.
    """

    tensor: int = Field(ge=0)
    axis: int = Field(ge=0, lt=8)
    width: int = Field(default=1, ge=1, le=MAX_ELEMENTS)
    runs: tuple[tuple[Annotated[int, Field(ge=0)], Annotated[int, Field(ge=1)]], ...] = Field(
        min_length=1, max_length=1 << 10
    )

    @property
    def units(self) -> int:
        """How many units there are."""
        return sum(units for _, units in self.runs)


class UnitGroup(Record):
    """Units that may change places without changing the function; the first `kept` are coded, the others are 0."""

    axes: tuple[UnitAxis, ...] = Field(min_length=1, max_length=1 << 12)
    kept: int = Field(ge=0)

    @property
    def size(self) -> int:
        """Units, kept or not."""
        return self.axes[0].units


class DirectSpec(Record):
    """Every parameter of a network stands in the message; theta0 is 0. groups: in elimination order."""

    kind: Literal["direct"] = "direct"
    tensors: tuple[TensorSpec, ...] = Field(min_length=1, max_length=900)
    groups: tuple[UnitGroup, ...] = Field(default=(), max_length=1 << 12)

    @property
    def parameters(self) -> int:
        """Elements of all tensors."""
        return sum(math.prod(tensor.shape) for tensor in self.tensors)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if len({tensor.name for tensor in self.tensors}) < len(self.tensors):
            raise ValueError("tensors have distinct names")
        if self.parameters > MAX_ELEMENTS:
            raise ValueError(f"a direct code has at most {MAX_ELEMENTS} elements")
        taken: set[tuple[int, int, int]] = set()
        for group in self.groups:
            if group.kept > group.size or any(axis.units != group.size for axis in group.axes):
                raise ValueError("every axis of a group has the same units, of which at most all are kept")
            for axis in group.axes:
                self._place(axis, taken)
        return self

    def _place(self, axis: UnitAxis, taken: set[tuple[int, int, int]]) -> None:
        """Refuse positions outside the tensor, or of two units at once."""
        if axis.tensor >= len(self.tensors) or axis.axis >= len(self.tensors[axis.tensor].sides):
            raise ValueError("a unit axis is one of a tensor of the list")
        side = self.tensors[axis.tensor].sides[axis.axis]
        for start, units in axis.runs:
            stop = start + units * axis.width
            if stop > side or len(taken) + stop - start > MAX_PLACES:  # before a set of that size is made
                raise ValueError(f"units lie within their axis, on {MAX_PLACES} positions in all")
            places = {(axis.tensor, axis.axis, k) for k in range(start, stop)}
            if places & taken:
                raise ValueError("each position of an axis belongs to one unit at most")
            taken |= places
