"""Dependent quantization: states against their table, masses against 60-digit arithmetic, golden vectors."""

import hashlib
import itertools

import mpmath
import numpy as np
import pytest

from pacbound.bits.coder import TOTAL, Decoder, Encoder
from pacbound.bits.message import pack, unpack
from pacbound.bits.profile import code_profile_header, profile_grid, profile_steps, profile_tables
from pacbound.bits.trellis import code_trellis_header, code_trellis_symbols, halves, state_after, trellis_tables
from pacbound.errors import CodeError
from pacbound.quantize import dequantize
from pacbound.specs.specs import ProfileSpec, TrellisSpec
from tests.bits.stepped import stepped

CURVE = {"kap": 44, "c0": 29, "c1": 4, "c2": 1}
SPEC = TrellisSpec(scale_index=68, **CURVE)
EXTREMES = (
    TrellisSpec(scale_index=-128, kap=64, c0=0, c1=-16, c2=-8),
    TrellisSpec(scale_index=255, kap=1, c0=63, c1=15, c2=7),
)
FOLLOWS = {(0, 0): 0, (0, 1): 2, (1, 0): 2, (1, 1): 0, (2, 0): 1, (2, 1): 3, (3, 0): 3, (3, 1): 1}
SYMBOLS = np.array([20, 21, 19, 20, 23, 18, 0, 40], np.int32)


def _states(integers: tuple[int, ...], state: int) -> list[int]:
    states = [state]
    for k in integers:
        states.append(FOLLOWS[states[-1], abs(k) % 2])
    return states


