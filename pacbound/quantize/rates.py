"""Choose how a tensor is quantized: the least distortion plus rate among lattices, codebooks and blocks.

J = sum_i h_i (w_i - v_i)^2 / 2 + price * bits, in nats per example; h is the curvature of the loss and the price of a
bit is beta ln2 / n. Everything here steers the encoder; what is charged is counted when the message is packed.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..bits.coder import PRECISION_BITS, Symbols
from ..bits.tensors import frequencies
from ..errors import QuantizeError
from ..specs.tensors import (
    BLOCK_KINDS,
    BLOCK_LEVELS,
    MAX_HALF,
    MAX_SMOOTH_LEVELS,
    BlockTensor,
    CodebookTensor,
    LatticeTensor,
    Quantized,
    TableKind,
    TableSpec,
    ZeroTensor,
)
from .blockwise import to_blocks
from .codebook import initial_centroids
from .tensors import dequantize_tensor, nearest_step, row_offsets, step_size, to_integers

QUANTIZERS = ("zero", "lattice", "row lattice", "codebook", *BLOCK_KINDS)
Vector = NDArray[np.float64]
STEP_SHIFTS = (-1.0, -0.5, 0.0, 0.5, 1.0, 1.5, 2.0)  # octaves around the high-rate step
CODEBOOK_SIZES = (2, 3, 5, 8, 16, 32)
BLOCK_SIZES = (6, 8, 10, 12)
HEADER_BITS = 32
MOST_LEVELS = 4001  # of a lattice whose symbols are moved towards 0 where that pays
MOST_SMOOTH_LEVELS = 257


@dataclass(frozen=True)
class Choice:
    """One way to code a tensor: how, the symbols in its shape, its offsets or scales, and J."""

    coding: Quantized
    values: Symbols | None
    side: Symbols | None
    nats: float


def choose(values: NDArray[np.float32], curvature: NDArray[np.floating], price: float, kinds: Sequence[str]) -> Choice:
    """Return the choice of least J.

    Args: values: any shape. curvature: h, broadcast against values. price: nats of a bit. kinds: of `QUANTIZERS`.
    Raises: QuantizeError where a value is not finite or no kind applies.
    """
    unknown = [kind for kind in kinds if kind not in QUANTIZERS]
    if unknown or not kinds:
        raise QuantizeError(f"choose: a quantizer is one of {', '.join(QUANTIZERS)}, got {unknown or 'none'}.")
    if not np.isfinite(values).all():
        raise QuantizeError("choose: weights are finite, got NaN or infinity. Repair the checkpoint.")
    h = np.broadcast_to(curvature, values.shape).astype(np.float64)
    if values.size == 0 or not values.any():
        return Choice(ZeroTensor(), None, None, 0.0)
    tried = [choice for kind in kinds for choice in _try(kind, values, h, price)]
    if not tried:  # a vector is never coded by rows
        tried = _lattices(values, h, price)
    return min(tried, key=lambda choice: choice.nats)


def _try(kind: str, values: NDArray[np.float32], h: Vector, price: float) -> list[Choice]:
    if kind == "zero":
        return [Choice(ZeroTensor(), None, None, _distortion(values, 0.0, h))]
    if kind == "lattice":
        return _lattices(values, h, price)
    if kind == "row lattice":
        return _row_lattices(values, h, price) if values.ndim > 1 else []
    if kind == "codebook":
        return [c for size in CODEBOOK_SIZES if size < values.size for c in _codebook(values, h, price, size)]
    return [_blocks(values, h, price, kind, log2) for log2 in BLOCK_SIZES]


def _distortion(values: NDArray[np.float32], decoded: NDArray[np.float32] | float, h: Vector) -> float:
    return float((h * (values.astype(np.float64) - decoded) ** 2).sum() / 2)


def _judged(
    coding: Quantized, values: NDArray[np.float32], symbols: Symbols, side: Symbols | None, h: Vector, price: float,
    side_bits: float = 0.0,
) -> Choice:  # fmt: skip
    assert not isinstance(coding, ZeroTensor)
    bits = table_bits(coding.table, symbols) + HEADER_BITS + side_bits
    if isinstance(coding, CodebookTensor):
        bits += 16 * len(coding.centroids)
    decoded = dequantize_tensor(coding, symbols, side)
    return Choice(coding, symbols, side, _distortion(values, decoded, h) + price * bits)


def _high_rate_step(h: Vector, price: float, values: NDArray[np.float32]) -> float:
    """The step that balances h step^2 / 24 against -price log2(step), within what the values make sensible."""
    reach = float(np.abs(values).max())
    step = math.sqrt(12 * price / math.log(2) / max(float(h.mean()), 1e-30))
    return min(max(step, reach / 1000), 2 * reach)


def _lattices(values: NDArray[np.float32], h: Vector, price: float) -> list[Choice]:
    centre = _high_rate_step(h, price, values)
    choices = []
    for index in sorted({nearest_step(centre * 2**shift) for shift in STEP_SHIFTS}):
        step = step_size(index)
        integers = _rounded(values, np.array(step), h, price)
        coding, symbols = lattice_coding(integers, index)
        choices.append(_judged(coding, values, symbols, None, h, price))
    return choices


def _rounded(values: NDArray[np.float32], steps: Vector, h: Vector, price: float) -> Symbols:
    """Nearest integers, then once more towards 0 where that costs less than the bits it saves."""
    integers = to_integers(values, steps)
    half = int(np.abs(integers).max(initial=0))
    if half == 0 or half > MOST_LEVELS // 2:
        return integers
    nats = price * _lengths(fit_table(integers + half, 2 * half + 1))
    best, cost = integers, _cost(values, integers, steps, h, nats, half)
    for other in (integers - np.sign(integers), np.zeros_like(integers)):
        trial = _cost(values, other, steps, h, nats, half)
        best, cost = np.where(trial < cost, other, best), np.minimum(trial, cost)
    return best.astype(np.int32)


def _cost(values: NDArray[np.float32], integers: Symbols, steps: Vector, h: Vector, nats: Vector, half: int) -> Vector:
    return h * (values - integers * steps) ** 2 / 2 + nats[integers + half]


def lattice_coding(integers: Symbols, step_index: int, offsets: Symbols | None = None) -> tuple[LatticeTensor, Symbols]:
    """Return the cheapest coding of integers at a step, and the symbols in their shape. offsets: (rows,).

    Raises: QuantizeError where one of them is too large for an alphabet.
    """
    half = int(np.abs(integers).max(initial=0))
    if half > MAX_HALF:
        raise QuantizeError(f"lattice_coding: integers reach at most {MAX_HALF:,}, got {half:,}. Use a larger step.")
    rows = None
    if offsets is not None:
        reach = int(np.abs(offsets).max(initial=0))
        rows = fit_table(offsets + reach, 2 * reach + 1)
    table = fit_table(integers + half, 2 * half + 1)
    return LatticeTensor(step_index=step_index, rows=rows, table=table), (integers + half).astype(np.int32)


def _row_lattices(values: NDArray[np.float32], h: Vector, price: float) -> list[Choice]:
    """Steps that follow the curvature of each row, hence its high-rate step."""
    shape = (-1, *[1] * (values.ndim - 1))
    rows = h.reshape(len(h), -1).mean(1)
    if rows.max() <= 0 or np.allclose(rows, rows[0]):  # without curvature, steps follow the size of the row
        rows = 1 / np.maximum(values.reshape(len(values), -1).astype(np.float64).std(1), 1e-12) ** 2
    relative = np.sqrt(np.median(rows[rows > 0]) / np.maximum(rows, rows.max() * 1e-6))
    least = np.abs(values).reshape(len(values), -1).max(1) / (MOST_LEVELS // 2)
    choices = []
    for shift in STEP_SHIFTS:
        index = nearest_step(_high_rate_step(h, price, values) * 2**shift)
        offsets = row_offsets(np.maximum(step_size(index) * relative, least), index)
        steps = step_size(index) * 2.0 ** (offsets.astype(np.float64) / 8)
        integers = _rounded(values, steps.reshape(shape), h, price)
        coding, symbols = lattice_coding(integers, index, offsets)
        assert coding.rows is not None
        side = (offsets + coding.rows.levels // 2).astype(np.int32)
        side_bits = table_bits(coding.rows, side) + HEADER_BITS / 2
        choices.append(_judged(coding, values, symbols, side, h, price, side_bits))
    return choices


def _codebook(values: NDArray[np.float32], h: Vector, price: float, size: int) -> list[Choice]:
    """Entropy-constrained k-means (Chou, Lookabaugh and Gray 1989), its centroids rounded to float16."""
    flat, weight = values.reshape(-1), h.reshape(-1) + 1e-30
    centres = initial_centroids(flat, size, "kmeans").astype(np.float64)
    centres[np.argmin(np.abs(centres))] = 0.0
    lengths = np.zeros(size)
    index = np.zeros(flat.size, np.int64)
    for _ in range(8):
        costs = [weight * (flat - c) ** 2 / 2 + price * bits for c, bits in zip(centres, lengths, strict=True)]
        index = np.argmin(np.stack(costs), axis=0)
        counts = np.bincount(index, minlength=size)
        sums = np.bincount(index, weights=weight * flat, minlength=size)
        totals = np.bincount(index, weights=weight, minlength=size)
        centres = np.where((totals > 0) & (centres != 0), sums / np.maximum(totals, 1e-300), centres)
        lengths = -np.log2((counts + 0.5) / (flat.size + size / 2))
    with np.errstate(over="ignore"):
        half = centres.astype(np.float16)
    if not np.isfinite(half).all():
        return []
    book, inverse = np.unique(half, return_inverse=True)
    used, places = np.unique(inverse[index], return_inverse=True)
    symbols = places.astype(np.int32)
    coding = CodebookTensor(
        centroids=tuple(int(bits) for bits in book[used].view(np.uint16)), table=fit_static(symbols, len(used))
    )
    return [_judged(coding, values, symbols.reshape(values.shape), None, h, price)]


def _blocks(values: NDArray[np.float32], h: Vector, price: float, kind: str, log2: int) -> Choice:
    side, symbols = to_blocks(values, kind, log2)
    table = fit_static(symbols, BLOCK_LEVELS[kind])
    coding = BlockTensor(kind=kind, block_log2=log2, table=table)  # type: ignore[arg-type]
    return _judged(coding, values, symbols, side, h, price, 16.0 * len(side))


def fit_table(symbols: Symbols, levels: int) -> TableSpec:
    """Return the cheapest symbol model of a symmetric alphabet, header included."""
    counts = np.bincount(symbols.reshape(-1), minlength=levels)
    candidates = [_static_counts(counts)]
    if levels <= MAX_SMOOTH_LEVELS:
        candidates.append(_spike(counts))
    if levels <= MOST_SMOOTH_LEVELS:  # beyond, their tables take long and counts describe the symbols as well
        candidates += [_smooth(kind, counts) for kind in ("gaussian", "laplace")]
    return min(candidates, key=lambda table: _count_bits(table, counts))


def fit_static(symbols: Symbols, levels: int) -> TableSpec:
    """Return the empirical frequencies as a symbol model."""
    return _static_counts(np.bincount(symbols.reshape(-1), minlength=levels))


def _static_counts(counts: NDArray[np.int64]) -> TableSpec:
    return TableSpec(kind="static", levels=len(counts), counts=tuple(int(c) for c in counts))


def _spike(counts: NDArray[np.int64]) -> TableSpec:
    """The maximum-likelihood spike: share of zeros, and mean magnitude of the rest on the grid of fall-offs."""
    half, total = len(counts) // 2, max(1, int(counts.sum()))
    magnitudes = counts[half + 1 :] + counts[:half][::-1]
    others = int(magnitudes.sum())
    zero_index = min(127, max(0, round(-8 * math.log2(max(others, 0.5) / total))))
    if half == 0 or others == 0:
        return TableSpec(kind="spike", levels=len(counts), ratio_index=64, zero_index=zero_index)
    q = np.arange(half)
    t = 2.0 ** ((np.arange(128) - 64) / 8)[:, None]
    excess = float(magnitudes @ q)
    nats = t[:, 0] * excess + others * np.log(np.exp(-t * q).sum(1))
    return TableSpec(kind="spike", levels=len(counts), ratio_index=int(nats.argmin()), zero_index=zero_index)


def _smooth(kind: TableKind, counts: NDArray[np.int64]) -> TableSpec:
    """A density whose scale has the second moment of the symbols, or a neighbour on the grid."""
    q = np.arange(len(counts)) - len(counts) // 2
    deviation = math.sqrt(max(float(counts @ q**2) / max(1, counts.sum()), 1e-3))
    scale = deviation if kind == "gaussian" else deviation / math.sqrt(2)
    guess = round(64 - 8 * math.log2(scale))
    tables = [
        TableSpec(kind=kind, levels=len(counts), ratio_index=min(127, max(0, guess + shift))) for shift in (-2, 2)
    ]
    return min(tables, key=lambda table: _count_bits(table, counts))


def _lengths(table: TableSpec) -> Vector:
    return PRECISION_BITS - np.log2(frequencies(table).astype(np.float64))


def _count_bits(table: TableSpec, counts: NDArray[np.int64]) -> float:
    header = table.levels * int(counts.sum()).bit_length() if table.kind == "static" else 14
    return float(counts @ _lengths(table)) + header


def table_bits(table: TableSpec, symbols: Symbols) -> float:
    """Return about how many bits the symbols take, the model's own parameters included."""
    return _count_bits(table, np.bincount(symbols.reshape(-1), minlength=table.levels))
