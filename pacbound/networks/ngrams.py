"""Predictors that stand beside a language model, so that its bound can be judged: tables that are coded, and an n-gram
that goes on learning and so costs nothing. Each is a fixed recipe of the text, repeated by verification.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ..bits.coder import Encoder
from ..bits.tensors import code_direct
from ..bounds.language import stream
from ..bounds.losses import LossSums, joined, loss_sums
from ..data.texts import Text
from ..quantize.rates import choose
from ..quantize.tensors import dequantize_tensor
from ..specs.language import TOLERANCE_BITS, ceiling_bits
from ..specs.tensors import DirectSpec, TensorSpec

ALPHA = 0.01  # of all of them, fixed
UNSEEN = 0.3  # added to every count of a table
BETA = 8.0  # weight of the bits of a table against its loss
MOST_SYMBOLS = 1 << 24  # of a text that an n-gram is run over
SMALL_VOCABULARY, LONG_ORDER, SHORT_ORDER = 512, 4, 2
BLOCK = 1 << 16

Name = Literal["uniform", "unigram", "bigram", "n-gram"]
Vector = NDArray[np.float64]
Whole = NDArray[np.int64]


@dataclass(frozen=True)
class Beside:
    """One predictor: its bits, the sums of its losses, and the order of an n-gram."""

    name: Name
    bits: int
    sums: LossSums
    order: int | None = None

    def value(self, delta: float) -> float:
        """The bound of `stream` on it, in bits a symbol."""
        return stream(self.sums, self.bits, delta).value


def predictors(text: Text) -> tuple[Beside, ...]:
    """Return the predictors of a stream: uniform, a unigram and a bigram table, an adaptive n-gram.

    Tables are left out where the vocabulary is large, the n-gram where the text is.
    """
    size = text.alphabet.predicted
    made = [Beside("uniform", 0, _uniform(text))]
    if size <= SMALL_VOCABULARY:
        made += [_table("unigram", text, 0), _table("bigram", text, 1)]
    if text.n <= MOST_SYMBOLS:
        made.append(_ngram(text, LONG_ORDER if text.alphabet.size <= SMALL_VOCABULARY else SHORT_ORDER))
    return tuple(made)


def _uniform(text: Text) -> LossSums:
    bits = math.nextafter(math.log2(text.alphabet.size), math.inf)
    return joined([loss_sums(np.full(size, bits), bits, bits) for size in _sizes(text.n)])


def _sizes(n: int) -> Iterator[int]:
    yield from (min(BLOCK, n - start) for start in range(0, n, BLOCK))


def _table(name: Name, text: Text, order: int) -> Beside:
    """A table of logits of the next symbol, after nothing or after the last symbol, coded like any tensor."""
    size, others = text.alphabet.predicted, text.alphabet.size - text.alphabet.predicted
    counts = _counts(text, order)
    totals = counts.sum(1, keepdims=True)
    logits = np.log((counts + UNSEEN) / UNSEEN)
    p = (counts + UNSEEN) / (totals + UNSEEN * size)
    chosen = choose(logits.astype(np.float32), totals * p * (1 - p) / text.n, BETA * math.log(2) / text.n, ("lattice",))
    spec = DirectSpec(tensors=(TensorSpec(name="table", shape=logits.shape, coding=chosen.coding),))
    values = np.zeros(0, np.int32) if chosen.values is None else chosen.values.reshape(-1)
    encoder = Encoder()
    code_direct(encoder, DirectSpec(tensors=(TensorSpec(name="table", shape=logits.shape),)), spec, values)
    decoded = np.zeros(logits.shape) if chosen.values is None else dequantize_tensor(chosen.coding, chosen.values, None)
    p = np.exp(decoded.astype(np.float64))
    floor = ALPHA / text.alphabet.size
    p = (1 - ALPHA) * p / p.sum(1, keepdims=True) + floor
    entropies = -(p * np.log2(p)).sum(1) - others * floor * math.log2(floor)
    losses = np.concatenate([-np.log2(p), np.full((len(p), 1), -math.log2(floor))], axis=1)
    ceiling = ceiling_bits(ALPHA, text.alphabet.size)
    parts = [loss_sums(losses[rows, y] + TOLERANCE_BITS, entropies[rows], ceiling) for rows, y in _pairs(text, order)]
    return Beside(name, encoder.account.ledger().bits, joined(parts))


def _counts(text: Text, order: int) -> Vector:
    size = text.alphabet.predicted
    counts = np.zeros((size**order) * (size + 1))
    for rows, y in _pairs(text, order):
        counts += np.bincount(rows * (size + 1) + y, minlength=len(counts))
    return counts.reshape(-1, size + 1)[:, :size]


def _pairs(text: Text, order: int) -> Iterator[tuple[Whole, Whole]]:
    """Yield the row of a table for each symbol, and the symbol; before the first stands the start symbol."""
    last = text.alphabet.start
    for begin in range(0, text.n, BLOCK):
        y = text.symbols(begin, begin + BLOCK)
        before = np.concatenate([[last], y[:-1]])
        last = int(y[-1])
        yield (np.where(before < text.alphabet.predicted, before, text.alphabet.start) if order else 0 * y), y


def _ngram(text: Text, order: int) -> Beside:
    """Witten and Bell's interpolation of all orders, each symbol predicted from counts of what stands before it.

    p_k(y) = (c(context, y) + u p_(k-1)(y)) / (c(context) + u), u the number of different symbols seen after it;
    p_(-1) = 1 / V. The centre is the mean of the losses before, log2 V at first.

    Reference: Witten and Bell 1991, "The zero-frequency problem", method C, interpolated.
    """
    y = text.symbols(0, text.n)
    size = text.alphabet.size
    p = np.full(text.n, 1 / size)
    key = np.zeros(text.n, np.int64)  # of the context
    for k in range(order + 1):
        if k:
            back = np.concatenate([np.zeros(k, np.int64), y[:-k] + 1])[: text.n]
            key = key * (size + 2) + back
        seen, pair, different = _before(key, y, size + 1)
        p = np.where(seen > 0, (pair + different * p) / np.maximum(seen + different, 1), p)
    losses = -np.log2((1 - ALPHA) * p + ALPHA / size)
    centres = np.concatenate([[math.log2(size)], np.cumsum(losses)[:-1] / np.arange(1, text.n)])
    blocks = [slice(start, start + BLOCK) for start in range(0, text.n, BLOCK)]
    sums = joined([loss_sums(losses[b] + TOLERANCE_BITS, centres[b], ceiling_bits(ALPHA, size)) for b in blocks])
    return Beside("n-gram", 0, sums, order)


def _before(key: Whole, y: Whole, size: int) -> tuple[Whole, Whole, Whole]:
    """For each place: how often its context stood before, how often with this symbol, and with how many different."""
    order = np.argsort(key, kind="stable")
    begins = np.concatenate([[True], key[order][1:] != key[order][:-1]])
    seen = _rank(order, begins)
    ids = np.empty_like(key)
    ids[order] = np.cumsum(begins) - 1  # contexts numbered from 0: a pair's key stays small
    both = ids * size + y
    pairs = np.argsort(both, kind="stable")
    pair = _rank(pairs, np.concatenate([[True], both[pairs][1:] != both[pairs][:-1]]))
    fresh = np.cumsum(pair[order] == 0)
    different = np.empty_like(key)
    different[order] = (
        fresh
        - (pair[order] == 0)
        - np.repeat((fresh - (pair[order] == 0))[begins], np.diff(np.append(np.flatnonzero(begins), len(key))))
    )
    return seen, pair, different


def _rank(order: Whole, begins: NDArray[np.bool_]) -> Whole:
    """Place of each within its group, from 0, in the original order."""
    places = np.arange(len(order))
    ranks = places - np.repeat(places[begins], np.diff(np.append(np.flatnonzero(begins), len(order))))
    out = np.empty_like(order)
    out[order] = ranks
    return out
