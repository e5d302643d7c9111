"""Curves of a selection."""

import math
from pathlib import Path

import pytest

from pacbound.bounds.preference import picks
from pacbound.errors import CertificateError, RequestError
from pacbound.reports.picks_plot import ESTIMATED, curves_of, draw_bound, draw_errors, plot_picks
from tests.forge import honest
from tests.reports.picks_cases import ROUNDS, picked


def test_points_are_those_of_the_rounds() -> None:
    certificate = picked()
    curves = curves_of(certificate)
    assert [one.picked for one in curves.points] == [0, 16, 20, 25, 31, 33]
    expected = [16 / 40 * 60_000, 4 / 100 * 59_984, 5 / 1000 * 59_980, 600, 2, 0]
    assert [one.left for one in curves.points] == pytest.approx(expected, rel=1e-12)
    assert [one.counted for one in curves.points] == [False, False, False, True, True, True]
    bits = certificate.ledger.bits
    assert curves.points[2].bound == picks(20, 300, 60_000, bits, 0.05).value  # 299.9 errors are 300
    assert curves.points[3].bound == curves.taken.bound == certificate.stated_bound.value
    assert (curves.taken.picked, curves.taken.left) == (25, 600)
    assert [one.bound is None for one in curves.points] == [False] * 6


def test_between_two_sizes_of_the_list_no_bound_is_drawn_unless_nothing_is_left() -> None:
    rounds = (*ROUNDS[:5], (33, 59_967, 1), (34, 59_966, 0))  # the list says 31, 38
    assert [one.bound is None for one in curves_of(picked(rounds=rounds)).points] == [False] * 5 + [True, False]


def test_curves_are_drawn_where_the_points_are() -> None:
    figure = pytest.importorskip("matplotlib.figure", reason="the report extra is not installed").Figure()
    above, below = figure.subplots(2, 1)
    curves = curves_of(picked())
    draw_errors(above, curves)
    draw_bound(below, curves)
    for axes, values in (
        (above, [one.left for one in curves.points]),
        (below, [100 * one.bound for one in curves.points]),
    ):
        line, estimated, counted, _, taken = axes.get_lines()
        assert list(line.get_xdata()) == [one.picked for one in curves.points]
        assert list(line.get_ydata()) == values
        assert list(estimated.get_xdata()) == [0, 16, 20]
        assert estimated.get_markerfacecolor() == "white"
        assert list(counted.get_xdata()) == [25, 31, 33]
        assert list(taken.get_xdata()) == [25]
        assert ESTIMATED in [text.get_text() for text in axes.get_legend().get_texts()]
    assert list(above.get_lines()[-1].get_ydata()) == [600]
    assert list(below.get_lines()[-1].get_ydata()) == [100 * curves.taken.bound]
    assert below.get_yscale() == "log"
    assert "%" in below.get_ylabel()


@pytest.mark.parametrize(("order", "suffix"), [("worst", "svg"), ("priority", "png"), ("priority", "pdf")])
def test_a_plot_repeats_itself_and_names_no_date(order: str, suffix: str, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="the report extra is not installed")
    for name in "ab":
        plot_picks(picked(order=order), tmp_path / f"{name}.{suffix}")
    drawn = (tmp_path / f"a.{suffix}").read_bytes()
    assert drawn == (tmp_path / f"b.{suffix}").read_bytes()
    assert b"<dc:date>" not in drawn
    assert b"CreationDate" not in drawn


@pytest.mark.parametrize("rounds", [((0, 60_000, 60_000),), ((0, 40, 40), (16, 59_984, 59_984)), ((0, 60_000, 0),)])
def test_extreme_rounds_are_drawn(rounds: tuple[tuple[int, int, int], ...], tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="the report extra is not installed")
    plot_picks(picked(stop=0, errors=0, rounds=rounds), tmp_path / "a.svg")
    assert (tmp_path / "a.svg").stat().st_size > 0


@pytest.mark.parametrize(
    "rounds",
    [
        ((16, 100, 4), (16, 100, 4)),  # nothing was picked between
        ((16, 100, 101),),
        ((16, 0, 0),),  # nobody was asked
        ((16, 59_985, 4),),  # more than there are
        ((60_001, 0, 0),),
    ],
)
def test_rounds_of_no_selection_are_refused(rounds: tuple[tuple[int, int, int], ...]) -> None:
    with pytest.raises(CertificateError, match="a round asks some of"):
        curves_of(picked(rounds=rounds))


def test_what_has_no_curves_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="picked no examples"):
        plot_picks(honest(), tmp_path / "a.svg")
    with pytest.raises(RequestError, match="no rounds"):
        plot_picks(picked(rounds=()), tmp_path / "a.svg")
    with pytest.raises(RequestError, match=r"ends in \.svg, \.png, \.pdf, got 'a\.txt'"):
        plot_picks(picked(), tmp_path / "a.txt")
    with pytest.raises(RequestError, match="a folder that exists"):
        plot_picks(picked(), tmp_path / "none" / "a.svg")
    broken = picked().model_copy(update={"digest": "0" * 64})
    with pytest.raises(CertificateError, match="does not stand: digest"):
        plot_picks(broken, tmp_path / "a.svg")
    assert list(tmp_path.iterdir()) == []


def test_no_bound_is_below_what_picks_and_errors_alone_say() -> None:
    curves = curves_of(picked())
    assert all(one.bound >= (one.picked + math.floor(one.left)) / curves.n for one in curves.points if one.bound)
