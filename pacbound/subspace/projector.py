"""What a projector is: a D x d matrix P known by its two products, P w and P^T v, each differentiable."""

from abc import ABC, abstractmethod
from typing import final

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx

from ..errors import SubspaceError
from ..specs.specs import ProjectorSpec


class Projector(ABC):
    """A matrix P of shape (D, d) with |P w| near |w|, held in float32 on the CPU.

    A kind defines `_times` and `_transposed`, exact transposes of each other, on batches of rows; everything else
    is final. Products accept leading batch dimensions, `torch.func.vmap`, `jvp` and repeated differentiation.
    """

    spec: ProjectorSpec

    @final
    def project(self, w: Tensor) -> Tensor:
        """Return P w, shape (..., D), for coefficients of shape (..., d).

        Raises:
            SubspaceError: w has another length or is not float32.
        """
        self._check("project", w, self.spec.d)
        return _Product.apply(w, self, False)

    @final
    def adjoint(self, v: Tensor) -> Tensor:
        """Return P^T v, shape (..., d), for vectors of shape (..., D).

        Raises:
            SubspaceError: v has another length or is not float32.
        """
        self._check("adjoint", v, self.spec.D)
        return _Product.apply(v, self, True)

    @final
    def as_matrix(self) -> Tensor:
        """Write P out, shape (D, d): the slow truth for tests, 4 D d bytes."""
        return self.project(torch.eye(self.spec.d)).T.contiguous()

    @final
    def _check(self, act: str, operand: Tensor, length: int) -> None:
        if operand.dim() == 0 or operand.shape[-1] != length or operand.dtype != torch.float32:
            raise SubspaceError(
                f"{self.spec.kind} projector: {act} takes float32 of shape (..., {length}), "
                f"got {operand.dtype} of shape {tuple(operand.shape)}. Reshape it or convert it with .float()."
            )

    @abstractmethod
    def _times(self, w: Tensor) -> Tensor:
        """Return the rows P w, shape (k, D), of the rows of w, shape (k, d), in fresh memory."""

    @abstractmethod
    def _transposed(self, v: Tensor) -> Tensor:
        """Return the rows P^T v, shape (k, d), of the rows of v, shape (k, D), in fresh memory."""


class _Product(torch.autograd.Function):
    """The product with P or P^T; either is the other's derivative, so any order of derivative exists."""

    @staticmethod
    def forward(operand: Tensor, projector: Projector, transposed: bool) -> Tensor:
        rows = operand.reshape(-1, operand.shape[-1])
        product = projector._transposed(rows) if transposed else projector._times(rows)
        return product.reshape(*operand.shape[:-1], product.shape[-1])

    @staticmethod
    def setup_context(ctx: FunctionCtx, inputs: tuple[Tensor, Projector, bool], output: Tensor) -> None:
        ctx.projector, ctx.transposed = inputs[1], inputs[2]  # type: ignore[attr-defined]

    @staticmethod
    def backward(ctx: FunctionCtx, grad: Tensor) -> tuple[Tensor, None, None]:
        return _Product.apply(grad, ctx.projector, not ctx.transposed), None, None  # type: ignore[attr-defined]

    @staticmethod
    def jvp(ctx: FunctionCtx, tangent: Tensor, *_: None) -> Tensor:
        return _Product.apply(tangent, ctx.projector, ctx.transposed)  # type: ignore[attr-defined]

    @staticmethod
    def vmap(
        info: object, in_dims: tuple[int | None, ...], operand: Tensor, projector: Projector, transposed: bool
    ) -> tuple[Tensor, int]:
        assert in_dims[0] is not None  # otherwise vmap would not have been asked
        return _Product.apply(operand.movedim(in_dims[0], 0), projector, transposed), 0
