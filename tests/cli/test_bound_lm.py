"""`pacbound bound lm`: every form that applies, each with its sentence."""

import json
import math
import re

import numpy as np
import pytest
from pacbound_cli.main import app
from typer.testing import CliRunner

from pacbound.bounds.language import loss_bounds
from pacbound.bounds.losses import loss_sums
from pacbound.bounds.subsampled import subsampled_bounds
from pacbound.errors import BoundError, DataError, RequestError
from tests.command import pacbound

COIN = np.repeat([-math.log2(0.75), 2.0], [560, 440])


@pytest.fixture
def file(tmp_path):
    np.savez(tmp_path / "coin.npz", X=COIN, c=0.811278124, M=2)
    return tmp_path / "coin.npz"


def run(*arguments: object) -> str:
    done = CliRunner().invoke(app, ["bound", "lm", *map(str, arguments)], catch_exceptions=False)
    assert done.exit_code == 0
    return done.stdout


def test_json_holds_every_form_with_its_sentence(file):
    report = json.loads(run("--losses", file, "--bits", 20, "--json"))
    made = loss_bounds(loss_sums(COIN, 0.811278124, 2.0), 20, 0.05)
    assert (report["n"], report["bits"], report["delta"], report["drawn_from"]) == (1000, 20, 0.05, None)
    assert COIN.sum() / 1000 <= report["mean"] <= COIN.sum() / 1000 + 1e-12
    assert [(row["theorem"], row["value"], row["about"]) for row in report["bounds"]] == [
        (one.theorem, one.value, one.about) for one in made
    ]
    assert report["bounds"][0]["theorem"] == "stream"


def test_a_subsample_is_about_the_units_it_was_drawn_from(file):
    arguments = ("--losses", file, "--bits", 20, "--drawn-from", 9000, "--choice-bits", 3, "--delta", 0.1)
    report = json.loads(run(*arguments, "--json"))
    made = subsampled_bounds(loss_sums(COIN, 0.811278124, 2.0), 9000, 20, 3, 0.1)
    assert [(row["theorem"], row["value"]) for row in report["bounds"]] == [(one.theorem, one.value) for one in made]
    assert report["drawn_from"] == 9000


def test_the_text_marks_the_headline_and_says_what_each_is_about(file):
    text = run("--losses", file, "--bits", 20)
    rows = dict(re.findall(r"^[* ] (\w+) +(\d\.\d{6})  ", text, re.MULTILINE))
    for one in loss_bounds(loss_sums(COIN, 0.811278124, 2.0), 20, 0.05):
        assert one.value <= float(rows[one.theorem]) < one.value + 1.001e-6
        assert one.about in " ".join(text.split())
    assert re.findall(r"^\* (\w+)", text, re.MULTILINE) == ["stream"]
    assert "left out" not in text
    np.savez(file, X=COIN, c=COIN / 2, M=2)
    assert "left out" in run("--losses", file, "--bits", 20)


def test_help_shows_an_example_whose_numbers_are_true(file):
    shown, text = run("--help"), run("--losses", file, "--bits", 20)
    for figure in ("1000 losses, mean 1.112421, 20 bits, delta 0.05", "* stream                1.297348"):
        assert figure in shown
        assert figure in text


@pytest.mark.parametrize(
    ("arrays", "options", "error", "word"),
    [
        ({"X": COIN, "c": COIN[1:], "M": 2.0}, [], BoundError, "c the shape"),
        ({"X": COIN * np.nan, "c": 1.0, "M": 2.0}, [], BoundError, "X at 0 is nan"),
        ({"X": -COIN, "c": 1.0, "M": 2.0}, [], BoundError, "below the lowest"),
        ({"X": COIN[:0], "c": 1.0, "M": 2.0}, [], BoundError, "at least one"),
        ({"X": COIN, "c": 1.0}, [], DataError, r"got X, c"),
        ({"X": COIN, "c": 1.0, "M": 2.0}, ["--bits", "-1"], BoundError, "bits is the length"),
        ({"X": COIN, "c": 1.0, "M": 2.0}, ["--delta", "0"], BoundError, "delta"),
        ({"X": COIN, "c": 1.0, "M": 2.0}, ["--drawn-from", "0"], BoundError, "n counts"),
        ({"X": COIN, "c": 1.0, "M": 2.0}, ["--choice-bits", "2"], RequestError, "--drawn-from"),
    ],
)
def test_bad_input_is_refused(tmp_path, arrays, options, error, word):
    np.savez(tmp_path / "bad.npz", **arrays)
    with pytest.raises(error, match=word):
        run("--losses", tmp_path / "bad.npz", "--bits", 5, *options)


def test_a_missing_file_exits_with_2_and_without_a_traceback(tmp_path):
    done = pacbound("bound", "lm", "--losses", tmp_path / "none.npz", "--bits", 5)
    assert (done.code, done.out) == (2, "")
    assert "there is no file" in done.err
    assert "Traceback" not in done.err
