"""The step profile: steps that follow a smooth curve over the coefficients, and the symbol model of each.

Five small integers say it all. With t_i = -1 + 2 i / (d - 1), T_2(t) = 2 t^2 - 1 and s = 2^(-scale_index / 16):

    u_i    = (c0 + c1 t_i + c2 T_2(t_i)) / 8           logarithm of the conditional precision times s^2
    r_i    = (kap / 10) exp(-u_i / 2)                  step of coefficient i over s
    step_i = floor(2^40 s r_i) / 2^40
    tau_i  = s sqrt(1 - min(r_i^2 / 12, 4 / 5))        standard deviation of the symbol model N(0, tau_i^2)
    g_i    = floor(1024 s r_i / tau_i + 1/2), at least 1

Floors are taken of balls that hold no integer boundary, so that every machine finds the same numbers without any
mathematical library. The symbol model depends on g_i alone, never on s: s is a pure scale.
"""

from functools import lru_cache

import numpy as np
from flint import arb, ctx, fmpq
from numpy.typing import NDArray

from ..errors import CodeError
from ..specs.specs import PROFILE_REACH, ProfileSpec, StepSpec
from .coder import MAX_COUNT, Stream, Symbols, Table
from .codes import ITEM, TABLE_PRECISION, WHY, certain_floor, discretised_table, gaussian_tail

LEVELS = 2 * PROFILE_REACH + 1
STEP_BITS = 40
USUAL = (44, 3, 1)  # kap, c1, c2
GRID = 1024  # step over tau is rounded to 1 / GRID


def profile_steps(spec: StepSpec, d: int) -> NDArray[np.float64]:
    """Return the d steps, shape (d,), the same doubles everywhere; a step below 2^-40 is 2^-40."""
    with ctx.workprec(TABLE_PRECISION):
        s = arb(2) ** arb(fmpq(-spec.scale_index, 16))
        steps = [certain_floor(s * ratio * (1 << STEP_BITS)) for ratio in _ratios(spec, d)]
    return np.array([max(1, step) for step in steps], np.float64) * 2.0**-STEP_BITS


@lru_cache(maxsize=2)
def profile_grid(spec: StepSpec, d: int) -> tuple[int, ...]:
    """Return g_i for each coefficient: step over tau in units of 1 / GRID."""
    limit, half = arb(fmpq(4, 5)), arb(fmpq(1, 2))
    with ctx.workprec(TABLE_PRECISION):
        scaled = [ratio / (1 - (ratio * ratio / 12).min(limit)).sqrt() * GRID for ratio in _ratios(spec, d)]
        return tuple(max(1, certain_floor(g + half)) for g in scaled)


def profile_tables(spec: StepSpec, d: int) -> Table:
    """Return integer frequencies of the symbols -20..20, shape (d, 41), each row summing to 2^24."""
    if not 1 <= d <= MAX_COUNT // LEVELS:  # before d rows are thought of
        raise CodeError(f"ProfileSpec: a step profile has 1 to {MAX_COUNT // LEVELS} coefficients, got {d}.")
    return np.stack([_grid_table(g) for g in profile_grid(spec, d)])


@lru_cache(maxsize=1 << 14)
def _grid_table(g: int) -> Table:
    """Frequencies (41,) of a discretised normal with step over scale g / GRID."""
    with ctx.workprec(TABLE_PRECISION):
        return discretised_table(gaussian_tail, LEVELS, arb(fmpq(g, GRID)))


def _ratios(spec: StepSpec, d: int) -> list[arb]:
    """Balls of step over s; the exponent is rational and exact."""
    kap, last = arb(fmpq(spec.kap, 10)), max(1, d - 1)
    ratios = []
    for x in range(1 - d, d, 2):  # t = x / last
        eight_u = spec.c0 * last**2 + spec.c1 * x * last + spec.c2 * (2 * x**2 - last**2)  # times last^2
        ratios.append(kap * arb(fmpq(-eight_u, 16 * last**2)).exp())
    return ratios


def code_profile_header(stream: Stream, spec: ProfileSpec | None) -> ProfileSpec:
    """Carry the five integers: scale and c0 uniformly, the others near the values that training tends to."""
    item, why = "quantizer", "step profile: scale, width and three coefficients"
    scale_index = stream.integer(item, 7, why, None if spec is None else spec.scale_index)
    c0, kap, c1, c2 = code_curve(stream, item, why, USUAL, spec)
    return ProfileSpec(scale_index=scale_index, kap=kap, c0=c0, c1=c1, c2=c2)


def code_curve(
    stream: Stream, item: str, why: str, usual: tuple[int, int, int], spec: StepSpec | None
) -> tuple[int, int, int, int]:
    """Carry c0 uniformly, and kap, c1 and c2 near their usual values."""
    return (
        stream.integer(item, 6, why, None if spec is None else spec.c0),
        code_near(stream, item, why, usual[0], None if spec is None else spec.kap),
        code_near(stream, item, why, usual[1], None if spec is None else spec.c1),
        code_near(stream, item, why, usual[2], None if spec is None else spec.c2),
    )


def code_near(stream: Stream, item: str, why: str, usual: int, value: int | None) -> int:
    """Carry an integer by the gamma code of its distance from the usual value: 0, +1, -1, +2, ... as 0, 1, 2, 3, ..."""
    sent = None if value is None else 2 * (value - usual) - 1 if value > usual else 2 * (usual - value)
    place = stream.gamma(item, why, sent)
    return usual + (place + 1) // 2 if place % 2 else usual - place // 2


def code_profile_symbols(stream: Stream, spec: ProfileSpec, count: int, symbols: Symbols | None = None) -> Symbols:
    """Carry `count` symbols in [0, 41), 20 standing for 0, under the profile's tables, in either direction."""
    return stream.symbols(ITEM, profile_tables(spec, count), count, WHY, symbols)
