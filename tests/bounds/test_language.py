"""Bounds on a mean loss: worked figures, published figures from their inputs, mpmath formulas, what applies where."""

import inspect
import math

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pacbound.bounds.language import CATONI_RATES, LOSS_THEOREMS, loss_bounds, positions, stream, stream_catoni
from pacbound.bounds.losses import LAMBDAS, LossSums, loss_sums
from pacbound.bounds.subsampled import subsampled_bounds, subsampled_hoeffding, subsampled_kl
from pacbound.errors import BoundError

HIT, MISS = -math.log2(0.75), 2.0
CONSTANT = ("positions", "documents")
ONE_CEILING = ("stream_catoni", "units_kl", "stream_hoeffding")


def coin(hits: int, n: int = 1000) -> np.ndarray:
    """Losses of a network that says .75, in bits."""
    return np.repeat([HIT, MISS], [hits, n - hits])


@pytest.mark.parametrize(
    ("centre", "rate", "figure"),
    [(0.811278124, 0.1, 1.319084917), (0.811278124, 0.2, 1.279271863), (1.20751875, 0.2, 1.259510791)],
)
def test_a_fair_coin_against_three_quarters(centre, rate, figure):
    made = stream(loss_sums(coin(560), centre, MISS, lambdas=(rate,)), 20, 0.05)
    assert made.value == pytest.approx(figure, abs=6e-10)
    assert made.rate == rate


def test_a_bad_centre_loses_to_catoni_and_one_near_the_mean_does_not():
    x = np.repeat([0.0, 1.0], 500)

    def best(c: float) -> float:  # each lambda on a menu of its own, so that ln J is 0
        return min(stream(loss_sums(x, c, 1.0, lambdas=(rate,)), 0, 0.05).value for rate in LAMBDAS)

    menu = min((1 - math.exp(-rate / 2 - math.log(20) / 1000)) / (1 - math.exp(-rate)) for rate in CATONI_RATES)
    assert best(0.0) == pytest.approx(0.5567, abs=1e-4)
    assert best(0.5) == pytest.approx(0.5388, abs=1e-4)
    assert menu == pytest.approx(0.5386, abs=1e-4)  # Catoni's form before ln 64
    assert menu < stream_catoni(loss_sums(x, 0.5, 1.0), 0, 0.05).value < stream(loss_sums(x, 0.0, 1.0), 0, 0.05).value


@pytest.mark.parametrize(("n", "bits", "delta"), [(40, 0, 0.05), (300, 12, 0.01), (300, 900, 0.5)])
def test_every_form_is_its_formula_in_mpmath(n, bits, delta):
    rng = np.random.default_rng(n)
    x, c, top, low = rng.uniform(0.5, 6, n), 2.0, 6.5, 0.25
    made = {one.theorem: one.value for one in loss_bounds(loss_sums(x, c, top, lowest=low), bits, delta)}
    with mpmath.workdps(40):
        nats = bits * mpmath.log(2) - mpmath.log(mpmath.mpf(delta))
        mean, width = mpmath.fsum(x.tolist()) / n, mpmath.mpf(top) - low
        betting = min(
            c
            + mpmath.fsum(-mpmath.log(1 - rate * (mpmath.mpf(v) - c)) for v in x.tolist()) / rate / n
            + (nats + mpmath.log(37)) / (mpmath.mpf(rate) * n)
            for rate in map(mpmath.mpf, LAMBDAS)
            if rate * (top - c) < 1
        )
        share = (mean - low) / width
        catoni = min(
            (1 - mpmath.exp(-rate * share - (nats + mpmath.log(64)) / n)) / (1 - mpmath.exp(-rate))
            for rate in map(mpmath.mpf, CATONI_RATES)
        )
        truth = {
            "stream": betting,
            "positions": betting,
            "documents": betting,
            "stream_catoni": low + width * catoni,
            "units_kl": low + width * kl_end(share, nats / n),
            "stream_hoeffding": mean + width * mpmath.sqrt(nats / (2 * n)),
        }
        assert set(made) == set(truth) == set(LOSS_THEOREMS)
        for name, value in made.items():
            expected = min(truth[name], top)
            assert expected * (1 - mpmath.mpf(10) ** -25) <= value <= expected * (1 + mpmath.mpf(10) ** -11), name


