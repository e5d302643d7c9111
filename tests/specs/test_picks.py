"""The recipe of a learner stays inside its menus, and the list of sizes follows from it and n alone."""

from itertools import pairwise, product

import pytest
from pydantic import ValidationError

from pacbound.specs.picks import MENUS, SIZES, RecipeSpec, sizes


def listed(first: int, sixteenths: int, n: int) -> tuple[int, ...]:
    """The sizes with the growth as a fraction: 0, first, and each time growth more, at least 1, n being the last."""
    out = [0]
    while len(out) < 64:
        if out[-1] == n:
            break
        out.append(min(n, first if len(out) == 1 else out[-1] + max(1, (out[-1] * sixteenths) // 16)))
    return tuple(out)


@pytest.mark.parametrize("n", [1, 2, 15, 16, 17, 1437, 60000])
def test_sizes_are_those_of_a_simple_loop_and_fit_six_bits(n: int) -> None:
    for first, growth in product(MENUS["first"], MENUS["growth"]):
        recipe = RecipeSpec.model_validate({"first": first, "growth": growth})
        found = sizes(recipe, n)
        assert found == listed(int(first), int(growth), n)
        assert found[0] == 0
        assert len(found) <= SIZES
        assert all(one < other for one, other in pairwise(found))


@pytest.mark.parametrize("field", MENUS)
def test_a_field_takes_every_value_of_its_menu_and_no_other(field: str) -> None:
    menu = MENUS[field]
    assert len(set(menu)) == len(menu)
    for value in menu:
        assert getattr(RecipeSpec.model_validate({field: value}), field) == value
    for wrong in (7777777, "seven", None, 1.0, True):
        with pytest.raises(ValidationError):
            RecipeSpec.model_validate({field: wrong})


def test_every_field_but_the_seed_has_a_menu_and_defaults_are_the_cheapest() -> None:
    assert RecipeSpec.model_fields.keys() - MENUS.keys() == {"seed"}
    for field, menu in MENUS.items():
        assert RecipeSpec.model_fields[field].default in menu[:3]


def test_a_wrong_value_is_named_with_the_menu() -> None:
    with pytest.raises(ValidationError, match=r"batch is one of .*64.* got 100"):
        RecipeSpec(batch=100)
