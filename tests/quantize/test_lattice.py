"""The lattice against exact fractions: what is sent is what is rebuilt."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacbound.errors import QuantizeError
from pacbound.quantize import dequantize
from pacbound.quantize.lattice import from_lattice, step_index_for, step_of, to_lattice
from pacbound.specs.specs import MAX_SYMBOL, LatticeSpec

FINITE = st.floats(-50, 50, width=32)


def test_the_step_of_an_index_is_within_half_an_ulp_of_its_power() -> None:
    for index in range(256):
        step = Fraction(step_of(LatticeSpec(step_index=index)))
        ulp = Fraction(np.spacing(float(step)).item())
        # eighth powers of rationals are compared, so that nothing is rounded
        assert (step - ulp / 2) ** 8 <= Fraction(1, 1 << index) <= (step + ulp / 2) ** 8


def test_the_index_of_a_step_is_the_nearest_in_ratio_and_inverts_step_of() -> None:
    for index in range(256):
        step = step_of(LatticeSpec(step_index=index))
        assert step_index_for(step) == index
        assert step_index_for(step * 1.04) == index  # half a step of the grid is a factor 2^(1/16) = 1.0443
        assert step_index_for(step / 1.04) == index
        if index:
            assert step_index_for(step * 1.05) == index - 1


@pytest.mark.parametrize("step", [0.0, -1.0, 2.0, 1e-12])
def test_a_step_off_the_grid_is_refused_with_its_value(step: float) -> None:
    with pytest.raises(QuantizeError, match=f"got {step}"):
        step_index_for(step)


@given(st.lists(FINITE, min_size=1, max_size=30), st.integers(0, 60))
def test_rounding_moves_each_coefficient_by_at_most_half_a_step(values: list[float], index: int) -> None:
    spec, w = LatticeSpec(step_index=index), np.array(values, np.float32)
    symbols, levels = to_lattice(w, spec)
    step = Fraction(step_of(spec))
    assert levels % 2 == 1
    assert symbols.dtype == np.int32
    assert (0, levels - 1) == (min(0, symbols.min()), max(levels - 1, symbols.max()))
    for value, symbol in zip(w, symbols, strict=True):
        centred = int(symbol) - levels // 2
        # w / step was rounded once to float64, so ties may fall either way by one part in 2^52
        assert abs(Fraction(float(value)) - centred * step) <= step / 2 * (1 + Fraction(1, 1 << 50))


@given(st.lists(st.integers(-300, 300), min_size=1, max_size=30), st.integers(0, 255))
def test_the_receiver_rebuilds_integers_times_the_step_rounded_once(integers: list[int], index: int) -> None:
    spec, half = LatticeSpec(step_index=index), max(abs(k) for k in integers)
    symbols = np.array(integers, np.int32) + half
    rebuilt = from_lattice(symbols, 2 * half + 1, spec)
    assert rebuilt.dtype == np.float32
    assert rebuilt.tolist() == [float(np.float32(k * step_of(spec))) for k in integers]
    assert dequantize(symbols, 2 * half + 1, spec).tolist() == rebuilt.tolist()
    again, levels = to_lattice(rebuilt, spec)
    assert (again.tolist(), levels) == (symbols.tolist(), 2 * half + 1)


def test_the_alphabet_is_no_larger_than_the_largest_coefficient_needs() -> None:
    symbols, levels = to_lattice(np.array([0.0, 0.25, -0.75], np.float32), LatticeSpec(step_index=16))
    assert (symbols.tolist(), levels) == ([3, 4, 0], 7)
    symbols, levels = to_lattice(np.zeros(4, np.float32), LatticeSpec(step_index=16))
    assert (symbols.tolist(), levels) == ([0, 0, 0, 0], 1)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_coefficients_that_are_not_finite_are_refused(bad: float) -> None:
    with pytest.raises(QuantizeError, match="finite"):
        to_lattice(np.array([0.0, bad], np.float32), LatticeSpec(step_index=0))


def test_the_largest_symbol_is_accepted_and_the_next_refused() -> None:
    spec = LatticeSpec(step_index=0)
    assert to_lattice(np.array([MAX_SYMBOL], np.float32), spec)[1] == 2 * MAX_SYMBOL + 1
    with pytest.raises(QuantizeError, match=str(MAX_SYMBOL + 1)):
        to_lattice(np.array([-MAX_SYMBOL - 1], np.float32), spec)
