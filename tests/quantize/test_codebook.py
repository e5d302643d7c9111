"""The codebook against struct's float16 and brute force over all partitions of tiny sets."""

import itertools
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacbound.errors import QuantizeError
from pacbound.quantize import dequantize
from pacbound.quantize.codebook import assign, from_codebook, initial_centroids, to_codebook
from pacbound.specs.specs import CodebookSpec

VALUES = st.lists(st.floats(-100, 100, width=32), min_size=1, max_size=25)
BOOK = st.lists(st.floats(-100, 100, width=32), min_size=1, max_size=9)


def half(bits: int) -> float:
    return struct.unpack("<e", struct.pack("<H", bits))[0]


def spread(w: np.ndarray, centroids: np.ndarray) -> float:
    """Sum of squared distances to the nearest centroid."""
    return float(((w[:, None].astype(float) - centroids[None].astype(float)) ** 2).min(1).sum())


def best_spread(w: np.ndarray, levels: int) -> float:
    """Smallest possible: in one dimension the cells are runs of the sorted values; try every cut."""
    ordered = np.sort(w.astype(float))
    costs = []
    for cuts in itertools.combinations(range(1, len(w)), levels - 1):
        runs = np.split(ordered, cuts)
        costs.append(sum(float(((run - run.mean()) ** 2).sum()) for run in runs))
    return min(costs)


@given(BOOK, VALUES)
def test_symbols_stand_for_the_float16_nearest_of_the_used_centroids(book: list[float], values: list[float]) -> None:
    w = np.array(values, np.float32)
    symbols, spec = to_codebook(w, np.array(book, np.float32))
    decoded = [half(bits) for bits in spec.centroids]
    choices = sorted({half(struct.unpack("<H", struct.pack("<e", c))[0]) for c in book})
    assert set(decoded) <= set(choices)
    assert decoded == sorted(decoded)
    assert set(symbols.tolist()) == set(range(len(decoded)))  # nothing unused is sent
    rebuilt = from_codebook(symbols, spec)
    assert rebuilt.dtype == np.float32
    assert rebuilt.tolist() == [decoded[k] for k in symbols]
    assert dequantize(symbols, len(decoded), spec).tolist() == rebuilt.tolist()
    for value, chosen in zip(w, rebuilt, strict=True):
        assert abs(float(value) - float(chosen)) == min(abs(float(value) - c) for c in choices)


def test_bit_patterns_are_those_of_ieee_float16() -> None:
    _, spec = to_codebook(np.array([-2, 0.5, 65504], np.float32), np.array([-2, 0.5, 65504], np.float32))
    assert spec.centroids == (0xC000, 0x3800, 0x7BFF)
    assert from_codebook(np.array([2, 0], np.int32), spec).tolist() == [65504.0, -2.0]
    smallest = CodebookSpec(centroids=(0x0001, 0x8001))
    assert from_codebook(np.array([0, 1], np.int32), smallest).tolist() == [2.0**-24, -(2.0**-24)]


def test_centroids_that_merge_in_float16_are_sent_once() -> None:
    symbols, spec = to_codebook(np.array([1.0, 1.0001], np.float32), np.array([1.0, 1.0001], np.float32))
    assert (len(spec.centroids), symbols.tolist()) == (1, [0, 0])


def test_a_centroid_beyond_float16_is_refused() -> None:
    with pytest.raises(QuantizeError, match="float16"):
        to_codebook(np.array([1e6], np.float32), np.array([1e6], np.float32))


@given(st.lists(st.floats(-100, 100, width=32), min_size=2, max_size=6, unique=True), VALUES)
def test_assignment_is_to_the_nearest(book: list[float], values: list[float]) -> None:
    centroids, w = np.sort(np.array(book, np.float64)), np.array(values, np.float32)
    for value, index in zip(w, assign(w, centroids), strict=True):
        assert abs(float(value) - centroids[index]) == pytest.approx(np.abs(float(value) - centroids).min(), rel=1e-12)


@pytest.mark.parametrize("levels", [2, 3, 4])
@pytest.mark.parametrize("seed", range(5))
def test_k_means_finds_the_best_partition_of_separated_clusters(levels: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    centres = np.linspace(-1, 1, levels)
    w = (centres[np.arange(12) % levels] + generator.normal(0, 0.05, 12)).astype(np.float32)
    found = initial_centroids(w, levels, "kmeans")
    assert spread(w, found) == pytest.approx(best_spread(w, levels), rel=1e-4)


@pytest.mark.parametrize("seed", range(10))
def test_k_means_ends_where_each_centroid_is_the_mean_of_its_cell_and_never_above_its_start(seed: int) -> None:
    w = np.random.default_rng(seed).normal(0, 1, 200).astype(np.float32)
    uniform, found = initial_centroids(w, 7, "uniform"), initial_centroids(w, 7, "kmeans")
    assert spread(w, found) < spread(w, uniform)
    cells = np.abs(w[:, None] - found[None]).argmin(1)
    for cell in set(cells):
        assert found[cell] == pytest.approx(w[cells == cell].mean(), abs=2e-3)
    assert np.all(np.diff(found) >= 0)


def test_uniform_centroids_are_the_means_of_equal_bins_and_the_middles_of_empty_ones() -> None:
    w = np.array([-1.0, -0.9, 1.0], np.float32)  # bins of width 1/2 on [-1, 1]: two values, none, none, one
    assert initial_centroids(w, 4, "uniform").tolist() == pytest.approx([-0.95, -0.25, 0.25, 1.0])


def test_centroids_exist_where_all_coefficients_are_zero() -> None:
    symbols, spec = to_codebook(np.zeros(5, np.float32), initial_centroids(np.zeros(5, np.float32), 3, "kmeans"))
    assert from_codebook(symbols, spec).tolist() == [0.0] * 5


@pytest.mark.parametrize("levels", [0, 257])
def test_the_number_of_levels_has_limits(levels: int) -> None:
    with pytest.raises(QuantizeError, match=f"got {levels}"):
        initial_centroids(np.ones(3, np.float32), levels, "uniform")


def test_coefficients_that_are_not_finite_are_refused() -> None:
    with pytest.raises(QuantizeError, match="finite"):
        initial_centroids(np.array([1, np.nan], np.float32), 2, "kmeans")
