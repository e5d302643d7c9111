"""A direct code in both directions: what goes in comes out, at the bits the tables say."""

import itertools
import math
from fractions import Fraction

import mpmath
import numpy as np
import pytest

from pacbound.bits.coder import TOTAL, Decoder, Encoder
from pacbound.bits.message import pack, unpack
from pacbound.bits.tensors import code_coding, code_tensor, frequencies, side_count, symbol_count
from pacbound.errors import CodeError, MessageError
from pacbound.specs.tensors import BlockTensor, CodebookTensor, LatticeTensor, Quantized, TableSpec, ZeroTensor
from tests.direct_cases import chain, count, hypothesis_spec, random_symbols, ternary

STATIC = TableSpec(kind="static", levels=3, counts=(4, 10, 6))
CODINGS: tuple[Quantized, ...] = (
    ZeroTensor(),
    ternary(),
    ternary(rows=True),
    LatticeTensor(step_index=511, table=STATIC),
    LatticeTensor(step_index=0, table=TableSpec(kind="gaussian", levels=7, ratio_index=60)),
    LatticeTensor(step_index=200, table=TableSpec(kind="laplace", levels=3, ratio_index=70)),
    LatticeTensor(step_index=200, table=TableSpec(kind="spike", levels=1, ratio_index=64, zero_index=127)),
    CodebookTensor(centroids=(0x3C00, 0, 0xBC00), table=STATIC),
    BlockTensor(kind="int8", block_log2=6, table=TableSpec(kind="static", levels=256, counts=(20,) + (0,) * 255)),
    BlockTensor(kind="fp4", block_log2=12, table=TableSpec(kind="static", levels=16, counts=(10,) * 2 + (0,) * 14)),
)


