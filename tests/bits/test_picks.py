"""The code of picks: every field at the price that FORMAT.md prints, and indices by hand."""

import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pacbound.certificate
from pacbound.bits.message import pack, unpack
from pacbound.bits.picks import decode_indices, encode_indices, index_bits
from pacbound.errors import MessageError
from pacbound.specs.picks import MENUS, SIZES, PicksSpec, RecipeSpec
from pacbound.specs.specs import BaseOrigin, HypothesisSpec

FORMAT = Path(pacbound.certificate.__file__).with_name("FORMAT.md").read_text("utf-8")
NO_SYMBOLS = np.zeros(0, np.int32)


def spec_of(recipe: RecipeSpec, stop: int = 5) -> HypothesisSpec:
    quantizer = PicksSpec(recipe=recipe, stop=stop, sha256="a" * 64, size=7)
    base = BaseOrigin(seed=3)
    return HypothesisSpec(model="mlp", layout_digest="1" * 64, base=base, layer_scale=False, quantizer=quantizer)


def gamma_bits(value: int) -> int:
    return 2 * len(f"{value + 1:b}") - 1


def printed() -> dict[str, dict[str, int]]:
    """The table of FORMAT.md: field -> value -> bits."""
    section = FORMAT[FORMAT.index("## Picks") : FORMAT.index("## A split")]
    rows = re.findall(r"^\| `(\w+)` \| (`.*`) \| ([\d, ]+) \|$", section, re.MULTILINE)
    return {
        field: dict(zip(re.findall(r"`([^`]+)`", values), map(int, prices.split(", ")), strict=True))
        for field, values, prices in rows
    }


def by_hand() -> dict[str, dict[str, int]]:
    return {field: {str(value): gamma_bits(k) for k, value in enumerate(menu)} for field, menu in MENUS.items()}


def test_the_table_of_the_format_is_that_of_the_menus() -> None:
    wanted = "\n".join(
        f"| `{field}` | {', '.join(f'`{value}`' for value in prices)} | {', '.join(map(str, prices.values()))} |"
        for field, prices in by_hand().items()
    )
    assert printed() == by_hand(), f"FORMAT.md, section Picks, should have\n{wanted}"
    assert set(MENUS) | {"seed"} == set(RecipeSpec.model_fields)


def test_the_first_value_of_a_menu_is_the_default() -> None:
    assert all(getattr(RecipeSpec(), field) == menu[0] for field, menu in MENUS.items())


@pytest.mark.parametrize("field", MENUS)
def test_every_value_costs_what_the_format_prints_and_comes_back(field: str) -> None:
    prices = printed()
    cheap = sum(min(values.values()) for values in prices.values())
    for value in MENUS[field]:
        for seed in (0, 6):
            spec = spec_of(RecipeSpec.model_validate({field: value, "seed": seed}))
            message, ledger = pack(spec, NO_SYMBOLS)
            bits = {entry.item: entry.bits for entry in ledger.entries}
            assert bits["recipe"] == cheap - 1 + prices[field][str(value)] + gamma_bits(seed)
            assert (bits["stop"], "zero flag" in bits) == (6, False)
            other = spec_of(RecipeSpec(), 0)  # what is declared says nothing of the recipe
            assert unpack(message.payload, other)[0] == spec


def test_a_place_behind_the_menu_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = spec_of(RecipeSpec(device="cuda"))
    payload = pack(spec, NO_SYMBOLS)[0].payload
    monkeypatch.setitem(MENUS, "device", ("cpu",))
    with pytest.raises(MessageError, match="menu of device has 1 entries, got number 1"):
        unpack(payload, spec)


@settings(max_examples=60)
@given(st.integers(1, 3000).flatmap(lambda n: st.tuples(st.just(n), st.lists(st.integers(0, n - 1), unique=True))))
def test_indices_are_written_one_after_another_most_significant_first(drawn: tuple[int, list[int]]) -> None:
    n, picked = drawn
    width = len(f"{n - 1:b}") if n > 1 else 0
    assert index_bits(n) == width
    word = "".join(f"{index:0{width}b}" for index in picked) if width else ""
    raw = encode_indices(np.array(picked, np.int64), n)
    assert raw == int(word.ljust(-(-len(word) // 8) * 8, "0") or "0", 2).to_bytes(-(-len(word) // 8), "big")
    assert decode_indices(raw, len(picked), n).tolist() == picked


@pytest.mark.parametrize(
    ("raw", "count", "n", "said"),
    [
        ("a380", 2, 8, "other bytes"),  # a third one where zeros are
        ("a3", 3, 8, "other bytes"),
        ("a38000", 3, 8, "other bytes"),
        ("a380", 3, 7, "numbered from 0 to 6, got 7"),
        ("b680", 3, 8, "got one twice"),
        ("", 2, 1, "got one twice"),
    ],
)
def test_what_is_no_list_of_examples_is_refused(raw: str, count: int, n: int, said: str) -> None:
    with pytest.raises(MessageError, match=said):
        decode_indices(bytes.fromhex(raw), count, n)


def test_there_are_64_sizes_so_that_six_bits_name_one() -> None:
    assert SIZES == 64
    with pytest.raises(ValueError, match="less than 64"):
        spec_of(RecipeSpec(), 64)
