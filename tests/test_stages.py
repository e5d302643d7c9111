"""Seconds of stages: each without those within it, added up over the processes of a run."""

import pytest

from pacbound import stages
from pacbound.stages import clocked, counted, go_on, so_far


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, which passes where a test says so."""
    time = [100.0]
    monkeypatch.setattr(stages, "clock", lambda: time[0])
    return time


def test_a_stage_is_without_those_within_it_and_all_add_up(now: list[float]) -> None:
    @clocked("rounding")
    def rounded() -> None:
        now[0] += 4

    with counted() as run:
        now[0] += 1  # outside every stage
        for _ in range(2):
            with clocked("training"):
                now[0] += 10
                with clocked("curvature"):
                    now[0] += 3
                    rounded()
                now[0] += 20
        assert list(run.seconds().items()) == [("training", 60), ("curvature", 6), ("rounding", 8)]
        with clocked("counting"):
            now[0] += 2
            assert so_far()["counting"] == 2  # of a stage that is still open


def test_a_stage_that_fails_has_taken_its_time_and_is_over(now: list[float]) -> None:
    @clocked("curvature")
    def failing() -> None:
        now[0] += 5
        raise KeyError

    with counted() as run:
        with clocked("training"), pytest.raises(KeyError):
            failing()
        with clocked("counting"):
            now[0] += 1
    assert run.seconds() == {"training": 0, "curvature": 5, "counting": 1}


def test_a_run_goes_on_from_what_its_states_kept_each_of_which_knows_a_part(now: list[float]) -> None:
    with counted() as run, clocked("training"):
        now[0] += 7
        go_on({"theta0": 50.0})
        now[0] += 1
        go_on({"theta0": 50.0, "training": 30.0})
        go_on({"theta0": 50.0, "training": 30.0})  # the same one, read once more
        go_on({"training": 90.0})
        now[0] += 2
    assert run.seconds() == {"theta0": 50, "training": 100}


def test_a_run_within_a_run_counts_for_itself_and_outside_of_any_nothing_is_counted(now: list[float]) -> None:
    with clocked("training"):
        go_on({"training": 9.0})
        assert so_far() == {}
    with counted() as outer:
        with counted() as inner, clocked("training"):
            go_on({"training": 1.0})
            now[0] += 3
        with clocked("picking"):
            now[0] += 5
    assert (inner.seconds(), outer.seconds()) == ({"training": 4}, {"picking": 5})
