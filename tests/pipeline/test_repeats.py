"""Copies of examples are no independent draws: counted in every certificate, refused beyond 1 % unless the user says
why."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

import pacbound as pb
from pacbound.errors import DataError, RequestError
from pacbound.reports.show import render
from pacbound.request.request import make_request
from tests.forge import Document, caught, forge
from tests.tiny import clouds, network, quick

Sample = tuple[Tensor, Tensor]
WORD = "each visitor of the museum is asked twice"


def repeated(times: int, n: int = 120) -> Sample:
    x, y = clouds(n)
    return x.repeat(times, 1), y.repeat(times)


def certified(train: Sample, **options: object) -> pb.Certificate:
    test = options.pop("test", None)
    return pb.certify(network(), train, test=test, request=quick(batch=60, **options), progress=False)


COPIES: dict[str, Callable[[Tensor, Tensor], Sample]] = {
    "the whole twice": lambda x, y: (x.repeat(2, 1), y.repeat(2)),
    "shuffled": lambda x, y: (x.repeat(2, 1)[torch.randperm(240)], y.repeat(2)),
    "one example thrice": lambda x, y: (torch.cat([x, x[:1], x[:1]]), torch.cat([y, y[:1], y[:1]])),
    "with other labels": lambda x, y: (torch.cat([x, x[:3]]), torch.cat([y, (y[:3] + 1) % 3])),
    "apart by less than float32": lambda x, y: (torch.cat([x.double(), x.double() + 1e-12]), y.repeat(2)),
}


@pytest.mark.parametrize("copies", COPIES)
def test_a_sample_of_copies_is_refused_before_training(copies: str) -> None:
    train = COPIES[copies](*clouds(120))
    expected = len(train[0]) - len({tuple(row) for row in train[0].float().tolist()})
    with pytest.raises(DataError, match=rf"got {expected:,} training examples .*--repeats"):
        certified(train)


def test_one_copy_in_a_hundred_is_let_through_and_counted() -> None:
    x, y = clouds(120)
    made = certified((torch.cat([x, x[5:6]]), torch.cat([y, y[5:6]])))
    assert (made.data.n, made.data.distinct, made.data.repeats) == (121, 120, None)
    assert "120 of 121" in render(made)


@pytest.fixture(scope="module")
def twice() -> pb.Certificate:
    """Of every example twice, by the user's word."""
    return certified(repeated(2), repeats=WORD)


def test_the_users_word_stands_in_the_ledger_the_certificate_and_every_rendering(twice: pb.Certificate) -> None:
    assert (twice.data.n, twice.data.distinct, twice.data.repeats) == (240, 120, WORD)
    (entry,) = [entry for entry in twice.entries if entry.item == "repeats"]
    assert (entry.kind, entry.bits) == ("declared", 0)
    assert entry.why.endswith(f"says the user: {WORD}")
    assert entry.why in twice.declarations
    for name in ("text", "markdown", "latex"):
        assert "120 of 240" in render(twice, name)  # type: ignore[arg-type]
        assert WORD in render(twice, name)  # type: ignore[arg-type]
    assert json.loads(render(twice, "json"))["data"]["distinct"] == 120
    result = pb.verify(twice, data=repeated(2), model=network()).require()
    assert result.distinct == 120
    assert any(WORD in sentence for sentence in result.unchecked)


def test_no_word_no_declaration() -> None:
    made = certified(clouds(120))
    assert [entry for entry in made.entries if entry.item == "repeats"] == []
    assert "repeats" not in made.document()["data"]  # type: ignore[operator]


def test_a_forger_who_drops_the_word_or_the_number_is_caught(twice: pb.Certificate, tmp_path: Path) -> None:
    def without_word(document: Document) -> None:
        del document["data"]["repeats"]
        document["ledger"] = [entry for entry in document["ledger"] if entry["item"] != "repeats"]

    def all_distinct(document: Document) -> None:
        without_word(document)
        document["data"]["distinct"] = 240

    given = {"data": repeated(2), "model": network()}
    assert caught(forge(twice, without_word, tmp_path / "a.json", consistent=True), "risk", **given) == (
        "arithmetic",
        "sample",
    )
    assert caught(forge(twice, all_distinct, tmp_path / "b.json", consistent=True), "risk", **given) == (
        "risk",
        "distinct",
    )


@pytest.mark.usefixtures("brief_start")
def test_examples_that_theta0_saw_do_not_come_back_in_the_rest() -> None:
    x, y = clouds(200)
    with pytest.raises(DataError, match="training examples"):
        certified((x.repeat(2, 1), y.repeat(2)), prior_share=0.5, epochs=1)
    made = certified((x.repeat(2, 1), y.repeat(2)), prior_share=0.5, epochs=1, repeats=WORD)
    split = pb.certify(network(), (x, y), request=quick(prior_share=0.5, epochs=1), progress=False)
    assert split.data.distinct == split.data.n == 100
    seen, rest = parts_by_hand(x.repeat(2, 1), made)
    assert made.data.distinct == len(rest - seen) < len(rest) < made.data.n == 200
    assert pb.verify(made, data=(x.repeat(2, 1), y.repeat(2)), model=network()).require().distinct == made.data.distinct


def parts_by_hand(x: Tensor, certificate: pb.Certificate) -> tuple[set[tuple[float, ...]], set[tuple[float, ...]]]:
    """The rows on both sides of a split, as tuples."""
    from pacbound.subspace.random import permutation

    split = certificate.hypothesis.base.split
    assert split is not None
    rows = [tuple(x[index].tolist()) for index in permutation(split.seed, "data/split", len(x)).tolist()]
    return set(rows[: split.first]), set(rows[split.first :])


def test_copies_among_the_test_examples_are_refused_too() -> None:
    x, y = clouds(60, seed=1)
    test = (x.repeat(20, 1), y.repeat(20))
    with pytest.raises(DataError, match="got 1,140 test examples"):
        certified(clouds(120), test=test)
    made = certified(clouds(120), test=test, repeats=WORD)
    (bound,) = [other for other in made.also if other.kind == "bound"]
    assert bound.held_out is not None
    assert (bound.n, bound.held_out.distinct) == (1200, 60)


@pytest.mark.parametrize("reason", ["", " ", "two\nlines", "a" * 301, "\u202eback", " blank before"])
def test_a_reason_is_a_line_that_people_can_read(reason: str) -> None:
    with pytest.raises(RequestError, match="'repeats'"):
        make_request({"repeats": reason}, "api")
