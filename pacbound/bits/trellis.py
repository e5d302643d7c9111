"""Dependent quantization: two lattices shifted by half a step, and a trellis of four states that says which is next.

Coefficient i is (k_i + h_i / 2) step_i with the integer k_i of its symbol. h_i is the upper bit of the state, 0 or 1,
and the parity of k_i leads to the next state:

    state    0       1       2       3
    h        0       0       1       1
    even     0       2       1       3
    odd      2       0       3       1

The first state is 0. Written out, h_{i+1} = h_{i-1} + k_i modulo 2: both lattices together are twice as fine as what
a symbol has to tell apart (trellis coded quantization, Marcellin and Fischer 1990; of video, dependent quantization).

Steps and widths of the symbol model are those of the profile (profile.py). A symbol has the mass of N(0, tau_i^2)
between the midpoints of its lattice, so that there are two tables for each coefficient: h = 0, the profile's own, and
h = 1, with edges at the multiples of step_i instead.
"""

from functools import lru_cache

import numpy as np
from flint import arb, ctx, fmpq
from numpy.typing import NDArray

from ..errors import CodeError
from ..specs.specs import PROFILE_REACH, TrellisSpec
from .coder import TOTAL, Decoder, Stream, Symbols, Table
from .codes import ITEM, TABLE_PRECISION, WHY, frequencies_outwards, gaussian_tail
from .profile import GRID, LEVELS, code_curve, code_near, profile_grid, profile_tables

NEXT = ((0, 2), (2, 0), (1, 3), (3, 1))  # state, parity -> state
MAX_COEFFICIENTS = 1 << 16  # symbols are decoded one after the other
USUAL = (44, 6, 2)  # kap, c1, c2
OCTAVE, USUAL_OCTAVE = 16, 3  # scale indices in one; s between 1/8 and 1/16


def halves(integers: NDArray[np.integer], state: int = 0) -> NDArray[np.int32]:
    """Return h_i of integers k (..., d), the same shape, from the state before the first."""
    h = np.zeros((*integers.shape[:-1], integers.shape[-1] + 1), np.int32)
    odd = integers & 1
    h[..., 0] = state >> 1
    h[..., 1::2] = (state + np.cumsum(odd[..., ::2], -1)) & 1
    h[..., 2::2] = ((state >> 1) + np.cumsum(odd[..., 1::2], -1)) & 1
    return h[..., :-1]


def state_after(integers: NDArray[np.integer]) -> int:
    """Return the state that integers k (d,) lead to from state 0."""
    state = 0
    for k in integers.tolist():
        state = NEXT[state][k & 1]
    return state


@lru_cache(maxsize=2)
def trellis_tables(spec: TrellisSpec, d: int) -> Table:
    """Return integer frequencies of the symbols -20..20 for h = 0 and 1, shape (2, d, 41), rows summing to 2^24.

    Read-only: a message is decoded, and written again to see that it says nothing else, under the same tables.

    Raises: CodeError where d is not in 1..65536.
    """
    if not 1 <= d <= MAX_COEFFICIENTS:
        raise CodeError(f"TrellisSpec: a trellis has 1 to {MAX_COEFFICIENTS} coefficients, got {d}.")
    tables = np.stack([profile_tables(spec, d), np.stack([_shifted_table(g) for g in profile_grid(spec, d)])])
    tables.setflags(write=False)
    return tables


@lru_cache(maxsize=1 << 14)
def _shifted_table(g: int) -> Table:
    """Frequencies (41,) on the lattice shifted by half a step over scale g / GRID; k = 0 takes the rest."""
    with ctx.workprec(TABLE_PRECISION):

        def beyond(k: int) -> arb:
            """P(Z > k step)."""
            return gaussian_tail(arb(fmpq(k * g, GRID)))

        inside = 1 - beyond(PROFILE_REACH) - beyond(PROFILE_REACH + 1)
        upper = frequencies_outwards(beyond, inside, LEVELS, PROFILE_REACH + 1)
    table = np.array([*upper[PROFILE_REACH - 1 :: -1], *upper], np.int64)
    table[PROFILE_REACH] += TOTAL - table.sum()
    table.setflags(write=False)
    return table


def code_trellis_header(stream: Stream, spec: TrellisSpec | None) -> TrellisSpec:
    """Carry the five integers: the octave of the scale near the usual one, its sixteenth uniformly, then the curve."""
    item, why = "quantizer", "step profile with a trellis: scale, width and three coefficients"
    octave = code_near(stream, item, why, USUAL_OCTAVE, None if spec is None else spec.scale_index // OCTAVE)
    part = stream.integer(item, 4, why, None if spec is None else spec.scale_index % OCTAVE)
    c0, kap, c1, c2 = code_curve(stream, item, why, USUAL, spec)
    return TrellisSpec(scale_index=OCTAVE * octave + part, kap=kap, c0=c0, c1=c1, c2=c2)


def code_trellis_symbols(stream: Stream, spec: TrellisSpec, count: int, symbols: Symbols | None = None) -> Symbols:
    """Carry `count` symbols in [0, 41), 20 standing for k = 0, each under the table of the state before it."""
    tables = trellis_tables(spec, count)
    if isinstance(stream, Decoder):
        return stream.chained(ITEM, [tables[state >> 1] for state in range(len(NEXT))], WHY, _following)
    if symbols is None or symbols.shape != (count,):  # which the stream refuses
        return stream.symbols(ITEM, tables[0], count, WHY, symbols)
    return stream.symbols(ITEM, tables[halves(symbols - PROFILE_REACH), np.arange(count)], count, WHY, symbols)


def _following(state: int, symbol: int) -> int:
    return NEXT[state][(symbol - PROFILE_REACH) & 1]
