"""Speed of the stream at a million symbols. Run: python -m pytest -m benchmark -s tests/benchmarks/test_coder.py"""

import statistics
import time
from collections.abc import Callable

import numpy as np
import pytest

from pacbound.bits.coder import TOTAL, Decoder, Encoder, Stream, Symbols
from pacbound.bits.codes import code_symbols, table_from_counts
from pacbound.specs.specs import CodeSpec

COUNT = 10**6
LEVELS = 15
Carry = Callable[[Stream, Symbols | None], Symbols]


def rates(carry: Carry, symbols: Symbols) -> tuple[float, float]:
    """Symbols per CPU second of one thread, encoding to bytes and decoding, the ledger included; medians of 5."""
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
    return COUNT / statistics.median(encoding), COUNT / statistics.median(decoding)


def cases() -> dict[str, tuple[Carry, Symbols, float, float]]:
    """Name -> (what to carry, symbols, least rate of encoding, least rate of decoding)."""
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
        "static": (lambda s, v: s.symbols("x", table, COUNT, "speed", v), symbols, 5e6, 1e6),
        "per position": (lambda s, v: s.symbols("x", per_position, COUNT, "speed", v), symbols, 5e6, 1e6),
        "adaptive": (lambda s, v: code_symbols(s, adaptive, COUNT, v), symbols, 0.5e6, 0.5e6),
    }


@pytest.mark.benchmark
@pytest.mark.parametrize("name", ["static", "per position", "adaptive"])
def test_a_million_symbols_pass_fast_enough(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    carry, symbols, least_encode, least_decode = cases()[name]
    encode, decode = rates(carry, symbols)
    with capsys.disabled():
        print(f"\n{name}: encode {encode / 1e6:.1f} M/s, decode {decode / 1e6:.1f} M/s (median of 5, {LEVELS} levels)")
    assert encode >= least_encode
    assert decode >= least_decode
