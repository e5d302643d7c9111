"""From the symbols of a direct code to tensors, and from tensors to symbols by lattice, codebook or zero."""

import math

import numpy as np
from numpy.typing import NDArray

from ..bits.coder import Symbols
from ..bits.units import coded_arrays, coded_positions
from ..errors import QuantizeError
from ..specs.powers import eighth_power
from ..specs.tensors import MAX_HALF, MAX_ROW_LEVELS, BlockTensor, CodebookTensor, DirectSpec, LatticeTensor, Quantized
from .blockwise import block_table

UNIT_STEP = 128  # step_index of the step 1
STEPS = 512

Array = NDArray[np.float32]


def dequantize_tensors(spec: DirectSpec, symbols: Symbols) -> dict[str, Array]:
    """Return every tensor by name, in its full shape, float32, the same on every machine.

    Raises: MessageError where there are more or fewer symbols than the tensors take.
    """
    coded = coded_arrays(spec, symbols)
    tensors: dict[str, Array] = {}
    for k, (tensor, positions) in enumerate(zip(spec.tensors, coded_positions(spec), strict=True)):
        full = np.zeros(tensor.sides, np.float32)
        values = coded.values[k]
        if values is not None:
            full[np.ix_(*positions)] = dequantize_tensor(tensor.coding, values, coded.rows[k])
        tensors[tensor.name] = full.reshape(tensor.shape)
    return tensors


def dequantize_tensor(coding: Quantized, values: Symbols, side: Symbols | None) -> Array:
    """Return what the symbols of one tensor stand for, in their shape.

    side: offsets (rows,) of a lattice by row, or bfloat16 scales (blocks,) by bit pattern; None where there are none.
    """
    if isinstance(coding, CodebookTensor):
        return np.array(coding.centroids, np.uint16).view(np.float16).astype(np.float32)[values]
    if isinstance(coding, BlockTensor):
        scales = ((np.zeros(0) if side is None else side).astype(np.uint32) << 16).view(np.float32)
        scale = np.repeat(scales, 1 << coding.block_log2)[: values.size]
        return (block_table(coding.kind)[values.reshape(-1)] * scale).reshape(values.shape)
    if not isinstance(coding, LatticeTensor):
        return np.zeros(values.shape, np.float32)
    return ((values - coding.table.levels // 2) * _steps(coding, values.ndim, side)).astype(np.float32)


def _steps(coding: LatticeTensor, dimensions: int, side: Symbols | None) -> NDArray[np.float64]:
    """The step of each row, (rows, 1, ...), or of all of them, ()."""
    if coding.rows is None or side is None:
        return np.array(eighth_power(UNIT_STEP - coding.step_index))
    half = coding.rows.levels // 2
    powers = np.array([eighth_power(UNIT_STEP - coding.step_index + k - half) for k in range(coding.rows.levels)])
    return powers[side].reshape(-1, *[1] * (dimensions - 1))


def step_size(step_index: int) -> float:
    """Return 2^(-step_index / 8 + 16)."""
    return eighth_power(UNIT_STEP - step_index)


def nearest_step(step: float) -> int:
    """Return the index whose step is nearest in ratio. Raises: QuantizeError where none of 0..511 is near."""
    index = UNIT_STEP - round(8 * math.log2(step)) if step > 0 and math.isfinite(step) else -1
    if not 0 <= index < STEPS:
        raise QuantizeError(f"Lattice: a step lies between 2^-48 and 2^16, got {step}. Rescale the weights.")
    return index


def row_offsets(steps: NDArray[np.float64], step_index: int) -> Symbols:
    """Return the offsets (rows,) in eighths of an octave, centred at 0, nearest to the steps (rows,)."""
    reach = MAX_ROW_LEVELS // 2
    return np.clip(np.rint(8 * np.log2(steps / step_size(step_index))), -reach, reach).astype(np.int32)


def to_integers(values: Array, steps: NDArray[np.float64], dead_zone: float = 0.5) -> Symbols:
    """Round to integers q with q * steps nearest, and to 0 below `dead_zone` steps.

    steps: broadcast against values. Raises: QuantizeError where a value is not finite or beyond the alphabet.
    """
    if not np.isfinite(values).all():
        raise QuantizeError("Lattice: weights are finite, got NaN or infinity. Repair the checkpoint.")
    scaled = values / steps
    rounded = np.where(np.abs(scaled) < dead_zone, 0.0, np.rint(scaled))
    if np.abs(rounded).max(initial=0.0) > MAX_HALF:
        raise QuantizeError(f"Lattice: symbols reach at most {MAX_HALF}, got more. Use a larger step.")
    return rounded.astype(np.int32)
