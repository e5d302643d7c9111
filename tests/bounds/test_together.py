"""Theorems on arrays: at each place the float64 of the theorem itself, which walks in balls and shares none of this."""

import numpy as np
import pytest
from flint import arb

from pacbound import bounds
from pacbound.bounds.arrays import BoundArray
from pacbound.bounds.balls import working
from pacbound.bounds.doubled import exact, log
from pacbound.bounds.preference import picks, picks_classical
from pacbound.bounds.table import THEOREMS
from pacbound.bounds.together import TOGETHER
from pacbound.errors import BoundError


@pytest.mark.parametrize("name", [*TOGETHER, "mcallester", "catoni_grid"])
@pytest.mark.parametrize("n", [25, 6_000])
def test_a_theorem_on_arrays_is_the_theorem_at_each_place(name: str, n: int) -> None:
    rng = np.random.default_rng(n)
    errors = np.append(rng.integers(0, n // 2, 24), [0, n])
    bits = np.zeros(26) if name == "test_set" else rng.integers(0, n // 2, 26) * 0.5
    found = getattr(bounds, name)(errors, n, bits, 0.05)
    assert isinstance(found, BoundArray)
    expected = [THEOREMS[name](int(k), n, float(b), 0.05).value for k, b in zip(errors, bits, strict=True)]
    assert found.value.tolist() == expected


@pytest.mark.parametrize("name", TOGETHER)
def test_pairs_decide_nearly_every_place(name: str) -> None:
    errors = np.arange(1.0, 400.0)
    bits = 0.0 * errors if name == "test_set" else errors
    assert np.isnan(TOGETHER[name]([errors, 0 * errors + 6_000, bits], 0.05)).mean() < 0.02


def test_the_logarithm_of_a_pair_is_that_of_a_ball() -> None:
    x = np.append(np.random.default_rng(0).random(300), [1.0 - 2.0**-50, 2.0**-60, 1.0, 7.0])
    found = log(exact(x))
    with working():
        for value, high, low in zip(x.tolist(), found.high.tolist(), found.low.tolist(), strict=True):
            truth = arb(value).log()
            assert abs(arb(high) + arb(low) - truth) <= (abs(truth) + (value < 0.9)) * arb(2) ** -98


def test_picks_take_arrays() -> None:
    found = bounds.picks_classical([0, 3], 1, 50, 2, 0.05)
    assert found.value.tolist() == [picks_classical(t, 1, 50, 2, 0.05).value for t in (0, 3)]
    assert bounds.picks([0, 3], 1, 50, 2, 0.05).value.tolist() == [picks(t, 1, 50, 2, 0.05).value for t in (0, 3)]


def test_a_place_outside_the_conditions_is_refused() -> None:
    with pytest.raises(BoundError, match="occam_kl: errors lies between 0 and n = 600, got 601"):
        bounds.occam_kl([12, 601], 600, 50, 0.05)


def test_an_unknown_theorem_is_named_with_the_known_ones() -> None:
    with pytest.raises(AttributeError, match=r"no theorem 'occam_chi'; it has .*occam_kl"):
        bounds.occam_chi  # noqa: B018
