import math

import numpy as np
import pytest
import tensorly
import torch

from pacbound.errors import ModelError
from pacbound.measures.redundancy.ranks import decompose, output_ranks, rank_for_error, ranks_for_error, vbmf_rank

GRID = torch.tensor([[[float(i + j + k) for k in range(2)] for j in range(2)] for i in range(2)], dtype=torch.float64)


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(size=shape))


def test_the_unfoldings_of_a_sum_have_the_known_singular_values() -> None:
    for axis in range(3):
        matrix = np.moveaxis(GRID.numpy(), axis, 0).reshape(2, 4)
        np.testing.assert_array_equal(matrix @ matrix.T, [[6, 10], [10, 18]])  # eigenvalues 12 -+ sqrt(136)
    assert math.sqrt(12 + math.sqrt(136)) == pytest.approx(4.86435, abs=1e-5)
    assert math.sqrt(12 - math.sqrt(136)) == pytest.approx(0.58146, abs=1e-5)
    assert ranks_for_error(GRID, "tucker", 0.21) == (1, 1, 1)  # each tail is 0.1187 of the whole, below 0.21/sqrt(3)
    assert ranks_for_error(GRID, "tucker", 0.20) == (2, 2, 2)


@pytest.mark.parametrize(("iterations", "core", "error"), [(0, 4.849171, 0.485545), (100, 4.849275, 0.484534)])
def test_rank_one_tucker_of_a_sum_by_hosvd_and_by_hooi(iterations: int, core: float, error: float) -> None:
    found = decompose(GRID, "tucker", (1, 1, 1), iterations)
    assert abs(float(found.factors[0])) == pytest.approx(core, abs=1e-6)
    assert found.error**2 * 24 == pytest.approx(error, abs=1e-6)
    assert found.parameters == 1 + 6


def test_rank_one_cp_is_the_best_rank_one_tensor() -> None:
    assert decompose(GRID, "cp", (1,)).error ** 2 * 24 == pytest.approx(0.484534, abs=1e-6)


def rebuilt(form: str, factors: tuple[torch.Tensor, ...]) -> np.ndarray:
    parts = [factor.numpy() for factor in factors]
    if form == "cp":
        return np.einsum("ar,br,cr,dr->abcd", *parts)
    if form == "tucker":
        return np.einsum("pqrs,ap,bq,cr,ds->abcd", *parts)
    return np.einsum("xap,pbq,qcr,rdy->abcd", *parts)


@pytest.mark.parametrize(
    ("form", "ranks"), [("cp", (3,)), ("tucker", (4, 3, 2, 2)), ("tt", (4, 3, 2)), ("tucker", (6, 5, 3, 3))]
)
def test_factors_rebuild_a_tensor_within_the_error_stated(form: str, ranks: tuple[int, ...]) -> None:
    tensor = normal(6, 5, 3, 3)
    found = decompose(tensor, form, ranks, 20)  # type: ignore[arg-type]
    assert found.ranks == ranks
    assert found.parameters == sum(factor.numel() for factor in found.factors)
    left = np.linalg.norm(rebuilt(form, found.factors) - tensor.numpy()) / np.linalg.norm(tensor.numpy())
    assert left == pytest.approx(found.error, abs=1e-9)
    assert (found.error < 1e-12) == (ranks == (6, 5, 3, 3))


@pytest.mark.parametrize(("form", "ranks"), [("cp", (2,)), ("tucker", (2, 2, 2, 2)), ("tt", (2, 2, 2))])
def test_a_tensor_of_low_rank_is_found_exactly(form: str, ranks: tuple[int, ...]) -> None:
    factors = [normal(size, 2, seed=size + mode) for mode, size in enumerate((6, 5, 3, 3))]
    tensor = torch.einsum("ar,br,cr,dr->abcd", *factors)
    assert decompose(tensor, form, ranks, 500).error < 1e-5  # type: ignore[arg-type]
    if form != "cp":
        assert ranks_for_error(tensor, form, 1e-6) == ranks  # type: ignore[arg-type]


@pytest.mark.parametrize("form", ["tucker", "tt"])
@pytest.mark.parametrize("error", [0.5, 0.3, 0.1])
def test_ranks_chosen_for_an_error_keep_it(form: str, error: float) -> None:
    tensor = normal(8, 6, 3, 3) * torch.logspace(0, -3, 8, dtype=torch.float64).reshape(8, 1, 1, 1)
    assert decompose(tensor, form, ranks_for_error(tensor, form, error), 0).error <= error  # type: ignore[arg-type]


def test_the_rank_for_an_error_is_the_smallest_that_keeps_it() -> None:
    singular = torch.tensor([3.0, 2.0, 1.0, 0.0])
    for error in (0.99, 0.7, 0.6, 0.5, 0.27, 0.26, 0.0):
        lefts = [math.sqrt(sum(float(s) ** 2 for s in singular[r:]) / 14) for r in range(5)]
        assert rank_for_error(singular, error) == max(1, next(r for r in range(5) if lefts[r] <= error))


def test_variational_bayes_finds_a_planted_rank_and_none_in_noise() -> None:
    signal = 3 * normal(40, 5) @ normal(5, 90, seed=1)
    noise = normal(40, 90, seed=2)
    assert vbmf_rank(signal + noise) == 5
    assert vbmf_rank((signal + noise).T) == 5
    assert vbmf_rank(7e-4 * (signal + noise)) == 5  # no scale of noise is assumed
    assert vbmf_rank(noise) == 0
    assert vbmf_rank(signal) == 5
    assert vbmf_rank(torch.zeros(3, 4)) == 0
    assert vbmf_rank(torch.ones(1, 4)) == 1


def test_three_rules_for_the_rank_along_outputs() -> None:
    kernel = (normal(16, 4) @ normal(4, 27, seed=1)).reshape(16, 3, 3, 3)
    assert {output_ranks(kernel).threshold, output_ranks(kernel).vbmf} == {4}
    assert output_ranks(kernel).error <= 4
    assert output_ranks(torch.zeros(4, 3)).threshold == 1  # never 0, so that K/R is finite


def test_ranks_of_a_grouped_kernel_are_those_of_its_block_diagonal_matrix() -> None:
    kernel = normal(6, 2, 3, 3)  # 3 groups, each 2 x 18
    dense = torch.block_diag(*kernel.reshape(3, 2, 18))
    assert output_ranks(kernel, 3).threshold == np.linalg.matrix_rank(dense.numpy()) == 6
    assert output_ranks(kernel, 3).error == output_ranks(dense).error


def test_tensorly_keeps_the_backends_that_the_caller_chose() -> None:
    before = tensorly.get_backend(), tensorly.tenalg.get_backend()
    decompose(GRID, "tt", (2, 2))
    with pytest.raises(ModelError, match="takes 1 positive rank"):
        decompose(GRID, "cp", (2, 2))
    assert (tensorly.get_backend(), tensorly.tenalg.get_backend()) == before


def test_a_kernel_that_is_not_finite_is_refused() -> None:
    with pytest.raises(ModelError, match="1 NaN or infinite"):
        output_ranks(torch.tensor([[1.0, math.nan]]))
