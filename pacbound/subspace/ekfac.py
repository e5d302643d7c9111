"""The directions in which a network's outputs move the most at theta0, found on noise instead of data.

A random subspace takes the same share of every direction, and each of its coefficients costs the same bits. Here each
weight matrix gets the eigenvectors of the two second moments of its gradients, G G^T and G^T G, and a direction, one
vector of each, the mean square of the gradient along it: an eigenvalue-corrected Kronecker factorization of the
curvature (George et al. 2018, arXiv:1806.03884; factors from gradients as in Gupta et al. 2018, arXiv:1802.09568).
Gradients are those of <v, logits>, v normal of sum 0, on images of noise: no data enters, so that P is known to who
knows the network, theta0, the shape of an input and a seed.
"""

import copy
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap
from torch.nn import functional as F

from ..errors import SubspaceError, first_line
from ..specs.specs import ProjectorSpec
from ..stages import clocked
from . import random
from .layout import Layout, Slot, frozen_digest
from .projector import Projector

EXAMPLES = 1024
LARGEST_SIDE = 4096  # of a weight matrix, for its eigenvectors
CHUNK_ELEMENTS = 1 << 22  # gradients held at once, float64
OWN_COLOUR, FALL = 0.4, 0.6  # noise of the channels beside what they share; an octave has 2^-FALL of the one before
LEAST = 1e-12  # of the largest mean square: below it a direction does not move the outputs


@dataclass(frozen=True, eq=False)
class Start:
    """A network where it stands before training: scale, shape (D,), is that of the subspace, None for 1.

    Equal are those of one module with equal numbers.
    """

    module: nn.Module
    theta0: Tensor
    scale: Tensor | None

    def __eq__(self, other: object) -> bool:
        """Compare numbers, but modules by identity."""
        if not isinstance(other, Start) or self.module is not other.module:
            return False
        if self.scale is None or other.scale is None:
            return self.scale is other.scale and torch.equal(self.theta0, other.theta0)
        return torch.equal(self.scale, other.scale) and torch.equal(self.theta0, other.theta0)

    def __hash__(self) -> int:
        """Follow the module."""
        return hash(self.module)


class Ekfac(Projector):
    """The d leading directions, the stiffest first: P = U E, its columns orthonormal.

    U is block diagonal, a Kronecker product of two orthogonal matrices for each parameter tensor, and E selects the
    directions. Found in float64, then rounded to float32. Memory: the square of each side of each weight matrix.
    """

    def __init__(self, spec: ProjectorSpec, layout: Layout, start: Start) -> None:
        """Find the directions; `seconds` is what that took.

        Raises:
            SubspaceError: a weight matrix is too large, the network does not take inputs of the shape, or fewer than d
                directions move its outputs.
        """
        _refuse_large(layout)
        started = time.perf_counter()
        self.spec = spec
        self._slots = layout.slots
        left, right = _moments(spec, layout, start)
        self._bases = [
            tuple(_eigenvectors(moment, spec.seed) for moment in pair) for pair in zip(left, right, strict=True)
        ]
        weight = torch.zeros(spec.D, dtype=torch.float64)
        for rows in _gradients(spec, layout, start):
            weight += self._turned(rows, forward=False).square().sum(0)
        leading = np.argsort(-weight.numpy(), kind="stable")[: spec.d]
        moving = int((weight > LEAST * weight.max()).sum())
        if moving < spec.d:
            raise SubspaceError(
                f"ekfac projector: {moving:,} directions move the outputs at theta0, got d = {spec.d:,}. Choose at "
                "most so many, or another kind."
            )
        self._chosen = torch.from_numpy(leading.copy())
        self._bases = [(left.float(), right.float()) for left, right in self._bases]
        self.seconds = time.perf_counter() - started

    def _times(self, w: Tensor) -> Tensor:
        along = w.new_zeros(len(w), self.spec.D)
        along[:, self._chosen] = w
        return self._turned(along, forward=True)

    def _transposed(self, v: Tensor) -> Tensor:
        return self._turned(v, forward=False)[:, self._chosen]

    def _turned(self, rows: Tensor, forward: bool) -> Tensor:
        """Apply U, or its transpose, to rows (k, D)."""
        turned = torch.empty_like(rows)
        for slot, (left, right) in zip(self._slots, self._bases, strict=True):
            grid = _matrix(rows, slot)
            grid = left @ grid @ right.T if forward else left.T @ grid @ right
            turned[:, slot.start : slot.stop] = grid.flatten(1)
        return turned


def leading_directions(spec: ProjectorSpec, layout: Layout, start: Start) -> Ekfac:
    """Return the projector, found once where one network is asked about it again: a run does so five times.

    Raises: as `Ekfac`.
    """
    return _found(spec, layout, replace(start, theta0=start.theta0.clone()), frozen_digest(start.module))


