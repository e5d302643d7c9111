"""`pacbound bound --picks`: fields, headline, and which options go together."""

import json
import re

import pytest
from pacbound_cli.main import app
from typer.testing import CliRunner

from pacbound.bounds.preference import picks, picks_classical
from pacbound.errors import RequestError

ARGUMENTS = ["bound", "--picks", "833", "--errors", "553", "--n", "60000"]


def run(*arguments: str) -> str:
    done = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
    assert done.exit_code == 0
    return done.stdout


def test_json_holds_picks_errors_total_and_both_bounds():
    report = json.loads(run(*ARGUMENTS, "--bits", "6", "--json"))
    assert list(report) == ["n", "picks", "errors", "total", "bits", "delta", "bounds"]
    assert [report[name] for name in list(report)[:-1]] == [60_000, 833, 553, 1386, 6, 0.05]
    made = [picks(833, 553, 60_000, 6, 0.05), picks_classical(833, 553, 60_000, 6, 0.05)]
    assert [(row["theorem"], row["value"]) for row in report["bounds"]] == [(one.theorem, one.value) for one in made]


def test_bits_are_zero_unless_given_and_an_order_that_is_used_leaves_the_classical_form():
    assert json.loads(run(*ARGUMENTS, "--json"))["bits"] == 0
    report = json.loads(run(*ARGUMENTS, "--ordered", "--json"))
    expected = picks_classical(833, 553, 60_000, 0, 0.05, ordered=True).value
    assert [(row["theorem"], row["value"]) for row in report["bounds"]] == [("picks_classical", expected)]


def test_the_headline_is_picks_and_its_conditions_are_printed_with_values_rounded_up():
    text = run(*ARGUMENTS)
    assert "833 picks and 553 errors outside them, in all 1386 of 60000" in text
    printed = re.search(r"^\* picks +(\S+)", text, re.MULTILINE)
    assert picks(833, 553, 60_000, 0, 0.05).value <= float(printed[1]) < picks(833, 553, 60_000, 0, 0.05).value + 1e-6
    assert "  picks_classical " in text
    assert "preference:" in text
    # a classical bound that is the smaller does not become the headline: which one it is, is said beforehand
    assert picks_classical(0, 5, 6, 0, 0.05).value < picks(0, 5, 6, 0, 0.05).value
    assert re.search(r"^\* picks ", run("bound", "--picks", "0", "--errors", "5", "--n", "6"), re.MULTILINE)


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ([*ARGUMENTS, "--target", "0.1"], "--target plans"),
        (["bound", "--picks", "3", "--n", "9"], "--errors is missing"),
        (["bound", "--picks", "3", "--errors", "1"], "--n is missing"),
        (["bound", "--errors", "1", "--n", "9", "--bits", "0", "--ordered"], "no --picks"),
        (["bound"], "--errors is missing"),
        (["bound", "--errors", "1", "--json", "lm", "--losses", "x.npz", "--bits", "3"], "errors, as_json before"),
    ],
)
def test_options_that_do_not_go_together_are_refused(arguments, word):
    with pytest.raises(RequestError, match=rf"^bound: .*{word}"):
        CliRunner().invoke(app, arguments, catch_exceptions=False)


def test_help_names_picks_and_lm():
    text = run("bound", "--help")
    assert "pacbound bound --picks 833 --errors 553 --n 60000 --bits 6" in text
    assert "pacbound bound lm --losses FILE.npz --bits 33184" in text
