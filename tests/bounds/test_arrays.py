"""`pb.bound` for numbers of numpy, whole floats and arrays: the same values as the theorem, place by place."""

import numpy as np
import pytest

import pacbound as pb
from pacbound.bounds.arrays import BoundArray
from pacbound.bounds.occam import occam_binomial
from pacbound.errors import BoundError


@pytest.mark.parametrize(
    ("errors", "n", "bits"),
    [
        (np.int64(12), np.int32(600), np.uint16(50)),
        (12.0, 600.0, 50.0),
        (np.float32(12), np.array(600), np.float64(50)),
        (12, 600, 50),
    ],
)
def test_whole_numbers_of_any_kind_are_numbers(errors: float, n: int, bits: float) -> None:
    assert pb.bound(errors, n, bits, delta=np.float64(0.05)) == occam_binomial(12, 600, 50, 0.05)


def test_bits_may_be_a_fraction() -> None:
    assert pb.bound(12, 600, np.float64(50.5), 0.05) == occam_binomial(12, 600, 50.5, 0.05)


@pytest.mark.parametrize(
    ("errors", "n", "bits"),
    [
        (np.array([0, 12, 600]), 600, 50),
        (12, 600, np.array([0.0, 10.5, 400.0])),
        ([0, 12, 100], [600, 700, 800], [1, 2, 3]),
        (np.arange(3)[:, None], 600, np.array([5, 50])),
        (np.array([0.0, 7.0]), np.array([[600], [900]]), 50),
        (np.zeros((0, 2), int), 600, 50),
    ],
)
def test_arrays_broadcast_and_are_the_scalar_function_in_every_place(errors: object, n: object, bits: object) -> None:
    found = pb.bound(errors, n, bits, delta=0.05)  # type: ignore[call-overload]
    expected = np.vectorize(lambda e, m, b: occam_binomial(int(e), int(m), float(b), 0.05).value, otypes=[float])
    assert isinstance(found, BoundArray)
    assert found.value.dtype == np.float64
    assert found.value.shape == np.broadcast_shapes(np.shape(errors), np.shape(n), np.shape(bits))  # type: ignore[arg-type]
    if found.value.size:
        assert np.array_equal(found.value, expected(errors, n, bits))
    like = occam_binomial(1, 2, 3, 0.05)
    assert (found.theorem, found.reference, found.delta, found.assumes) == (
        like.theorem, like.reference, like.delta, like.assumes,
    )  # fmt: skip


def test_the_values_cannot_be_changed_afterwards() -> None:
    found = pb.bound([1, 2], 600, 50, 0.05)
    with pytest.raises(ValueError, match="read-only"):
        found.value[0] = 0


@pytest.mark.parametrize(
    ("arguments", "rule"),
    [
        ((12.5, 600, 50, 0.05), "errors is an integer, got 12.5"),
        (([1, 2.5], 600, 50, 0.05), "errors is an integer, got 2.5"),
        ((12, 600.5, 50, 0.05), "n counts the examples and is an integer >= 1, got 600.5"),
        ((np.bool_(True), 600, 50, 0.05), "errors lies between 0 and n = 600, got True"),
        ((12, 600, float("nan"), 0.05), "bits is the length"),
        ((np.array([12, 601]), 600, 50, 0.05), "errors lies between 0 and n = 600, got 601"),
        ((12, 600, 50, 1.0), r"delta is the probability of failure and lies in \(0, 1\), got 1"),
        ((12, 600, 50, [0.05, 0.01]), "delta is the probability"),
        ((12, 600, [1, 2], [0.05, 0.01]), "delta is the probability"),
        (([1, 2], [600, 700, 800], 50, 0.05), "arrays of one shape, or broadcast to one"),
        (("12", 600, 50, 0.05), "errors lies between"),
    ],
)
def test_what_is_no_number_is_refused_as_the_theorem_refuses_it(arguments: tuple[object, ...], rule: str) -> None:
    with pytest.raises(BoundError, match=rule):
        pb.bound(*arguments)  # type: ignore[call-overload]
