import math
from fractions import Fraction

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pacbound.bounds import occam, pac_bayes
from pacbound.bounds.balls import rounded_up
from pacbound.errors import BoundError

DELTA = 0.05
KIB_BITS = 8192


@pytest.mark.parametrize(
    ("name", "case", "known"),
    [
        ("pac_bayes_kl", (1200, 60_000, 5000), 0.107384917),
        ("pac_bayes_kl_xi", (1200, 60_000, 5000), 0.107376413),
        ("mcallester", (1200, 60_000, 5000), 0.190169666),
        ("rivasplata_quadratic", (1200, 60_000, 5000), 0.153220240),
        ("thiemann_lambda", (1200, 60_000, 5000), 0.153220240),
        ("tolstikhin_seldin", (1200, 60_000, 5000), 0.183962111),
        ("catoni_fixed", (1200, 60_000, 5000), 0.107765246),
        ("pac_bayes_kl", (6000, 60_000, 0), 0.105332288),
        ("pac_bayes_kl_xi", (6000, 60_000, 0), 0.105193543),
        ("pac_bayes_kl", (15_000, 50_000, 20_000), 0.665230204),
        ("rivasplata_quadratic", (15_000, 50_000, 20_000), 1.0),
        ("pac_bayes_kl", (50, 1000, 50), 0.138290776),
    ],
)
def test_known_values(name, case, known):
    assert getattr(pac_bayes, name)(*case, DELTA).value == pytest.approx(known, abs=2e-9)


def test_catoni_fixed_at_another_constant():
    assert pac_bayes.catoni_fixed(1200, 60_000, 5000, DELTA, C=1.0).value == pytest.approx(0.118429692, abs=1e-9)


# Rows of the 2022 experiments with training error below 50 %, as printed:
# (n, training error in %, message in KiB, bound in %). The decimals say how far each was rounded.
PUBLISHED = [
    (50_000, "44.71", "0.205", "55.60"),
    (50_000, "30.00", "0.378", "44.37"),
    (50_000, "18.54", "0.715", "37.06"),
    (50_000, "13.62", "1.036", "35.12"),
    (50_000, "13.624", "1.036", "35.124"),
    (50_000, "11.01", "1.393", "35.60"),
    (50_000, "45.89", "2.746", "81.29"),
    (50_000, "45.886", "2.746", "81.292"),
    (73_257, "32.02", ".37", "43.9"),
    (73_257, "17.31", ".71", "32.0"),
    (73_257, "12.57", "1.04", "29.47"),
    (73_257, "10.02", "1.39", "29.13"),
    (73_257, "10.022", "1.39", "29.126"),
    (50_000, "32.2", "1.008", "55.97"),
    (50_000, "32.16", "1.008", "55.965"),
    (60_000, "5.28", "0.608", "16.35"),
    (60_000, "4.15", "0.558", "13.977"),
]


def rounding(printed: str) -> tuple[float, float]:
    """The interval of numbers that print so."""
    half = 0.5 * 10.0 ** -len(printed.partition(".")[2])
    return float(printed) - half, float(printed) + half


@pytest.mark.parametrize(("n", "error", "kib", "published"), PUBLISHED)
def test_published_rows_lie_within_the_rounding_of_their_inputs(n, error, kib, published):
    low, high = (
        100 * pac_bayes.catoni_grid(percent / 100 * n, n, size * KIB_BITS, DELTA).value
        for percent, size in zip(rounding(error), rounding(kib), strict=True)
    )
    assert low <= rounding(published)[1]
    assert rounding(published)[0] <= high
    assert high - low < 0.5, "an interval this wide would contain anything"


