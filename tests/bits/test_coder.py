"""The stream: an exact big-integer range decoder as oracle, exact bits, prefix property, size of the payload."""

import hashlib
import math
from fractions import Fraction

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pacbound.bits.coder import MAX_COUNT, TOTAL, Account, Decoder, Encoder, information_bits
from pacbound.errors import CodeError, MessageError

WHY = "for this test"
# 2^132 - 1 and 2^210 - 1 fall into primes below 2^24: as close to a whole number of bits as 2^-132 and 2^-210.
NEARLY_132 = (3, 3, 5, 7, 13, 23, 67, 89, 397, 683, 2113, 20857, 312709, 599479, 4327489)
NEARLY_210 = (
    *(3, 3, 7, 7, 11, 31, 43, 71, 127, 151, 211, 281, 331, 337, 5419, 29191, 86171, 106681, 122921, 152041),
    *(664441, 1564921),
)


def random_table(rng: np.random.Generator, levels: int, skew: float) -> np.ndarray:
    """Frequencies >= 1 that sum to 2^24, by largest-first rounding of random weights."""
    weights = rng.random(levels) ** skew + 1e-12
    table = 1 + np.floor((TOTAL - levels) * weights / weights.sum()).astype(np.int64)
    table[int(np.argmax(table))] += TOTAL - int(table.sum())
    return table


def decode_by_big_integers(payload: bytes, tables: list[np.ndarray]) -> tuple[list[int], Fraction, Fraction]:
    """Decode a 64-bit range coder in exact integers; return symbols and the interval [low, high) of the unit line.

    Nothing is renormalised in `low`: it grows by 32 bits with every word, so there are no carries.
    """
    digits = 64
    low, span = 0, (1 << 64) - 1
    words = [int.from_bytes(payload[k : k + 4], "little") for k in range(0, len(payload), 4)]
    words += [0] * (len(tables) + 2)
    point, read = (words[0] << 32) | words[1], 2
    symbols = []
    for table in tables:
        unit = span >> 24
        ends = np.cumsum(table)
        symbol = int(np.searchsorted(ends, (point - low) // unit, side="right"))
        symbols.append(symbol)
        low, span = low + unit * int(ends[symbol] - table[symbol]), unit * int(table[symbol])
        if span < 1 << 32:
            low, span, point, digits = low << 32, span << 32, (point << 32) | words[read], digits + 32
            read += 1
    return symbols, Fraction(low, 1 << digits), Fraction(low + span, 1 << digits)


def payload_interval(payload: bytes) -> tuple[Fraction, Fraction]:
    """Every continuation of a payload lies in this interval of the unit line."""
    big_endian = b"".join(payload[k : k + 4][::-1] for k in range(0, len(payload), 4))
    bits = 8 * len(payload)
    start = Fraction(int.from_bytes(big_endian, "big"), 1 << bits)
    return start, start + Fraction(1, 1 << bits)


@pytest.mark.parametrize("levels", [2, 3, 7, 64, 1000, 65537])
@pytest.mark.parametrize("skew", [0.0, 1.0, 30.0])
@pytest.mark.parametrize("per_position", [False, True])
def test_the_stream_has_exactly_the_masses_that_are_charged(levels: int, skew: float, per_position: bool) -> None:
    """A model off by one unit of 2^-24 decodes to other symbols within a few words."""
    rng = np.random.default_rng([levels, int(skew)])
    count = 40 if per_position or levels > 1000 else 300
    rows = [random_table(rng, levels, skew) for _ in range(count if per_position else 1)]
    tables = rows if per_position else rows * count
    values = np.array([rng.choice(levels, p=t / TOTAL) for t in tables], np.int32)
    values[::7] = rng.integers(0, levels, len(values[::7]))
    encoder = Encoder()
    encoder.symbols("x", np.stack(rows) if per_position else rows[0], count, WHY, values)
    payload = encoder.payload()
    symbols, low, high = decode_by_big_integers(payload, tables)
    assert symbols == values.tolist()
    start, stop = payload_interval(payload)
    assert low <= start, "the payload would be read as another message"
    assert stop <= high, "some continuation of the payload would be read as another message"


def test_table_of_one_certain_symbol_and_a_rarest_one_is_exact() -> None:
    table = np.array([1, TOTAL - 1], np.int64)
    values = np.array([1, 1, 0, 1, 0, 0, 1], np.int32)
    encoder = Encoder()
    encoder.symbols("x", table, 7, WHY, values)
    symbols, _, _ = decode_by_big_integers(encoder.payload(), [table] * 7)
    assert symbols == values.tolist()
    assert encoder.account.ledger().bits == 73  # 3 * 24 and a trifle


@given(st.lists(st.integers(1, TOTAL), max_size=60))
@settings(max_examples=300, deadline=None)
def test_bits_are_the_ceiling_of_the_exact_information(frequencies: list[int]) -> None:
    mass = math.prod((Fraction(f, TOTAL) for f in frequencies), start=Fraction(1))
    bits = information_bits(np.array(frequencies, np.int64))
    assert Fraction(1, 2**bits) <= mass
    assert bits == 0 or mass < Fraction(1, 2 ** (bits - 1))


@given(st.lists(st.tuples(st.integers(0, 24), st.integers(0, 10**6)), max_size=20))
def test_powers_of_two_cost_their_whole_bits_and_not_one_more(powers: list[tuple[int, int]]) -> None:
    frequencies = np.array([1 << p for p, _ in powers], np.int64)
    counts = np.array([c for _, c in powers], np.int64)
    assert information_bits(frequencies, counts) == sum((24 - p) * c for p, c in powers)


@pytest.mark.parametrize(("factors", "log2"), [(NEARLY_132, 132), (NEARLY_210, 210)])
def test_bits_stay_exact_where_the_mass_is_a_hair_below_a_power_of_two(factors: tuple[int, ...], log2: int) -> None:
    assert math.prod(factors) == 2**log2 - 1
    assert information_bits(np.array(factors, np.int64)) == 24 * len(factors) - log2 + 1


def test_bits_agree_with_sixty_digits_at_a_million_symbols() -> None:
    rng = np.random.default_rng(3)
    for levels in (2, 15, 4000):
        table = random_table(rng, levels, 2.0)
        counts = rng.multinomial(10**6, table / TOTAL)
        with mpmath.workdps(60):
            exact = mpmath.fsum(int(c) * (24 - mpmath.log(int(f), 2)) for f, c in zip(table, counts, strict=True))
            assert information_bits(table, counts) == int(mpmath.ceil(exact))


def test_an_item_is_rounded_once_over_all_its_parts_and_never_down() -> None:
    account = Account()
    table = np.array([TOTAL - 5, 5], np.int64)
    for _ in range(50):
        account.add_symbols("x", table, np.array([1, 0]), WHY)
    assert account.ledger().bits == 1
    account.add("x", 7, WHY)
    assert [(e.item, e.bits, e.kind) for e in account.ledger().entries] == [("x", 8, "counted")]


def test_the_gamma_code_is_a_complete_prefix_code() -> None:
    """Values below 2^k - 1 fill all but 2^-k of the unit mass."""
    mass = Fraction(0)
    for value in range(2**10 - 1):
        encoder = Encoder()
        encoder.gamma("g", WHY, value)
        mass += Fraction(1, 2 ** encoder.account.ledger().bits)
    assert mass == 1 - Fraction(1, 2**10)
    assert [_gamma_bits(v) for v in (0, 1, 2, 3, 2**63 - 1)] == [1, 3, 3, 5, 127]


def _gamma_bits(value: int) -> int:
    encoder = Encoder()
    encoder.gamma("g", WHY, value)
    return encoder.account.ledger().bits


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("gamma"), st.integers(0, 2**63 - 1)),
            st.tuples(st.integers(0, 70), st.integers(0, 2**70 - 1)),
        ),
        max_size=30,
    ),
    st.binary(max_size=3).map(lambda junk: junk * 4),
)
@settings(max_examples=200, deadline=None)
def test_integers_come_back_whatever_follows_them(fields: list[tuple[object, int]], junk: bytes) -> None:
    encoder = Encoder()
    for width, value in fields:
        if width == "gamma":
            encoder.gamma("g", WHY, value)
        else:
            encoder.integer("i", int(width), WHY, value % (1 << int(width)))
    decoder = Decoder(encoder.payload() + junk)
    for width, value in fields:
        if width == "gamma":
            assert decoder.gamma("g", WHY) == value
        else:
            assert decoder.integer("i", int(width), WHY) == value % (1 << int(width))
    assert decoder.account.ledger() == encoder.account.ledger()