@pytest.mark.parametrize("state", range(4))
def test_halves_and_the_last_state_are_those_of_the_table(state: int) -> None:
    for integers in itertools.product((-2, -1, 0, 1), repeat=5):
        states = _states(integers, state)
        assert halves(np.array(integers), state).tolist() == [s // 2 for s in states[:-1]]
        if state == 0:
            assert state_after(np.array(integers)) == states[-1]


def test_the_parity_of_a_half_integer_point_is_that_of_its_number_of_halves() -> None:
    for k in range(-20, 21):
        assert ((2 * k + 1) % 4 == 3) == (k & 1 == 1)


@pytest.mark.parametrize("spec", [SPEC, *EXTREMES])
def test_a_symbol_has_the_mass_between_the_midpoints_of_its_lattice(spec: TrellisSpec) -> None:
    d = 4
    tables = trellis_tables(spec, d)
    assert tables.shape == (2, d, 41)
    assert (tables.sum(-1) == TOTAL).all()
    assert tables.min() >= 1
    np.testing.assert_array_equal(tables[0], profile_tables(spec, d))
    with mpmath.workdps(60):
        for row, g in zip(tables[1], profile_grid(spec, d), strict=True):
            edges = [mpmath.mpf(k) * g / 1024 for k in range(-20, 22)]  # points at (k + 1/2) step, midpoints at k step
            mass = [_mass(low, high) for low, high in itertools.pairwise(edges)]
            expected = [1 + int(mpmath.floor((TOTAL - 41) * m / sum(mass))) for m in mass]
            expected[20] += TOTAL - sum(expected)
            assert row.tolist() == expected


def _mass(low: mpmath.mpf, high: mpmath.mpf) -> mpmath.mpf:
    """Of a standard normal; by its lower tail on either side of 0, where nothing cancels."""
    return mpmath.ncdf(high) - mpmath.ncdf(low) if low < 0 else mpmath.ncdf(-low) - mpmath.ncdf(-high)


@pytest.mark.parametrize("scale_index", [-128, -16, 0, 16, 240])
def test_no_step_falls_on_a_boundary_at_any_scale(scale_index: int) -> None:
    for kap in (1, 10, 20, 40, 64):
        spec = TrellisSpec(scale_index=scale_index, kap=kap, c0=0, c1=0, c2=0)
        assert profile_steps(spec, 3)[0] == pytest.approx(kap / 10 * 2.0 ** (-scale_index / 16), rel=1e-6)


def test_coefficients_are_multiples_of_the_step_or_of_the_step_and_a_half() -> None:
    w = dequantize(SYMBOLS, 41, SPEC)
    states, steps = _states(tuple(SYMBOLS - 20), 0), profile_steps(SPEC, len(SYMBOLS))
    expected = [
        (q - 20 + (0.5 if s in (2, 3) else 0)) * step for q, s, step in zip(SYMBOLS, states, steps, strict=False)
    ]
    assert w.dtype == np.float32
    np.testing.assert_array_equal(w, np.array(expected).astype(np.float32))
    assert {s // 2 for s in states} == {0, 1}


def test_golden_vectors_of_the_format() -> None:
    content = np.concatenate([trellis_tables(spec, 64) for spec in (SPEC, *EXTREMES)]).astype("<i8").tobytes()
    assert hashlib.sha256(content).hexdigest() == GOLDEN_TABLES
    message, _ = pack(stepped(SPEC), SYMBOLS)
    assert message.payload.hex() == GOLDEN_PAYLOAD
    assert [w.hex() for w in dequantize(SYMBOLS, 41, SPEC).astype(float).tolist()] == GOLDEN_COEFFICIENTS


@pytest.mark.parametrize("spec", [SPEC, *EXTREMES])
def test_header_and_symbols_come_back_at_the_price_of_their_tables(spec: TrellisSpec) -> None:
    encoder = Encoder()
    code_trellis_header(encoder, spec)
    code_trellis_symbols(encoder, spec, len(SYMBOLS), SYMBOLS)
    decoder = Decoder(encoder.payload())
    assert code_trellis_header(decoder, None) == spec
    np.testing.assert_array_equal(code_trellis_symbols(decoder, spec, len(SYMBOLS)), SYMBOLS)
    tables = trellis_tables(spec, len(SYMBOLS))
    used = [tables[s // 2, i, SYMBOLS[i]] for i, s in enumerate(_states(tuple(SYMBOLS - 20), 0)[:-1])]
    counted = {entry.item: entry.bits for entry in encoder.account.ledger().entries}
    assert counted["symbols"] == int(np.ceil(-np.log2(np.array(used) / TOTAL).sum()))


def test_usual_scales_cost_less_than_in_a_profile_and_rare_ones_little_more() -> None:
    def bits(scale_index: int, trellis: bool) -> int:
        encoder = Encoder()
        if trellis:
            code_trellis_header(encoder, TrellisSpec(scale_index=scale_index, kap=44, c0=29, c1=6, c2=2))
        else:
            code_profile_header(encoder, ProfileSpec(scale_index=scale_index, kap=44, c0=29, c1=3, c2=1))
        return encoder.account.ledger().bits

    saved = [bits(index, trellis=False) - bits(index, trellis=True) for index in range(128)]
    assert saved[48:64] == [2] * 16
    assert saved[32:48] == saved[64:80] == [0] * 16
    assert min(saved) == -4


def test_a_message_carries_a_trellis_in_either_direction() -> None:
    spec = stepped(SPEC)
    message, ledger = pack(spec, SYMBOLS)
    decoded, carried, received = unpack(message.payload, spec)
    assert decoded == spec
    assert received == ledger
    np.testing.assert_array_equal(carried, SYMBOLS)
    bits = {entry.item: entry.bits for entry in ledger.entries}
    assert bits["quantizer"] == 5 + (3 + 4) + 6 + 1 + 5 + 3  # name, octave and its part, c0, kap, c1, c2


def test_a_trellis_of_more_coefficients_than_can_be_decoded_soon_is_refused_before_it_is_made() -> None:
    with pytest.raises(CodeError, match="1 to 65536 coefficients, got 65537"):
        trellis_tables(SPEC, (1 << 16) + 1)


GOLDEN_TABLES = "2670007bbc6460111640b8ad3d4f3661655312594b8870b0d7d0aed995033ad3"
GOLDEN_PAYLOAD = "566469025121d46a26e020594142abe1376b0717"
GOLDEN_COEFFICIENTS = [
    "0x0.0p+0",
    "0x1.713ca20000000p-5",
    "-0x1.661adc0000000p-6",
    "0x1.544ae40000000p-6",
    "0x1.153ac00000000p-3",
    "-0x1.2108680000000p-4",
    "-0x1.3adb9a0000000p-1",
    "0x1.1ad0220000000p-1",
]
