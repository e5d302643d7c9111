"""Streams of random numbers against the published algorithm of Philox, plain-integer maps and golden vectors."""

import hashlib
import json
import math
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from pacbound.errors import SubspaceError
from pacbound.subspace import random

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "random.json").read_text())
MASK = (1 << 64) - 1


def philox_words(key: tuple[int, int], n: int) -> list[int]:
    """Philox 4x64-10 of Salmon et al. 2011 in Python integers, its counter starting at 1."""
    words: list[int] = []
    for counter in range(1, n // 4 + 2):
        (k0, k1), (c0, c1, c2, c3) = key, (counter, 0, 0, 0)
        for _ in range(10):
            m0, m1 = c0 * 0xD2E7470EE14C6C93, c2 * 0xCA5A826395121157
            c0, c1, c2, c3 = (m1 >> 64) ^ c1 ^ k0, m1 & MASK, (m0 >> 64) ^ c3 ^ k1, m0 & MASK
            k0, k1 = (k0 + 0x9E3779B97F4A7C15) & MASK, (k1 + 0xBB67AE8584CAA73B) & MASK
        words += [c0, c1, c2, c3]
    return words[:n]


def stream_words(seed: int, stream: str, n: int) -> list[int]:
    name = b"pacbound random 1\x00" + stream.encode() + b"\x00" + str(seed).encode()
    digest = hashlib.sha256(name).digest()
    return philox_words((int.from_bytes(digest[:8], "little"), int.from_bytes(digest[8:16], "little")), n)


def test_words_are_philox_keyed_by_the_hashed_name() -> None:
    for seed, stream in ((0, "a"), (7, "fastfood/signs"), ((1 << 63) - 1, "")):
        assert random.raw_words(seed, stream, 21).tolist() == stream_words(seed, stream, 21)


def test_signs_are_the_bits_of_the_words_lowest_first() -> None:
    words = stream_words(3, "s", 3)
    bits = [(words[i // 64] >> (i % 64)) & 1 for i in range(150)]
    assert random.signs(3, "s", 150).tolist() == [2 * bit - 1 for bit in bits]


def test_normals_are_an_integer_times_one_constant() -> None:
    scale = np.float32(1 / math.sqrt(8 * 2**32 + (2**32 - 1) / 6))
    for word, drawn in zip(stream_words(3, "n", 50), random.normals(3, "n", 50).tolist(), strict=True):
        integer = ((word & 0xFFFFFFFF).bit_count() - 16) * 65536 + (word >> 48) + ((word >> 32) & 0xFFFF) - 65535
        assert drawn == float(np.float32(integer) * scale)


def test_normals_are_close_to_normal_in_moments_and_distribution() -> None:
    z = random.normals(1, "moments", 1_000_000).astype(np.float64)
    assert abs(z.mean()) < 5e-3
    assert abs(z.var() - 1) < 7e-3
    assert abs((z**4).mean() - 2.940) < 0.05
    assert stats.kstest(z, "norm", method="asymp").statistic < 2e-3  # the method is that of the level alone
    assert np.abs(z).max() < 5.95


def test_permutations_are_permutations_in_the_order_of_the_words() -> None:
    order = random.permutation(4, "p", 40).tolist()
    words = stream_words(4, "p", 40)
    assert order == sorted(range(40), key=words.__getitem__)
    assert sorted(order) == list(range(40))


def test_integers_scale_the_high_half_word() -> None:
    expected = [(word >> 32) * 1000 >> 32 for word in stream_words(5, "i", 30)]
    assert random.integers(5, "i", 30, 1000).tolist() == expected
    bounds = np.arange(1, 31)
    mixed = [(word >> 32) * b >> 32 for word, b in zip(stream_words(5, "i", 30), range(1, 31), strict=True)]
    assert random.integers(5, "i", 30, bounds).tolist() == mixed
    assert set(random.integers(5, "cover", 200, 3).tolist()) == {0, 1, 2}


def test_golden_vectors_hold() -> None:
    assert GOLDEN["version"] == random.RANDOM_VERSION
    seed, stream = GOLDEN["seed"], GOLDEN["stream"]
    assert [f"{word:016x}" for word in random.raw_words(seed, stream, 6).tolist()] == GOLDEN["raw_words"]
    assert random.signs(seed, stream, 16).tolist() == GOLDEN["signs"]
    assert [x.hex() for x in random.normals(seed, stream, 6).tolist()] == GOLDEN["normals"]
    assert random.permutation(seed, stream, 12).tolist() == GOLDEN["permutation"]
    assert random.integers(seed, stream, 8, 1000).tolist() == GOLDEN["integers"]


def test_seeds_and_streams_do_not_share_words() -> None:
    drawn = [random.raw_words(seed, stream, 100).tolist() for seed in (0, 1) for stream in ("a", "b", "0")]
    assert len({word for words in drawn for word in words}) == 600


def test_the_empty_draw_is_empty() -> None:
    for draw in (random.raw_words, random.signs, random.normals, random.permutation):
        assert draw(0, "empty", 0).shape == (0,)


def test_impossible_draws_are_refused() -> None:
    with pytest.raises(SubspaceError, match="seed lies in"):
        random.raw_words(-1, "a", 1)
    with pytest.raises(SubspaceError, match="seed lies in"):
        random.raw_words(1 << 63, "a", 1)
    with pytest.raises(SubspaceError, match="count of words"):
        random.raw_words(0, "a", -1)
    with pytest.raises(SubspaceError, match="bounds lie in"):
        random.integers(0, "a", 1, 0)
