"""What every projector promises, over the table of cases."""

import warnings

import pytest
import torch
from torch.func import jacrev, jvp, vmap

from pacbound.errors import SubspaceError
from pacbound.specs.specs import PROJECTOR_KINDS
from tests.cases import PROJECTORS, ProjectorCase, made, matrix_of

each_case = pytest.mark.parametrize("case", PROJECTORS, ids=lambda case: case.name)


def _normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_every_kind_has_a_case() -> None:
    assert {case.spec.kind for case in PROJECTORS} == set(PROJECTOR_KINDS)


@each_case
def test_project_is_linear(case: ProjectorCase) -> None:
    p, u, w = made(case), _normal(case.spec.d), _normal(case.spec.d, seed=1)
    torch.testing.assert_close(p.project(2 * u - 3 * w), 2 * p.project(u) - 3 * p.project(w), rtol=1e-4, atol=1e-5)


@each_case
def test_adjoint_is_the_transpose_of_project(case: ProjectorCase) -> None:
    p = made(case)
    transposed = torch.cat([p.adjoint(rows) for rows in torch.eye(case.spec.D).split(128)])
    assert transposed.shape == (case.spec.D, case.spec.d)
    torch.testing.assert_close(transposed, matrix_of(case), rtol=1e-4, atol=1e-6)


@each_case
def test_matrix_columns_are_projected_unit_vectors(case: ProjectorCase) -> None:
    p, matrix = made(case), matrix_of(case)
    assert matrix.shape == (case.spec.D, case.spec.d)
    for j in (0, case.spec.d // 2, case.spec.d - 1):
        unit = torch.zeros(case.spec.d)
        unit[j] = 1
        torch.testing.assert_close(matrix[:, j], p.project(unit), rtol=1e-4, atol=1e-6)


@each_case
def test_a_spec_determines_its_matrix_whatever_the_global_seed(case: ProjectorCase) -> None:
    first = made(case).project(_normal(case.spec.d))
    torch.manual_seed(12345)
    assert torch.equal(first, case.make().project(_normal(case.spec.d)))


@each_case
def test_another_seed_gives_an_unrelated_matrix(case: ProjectorCase) -> None:
    if case.spec.kind == "identity":
        assert torch.equal(matrix_of(case), case.reseeded().as_matrix())
        return
    if case.spec.kind == "ekfac":  # directions of one network, found on other noise
        assert not torch.allclose(matrix_of(case), case.reseeded().as_matrix(), atol=1e-3)
        return
    one, other = matrix_of(case), case.reseeded().as_matrix()
    cosines = (one * other).sum(0) / (one.norm(dim=0) * other.norm(dim=0))
    assert cosines.abs().mean() < 0.2


@each_case
def test_columns_have_unit_norm_within_the_stated_error(case: ProjectorCase) -> None:
    norms = matrix_of(case).norm(dim=0)
    assert (norms - 1).abs().max() <= case.column_error


@each_case
def test_random_coefficients_keep_their_norm_on_average(case: ProjectorCase) -> None:
    w = _normal(200, case.spec.d)
    squares = (made(case).project(w).norm(dim=1) / w.norm(dim=1)) ** 2
    assert abs(squares.mean().item() - 1) <= 2 * case.mean_error


@each_case
def test_gradient_is_the_adjoint(case: ProjectorCase) -> None:
    p = made(case)
    w, v = _normal(case.spec.d).requires_grad_(), _normal(case.spec.D, seed=1)
    (gradient,) = torch.autograd.grad(p.project(w) @ v, w)
    torch.testing.assert_close(gradient, matrix_of(case).T @ v, rtol=1e-4, atol=1e-4)
    v.requires_grad_()
    (gradient,) = torch.autograd.grad(p.adjoint(v) @ w.detach(), v)
    torch.testing.assert_close(gradient, matrix_of(case) @ w.detach(), rtol=1e-4, atol=1e-4)


@each_case
def test_batches_of_any_shape_are_projected_row_by_row(case: ProjectorCase) -> None:
    p, w, v = made(case), _normal(2, 3, case.spec.d), _normal(2, 3, case.spec.D)
    projected, back = p.project(w), p.adjoint(v)
    assert projected.shape == (2, 3, case.spec.D)
    assert back.shape == (2, 3, case.spec.d)
    torch.testing.assert_close(projected[1, 2], p.project(w[1, 2]), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(back[1, 2], p.adjoint(v[1, 2]), rtol=1e-4, atol=1e-5)


@each_case
def test_transforms_of_torch_func_see_through_the_product(case: ProjectorCase) -> None:
    p, w = made(case), _normal(case.spec.d)
    with warnings.catch_warnings():  # torch's own forward mode loads a deprecated part of torch
        warnings.simplefilter("ignore", DeprecationWarning)
        value, tangent = jvp(p.project, (w,), (w,))
    torch.testing.assert_close(tangent, value)
    rows = _normal(2, case.spec.d, 3)
    torch.testing.assert_close(vmap(p.project, in_dims=2)(rows), p.project(rows.permute(2, 0, 1)), rtol=1e-4, atol=1e-5)
    pick = torch.arange(0, case.spec.D, case.spec.D // 4)
    rows_of_p = jacrev(lambda w: p.project(w)[pick])(w)
    torch.testing.assert_close(rows_of_p, matrix_of(case)[pick], rtol=1e-4, atol=1e-5)


@each_case
def test_products_are_fresh_memory_and_leave_the_operand_alone(case: ProjectorCase) -> None:
    p, w, v = made(case), _normal(case.spec.d), _normal(case.spec.D)
    p.project(w).mul_(0)
    p.adjoint(v).mul_(0)
    assert torch.equal(w, _normal(case.spec.d))
    assert torch.equal(v, _normal(case.spec.D))


@each_case
@pytest.mark.parametrize("wrong", [torch.zeros(7), torch.zeros(()), None], ids=["length", "scalar", "dtype"])
def test_operands_of_another_shape_or_dtype_are_refused(case: ProjectorCase, wrong: torch.Tensor | None) -> None:
    p = made(case)
    with pytest.raises(SubspaceError, match=rf"{case.spec.kind} projector: project takes float32"):
        p.project(torch.zeros(case.spec.d, dtype=torch.float64) if wrong is None else wrong)
    with pytest.raises(SubspaceError, match=rf"{case.spec.kind} projector: adjoint takes float32"):
        p.adjoint(torch.zeros(case.spec.D, dtype=torch.float64) if wrong is None else wrong)
