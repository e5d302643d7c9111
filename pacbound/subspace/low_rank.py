"""Curvature beyond the dense: H ~ V diag(values) V^T + diag(rest), V orthonormal (d, k), in memory O(d k).

V spans the leading eigenvectors, found by block power iteration on products H V (Halko, Martinsson and Tropp 2011,
arXiv:0909.4061v2, algorithm 4.4); each product is a pass over the examples. rest is what the diagonal of H has left
over, coefficient by coefficient, so that the trace of the whole is that of H.
"""

from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from ..distributed import summed
from ..errors import SubspaceError
from .curvature import Kind, Rows, for_each_chunk

RANK = 512
OVERSAMPLING = 32  # columns beyond the rank, dropped at the end
PASSES = 2  # of power iteration, before the pass that finds values and diagonal


@dataclass(frozen=True)
class LowRank:
    """V diag(values) V^T + diag(rest), float64. vectors: V (d, k). values: (k,), falling. rest: (d,), >= 0."""

    vectors: Tensor
    values: Tensor
    rest: Tensor

    def times(self, x: Tensor) -> Tensor:
        """Return the product with x (d,) or (d, m)."""
        scale, rest = (self.values, self.rest) if x.dim() == 1 else (self.values[:, None], self.rest[:, None])
        return self.vectors @ (scale * (self.vectors.T @ x)) + rest * x

    def solve(self, x: Tensor) -> Tensor:
        """Return the product of the inverse with x (d,) or (d, m), by Woodbury's identity.

        Raises: SubspaceError where rest or a value is zero: the matrix has no inverse of this form.
        """
        if not ((self.rest > 0).all() and (self.values > 0).all()):
            raise SubspaceError("LowRank: solve needs a positive matrix, got zeros. Add a ridge first (plus).")
        rest = self.rest if x.dim() == 1 else self.rest[:, None]
        inner = torch.diag(1 / self.values) + self.vectors.T @ (self.vectors / self.rest[:, None])
        flat = x / rest
        return flat - (self.vectors @ torch.linalg.solve(inner, self.vectors.T @ flat)) / rest

    def plus(self, factor: float, ridge: float) -> "LowRank":
        """Return factor times this plus ridge times the identity."""
        return LowRank(self.vectors, factor * self.values, factor * self.rest + ridge)

    def diagonal(self) -> Tensor:
        """Return the diagonal (d,)."""
        return (self.vectors**2) @ self.values + self.rest

    def dense(self) -> Tensor:
        """Write the matrix out, (d, d)."""
        return (self.vectors * self.values) @ self.vectors.T + torch.diag(self.rest)

    def eigen(self) -> tuple[Tensor, Tensor]:
        """Return values (d,) and an orthonormal basis (d, d), columns: V first, then a completion of it.

        The values are Rayleigh quotients: the diagonal of the matrix in that basis. They are eigenvalues where rest
        is constant; a random subspace makes it nearly so.
        """
        k = len(self.values)
        basis = torch.linalg.qr(self.vectors, mode="complete").Q
        basis[:, :k] = self.vectors
        values = (basis**2).T @ self.rest
        values[:k] += self.values
        return values, basis


def low_rank_curvature(
    rows: Rows, examples: int, generator: Generator, rank: int = RANK, kind: Kind = "fisher", progress: bool = True
) -> LowRank:
    """Estimate the mean matrix per example as low rank plus diagonal.

    Every pass sees the same examples, draws and labels, so that all is about one matrix, the one that `curvature`
    would write out. examples: of each of the three passes.

    Raises: SubspaceError where a derivative is not finite.
    """
    d = rows.d
    columns = min(rank + OVERSAMPLING, d)
    start = generator.get_state()
    basis = torch.randn(d, columns, generator=generator, dtype=torch.float64)
    for _ in range(PASSES):
        product, _ = _product(rows, basis, examples, generator.set_state(start), kind, progress)
        basis = torch.linalg.qr(product).Q
    product, diagonal = _product(rows, basis, examples, generator.set_state(start), kind, progress)
    values, within = torch.linalg.eigh(basis.T @ product)
    keep = values.argsort(descending=True)[: min(rank, d)]
    values, vectors = values[keep].clamp(min=0), basis @ within[:, keep]
    rest = (diagonal - (vectors**2) @ values).clamp(min=0)
    return LowRank(vectors, values, rest)


def _product(
    rows: Rows, basis: Tensor, examples: int, generator: Generator, kind: Kind, progress: bool
) -> tuple[Tensor, Tensor]:
    """H times the basis, (d, k), and the diagonal of H, (d,), in float64."""
    product, diagonal = torch.zeros_like(basis), torch.zeros(len(basis), dtype=torch.float64)

    def add(left: Tensor, right: Tensor) -> None:
        left, right = left.double(), right.double()
        product.addmm_(left.T, right @ basis)
        diagonal.add_((left * right).sum(0))

    for_each_chunk(rows, examples, generator, kind, add, progress)
    product, diagonal = summed(product), summed(diagonal)
    if not (torch.isfinite(product).all() and torch.isfinite(diagonal).all()):
        raise SubspaceError(
            f"{kind}: a derivative is not finite; the network overflows there. Lower the learning rate."
        )
    return product / examples, diagonal / examples
