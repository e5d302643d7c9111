"""From real coefficients to symbols and back."""

import numpy as np
from numpy.typing import NDArray

from ..bits.coder import Symbols
from ..specs.specs import CodebookSpec, StepSpec, SymbolSpec, TensorsSpec
from .codebook import from_codebook
from .lattice import from_lattice
from .profile import from_profile
from .weights import from_weights


def dequantize(symbols: Symbols, levels: int, spec: SymbolSpec) -> NDArray[np.float32]:
    """Return the coefficients (d,) that symbols in [0, levels) stand for, bit for bit on every machine."""
    if isinstance(spec, CodebookSpec):
        return from_codebook(symbols, spec)
    if isinstance(spec, StepSpec):
        return from_profile(symbols, spec)
    if isinstance(spec, TensorsSpec):
        return from_weights(symbols, spec)
    return from_lattice(symbols, levels, spec)
