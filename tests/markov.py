"""Texts whose next symbol has a known distribution: a Markov source over four letters."""

from pathlib import Path

import numpy as np

LETTERS = b"abc\n"
# row: the last letter; columns: probabilities of the next
CHAIN = np.array([[0.7, 0.2, 0.05, 0.05], [0.1, 0.1, 0.7, 0.1], [0.25, 0.25, 0.25, 0.25], [0.93, 0.04, 0.03, 0.0]])


def states(n: int, seed: int = 0) -> np.ndarray:
    """n letters by number, the first after a line end."""
    u = np.random.default_rng(seed).random(n)
    edges = CHAIN.cumsum(1)
    out, last = np.empty(n, np.int64), 3
    for i in range(n):
        last = min(int(np.searchsorted(edges[last], u[i], side="right")), 3)
        out[i] = last
    return out


def letters(found: np.ndarray) -> bytes:
    """Letters by number as bytes."""
    return np.frombuffer(LETTERS, np.uint8)[found].tobytes()


def save_text(folder: Path, n: int = 6000, seed: int = 0, name: str = "markov.txt") -> Path:
    """Write a text of the source."""
    path = folder / name
    path.write_bytes(letters(states(n, seed)))
    return path
