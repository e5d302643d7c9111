"""The plane of errors and bits: a grid of bounds, and a drawing that repeats itself."""

from pathlib import Path

import pytest

from pacbound.bounds.table import theorem
from pacbound.errors import CertificateError
from pacbound.reports import plane
from pacbound.reports.compare import compare
from pacbound.reports.plane import draw, grid, logarithmic
from tests.forge import honest

RUNS = {f"runs/{kind}_seed_{s}.json": honest(count, seed=s, errors=errors + 9 * s) for kind, count, errors in
        (("a", 64, 900), ("b", 100, 600)) for s in range(3)} | {"runs/alone.json": honest(count=150)}  # fmt: skip


@pytest.fixture(autouse=True)
def _matplotlib() -> None:
    pytest.importorskip("matplotlib", reason="the report extra is not installed")


def test_the_grid_is_the_theorem_around_the_points() -> None:
    comparison = compare(list(RUNS.items()))
    found = grid("occam_binomial", comparison.rows, 0.05)
    assert min(found.errors) < min(row.errors for row in comparison.rows)
    assert max(found.errors) > max(row.errors for row in comparison.rows)
    assert min(found.bits) < min(row.bits for row in comparison.rows)
    assert max(found.bits) > max(row.bits for row in comparison.rows)
    for i, j in ((0, 0), (7, 30), (-1, -1)):
        value = theorem("occam_binomial")(found.errors[i], 60000, found.bits[j], 0.05).value
        assert found.bounds[i][j] == value


def test_one_run_or_none_in_error_has_a_plane_too() -> None:
    for errors in (0, 60000):
        comparison = compare([("a", honest(errors=errors))])
        found = grid("occam_binomial", comparison.rows, 0.05)
        assert 0 <= min(found.errors) <= errors <= max(found.errors) <= 60000
        assert min(found.bits) >= 0


def test_codes_of_very_different_length_are_drawn_on_a_logarithmic_axis() -> None:
    short, long = honest(count=16), honest(count=1500)
    assert logarithmic(compare([("a", short), ("b", long)]).rows)
    assert not logarithmic(compare([("a", honest(count=64)), ("b", honest(count=100))]).rows)


@pytest.fixture
def coarse(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines are drawn through few points."""
    monkeypatch.setattr(plane, "POINTS", 8)


@pytest.mark.usefixtures("coarse")
def test_the_drawing_repeats_itself_and_holds_names_groups_and_levels(tmp_path: Path) -> None:
    comparison = compare(list(RUNS.items()))
    for name in ("a.svg", "b.svg"):
        draw(comparison, RUNS, tmp_path / name)
    svg = (tmp_path / "a.svg").read_text()
    assert svg == (tmp_path / "b.svg").read_text()
    assert "<dc:date>" not in svg
    for text in (
        "a_seed_* (3 seeds)",
        "b_seed_* (3 seeds)",
        ">alone<",
        "training error in %",
        "bits of the led",
        " %<",
    ):
        assert text in svg


@pytest.mark.usefixtures("coarse")
def test_beyond_a_few_names_numbers_stand_for_places_in_the_table(tmp_path: Path) -> None:
    many = {f"run_{k}.json": honest(errors=600 + 10 * k) for k in range(20)}
    draw(compare(list(many.items())), many, tmp_path / "a.svg")
    svg = (tmp_path / "a.svg").read_text()
    assert ">20<" in svg
    assert "run_3" not in svg
    assert "numbers: place in the table" in svg


@pytest.mark.usefixtures("coarse")
def test_what_cannot_be_drawn_says_why(tmp_path: Path) -> None:
    comparison = compare(list(RUNS.items()))
    with pytest.raises(CertificateError, match=r"ends in \.svg, got 'a.png'"):
        draw(comparison, RUNS, tmp_path / "a.png")
    with pytest.raises(CertificateError, match="could not be written"):
        draw(comparison, RUNS, tmp_path / "none" / "a.svg")
    picks = honest().stated_bound.model_copy(update={"theorem": "picks"})
    other = {**RUNS, comparison.first: honest().model_copy(update={"stated_bound": picks})}
    with pytest.raises(CertificateError, match="by picks its bound is one of more"):
        draw(comparison, other, tmp_path / "a.svg")
