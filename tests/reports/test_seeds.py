"""Groups of seeds and their contrasts, against scipy's t tests and numpy's moments."""

import numpy as np
import pytest
from scipy import stats

from pacbound.certificate import Certificate
from pacbound.reports.seeds import Contrast, contrast, group, seed_of, student
from tests.forge import honest
from tests.reports.picks_cases import picked

ERRORS = {"a": (900, 931, 886, 910, 905), "b": (700, 745, 690, 720, 701)}


def runs(kind: str, count: int, seeds: range = range(5)) -> dict[str, Certificate]:
    return {f"{kind}_seed_{s}.json": honest(count, seed=s, errors=ERRORS[kind][s % 5]) for s in seeds}


def bounds(certificates: dict[str, Certificate]) -> np.ndarray:
    return np.array([one.stated_bound.value for one in certificates.values()])


def contrasted(one: dict[str, Certificate], other: dict[str, Certificate]) -> Contrast:
    groups = group([*one.items(), *other.items()])
    first = next(found for found in groups if next(iter(one)) in found.runs)
    second = next(found for found in groups if next(iter(other)) in found.runs)
    assert first is not second
    return contrast(first, second, {**one, **other})


@pytest.mark.parametrize("freedom", [1, 2, 3.7, 4, 19, 200])
@pytest.mark.parametrize("covered", [0.5, 0.95, 0.999])
def test_student_is_the_quantile_of_scipy(covered: float, freedom: float) -> None:
    assert student(covered, freedom) == pytest.approx(stats.t.ppf((1 + covered) / 2, freedom), rel=1e-7)


def test_runs_that_differ_in_the_seed_alone_are_one_group_with_mean_and_deviation() -> None:
    a, b = runs("a", 64), runs("b", 100)
    low, high = group([*a.items(), *b.items()])
    assert (low.name, high.name) == ("b_seed_*.json", "a_seed_*.json")
    assert high.seeds == ("0", "1", "2", "3", "4")
    assert low.mean == pytest.approx(bounds(b).mean(), rel=1e-12)
    assert low.deviation == pytest.approx(bounds(b).std(ddof=1), rel=1e-12)


def test_equal_seeds_are_compared_pair_by_pair_as_scipy_does() -> None:
    a, b = runs("a", 64), runs("b", 100)
    found = contrasted(a, b)
    interval = stats.ttest_rel(bounds(b), bounds(a)).confidence_interval(0.95)
    gaps = bounds(b) - bounds(a)
    assert (found.paired, found.runs) == (True, 5)
    assert found.difference == pytest.approx(gaps.mean(), rel=1e-9)
    assert found.deviation == pytest.approx(gaps.std(ddof=1), rel=1e-9)
    assert (found.low, found.high) == pytest.approx(tuple(interval), rel=1e-7)
    assert found.by_errors is not None
    assert found.by_bits is not None
    assert found.by_errors + found.by_bits == pytest.approx(found.difference, abs=1e-14)


def test_only_the_seeds_of_both_are_paired() -> None:
    found = contrasted(runs("a", 64), runs("b", 100, range(2, 5)))
    assert (found.paired, found.runs) == (True, 3)
    gaps = bounds(runs("b", 100, range(2, 5))) - bounds(runs("a", 64, range(2, 5)))
    assert found.difference == pytest.approx(gaps.mean(), rel=1e-9)


def test_other_seeds_are_compared_as_independent_runs_by_welch() -> None:
    a, b = runs("a", 64), runs("b", 100, range(5, 9))
    found = contrasted(a, b)
    interval = stats.ttest_ind(bounds(b), bounds(a), equal_var=False).confidence_interval(0.95)
    assert (found.paired, found.runs) == (False, 9)
    assert found.difference == pytest.approx(bounds(b).mean() - bounds(a).mean(), rel=1e-9)
    assert found.deviation == pytest.approx(np.hypot(bounds(a).std(ddof=1), bounds(b).std(ddof=1)), rel=1e-9)
    assert (found.low, found.high) == pytest.approx(tuple(interval), rel=1e-7)
    assert found.by_errors is not None
    assert found.by_bits is not None
    assert found.by_errors + found.by_bits == pytest.approx(found.difference, abs=1e-14)


