"""Blocks with a scale each, as bitsandbytes has them: dynamic 8 bits, and normal float or float of 4 bits.

The tables stand here, and no bitsandbytes is needed (Dettmers et al. 2022, arXiv:2110.02861, sec. 2.1 for the dynamic
map; Dettmers et al. 2023, arXiv:2305.14314, app. E for NF4). A weight is an entry times the scale of its block.
"""

from fractions import Fraction
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ..bits.coder import Symbols
from ..errors import QuantizeError

NF4 = (
    -1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635, -0.18477343022823334,
    -0.09105003625154495, 0.0, 0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224,
    0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0,
)  # fmt: skip
FP4_MAGNITUDES = (0.0, 0.005208333333, 0.66666667, 1.0, 0.33333333, 0.5, 0.16666667, 0.25)  # by the three low bits


@lru_cache(maxsize=3)
def block_table(kind: str) -> NDArray[np.float32]:
    """Return the entries that symbols of `int8` (256), `nf4` or `fp4` (16) stand for, in [-1, 1]."""
    if kind == "nf4":
        return np.array(NF4, np.float32)
    if kind == "fp4":
        return np.array([*FP4_MAGNITUDES, *(-m for m in FP4_MAGNITUDES)], np.float32)
    return _dynamic_table()


def _dynamic_table() -> NDArray[np.float32]:
    """0, 1 and seven decades: decade i has +-10^(i - 6) times the middles of 2^i equal parts of [0.1, 1]."""
    entries = [Fraction(0), Fraction(1)]
    for decade in range(7):
        middles = [Fraction(1, 10) + Fraction(9 * (2 * k + 1), 20 << decade) for k in range(1 << decade)]
        entries += [sign * middle * Fraction(10) ** (decade - 6) for middle in middles for sign in (1, -1)]
    return np.array([float(entry) for entry in sorted(entries)], np.float32)


def to_blocks(values: NDArray[np.float32], kind: str, block_log2: int) -> tuple[Symbols, Symbols]:
    """Quantize in flat order; return bit patterns of bfloat16 scales (blocks,) and symbols in the shape of values.

    Raises: QuantizeError where a value is not finite.
    """
    if not np.isfinite(values).all():
        raise QuantizeError("Blocks: weights are finite, got NaN or infinity. Repair the checkpoint.")
    flat = values.reshape(-1)
    blocks, scales = in_blocks(flat, 1 << block_log2)
    patterns = _bfloat16_up(scales)
    rounded = (patterns.astype(np.uint32) << 16).view(np.float32)
    # the scale that the receiver has, which bitsandbytes would replace by the largest magnitude
    unit = blocks / np.where(rounded > 0, rounded, 1)[:, None]
    return patterns, nearest_entries(unit.reshape(-1)[: len(flat)], block_table(kind)).reshape(values.shape)


def in_blocks(values: NDArray[np.float32], size: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return values (n,) filled up with zeros as (blocks, size), and the largest magnitude of each block (blocks,)."""
    blocks = -(-len(values) // size)
    padded = np.zeros(blocks * size, np.float32)
    padded[: len(values)] = values
    return padded.reshape(blocks, size), np.abs(padded.reshape(blocks, size)).max(axis=1)


def nearest_entries(values: NDArray[np.floating], table: NDArray[np.float32]) -> Symbols:
    """Return the places of the entries nearest to values (n,) in a table in any order."""
    order = np.argsort(table, kind="stable")
    middles = (table[order][1:] + table[order][:-1]) / 2
    return order[np.searchsorted(middles, values)].astype(np.int32)


def _bfloat16_up(scales: NDArray[np.float32]) -> Symbols:
    """Bit patterns of the least bfloat16 numbers not below the scales."""
    bits = np.ascontiguousarray(scales, np.float32).view(np.uint32)
    return np.minimum((bits + np.uint32(0xFFFF)) >> np.uint32(16), 0x7F7F).astype(np.int32)
