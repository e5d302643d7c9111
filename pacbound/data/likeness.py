"""Inputs known again in another form: in another dtype, order or scale, with the channels elsewhere.

Both fingerprints of a row here are 64-bit hashes of how often each level stands in it, after an affine map of the whole
sample to levels; the lowest level, the background, is left out. So they stay the same under any order of the numbers
within rows (axes moved or flattened), any scale and offset of the sample or of each of three channels, and padding with
the background. They do not survive noise, resizing, cropping, or a scale of its own for each pixel; rows with fewer
than 8 levels beside the background are too plain to be told from others.
"""

import base64
import functools
import hashlib
import json
import math
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .mapped import chunks
from .mixed import Pictures, Raw

Words = NDArray[np.uint64]
View = Callable[[Tensor], Tensor]

COARSE, FINE = 255, 65535  # the highest level: of pixels whatever their precision, and of numbers of any kind
ROUND = 15 / 32  # of a level: halves would lie on a border, and 255/16, which the digits are apart, has halves
RICH = 8
WEIGHTS = np.frombuffer(hashlib.shake_256(b"pacbound row fingerprints").digest(8 * (FINE + 1)), "<u8").astype(np.uint64)
WEIGHTS[0] = 0

TABLE = Path(__file__).with_name("tuned_rows.json")
WHOLLY_KEPT = ("digits",)  # of the others, one fingerprint in 16 stands in the table: those below 2^60
KEPT_BELOW = 1 << 60
KEPT_BYTES = 5  # the lowest of each
SMALL = 64 * 64 * 3  # numbers of a picture: of those of sizes of their own, larger ones are none of the table's
LEAST_SHARE = 0.01  # of the rows that could stand in the table, where a sample counts as like tuned data


def recognise(x: Raw) -> str | None:
    """Return the tuned data set that at least one in a hundred of the inputs x (n, ...) stands in; None where none.

    Inverted pixels, a scale of its own for each row and channels that repeat one another are seen through too. Of all
    but the digits, one row in 16 is known: a few dozen rows of another may pass, a hundred hardly.
    """
    if isinstance(x, Pictures):
        x = x[x.sizes[x.rows].prod(1) * x.channels <= SMALL]
        if not len(x):
            return None
    elif x[0].numel() < RICH:  # too plain, every row
        return None
    for view in (_as_it_is, _inverted, _each_by_itself):
        for scaled in scales(x, x.dtype.is_floating_point):
            found = np.unique(_all_of(map(coarse_fingerprints, levels(scaled, COARSE, view))))
            likest, share = None, 0.0
            for name, known in known_rows().items():
                eligible = found if name in WHOLLY_KEPT else found[found < KEPT_BELOW]
                common = _common_words(np.unique(shortened(eligible)), known)
                if common and common / len(eligible) > max(share, LEAST_SHARE):
                    likest, share = name, common / len(eligible)
            if likest is not None:
                return likest
    return None


def _as_it_is(x: Tensor) -> Tensor:
    """All inputs in one scale."""
    return x


def _inverted(x: Tensor) -> Tensor:
    """Bring what is dark to light."""
    return -x.float()


def _each_by_itself(x: Tensor) -> Tensor:
    """Bring every row to 0 .. 1, so that no scale of rows and no other row of the sample hides one."""
    rows = x.flatten(1).float()
    low, high = rows.amin(1, keepdim=True), rows.amax(1, keepdim=True)
    return ((rows - low) / torch.where(high > low, high - low, 1.0)).reshape(x.shape)


@functools.cache
def known_rows() -> dict[str, Words]:
    """The table: coarse fingerprints of the inputs of each tuned data set, as `shortened`, ascending."""
    texts = json.loads(TABLE.read_text("ascii"))
    return {name: _unpacked(base64.b64decode(text)) for name, text in texts.items()}


