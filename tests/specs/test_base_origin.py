"""Each kind of base has its own fields and no other's, over all kinds and all sets of fields."""

from itertools import chain, combinations

import pytest
from pydantic import ValidationError

from pacbound.specs.head import HeadSpec
from pacbound.specs.specs import BASE_KINDS, BaseOrigin, SplitSpec

GIVEN = {
    "seed": 7,
    "sha256": "1" * 64,
    "disjoint": True,
    "split": SplitSpec(parts=8, whole=64, digest="2" * 64, size=3),
    "values": "3" * 64,
    "constants": "4" * 64,
    "head": HeadSpec(of=5, rows=((0,), (1, 3))),
}
# Written down from what the kinds mean, not from the table of the package.
RIGHT = {
    "seeded": [set(), {"seed"}, {"constants"}, {"seed", "constants"}],
    "zero": [set(), {"constants"}],
    "values": [{"sha256"}],
    "checkpoint": [{"sha256", "disjoint", "values"}],
    "checkpoint_new_head": [{"sha256", "disjoint", "values"}, {"sha256", "disjoint", "values", "seed"}],
    "checkpoint_own_head": [{"sha256", "disjoint", "values", "head"}],
    "split": [
        {"sha256", "split"},
        {"sha256", "split", "seed"},
        {"sha256", "split", "constants"},
        {"sha256", "split", "seed", "constants"},
    ],
}


def subsets() -> list[set[str]]:
    return [set(names) for names in chain.from_iterable(combinations(GIVEN, size) for size in range(len(GIVEN) + 1))]


def test_every_kind_is_tried() -> None:
    assert set(RIGHT) == set(BASE_KINDS)
    assert set(GIVEN) == set(BaseOrigin.model_fields) - {"kind"}


@pytest.mark.parametrize("kind", BASE_KINDS)
def test_a_base_has_exactly_the_fields_of_its_kind(kind: str) -> None:
    taken = []
    for names in subsets():
        try:
            BaseOrigin.model_validate({"kind": kind, **{name: GIVEN[name] for name in names}})
        except ValidationError:
            continue
        taken.append(names)
    assert sorted(taken, key=sorted) == sorted(RIGHT[kind], key=sorted)
