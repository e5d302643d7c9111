"""Step profile: coefficient i is an integer times its own step, and the steps follow the conditional precisions."""

import math

import numpy as np
from numpy.typing import NDArray

from ..bits.coder import Symbols
from ..bits.profile import profile_steps
from ..errors import QuantizeError
from ..specs.specs import PROFILE_REACH, ProfileSpec


def scale_index_for(scale: float) -> int:
    """Return the index in 0..127 whose s = 2^(-index / 16) is nearest in ratio.

    A scale beyond the format's is cut to it: the code stays valid, it only fits less well.
    Raises: QuantizeError where a scale is not positive and finite.
    """
    if not (scale > 0 and math.isfinite(scale)):
        raise QuantizeError(f"Profile: the prior's scale is positive and finite, got {scale}; training diverged.")
    return min(max(round(-16 * math.log2(scale)), 0), 127)


def fit_profile(precisions: NDArray[np.float64], scale: float, kap: float) -> ProfileSpec:
    """Fit ln(D_i s^2) by a Chebyshev polynomial of degree 2 in the place i, on the grid of the format.

    Args: precisions: conditional precisions D_i, (d,). scale: s. kap: step in units of 1 / sqrt(D_i).
    Coefficients beyond the format's range are cut to it: the code stays valid, its steps fit less well.
    Raises: QuantizeError where a precision is not positive and finite, or kap or s is outside the format.
    """
    if not (np.isfinite(precisions).all() and (precisions > 0).all()):
        raise QuantizeError("Profile: precisions are positive and finite, got others; the curvature is not usable.")
    if not 1 <= round(10 * kap) <= 64:
        raise QuantizeError(f"Profile: kap lies in 0.1..6.4, got {kap}.")
    index = scale_index_for(scale)
    s = 2 ** (-index / 16)
    t = np.linspace(-1, 1, len(precisions)) if len(precisions) > 1 else np.zeros(1)
    degree = min(2, len(precisions) - 1)
    c = np.zeros(3)
    c[: degree + 1] = np.polynomial.chebyshev.chebfit(t, np.log(precisions * s**2), degree)
    c0, c1, c2 = (
        int(np.clip(round(8 * value), low, high)) for value, low, high in zip(c, (0, -16, -8), (63, 15, 7), strict=True)
    )
    return ProfileSpec(scale_index=index, kap=round(10 * kap), c0=c0, c1=c1, c2=c2)


def from_profile(symbols: Symbols, spec: ProfileSpec) -> NDArray[np.float32]:
    """Return the coefficients (d,) that symbols in [0, 41) stand for."""
    steps = profile_steps(spec, len(symbols))
    return ((symbols.astype(np.float64) - PROFILE_REACH) * steps).astype(np.float32)
