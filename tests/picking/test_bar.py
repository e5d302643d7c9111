"""What people see while a selection runs."""

import io

import numpy as np
import pytest

from pacbound.picking.selection import Round, Selection
from pacbound.specs.picks import RecipeSpec
from pacbound.specs.specs import PreprocessSpec
from tests.tiny import examples, network

RECIPE = RecipeSpec(first=4, steps=25, epochs=1, batch=16, augmentation="none")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def run(progress: bool = True) -> list[Round]:
    selection = Selection(network(), examples(60), PreprocessSpec(), RECIPE)
    return list(selection.rounds(2, progress=progress, bound=lambda picked, errors: (picked + errors) / 60))


def test_what_is_left_is_estimated_or_counted() -> None:
    estimated = Round(3, np.arange(10), 200, 7, b"")
    counted = Round(3, np.arange(10), 990, 7, b"")
    between = Round(None, np.arange(10), 990, 7, b"")
    assert estimated.in_words(1000) == "~35 errors left"
    assert estimated.in_words(1000, lambda picked, errors: (picked + errors) / 1024) == "~35 errors left, bound ~4.4 %"
    assert counted.in_words(1000, lambda picked, errors: (picked + errors) / 1024) == "7 errors left, bound 1.67 %"
    assert between.in_words(1000, lambda picked, errors: 0.5) == "7 errors left"


def test_the_bar_shows_picks_errors_and_bound_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setenv("COLUMNS", "80")
    last = run()[-1]
    seen = terminal.getvalue().replace("\n", "\r").split("\r")
    words = last.in_words(60, lambda picked, errors: (picked + errors) / 60)
    assert any("picks" in line and words in line for line in seen)
    assert max(map(len, seen)) <= 80


def test_nothing_is_shown_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal, pipe = Terminal(), io.StringIO()
    monkeypatch.setattr("sys.stderr", pipe)
    run()
    monkeypatch.setattr("sys.stderr", terminal)
    run(progress=False)
    assert pipe.getvalue() == terminal.getvalue() == ""
