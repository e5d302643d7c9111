"""In which order misclassified examples are picked: by what the network says of an example, and the example itself.

Never by its place in the sample, so that taking away an example that was not picked changes nothing. Every order is
total but for equal examples, of which it does not matter which one is picked.
"""

import hashlib

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from ..data.examples import Examples, row_bytes
from ..specs.picks import Order

GAP = 1e-4  # a group by loss or margin goes on until the next value is farther away: rounding cannot part it


def priorities(examples: Examples, seed: int) -> NDArray[np.int64]:
    """Return the examples, (n,), by SHA-256 of (seed | bytes of x | label), integers as int64 little-endian.

    Bytes of x are those that `Examples.digest` hashes.
    """
    start, labels = hashlib.sha256(np.int64(seed).astype("<i8").tobytes()), examples.y.numpy().astype("<i8")
    hashes = []
    for row, label in zip(row_bytes(examples.x), labels, strict=True):
        hasher = start.copy()
        hasher.update(row)
        hasher.update(label.tobytes())
        hashes.append(hasher.digest())
    keys = np.array(hashes, dtype="S32") if hashes else np.zeros(0, "S32")
    return np.argsort(keys, kind="stable").astype(np.int64)


def values_of(order: Order, logits: Tensor, y: Tensor) -> Tensor:
    """Return what examples are picked by, the least first, (batch,) float64: -loss, or the lead of the best rival.

    A row that is not finite comes first.
    """
    exact = logits.double()
    if order == "worst":
        value = -F.cross_entropy(exact, y, reduction="none")
    else:
        own = exact.gather(1, y[:, None])[:, 0]
        value = exact.scatter(1, y[:, None], -torch.inf).amax(1) - own
    return torch.where(exact.isfinite().all(1), value, -torch.inf)


def group_of(values: Tensor, size: int) -> int:
    """Return how many of these values (m,), ascending, make a group of `size`: more where the next one is too near.

    >>> group_of(torch.tensor([0.0, 1.0, 1.00001, 2.0]), 2)
    3
    """
    end = min(size, len(values))
    while 0 < end < len(values) and not float(values[end]) - float(values[end - 1]) > GAP:
        end += 1
    return end
