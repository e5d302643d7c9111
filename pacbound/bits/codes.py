"""Symbol models as integer frequency tables that sum to 2^24, computed exactly or in ball arithmetic.

gaussian, laplace: a discretised density of coded scale on a symmetric alphabet; adaptive: the
Dirichlet-multinomial (Krichevsky-Trofimov, alpha = 1/2) with counts refreshed block by block; static: the
empirical frequencies, their counts being sent first (Lotfi et al. 2022, arXiv:2211.13609).

A table gives every symbol of the alphabet at least 1, hence a true prior with full support.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache, partial

import numpy as np
from flint import arb, ctx, fmpq

from ..errors import CodeError
from ..specs.specs import MAX_SYMBOL, SENT_CODE_KINDS, CodeKind, CodeSpec
from .coder import MAX_COUNT, TOTAL, Encoder, Stream, Symbols, Table

RATIO_INDICES = 128
LONG_TABLE = 1024
TABLE_PRECISION = 192  # bits of the balls that tables are floored from
ITEM = "symbols"
WHY = "range-coded coefficients under the symbol model"


def step_over_scale(ratio_index: int) -> arb:
    """Return 2^((ratio_index - 64) / 8) as a ball: the lattice step in units of the model's scale."""
    return arb(2) ** arb(fmpq(ratio_index - 64, 8))


def symmetric_table(kind: str, levels: int, ratio_index: int) -> Table:
    """Frequencies of a discretised density of coded scale on -Q..Q."""
    return (_short_table if levels < LONG_TABLE else _long_table)(kind, levels, ratio_index)


def _symmetric_table(kind: str, levels: int, ratio_index: int) -> Table:
    if levels % 2 == 0:
        raise CodeError(f"CodeSpec: a {kind} model has an odd number of levels, got {levels}.")
    with ctx.workprec(TABLE_PRECISION):
        tail = gaussian_tail if kind == "gaussian" else _laplace_tail
        return discretised_table(tail, levels, step_over_scale(ratio_index))


_short_table = lru_cache(maxsize=16 * RATIO_INDICES)(_symmetric_table)  # a fit asks for all scales of each kind; 16 MB
_long_table = lru_cache(maxsize=64)(_symmetric_table)  # up to a megabyte each


def discretised_table(tail: Callable[[arb], arb], levels: int, ratio: arb) -> Table:
    """Frequencies of a symmetric density on -Q..Q: 1 + floor((2^24 - K) p_q), the centre takes the rest.

    Args: tail: P(Z > x) of the density at scale 1. levels: K = 2 Q + 1. ratio: lattice step over scale.
    """
    half = levels // 2

    def beyond(q: int) -> arb:
        return tail((arb(2 * q + 1) / 2) * ratio)

    upper = frequencies_outwards(beyond, 1 - 2 * beyond(half), levels, half)
    table = np.array([*upper[::-1], TOTAL - 2 * sum(upper), *upper], np.int64)
    table.setflags(write=False)
    return table


def frequencies_outwards(beyond: Callable[[int], arb], inside: arb, levels: int, count: int) -> list[int]:
    """1 + floor((2^24 - levels) p_k) for k < count, where p_k inside = beyond(k) - beyond(k + 1), as tails fall."""
    frequencies = [1] * count
    outer = beyond(0)
    for k in range(count):
        if (TOTAL - levels) * outer < inside:  # and so are all that follow
            break
        inner, outer = outer, beyond(k + 1)
        frequencies[k] += certain_floor((TOTAL - levels) * (inner - outer) / inside)
    return frequencies


def gaussian_tail(x: arb) -> arb:
    """P(Z > x) for a standard normal Z."""
    return (x / arb(2).sqrt()).erfc() / 2


def _laplace_tail(x: arb) -> arb:
    """P(Z > x) for a standard Laplace Z and x >= 0."""
    return (-x).exp() / 2


def certain_floor(ball: arb) -> int:
    """Floor of a number >= 0 known as a ball, refused where the ball straddles an integer other than 0."""
    if ball < 1:  # far tails are balls around 0
        return 0
    floor = ball.floor().unique_fmpz()
    if floor is None:
        raise CodeError("CodeSpec: a frequency could not be rounded with certainty; choose another scale.")
    return int(floor)


