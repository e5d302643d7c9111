"""The rounded double Kronecker projector of Lotfi et al. 2022, plain and with orthonormal factors.

P = Perm (R1 kron R2 (+) E): with a = floor(sqrt(D)) and b = floor(sqrt(d)), the a x b factors R1, R2 send the
first b^2 coefficients to a^2 coordinates; the leftover d - b^2 coefficients reach the leftover D - a^2 coordinates
through a dense Gaussian E; a permutation then shuffles all D. Published for arXiv:2211.13609 with another random
generator, so its matrices are not reproduced, only their distribution. A square d has no leftover coefficient.
"""

import math

import torch
from torch import Tensor

from ..errors import SubspaceError
from ..specs.specs import ProjectorSpec
from . import random
from .projector import Projector


class Kronecker(Projector):
    """R1, R2 Gaussian of variance 1/a (kind kron) or with orthonormal columns (kron_qr); E of variance 1/(D - a^2).

    Memory D + a b floats and two permutations of D; a product costs 2 (a b^2 + a^2 b) operations.
    """

    def __init__(self, spec: ProjectorSpec) -> None:
        """Draw the factors.

        Raises:
            SubspaceError: D is a square and d is not, so that the leftover coefficients would reach nothing.
        """
        self.spec = spec
        self._a, self._b = math.isqrt(spec.D), math.isqrt(spec.d)
        rows, columns = spec.D - self._a**2, spec.d - self._b**2
        if rows == 0 and columns > 0:
            raise SubspaceError(
                f"{spec.kind} projector: where D = {spec.D} is a square, d must be one, got d = {spec.d}. "
                f"Choose d = {self._b**2} or another kind."
            )
        self._left = self._factor("left")
        self._right = self._factor("right")
        leftover = random.normals(spec.seed, f"{spec.kind}/leftover", rows * columns).reshape(rows, columns)
        self._leftover = torch.from_numpy(leftover) / math.sqrt(max(rows, 1))
        self._order = torch.from_numpy(random.permutation(spec.seed, f"{spec.kind}/order", spec.D))
        self._reverse = torch.empty_like(self._order)
        self._reverse[self._order] = torch.arange(spec.D)

    def _factor(self, side: str) -> Tensor:
        """Draw one a x b factor; QR is done in float64 and its signs fixed by a positive diagonal of R."""
        drawn = random.normals(self.spec.seed, f"{self.spec.kind}/{side}", self._a * self._b)
        gaussian = torch.from_numpy(drawn).view(self._a, self._b)
        if self.spec.kind == "kron":
            return gaussian / math.sqrt(self._a)
        q, r = torch.linalg.qr(gaussian.double())
        return (q * r.diagonal().sign()).float()

    def _times(self, w: Tensor) -> Tensor:
        square, rest = w[:, : self._b**2], w[:, self._b**2 :]
        grid = self._left @ square.reshape(-1, self._b, self._b) @ self._right.T  # (k, a, a)
        ordered = torch.cat([grid.reshape(len(w), -1), rest @ self._leftover.T], 1)
        return ordered.index_select(1, self._order)

    def _transposed(self, v: Tensor) -> Tensor:
        ordered = v.index_select(1, self._reverse)
        grid, rest = ordered[:, : self._a**2], ordered[:, self._a**2 :]
        square = self._left.T @ grid.reshape(-1, self._a, self._a) @ self._right  # (k, b, b)
        return torch.cat([square.reshape(len(v), -1), rest @ self._leftover], 1)
