"""What a comparison prints, in five formats."""

import csv
import functools
import io
import json

import pytest

from pacbound.bounds.claims import Measure
from pacbound.certificate import Certificate
from pacbound.certificate.statement import percent_up
from pacbound.reports.beside import DIVIDED, FORMATS, NO_REPEATS, SHARED, render
from pacbound.reports.compare import Comparison, compare
from tests.forge import digest_of, honest
from tests.reports.test_compare import at_delta, forged

PEOPLE = ("text", "markdown", "latex")


def with_measures(certificate: Certificate, **values: float) -> Certificate:
    measures = tuple(
        Measure(name=f"redundancy_{name}", value=value, unit="ratio", reference="", verified=name != "vbmf")
        for name, value in values.items()
    )
    measured = certificate.model_copy(update={"measures": measures})
    return measured.model_copy(update={"digest": measured.expected_digest()})


@functools.cache
def seeds() -> Comparison:
    """Two groups of three seeds, one run alone, one about other data, one that does not stand."""
    a = [(f"runs/a_seed_{s}.json", honest(64, seed=s, errors=900 + 9 * s)) for s in range(3)]
    b = [(f"runs/b_seed_{s}.json", honest(100, seed=s, errors=600 + 7 * s)) for s in range(3)]
    rest = [
        ("runs/alone.json", honest(count=150)), ("runs/far.json", honest(digest="c" * 64, name="digits")),
        ("runs/forged.json", forged()),
    ]  # fmt: skip
    return compare([*a, *b, *rest])


def plain(text: str) -> str:
    return " ".join(text.replace("\\,", " ").replace("\\", "").split())


def test_text_has_a_line_for_each_certificate_smallest_bound_first() -> None:
    lines = render(seeds(), width=200).split("\n\n")[1].splitlines()
    assert lines[0].split()[:4] == ["certificate", "bound", "error", "bits"]
    names = [f"b_seed_{s}" for s in range(3)] + [f"a_seed_{s}" for s in range(3)] + ["alone"]
    assert sorted(line.split()[0] for line in lines[1:]) == sorted(names)
    bounds = [float(line.split()[1]) for line in lines[1:]]
    assert bounds == sorted(bounds)


@pytest.mark.parametrize("name", PEOPLE)
def test_people_read_what_differences_mean(name: str) -> None:
    text = plain(render(seeds(), name))  # type: ignore[arg-type]
    for sentence in (
        DIVIDED, SHARED, "Each bound holds alone, with confidence 95 %. The best of J statements holds at J delta",
        "the best of these 7 holds with confidence 65 %", "larger than the spread", "3 pairs", "Student's t",
        "Not comparable: other data: digits", "WARNING. forged is in no ranking: it does not stand: bound",
    ):  # fmt: skip
        assert sentence in text


def test_what_is_the_same_in_all_rows_is_said_once() -> None:
    text = render(seeds())
    assert "the same in all: model lenet; theta0 seeded 3; theorem occam_binomial" in " ".join(text.split())
    assert "model" not in text.split("\n\n")[1]
    lone = render(compare([("a", honest())]))
    assert "model" in lone.split("\n\n")[1]
    assert "by errors" not in lone
    assert "What this means" not in lone


@pytest.mark.parametrize("width", [60, 80, 120])
def test_text_fits_the_terminal(width: int) -> None:
    assert max(len(line) for line in render(seeds(), width=width).splitlines()) <= width


def test_printed_risks_are_rounded_up_and_exact_rates_stay() -> None:
    text = render(compare([("a", honest(errors=600))]))  # 600 of 60,000
    assert "1 %" in text
    assert "1.01 %" not in text
    bound = float(text.split("\n\n")[1].splitlines()[1].split()[1])
    assert bound >= 100 * honest(errors=600).bound.value


def test_differences_and_their_parts_are_printed_in_points() -> None:
    first, other = honest(count=64, errors=600), honest(count=100, errors=900)
    comparison = compare([("first", first), ("other", other)])
    head, _, cells = render(comparison, width=200).split("\n\n")[1].splitlines()
    assert "to first  by errors  by bits" in head
    row = comparison.rows[1]
    assert f"{100 * row.difference:+.2f}" in cells.split()
    assert row.by_errors is not None
    assert f"{100 * row.by_errors:+.2f}" in cells.split()


