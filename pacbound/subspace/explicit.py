"""Projectors whose entries are drawn one by one: dense Gaussian (on all or some coordinates), sparse, identity."""

import math

import numpy as np
import torch
from torch import Tensor

from ..specs.specs import ProjectorSpec
from . import random
from .projector import Projector

_CHUNK_ENTRIES = 1 << 22  # entries of a dense matrix drawn from one stream; part of its definition
_STORED_BYTES = 1 << 30  # a dense matrix up to this size is kept, a larger one drawn again in every product


class Dense(Projector):
    """Independent normal entries of variance 1/m in m rows, those of chosen slots (by default all D), 0 elsewhere.

    Column norms are 1 up to a relative error of about 1/sqrt(2 m).
    """

    def __init__(self, spec: ProjectorSpec, slots: tuple[slice, ...] = ()) -> None:
        """Draw the matrix if it is small enough to keep. slots: ranges of coordinates, apart, with m in all."""
        self.spec = spec
        self._slots = slots or (slice(0, spec.D),)
        self._sizes = [slot.stop - slot.start for slot in self._slots]
        self._m = sum(self._sizes)
        self._stored = torch.cat(self._draw_all()) if 4 * self._m * spec.d <= _STORED_BYTES else None

    def _times(self, w: Tensor) -> Tensor:
        chunks = self._draw_all() if self._stored is None else [self._stored]
        product = torch.cat([w @ chunk.T for chunk in chunks], 1)
        if self._m == self.spec.D:
            return product
        spread = torch.zeros(len(w), self.spec.D)
        for slot, part in zip(self._slots, product.split(self._sizes, 1), strict=True):
            spread[:, slot] = part
        return spread

    def _transposed(self, v: Tensor) -> Tensor:
        chosen = v if self._m == self.spec.D else torch.cat([v[:, slot] for slot in self._slots], 1)
        if self._stored is not None:
            return chosen @ self._stored
        total = torch.zeros(len(v), self.spec.d)
        for first in range(0, self._m, self._chunk_rows):
            chunk = self._draw(first)
            total += chosen[:, first : first + len(chunk)] @ chunk
        return total

    @property
    def _chunk_rows(self) -> int:
        return max(1, _CHUNK_ENTRIES // self.spec.d)

    def _draw(self, first: int) -> Tensor:
        """Draw the chunk that starts at a row, shape (rows, d): its stream is named by that row."""
        rows = min(self._chunk_rows, self._m - first)
        drawn = random.normals(self.spec.seed, f"{self.spec.kind}/rows {first}", rows * self.spec.d)
        return torch.from_numpy(drawn).view(rows, self.spec.d) / math.sqrt(self._m)

    def _draw_all(self) -> list[Tensor]:
        return [self._draw(first) for first in range(0, self._m, self._chunk_rows)]


class Sparse(Projector):
    """Columns of r = round(sqrt(D)) entries +-1/sqrt(r), one in each of r equal strata of rows.

    Density 1/sqrt(D), after Li et al. 2018 (arXiv:1804.08838, supplement); drawing within strata makes positions
    distinct and every column's norm exactly 1. Held twice in compressed rows, for P and for P^T, and multiplied
    by scipy, whose sums run in a fixed order.
    """

    def __init__(self, spec: ProjectorSpec) -> None:
        """Draw positions and signs, column by column."""
        from scipy import sparse

        self.spec = spec
        r = max(1, round(math.sqrt(spec.D)))
        edges = np.arange(r + 1, dtype=np.int64) * spec.D // r
        widths = np.tile(np.diff(edges), spec.d)
        offsets = random.integers(spec.seed, "sparse/positions", r * spec.d, widths)
        positions = (np.tile(edges[:-1], spec.d) + offsets).astype(np.int32)
        values = random.signs(spec.seed, "sparse/signs", r * spec.d) / np.float32(math.sqrt(r))
        starts = np.arange(spec.d + 1, dtype=np.int64) * r
        self._adjoint = sparse.csr_array((values, positions, starts), shape=(spec.d, spec.D))
        self._matrix = self._adjoint.T.tocsr()

    def _times(self, w: Tensor) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray((self._matrix @ w.numpy().T).T))

    def _transposed(self, v: Tensor) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray((self._adjoint @ v.numpy().T).T))


class Identity(Projector):
    """The D x D identity: no subspace."""

    def __init__(self, spec: ProjectorSpec) -> None:
        """Keep the record."""
        self.spec = spec

    def _times(self, w: Tensor) -> Tensor:
        return w.clone()

    def _transposed(self, v: Tensor) -> Tensor:
        return v.clone()