def test_appended_words_change_no_symbol_so_streams_are_prefix_free() -> None:
    rng = np.random.default_rng(5)
    for trial in range(600):
        levels, count = int(rng.integers(2, 40)), int(rng.integers(1, 200))
        table = random_table(rng, levels, float(rng.choice([0, 1, 8, 40])))
        values = rng.choice(levels, count, p=table / TOTAL).astype(np.int32)
        encoder = Encoder()
        encoder.symbols("x", table, count, WHY, values)
        junk = (b"\xff" * 12, b"\x00" * 12, rng.bytes(12))[trial % 3]
        decoded = Decoder(encoder.payload() + junk).symbols("x", table, count, WHY)
        assert np.array_equal(decoded, values)


def test_the_payload_is_at_most_forty_bits_and_half_a_thousandth_per_symbol_longer() -> None:
    rng = np.random.default_rng(7)
    worst = -math.inf
    for _ in range(3000):
        levels = int(rng.choice([1, 2, 3, 7, 31, 300]))
        count = int(2 ** rng.uniform(0, 11))
        table = random_table(rng, levels, float(rng.choice([0, 1, 5, 60])))
        likely = rng.choice(levels, count, p=table / TOTAL)
        values = np.where(rng.random(count) < rng.choice([0, 0.1, 1]), rng.integers(0, levels, count), likely)
        encoder = Encoder()
        encoder.symbols("x", table, count, WHY, values.astype(np.int32))
        worst = max(worst, 8 * len(encoder.payload()) - encoder.account.ledger().bits - 0.0005 * count)
    assert worst <= 40


