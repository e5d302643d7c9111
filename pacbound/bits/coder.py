"""One range-coder stream that carries integers and symbols, and counts the exact bits of each item.

`Encoder` and `Decoder` have the same methods, so that a message is described once, by a function that runs
in both directions: the encoder is given each value, the decoder returns it.

The bits of an item are the exact -log2 of the probability the integer tables give it, rounded up; the
payload (constriction's range coder, 32-bit words) only carries it and is a few words longer at most.
"""

import math
from typing import Protocol

import constriction
import numpy as np
from flint import fmpz
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


def information_bits(frequencies: NDArray[np.int64]) -> int:
    """Return ceil(-log2 prod(f / 2^24)), exactly, from the frequencies of the symbols sent.

    Integer arithmetic only: 24 n minus the floor of log2 of the product.

    >>> information_bits(np.array([TOTAL // 2, TOTAL // 4]))
    3
    """
    distinct, counts = np.unique(frequencies, return_counts=True)
    factors = [fmpz(int(f)) ** int(c) for f, c in zip(distinct, counts, strict=True)]
    while len(factors) > 1:  # a product tree keeps the factors balanced
        factors = [math.prod(factors[i : i + 2], start=fmpz(1)) for i in range(0, len(factors), 2)]
    product = int(factors[0].bit_length()) if factors else 1
    return PRECISION_BITS * int(counts.sum()) - (product - 1)


class Stream(Protocol):
    """What a message description may say, in either direction."""

    def integer(self, item: str, width: int, why: str, value: int | None = None) -> int:
        """Carry an integer in [0, 2^width) at exactly `width` bits."""
        ...

    def gamma(self, item: str, why: str, value: int | None = None) -> int:
        """Carry an integer >= 0 by the Elias gamma code of value + 1: 1 bit for 0, 3 for 1 and 2."""
        ...

    def symbols(
        self, item: str, table: Table, count: int, why: str, values: Symbols | None = None
    ) -> Symbols:
        """Carry `count` symbols in [0, K) under integer frequencies (K,) or (count, K)."""
        ...


class Account:
    """What was sent for each item so far, in order of first mention; an item is rounded up once, at the end."""

    def __init__(self) -> None:
        """Start empty."""
        self._why: dict[str, str] = {}
        self._whole: dict[str, int] = {}
        self._used: dict[str, list[NDArray[np.int64]]] = {}

    def add(self, item: str, bits: int, why: str) -> None:
        """Add whole bits to an item; the first reason stands."""
        self._why.setdefault(item, why)
        self._whole[item] = self._whole.get(item, 0) + bits

    def add_symbols(self, item: str, used: NDArray[np.int64], why: str) -> None:
        """Add symbols to an item by the frequencies (out of 2^24) that they had."""
        self.add(item, 0, why)
        self._used.setdefault(item, []).append(used)

    def ledger(self) -> Ledger:
        """Return the account as a ledger of counted entries."""
        ledger = Ledger()
        for item, why in self._why.items():
            symbols = information_bits(np.concatenate(self._used[item])) if item in self._used else 0
            ledger = ledger.charge(item, self._whole[item] + symbols, why)
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

    def symbols(
        self, item: str, table: Table, count: int, why: str, values: Symbols | None = None
    ) -> Symbols:
        """See Stream. Raises: CodeError where a symbol is outside its table or the count is wrong."""
        _check_table(item, table, count)
        if values is None or values.shape != (count,):
            raise CodeError(
                f"Encoder: {item} needs {count} symbols, got {None if values is None else values.shape}."
            )
        levels = table.shape[-1]
        if count and not (0 <= int(values.min()) and int(values.max()) < levels):
            raise CodeError(f"Encoder: {item} has symbols outside [0, {levels}); enlarge the alphabet.")
        self.account.add_symbols(item, _used(table, values), why)
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
                raise MessageError(
                    f"Decoder: the length prefix of {item} runs past 63 bits; the payload is foreign."
                )
        return (1 << extra) + self.integer(item, extra, why) - 1

    def symbols(
        self, item: str, table: Table, count: int, why: str, values: Symbols | None = None
    ) -> Symbols:
        """See Stream."""
        _check_table(item, table, count)
        decoded = np.zeros(count, np.int32)
        if table.shape[-1] > 1:
            for rows, model in _chunks(table, count):
                decoded[rows] = (
                    self._decode(*model) if len(model) > 1 else self._decode(*model, rows.stop - rows.start)
                )
        self.account.add_symbols(item, _used(table, decoded), why)
        return decoded

    def _decode(self, *args: object) -> NDArray[np.int32]:
        try:
            return self._queue.decode(*args)
        except (ValueError, AssertionError) as cause:
            raise MessageError(f"Decoder: the payload is not a pacbound stream ({cause}).") from None


def _chunks(table: Table, count: int) -> list[tuple[slice, tuple[object, ...]]]:
    """Return (rows, arguments for constriction) that cover `count` symbols in bounded memory."""
    if table.ndim == 1:
        return [(slice(0, count), (_Categorical(table.astype(np.float64), perfect=False),))] if count else []
    family = _Categorical(perfect=False)
    step = max(1, CHUNK // table.shape[1])
    blocks = [slice(start, min(start + step, count)) for start in range(0, count, step)]
    return [(rows, (family, table[rows].astype(np.float64))) for rows in blocks]


def _used(table: Table, symbols: Symbols) -> NDArray[np.int64]:
    """Frequencies of the symbols sent, shape (count,)."""
    return (
        table[symbols]
        if table.ndim == 1
        else np.take_along_axis(table, symbols[:, None].astype(np.int64), 1)[:, 0]
    )


def _check_table(item: str, table: Table, count: int) -> None:
    if not 0 <= count <= MAX_COUNT:
        raise CodeError(f"Stream: {item} has 0 to {MAX_COUNT} symbols, got {count}.")
    rows = table if table.ndim == 2 else table[None]
    if (table.ndim == 2 and len(table) != count) or (rows < 1).any() or (rows.sum(1) != TOTAL).any():
        raise CodeError(
            f"Stream: each table of {item} holds frequencies >= 1 that sum to 2^{PRECISION_BITS}."
        )
