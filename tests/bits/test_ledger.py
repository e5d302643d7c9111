"""The ledger's rules of bookkeeping, against mpmath where a number is rounded."""

import math
import sys

import mpmath
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from pacbound.bits.ledger import MAX_BITS, Entry, Ledger
from pacbound.errors import LedgerError, RequestError

WHY = "for this test"


@pytest.mark.parametrize("bits", [2.5, 3.0, "3", None, True, math.nan])
def test_bits_that_are_not_whole_are_refused_so_nothing_is_rounded_unseen(bits: object) -> None:
    with pytest.raises(LedgerError, match="bits must be an int"):
        Ledger().charge("symbols", bits, WHY)  # type: ignore[arg-type]


def test_an_item_stands_once_so_no_bits_can_be_hidden_behind_a_name() -> None:
    ledger = Ledger().charge("symbols", 3, WHY)
    with pytest.raises(LedgerError, match="stands twice"):
        ledger.charge("symbols", 3, WHY)
    with pytest.raises(LedgerError, match="stands twice"):
        Ledger([ledger.entries[0], ledger.entries[0]])


@pytest.mark.parametrize(
    ("bits", "kind"), [(-1, "counted"), (-1, "choice"), (1, "declared"), (-1, "declared"), (MAX_BITS, "counted")]
)
def test_signs_and_sizes_that_a_kind_forbids_are_refused(bits: int, kind: str) -> None:
    with pytest.raises(LedgerError, match="is not an entry"):
        Ledger().charge("item", bits, WHY, kind=kind)  # type: ignore[arg-type]
    with pytest.raises(ValidationError):
        Entry.model_validate({"item": "item", "bits": bits, "kind": kind, "why": WHY})


@pytest.mark.parametrize(("item", "why"), [("", WHY), ("item", ""), ("i" * 201, WHY), ("item", "w" * 1001)])
def test_an_entry_says_what_and_why(item: str, why: str) -> None:
    with pytest.raises(LedgerError, match="is not an entry"):
        Ledger().charge(item, 1, why)


def test_derived_savings_may_be_negative_and_are_summed() -> None:
    ledger = Ledger().charge("symbols", 10, WHY).charge("orbit", -4, WHY, kind="derived")
    assert ledger.bits == 6


@given(st.integers(1, 1 << 80))
def test_a_choice_costs_the_least_whole_bits_that_name_every_option(options: int) -> None:
    bits = Ledger().choice("best of", options, WHY).bits
    assert 1 << bits >= options
    assert bits == 0 or 1 << (bits - 1) < options


@pytest.mark.parametrize("options", [0, -1, 2.5, True])
def test_a_choice_among_no_whole_number_of_options_is_refused(options: object) -> None:
    with pytest.raises(LedgerError, match="number of options"):
        Ledger().choice("best of", options, WHY)  # type: ignore[arg-type]


def test_declared_facts_cost_nothing_and_stay_in_the_list() -> None:
    ledger = Ledger().declare("task", WHY)
    assert ledger.bits == 0
    assert ledger.entries[0].kind == "declared"


@given(st.integers(-(MAX_BITS - 1), MAX_BITS - 1))
def test_nats_are_rounded_up_by_less_than_two_units_in_the_last_place(bits: int) -> None:
    nats = Ledger().charge("saving or cost", bits, WHY, kind="derived").nats
    with mpmath.workdps(60):
        excess = mpmath.mpf(nats) - bits * mpmath.log(2)
        assert excess > 0
        assert excess < 2 * math.ulp(nats)


def test_charging_leaves_the_old_ledger_alone() -> None:
    old = Ledger().charge("a", 1, WHY)
    new = old.charge("b", 2, WHY)
    assert (old.bits, new.bits) == (1, 3)
    assert old != new
    assert hash(Ledger(new.entries)) == hash(new)
    assert Ledger(new.entries) == new
    assert repr(new) == "Ledger(2 entries, 3 bits)"
    with pytest.raises(ValidationError):
        old.entries[0].bits = 0


def test_a_ledger_is_gone_through_entry_by_entry() -> None:
    ledger = Ledger().charge("symbols", 3, WHY).declare("task", WHY)
    assert list(ledger) == list(ledger.entries)
    assert sum(entry.bits for entry in ledger) == ledger.bits
    assert list(Ledger()) == []


def test_a_ledger_becomes_a_frame_with_a_row_for_each_entry() -> None:
    pytest.importorskip("pandas", reason="pandas is not installed")
    ledger = Ledger().charge("symbols", 3, WHY).choice("code", 4, WHY)
    frame = ledger.frame()
    assert list(frame.columns) == ["item", "bits", "kind", "why"]
    assert frame.to_dict("records") == [entry.model_dump() for entry in ledger.entries]
    assert frame["bits"].sum() == ledger.bits
    assert list(Ledger().frame().columns) == ["item", "bits", "kind", "why"]


def test_without_pandas_the_frame_is_refused_with_a_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(RequestError, match="pandas is not installed"):
        Ledger().frame()