def table_from_counts(weights: Sequence[int]) -> Table:
    """Integer frequencies proportional to weights, each at least 1; the largest weight takes the remainder.

    >>> table_from_counts([3, 1]).tolist()
    [12582912, 4194304]
    """
    levels, total = len(weights), sum(weights)
    table = [1 + (TOTAL - levels) * weight // total for weight in weights]
    table[max(range(levels), key=weights.__getitem__)] += TOTAL - sum(table)
    return np.array(table, np.int64)


def _blocks(count: int) -> Iterator[slice]:
    """Spans between refreshes of the adaptive model: each an eighth of what has been seen, at least 16."""
    start = 0
    while start < count:
        stop = min(count, start + max(16, start // 8))
        yield slice(start, stop)
        start = stop


def code_header(stream: Stream, spec: CodeSpec | None, count: int, levels: int | None) -> CodeSpec:
    """Carry the symbol model. levels is None where it has to be sent (an odd, symmetric alphabet)."""
    item, why = "symbol model", "kind, alphabet and scale of the symbol model"
    sent = None if spec is None else _sent_kind(spec.kind)
    kind = SENT_CODE_KINDS[stream.integer(item, 2, why, sent)]
    if levels is None:
        half = stream.gamma(item, why, None if spec is None else spec.levels // 2)
        if half > MAX_SYMBOL:
            raise CodeError(f"CodeSpec: symbols reach at most {MAX_SYMBOL}, got {half}. Use a larger step.")
        levels = 2 * half + 1
    ratio_index = 0
    counts: tuple[int, ...] = ()
    if kind in ("gaussian", "laplace"):
        ratio_index = stream.integer(item, 7, why, None if spec is None else spec.ratio_index)
    if kind == "static":
        counts = _code_counts(stream, None if spec is None else spec.counts, count, levels)
    return CodeSpec(kind=kind, levels=levels, ratio_index=ratio_index, counts=counts)


def _sent_kind(kind: CodeKind) -> int:
    if kind not in SENT_CODE_KINDS:
        raise CodeError(f"CodeSpec: a {kind} model belongs to the quantizer of that name and is not sent alone.")
    return SENT_CODE_KINDS.index(kind)


def _code_counts(stream: Stream, counts: Sequence[int] | None, count: int, levels: int) -> tuple[int, ...]:
    width = count.bit_length()  # a count ranges over 0..count
    if counts is not None and len(counts) != levels:
        raise CodeError(f"CodeSpec: a static model has one count per level, {levels}, got {len(counts)}.")
    item, why = "symbol counts", "the receiver's frequency table: one count per level, as published"
    sent = tuple(stream.integer(item, width, why, None if counts is None else counts[k]) for k in range(levels))
    if sum(sent) != count:
        raise CodeError(f"CodeSpec: static counts sum to the number of symbols {count}, got {sum(sent)}.")
    return sent


def code_symbols(stream: Stream, spec: CodeSpec, count: int, symbols: Symbols | None = None) -> Symbols:
    """Carry `count` symbols in [0, levels) under the model of `spec`, in either direction."""
    if not 0 <= count <= MAX_COUNT:  # before anything of that size is allocated
        raise CodeError(f"CodeSpec: a message carries 0 to {MAX_COUNT} symbols, got {count}.")
    if spec.kind == "adaptive":
        return _code_adaptive(stream, spec, count, symbols)
    _sent_kind(spec.kind)
    if spec.kind == "static":
        table = table_from_counts(spec.counts) if count else table_from_counts([1] * spec.levels)
    else:
        table = symmetric_table(spec.kind, spec.levels, spec.ratio_index)
    return stream.symbols(ITEM, table, count, WHY, symbols)


def _code_adaptive(stream: Stream, spec: CodeSpec, count: int, symbols: Symbols | None) -> Symbols:
    decoded = np.zeros(count, np.int32)
    seen = np.zeros(spec.levels, np.int64)
    for span in _blocks(count):
        table = table_from_counts([2 * int(c) + 1 for c in seen])
        sent = None if symbols is None else symbols[span]
        decoded[span] = stream.symbols(ITEM, table, span.stop - span.start, WHY, sent)
        seen += np.bincount(decoded[span], minlength=spec.levels)
    return decoded


def fit_code(symbols: Symbols, levels: int, kinds: Sequence[CodeKind] = SENT_CODE_KINDS) -> CodeSpec:
    """Return the cheapest model for these symbols, header included. The choice costs the 2 bits of its kind."""
    candidates = [spec for kind in kinds for spec in _FITS[kind](symbols, levels)]
    if not candidates:
        raise CodeError(
            f"fit_code: no model of {tuple(kinds)} takes {levels} levels; an even number needs adaptive or static."
        )
    return min(candidates, key=lambda spec: code_bits(symbols, spec))


def code_bits(symbols: Symbols, spec: CodeSpec) -> int:
    """Exact bits of the symbols and of the model's own header."""
    encoder = Encoder()
    code_header(encoder, spec, len(symbols), None if spec.levels % 2 else spec.levels)
    code_symbols(encoder, spec, len(symbols), symbols)
    return encoder.account.ledger().bits


def _fit_symmetric(kind: CodeKind, symbols: Symbols, levels: int) -> list[CodeSpec]:
    """Try every scale, or every octave and then its neighbours where tables are long.

    No moment estimate will do: a narrow scale that pays 24 bits per outlier and a wide one are both local optima.
    """
    if levels % 2 == 0:
        return []
    counts = np.bincount(symbols, minlength=levels)

    def cost(index: int) -> float:  # for comparison only; what is charged is exact
        if not 0 <= index < RATIO_INDICES:
            return math.inf
        return -float(counts @ np.log2(symmetric_table(kind, levels, index)))

    best = min(range(0, RATIO_INDICES, 1 if levels < LONG_TABLE else 8), key=cost)
    for direction in (-1, 1):
        while cost(best + direction) < cost(best):
            best += direction
    return [CodeSpec(kind=kind, levels=levels, ratio_index=best)]


def _fit_adaptive(symbols: Symbols, levels: int) -> list[CodeSpec]:
    return [CodeSpec(kind="adaptive", levels=levels)]


def _fit_static(symbols: Symbols, levels: int) -> list[CodeSpec]:
    counts = np.bincount(symbols, minlength=levels)
    return [CodeSpec(kind="static", levels=levels, counts=tuple(int(c) for c in counts))]


_FITS: dict[CodeKind, Callable[[Symbols, int], list[CodeSpec]]] = {
    "gaussian": partial(_fit_symmetric, "gaussian"),
    "laplace": partial(_fit_symmetric, "laplace"),
    "adaptive": _fit_adaptive,
    "static": _fit_static,
}