def _common_words(words: Words, known: Words) -> int:
    """How many of the distinct words stand in known, which ascends."""
    return int((known[np.searchsorted(known, words) % len(known)] == words).sum())


def shortened(words: Words) -> Words:
    """Keep the lowest 40 bits."""
    return words & np.uint64((1 << 8 * KEPT_BYTES) - 1)


def _unpacked(raw: bytes) -> Words:
    rows = np.frombuffer(raw, np.uint8).reshape(-1, KEPT_BYTES)
    return np.pad(rows, ((0, 0), (8 - KEPT_BYTES, 0))).view(">u8")[:, 0].astype(np.uint64)


def scales(x: Raw, channels: bool) -> Iterator[Raw]:
    """View x (n, ...) as (n, a, channels, b) for each scale it may have been given, one a channel.

    First as one channel; where `channels` says so then as three, which lie one after another or side by side. Pictures
    of sizes of their own have one scale, and stay as they are.
    """
    if isinstance(x, Pictures):
        yield x
        return
    n, features = len(x), x[0].numel()
    yield x.reshape(n, 1, 1, features)
    if channels and features % 3 == 0:
        yield x.reshape(n, 1, 3, features // 3)
        yield x.reshape(n, features // 3, 3, 1)


def levels(x: Raw, top: int, view: View = _as_it_is) -> Iterator[NDArray[np.int64]]:
    """Map each channel of x (n, a, channels, b) from its own range to 0 .. top; (rows, features), chunk by chunk.

    view: what is made of some rows first. Pictures of sizes of their own come one by one.
    """
    low = torch.full((1, 1, 1, 1), math.inf, dtype=torch.float64)
    high = -low
    for part in _parts(x, view):
        low = torch.minimum(low, part.amin((0, 1, 3), keepdim=True))
        high = torch.maximum(high, part.amax((0, 1, 3), keepdim=True))
    factor = top / torch.where(high > low, high - low, 1.0)
    for part in _parts(x, view):
        yield ((part.double() - low) * factor + ROUND).to(torch.int64).flatten(1).numpy()


def _parts(x: Raw, view: View) -> Iterator[Tensor]:
    """Some rows at a time."""
    if isinstance(x, Pictures):
        yield from (view(picture.reshape(1, 1, 1, -1)) for picture in x)
        return
    yield from map(view, chunks(x))


def _all_of(parts: Iterable[Words]) -> Words:
    """Join parts of which none is kept: one that stays where a large array was keeps the next from its place."""
    return np.fromiter((word for part in parts for word in part.tolist()), np.uint64)


def coarse_fingerprints(level: NDArray[np.int64]) -> Words:
    """Hash the rows of level (n, features), which lie in 0 .. 255, counts divided by their greatest common divisor.

    Rows that are too plain have no fingerprint.
    """
    rows, width = len(level), COARSE + 1
    places = (level + width * np.arange(rows)[:, None]).ravel()
    counts = np.bincount(places, minlength=rows * width).reshape(rows, width)[:, 1:]
    rich = counts[(counts > 0).sum(1) >= RICH]
    reduced = rich // np.maximum(np.gcd.reduce(rich, axis=1, keepdims=True), 1)
    return reduced.astype(np.uint64) @ WEIGHTS[1:width]


def common_rows(x: Raw, other: Raw) -> int:
    """Number of distinct inputs of `other` (m, ...) that stand in x (n, ...) too, each sample in a scale of its own."""
    floats = x.dtype.is_floating_point or other.dtype.is_floating_point
    return max(map(_common, scales(x, floats), scales(other, floats)))


def _common(x: Raw, other: Raw) -> int:
    here, there = (_all_of(WEIGHTS[level].sum(1) for level in levels(one, FINE)) for one in (x, other))
    hits, rows = np.unique(there, return_index=True)
    rows = rows[np.isin(hits, here)]
    found = other[torch.from_numpy(np.sort(rows))]
    return sum(len(torch.unique(row)) > RICH for row in found)
