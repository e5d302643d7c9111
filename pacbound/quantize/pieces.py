"""Vectors of weights quantized without looking at anything but them, and coded: blocks, or a lattice by their size."""

import numpy as np
from numpy.typing import NDArray

from ..bits.coder import Decoder, Encoder
from ..bits.tensors import code_coding, code_tensor
from ..bits.units import side_count
from ..specs.tensors import BLOCK_LEVELS, BlockTensor, Quantized, ZeroTensor
from .blockwise import to_blocks
from .rates import fit_static, lattice_coding
from .tensors import dequantize_tensor, nearest_step, step_size, to_integers

BLOCK_LOG2 = 6
STEPS_A_DEVIATION = 2
Array = NDArray[np.float32]


def code_piece(values: Array, quantizer: str, steps: int = STEPS_A_DEVIATION) -> tuple[bytes, int, Array]:
    """Quantize and code a vector; return the message, its bits, and what it decodes to.

    quantizer: of BLOCK_KINDS, or lattice. steps: of the lattice, in a standard deviation of the values.
    Raises: QuantizeError where a value is not finite.
    """
    coding, side, symbols = _quantize(values, quantizer, steps)
    encoder = Encoder()
    code_coding(encoder, "header", "kind, step or block size and symbol model", values.shape, coding)
    if isinstance(coding, ZeroTensor):
        return encoder.payload(), encoder.account.ledger().bits, np.zeros(values.shape, np.float32)
    sent = symbols if side is None else np.concatenate([side, symbols])
    code_tensor(encoder, "symbols", coding, values.shape, sent)
    return encoder.payload(), encoder.account.ledger().bits, dequantize_tensor(coding, symbols, side)


def _quantize(
    values: Array, quantizer: str, steps: int
) -> tuple[Quantized, NDArray[np.int32] | None, NDArray[np.int32]]:
    if quantizer != "lattice":
        side, symbols = to_blocks(values, quantizer, BLOCK_LOG2)
        table = fit_static(symbols, BLOCK_LEVELS[quantizer])
        return BlockTensor(kind=quantizer, block_log2=BLOCK_LOG2, table=table), side, symbols  # type: ignore[arg-type]
    deviation = float(values.astype(np.float64).std()) or float(np.abs(values).max(initial=0.0))
    if deviation == 0:
        return ZeroTensor(), None, np.zeros(0, np.int32)
    index = nearest_step(deviation / steps)
    coding, symbols = lattice_coding(to_integers(values, np.array(step_size(index))), index)
    return coding, None, symbols


def decode_piece(payload: bytes, count: int) -> Array:
    """Return the vector that a message of `count` elements decodes to. Raises: MessageError."""
    decoder = Decoder(payload)
    coding = code_coding(decoder, "header", "", (count,), None)
    symbols = code_tensor(decoder, "symbols", coding, (count,))
    if isinstance(coding, ZeroTensor):
        return np.zeros(count, np.float32)
    side = side_count(coding, (count,))
    return dequantize_tensor(coding, symbols[side:], symbols[:side] if side else None)
