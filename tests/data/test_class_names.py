"""Names of classes."""

import pytest

from pacbound.data.class_names import CLASS_NAMES, class_name
from pacbound.data.registry import ALTERED_CIFAR10_NAME, DATA_SETS


@pytest.mark.parametrize("name", CLASS_NAMES)
def test_each_class_of_a_known_set_has_a_name_of_its_own(name: str) -> None:
    assert len(set(CLASS_NAMES[name])) == DATA_SETS[name].classes


def test_numbers_stand_where_no_names_are_known() -> None:
    assert class_name("fashion-mnist", 10, 9) == "ankle boot"
    assert class_name(ALTERED_CIFAR10_NAME, 10, 6) == "frog"
    assert class_name("digits", 10, 6) == "6"
    assert class_name("cifar100", 10, 6) == "6"  # another set, whose name only begins alike
    assert class_name("fashion-mnist", 3, 2) == "2"  # other classes by that name
