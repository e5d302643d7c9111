"""Looks at a sample are numbered across runs, by a record beside the certificates."""

import json
from pathlib import Path

import pytest

import pacbound as pb
from pacbound.errors import StateError
from pacbound.pipeline.looks import RECORD, looks_beside, number_of_look
from tests.tiny import clouds, network

pytestmark = pytest.mark.usefixtures("brief_posterior")
SAMPLE, OTHER = "5" * 64, "6" * 64


def test_a_look_is_one_more_than_all_that_were_said_or_recorded_and_the_same_look_keeps_its_number(
    tmp_path: Path,
) -> None:
    record = tmp_path / "deep" / RECORD
    assert number_of_look(record, "draw", SAMPLE, "a", 0) == 1
    assert number_of_look(record, "draw", SAMPLE, "a", 0) == 1
    assert number_of_look(record, "draw", SAMPLE, "b", 0) == 2  # nobody's word is believed against the record
    assert number_of_look(record, "draw", SAMPLE, "c", 7) == 8  # more were taken elsewhere
    assert number_of_look(record, "draw", SAMPLE, "d", 0) == 9
    assert number_of_look(record, "draw", OTHER, "d", 0) == 1
    assert number_of_look(record, "comparison", SAMPLE, "d", 3) == 4
    assert number_of_look(record, "draw", SAMPLE, "b", 0) == 2
    assert [json.loads(line)["number"] for line in record.read_text().splitlines()] == [1, 2, 8, 9, 1, 4]


def test_without_a_record_the_word_of_the_user_counts() -> None:
    assert [number_of_look(None, "draw", SAMPLE, what, 3) for what in "ab"] == [4, 4]
    assert looks_beside(None) is None


@pytest.mark.parametrize("content", ["half a li", '{"kind": "draw"}\n', "[1]\n"])
def test_a_record_that_cannot_be_read_is_refused_and_stays_as_it_is(content: str, tmp_path: Path) -> None:
    record = tmp_path / RECORD
    record.write_text(content)
    with pytest.raises(StateError, match="nobody knows how many looks"):
        number_of_look(record, "draw", SAMPLE, "a", 0)
    assert record.read_text() == content


def test_draws_of_two_runs_in_one_folder_are_two_looks_though_both_say_none(tmp_path: Path) -> None:
    def draws(seed: int) -> int:
        request = pb.Request(posterior="draw", earlier_draws=0, d=8, epochs=3, batch=60, encoder_seed=seed)
        state = tmp_path / f"{seed}.state"
        made = pb.certify(network(), clouds(240), request=request, state=state, progress=False)
        return made.hypothesis.quantizer.index if made.hypothesis.quantizer is not None else 0  # type: ignore[union-attr]

    first, second, again = draws(0), draws(1), draws(0)
    assert {first, second} - {0} <= {1, 2}
    assert again == first
    numbers = [json.loads(line)["number"] for line in (tmp_path / RECORD).read_text().splitlines()]
    assert numbers == [1, 2]
