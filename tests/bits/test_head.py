"""The code of a head made of rows of a checkpoint's own: counted by hand, every set once, nothing free but names."""

from itertools import combinations
from math import comb, log2

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from pacbound.bits.coder import Encoder
from pacbound.bits.head import subset_at, subset_number
from pacbound.bits.message import pack, unpack
from pacbound.errors import CodeError, MessageError, RequestError
from pacbound.specs.head import HeadSpec, parse_head
from pacbound.specs.specs import BaseOrigin, HypothesisSpec

NOTHING = np.zeros(0, np.int32)


def described(head: HeadSpec | None) -> HypothesisSpec:
    """w = 0 on a checkpoint, with such a head or with the checkpoint's own."""
    kind = "checkpoint" if head is None else "checkpoint_own_head"
    base = {"kind": kind, "sha256": "0f" * 32, "disjoint": True, "values": "2d" * 32, "head": head}
    return HypothesisSpec(
        model="user", layout_digest="ab" * 32, base=BaseOrigin.model_validate(base), layer_scale=False
    )


@st.composite
def heads(draw: st.DrawFn) -> HeadSpec:
    of = draw(st.sampled_from([1, 2, 5, 40, 1000, 21841]))
    subset = st.frozensets(st.integers(0, of - 1), max_size=min(9, of - 1)).map(lambda rows: tuple(sorted(rows)))
    return HeadSpec(of=of, rows=tuple(draw(st.lists(subset, min_size=1, max_size=12))))


@settings(max_examples=40)
@given(heads())
def test_rows_come_back_and_cost_their_number_and_which_set_they_are(head: HeadSpec) -> None:
    message, ledger = pack(described(head), NOTHING)
    spec, _, read = unpack(message.payload, described(head))
    assert (spec.base.head, read) == (head, ledger)
    sizes = [len(rows) for rows in head.rows]
    sets = [comb(head.of, size) for size in sizes]
    by_hand = 1 + sum(2 * int(log2(size + 1)) + 1 for size in sizes)
    by_hand += sum(next(bits for bits in range(count.bit_length() + 1) if 2**bits >= count) for count in sets)
    assert {entry.item: entry.bits for entry in ledger}["head"] == by_hand


def test_what_the_rows_of_cifar_cost_is_about_what_the_issue_says() -> None:
    head = HeadSpec(of=1000, rows=tuple((k, k + 100, k + 500) for k in range(10)))
    bits = {entry.item: entry.bits for entry in pack(described(head), NOTHING)[1]}["head"]
    assert 10 * log2(comb(1000, 3)) < bits < 10 * (log2(comb(1000, 3)) + 1 + 5) + 1


@pytest.mark.parametrize(("of", "size"), [(6, 0), (6, 1), (6, 3), (7, 6)])
def test_every_set_has_one_number_and_every_number_one_set(of: int, size: int) -> None:
    sets = list(combinations(range(of), size))
    assert sorted(subset_number(rows) for rows in sets) == list(range(len(sets)))
    assert all(subset_at(subset_number(rows), size, of) == rows for rows in sets)


def test_names_cost_one_bit_and_a_checkpoint_as_it_is_none() -> None:
    plain = {entry.item: entry.bits for entry in pack(described(None), NOTHING)[1]}
    named = HeadSpec(of=1000, named=True, rows=((1, 2), (3,)))
    message, ledger = pack(described(named), NOTHING)
    found = {entry.item: entry.bits for entry in ledger}
    assert "head" not in plain
    assert (found["head"], found["base"] - plain["base"]) == (1, 4)  # gamma(7) beside gamma(1)
    assert unpack(message.payload, described(named))[0].base.head == named


def test_rows_that_are_coded_are_not_those_that_a_certificate_declares() -> None:
    sent, told = HeadSpec(of=9, rows=((1, 2),)), HeadSpec(of=9, named=True, rows=((3,),))
    payload = pack(described(sent), NOTHING)[0].payload
    assert unpack(payload, described(told))[0].base.head == sent
    free = pack(described(told), NOTHING)[0].payload
    assert unpack(free, described(sent))[0].base.head == sent.model_copy(update={"named": True})  # so: not what is told


def test_a_number_of_no_set_is_refused() -> None:
    encoder = Encoder()
    encoder.integer("zero flag", 1, "", 1)  # w = 0
    encoder.integer("model", 1, "", 1)  # the network of its author's
    encoder.gamma("base", "", 7)
    encoder.gamma("base", "", 0)
    encoder.integer("head", 1, "", 1)
    encoder.gamma("head", "", 2)
    encoder.integer("head", 5, "", 21)  # of 7 rows, 2: 21 sets
    with pytest.raises((MessageError, CodeError)):
        unpack(encoder.payload(), described(HeadSpec(of=7, rows=((0, 1),))))


@pytest.mark.parametrize("rows", [((2, 1),), ((1, 1),), ((9,),), ((-1,),), ((0, 1, 2, 3, 4, 5, 6, 7, 8),), ()])
def test_a_head_has_ascending_rows_of_those_that_there_are(rows: tuple[tuple[int, ...], ...]) -> None:
    with pytest.raises(ValidationError):
        HeadSpec(of=9, rows=rows)


def test_what_is_asked_for_is_read_and_what_is_not_there_is_refused() -> None:
    assert parse_head(["0-8", "all", "3+1-2+2"], 9).rows == ((), (), (1, 2, 3))
    for word in ("", "a", "1,2", "9", "3-1", "1-9", "1--2"):
        with pytest.raises(RequestError):
            parse_head([word], 9)
