"""Every weight in the message: what each field costs by hand, what comes back, and what is refused."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mpmath import mp, mpf, quad
from pydantic import ValidationError

from pacbound.bits.coder import Encoder
from pacbound.bits.message import pack, unpack
from pacbound.bits.weights import fit_tables, weight_bits
from pacbound.errors import CodeError, MessageError
from pacbound.specs.specs import BaseOrigin, HypothesisSpec, TensorLattice, TensorsSpec, every_weight

GOLDEN = bytes.fromhex("45068273943aa1d1")
SPEC = TensorsSpec(
    lattices=(
        TensorLattice(size=4, step_index=40, ratio_index=70), TensorLattice(size=2),
        TensorLattice(size=3, step_index=38, ratio_index=70),
    )
)  # fmt: skip
SYMBOLS = np.array([20, 21, 20, 18, 20, 20, 20, 20, 19], np.int32)


def hypothesis(spec: TensorsSpec, scaled: bool = True) -> HypothesisSpec:
    return HypothesisSpec(
        model="user", layout_digest="ab" * 32, base=BaseOrigin(), projector=every_weight(spec.parameters),
        layer_scale=scaled, quantizer=spec,
    )  # fmt: skip


def gamma(value: int) -> int:
    return 2 * int(math.log2(value + 1)) + 1


def near(usual: int, value: int) -> int:
    """0, +1, -1, +2, ... in the place of 0, 1, 2, 3, ..."""
    return gamma(2 * (value - usual) - 1 if value > usual else 2 * (usual - value))


@st.composite
def lattices(draw: st.DrawFn) -> tuple[TensorsSpec, np.ndarray]:
    made, symbols = [], []
    for _ in range(draw(st.integers(1, 5))):
        size, zero = draw(st.integers(1, 9)), draw(st.booleans())
        step, ratio = draw(st.integers(0, 255)), draw(st.integers(0, 127))
        made.append(TensorLattice(size=size) if zero else TensorLattice(size=size, step_index=step, ratio_index=ratio))
        symbols += [20] * size if zero else draw(st.lists(st.integers(0, 40), min_size=size, max_size=size))
    return TensorsSpec(table=draw(st.sampled_from(["laplace", "gaussian"])), lattices=tuple(made)), np.array(
        symbols, np.int32
    )


@given(lattices(), st.booleans())
@settings(max_examples=40, deadline=None)
def test_a_receiver_rebuilds_every_weight_and_its_ledger(packed: tuple[TensorsSpec, np.ndarray], scaled: bool) -> None:
    quantizer, symbols = packed
    spec = hypothesis(quantizer, scaled)
    message, ledger = pack(spec, symbols)
    decoded, received, recounted = unpack(message.payload, spec)
    assert decoded == spec
    assert np.array_equal(received, symbols)
    assert recounted == ledger
    charged = {entry.item: entry.bits for entry in ledger.entries}
    charged.pop("symbols", None)
    step, ratio, header = 24 + 4 * int(math.log2(len(symbols))), 64, 1
    for lattice in quantizer.lattices:
        header += 1
        if lattice.step_index is not None:
            header += near(step, lattice.step_index) + near(ratio, lattice.ratio_index)
            step, ratio = lattice.step_index, lattice.ratio_index
    # no word for the projector: d = 0 says it, in a flag and one bit
    expected = {"zero flag": 1, "model": 1, "base": 2, "preprocessing": 2, "layer scale": 1, "dimension": 2}
    assert charged == {**expected, "quantizer": header}


def test_symbols_cost_the_mass_of_their_cells_and_those_of_zeros_nothing() -> None:
    ledger = pack(hypothesis(SPEC), SYMBOLS)[1]
    found = {entry.item: entry.bits for entry in ledger.entries}["symbols"]
    with mp.workprec(80):
        scale = mpf(2) ** (mpf(64 - 70) / 8)  # in steps

        def mass(q: int) -> mpf:
            return quad(lambda u: mp.exp(-abs(u) / scale) / (2 * scale), [q - 0.5, q, q + 0.5])

        bits = -sum(mp.log(mass(q), 2) for q in (0, 1, 0, -2, 0, 0, -1))
    assert found == math.ceil(bits)


def test_the_message_is_the_same_for_ever() -> None:
    assert pack(hypothesis(SPEC), SYMBOLS)[0].payload == GOLDEN


def test_a_symbol_in_a_tensor_of_zeros_is_refused() -> None:
    wrong = SYMBOLS.copy()
    wrong[5] = 21
    with pytest.raises(CodeError, match="rebuild another hypothesis"):
        pack(hypothesis(SPEC), wrong)


@pytest.mark.parametrize("step", [-1, 256])
def test_a_step_outside_the_grid_is_refused_when_it_is_read(step: int) -> None:
    encoder = Encoder()
    for width, value in ((1, 0), (1, 1)):  # w is not 0; a network of the user's
        encoder.integer("forged", width, "", value)
    for value in (0, 0):  # a base drawn from seed 0
        encoder.gamma("forged", "", value)
    for width, value in ((2, 0), (1, 1), (1, 1)):  # no preprocessing; scaled; no power of two
        encoder.integer("forged", width, "", value)
    encoder.gamma("forged", "", 0)  # every weight
    encoder.integer("forged", 1, "", 0)  # laplace
    encoder.integer("forged", 1, "", 0)  # a tensor that is not 0
    distance = step - (24 + 4 * 3)
    encoder.gamma("forged", "", 2 * distance - 1 if distance > 0 else -2 * distance)
    encoder.gamma("forged", "", 0)
    with pytest.raises(MessageError, match="invalid header"):
        unpack(encoder.payload(), hypothesis(SPEC))


def test_lattices_take_the_whole_space_and_no_other_code() -> None:
    good = hypothesis(SPEC).model_dump()
    for change in (
        {"projector": {"kind": "identity", "D": 9, "d": 9, "seed": 1, "parts": ()}},
        {"projector": {"kind": "identity", "D": 8, "d": 8, "seed": 0, "parts": ()}},
        {"projector": None},
        {"code": {"kind": "laplace", "levels": 41}},
    ):
        with pytest.raises(ValidationError):
            HypothesisSpec.model_validate({**good, **change})
    with pytest.raises(ValidationError):
        TensorLattice(size=3, ratio_index=70)


def test_the_fitted_tables_are_the_cheapest_for_their_symbols() -> None:
    random = np.random.default_rng(0)
    values = [np.rint(random.laplace(0, 2, 200)).clip(-20, 20).astype(np.int64), np.zeros(5, np.int64)]
    spec = fit_tables(values, [30, 30])
    symbols = np.concatenate(values).astype(np.int32) + 20
    assert spec.lattices[1].step_index is None
    for ratio in range(30, 100, 3):
        for table in ("laplace", "gaussian"):
            other = TensorLattice(size=200, step_index=30, ratio_index=ratio)
            rival = TensorsSpec.model_validate({"table": table, "lattices": (other, spec.lattices[1])})
            assert weight_bits(spec, symbols) <= weight_bits(rival, symbols)
