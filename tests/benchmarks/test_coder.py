"""CPU seconds of the stream for a million symbols, over zlib for the same symbols as bytes.

Run: python -m pytest -m benchmark tests/benchmarks/test_coder.py
"""

import statistics
import time
import zlib
from collections.abc import Callable

import numpy as np
import pytest

from pacbound.bits.coder import TOTAL, Decoder, Encoder, Stream, Symbols
from pacbound.bits.codes import code_symbols, table_from_counts
from pacbound.specs.specs import CodeSpec

COUNT = 10**6
LEVELS = 15
Carry = Callable[[Stream, Symbols | None], Symbols]


def seconds(carry: Carry, symbols: Symbols) -> tuple[float, float]:
    """CPU seconds of one thread for encoding to bytes and for decoding, the ledger included; medians of 5."""
    encoding, decoding = [], []
    for _ in range(5):
        start = time.process_time()
        encoder = Encoder()
        carry(encoder, symbols)
        payload = encoder.payload()
        bits = encoder.account.ledger().bits
        middle = time.process_time()
        decoder = Decoder(payload)
        decoded = carry(decoder, None)
        same = decoder.account.ledger().bits == bits
        encoding.append(middle - start)
        decoding.append(time.process_time() - middle)
        assert same
        assert np.array_equal(decoded, symbols)
        assert 8 * len(payload) <= bits + 40 + 0.0005 * COUNT
    return statistics.median(encoding), statistics.median(decoding)


def cases() -> dict[str, tuple[Carry, Symbols, float, float]]:
    """Name -> (what to carry, symbols, most times of zlib for encoding, for decoding)."""
    rng = np.random.default_rng(0)
    shares = np.exp(-0.5 * (np.arange(LEVELS) - LEVELS // 2) ** 2)
    symbols = rng.choice(LEVELS, COUNT, p=shares / shares.sum()).astype(np.int32)
    table = table_from_counts(np.bincount(symbols, minlength=LEVELS).tolist())
    weights = 0.1 + rng.random((256, LEVELS))
    rows = 1 + np.floor((TOTAL - LEVELS) * weights / weights.sum(1, keepdims=True)).astype(np.int64)
    rows[:, 0] += TOTAL - rows.sum(1)
    per_position = rows[rng.integers(0, 256, COUNT)]
    adaptive = CodeSpec(kind="adaptive", levels=LEVELS)
    return {
        "static": (lambda s, v: s.symbols("x", table, COUNT, "speed", v), symbols, 0.5, 20),
        "per position": (lambda s, v: s.symbols("x", per_position, COUNT, "speed", v), symbols, 4, 160),
        "adaptive": (lambda s, v: code_symbols(s, adaptive, COUNT, v), symbols, 0.5, 30),
    }


@pytest.mark.benchmark
@pytest.mark.parametrize("name", ["static", "per position", "adaptive"])
def test_a_million_symbols_pass_fast_enough(
    name: str, figure: Callable[..., None], timed: Callable[..., float]
) -> None:
    carry, symbols, most_encode, most_decode = cases()[name]
    encode, decode = seconds(carry, symbols)
    plain = symbols.astype(np.uint8).tobytes()
    packed = zlib.compress(plain)
    over_encode = timed(lambda: zlib.compress(plain), 5, time.process_time)
    over_decode = timed(lambda: zlib.decompress(packed), 5, time.process_time)
    figure(f"a million symbols, {name}: encode", encode, over_encode, "zlib of them", most=most_encode)
    figure(f"a million symbols, {name}: decode", decode, over_decode, "zlib of them", most=most_decode)
