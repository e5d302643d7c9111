"""A difference of bounds in two parts, against the definition written out with another inversion of the tail."""

import itertools
import statistics

import pytest
from scipy.optimize import brentq
from scipy.special import bdtr

from pacbound.certificate import Certificate
from pacbound.certificate.parts import SurrogatePart
from pacbound.reports.divided import divide, formula
from tests.forge import honest


def tail_inverse(errors: int, bits: int, n: int = 60000, delta: float = 0.05) -> float:
    """sup p with P[Bin(n, p) <= errors] >= delta 2^-bits, by scipy."""
    return float(brentq(lambda p: bdtr(errors, n, p) - delta * 2.0**-bits, errors / n, 1.0, xtol=1e-13))


def shapley(start: dict[str, int], end: dict[str, int]) -> dict[str, float]:
    """What each coordinate adds, averaged over all orders of changing them."""
    added: dict[str, list[float]] = {name: [] for name in start}
    for order in itertools.permutations(start):
        now = dict(start)
        for name in order:
            before = tail_inverse(**now)
            now[name] = end[name]
            added[name].append(tail_inverse(**now) - before)
    return {name: statistics.mean(values) for name, values in added.items()}


@pytest.mark.parametrize(
    ("first", "other"),
    [
        (honest(count=64, errors=900), honest(count=100, errors=600)),
        (honest(count=64, errors=900), honest(count=64, errors=600)),
        (honest(count=100, errors=0), honest(count=64, errors=2000)),
    ],
)
def test_the_parts_are_the_average_over_both_orders_and_add_up(first: Certificate, other: Certificate) -> None:
    start, end = ({"errors": int(c.risk.errors), "bits": c.ledger.bits} for c in (first, other))
    expected, found = shapley(start, end), divide(first, other)
    assert found.by_errors == pytest.approx(expected["errors"], abs=1e-9)
    assert found.by_bits == pytest.approx(expected["bits"], abs=1e-9)
    assert found.by_errors is not None
    assert found.by_bits is not None
    assert found.by_errors + found.by_bits == pytest.approx(
        other.stated_bound.value - first.stated_bound.value, abs=1e-15
    )


def test_what_only_one_of_both_changes_is_all_of_that_one() -> None:
    found = divide(honest(count=64, errors=900), honest(count=64, errors=600))
    assert found.by_bits == 0
    found = divide(honest(count=64, errors=900), honest(count=100, errors=900))
    assert found.by_errors == 0
    assert found.by_bits is not None
    assert found.by_bits > 0


def test_turned_round_the_parts_change_sign() -> None:
    one, other = honest(count=64, errors=900), honest(count=100, errors=600)
    there, back = divide(one, other), divide(other, one)
    assert (there.by_errors, there.by_bits) == (-(back.by_errors or 0), -(back.by_bits or 0))


def test_theorems_are_not_mixed() -> None:
    found = divide(honest(), honest(errors=900.5, loss="square"))
    assert (found.by_errors, found.by_bits) == (None, None)
    assert found.why_not == "its bound is by occam_kl, not occam_binomial"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"theorem": "picks"}, "by picks its bound is one of more than errors and bits"),
        ({"value": 0.5}, "it states 0.5, where occam_binomial gives"),
    ],
)
def test_a_headline_that_is_no_function_of_errors_and_bits_says_why(change: dict[str, object], reason: str) -> None:
    odd = honest().model_copy(update={"stated_bound": honest().stated_bound.model_copy(update=change)})
    found = formula(odd)
    assert isinstance(found, str)
    assert found.startswith(reason)
    if "value" in change:
        assert divide(odd, honest()).why_not == f"of the first, {found}"
        assert divide(honest(), odd).why_not == found


def test_a_sum_of_two_bounds_is_not_divided() -> None:
    composed = honest().model_copy(update={"parts": (SurrogatePart(value=0.1, delta=0.01),)})
    assert "a sum" in divide(honest(), composed).why_not
    assert divide(composed, honest()).why_not.startswith("of the first")
