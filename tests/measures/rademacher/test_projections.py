"""Projections against worked numbers, dense matrices, a general-purpose solver and what nearest means."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import LinearConstraint, minimize
from torch import Tensor

from pacbound.errors import RequestError
from pacbound.measures.rademacher.capacity import group_norm
from pacbound.measures.rademacher.projections import (
    crop,
    dykstra,
    embed,
    project_both,
    project_distance,
    project_spectrum,
    shrink_radially,
    torus_sides,
)


def matrix(*rows: tuple[float, ...]) -> Tensor:
    return torch.tensor(rows, dtype=torch.float64)


def zero_like(point: Tensor) -> Tensor:
    return torch.zeros_like(point)


def dense(kernel: Tensor, side: int) -> Tensor:
    """Circular correlation (out, in, k, k) on side x side as a matrix, entry by entry."""
    out, entering, k, _ = kernel.shape
    rows = torch.zeros(out, side, side, entering, side, side, dtype=kernel.dtype)
    for i in range(side):
        for j in range(side):
            for a in range(k):
                for b in range(k):
                    rows[:, i, j, :, (i + a) % side, (j + b) % side] += kernel[:, :, a, b]
    return rows.reshape(out * side * side, entering * side * side)


def test_the_distance_ball_shrinks_groups_by_one_level() -> None:
    near = project_distance(matrix((3, 4), (0, 2), (0.6, 0.8)), torch.zeros(3, 2, dtype=torch.float64), 4.0)
    assert torch.allclose(near, matrix((2.1, 2.8), (0, 0.5), (0, 0)), atol=1e-12)


def test_inside_the_ball_nothing_moves_and_radius_zero_is_the_start() -> None:
    kernel = torch.randn(3, 2, 3, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    start = torch.ones_like(kernel)
    assert torch.allclose(project_distance(kernel, start, 1e3), kernel, atol=1e-14)
    assert torch.allclose(project_distance(kernel, start, 0.0), start, atol=1e-12)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.floats(0.01, 20))
def test_the_nearest_point_of_the_distance_ball_satisfies_its_inequality(seed: int, radius: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    kernel, start = (torch.randn(3, 2, 2, 2, dtype=torch.float64, generator=generator) for _ in range(2))
    near = project_distance(kernel, start, radius)
    assert group_norm(near - start) <= radius * (1 + 1e-12) + 1e-12
    other = torch.randn(3, 2, 2, 2, dtype=torch.float64, generator=generator)
    other = start + other * (radius / group_norm(other))
    assert float(((kernel - near) * (other - near)).sum()) <= 1e-9  # obtuse angle: characterises the projection


def test_singular_values_are_clipped_for_a_matrix() -> None:
    near = project_spectrum(matrix((2, 1), (1, 2)), (), 2.0)
    assert torch.allclose(near, matrix((1.5, 0.5), (0.5, 1.5)), atol=1e-12)


@pytest.mark.parametrize("side", [3, 4, 5])
def test_the_spectral_projection_is_the_clipped_dense_matrix(side: int) -> None:
    kernel = torch.randn(2, 3, 3, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(side))
    near = project_spectrum(kernel, (side, side), 1.5)
    u, values, vh = torch.linalg.svd(dense(kernel, side), full_matrices=False)
    clipped = (u * values.clamp(max=1.5)) @ vh
    assert values.max() > 1.5
    assert torch.allclose(dense(near, side), clipped, atol=1e-10)


def test_the_integer_kernel_has_its_worked_norm() -> None:
    kernel = torch.zeros(2, 2, 2, 2, dtype=torch.float64)
    kernel[0, 0], kernel[0, 1] = matrix((1, 2), (0, -1)), matrix((0, 1), (1, 0))
    kernel[1, 0], kernel[1, 1] = matrix((2, 0), (0, 1)), matrix((-1, 0), (0, 3))
    assert float(torch.linalg.matrix_norm(dense(kernel, 4), 2)) == pytest.approx(5, abs=1e-9)
    assert torch.allclose(project_spectrum(kernel, (4, 4), 5.0 + 1e-9), embed(kernel, (4, 4)), atol=1e-9)
    assert not torch.allclose(project_spectrum(kernel, (4, 4), 4.9), embed(kernel, (4, 4)), atol=1e-3)


CASES = [
    (matrix((2, 0), (1, 1)), 1.5, 0.9, matrix((0.820791, -0.119333), (0.339577, 0.578243)), 1.420849),
    (matrix((2, 1), (1, 2)), 1.2, 0.7, matrix((0.589792, 0.110208), (0.110208, 0.589792)), 2.358142),
]


@pytest.mark.parametrize(("point", "distance", "lipschitz", "nearest", "gap"), CASES)
def test_dykstra_finds_the_nearest_point(
    point: Tensor, distance: float, lipschitz: float, nearest: Tensor, gap: float
) -> None:
    near, bias = project_both(point, zero_like(point), distance, lipschitz, (), sweeps=400)
    assert bias is None
    assert torch.allclose(near, nearest, atol=2e-6)
    assert float((near - point).norm()) == pytest.approx(gap, abs=2e-6)


def test_alternating_projections_would_not_find_it() -> None:
    point = CASES[0][0]
    sets = (lambda x: project_distance(x, zero_like(x), 1.5), lambda x: project_spectrum(x, (), 0.9))
    found = point
    for _ in range(400):
        for project in sets:
            found = project(found)
    assert float((found - point).norm()) == pytest.approx(1.522556, abs=2e-6)
    assert float((dykstra(point, sets, 400) - point).norm()) < 1.43


def test_dykstra_agrees_with_a_general_solver_on_half_planes() -> None:
    normals = np.array([[1.0, 2.0, -1.0], [0.5, -1.0, 2.0], [1.0, 1.0, 1.0]])
    limits, point = np.array([0.5, 0.3, 0.1]), np.array([2.0, 1.0, 1.5])

    def half_plane(row: np.ndarray, limit: float) -> Tensor:
        normal = torch.from_numpy(row)
        return lambda x: x - normal * max(0.0, (float(normal @ x) - limit) / float(normal @ normal))  # type: ignore[return-value]

    sets = [half_plane(row, limit) for row, limit in zip(normals, limits, strict=True)]
    found = dykstra(torch.from_numpy(point), sets, 2000).numpy()  # type: ignore[arg-type]
    solved = minimize(
        lambda x: ((x - point) ** 2).sum(), np.zeros(3), constraints=LinearConstraint(normals, ub=limits),
        method="SLSQP", options={"ftol": 1e-14},
    )  # fmt: skip
    assert found == pytest.approx(solved.x, abs=1e-5)


def test_a_convolution_ends_inside_both_balls_with_its_own_taps() -> None:
    generator = torch.Generator().manual_seed(2)
    start = 0.1 * torch.randn(3, 2, 3, 3, dtype=torch.float64, generator=generator)
    kernel = start + torch.randn(3, 2, 3, 3, dtype=torch.float64, generator=generator)
    near, _ = project_both(kernel, start, 4.0, 1.0, (5, 5), sweeps=200)
    assert near.shape == kernel.shape
    assert group_norm(near - start) <= 4.0 * (1 + 2e-2)
    assert float(torch.linalg.matrix_norm(dense(near, 5), 2)) <= 1.0 + 2e-2  # finitely many sweeps
    one_sweep, _ = project_both(kernel, start, 4.0, 1.0, (5, 5), sweeps=1)
    assert float((one_sweep - kernel).norm()) > 0


def test_a_bias_counts_in_the_distance_and_not_in_the_spectrum() -> None:
    kernel, start = 0.01 * torch.ones(2, 2, dtype=torch.float64), torch.zeros(2, 2, dtype=torch.float64)
    bias, origin = matrix((9.0, 0.0))[0], matrix((0.0, 0.0))[0]
    near, moved = project_both(kernel, start, 3.0, 1.0, (), 50, bias, origin)
    assert moved is not None
    assert group_norm(near - start, moved - origin) == pytest.approx(3.0, rel=1e-6)
    untouched, kept = project_both(kernel, start, 20.0, 1.0, (), 5, bias, origin)
    assert kept is not None
    assert torch.allclose(kept, bias)
    assert torch.allclose(untouched, kernel)


def test_taps_go_to_the_corner_and_come_back() -> None:
    kernel = torch.arange(12, dtype=torch.float64).reshape(1, 2, 2, 3)
    assert torch.equal(crop(embed(kernel, (4, 5)), (2, 3)), kernel)
    assert float(embed(kernel, (4, 5)).sum()) == float(kernel.sum())


def test_the_radial_variant_keeps_the_direction() -> None:
    kernel, start = matrix((3, 4), (0, 1)), matrix((0, 0), (0, 1))
    assert torch.allclose(shrink_radially(kernel, start, 2.5), matrix((1.5, 2), (0, 1)))
    assert torch.equal(shrink_radially(kernel, start, 6.0), kernel)


def test_zero_padding_gets_room_and_a_circle_does_not() -> None:
    assert torus_sides((8, 8), (3, 5), circular=True) == (8, 8)
    assert torus_sides((2,), (3,), circular=True) == (3,)
    assert all(side >= 8 + tap // 2 for side, tap in zip(torus_sides((8, 8), (3, 5), False), (3, 5), strict=True))


@pytest.mark.parametrize(
    "call",
    [
        lambda k: project_distance(k, zero_like(k), -1.0),
        lambda k: project_distance(k, zero_like(k)[:1], 1.0),
        lambda k: project_spectrum(k, (2, 2), 1.0),
        lambda k: project_spectrum(k, (4,), 1.0),
        lambda k: project_spectrum(k, (4, 4), float("nan")),
        lambda k: dykstra(k, (), 0),
        lambda k: project_both(k, k, 1.0, 1.0, (4, 4), 1, torch.zeros(2), None),
    ],
)
def test_impossible_sets_are_refused(call: object) -> None:
    kernel = torch.ones(2, 2, 3, 3, dtype=torch.float64)
    with pytest.raises(RequestError):
        call(kernel)  # type: ignore[operator]
