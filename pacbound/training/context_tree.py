"""Fit a context tree to a text: which contexts it has, and by how much each changes the logits of the next symbol.

A tree of depth K: the root has logits, and every further context, one symbol longer than its parent, adds to these a
vector of small integers times a step, most of them 0. A symbol is predicted from the longest context there is. Top down
every context of the text that is frequent enough gets the integers that cost least, losses and bits together; bottom up
those go that save less than their bits and have no descendants that make up for it.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import RequestError

BETA = 6.0  # weight of the nats of the message against those of the text
STEP = 2**-0.5  # of the integers, in nats
REACH = 20  # of the integers of a context
LEAST_COUNT = 24  # of a context: a rarer one never saves its bits at this weight
SWEEPS = 3
MOST_CELLS = 1 << 25  # contexts times symbols of one length: some gigabytes while integers are chosen
ADDRESS_BITS = 8.0  # that it costs to say that a context is there
UNSEEN = 0.3  # added to every count of the root
FIRST_SHARE, FIRST_FALL = 0.1, 0.5  # of integers that are not 0; of these from one magnitude to the next

Whole = NDArray[np.int64]
Vector = NDArray[np.float64]


@dataclass(frozen=True)
class Level:
    """The contexts of one length, in the order of their parents and then of their earliest symbol.

    children: (parents, V) bool, which contexts there are. integers: (contexts, V).
    """

    children: NDArray[np.bool_]
    integers: Whole


@dataclass(frozen=True)
class _Fitted:
    """All frequent contexts of one length: place of the parent, earliest symbol, integers, nats saved by each."""

    parents: Whole
    symbols: Whole
    integers: Whole
    saved: Vector


def fit_tree(y: Whole, size: int, order: int) -> tuple[Whole, list[Level]]:
    """Return the integers (size,) of the root, and the levels from contexts of one symbol on; no level is empty.

    Args: y: symbols (n,) of a text, those from `size` on being neither predicted nor in a context. order: longest
        context.
    Raises: RequestError where there are too many contexts of one length.
    """
    y = np.minimum(y, size)
    counts = np.bincount(y, minlength=size + 1)[:size].astype(np.float64)
    root = np.rint(np.log((counts + UNSEEN) / UNSEEN) / STEP).astype(np.int64)
    logits = np.float64(STEP) * root[None].astype(np.float64)
    levels = []
    for node, parents, symbols in _frequent(y, size, order):
        pairs = np.bincount(node[node >= 0] * (size + 1) + y[node >= 0], minlength=len(parents) * (size + 1))
        counts = pairs.reshape(-1, size + 1)[:, :size].astype(np.float64)
        inherited = logits[parents]
        integers, saved = _integers(counts, inherited)
        logits = inherited + np.float64(STEP) * integers.astype(np.float64)
        levels.append(_Fitted(parents, symbols, integers, saved))
    return root, _pruned(levels, size)


def frequent_contexts(y: Whole, size: int, order: int) -> tuple[int, ...]:
    """Return how many contexts of 1, 2, ... symbols fit_tree looks at. Args, and raises: as it."""
    return tuple(len(parents) for _, parents, _ in _frequent(np.minimum(y, size), size, order))


def _frequent(y: Whole, size: int, order: int) -> Iterator[tuple[Whole, Whole, Whole]]:
    """Yield what _extended says of contexts of 1, 2, ... symbols, as long as there are any."""
    node = np.zeros(len(y), np.int64)  # of the position's context, -1 where it is rare
    for k in range(1, order + 1):
        before = np.concatenate([np.full(k, size), y[:-k]])[: len(y)]
        node, parents, symbols = _extended(node, before, y, size)
        if not len(parents):
            return
        if len(parents) * (size + 1) > MOST_CELLS:
            raise RequestError(
                f"certify: a context tree of order {k} would look at {len(parents):,} contexts of {size} symbols, and "
                f"at most {MOST_CELLS:,} numbers of one length are held. Give order {k - 1}, or fewer symbols."
            )
        yield node, parents, symbols


def _extended(node: Whole, before: Whole, y: Whole, size: int) -> tuple[Whole, Whole, Whole]:
    """Number the frequent contexts that are one symbol longer: of each position, and of each its parent and symbol."""
    known = (node >= 0) & (before < size) & (y < size)
    keys, places, counts = np.unique(node[known] * size + before[known], return_inverse=True, return_counts=True)
    frequent = counts >= LEAST_COUNT
    numbers = np.where(frequent, np.cumsum(frequent) - 1, -1)
    extended = np.full(len(node), -1)
    extended[known] = numbers[places]
    return extended, keys[frequent] // size, keys[frequent] % size


def _integers(counts: Vector, inherited: Vector) -> tuple[Whole, Vector]:
    """Choose the integers (contexts, V) that cost least by coordinate descent; return also the nats saved in all."""
    weights = np.exp(inherited - inherited.max(1, keepdims=True))
    weights /= weights.sum(1, keepdims=True)
    totals, chosen = counts.sum(1), np.zeros(counts.shape, np.int64)
    share, fall = FIRST_SHARE, FIRST_FALL
    for _ in range(SWEEPS):
        prices = BETA * _nats(share, fall)
        for symbol in range(counts.shape[1]):
            c = counts[:, symbol]
            rest = (weights * np.exp(chosen * STEP)).sum(1) - weights[:, symbol] * np.exp(chosen[:, symbol] * STEP)
            wanted = np.log((c + 1e-3) * rest / ((totals - c + 1e-3) * weights[:, symbol])) / STEP
            near = np.clip(np.stack([0 * wanted, np.floor(wanted), np.ceil(wanted)]), -REACH, REACH).astype(np.int64)
            near = np.concatenate([near, near[1:] - np.sign(near[1:])])  # once more towards 0
            z = np.log(rest + weights[:, symbol] * np.exp(near * STEP))
            cost = totals * z - c * near * STEP + prices[near + REACH]
            chosen[:, symbol] = np.take_along_axis(near, cost.argmin(0)[None], 0)[0]
        used = chosen[chosen != 0]
        share = max(1, len(used)) / chosen.size
        fall = 1 - len(used) / max(1, np.abs(used).sum()) if len(used) else FIRST_FALL
        fall = min(max(fall, 0.05), 0.95)
    z = np.log((weights * np.exp(chosen * STEP)).sum(1))
    gained = (counts * chosen).sum(1) * STEP - totals * z
    bits = (BETA * _nats(share, fall))[chosen + REACH].sum(1)
    return chosen, gained - bits - BETA * ADDRESS_BITS * math.log(2)


def _nats(share: float, fall: float) -> Vector:
    """What the integers -REACH..REACH cost: 0 is one minus the share, the others fall off geometrically."""
    q = np.abs(np.arange(-REACH, REACH + 1))
    other = -math.log(share / 2) - math.log1p(-fall) - (q - 1) * math.log(fall)
    return np.where(q == 0, -math.log1p(-min(share, 0.999)), other)


def _pruned(levels: list[_Fitted], size: int) -> list[Level]:
    """Keep the contexts that save more than they cost, together with their descendants."""
    worth = [level.saved.copy() for level in levels]
    for k in range(len(levels) - 1, 0, -1):
        worth[k - 1] += np.bincount(levels[k].parents, np.maximum(worth[k], 0), len(worth[k - 1]))
    kept, made = np.array([0]), []  # places of the contexts that are kept, at first the root
    for level, values in zip(levels, worth, strict=True):
        numbers = np.full(int(level.parents.max()) + 1, -1)
        numbers[kept[kept < len(numbers)]] = np.flatnonzero(kept < len(numbers))
        places = np.flatnonzero((values > 0) & (numbers[level.parents] >= 0))
        if not len(places):
            break
        children = np.zeros((len(kept), size), bool)
        children[numbers[level.parents[places]], level.symbols[places]] = True
        made.append(Level(children, level.integers[places]))
        kept = places
    return made
