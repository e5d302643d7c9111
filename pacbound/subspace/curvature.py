"""Curvature of a network in its subspace, d x d: the Fisher matrix, and the generalised Gauss-Newton matrix.

    Fisher        H = E_x E_{y ~ p(.|x)} [g g^T],   g = gradient of ln p(y|x) in w
    Gauss-Newton  G = E_(x,y) [J^T L J],            J = Jacobian of the outputs in w, L = Hessian of the loss in them

(Martens 2020, arXiv:1412.1193v11, sections 5, 8 and 9.2; they are equal for cross-entropy on the softmax.)

Labels of the Fisher are drawn from the network's own prediction, so that H is the Fisher information and not the
scatter of the loss gradients: one row an example. G has a row for each output and no sampling noise in the labels.
One backward pass gives the rows of a chunk of examples in theta, (rows, D); the projector's adjoint takes them to the
subspace, (rows, d): cheaper than forward mode wherever there are more coefficients than outputs, as in every use here.
Where not even two rows in theta fit into a chunk there is one at a time, and several examples share a draw of w, its
theta and one forward pass. Sums are accumulated in float64; beyond DENSE_DIMENSION see low_rank.py. Several processes
divide the chunks, each of which then has randomness of its own, and add up what they found.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, Protocol

import torch
from torch import Generator, Tensor
from torch.func import grad, jacrev, vmap
from torch.nn import functional as F

from ..distributed import alike, first, processes, summed, turns
from ..errors import SubspaceError
from ..progress import hidden, tqdm
from ..threads import tick
from .subspace import Subspace

CHUNK_ELEMENTS = 1 << 23  # rows in theta held at once: 32 MB of float32, and a few copies of it in the adjoint
MAX_CHUNK = 100  # examples that share one draw of w
LARGE = CHUNK_ELEMENTS // 2  # beyond so many parameters one row in theta is held at a time
SHARED = 16  # examples of a chunk there
MAX_TEMPERATURE = 64.0  # and 1 / 64 at least
DENSE_DIMENSION = 4096  # a d x d float64 matrix and its eigenvectors stay under half a gigabyte

Kind = Literal["fisher", "gauss_newton"]
Draw = Callable[[Generator], Tensor]
Loss = Callable[[Tensor, Tensor], Tensor]


class Inputs(Protocol):
    """Inputs (n, ...) of which some rows are asked for at a time: a tensor, or what makes them then."""

    def __len__(self) -> int:
        """Return n."""
        ...

    def __getitem__(self, rows: Tensor | slice, /) -> Tensor:
        """Return some of them, (batch, ...)."""
        ...


@dataclass(frozen=True)
class Rows:
    """What a sample gives: x (n, ...), where w is taken from, and for Gauss-Newton the labels and the loss.

    loss: of logits (1, outputs) and a label (1,), a scalar. temperature: the Fisher is that of logits over it. known:
    the first coefficients (k,), which are constant: draw gives the others, and matrices are theirs.
    """

    subspace: Subspace
    x: Inputs
    draw: Draw
    y: Tensor | None = None
    loss: Loss = F.cross_entropy
    temperature: float = 1.0
    known: Tensor = field(default_factory=lambda: torch.zeros(0))

    @property
    def d(self) -> int:
        """Coefficients that are not known."""
        return self.subspace.d - len(self.known)

    def point(self, generator: Generator) -> Tensor:
        """Return all coefficients of one draw."""
        return torch.cat([self.known, self.draw(generator)])

    def chunk(self, kind: Kind) -> int:
        """Examples of one draw of w: as many as have their rows in theta within CHUNK_ELEMENTS."""
        if kind == "fisher" and self.subspace.layout.D > LARGE:
            return SHARED
        D, rows = self.subspace.layout.D, 1 if kind == "fisher" else _outputs(self.subspace, self.x)
        return max(1, min(MAX_CHUNK, CHUNK_ELEMENTS // (D * rows)))

    def of(self, kind: Kind, places: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
        """Return left and right, (rows, d) each: the examples' matrices add up to left^T right.

        Raises: SubspaceError where something is not finite, or Gauss-Newton lacks labels.
        """
        w, x, first = self.point(generator), self.x[places], len(self.known)
        if kind == "fisher":
            gradients = score_gradients(self.subspace, w, x, generator, self.temperature)[:, first:]
            return gradients, gradients
        if self.y is None:
            raise SubspaceError("gauss_newton: the loss is differentiated at the labels, got none. Give y.")
        left, right = _jacobian_pair(self.subspace, w, x, self.y[places], self.loss)
        return left[:, first:], right[:, first:]


def curvature(rows: Rows, examples: int, generator: Generator, kind: Kind = "fisher", progress: bool = True) -> Tensor:
    """Estimate the mean matrix per example, shape (d, d), float64.

    Args:
        rows: the sample; visited in random order, again from the start if examples > n. Its draw gives the w (d,)
            at which a chunk of at most 100 examples is differentiated; constant for the curvature at a point, random
            for its mean over a posterior.
        examples: how many, as asked for or as `examples_within` allows; the Fisher has at most this rank.
        generator: of the order, the draws and the labels.

    Raises:
        SubspaceError: d is beyond DENSE_DIMENSION, or a derivative is not finite.
    """
    d = rows.d
    if d > DENSE_DIMENSION:
        raise SubspaceError(
            f"{kind}: the d x d matrix is held for d up to {DENSE_DIMENSION}, got d = {d}. Choose a smaller d, use "
            "low_rank_curvature, or switch the curvature off."
        )
    total = torch.zeros(d, d, dtype=torch.float64)

    def add(left: Tensor, right: Tensor) -> None:
        total.addmm_(left.double().T, right.double())

    for_each_chunk(rows, examples, generator, kind, add, progress)
    total = summed(total)
    if not torch.isfinite(total).all():
        raise SubspaceError(
            f"{kind}: a derivative is not finite; the network overflows there. Lower the learning rate."
        )
    return total / examples


def fisher(
    subspace: Subspace, x: Tensor, draw: Draw, examples: int, generator: Generator, progress: bool = True
) -> Tensor:
    """Estimate the mean Fisher matrix per example, shape (d, d), float64: `curvature` of a sample without labels."""
    return curvature(Rows(subspace, x, draw), examples, generator, "fisher", progress)


def examples_within(rows: Rows, seconds: float, most: int, generator: Generator, kind: Kind = "fisher") -> int:
    """Return how many examples, of `most`, are done in so many seconds on this machine: one chunk is timed.

    At least one chunk, so that there is a matrix at all; several processes do as many times more.
    """
    places = torch.arange(min(rows.chunk(kind), len(rows.x)))
    rows.of(kind, places, generator)  # the first call pays for what is set up once
    started = time.perf_counter()
    rows.of(kind, places, generator)
    each = (time.perf_counter() - started) / len(places) / processes()
    return min(most, max(len(places), int(seconds / each)))


def for_each_chunk(
    rows: Rows,
    examples: int,
    generator: Generator,
    kind: Kind,
    use: Callable[[Tensor, Tensor], None],
    progress: bool,
) -> None:
    """Hand left and right of every chunk to `use`, in random order of the examples; of several processes each its own.

    Raises: SubspaceError in all of them, where something is not finite for one.
    """
    n = len(rows.x)
    order = torch.cat([torch.randperm(n, generator=generator) for _ in range(-(-examples // n))])[:examples]
    chunks = order.split(rows.chunk(kind))
    own = [generator] * len(chunks)
    if processes() > 1:  # by itself a process draws for one chunk after the other, as its results were always made
        seeds = torch.randint(1 << 62, (len(chunks),), generator=generator).tolist()
        own = [Generator().manual_seed(seed) for seed in seeds]
    mine = turns(len(chunks))
    total = sum(len(chunks[k]) for k in mine)

    def go_through() -> None:
        with tqdm(total=total, desc="curvature", unit="example", disable=hidden(progress), leave=False) as bar:
            for k in mine:
                use(*rows.of(kind, chunks[k], own[k]))
                bar.update(len(chunks[k]))
                tick("curvature")

    alike(go_through)


def calibrated_temperature(rows: Rows, examples: int, generator: Generator) -> float:
    """Return the T in [1/64, 64] for which logits / T give the labels of rows the least mean cross-entropy.

    (Temperature scaling, Guo et al. 2017, arXiv:1706.04599.) Process 0 finds it for all.

    Args: rows: with y; its draw gives the w of each chunk, so that T is that of the mean over it. examples: at most n.

    Raises: SubspaceError where an output is not finite.
    """
    y = rows.y
    assert y is not None
    places = torch.randperm(len(rows.x), generator=generator)[:examples]

    def find() -> float:
        found = []
        for some in places.split(MAX_CHUNK):
            theta = rows.subspace.theta(rows.point(generator)).detach()
            with torch.no_grad():
                found.append(rows.subspace.call_at(theta, rows.x[some]).double())
        return _likeliest_temperature(torch.cat(found), y[places])

    return first(find)


def _likeliest_temperature(logits: Tensor, y: Tensor) -> float:
    """Bisect the slope of the cross-entropy in 1 / T, in which it is convex."""
    if not torch.isfinite(logits).all():
        raise SubspaceError("fisher: an output is not finite; the network overflows. Lower the learning rate.")
    label = logits.gather(1, y[:, None])[:, 0]
    low, high = 1 / MAX_TEMPERATURE, MAX_TEMPERATURE
    for _ in range(40):
        middle = math.sqrt(low * high)
        slope = float(((middle * logits).softmax(1) * logits).sum(1).mean() - label.mean())
        low, high = (low, middle) if slope > 0 else (middle, high)
    return 1 / middle


def score_gradients(subspace: Subspace, w: Tensor, x: Tensor, generator: Generator, temperature: float = 1.0) -> Tensor:
    """Return gradients in w of ln p(y|x), of logits / temperature, y drawn from it: one row an example, (m, d)."""
    theta = subspace.theta(w).detach()
    with torch.no_grad():
        prediction = (subspace.call_at(theta, x) / temperature).softmax(1)
    if not torch.isfinite(prediction).all():
        raise SubspaceError("fisher: a prediction is not finite; the network overflows. Lower the learning rate.")
    labels = torch.multinomial(prediction, 1, generator=generator)[:, 0]
    return example_gradients(subspace, theta, x, labels, lambda z, y: -F.cross_entropy(z / temperature, y))


def example_gradients(
    subspace: Subspace, theta: Tensor, x: Tensor, y: Tensor, score: Callable[[Tensor, Tensor], Tensor]
) -> Tensor:
    """Return gradients in w of score(logits (1, classes), label (1,)) for each example, (m, d), at theta."""

    def one(theta: Tensor, x: Tensor, y: Tensor) -> Tensor:
        return score(subspace.call_at(theta, x[None]), y[None])

    if subspace.layout.D > LARGE:
        return _one_by_one(subspace, theta, x, y, score)
    return _adjoint(subspace, vmap(grad(one), in_dims=(None, 0, 0))(theta, x, y))


def _one_by_one(
    subspace: Subspace, theta: Tensor, x: Tensor, y: Tensor, score: Callable[[Tensor, Tensor], Tensor]
) -> Tensor:
    """The same with one gradient in theta at a time, written into one vector (D,): memory for a large one is dear."""
    layout = subspace.layout
    named = layout.unflatten(theta.detach().to(x.device))
    parameters = [named[slot.name].requires_grad_() for slot in layout.slots]
    row, found = torch.empty(1, layout.D), []
    for one, label in zip(x.split(1), y.split(1), strict=True):
        value = score(subspace.call_with(named, one).to(theta.device), label)
        for slot, part in zip(layout.slots, torch.autograd.grad(value, parameters, allow_unused=True), strict=True):
            row[0, slot.start : slot.stop] = 0.0 if part is None else part.reshape(-1)
        if subspace.scale is not None:
            row *= subspace.scale
        found.append(subspace.projector.adjoint(row))
    return torch.cat(found)


def _jacobian_pair(subspace: Subspace, w: Tensor, x: Tensor, y: Tensor, loss: Loss) -> tuple[Tensor, Tensor]:
    """J and L J, both (m outputs, d). A loss that is not convex in the outputs leaves L its negative part."""
    theta = subspace.theta(w).detach()
    with torch.no_grad():
        logits = subspace.call_at(theta, x)
    if not torch.isfinite(logits).all():
        raise SubspaceError("gauss_newton: an output is not finite; the network overflows. Lower the learning rate.")
    jacobian = _jacobian(subspace, theta, x)
    bend = vmap(jacrev(jacrev(lambda z, y: loss(z[None], y[None]))))(logits, y)  # (m, outputs, outputs)
    return jacobian.flatten(0, 1), (bend @ jacobian).flatten(0, 1)


def _jacobian(subspace: Subspace, theta: Tensor, x: Tensor) -> Tensor:
    """(m, outputs, d), a backward pass for each output."""

    def one(theta: Tensor, x: Tensor) -> Tensor:
        return subspace.call_at(theta, x[None])[0]

    return _adjoint(subspace, vmap(jacrev(one), in_dims=(None, 0))(theta, x))


def _adjoint(subspace: Subspace, rows: Tensor) -> Tensor:
    return subspace.projector.adjoint(rows if subspace.scale is None else rows * subspace.scale)


def _outputs(subspace: Subspace, x: Inputs) -> int:
    with torch.no_grad():
        return subspace.call_at(subspace.theta0, x[:1]).shape[1]
