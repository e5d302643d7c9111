"""One range-coder stream that carries integers and symbols, and counts the exact bits of each item.

`Encoder` and `Decoder` have the same methods, so that a message is described once, by a function that runs
in both directions: the encoder is given each value, the decoder returns it.

The bits of an item are the exact -log2 of the probability the integer tables give it, rounded up; the
payload (constriction's range coder, 32-bit words) only carries it and is a few words longer at most.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

import constriction
import numpy as np
from flint import arb, ctx
from numpy.typing import NDArray

from ..errors import CodeError, MessageError
from .ledger import Ledger

PRECISION_BITS = 24
TOTAL = 1 << PRECISION_BITS
MAX_COUNT = 1 << 26
CHUNK = 1 << 20
FIELD_BITS = 16  # widest uniform integer sent in one go

Symbols = NDArray[np.int32]
Table = NDArray[np.int64]  # (K,) or (count, K) frequencies, each row summing to TOTAL

_Categorical = constriction.stream.model.Categorical
_Uniform = constriction.stream.model.Uniform


def information_bits(frequencies: NDArray[np.int64], counts: NDArray[np.int64] | None = None) -> int:
    """Return ceil(-log2 prod(f / 2^24)^count), exactly, from the frequencies of the symbols sent.

    Each f is odd * 2^k; the 2^k are whole bits. The product of the odd parts is 1 or no power of two, so its
    log2 is 0 or not an integer, and ball arithmetic of growing precision finds its floor with certainty.

    Args:
        frequencies: in [1, 2^24], shape (m,).
        counts: how often each was sent, shape (m,); once each where None.

    >>> information_bits(np.array([TOTAL // 2, TOTAL // 4]))
    3
    """
    if counts is None:
        frequencies, counts = np.unique(frequencies, return_counts=True)
    power = frequencies & -frequencies
    exponents = np.frexp(power)[1] - 1
    odd = frequencies // power
    inexact = (odd > 1) & (counts > 0)
    terms = list(zip(odd[inexact].tolist(), counts[inexact].tolist(), strict=True))
    return int(np.dot(counts, PRECISION_BITS - exponents)) - _floor_log2(terms)


def _floor_log2(terms: list[tuple[int, int]]) -> int:
    """Floor of log2 prod(odd^count) for odd integers above 1, which is not an integer unless terms is empty."""
    if not terms:
        return 0
    outer, precision = ctx.prec, 128
    try:
        while True:
            ctx.prec = precision
            nats = sum((arb(odd).log() * count for odd, count in terms), arb(0))
            floor = (nats / arb.const_log2()).floor().unique_fmpz()
            if floor is not None:
                return int(floor)
            precision *= 2
    finally:
        ctx.prec = outer


class Stream(Protocol):
    """What a message description may say, in either direction."""

    def integer(self, item: str, width: int, why: str, value: int | None = None) -> int:
        """Carry an integer in [0, 2^width) at exactly `width` bits."""
        ...

    def gamma(self, item: str, why: str, value: int | None = None) -> int:
        """Carry an integer >= 0 by the Elias gamma code of value + 1: 1 bit for 0, 3 for 1 and 2."""
        ...

    def symbols(self, item: str, table: Table, count: int, why: str, values: Symbols | None = None) -> Symbols:
        """Carry `count` symbols in [0, K) under integer frequencies (K,) or (count, K)."""
        ...


class Account:
    """What was sent for each item so far, in order of first mention; an item is rounded up once, at the end."""

    def __init__(self) -> None:
        """Start empty."""
        self._why: dict[str, str] = {}
        self._whole: dict[str, int] = {}
        self._sent: dict[str, list[tuple[NDArray[np.int64], NDArray[np.int64]]]] = {}

    def add(self, item: str, bits: int, why: str) -> None:
        """Add whole bits to an item; the first reason stands."""
        self._why.setdefault(item, why)
        self._whole[item] = self._whole.get(item, 0) + bits

    def add_symbols(self, item: str, frequencies: NDArray[np.int64], counts: NDArray[np.int64], why: str) -> None:
        """Add symbols to an item by the frequencies (out of 2^24) that they had and how often each was sent."""
        self.add(item, 0, why)
        self._sent.setdefault(item, []).append((frequencies, counts))

    def ledger(self) -> Ledger:
        """Return the account as a ledger of counted entries."""
        ledger = Ledger()
        for item, why in self._why.items():
            bits = self._whole[item]
            if item in self._sent:
                frequencies, counts = (np.concatenate(part) for part in zip(*self._sent[item], strict=True))
                bits += information_bits(frequencies, counts)
            ledger = ledger.charge(item, bits, why)
        return ledger


class Encoder:
    """Write side of a stream."""

    def __init__(self) -> None:
        """Start an empty stream."""
        self.account = Account()
        self._queue = constriction.stream.queue.RangeEncoder()

    def integer(self, item: str, width: int, why: str, value: int | None = None) -> int:
        """See Stream. Raises: CodeError where the value does not fit its width."""
        if value is None or not 0 <= value < 1 << width:
            raise CodeError(f"Encoder: {item} is an integer in [0, 2^{width}), got {value}.")
        for shift in range(0, width, FIELD_BITS):
            bits = min(FIELD_BITS, width - shift)
            self._queue.encode((value >> shift) & ((1 << bits) - 1), _Uniform(1 << bits))
        self.account.add(item, width, why)
        return value

    def gamma(self, item: str, why: str, value: int | None = None) -> int:
        """See Stream. Raises: CodeError where the value is negative."""
        if value is None or not 0 <= value < 1 << 63:
            raise CodeError(f"Encoder: {item} is an integer in [0, 2^63), got {value}.")
        extra = (value + 1).bit_length() - 1
        for _ in range(extra):
            self.integer(item, 1, why, 0)
        self.integer(item, 1, why, 1)
        self.integer(item, extra, why, value + 1 - (1 << extra))
        return value

    def symbols(self, item: str, table: Table, count: int, why: str, values: Symbols | None = None) -> Symbols:
        """See Stream. Raises: CodeError where a symbol is outside its table or the count is wrong."""
        _check_table(item, table, count)
        if values is None or values.shape != (count,) or values.dtype != np.int32:
            got = None if values is None else f"{values.dtype} of shape {values.shape}"
            raise CodeError(f"Encoder: {item} needs {count} symbols as int32 of shape ({count},), got {got}.")
        levels = table.shape[-1]
        if count and not (0 <= int(values.min()) and int(values.max()) < levels):
            raise CodeError(f"Encoder: {item} has symbols outside [0, {levels}); enlarge the alphabet.")
        self.account.add_symbols(item, *_sent(table, values), why)
        if levels > 1:
            for rows, model in _chunks(table, count):
                self._queue.encode(np.ascontiguousarray(values[rows]), *model)
        return values

    def payload(self) -> bytes:
        """Return the stream as little-endian 32-bit words."""
        return self._queue.get_compressed().astype("<u4").tobytes()


class Decoder:
    """Read side of a stream: the same calls in the same order return what was written."""

    def __init__(self, payload: bytes) -> None:
        """Args: payload, from Encoder.payload(). Raises: MessageError where it is not whole words."""
        if len(payload) % 4:
            raise MessageError(f"Decoder: a payload is whole 32-bit words, got {len(payload)} bytes.")
        self.account = Account()
        self._queue = constriction.stream.queue.RangeDecoder(np.frombuffer(payload, "<u4").astype(np.uint32))

    def integer(self, item: str, width: int, why: str, value: int | None = None) -> int:
        """See Stream."""
        result = 0
        for shift in range(0, width, FIELD_BITS):
            result |= int(self._decode(_Uniform(1 << min(FIELD_BITS, width - shift)))) << shift
        self.account.add(item, width, why)
        return result

    def gamma(self, item: str, why: str, value: int | None = None) -> int:
        """See Stream. Raises: MessageError where the length prefix runs past 63 bits."""
        extra = 0
        while self.integer(item, 1, why) == 0:
            extra += 1
            if extra > 63:
                raise MessageError(f"Decoder: the length prefix of {item} runs past 63 bits; the payload is foreign.")
        return (1 << extra) + self.integer(item, extra, why) - 1

    def symbols(self, item: str, table: Table, count: int, why: str, values: Symbols | None = None) -> Symbols:
        """See Stream."""
        _check_table(item, table, count)
        decoded = np.zeros(count, np.int32)
        if table.shape[-1] > 1:
            for rows, model in _chunks(table, count):
                decoded[rows] = self._decode(*model) if len(model) > 1 else self._decode(*model, rows.stop - rows.start)
        self.account.add_symbols(item, *_sent(table, decoded), why)
        return decoded

    def chained(self, item: str, tables: Sequence[Table], why: str, follow: Callable[[int, int], int]) -> Symbols:
        """Read symbols each of which says under which table the next one stands.

        Args:
            tables: of each state, (count, K) with K > 1 as in `symbols`, all of one shape.
            follow: of a state and the symbol read in it, the state of the next; the first is 0.
        """
        count, family, state = len(tables[0]), _Categorical(perfect=False), 0
        for table in tables:
            _check_table(item, table, count)
        decoded, used = np.zeros(count, np.int32), np.zeros(count, np.int64)
        for i in range(count):
            row = tables[state][i : i + 1]
            symbol = int(self._decode(family, _weights(row))[0])
            decoded[i], used[i] = symbol, row[0, symbol]
            state = follow(state, symbol)
        self.account.add_symbols(item, *np.unique(used, return_counts=True), why)
        return decoded

    def _decode(self, *args: object) -> NDArray[np.int32]:
        try:
            return self._queue.decode(*args)
        except (ValueError, AssertionError) as cause:
            raise MessageError(f"Decoder: the payload is not a pacbound stream ({cause}).") from None


def _chunks(table: Table, count: int) -> list[tuple[slice, tuple[object, ...]]]:
    """Return (rows, arguments for constriction) that cover `count` symbols in bounded memory.

    constriction gives symbol k the frequency 1 + floor((2^24 - K) w_k / sum w): weights f - 1 yield exactly f.
    """
    if table.ndim == 1:
        return [(slice(0, count), (_Categorical(_weights(table), perfect=False),))] if count else []
    family = _Categorical(perfect=False)
    step = max(1, CHUNK // table.shape[1])
    blocks = [slice(start, min(start + step, count)) for start in range(0, count, step)]
    return [(rows, (family, _weights(table[rows]))) for rows in blocks]


def _weights(table: Table) -> NDArray[np.float64]:
    return np.subtract(table, 1, dtype=np.float64)


def _sent(table: Table, symbols: Symbols) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Frequencies of the symbols sent and how often each was, both of shape (m,)."""
    if table.ndim == 1:
        return table, np.bincount(symbols, minlength=len(table))
    used = table[np.arange(len(symbols)), symbols]
    distinct, counts = np.unique(used.astype(np.int32), return_counts=True)  # which sorts twice as fast
    return distinct.astype(np.int64), counts


def _check_table(item: str, table: Table, count: int) -> None:
    if not 0 <= count <= MAX_COUNT:
        raise CodeError(f"Stream: {item} has 0 to {MAX_COUNT} symbols, got {count}.")
    rows = table if table.ndim == 2 else table[None]
    if (table.ndim == 2 and len(table) != count) or (rows < 1).any() or (rows.sum(1) != TOTAL).any():
        raise CodeError(f"Stream: each table of {item} holds frequencies >= 1 that sum to 2^{PRECISION_BITS}.")