def symbols_for(coding: Quantized, shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    if isinstance(coding, ZeroTensor):
        return np.zeros(0, np.int32)
    side = side_count(coding, shape)
    top = 0x7F80 if isinstance(coding, BlockTensor) else 3
    values = rng.integers(0, min(coding.table.levels, 3), math.prod(shape))
    return np.concatenate([rng.integers(0, top, side), values]).astype(np.int32)


@pytest.mark.parametrize("coding", CODINGS, ids=lambda coding: coding.kind)
def test_a_tensor_comes_back_with_its_header(coding: Quantized) -> None:
    shape = (4, 5)
    symbols = symbols_for(coding, shape)
    assert len(symbols) == symbol_count(coding, shape)
    encoder = Encoder()
    code_coding(encoder, "header", "why", shape, coding)
    code_tensor(encoder, "tensor", coding, shape, symbols)
    decoder = Decoder(encoder.payload())
    assert code_coding(decoder, "header", "why", shape, None) == coding
    assert np.array_equal(code_tensor(decoder, "tensor", coding, shape), symbols)
    assert decoder.account.ledger() == encoder.account.ledger()


def test_a_spike_has_the_masses_of_its_formula() -> None:
    table = frequencies(TableSpec(kind="spike", levels=9, ratio_index=60, zero_index=20))
    assert table.sum() == TOTAL
    assert np.array_equal(table, table[::-1])
    with mpmath.workdps(50):
        t = mpmath.mpf(2) ** (mpmath.mpf(60 - 64) / 8)
        weights = [mpmath.e ** (-t * q) for q in range(4)]
        share = mpmath.mpf(2) ** (mpmath.mpf(-20) / 8) / 2
        expected = [int(mpmath.floor((TOTAL - 9) * share * w / sum(weights))) + 1 for w in weights]
    assert table[5:].tolist() == expected


@pytest.mark.parametrize("zero_index", [0, 1, 8, 64, 127])
@pytest.mark.parametrize("ratio_index", [0, 64, 127])
@pytest.mark.parametrize("levels", [1, 3, 255])
def test_every_spike_has_full_support_and_sums_to_one(levels: int, ratio_index: int, zero_index: int) -> None:
    table = frequencies(TableSpec(kind="spike", levels=levels, ratio_index=ratio_index, zero_index=zero_index))
    assert table.sum() == TOTAL
    assert table.min() >= 1


def test_bits_are_those_of_the_tables_and_of_sixteen_for_each_scale() -> None:
    coding = BlockTensor(kind="nf4", block_log2=6, table=TableSpec(kind="static", levels=16, counts=(100,) + (0,) * 15))
    encoder = Encoder()
    code_tensor(encoder, "blocks", coding, (100,), np.concatenate([[5, 6], np.zeros(100)]).astype(np.int32))
    table = frequencies(coding.table)
    expected = 32 + 100 * math.log2(TOTAL / int(table[0]))
    assert encoder.account.ledger().bits == math.ceil(expected)


def test_the_whole_message_comes_back_with_kept_units_and_every_line_of_the_ledger() -> None:
    spec = chain((4, 6, 5, 2), ternary(rows=True))
    spec = spec.model_copy(update={"groups": (spec.groups[0].model_copy(update={"kept": 3}), spec.groups[1])})
    hypothesis = hypothesis_spec(spec)
    symbols = random_symbols(spec)
    message, ledger = pack(hypothesis, symbols)
    found, carried, counted = unpack(message.payload, hypothesis)
    assert (found, counted) == (hypothesis, ledger)
    assert np.array_equal(carried, symbols)
    items = [entry.item for entry in ledger.entries]
    assert items == ["zero flag", "model", "base", "preprocessing", "header", *(t.name for t in spec.tensors)]
    assert message.bits <= 8 * len(message.payload) <= message.bits + 64


def test_declared_kinds_and_kept_units_are_not_believed() -> None:
    spec = chain((4, 6, 2))
    message, _ = pack(hypothesis_spec(spec), random_symbols(spec))
    other = spec.model_copy(
        update={
            "groups": (spec.groups[0].model_copy(update={"kept": 1}),),
            "tensors": tuple(t.model_copy(update={"coding": ZeroTensor()}) for t in spec.tensors),
        }
    )
    found, _, _ = unpack(message.payload, hypothesis_spec(other))
    assert found == hypothesis_spec(spec)


def test_the_network_of_zeros_has_a_message_of_its_own() -> None:
    message, ledger = pack(hypothesis_spec(None), np.zeros(0, np.int32))
    assert unpack(message.payload, hypothesis_spec(None))[0] == hypothesis_spec(None)
    assert ledger.bits == 9


def test_masses_of_all_messages_of_a_tiny_header_sum_to_at_most_one() -> None:
    """All symbol strings under one header: the shares sum to 1, so headers decide nothing for free."""
    spec = chain((1, 1, 1), bias=False)
    frequency = [int(f) for f in frequencies(ternary().table)]
    assert (
        sum(
            Fraction(math.prod(frequency[v] for v in symbols), TOTAL**2)
            for symbols in itertools.product(range(3), repeat=2)
        )
        == 1
    )
    assert count(spec) == 2


@pytest.mark.parametrize("pattern", [0x7F80, 0x7FC0, 0x8000, 0xFFFF])
def test_scales_that_are_negative_or_not_finite_are_refused_on_both_sides(pattern: int) -> None:
    coding = BlockTensor(kind="nf4", block_log2=6, table=TableSpec(kind="static", levels=16, counts=(4,) + (0,) * 15))
    symbols = np.array([pattern, 0, 0, 0, 0], np.int32)
    with pytest.raises(MessageError, match="finite and not negative"):
        code_tensor(Encoder(), "x", coding, (4,), symbols)


@pytest.mark.parametrize("pattern", [0x7C00, 0xFE00])
def test_centroids_that_are_not_finite_are_refused(pattern: int) -> None:
    encoder = Encoder()
    for width, value in ((3, 3), (8, 0), (16, pattern), (2, 3), (3, 4)):
        encoder.integer("header", width, "why", value)
    with pytest.raises(ValueError, match="finite float16"):
        code_coding(Decoder(encoder.payload()), "header", "why", (4,), None)


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        (((3, 7),), "one of 7 ways"),
        (((3, 0), (9, 1), (2, 1), *((1, 0),) * 16, (1, 1), (16, 65535)), "reach at most"),
        (((3, 0), (9, 1), (2, 0), *((1, 0),) * 10, (1, 1), (10, 0)), "at most 1023 levels"),
        (((3, 0), (9, 1), (2, 3), (1, 1), (3, 3)), "sum to the number"),
    ],
)
def test_headers_that_overflow_or_do_not_add_up_are_refused(
    fields: tuple[tuple[int, int], ...], complaint: str
) -> None:
    encoder = Encoder()
    for width, value in fields:
        encoder.integer("header", width, "why", value)
    with pytest.raises((MessageError, CodeError), match=complaint):
        code_coding(Decoder(encoder.payload()), "header", "why", (4,), None)


def test_an_empty_tensor_has_no_alphabet_to_spend_time_on() -> None:
    encoder = Encoder()
    encoder.integer("header", 3, "why", 0)
    with pytest.raises(MessageError, match="nothing is coded"):
        code_coding(Decoder(encoder.payload()), "header", "why", (0, 4), None)


def test_a_truncated_message_is_refused() -> None:
    spec = chain((10, 20, 10))
    hypothesis = hypothesis_spec(spec)
    message, _ = pack(hypothesis, random_symbols(spec))
    with pytest.raises((MessageError, CodeError)):
        unpack(message.payload[: len(message.payload) // 2 // 4 * 4], hypothesis)


def test_symbols_that_do_not_fill_the_tensors_are_refused() -> None:
    spec = chain((4, 6, 2))
    symbols = random_symbols(spec)
    with pytest.raises(CodeError):
        pack(hypothesis_spec(spec), symbols[:-1])
    with pytest.raises(CodeError, match="the tensors hold"):
        pack(hypothesis_spec(spec), np.append(symbols, np.int32(0)).astype(np.int32))
