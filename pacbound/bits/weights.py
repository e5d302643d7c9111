"""Every weight on a lattice of its tensor, without a subspace: steps, symbol models and symbols.

Weights lie in the order of the flat vector, tensor after tensor. For each of them a flag says whether all its elements
are 0; else its step and its ratio of step to scale follow, each by the gamma code of its distance from that of the
tensor before. The symbols are -20..20, under a discretised density of that ratio (bits/codes.py).
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..errors import CodeError
from ..specs.specs import PROFILE_REACH, RATIO_ONE, TensorLattice, TensorsSpec
from .coder import MAX_COUNT, Encoder, Stream, Symbols
from .codes import ITEM, RATIO_INDICES, WHY, symmetric_table
from .profile import LEVELS, code_near

REACH = PROFILE_REACH
TABLES = ("laplace", "gaussian")
STEPS_BELOW = 24  # eighths of an octave from 1 / sqrt(D), the He value of a layer, to the usual step: three octaves


def code_weights_header(stream: Stream, declared: TensorsSpec, spec: TensorsSpec | None) -> TensorsSpec:
    """Carry how each tensor is quantized and coded; of `declared` the sizes are read. Raises: CodeError."""
    item, why = "quantizer", "density of the symbol models; step and step over scale of each tensor, or that it is 0"
    if declared.parameters > MAX_COUNT:
        raise CodeError(f"message: all tensors hold at most {MAX_COUNT} weights, got {declared.parameters}.")
    table = TABLES[stream.integer(item, 1, why, None if spec is None else TABLES.index(spec.table))]
    step, ratio = _first_step(declared.parameters), RATIO_ONE
    lattices = []
    for k, of in enumerate(declared.lattices):
        sent = None if spec is None else spec.lattices[k]
        if stream.integer(item, 1, why, None if sent is None else sent.step_index is None):
            lattices.append(TensorLattice(size=of.size))
            continue
        step = code_near(stream, item, why, step, None if sent is None else sent.step_index)
        ratio = code_near(stream, item, why, ratio, None if sent is None else sent.ratio_index)
        lattices.append(TensorLattice(size=of.size, step_index=step, ratio_index=ratio))
    return TensorsSpec.model_validate({"table": table, "lattices": tuple(lattices)})


def code_weights(stream: Stream, spec: TensorsSpec, symbols: Symbols | None) -> Symbols:
    """Carry the symbols (D,) of all weights, in [0, 41), 20 standing for 0; those of a tensor of zeros are not sent."""
    found, start = [], 0
    for lattice in spec.lattices:
        sent = None if symbols is None else symbols[start : start + lattice.size]
        start += lattice.size
        if lattice.step_index is None:
            found.append(np.full(lattice.size, REACH, np.int32))
            continue
        table = symmetric_table(spec.table, LEVELS, lattice.ratio_index)
        found.append(stream.symbols(ITEM, table, lattice.size, WHY, sent))
    return np.concatenate(found)


def fit_tables(integers: Sequence[NDArray[np.int64]], steps: Sequence[int]) -> TensorsSpec:
    """Return the cheapest symbol models for the integers of each tensor, within -20..20, at given step indices."""
    specs = [_fitted(table, integers, steps) for table in TABLES]
    symbols = np.concatenate([values + REACH for values in integers]).astype(np.int32)
    return min(specs, key=lambda spec: weight_bits(spec, symbols))


def _fitted(table: str, integers: Sequence[NDArray[np.int64]], steps: Sequence[int]) -> TensorsSpec:
    rates = np.stack([-np.log2(symmetric_table(table, LEVELS, ratio)) for ratio in range(RATIO_INDICES)])
    lattices, before = [], RATIO_ONE
    for values, step in zip(integers, steps, strict=True):
        if not values.any():
            lattices.append(TensorLattice(size=len(values)))
            continue
        counts = np.bincount(values + REACH, minlength=LEVELS)
        header = 2 * np.floor(np.log2(1 + 2 * np.abs(np.arange(RATIO_INDICES) - before)))
        before = int((rates @ counts + header).argmin())
        lattices.append(TensorLattice(size=len(values), step_index=step, ratio_index=before))
    return TensorsSpec.model_validate({"table": table, "lattices": tuple(lattices)})


def weight_bits(spec: TensorsSpec, symbols: Symbols) -> int:
    """Exact bits of header and symbols."""
    encoder = Encoder()
    code_weights_header(encoder, spec, spec)
    code_weights(encoder, spec, symbols)
    return encoder.account.ledger().bits


def _first_step(D: int) -> int:
    """Return the step index that the first tensor is compared with, in integers: 4 log2 D is half of 8 log2 D."""
    return min(255, STEPS_BELOW + 4 * (D.bit_length() - 1))