@pytest.mark.parametrize(("levels", "skew"), [(3, 1.0), (2, 200.0), (15, 5.0), (65537, 3000.0)])
def test_the_payload_stays_short_at_a_million_symbols(levels: int, skew: float) -> None:
    """At 65,537 levels the likeliest symbols lose .4 % of their mass where the coder is fed f instead of f - 1."""
    rng = np.random.default_rng(8)
    table = random_table(rng, levels, skew)
    values = rng.choice(levels, 10**6, p=table / TOTAL).astype(np.int32)
    encoder = Encoder()
    encoder.symbols("x", table, 10**6, WHY, values)
    assert 8 * len(encoder.payload()) <= encoder.account.ledger().bits + 40 + 500


@pytest.mark.parametrize(("width", "value"), [(0, 1), (4, 16), (4, -1), (4, None)])
def test_an_integer_that_does_not_fit_is_refused(width: int, value: int | None) -> None:
    with pytest.raises(CodeError, match="is an integer in"):
        Encoder().integer("i", width, WHY, value)


@pytest.mark.parametrize("value", [-1, 1 << 63, None])
def test_a_gamma_value_out_of_range_is_refused(value: int | None) -> None:
    with pytest.raises(CodeError, match="is an integer in"):
        Encoder().gamma("g", WHY, value)


HALVES = np.array([TOTAL // 2, TOTAL // 2], np.int64)


@pytest.mark.parametrize(
    "values",
    [
        None,
        np.zeros(2, np.int32),
        np.zeros((3, 1), np.int32),
        np.zeros(3, np.int64),
        np.zeros(3),
        np.array([0, 2, 0], np.int32),
        np.array([0, -1, 0], np.int32),
    ],
    ids=["none", "too few", "two-dimensional", "int64", "float", "above", "below"],
)
def test_symbols_that_are_not_those_announced_are_refused(values: np.ndarray | None) -> None:
    with pytest.raises(CodeError):
        Encoder().symbols("x", HALVES, 3, WHY, values)


@pytest.mark.parametrize(
    "table",
    [
        np.array([TOTAL - 1]),
        np.array([TOTAL, 0]),
        np.array([TOTAL + 1, -1]),
        np.tile(HALVES, (2, 1)),
        np.array([[TOTAL - 1, 1], [TOTAL, 0], [1, TOTAL - 1]]),
    ],
    ids=["short sum", "zero", "negative", "too few rows", "a zero in one row"],
)
def test_tables_that_are_no_prior_are_refused_in_both_directions(table: np.ndarray) -> None:
    with pytest.raises(CodeError, match="frequencies >= 1"):
        Encoder().symbols("x", table, 3, WHY, np.zeros(3, np.int32))
    with pytest.raises(CodeError, match="frequencies >= 1"):
        Decoder(bytes(8)).symbols("x", table, 3, WHY)


def test_counts_beyond_the_cap_are_refused_before_memory_is_taken() -> None:
    with pytest.raises(CodeError, match="symbols"):
        Decoder(bytes(8)).symbols("x", HALVES, MAX_COUNT + 1, WHY)
    with pytest.raises(CodeError, match="symbols"):
        Decoder(bytes(8)).symbols("x", HALVES, -1, WHY)


def test_foreign_payloads_are_refused_by_name() -> None:
    with pytest.raises(MessageError, match="whole 32-bit words"):
        Decoder(bytes(7))
    with pytest.raises(MessageError, match="runs past 63 bits"):
        Decoder(b"").gamma("g", WHY)
    with pytest.raises(MessageError, match="not a pacbound stream"):
        Decoder(b"\xff" * 8).integer("i", 16, WHY)


def test_golden_stream_so_that_a_change_of_constriction_is_noticed() -> None:
    encoder = Encoder()
    encoder.integer("i", 40, WHY, 0x123456789A)
    encoder.gamma("g", WHY, 1000)
    table = np.array([1, 2**20, TOTAL - 2**20 - 1001, 1000], np.int64)
    encoder.symbols("x", table, 9, WHY, np.array([2, 2, 1, 3, 2, 0, 1, 2, 2], np.int32))
    rows = np.stack([table, table[::-1]])
    encoder.symbols("y", rows, 2, WHY, np.array([2, 2], np.int32))
    assert encoder.payload().hex() == GOLDEN_HEX
    wide = np.arange(20000, dtype=np.int32) % 4
    encoder.symbols("z", table, 20000, WHY, wide)
    assert hashlib.sha256(encoder.payload()).hexdigest() == GOLDEN_SHA256


GOLDEN_HEX = "56349a78138d5311d06d559f065c3b87"
GOLDEN_SHA256 = "37d530ff839c1cd2c42f36742d4edfe3fbc7e8dbc88948594b8f2a0ddfe5c671"