def kl_end(q: mpmath.mpf, nats: mpmath.mpf) -> mpmath.mpf:
    """sup { p : kl(q || p) <= nats }, by bisection."""
    low, high = q, mpmath.mpf(1)
    for _ in range(110):
        p = (low + high) / 2
        gap = q * mpmath.log(q / p) + (1 - q) * mpmath.log((1 - q) / (1 - p)) - nats
        low, high = (p, high) if gap <= 0 else (low, p)
    return high


def vocabulary(size: int, alpha: float) -> tuple[float, float]:
    """Smallest and largest smoothed loss in bits."""
    return -math.log2(1 - alpha + alpha / size), math.log2(size / alpha)


@pytest.mark.parametrize(
    ("size", "mean", "bits", "units", "share", "hoeffding", "kl"),
    [
        (50_257, 10.6, 16 * 8192, 8_009_762, 0.1, 12.245, 12.206),  # SubLoRA, 16 KB, OpenWebText
        (50_257, 10.6, 64 * 8192, 8_009_762, 0.1, 13.660, 13.497),  # SubLoRA, 64 KB
        (32_000, 2.87, 15_200_000_000, 1_200_000_000_000, 0.5, 4.294, 3.999),  # LLaMA2-7B at 2 bits, 1.9 GB
    ],
)
def test_published_figures_from_their_inputs(size, mean, bits, units, share, hoeffding, kl):
    low, top = vocabulary(size, 0.1)
    sums = loss_sums(np.full(10_000, mean), mean, top, lowest=low)
    made = subsampled_hoeffding(sums, units, bits, 0, 0.05)
    assert made.value == pytest.approx(hoeffding, abs=5.1e-4)
    assert subsampled_kl(sums, units, bits, 0, 0.05, share).value == pytest.approx(kl, abs=5.1e-4)


def test_published_complexity_terms_of_the_same_form():
    low, top = vocabulary(50_257, 0.1)
    sums = loss_sums(np.full(10_000, 10.0), 10.0, top, lowest=low)
    gap = [subsampled_hoeffding(sums, 8_009_762, kilo * 8192, 0, 0.05).value - 10 for kilo in (0, 1, 16)]
    drawn = (top - low) * math.sqrt(math.log(1 / ((1 - 10_000 / 8_019_762) * 0.05)) / 20_000)
    assert drawn == pytest.approx(0.230, abs=5e-4)
    assert gap[1] - drawn == pytest.approx(0.355, abs=1e-3)
    assert gap[2] - drawn == pytest.approx(1.415, abs=1e-3)


def test_choices_that_looked_at_the_subsample_are_paid_in_both_terms():
    sums = loss_sums(np.full(500, 3.0), 3.0, 8.0)
    for form in (subsampled_hoeffding, subsampled_kl):
        free, paid = form(sums, 10_000, 40, 0, 0.05).value, form(sums, 10_000, 40, 6, 0.05).value
        with mpmath.workdps(30):
            r = mpmath.mpf(500) / 10_500
            terms = [mpmath.sqrt((6 * b * mpmath.log(2) - mpmath.log((1 - r) * 0.05)) / 1000) for b in (0, 1)]
        if form is subsampled_hoeffding:
            assert paid - free == pytest.approx(float(8 * (terms[1] - terms[0])), rel=1e-9)
        assert paid > free
        with pytest.raises(BoundError, match=r"choice_bits = 41"):
            form(sums, 10_000, 40, 41, 0.05)
        with pytest.raises(BoundError, match=r"n counts"):
            form(sums, 0, 40, 4, 0.05)
    for share in (0.0, 1.0):
        with pytest.raises(BoundError, match="code_share"):
            subsampled_kl(sums, 10_000, 40, 0, 0.05, share)


def test_what_applies_depends_on_what_is_constant():
    x = coin(3, 5)
    names = [one.theorem for one in loss_bounds(loss_sums(x, 1.0, 2.0), 3, 0.05)]
    assert names == list(LOSS_THEOREMS)
    moving = loss_sums(x, [1.0, 1.1, 1.2, 1.0, 1.0], 2.0)
    assert {one.theorem for one in loss_bounds(moving, 3, 0.05)} == {"stream", *ONE_CEILING}
    both = loss_sums(x, [1.0, 1.1, 1.2, 1.0, 1.0], [2.0, 2.1, 2.0, 2.0, 2.0])
    assert [one.theorem for one in loss_bounds(both, 3, 0.05)] == ["stream"]
    for name in CONSTANT:
        with pytest.raises(BoundError, match=rf"^{name}: has one centre"):
            LOSS_THEOREMS[name](moving, 3, 0.05)
    for name in ONE_CEILING:
        with pytest.raises(BoundError, match=rf"^{name}: the range"):
            LOSS_THEOREMS[name](both, 3, 0.05)
    drawn = [one.theorem for one in subsampled_bounds(loss_sums(x, 1.0, 2.0), 50, 3, 0, 0.05)]
    assert drawn == ["positions", "subsampled_kl", "subsampled_hoeffding"]
    assert len(subsampled_bounds(moving, 50, 3, 0, 0.05)) == 2
    with pytest.raises(BoundError, match="ceilings M vary"):
        subsampled_bounds(both, 50, 3, 0, 0.05)


