import math

import numpy as np
import pytest
from scipy.special import betainc

from pacbound.bounds.occam import occam_binomial, occam_kl
from pacbound.errors import BoundError
from pacbound.reports.contours import Window, draw_contours, frontier, has_frontier

N, DELTA = 2000, 0.05


def axes():  # type: ignore[no-untyped-def]
    pytest.importorskip("matplotlib", reason="the report extra is not installed")
    from matplotlib.figure import Figure

    return Figure().subplots()


def log2_tail(errors: float, n: int, risk: float) -> float:
    """log2 P[Bin(n, risk) <= errors], through the incomplete beta function, which also fills in between counts."""
    return math.log2(betainc(n - errors, errors + 1, 1 - risk))


@pytest.mark.parametrize("logarithmic", [False, True])
def test_every_point_of_a_line_has_the_bound_that_its_label_says(logarithmic: bool) -> None:
    on = axes()
    levels = draw_contours(on, Window(N, DELTA, (20, 400), (0.02, 0.2), logarithmic=logarithmic))
    assert len(levels) >= 4
    drawn = on.collections[0]
    checked = 0
    for level, path in zip(levels, drawn.get_paths(), strict=True):
        for bits, percent in path.vertices:
            budget = math.log2(DELTA) - bits  # of the tail, in bits
            assert log2_tail(percent * N / 100, N, level) == pytest.approx(budget, abs=0.02 * bits + 1)
            checked += 1
    assert checked > 100
    labelled = {text.get_text() for text in on.texts}
    assert len(on.texts) == len(labelled) >= len(levels) - 2
    assert labelled <= {f"{100 * level:g} %" for level in levels}
    for text in on.texts:
        across, up = on.transAxes.inverted().transform(on.transData.transform(text.get_position()))
        assert 0.05 < across < 0.95  # no label is cut at an edge
        assert 0.05 < up < 0.95


def test_the_bound_of_a_grid_point_is_the_theorem_s() -> None:
    found = frontier(Window(N, DELTA, (20, 400), (0.02, 0.2), "occam_kl"))
    assert (found.bits[0], found.bits[-1]) == (20, 400)
    assert (found.errors[0], found.errors[-1]) == (40, 400)
    assert found.bounds[3][5] == occam_kl(found.errors[3], N, found.bits[5], DELTA).value
    values = np.array(found.bounds)
    assert (np.diff(values, axis=0) > 0).all()
    assert (np.diff(values, axis=1) > 0).all()
    default = frontier(Window(N, DELTA, (20, 400), (0.02, 0.2)))
    assert default.bounds[3][5] == occam_binomial(found.errors[3], N, found.bits[5], DELTA).value < found.bounds[3][5]


def test_bits_of_a_logarithmic_frontier_rise_by_one_factor() -> None:
    bits = np.array(frontier(Window(N, DELTA, (16, 4096), (0.0, 0.2), logarithmic=True)).bits)
    assert np.allclose(bits[1:] / bits[:-1], (4096 / 16) ** (1 / 31))


def test_a_flat_frontier_has_no_lines_and_rates_are_no_per_cents() -> None:
    assert draw_contours(axes(), Window(3, DELTA, (0, 1), (0.0, 0.1))) == ()
    on = axes()
    draw_contours(on, Window(N, DELTA, (20, 400), (0.02, 0.2), "occam_kl"), percent=False)
    assert on.get_ylim() == (0.02, 0.2)
    assert all("%" not in text.get_text() for text in on.texts)


@pytest.mark.parametrize(
    ("bits", "errors", "theorem", "rule"),
    [
        ((20, 20), (0.0, 0.1), "occam_kl", "bits rise"),
        ((-5, 20), (0.0, 0.1), "single_draw", "bits rise"),
        ((5, 20), (0.3, 0.1), "occam_kl", "errors within"),
        ((5, 20), (0.0, 1.1), "occam_kl", "errors within"),
        ((5, 20), (0.0, 0.1), "disagreement", "function of errors and bits|bound of errors and bits"),
        ((5, 20), (0.0, 0.1), "test_set", "bound of errors and bits"),
    ],
)
def test_what_has_no_lines_is_refused(
    bits: tuple[float, float], errors: tuple[float, float], theorem: str, rule: str
) -> None:
    with pytest.raises(BoundError, match=rule):
        frontier(Window(N, DELTA, bits, errors, theorem))


def test_a_logarithmic_axis_starts_above_zero() -> None:
    with pytest.raises(BoundError, match="above 0"):
        frontier(Window(N, DELTA, (0, 20), (0.0, 0.1), logarithmic=True))


def test_lines_belong_to_theorems_of_errors_and_bits() -> None:
    names = ("occam_binomial", "single_draw", "disagreement", "picks", "test_set")
    assert [name for name in names if has_frontier(name)] == ["occam_binomial", "single_draw"]
