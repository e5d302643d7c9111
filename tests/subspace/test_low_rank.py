"""Low rank plus diagonal against the dense matrix of the same examples, and its algebra against dense algebra."""

import pytest
import torch
from torch import Generator, Tensor, nn

from pacbound.errors import SubspaceError
from pacbound.specs.specs import ProjectorSpec
from pacbound.subspace.curvature import Rows, curvature
from pacbound.subspace.layout import Layout
from pacbound.subspace.low_rank import LowRank, low_rank_curvature
from pacbound.subspace.projectors import make_projector
from pacbound.subspace.subspace import Subspace

D_SMALL = 24


def _rows() -> Rows:
    network = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 3))
    layout = Layout.of(network)
    theta0 = torch.randn(layout.D, generator=Generator().manual_seed(1)) / 2
    projector = make_projector(ProjectorSpec(kind="dense", D=layout.D, d=D_SMALL), layout)
    subspace = Subspace(network, layout, theta0, projector, None)
    x = torch.randn(50, 4, generator=Generator().manual_seed(2))
    return Rows(subspace, x, lambda generator: torch.randn(D_SMALL, generator=generator) / 10)


def _record(k: int = 3) -> LowRank:
    generator = Generator().manual_seed(0)
    vectors = torch.linalg.qr(torch.randn(D_SMALL, k, generator=generator, dtype=torch.float64)).Q
    rest = torch.rand(D_SMALL, generator=generator, dtype=torch.float64) + 0.5
    return LowRank(vectors, torch.tensor([9.0, 4.0, 2.0], dtype=torch.float64)[:k], rest)


def _dense(record: LowRank) -> Tensor:
    total = torch.diag(record.rest)
    for value, vector in zip(record.values, record.vectors.T, strict=True):
        total = total + value * torch.outer(vector, vector)
    return total


def test_at_full_rank_it_is_the_dense_matrix_of_the_same_draws_and_labels() -> None:
    found = low_rank_curvature(_rows(), 120, Generator().manual_seed(5), rank=D_SMALL, progress=False)
    expected = curvature(_rows(), 120, Generator().manual_seed(5), progress=False)
    torch.testing.assert_close(found.dense(), expected, rtol=1e-5, atol=1e-6)


def test_the_leading_part_is_kept_and_the_trace_is_whole() -> None:
    found = low_rank_curvature(_rows(), 400, Generator().manual_seed(5), rank=4, progress=False)
    expected = curvature(_rows(), 400, Generator().manual_seed(5), progress=False)
    values = torch.linalg.eigvalsh(expected).flip(0)
    assert found.vectors.shape == (D_SMALL, 4)
    torch.testing.assert_close(found.values, values[:4], rtol=1e-3, atol=0)
    assert float(found.dense().trace()) == pytest.approx(float(expected.trace()), rel=1e-6)
    torch.testing.assert_close(found.diagonal(), expected.diagonal(), rtol=1e-5, atol=1e-7)


def test_products_inverse_and_diagonal_are_those_of_the_dense_matrix() -> None:
    record, x = _record(), torch.randn(D_SMALL, 5, generator=Generator().manual_seed(3), dtype=torch.float64)
    dense = _dense(record)
    torch.testing.assert_close(record.dense(), dense)
    torch.testing.assert_close(record.diagonal(), dense.diagonal())
    for operand in (x, x[:, 0]):
        torch.testing.assert_close(record.times(operand), dense @ operand)
        torch.testing.assert_close(record.solve(operand), torch.linalg.solve(dense, operand))
    torch.testing.assert_close(record.plus(3.0, 0.25).dense(), 3 * dense + 0.25 * torch.eye(D_SMALL))


def test_its_basis_is_orthonormal_and_its_values_are_the_diagonal_there() -> None:
    record = _record()
    values, basis = record.eigen()
    torch.testing.assert_close(basis.T @ basis, torch.eye(D_SMALL, dtype=torch.float64))
    torch.testing.assert_close((basis.T @ _dense(record) @ basis).diagonal(), values)
    flat = LowRank(record.vectors, record.values, torch.full((D_SMALL,), 0.5, dtype=torch.float64))
    values, basis = flat.eigen()
    torch.testing.assert_close((basis * values) @ basis.T, _dense(flat))


def test_a_matrix_without_inverse_is_refused() -> None:
    record = _record()
    flat = LowRank(record.vectors, record.values, torch.zeros(D_SMALL, dtype=torch.float64))
    with pytest.raises(SubspaceError, match="Add a ridge first"):
        flat.solve(torch.ones(D_SMALL, dtype=torch.float64))


def test_a_network_that_overflows_is_refused() -> None:
    rows = _rows()
    broken = Rows(rows.subspace, rows.x, lambda _: torch.full((D_SMALL,), torch.inf))
    with pytest.raises(SubspaceError, match="not finite"):
        low_rank_curvature(broken, 20, Generator().manual_seed(0), rank=4, progress=False)