def test_where_the_first_is_not_the_best_it_is_named() -> None:
    runs = [(f"r{errors}", honest(errors=errors)) for errors in (600, 900, 1200)]
    assert "first: r900" in render(compare(runs, first="r900")).splitlines()
    assert not any(line.startswith("first:") for line in render(compare(runs, first="r600")).splitlines())


def test_a_loss_that_is_no_count_has_differences_as_numbers() -> None:
    runs = [("a", honest(errors=900.5, loss="square")), ("b", honest(errors=1200.5, loss="square"))]
    comparison = compare(runs)
    assert f"{comparison.rows[1].difference:+.4f}" in render(comparison)
    assert "points of per cent" not in render(comparison)


def test_without_repeats_nothing_is_said_about_the_spread() -> None:
    text = plain(render(compare([("a", honest()), ("b", honest(errors=600, seed=1, count=100))])))
    assert NO_REPEATS in text
    alike = plain(render(compare([("a", honest()), ("b", honest(errors=600))])))
    assert "A seed occurs twice among runs that are alike" in alike
    assert "one by one: b, a." in alike


def test_where_delta_is_spent_no_confidence_is_left() -> None:
    runs = [(f"r{k}", at_delta(honest(errors=900 + k), 0.5)) for k in range(2)]
    assert "the best of these 2 holds with no confidence" in plain(render(compare(runs)))


def test_rows_that_are_not_divided_say_why() -> None:
    document = honest(errors=600).document()
    document["bound"]["value"] = 0.5  # a weaker statement is true, and stands
    document["statement"] = document["statement"].replace(percent_up(honest(errors=600).bound.value), "50 %")
    document["digest"] = digest_of(document)
    loose = Certificate.model_validate_json(json.dumps(document))
    comparison = compare([("a", honest()), ("loose", loose)])
    assert comparison.jointly is None
    text = plain(render(comparison, width=200))
    assert "not divided: loose: it states 0.5, where occam_binomial gives" in text
    assert "Stated at delta" not in text


def test_measures_are_columns_and_a_missing_one_stays_empty() -> None:
    first = with_measures(honest(errors=600), k_over_r=4.0, vbmf=1.2345678)
    second = with_measures(honest(count=100), k_over_r=0.16666667)
    comparison = compare([("first", first), ("second", second)])
    head, one, two = render(comparison, width=300).split("\n\n")[1].splitlines()
    assert head.endswith("redundancy_k_over_r (ratio)  redundancy_vbmf (ratio, unverified)")
    assert one.split()[-2:] == ["4", "1.235"]
    assert two.split()[-1] == "0.1667"
    document = json.loads(render(comparison, "json"))
    assert document["rows"][0]["measures"] == {"redundancy_k_over_r": 4.0, "redundancy_vbmf": 1.2345678}


def test_json_holds_all_that_the_text_shows() -> None:
    comparison = seeds()
    document = json.loads(render(comparison, "json"))
    assert [row["name"] for row in document["rows"]] == [row.name for row in comparison.rows]
    assert document["rows"][0]["bits_per_parameter"] == document["rows"][0]["bits"] / document["rows"][0]["D"]
    assert (document["loss"], document["delta"], document["first"]) == ("zero_one", 0.05, comparison.rows[0].name)
    assert [one["stands"] for one in document["apart"]] == [True, False]
    assert {one["verdict"] for one in document["contrasts"]} == {one.verdict for one in comparison.contrasts}
    assert document["jointly"] == comparison.jointly


def test_csv_has_a_line_for_each_and_ranks_only_what_is_compared() -> None:
    comparison = seeds()
    lines = list(csv.DictReader(io.StringIO(render(comparison, "csv"))))
    assert [line["rank"] for line in lines] == [*"1234567", "", ""]
    assert [line["name"] for line in lines[-2:]] == ["runs/far.json", "runs/forged.json"]
    assert lines[-1]["apart"].startswith("it does not stand")
    assert [float(line["bound"]) for line in lines[:7]] == [row.bound for row in comparison.rows]
    assert lines[1]["group"] == "runs/b_seed_*.json"
    assert "\r" not in render(comparison, "csv")


def test_every_format_is_printed() -> None:
    assert all(render(seeds(), name) for name in FORMATS)


def test_latex_environments_close() -> None:
    latex = render(seeds(), "latex")
    assert latex.count(r"\begin{tabular}") == latex.count(r"\end{tabular}") == 3
