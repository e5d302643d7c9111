"""Projectors by fast orthogonal transforms: Walsh-Hadamard (Fastfood) and cosine. Memory O(D), time O(D log d)."""

import math

import numpy as np
import torch
from torch import Tensor

from ..specs.specs import ProjectorSpec
from . import random
from .projector import Projector

_WALSH_FACTOR = 64  # a Walsh-Hadamard transform is done as products with Hadamard matrices of at most this size
_CHUNK_ENTRIES, _CHUNK_BLOCKS = 1 << 18, 16  # entries worked on at a time (1 MiB), and the fewest blocks


class Fastfood(Projector):
    """Blocks H G_j Pi H B of orthogonal p x p matrices, p the power of two from d up, scaled by sqrt(p / D).

    B and G_j are random signs, Pi a permutation, H the orthonormal Walsh-Hadamard matrix; after Le, Sarlos and
    Smola 2013 (ICML, "Fastfood"), with signs for the Gaussian G, which makes every block exactly orthogonal, and
    with B and Pi shared by the blocks, which makes Pi H B w a vector of length p computed once. The entries of a
    block are sums of p signs, near Gaussian. Row i p' + j of P, p' the number of blocks, is row i of block j:
    neighbouring parameters get independent signs. P keeps the first d columns and D rows; where nothing is cut
    off its columns are orthonormal.
    """

    def __init__(self, spec: ProjectorSpec) -> None:
        """Draw the signs and the permutation."""
        self.spec = spec
        self._p = 1 << (spec.d - 1).bit_length()
        self._blocks = -(-spec.D // self._p)
        self._factors = _walsh_factors(self._p)
        self._input_signs = torch.from_numpy(random.signs(spec.seed, "fastfood/input", self._p))
        self._order = torch.from_numpy(random.permutation(spec.seed, "fastfood/order", self._p))
        self._reverse = torch.argsort(self._order)
        signs = torch.from_numpy(random.signs(spec.seed, "fastfood/blocks", self._p * self._blocks))
        self._signs = signs.view(self._p, self._blocks) * math.sqrt(self._p / spec.D)

    def _times(self, w: Tensor) -> Tensor:
        spread = torch.nn.functional.pad(w, (0, self._p - self.spec.d)) * self._input_signs
        mixed = self._walsh(spread)[:, self._order].unsqueeze(2)
        product = torch.empty(len(w), self.spec.D)
        for first, last in self._chunks(len(w)):
            block = self._walsh(mixed * self._signs[:, first:last])  # (k, p, chunk)
            for rows, found in zip(self._rows(product, first, last), self._rows_of(block, first), strict=True):
                rows.copy_(found)
        return product

    def _transposed(self, v: Tensor) -> Tensor:
        mixed = torch.zeros(len(v), self._p)
        for first, last in self._chunks(len(v)):
            block = torch.zeros(len(v), self._p, last - first)
            for rows, place in zip(self._rows(v, first, last), self._rows_of(block, first), strict=True):
                place.copy_(rows)
            mixed += (self._walsh(block) * self._signs[:, first:last]).sum(2)
        return (self._walsh(mixed[:, self._reverse]) * self._input_signs)[:, : self.spec.d]

    def _chunks(self, k: int) -> list[tuple[int, int]]:
        """Cut the blocks into ranges whose working memory stays in cache."""
        width = max(_CHUNK_BLOCKS, _CHUNK_ENTRIES // (k * self._p))
        return [(first, min(first + width, self._blocks)) for first in range(0, self._blocks, width)]

    def _rows(self, v: Tensor, first: int, last: int) -> tuple[Tensor, Tensor]:
        """View the entries of v, shape (k, D), in blocks first .. last - 1: whole rows, then the row cut at D."""
        whole = self.spec.D // self._blocks
        end = whole * self._blocks
        grid = v[:, :end].view(len(v), whole, self._blocks)[:, :, first:last]
        return grid, v[:, end + first : min(end + last, self.spec.D)]

    def _rows_of(self, block: Tensor, first: int) -> tuple[Tensor, Tensor]:
        """View the same entries in the chunk (k, p, last - first) that starts at block `first`."""
        whole, rest = divmod(self.spec.D, self._blocks)
        cut = block[:, whole] if whole < self._p else block[:, 0, :0]
        return block[:, :whole], cut[:, : max(0, rest - first)]

    def _walsh(self, x: Tensor) -> Tensor:
        """Apply the orthonormal transform along axis 1 of (k, p) or (k, p, m): it is its own transpose.

        H_p is the Kronecker product of small Hadamard matrices, so one matrix product per factor does it.
        """
        shape, done = x.shape, x.shape[0]
        for factor in self._factors:
            size = factor.shape[0]
            x = torch.matmul(factor, x.reshape(done, size, -1))
            done *= size
        return x.reshape(shape)


class Cosine(Projector):
    """d random columns of the orthonormal inverse cosine transform of length D, their rows under random signs.

    P = diag(s) C^T E with C the DCT-II matrix and E the selection of d distinct frequencies: the columns are
    exactly orthonormal, |P w| = |w|.
    """

    def __init__(self, spec: ProjectorSpec) -> None:
        """Draw the frequencies (the first d of a permutation of D) and the signs."""
        self.spec = spec
        self._frequencies = random.permutation(spec.seed, "cosine/frequencies", spec.D)[: spec.d].copy()
        self._signs = random.signs(spec.seed, "cosine/signs", spec.D)

    def _times(self, w: Tensor) -> Tensor:
        from scipy import fft

        spectrum = np.zeros((len(w), self.spec.D), dtype=np.float32)
        spectrum[:, self._frequencies] = w.numpy()
        wave = fft.idct(spectrum, norm="ortho", overwrite_x=True)
        wave *= self._signs
        return torch.from_numpy(wave)

    def _transposed(self, v: Tensor) -> Tensor:
        from scipy import fft

        spectrum = fft.dct(v.numpy() * self._signs, norm="ortho", overwrite_x=True)
        return torch.from_numpy(spectrum[:, self._frequencies])


def _walsh_factors(p: int) -> list[Tensor]:
    """Split H_p, p = 2^m, into orthonormal Hadamard matrices of near-equal sizes, whose Kronecker product it is."""
    m = p.bit_length() - 1
    parts = max(1, -(-m // (_WALSH_FACTOR.bit_length() - 1)))
    two = torch.tensor([[1.0, 1.0], [1.0, -1.0]])
    factors = []
    for part in range(parts):
        matrix = torch.ones(1, 1)
        for _ in range((m + part) // parts):
            matrix = torch.kron(matrix, two)
        factors.append(matrix / math.sqrt(matrix.shape[0]))
    return factors
