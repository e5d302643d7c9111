"""Uniform lattice: coefficients are integers times a coded step."""

import math

import numpy as np
from numpy.typing import NDArray

from ..bits.coder import Symbols
from ..errors import QuantizeError
from ..specs.powers import eighth_power
from ..specs.specs import MAX_SYMBOL, LatticeSpec


def step_of(spec: LatticeSpec) -> float:
    """Return the step 2^(-step_index / 8)."""
    return eighth_power(-spec.step_index)


def step_index_for(step: float) -> int:
    """Return the index whose step is nearest in ratio. Raises: QuantizeError where none of 0..255 is near."""
    index = round(-8 * math.log2(step)) if step > 0 else -1
    if not 0 <= index < 256:
        raise QuantizeError(f"Lattice: a step lies between 2^-31.9 and 1, got {step}. Rescale the coefficients.")
    return index


def to_lattice(w: NDArray[np.float32], spec: LatticeSpec) -> tuple[Symbols, int]:
    """Round coefficients (d,) to the lattice; return symbols in [0, levels) and the odd number of levels.

    Raises: QuantizeError where a coefficient is not finite or lies beyond the largest alphabet.
    """
    if not np.isfinite(w).all():
        raise QuantizeError("Lattice: coefficients are finite, got NaN or infinity; training diverged, lower its rate.")
    rounded = np.rint(w.astype(np.float64) / step_of(spec))
    half = int(np.abs(rounded).max(initial=0.0))
    if half > MAX_SYMBOL:
        raise QuantizeError(f"Lattice: symbols reach at most {MAX_SYMBOL}, got {half}. Use a larger step.")
    return rounded.astype(np.int32) + half, 2 * half + 1


def from_lattice(symbols: Symbols, levels: int, spec: LatticeSpec) -> NDArray[np.float32]:
    """Return the coefficients (d,) that symbols stand for."""
    return ((symbols.astype(np.float64) - levels // 2) * step_of(spec)).astype(np.float32)
