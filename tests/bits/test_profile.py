"""The step profile's numbers against 60-digit arithmetic, its golden vectors, and its place in the message."""

import hashlib
from itertools import pairwise

import mpmath
import numpy as np
import pytest
from pydantic import ValidationError

from pacbound.bits.coder import TOTAL, Decoder, Encoder
from pacbound.bits.message import pack, unpack
from pacbound.bits.profile import code_profile_header, code_profile_symbols, profile_grid, profile_steps, profile_tables
from pacbound.errors import CodeError
from pacbound.specs.specs import (
    CodeSpec,
    LatticeSpec,
    ProfileSpec,
)
from tests.bits.stepped import stepped

SPEC = ProfileSpec(scale_index=68, kap=44, c0=29, c1=4, c2=1)
EXTREMES = (
    ProfileSpec(scale_index=0, kap=64, c0=0, c1=-16, c2=-8),
    ProfileSpec(scale_index=127, kap=1, c0=63, c1=15, c2=7),
)


def _ratio(spec: ProfileSpec, i: int, d: int) -> mpmath.mpf:
    t = mpmath.mpf(2 * i) / (d - 1) - 1
    u = (spec.c0 + spec.c1 * t + spec.c2 * (2 * t * t - 1)) / mpmath.mpf(8)
    return mpmath.mpf(spec.kap) / 10 * mpmath.exp(-u / 2)


@pytest.mark.parametrize("spec", [SPEC, *EXTREMES])
def test_steps_and_grid_are_the_floors_of_the_formula(spec: ProfileSpec) -> None:
    d = 9
    with mpmath.workdps(60):
        for i in range(d):
            r = _ratio(spec, i, d)
            s = mpmath.mpf(2) ** (-mpmath.mpf(spec.scale_index) / 16)
            tau = mpmath.sqrt(1 - min(r**2 / 12, mpmath.mpf(4) / 5))
            assert profile_steps(spec, d)[i] == max(1, int(mpmath.floor(s * r * 2**40))) / 2**40
            assert profile_grid(spec, d)[i] == max(1, int(mpmath.floor(1024 * r / tau + 0.5)))


def test_tables_are_discretised_normals_of_the_rounded_ratio() -> None:
    tables = profile_tables(SPEC, 5)
    assert tables.shape == (5, 41)
    assert (tables.sum(1) == TOTAL).all()
    assert tables.min() == 1
    with mpmath.workdps(60):
        for row, g in zip(tables, profile_grid(SPEC, 5), strict=True):
            edges = [mpmath.ncdf((2 * q + 1) * mpmath.mpf(g) / 2048) for q in range(-21, 21)]
            mass = [high - low for low, high in pairwise(edges)]
            expected = [1 + int(mpmath.floor((TOTAL - 41) * m / sum(mass))) for m in mass]
            expected[20] += TOTAL - sum(expected)
            assert row.tolist() == expected


def test_golden_vectors_of_the_format() -> None:
    assert profile_grid(SPEC, 5) == GOLDEN_GRID
    assert [int(step * 2**40) for step in profile_steps(SPEC, 5)] == GOLDEN_STEPS
    content = np.concatenate([profile_tables(spec, 64) for spec in (SPEC, *EXTREMES)]).astype("<i8").tobytes()
    assert hashlib.sha256(content).hexdigest() == GOLDEN_TABLES


def test_the_scale_changes_steps_and_leaves_the_symbol_model_alone() -> None:
    other = SPEC.model_copy(update={"scale_index": 84})
    assert profile_grid(other, 50) == profile_grid(SPEC, 50)
    np.testing.assert_allclose(profile_steps(SPEC, 50) / profile_steps(other, 50), 2.0, rtol=1e-9)


@pytest.mark.parametrize("kap", range(1, 65))
def test_no_width_falls_on_a_boundary_even_where_the_exponent_is_zero(kap: int) -> None:
    spec = ProfileSpec(scale_index=16, kap=kap, c0=0, c1=0, c2=0)
    assert len(set(profile_grid(spec, 3))) == 1
    assert profile_steps(spec, 3)[0] == pytest.approx(kap / 20, abs=2.0**-40)


@pytest.mark.parametrize("spec", [SPEC, *EXTREMES])
def test_header_and_symbols_come_back(spec: ProfileSpec) -> None:
    encoder = Encoder()
    code_profile_header(encoder, spec)
    symbols = np.array([20, 0, 40, 21, 19, 20], np.int32)
    code_profile_symbols(encoder, spec, 6, symbols)
    decoder = Decoder(encoder.payload())
    assert code_profile_header(decoder, None) == spec
    np.testing.assert_array_equal(code_profile_symbols(decoder, spec, 6), symbols)
    table = profile_tables(spec, 6)
    nats = -np.log(table[np.arange(6), symbols] / TOTAL).sum()
    counted = {entry.item: entry.bits for entry in encoder.account.ledger().entries}
    assert counted["symbols"] == int(np.ceil(nats / np.log(2)))


def test_a_message_carries_a_profile_in_either_direction() -> None:
    spec, symbols = stepped(SPEC), np.array([20, 21, 19, 20, 23, 18, 20, 20], np.int32)
    message, ledger = pack(spec, symbols)
    decoded, carried, received = unpack(message.payload, spec)
    assert decoded == spec
    assert received == ledger
    np.testing.assert_array_equal(carried, symbols)


@pytest.mark.parametrize(
    "fields",
    [
        {"code": CodeSpec(kind="gaussian", levels=41)},
        {"quantizer": LatticeSpec(step_index=40)},
        {"code": CodeSpec(kind="profile", levels=39)},
        {"code": CodeSpec(kind="profile", levels=41, ratio_index=3)},
    ],
)
def test_profile_quantizer_and_code_go_together_or_not_at_all(fields: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match="profile"):
        stepped(SPEC, **fields)


def test_a_profile_for_more_coefficients_than_a_message_carries_is_refused_before_it_is_made() -> None:
    with pytest.raises(CodeError, match="1 to"):
        profile_tables(SPEC, 1 << 30)


GOLDEN_GRID = (916, 886, 803, 682, 544)
GOLDEN_STEPS = [50066414247, 48526032620, 44183455497, 37792112203, 30366815263]
GOLDEN_TABLES = "ed522c37ffd8986af1526841a5a286b3294bc264b31ba7cc1e5d4b6bd2cb1eaf"
