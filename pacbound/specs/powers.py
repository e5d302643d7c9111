"""Powers of two on a grid of eighths, the same double on every machine."""

import math

# 2^(j/8), the float64 nearest to each; literals, so that no mathematical library takes part in decoding.
_EIGHTHS = (
    1.0,
    1.0905077326652577,
    1.189207115002721,
    1.2968395546510096,
    1.4142135623730951,
    1.5422108254079407,
    1.681792830507429,
    1.8340080864093424,
)


def eighth_power(k: int) -> float:
    """Return 2^(k/8) in float64 for any integer k.

    >>> eighth_power(-40), eighth_power(3)
    (0.03125, 1.2968395546510096)
    """
    return math.ldexp(_EIGHTHS[k % 8], k // 8)
