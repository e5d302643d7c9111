"""A direct code, described once for both directions: per tensor a header, side information and symbols.

Every symbol model here gives a tensor the same mass wherever its symbols stand, except blocks, whose scales belong to
places. On that rests the orbit saving (bits/units.py).
"""

import math
from functools import lru_cache

import numpy as np
from flint import arb, ctx, fmpq

from ..errors import CodeError, MessageError
from ..specs.tensors import (
    BLOCK_KINDS,
    BLOCK_LEVELS,
    MAX_HALF,
    MAX_SMOOTH_LEVELS,
    TABLE_KINDS,
    BlockTensor,
    CodebookTensor,
    DirectSpec,
    LatticeTensor,
    Quantized,
    TableSpec,
    TensorSpec,
    ZeroTensor,
)
from .coder import TOTAL, Stream, Symbols, Table
from .codes import TABLE_PRECISION, certain_floor, step_over_scale, symmetric_table, table_from_counts
from .units import coded_shapes, side_count

KINDS = ("lattice", "zero", "lattice by row", "codebook", *BLOCK_KINDS)
KIND_BITS, STEP_BITS, BLOCK_BITS, FIRST_BLOCK = 3, 9, 3, 6
SCALE_TABLE = np.full(1 << 16, TOTAL >> 16, np.int64)  # a bfloat16 scale costs its 16 bits
HEADER_WHY = "units kept in each group; kinds, steps, codebooks and symbol models of all tensors"
WHY = "symbols of the tensor and the scales of its rows or blocks"


def code_direct(
    stream: Stream, declared: DirectSpec, spec: DirectSpec | None, symbols: Symbols | None
) -> tuple[DirectSpec, Symbols]:
    """Carry a direct code; of `declared` names, shapes and unit axes are read.

    symbols: of all tensors one after the other, each its side information first.
    Raises: MessageError, CodeError.
    """
    groups = []
    for k, group in enumerate(declared.groups):
        kept = _code_kept(stream, group.size, None if spec is None else spec.groups[k].kept)
        groups.append(group.model_copy(update={"kept": kept}))
    tensors: list[TensorSpec] = []
    decoded: list[Symbols] = []
    shapes = coded_shapes(declared.model_copy(update={"groups": tuple(groups)}))
    place = 0
    for k, tensor in enumerate(declared.tensors):
        coding = code_coding(stream, "header", HEADER_WHY, shapes[k], None if spec is None else spec.tensors[k].coding)
        count = symbol_count(coding, shapes[k])
        sent = None if symbols is None else symbols[place : place + count]
        decoded.append(code_tensor(stream, tensor.name, coding, shapes[k], sent))
        tensors.append(tensor.model_copy(update={"coding": coding}))
        place += count
    if symbols is not None and place != len(symbols):
        raise CodeError(f"pack: the tensors hold {place} symbols, got {len(symbols)}.")
    return DirectSpec(tensors=tuple(tensors), groups=tuple(groups)), np.concatenate(decoded)


def _code_kept(stream: Stream, size: int, kept: int | None) -> int:
    """Carry how many of `size` units are kept: a flag for all, else the number."""
    some = stream.integer("header", 1, HEADER_WHY, None if kept is None else kept < size)
    if not some:
        return size
    sent = stream.integer("header", size.bit_length(), HEADER_WHY, kept)
    if sent >= size:
        raise MessageError(f"unpack: fewer than {size} units of a group are kept, got {sent}.")
    return sent


def code_coding(stream: Stream, item: str, why: str, shape: tuple[int, ...], coding: Quantized | None) -> Quantized:
    """Carry how a tensor of a shape is quantized and coded. Raises: MessageError, CodeError."""
    sent = None if coding is None else KINDS.index(_kind(coding))
    index = stream.integer(item, KIND_BITS, why, sent)
    if index >= len(KINDS):
        raise MessageError(f"unpack: a tensor is coded in one of {len(KINDS)} ways, got number {index}.")
    kind, count = KINDS[index], math.prod(shape)
    if kind == "zero":
        return ZeroTensor()
    if not count:
        raise MessageError(f"message: a tensor of which nothing is coded is zero, got the kind {kind}.")
    table = None if coding is None or isinstance(coding, ZeroTensor) else coding.table
    if kind == "codebook":
        book = coding.centroids if isinstance(coding, CodebookTensor) else None
        levels = 1 + stream.integer(item, 8, why, None if book is None else len(book) - 1)
        centroids = tuple(stream.integer(item, 16, why, None if book is None else book[k]) for k in range(levels))
        return CodebookTensor(centroids=centroids, table=_code_table(stream, item, why, count, levels, table))
    if kind in BLOCK_KINDS:
        log2 = coding.block_log2 - FIRST_BLOCK if isinstance(coding, BlockTensor) else None
        log2 = FIRST_BLOCK + stream.integer(item, BLOCK_BITS, why, log2)
        coded = _code_table(stream, item, why, count, BLOCK_LEVELS[kind], table)
        return BlockTensor(kind=kind, block_log2=log2, table=coded)  # type: ignore[arg-type]
    lattice = coding if isinstance(coding, LatticeTensor) else None
    step = stream.integer(item, STEP_BITS, why, None if lattice is None else lattice.step_index)
    rows = None
    if kind == "lattice by row":
        rows = _code_table(stream, item, why, shape[0], None, None if lattice is None else lattice.rows)
    return LatticeTensor(step_index=step, rows=rows, table=_code_table(stream, item, why, count, None, table))


