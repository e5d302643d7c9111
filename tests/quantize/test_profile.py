"""Step profiles: what the fit chooses, and what the receiver rebuilds."""

import mpmath
import numpy as np
import pytest

from pacbound.errors import QuantizeError
from pacbound.quantize import dequantize
from pacbound.quantize.profile import fit_profile, from_profile, scale_index_for
from pacbound.specs.specs import ProfileSpec

SPEC = ProfileSpec(scale_index=70, kap=44, c0=29, c1=4, c2=-3)


def _step(spec: ProfileSpec, i: int, d: int) -> float:
    """The formula at 60 digits."""
    with mpmath.workdps(60):
        t = mpmath.mpf(2 * i) / (d - 1) - 1
        u = (spec.c0 + spec.c1 * t + spec.c2 * (2 * t * t - 1)) / mpmath.mpf(8)
        return float(mpmath.mpf(2) ** (-mpmath.mpf(spec.scale_index) / 16) * spec.kap / 10 * mpmath.exp(-u / 2))


def test_coefficients_are_integers_times_the_steps_of_the_formula() -> None:
    symbols = np.array([20, 21, 18, 40, 0], np.int32)
    w = from_profile(symbols, SPEC)
    assert w.dtype == np.float32
    expected = [(int(q) - 20) * _step(SPEC, i, 5) for i, q in enumerate(symbols)]
    np.testing.assert_allclose(w, expected, rtol=1e-7)
    np.testing.assert_array_equal(dequantize(symbols, 41, SPEC), w)


def test_a_curve_of_the_format_is_recovered_exactly() -> None:
    d, s = 200, 2 ** (-70 / 16)
    precisions = np.array([(4.4 * s / _step(SPEC, i, d)) ** 2 for i in range(d)]) / s**2 * 1.0
    assert fit_profile(precisions, s, 4.4) == SPEC


def test_a_curve_beyond_the_format_is_cut_to_it() -> None:
    spec = fit_profile(np.full(50, 1e12), 0.05, 4.4)
    assert (spec.c0, spec.c1, spec.c2) == (63, 0, 0)


def test_few_coefficients_have_a_profile_too() -> None:
    for d in (1, 2, 3):
        spec = fit_profile(np.full(d, 400 * np.e), 0.0525, 4.4)
        assert len(from_profile(np.full(d, 25, np.int32), spec)) == d
        assert spec.c2 == 0


@pytest.mark.parametrize(("scale", "index"), [(1.1, 0), (400.0, 0), (0.003, 127), (1e-30, 127)])
def test_a_scale_outside_the_format_is_cut_to_it_and_its_code_stays_valid(scale: float, index: int) -> None:
    spec = fit_profile(np.full(9, 400.0), scale, 4.4)
    assert spec.scale_index == scale_index_for(scale) == index
    assert np.isfinite(from_profile(np.arange(9, dtype=np.int32), spec)).all()


@pytest.mark.parametrize("scale", [0.0, -1.0, float("nan"), float("inf")])
def test_a_scale_that_is_none_is_refused(scale: float) -> None:
    with pytest.raises(QuantizeError, match="prior's scale"):
        scale_index_for(scale)


@pytest.mark.parametrize("bad", [0.0, -1.0, float("inf"), float("nan")])
def test_precisions_that_are_none_are_refused(bad: float) -> None:
    with pytest.raises(QuantizeError, match="positive and finite"):
        fit_profile(np.array([1.0, bad]), 0.05, 4.4)
    with pytest.raises(QuantizeError, match="kap"):
        fit_profile(np.ones(2), 0.05, 7.0)