@pytest.mark.parametrize(
    ("error", "kib", "catoni", "kl", "occam_kl", "binomial"),
    [(0.13624, 1.036, 0.35124, 0.35086, 0.35073, 0.35063), (0.45886, 2.746, 0.81292, 0.81276, 0.81270, 0.81266)],
)
def test_what_the_formula_is_worth_at_equal_bits(error, kib, catoni, kl, occam_kl, binomial):
    n, errors = 50_000, round(error * 50_000)
    published = {"catoni_grid": catoni, "pac_bayes_kl": kl, "occam_kl": occam_kl, "occam_binomial": binomial}
    for name, known in published.items():
        theorem = getattr(pac_bayes, name, None) or getattr(occam, name)
        low, high = (theorem(errors, n, (kib + s * 0.0005) * KIB_BITS, DELTA).value for s in (-1, 1))
        assert low - 1e-5 <= known <= high + 1e-5


@pytest.mark.parametrize(
    ("rate", "n", "bits", "truth"), [(0.798, 50_000, 5827, 0.9242), (0.78, 1_280_000, 52.8 * KIB_BITS, 0.96)]
)
def test_catoni_grid_finds_the_minimum_where_the_published_search_returned_one(rate, n, bits, truth):
    assert pac_bayes.catoni_grid(rate * n, n, bits, DELTA).value == pytest.approx(truth, abs=0.006)


def _catoni_at(lam: np.ndarray, errors: float, n: int, bits: float, delta: float) -> np.ndarray:
    alpha = 1 + 0.0001
    nats = bits * math.log(2) - math.log(delta)
    penalty = 2 * np.log(np.log(alpha**2 * lam) / math.log(alpha))
    q = errors / n + alpha / lam * (nats + penalty)
    return np.expm1(-lam / n * q) / np.expm1(-lam / n)


@pytest.mark.parametrize(
    ("errors", "n", "bits"), [(1200, 60_000, 5000), (0, 100, 3), (39_900, 50_000, 5827), (1, 2, 0), (30, 40, 0)]
)
def test_catoni_grid_is_the_outer_side_of_the_best_lambda(errors, n, bits):
    value = pac_bayes.catoni_grid(errors, n, bits, DELTA).value
    lambdas = np.exp((math.log(n) + 12) * np.arange(1, 4001) / 4000)
    best = min(1, _catoni_at(lambdas, errors, n, bits, DELTA).min())
    assert value <= best * (1 + 1e-5), "the search missed the minimum"
    assert value >= best * (1 - 1e-5), "below every lambda: not the theorem"


@pytest.mark.parametrize("n", [1, 2, 3, 10, 50, 300])
def test_log_xi_agrees_with_the_exact_sum(n):
    exact = sum(math.comb(n, k) * Fraction(k, n) ** k * Fraction(n - k, n) ** (n - k) for k in range(n + 1))
    with mpmath.workdps(40):
        truth = mpmath.log(mpmath.mpf(exact.numerator) / exact.denominator)
        assert 0 <= rounded_up(pac_bayes.log_xi(n)) - truth < 1e-14


@pytest.mark.parametrize(
    ("n", "known"), [(1, 2.0), (2, 2.5), (10, 4.660215680), (100, 13.209960631), (60_000, 307.665105)]
)
def test_xi_at_known_points(n, known):
    assert math.exp(rounded_up(pac_bayes.log_xi(n))) == pytest.approx(known, abs=6e-7)


def test_xi_never_exceeds_two_root_n_so_maurer_holds_for_every_n():
    for n in [*range(1, 200), 10**4, 10**6, 10**9]:
        assert rounded_up(pac_bayes.log_xi(n)) <= math.log(2 * math.sqrt(n)) + 1e-12


CASES = st.tuples(st.integers(2, 10**6), st.floats(0, 1), st.floats(0, 10**5), st.floats(1e-6, 0.9))


