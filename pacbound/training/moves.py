"""Moves of a few symbols at once that leave all other coefficients where they are.

On one lattice a coefficient moves by one step. Under a trellis (bits/trellis.py) h_{i+1} = h_{i-1} + k_i modulo 2, so
that a move leaves the rest alone where
- k_i moves by 2, which keeps its parity and every state; or
- h_i flips: k_{i-1} and k_{i+1} move by 1, and coefficient i to the next places up or down of the same parity on the
  other lattice, half a step or one and a half away (k_i by 0 and -2, or 0 and +2); or
- k of the last coefficient moves by 1, whose state nobody reads.
"""

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..bits.trellis import halves
from .rounding import Prices


@dataclass(frozen=True)
class Moves:
    """m moves of up to w coefficients each; where a move has fewer, a place of its own stands again and moves by 0.

    places: (m, w). changes: of the integers (m, w). shifts: of the coefficients in steps (m, w). nats: of the price.
    """

    places: NDArray[np.int64]
    changes: NDArray[np.int32]
    shifts: NDArray[np.float64]
    nats: NDArray[np.float64]

    def __add__(self, other: "Moves") -> "Moves":
        """Both, the narrower one made as wide as the other."""
        wider = max(self.places.shape[1], other.places.shape[1])
        one, two = ((moves, ((0, 0), (0, wider - moves.places.shape[1]))) for moves in (self, other))
        return Moves(
            np.concatenate([np.pad(moves.places, by, mode="edge") for moves, by in (one, two)]),
            np.concatenate([np.pad(moves.changes, by) for moves, by in (one, two)]),
            np.concatenate([np.pad(moves.shifts, by) for moves, by in (one, two)]),
            np.concatenate([self.nats, other.nats]),
        )

    def chosen(self, index: NDArray[np.int64]) -> "Moves":
        """Those at the places of an index."""
        return Moves(self.places[index], self.changes[index], self.shifts[index], self.nats[index])

    def applied(self, integers: NDArray[np.int32], index: int) -> NDArray[np.int32]:
        """Return the integers (d,) after one move."""
        moved = integers.copy()
        np.add.at(moved, self.places[index], self.changes[index])
        return moved


def single_moves(integers: NDArray[np.int32], prices: Prices) -> Moves:
    """All moves of integers (d,) that stay in the alphabet."""
    d, up = len(integers), np.array([-1, 1], np.int32)
    if not prices.trellis:
        return _priced(integers, prices, np.repeat(np.arange(d), 2)[:, None], np.tile(up, d)[:, None], None)
    even = _priced(integers, prices, np.repeat(np.arange(d), 2)[:, None], np.tile(2 * up, d)[:, None], None)
    last = _priced(integers, prices, np.full((2, 1), d - 1), up[:, None], None)
    if d == 1:
        return even + last
    middle = np.repeat(np.arange(1, d), 8)
    flip = 1 - 2 * halves(integers)[middle]  # of h, up or down
    sides = np.tile(np.array(list(itertools.product((-1, 1), (0, 2), (-1, 1))), np.int32), (d - 1, 1))
    changes = np.stack([sides[:, 0], -flip * sides[:, 1], sides[:, 2]], 1)
    beyond = middle == d - 1  # nothing follows the last
    changes[beyond, 2] = 0
    places = np.stack([middle - 1, middle, np.where(beyond, middle, middle + 1)], 1)
    kept = ~beyond | (sides[:, 2] > 0)
    return even + last + _priced(integers, prices, places[kept], changes[kept], flip[kept])


def _priced(
    integers: NDArray[np.int32],
    prices: Prices,
    places: NDArray[np.int64],
    changes: NDArray[np.int32],
    flip: NDArray[np.int32] | None,
) -> Moves:
    """Moves (m, w) with the change of h at the place in the middle, those left out that leave the alphabet."""
    turned = np.zeros_like(changes)
    if flip is not None:
        turned[:, 1] = flip
    inside = (np.abs(integers[places] + changes) <= prices.reach).all(1)
    places, changes, turned = places[inside], changes[inside], turned[inside]
    h = (halves(integers) if prices.trellis else np.zeros_like(integers))[places]
    k = integers[places] + prices.reach
    nats = prices.nats[h + turned, places, k + changes] - prices.nats[h, places, k]
    return Moves(places, changes, changes + turned / 2, nats.sum(1))


def pairs_of(moves: Moves, chosen: NDArray[np.int64]) -> Moves:
    """All pairs of the chosen moves that touch coefficients apart from one another."""
    a, b = chosen[np.array(list(itertools.combinations(range(len(chosen)), 2)), np.int64).reshape(-1, 2).T]
    apart = (moves.places[a][:, :, None] != moves.places[b][:, None, :]).all((1, 2))
    one, two = moves.chosen(a[apart]), moves.chosen(b[apart])
    return Moves(
        np.concatenate([one.places, two.places], 1),
        np.concatenate([one.changes, two.changes], 1),
        np.concatenate([one.shifts, two.shifts], 1),
        one.nats + two.nats,
    )
