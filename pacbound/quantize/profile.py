"""Step profile: coefficient i is an integer times its own step, and the steps follow the conditional precisions."""

import math

import numpy as np
from numpy.typing import NDArray

from ..bits.coder import Symbols
from ..bits.profile import profile_steps
from ..bits.trellis import halves
from ..errors import QuantizeError
from ..specs.specs import PROFILE_REACH, ProfileSpec, StepSpec, TrellisSpec

SCALES = {ProfileSpec: (0, 127), TrellisSpec: (-128, 255)}  # indices of the prior's scale that a message has room for


def scale_index_for(scale: float, kind: type[StepSpec] = ProfileSpec) -> int:
    """Return the index of the kind whose s = 2^(-index / 16) is nearest in ratio.

    A scale beyond the format's is cut to it: the code stays valid, it only fits less well.
    Raises: QuantizeError where a scale is not positive and finite.
    """
    if not (scale > 0 and math.isfinite(scale)):
        raise QuantizeError(f"Profile: the prior's scale is positive and finite, got {scale}; training diverged.")
    low, high = SCALES[kind]
    return min(max(round(-16 * math.log2(scale)), low), high)


def fit_profile(
    precisions: NDArray[np.float64], scale: float, kap: float, kind: type[StepSpec] = ProfileSpec
) -> StepSpec:
    """Fit ln(D_i s^2) by a Chebyshev polynomial of degree 2 in the place i, on the grid of the format.

    Args: precisions: conditional precisions D_i, (d,). scale: s. kap: step in units of 1 / sqrt(D_i).
        kind: of the record made.
    Coefficients beyond the format's range are cut to it: the code stays valid, its steps fit less well.
    Raises: QuantizeError where a precision is not positive and finite, or kap or s is outside the format.
    """
    if not (np.isfinite(precisions).all() and (precisions > 0).all()):
        raise QuantizeError("Profile: precisions are positive and finite, got others; the curvature is not usable.")
    if not 1 <= round(10 * kap) <= 64:
        raise QuantizeError(f"Profile: kap lies in 0.1..6.4, got {kap}.")
    index = scale_index_for(scale, kind)
    s = 2 ** (-index / 16)
    t = np.linspace(-1, 1, len(precisions)) if len(precisions) > 1 else np.zeros(1)
    degree = min(2, len(precisions) - 1)
    c = np.zeros(3)
    c[: degree + 1] = np.polynomial.chebyshev.chebfit(t, np.log(precisions * s**2), degree)
    c0, c1, c2 = (
        int(np.clip(round(8 * value), low, high)) for value, low, high in zip(c, (0, -16, -8), (63, 15, 7), strict=True)
    )
    return kind(scale_index=index, kap=round(10 * kap), c0=c0, c1=c1, c2=c2)


def from_profile(symbols: Symbols, spec: StepSpec) -> NDArray[np.float32]:
    """Return the coefficients (d,) that symbols in [0, 41) stand for."""
    return points(symbols - PROFILE_REACH, profile_steps(spec, len(symbols)), isinstance(spec, TrellisSpec))


def points(integers: NDArray[np.int32], steps: NDArray[np.float64], trellis: bool) -> NDArray[np.float32]:
    """Return k_i step_i, or under a trellis (k_i + h_i / 2) step_i, for integers (d,) and steps (d,); rounded once."""
    return ((integers + halves(integers) / 2 if trellis else integers) * steps).astype(np.float32)
