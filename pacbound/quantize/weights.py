"""From the symbols of every weight to coefficients, tensor by tensor."""

import numpy as np
from numpy.typing import NDArray

from ..bits.coder import Symbols
from ..bits.weights import REACH
from ..specs.powers import eighth_power
from ..specs.specs import TensorsSpec
from .profile import points


def weight_steps(spec: TensorsSpec) -> NDArray[np.float64]:
    """Return the step of each weight, (D,); 0 where a tensor is 0."""
    steps = [0.0 if lattice.step_index is None else eighth_power(-lattice.step_index) for lattice in spec.lattices]
    return np.repeat(steps, [lattice.size for lattice in spec.lattices])


def from_weights(symbols: Symbols, spec: TensorsSpec) -> NDArray[np.float32]:
    """Return the coefficients (D,) that symbols in [0, 41) stand for."""
    return points(symbols - REACH, weight_steps(spec), trellis=False)