def test_a_single_run_is_taken_to_spread_as_the_group_does() -> None:
    a, b = runs("a", 64), runs("b", 100, range(1))
    spread = bounds(a).std(ddof=1)
    half = stats.t.ppf(0.975, 4) * spread * (1 / 5 + 1) ** 0.5
    for found, sign in ((contrasted(a, b), 1), (contrasted(b, a), -1)):
        assert found.deviation == pytest.approx(spread * 2**0.5, rel=1e-9)
        difference = sign * (bounds(b).mean() - bounds(a).mean())
        assert (found.low, found.high) == pytest.approx((difference - half, difference + half), rel=1e-7)


def test_single_runs_know_no_spread() -> None:
    found = contrasted(runs("a", 64, range(1)), runs("b", 100, range(1)))
    assert (found.deviation, found.low, found.verdict) == (None, None, "unknown: one run each")


@pytest.mark.parametrize(
    ("difference", "deviation", "half", "verdict"),
    [
        (0.2, 0.1, 0.1, "larger than the spread"),
        (-0.2, 0.1, 0.1, "larger than the spread"),
        (0.2, 0.1, 0.3, "larger, but of too few seeds to tell"),
        (0.05, 0.1, 0.01, "within the spread, clear on average"),
        (-0.05, 0.1, 0.2, "within the spread"),
        (0.0, 0.0, 0.0, "within the spread"),
    ],
)
def test_the_verdict_holds_the_difference_against_spread_and_interval(
    difference: float, deviation: float, half: float, verdict: str
) -> None:
    found = Contrast(
        name="x", paired=True, runs=5, difference=difference, deviation=deviation, low=difference - half,
        high=difference + half, by_errors=None, by_bits=None,
    )  # fmt: skip
    assert found.verdict == verdict


def test_a_seed_that_occurs_twice_says_that_runs_differ_in_more() -> None:
    twice = {f"rate_{k}": honest(errors=900 + k) for k in range(3)}
    groups = group(list(twice.items()))
    assert len(groups) == 3
    assert all(found.unclear and found.deviation is None for found in groups)


def test_names_tell_apart_what_certificates_cannot() -> None:
    """Two learning rates, four seeds each: the certificates are alike in all but the seed."""
    named = {f"rate_{r}/seed_{s}.json": honest(errors=900 + r, seed=s) for r in (1, 2) for s in range(4)}
    assert [found.name for found in group(list(named.items()))] == ["rate_1/seed_*.json", "rate_2/seed_*.json"]


def test_without_a_seed_in_the_name_the_certificates_own_decides() -> None:
    named = {"x.json": honest(seed=1), "y.json": honest(seed=2), "z.json": honest(seed=5)}
    (found,) = group(list(named.items()))
    assert found.name == "x.json + 2"
    assert found.seeds == ("1,3", "2,3", "3,5")  # of the projector, and of theta0
    assert seed_of("runs/seed-07/c.json", honest(seed=1)) == "7"
    assert seed_of("reseed3.json", honest(seed=1)) == "1,3"


@pytest.mark.parametrize("change", [{"layer_scale": False}, {"layout_digest": "2" * 64}, {"model": "mlp"}])
def test_a_setting_of_the_hypothesis_separates_groups(change: dict[str, object]) -> None:
    one, other = honest(seed=1), honest(seed=2)
    other = other.model_copy(update={"hypothesis": other.hypothesis.model_copy(update=change)})
    assert len(group([("seed_1", one), ("seed_2", other)])) == 2
    assert len(group([("seed_1", one), ("seed_2", honest(seed=2))])) == 1


def test_a_run_that_ended_at_its_start_belongs_to_its_group() -> None:
    """A seed at which nothing was learned would otherwise be dropped from the spread."""
    bare = {"projector": None, "quantizer": None, "code": None}
    zero = honest(seed=2, errors=50000)
    zero = zero.model_copy(update={"hypothesis": zero.hypothesis.model_copy(update=bare)})
    named = [("seed_0", honest(seed=0)), ("seed_1", honest(seed=1)), ("seed_2", zero)]
    (found,) = group(named)
    assert found.runs == ("seed_0", "seed_1", "seed_2")
    two = [*named, ("seed_7", honest(count=100, seed=7))]
    assert sorted(len(found.runs) for found in group(two)) == [1, 1, 2]


def test_picks_of_one_recipe_at_other_seeds_are_one_group_and_other_recipes_another() -> None:
    named = {f"p{seed}.json": picked(seed=seed, errors=600 + seed) for seed in range(3)}
    (found,) = group(list(named.items()))
    assert found.seeds == ("0,3", "1,3", "2,3")
    other = {**named, "far.json": picked(seed=7, growth=8)}
    assert sorted(len(found.runs) for found in group(list(other.items()))) == [1, 3]
