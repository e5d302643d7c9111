"""The Fisher matrix of a network in its subspace: H = E_x E_{y ~ p(.|x)} [g g^T], g = gradient of ln p(y|x) in w.

Labels are drawn from the network's own prediction, so that H is the Fisher information and not the scatter of the
loss gradients. One backward pass gives the gradients of a chunk of examples in theta, (m, D); the projector's
adjoint takes them to the subspace, (m, d), where they are accumulated in float64.
"""

from collections.abc import Callable

import torch
from torch import Generator, Tensor
from torch.func import grad, vmap
from torch.nn import functional as F
from tqdm import tqdm

from ..errors import SubspaceError
from .subspace import Subspace

CHUNK_ELEMENTS = 1 << 23  # gradients held at once: 32 MB of float32, and a few copies of it in the adjoint
MAX_CHUNK = 100  # examples that share one draw of w
MAX_DIMENSION = 4096  # a d x d float64 matrix and its eigenvectors stay under half a gigabyte

Draw = Callable[[Generator], Tensor]


def fisher(
    subspace: Subspace, x: Tensor, draw: Draw, examples: int, generator: Generator, progress: bool = True
) -> Tensor:
    """Estimate the mean Fisher matrix per example, shape (d, d), float64.

    Args:
        subspace: its network returns logits (batch, classes).
        x: inputs as the network reads them, (n, ...); visited in random order, again from the start if examples > n.
        draw: gives the w (d,) at which a chunk of at most 100 examples is differentiated; constant for a Fisher at
            a point, random for its mean over a posterior.
        examples: number of gradients; the matrix has at most this rank.
        generator: of the order, the draws and the labels.

    Raises:
        SubspaceError: d is beyond MAX_DIMENSION, or a gradient is not finite.
    """
    d = subspace.d
    if d > MAX_DIMENSION:
        raise SubspaceError(
            f"fisher: the d x d matrix is held for d up to {MAX_DIMENSION}, got d = {d}. Choose a smaller d, or switch "
            "the curvature off."
        )
    chunk = max(1, min(MAX_CHUNK, CHUNK_ELEMENTS // subspace.layout.D))
    total = torch.zeros(d, d, dtype=torch.float64)
    order = torch.cat([torch.randperm(len(x), generator=generator) for _ in range(-(-examples // len(x)))])[:examples]
    for rows in tqdm(order.split(chunk), desc="curvature", disable=None if progress else True, leave=False):
        gradients = score_gradients(subspace, draw(generator), x[rows], generator).double()
        total.addmm_(gradients.T, gradients)
    if not torch.isfinite(total).all():
        raise SubspaceError("fisher: a gradient is not finite; the network overflows there. Lower the learning rate.")
    return total / examples


def score_gradients(subspace: Subspace, w: Tensor, x: Tensor, generator: Generator) -> Tensor:
    """Return gradients in w of ln p(y|x), y drawn from the prediction, one row an example: (m, d)."""
    theta = subspace.theta(w).detach()
    with torch.no_grad():
        prediction = subspace.call_at(theta, x).softmax(1)
    if not torch.isfinite(prediction).all():
        raise SubspaceError("fisher: a prediction is not finite; the network overflows. Lower the learning rate.")
    labels = torch.multinomial(prediction, 1, generator=generator)[:, 0]
    return example_gradients(subspace, theta, x, labels, _log_likelihood)


def example_gradients(
    subspace: Subspace, theta: Tensor, x: Tensor, y: Tensor, score: Callable[[Tensor, Tensor], Tensor]
) -> Tensor:
    """Return gradients in w of score(logits (1, classes), label (1,)) for each example, (m, d), at theta."""

    def one(theta: Tensor, x: Tensor, y: Tensor) -> Tensor:
        return score(subspace.call_at(theta, x[None]), y[None])

    gradients = vmap(grad(one), in_dims=(None, 0, 0))(theta, x, y)
    return subspace.projector.adjoint(gradients if subspace.scale is None else gradients * subspace.scale)


def _log_likelihood(logits: Tensor, y: Tensor) -> Tensor:
    return -F.cross_entropy(logits, y)
