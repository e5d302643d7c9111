"""Numbers that every receiver draws alike: raw bits of a counter-based generator and our own maps from them.

The Philox 4x64 bit generator is keyed by SHA-256 of (version, stream name, seed); only its raw 64-bit words are
used, never a distribution of the numerical library, so that neither a library upgrade nor another processor
changes a draw. Every map below is integer arithmetic, followed by at most one float32 multiplication, which
IEEE 754 rounds alike everywhere. A change of any golden vector in the tests is a breaking release.

A stream is named by its use ("fastfood/signs"); two uses never share words.
"""

import hashlib
import math

import numpy as np
from numpy.typing import NDArray

from ..errors import SubspaceError

RANDOM_VERSION = 1

_TRIANGLE = 1 << 16  # range of each of the two dithering integers of a normal
# variance of 2^16 (popcount - 16) + u1 + u2: binomial 32/4, and two uniform integers on 0 .. 2^16 - 1
_NORMAL_VARIANCE = 8 * _TRIANGLE**2 + (_TRIANGLE**2 - 1) / 6
_NORMAL_SCALE = np.float32(1.0 / math.sqrt(_NORMAL_VARIANCE))


def raw_words(seed: int, stream: str, n: int) -> NDArray[np.uint64]:
    """Draw the first n words of a stream, uniform on 0 .. 2^64 - 1, shape (n,).

    Raises:
        SubspaceError: the seed is outside 0 .. 2^63 - 1, or n is negative.
    """
    if not 0 <= seed < 1 << 63:
        raise SubspaceError(f"raw_words: a seed lies in 0 .. 2^63 - 1, got {seed}. Choose another seed.")
    if n < 0:
        raise SubspaceError(f"raw_words: a count of words is at least 0, got {n}.")
    name = f"pacbound random {RANDOM_VERSION}\0{stream}\0{seed}".encode()
    key = np.frombuffer(hashlib.sha256(name).digest()[:16], dtype="<u8").astype(np.uint64)
    return np.random.Philox(key=key, counter=0).random_raw(n)


def signs(seed: int, stream: str, n: int) -> NDArray[np.float32]:
    """Draw n independent fair signs -1 or +1 (bit 0 or 1, least significant bit first), shape (n,)."""
    words = raw_words(seed, stream, -(-n // 64)).astype("<u8")
    bits = np.unpackbits(words.view(np.uint8), count=n, bitorder="little")
    return 2 * bits.astype(np.float32) - 1


def normals(seed: int, stream: str, n: int) -> NDArray[np.float32]:
    """Draw n nearly normal numbers, shape (n,), one word each.

    From the word's low half its number of ones c, from its high half two integers u1, u2 below 2^16:
    z = (2^16 (c - 16) + u1 + u2 - (2^16 - 1)) / sqrt(variance). The bracket is an integer below 2^21 and so exact
    in float32; the product with the float32 constant is one rounding. Mean and odd moments are exactly 0, the
    variance is 1 to float32 precision, the fourth moment 2.940 (normal: 3), |z| < 5.95.
    """
    words = raw_words(seed, stream, n)
    ones = np.bitwise_count(words & np.uint64(0xFFFFFFFF)).astype(np.int32)
    high = (words >> np.uint64(32)).astype(np.uint32)
    dither = (high >> 16).astype(np.int32) + (high & 0xFFFF).astype(np.int32)
    exact = (ones - 16) * _TRIANGLE + dither - (_TRIANGLE - 1)
    return exact.astype(np.float32) * _NORMAL_SCALE


def permutation(seed: int, stream: str, n: int) -> NDArray[np.int64]:
    """Draw a permutation of 0 .. n - 1: the stable order of n words, shape (n,)."""
    return np.argsort(raw_words(seed, stream, n), kind="stable").astype(np.int64)


def integers(seed: int, stream: str, n: int, below: int | NDArray[np.int64]) -> NDArray[np.int64]:
    """Draw n integers in 0 .. below - 1: the high 32 bits of a word times `below`, divided by 2^32, shape (n,).

    The probabilities of two values differ by at most 2^-32. `below` is one bound, or one for each draw, shape (n,).

    Raises:
        SubspaceError: a bound is outside 1 .. 2^31.
    """
    bounds = np.asarray(below)
    if bounds.size and not 1 <= bounds.min() <= bounds.max() <= 1 << 31:
        raise SubspaceError(f"integers: bounds lie in 1 .. 2^31, got {bounds.min()} to {bounds.max()}.")
    high = raw_words(seed, stream, n) >> np.uint64(32)
    return ((high * bounds.astype(np.uint64)) >> np.uint64(32)).astype(np.int64)