@settings(derandomize=True, deadline=None, max_examples=200)
@given(case=CASES)
def test_tighter_theorems_give_smaller_bounds(case):
    n, share, bits, delta = case
    errors = share * n
    relaxations = ("mcallester", "rivasplata_quadratic", "thiemann_lambda", "tolstikhin_seldin")
    value = {
        name: getattr(pac_bayes, name)(errors, n, bits, delta).value
        for name in ("pac_bayes_kl", "pac_bayes_kl_xi", *relaxations)
    }
    room = 1e-12
    assert value["pac_bayes_kl_xi"] <= value["pac_bayes_kl"] + room
    for looser in relaxations:
        assert value["pac_bayes_kl"] <= value[looser] + room, looser
    assert value["rivasplata_quadratic"] <= value["tolstikhin_seldin"] + room
    assert value["thiemann_lambda"] == pytest.approx(value["rivasplata_quadratic"], rel=1e-9)


FORMULAS = {
    "mcallester": lambda r, c, n: r + mpmath.sqrt(c / (2 * n)),
    "rivasplata_quadratic": lambda r, c, n: (mpmath.sqrt(r + c / (2 * n)) + mpmath.sqrt(c / (2 * n))) ** 2,
    "tolstikhin_seldin": lambda r, c, n: r + mpmath.sqrt(2 * r * c / n) + 2 * c / n,
}


@pytest.mark.parametrize("name", FORMULAS)
@pytest.mark.parametrize(("errors", "n", "bits"), [(1200, 60_000, 5000), (0, 10_000, 100), (7.25, 6000, 9.5)])
def test_closed_forms_are_outward_and_exact_to_the_last_place(name, errors, n, bits):
    value = getattr(pac_bayes, name)(errors, n, bits, DELTA).value
    with mpmath.workdps(40):
        c = bits * mpmath.log(2) + mpmath.log(2 * mpmath.sqrt(n) / mpmath.mpf(DELTA))
        truth = FORMULAS[name](mpmath.mpf(errors) / n, c, n)
        assert 0 <= value - truth < 1e-15


@pytest.mark.parametrize("name", ["pac_bayes_kl", "pac_bayes_kl_xi"])
@pytest.mark.parametrize(("errors", "n", "bits"), [(1200, 60_000, 5000), (0, 10_000, 100), (7.25, 300, 9.5)])
def test_kl_forms_are_outward_against_mpmath(name, errors, n, bits, kl_oracle):
    value = getattr(pac_bayes, name)(errors, n, bits, DELTA).value
    with mpmath.workdps(50):
        size = mpmath.mpf(n)
        xi = mpmath.exp(size) * size**-n * mpmath.gammainc(n + 1, n) if name.endswith("xi") else 2 * mpmath.sqrt(size)
        nats = (bits * mpmath.log(2) + mpmath.log(xi / mpmath.mpf(DELTA))) / n
        assert kl_oracle(mpmath.mpf(errors) / n, mpmath.mpf(value)) >= nats
        assert kl_oracle(mpmath.mpf(errors) / n, mpmath.mpf(value) * (1 - mpmath.mpf(10) ** -13)) <= nats


@pytest.mark.parametrize("constant", [0.0, -1.0, math.nan, math.inf])
def test_catoni_fixed_refuses_a_meaningless_constant(constant):
    with pytest.raises(BoundError, match=r"^catoni_fixed: C is finite"):
        pac_bayes.catoni_fixed(1, 10, 0, DELTA, C=constant)


def test_catoni_fixed_is_outward_and_exact_to_the_last_place():
    value = pac_bayes.catoni_fixed(7.25, 6000, 9.5, DELTA, C=1.7).value
    with mpmath.workdps(40):
        constant = mpmath.mpf(1.7)
        nats = 9.5 * mpmath.log(2) - mpmath.log(mpmath.mpf(DELTA))
        truth = (1 - mpmath.exp(-constant * 7.25 / 6000 - nats / 6000)) / (1 - mpmath.exp(-constant))
        assert 0 <= value - truth < 1e-15


def test_statements_say_that_the_predictor_is_randomised():
    for name in ("pac_bayes_kl", "catoni_grid", "catoni_fixed", "thiemann_lambda"):
        assert any("randomised" in line for line in getattr(pac_bayes, name)(1, 10, 0, DELTA).assumes)