@lru_cache(maxsize=1)
@clocked("directions")
def _found(spec: ProjectorSpec, layout: Layout, start: Start, frozen: str) -> Ekfac:
    """Find it. Numbers are compared: theta0 as a copy that nobody else has, all that is frozen by its digest."""
    return Ekfac(spec, layout, start)


def noise(seed: int, count: int, shape: tuple[int, ...]) -> Tensor:
    """Draw inputs (count, *shape) of mean 0 and variance about 1, float64: images (h, w) or (c, h, w), or vectors.

    An image is a sum of normal numbers on grids of 1, 2, 4, ... places, bilinear between them, weaker the finer, which
    falls with the frequency as natural images do (Field 1987); channels share most of it.
    """
    if len(shape) == 1:
        return _normals(seed, "inputs", count, *shape)
    channels, high, wide = (1, *shape)[-3:]
    image, side = torch.zeros(count, channels, high, wide, dtype=torch.float64), 1
    while side < 2 * max(high, wide):
        places = (min(side, high), min(side, wide))
        grid = _normals(seed, f"octave {side}", count, channels + 1, *places)
        grid = grid[:, :1] + OWN_COLOUR * grid[:, 1:]
        image += F.interpolate(grid, size=(high, wide), mode="bilinear", align_corners=False) * side**-FALL
        side *= 2
    return (image / image.std()).view(count, *shape)


def _normals(seed: int, use: str, *shape: int) -> Tensor:
    return torch.from_numpy(random.normals(seed, f"ekfac/{use}", math.prod(shape))).double().view(shape)


def _gradients(spec: ProjectorSpec, layout: Layout, start: Start) -> Iterator[Tensor]:
    """Gradients of <v, logits> in what P w moves, float64 (some examples, D), the same ones each time it is called."""
    assert spec.shape is not None
    network = copy.deepcopy(start.module).double().eval().requires_grad_(False)
    theta, inputs = start.theta0.double(), noise(spec.seed, EXAMPLES, spec.shape)

    def moved(theta: Tensor, x: Tensor, v: Tensor) -> Tensor:
        parameters = {slot.name: theta[slot.start : slot.stop].view(slot.shape) for slot in layout.slots}
        return (functional_call(network, parameters, (x[None],))[0] * v).sum()

    try:
        with torch.no_grad():
            outputs = network(inputs[:1]).shape[1]
        towards = _normals(spec.seed, "outputs", EXAMPLES, outputs)
        towards = towards - towards.mean(1, keepdim=True)
        size = max(1, min(EXAMPLES, CHUNK_ELEMENTS // spec.D))
        for x, v in zip(inputs.split(size), towards.split(size), strict=True):
            rows = vmap(grad(moved), in_dims=(None, 0, 0))(theta, x, v)
            yield rows if start.scale is None else rows * start.scale.double()
    except (RuntimeError, ValueError, TypeError, IndexError, AttributeError) as cause:  # of somebody else's network
        raise SubspaceError(
            f"ekfac projector: the network gives no gradients for noise of shape {spec.shape} in float64: "
            f"{first_line(cause)}. Choose another kind."
        ) from None


def _moments(spec: ProjectorSpec, layout: Layout, start: Start) -> tuple[list[Tensor], list[Tensor]]:
    """Sums of G G^T and of G^T G over examples, for each slot."""
    left = [torch.zeros((), dtype=torch.float64) for _ in layout.slots]
    right = list(left)
    for rows in _gradients(spec, layout, start):
        for k, slot in enumerate(layout.slots):
            grid = _matrix(rows, slot)
            left[k] = left[k] + torch.einsum("kij,kmj->im", grid, grid)
            right[k] = right[k] + torch.einsum("kij,kim->jm", grid, grid)
    return left, right


def _eigenvectors(moment: Tensor, seed: int) -> Tensor:
    """Return the eigenvectors as columns; the sign of each is that of its product with a fixed vector."""
    vectors = torch.linalg.eigh(moment).eigenvectors
    return vectors * torch.where(_normals(seed, "sides", len(moment)) @ vectors < 0, -1.0, 1.0)


def _matrix(rows: Tensor, slot: Slot) -> Tensor:
    """View the part of a slot in rows (k, D) as matrices (k, outputs, inputs); a vector has one column."""
    return rows[:, slot.start : slot.stop].unflatten(1, (-1, slot.fan_in))


def _refuse_large(layout: Layout) -> None:
    for slot in layout.slots:
        side = max((slot.stop - slot.start) // slot.fan_in, slot.fan_in)
        if side > LARGEST_SIDE:
            raise SubspaceError(
                f"ekfac projector: the sides of a weight matrix are at most {LARGEST_SIDE:,}, got {side:,} for "
                f"{slot.name}. Choose another kind, such as fastfood."
            )
