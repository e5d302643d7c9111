"""The step profile: steps that follow a smooth curve over the coefficients, and the symbol model of each.

Five small integers say it all. With t_i = -1 + 2 i / (d - 1), T_2(t) = 2 t^2 - 1 and s = 2^(-scale_index / 16):

    u_i    = (c0 + c1 t_i + c2 T_2(t_i)) / 8           log of the conditional precision times s^2
    r_i    = (kap / 10) exp(-u_i / 2)                  step of coefficient i over s
    step_i = floor(2^40 s r_i) / 2^40
    tau_i  = s sqrt(1 - min(r_i^2 / 12, 4 / 5))        standard deviation of the symbol model N(0, tau_i^2)
    g_i    = floor(1024 step_i / tau_i + 1/2), at least 1

Floors are taken of balls that hold no integer boundary, so every machine finds the same numbers. The symbol model
depends on g_i only, never on s.
"""

from functools import lru_cache

import numpy as np
from flint import arb, ctx, fmpq
from numpy.typing import NDArray

from ..errors import CodeError
from ..specs import PROFILE_REACH, ProfileSpec
from .balls import certain_floor, working_precision
