"""The code of a sample compression: recipe and stop in the message, and the picked examples in order beside it.

The theorem charges how many examples were picked, never which: their code is for the reader's convenience.
"""

import numpy as np
from numpy.typing import NDArray

from ..errors import MessageError
from ..specs.picks import MENUS, SIZES, PicksSpec, RecipeSpec
from .coder import Stream

STOP_BITS = (SIZES - 1).bit_length()
WHY = "the learner, by the places of its fields in fixed menus, and its seed: each of them reaches the statement"


def code_picks(stream: Stream, declared: PicksSpec, sent: PicksSpec | None) -> PicksSpec:
    """Carry a recipe and where the selection stopped; the file of the network is declared.

    Raises: MessageError for a place outside its menu.
    """
    values: dict[str, str | int] = {}
    for name, menu in MENUS.items():
        place = None if sent is None else menu.index(getattr(sent.recipe, name))
        values[name] = menu[_place(stream, name, len(menu), place)]
    seed = stream.gamma("recipe", WHY, None if sent is None else sent.recipe.seed)
    recipe = RecipeSpec.model_validate({**values, "seed": seed})
    why = f"any of {SIZES} sizes of T that were written down before the sample"
    stop = stream.integer("stop", STOP_BITS, why, None if sent is None else sent.stop)
    return declared.model_copy(update={"recipe": recipe, "stop": stop})


def _place(stream: Stream, name: str, count: int, place: int | None) -> int:
    found = stream.gamma("recipe", WHY, place)
    if found >= count:
        raise MessageError(f"unpack: the menu of {name} has {count} entries, got number {found}.")
    return found


def index_bits(n: int) -> int:
    """Return how many bits name one of n examples.

    >>> index_bits(60000), index_bits(1)
    (16, 0)
    """
    return (n - 1).bit_length()


def encode_indices(picked: NDArray[np.int64], n: int) -> bytes:
    """Return the picked examples (t,) in order, `index_bits(n)` bits each, most significant first, padded with zeros.

    >>> encode_indices(np.array([5, 0, 7]), 8).hex()
    'a380'
    """
    width = index_bits(n)
    bits = (picked[:, None] >> np.arange(width - 1, -1, -1)) & 1  # (t, width)
    return np.packbits(bits.astype(np.uint8).ravel()).tobytes()


def decode_indices(raw: bytes, count: int, n: int) -> NDArray[np.int64]:
    """Return `count` distinct indices below n, in order. Raises: MessageError where these bytes are none such.

    >>> decode_indices(bytes.fromhex("a380"), 3, 8).tolist()
    [5, 0, 7]
    """
    width = index_bits(n)
    bits = np.unpackbits(np.frombuffer(raw, np.uint8))
    if len(raw) != -(-count * width // 8) or bits[count * width :].any():
        raise MessageError(
            f"picks: {count:,} of {n:,} examples take {count * width:,} bits and zeros, got other bytes."
        )
    powers = 1 << np.arange(width - 1, -1, -1, dtype=np.int64)
    found: NDArray[np.int64] = bits[: count * width].reshape(count, width).astype(np.int64) @ powers
    if count and int(found.max()) >= n:
        raise MessageError(f"picks: examples are numbered from 0 to {n - 1:,}, got {int(found.max()):,}.")
    if len(np.unique(found)) < count:
        raise MessageError("picks: an example is picked at most once, got one twice.")
    return found
