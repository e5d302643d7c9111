"""A network whose matrices are quantized as its users would have it, and the bits that it then takes."""

import copy
import re
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from ..errors import QuantizeError
from .blockwise import block_table, in_blocks, nearest_entries
from .pieces import STEPS_A_DEVIATION, code_piece

BLOCK = 64
SCALE_BITS = 32
LATTICE = re.compile(r"lattice(?:@([1-9][0-9]?))?", re.ASCII)
QUANTIZERS = ("int8", "nf4", "fp4", "lattice", "lattice@1 to lattice@99")
Array = NDArray[np.float32]


@dataclass(frozen=True)
class Version:
    """A quantized network. bits: of all its parameters, as they are stored or coded. parameters: their number."""

    network: nn.Module
    bits: int
    parameters: int

    @property
    def bits_a_weight(self) -> float:
        """Bits over parameters."""
        return self.bits / self.parameters


def check_quantizer(quantizer: str) -> None:
    """Refuse what is no quantizer's name. Raises: QuantizeError."""
    if LATTICE.fullmatch(quantizer) is None and quantizer not in QUANTIZERS[:3]:
        raise QuantizeError(f"quantize: a quantizer is one of {', '.join(QUANTIZERS)}, got {quantizer!r}.")


def quantized_version(network: nn.Module, quantizer: str) -> Version:
    """Return a copy of a network with quantized matrices; vectors, such as biases and norms, stay as they are.

    int8: each row is integers in -127..127 times its largest magnitude / 127 (Dettmers et al. 2022, arXiv:2208.07339,
    sec. 2.1); 8 bits a weight, 32 a row. nf4, fp4: blocks of 64 with their largest magnitudes as scales (blockwise.py);
    4 bits a weight, 32 a block. These are what bitsandbytes makes and stores. lattice@K: K steps in a standard
    deviation of each matrix, 2 by default; the bits are those of its coded symbols. Vectors take 32 bits a number.

    Raises: QuantizeError for another quantizer, or where a weight is not finite.
    """
    check_quantizer(quantizer)
    lattice = LATTICE.fullmatch(quantizer)
    version = copy.deepcopy(network)
    bits = 0
    with torch.no_grad():
        for name, parameter in version.named_parameters():
            values = parameter.detach().cpu().numpy().astype(np.float32)
            if not np.isfinite(values).all():
                raise QuantizeError(f"quantize: weights are finite, got NaN or infinity in {name}. Repair the network.")
            if values.ndim < 2:
                bits += 32 * values.size
                continue
            if lattice is not None:
                steps = int(lattice[1] or STEPS_A_DEVIATION)
                _, added, made = code_piece(values.reshape(-1), "lattice", steps)
            else:
                added, made = _by_rows(values) if quantizer == "int8" else _by_blocks(values.reshape(-1), quantizer)
            bits += added
            parameter.copy_(torch.from_numpy(made.reshape(values.shape)))
    return Version(version, bits, sum(parameter.numel() for parameter in version.parameters()))


def _by_rows(values: Array) -> tuple[int, Array]:
    rows = values.reshape(len(values), -1)
    scales = np.abs(rows).max(1, keepdims=True)
    integers = np.rint(rows * (np.float32(127) / np.where(scales > 0, scales, 1)))
    return 8 * rows.size + SCALE_BITS * len(rows), integers * (scales / np.float32(127))


def _by_blocks(values: Array, kind: str) -> tuple[int, Array]:
    blocks, scales = in_blocks(values, BLOCK)
    table = block_table(kind)
    unit = blocks / np.where(scales > 0, scales, 1)[:, None]
    decoded = table[nearest_entries(unit.reshape(-1), table)].reshape(blocks.shape) * scales[:, None]
    return 4 * len(values) + SCALE_BITS * len(blocks), decoded.reshape(-1)[: len(values)]