def test_each_says_what_it_is_about_and_what_not():
    x = coin(3, 5)
    made = (*loss_bounds(loss_sums(x, 1.0, 2.0), 3, 0.05), *subsampled_bounds(loss_sums(x, 1.0, 2.0), 50, 3, 0, 0.05))
    about = {one.theorem: one.about for one in made}
    for name in ("stream", "stream_catoni", "stream_hoeffding"):
        assert "drawn again after the same past; not the loss on new text" in about[name]
    assert "frozen corpus" in about["positions"]
    assert "new document" in about["documents"]
    for one in made:
        function = {**LOSS_THEOREMS, "subsampled_kl": subsampled_kl, "subsampled_hoeffding": subsampled_hoeffding}
        assert function[one.theorem].__name__ == one.theorem
        for word in ("Reference:", "Assumes:", "Rounds:", "Raises:"):
            assert word in inspect.getdoc(function[one.theorem])
        assert one.reference
        assert any("predictor" in line for line in one.assumes)
        tokens_excluded = any("never the tokens" in line for line in one.assumes)
        assert tokens_excluded == (one.theorem in ("documents", "units_kl", "subsampled_kl"))


@settings(derandomize=True, deadline=None, max_examples=40)
@given(
    n=st.integers(1, 200), seed=st.integers(0, 99), bits=st.integers(0, 3000), delta=st.floats(1e-9, 0.999),
    centre=st.floats(0, 6),
)  # fmt: skip
def test_between_mean_and_ceiling_and_monotone(n, seed, bits, delta, centre):
    x = np.random.default_rng(seed).uniform(0, 6, n)
    sums, larger = loss_sums(x, centre, 6.5), loss_sums(np.minimum(x + 0.1, 6.5), centre, 6.5)

    def values(of: LossSums, bits: float, delta: float) -> dict[str, float]:
        made = (*loss_bounds(of, bits, delta), *subsampled_bounds(of, 1000, bits, 0, delta))
        return {one.theorem: one.value for one in made}

    base = values(sums, bits, delta)
    for worse in (values(larger, bits, delta), values(sums, bits + 1, delta), values(sums, bits, delta / 2)):
        for name, value in base.items():
            assert math.fsum(x) / n - 1e-12 <= value <= 6.5 * (1 + 1e-12)
            assert worse[name] >= value - 1e-9


def test_where_no_lambda_is_allowed_the_ceiling_is_left():
    sums = loss_sums([1.0, 2.0], 0.0, [3000.0, 1000.0])
    made = stream(sums, 0, 0.05)
    assert set(sums.log_sums) == {None}
    assert made.rate is None
    assert 2000.0 <= made.value <= 2000.0 * (1 + 1e-12)


def test_losses_that_are_all_the_same_at_both_ends_of_their_range():
    for made in loss_bounds(loss_sums([2.0] * 9, 2.0, 2.0, lowest=2.0), 5, 0.05):
        assert 2.0 <= made.value <= 2.0 + 1e-14


def test_differences_of_two_losses_may_be_negative():
    rng = np.random.default_rng(1)
    made = stream(loss_sums(rng.uniform(-0.1, 0.11, 5000), 0.0, 4.0, lowest=-4.0), 0, 0.05)
    assert 0.0 < made.value < 0.05


@pytest.mark.parametrize("name", list(LOSS_THEOREMS))
@pytest.mark.parametrize(("bits", "delta", "word"), [(-1, 0.05, "bits"), (math.nan, 0.05, "bits"), (1, 0.0, "delta")])
def test_what_lies_outside_the_conditions_is_refused(name, bits, delta, word):
    with pytest.raises(BoundError, match=rf"^{name}: {word}"):
        LOSS_THEOREMS[name](loss_sums([1.0], 1.0, 2.0), bits, delta)


def test_positions_is_stream_with_another_sentence():
    sums = loss_sums(coin(560), 0.8, MISS)
    assert positions(sums, 20, 0.05).value == stream(sums, 20, 0.05).value
