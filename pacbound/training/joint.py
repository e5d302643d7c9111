"""The loss of a batch that several processes divide: one all-reduce of d + 2 numbers tells all of them its gradient."""

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx

from ..distributed import share, summed
from ..subspace.subspace import Subspace
from .losses import SURROGATES, Surrogate

if TYPE_CHECKING:
    from .fit import Sample


def batch_loss(
    subspace: Subspace, sample: "Sample", w: Tensor, rows: Tensor, surrogate: Surrogate
) -> tuple[Tensor, int]:
    """Return the mean surrogate over the examples at rows (b,), differentiable in w (d,), and how many of them err.

    Each process computes its part of the batch, at the weight of its part: of b examples on N processes some have
    one more than others, and none where b < N.
    """
    own, at = share(rows), w.detach().requires_grad_()
    found = torch.zeros(len(w) + 2)
    if len(own):
        logits, y = subspace.approximate(at, sample.x[own]), sample.y[own]
        loss = SURROGATES[surrogate](logits, y) * (len(own) / len(rows))
        (gradient,) = torch.autograd.grad(loss, at)
        wrong = (logits.detach().argmax(1) != y).sum()
        found = torch.cat([gradient, torch.stack([loss.detach(), wrong])])
    found = summed(found, sample.x.device)
    return _Known.apply(w, found[-2], found[:-2]), int(found[-1])


class _Known(torch.autograd.Function):
    """A number whose gradient in w is known already."""

    @staticmethod
    def forward(ctx: FunctionCtx, w: Tensor, value: Tensor, gradient: Tensor) -> Tensor:
        ctx.save_for_backward(gradient)
        return value.clone()

    @staticmethod
    def backward(ctx: FunctionCtx, by: Tensor) -> tuple[Tensor, None, None]:
        (gradient,) = ctx.saved_tensors  # type: ignore[attr-defined]
        return by * gradient, None, None
