import inspect
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pacbound.bounds.table import THEOREMS, all_bounds, headline_theorem, theorem
from pacbound.errors import BoundError

NAMES = {
    "occam_hoeffding",
    "occam_kl",
    "occam_binomial",
    "pac_bayes_kl",
    "pac_bayes_kl_xi",
    "mcallester",
    "rivasplata_quadratic",
    "thiemann_lambda",
    "tolstikhin_seldin",
    "catoni_fixed",
    "catoni_grid",
    "single_draw",
    "test_set",
}
WITH_MESSAGE = sorted(NAMES - {"single_draw", "test_set"})  # single_draw: test_draw.py


def test_ids_are_the_function_names_and_none_is_missing():
    assert set(THEOREMS) == NAMES
    assert all(function.__name__ == name for name, function in THEOREMS.items())


@pytest.mark.parametrize("name", sorted(NAMES))
def test_every_theorem_documents_reference_assumptions_and_rounding(name):
    text = inspect.getdoc(THEOREMS[name])
    for word in ("Reference:", "Assumes:", "Rounds:", "Raises:"):
        assert word in text


@pytest.mark.parametrize("name", sorted(NAMES))
def test_the_record_carries_its_own_name_delta_and_predictor(name):
    made = THEOREMS[name](3, 100, 0, 0.1)
    assert (made.theorem, made.delta) == (name, 0.1)
    assert made.reference
    assert any("predictor" in line for line in made.assumes)


CASES = st.tuples(st.integers(1, 10**5), st.floats(0, 0.999), st.integers(0, 10**5), st.floats(1e-6, 0.9))


@pytest.mark.parametrize("name", WITH_MESSAGE)
@settings(derandomize=True, deadline=None, max_examples=40)
@given(case=CASES)
def test_monotone_in_errors_bits_and_delta(name, case):
    n, share, bits, delta = case
    errors, bound = int(share * n), THEOREMS[name]
    value = bound(errors, n, bits, delta).value
    room = 1e-9 if name == "catoni_grid" else 1e-15  # its lambda is searched
    assert errors / n <= value <= 1.0
    assert bound(errors + 1, n, bits, delta).value >= value - room
    assert bound(errors, n, bits + 1, delta).value >= value - room
    assert bound(errors, n, bits, delta / 2).value >= value - room
    assert bound(2 * errors, 2 * n, bits, delta).value <= value + room


@settings(derandomize=True, deadline=None, max_examples=150)
@given(case=CASES)
def test_occam_binomial_is_never_beaten_by_the_other_occam_and_kl_theorems(case):
    n, share, bits, delta = case
    value = {made.theorem: made.value for made in all_bounds(int(share * n), n, bits, delta)}
    assert value["occam_binomial"] <= value["occam_kl"] + 1e-15 <= value["pac_bayes_kl_xi"] + 2e-15
    assert value["occam_kl"] <= value["occam_hoeffding"] + 1e-15
    assert value["occam_kl"] <= value["catoni_fixed"] + 1e-15
    assert value["occam_kl"] <= value["catoni_grid"] + 1e-15


def test_all_errors_give_one_everywhere():
    assert {made.value for made in all_bounds(50, 50, 0, 0.05)} == {1.0}


def test_the_test_set_bound_applies_to_no_message_only():
    assert "test_set" in {made.theorem for made in all_bounds(3, 100, 0, 0.05)}
    assert "test_set" not in {made.theorem for made in all_bounds(3, 100, 1, 0.05)}


def test_binomial_theorems_do_not_apply_to_losses_that_are_not_counts():
    names = {made.theorem for made in all_bounds(3.5, 100, 0, 0.05, loss_counts=False)}
    assert names == NAMES - {"occam_binomial", "single_draw", "test_set"}
    with pytest.raises(BoundError, match="occam_kl"):
        all_bounds(3.5, 100, 0, 0.05)


def test_the_headline_theorem_applies_to_its_loss():
    assert headline_theorem(loss_counts=True) == "occam_binomial"
    assert headline_theorem(loss_counts=False) == "occam_kl"


def test_an_unknown_theorem_is_refused_with_the_names_there_are():
    assert theorem("mcallester") is THEOREMS["mcallester"]
    with pytest.raises(BoundError, match=r"'vc'.*occam_binomial"):
        theorem("vc")


@pytest.mark.parametrize("name", WITH_MESSAGE)
@pytest.mark.parametrize(
    "arguments",
    [(1, 0, 0, 0.05), (11, 10, 0, 0.05), (1, 10, -1, 0.05), (1, 10, 0, 0.0), (1, 10, 0, 1.0), (-1, 10, 0, 0.1)],
)
def test_every_theorem_refuses_what_lies_outside_its_conditions(name, arguments):
    with pytest.raises(BoundError, match=rf"^{name}: "):
        THEOREMS[name](*arguments)


def test_no_module_of_bounds_or_bits_needs_torch_or_scipy():
    code = (
        "import importlib, pkgutil, sys, pacbound.bounds, pacbound.bits\n"
        "for package in (pacbound.bounds, pacbound.bits):\n"
        "    for module in pkgutil.iter_modules(package.__path__):\n"
        "        importlib.import_module(f'{package.__name__}.{module.name}')\n"
        "from pacbound.bounds.table import all_bounds\n"
        "assert len(all_bounds(3, 100, 0, 0.05)) == 12\n"
        "print(*sorted({'torch', 'scipy', 'sklearn', 'mpmath'} & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