def _kind(coding: Quantized) -> str:
    return "lattice by row" if isinstance(coding, LatticeTensor) and coding.rows is not None else coding.kind


def _code_table(
    stream: Stream, item: str, why: str, count: int, levels: int | None, table: TableSpec | None
) -> TableSpec:
    """Carry a symbol model; levels is None where an odd, symmetric alphabet has to be sent."""
    kind = TABLE_KINDS[stream.integer(item, 2, why, None if table is None else TABLE_KINDS.index(table.kind))]
    if levels is None:
        half = stream.gamma(item, why, None if table is None else table.levels // 2)
        if half > MAX_HALF:
            raise CodeError(f"message: symbols reach at most {MAX_HALF}, got {half}. Use a larger step.")
        levels = 2 * half + 1
    if kind == "static":
        given = None if table is None else table.counts
        if given is not None and len(given) != levels:
            raise CodeError(f"message: a static model has one count per level, {levels}, got {len(given)}.")
        width = count.bit_length()
        counts = tuple(stream.integer(item, width, why, None if given is None else given[k]) for k in range(levels))
        if sum(counts) != count:
            raise CodeError(f"message: static counts sum to the number of symbols {count}, got {sum(counts)}.")
        return TableSpec(kind=kind, levels=levels, counts=counts)
    if levels > MAX_SMOOTH_LEVELS:
        raise CodeError(f"message: a {kind} model has at most {MAX_SMOOTH_LEVELS} levels, got {levels}. Use static.")
    if levels % 2 == 0:
        raise CodeError(f"message: a {kind} model has an odd number of levels, got {levels}. Use static.")
    ratio = stream.integer(item, 7, why, None if table is None else table.ratio_index)
    zero = stream.integer(item, 7, why, None if table is None else table.zero_index) if kind == "spike" else 0
    return TableSpec(kind=kind, levels=levels, ratio_index=ratio, zero_index=zero)


def frequencies(table: TableSpec) -> Table:
    """Return the integer frequencies (levels,) of a symbol model, summing to 2^24."""
    if table.kind == "static":
        return table_from_counts(table.counts if any(table.counts) else [1] * table.levels)
    if table.kind == "spike":
        return _spike_table(table.levels, table.ratio_index, table.zero_index)
    return symmetric_table(table.kind, table.levels, table.ratio_index)


@lru_cache(maxsize=256)
def _spike_table(levels: int, ratio_index: int, zero_index: int) -> Table:
    """1 + floor((2^24 - K) p_q) for q != 0, zero takes the rest; p as TableSpec says."""
    half = levels // 2
    with ctx.workprec(TABLE_PRECISION):
        t = step_over_scale(ratio_index)
        weights = [(-t * q).exp() for q in range(half)]
        one_side = arb(2) ** arb(fmpq(-zero_index, 8)) / 2
        total = sum(weights, arb(0))
        upper = [certain_floor((TOTAL - levels) * one_side * weight / total) + 1 for weight in weights]
    table = np.array([*upper[::-1], TOTAL - 2 * sum(upper), *upper], np.int64)
    table.setflags(write=False)
    return table


def symbol_count(coding: Quantized, shape: tuple[int, ...]) -> int:
    """Return how many integers a tensor takes, side information included."""
    return 0 if isinstance(coding, ZeroTensor) else side_count(coding, shape) + math.prod(shape)


def code_tensor(
    stream: Stream, item: str, coding: Quantized, shape: tuple[int, ...], symbols: Symbols | None = None
) -> Symbols:
    """Carry the side information and the symbols of one tensor, in either direction.

    Raises: MessageError where a scale is negative or not finite; CodeError.
    """
    if isinstance(coding, ZeroTensor):
        return np.zeros(0, np.int32)
    count, side = math.prod(shape), side_count(coding, shape)
    before, values = (None, None) if symbols is None else (symbols[:side], symbols[side:])
    parts: list[Symbols] = []
    if isinstance(coding, BlockTensor):
        parts.append(stream.symbols(item, SCALE_TABLE, side, WHY, before))
        if (parts[0] >= 0x7F80).any():  # bfloat16: the sign, or an exponent of infinity and NaN
            raise MessageError(f"message: scales of {item} are finite and not negative, got another.")
    elif isinstance(coding, LatticeTensor) and coding.rows is not None:
        parts.append(stream.symbols(item, frequencies(coding.rows), side, WHY, before))
    parts.append(stream.symbols(item, frequencies(coding.table), count, WHY, values))
    return np.concatenate(parts)
