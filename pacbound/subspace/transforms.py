"""Projectors by fast orthogonal transforms: Walsh-Hadamard (Fastfood, whole and tiled) and cosine. Memory O(D)."""

import math
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from ..specs.specs import ProjectorSpec
from . import random
from .projector import Projector

_WALSH_FACTOR = 64  # a Walsh-Hadamard transform is done as products with Hadamard matrices of at most this size
_CHUNK_ENTRIES, _CHUNK_BLOCKS = 1 << 18, 16  # entries worked on at a time (1 MiB), and the fewest blocks
_TILE_FACTOR, _TILE_ORDERS = 64, 8  # of tiled fastfood, part of its definition: a factor of 16 makes rows coincide


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
        mixed = _walsh(self._factors, spread)[:, self._order].unsqueeze(2)
        product = torch.empty(len(w), self.spec.D)
        for first, last in self._chunks(len(w)):
            block = _walsh(self._factors, mixed * self._signs[:, first:last])  # (k, p, chunk)
            for rows, found in zip(self._rows(product, first, last), self._rows_of(block, first), strict=True):
                rows.copy_(found)
        return product

    def _transposed(self, v: Tensor) -> Tensor:
        mixed = torch.zeros(len(v), self._p)
        for first, last in self._chunks(len(v)):
            block = torch.zeros(len(v), self._p, last - first)
            for rows, place in zip(self._rows(v, first, last), self._rows_of(block, first), strict=True):
                place.copy_(rows)
            mixed += (_walsh(self._factors, block) * self._signs[:, first:last]).sum(2)
        return (_walsh(self._factors, mixed[:, self._reverse]) * self._input_signs)[:, : self.spec.d]

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


class TiledFastfood(Projector):
    """Tiles T G_j Pi_k H B of p consecutive rows, p the power of two from d up, scaled by sqrt(p / D); k = j mod 8.

    As Fastfood, but the second transform T is block diagonal, with Hadamard matrices of min(p, 64): what crosses
    memory for each parameter is one sign and one number, in order. Each tile is orthogonal, and row i p + a of P is
    row a of tile i; P keeps the first d columns and D rows; where no row is cut off its columns are orthonormal. An
    entry is a sum of 64 signs, of kurtosis 3 - 2/64. The rows of all tiles that see the same 64 mixed numbers span no
    more than these: eight orders Pi_k, one after the other, keep parameters a multiple of p apart from sharing them.
    """

    def __init__(self, spec: ProjectorSpec) -> None:
        """Draw the signs and the eight permutations, fewer where there are fewer tiles."""
        self.spec = spec
        self._p = 1 << (spec.d - 1).bit_length()
        tiles = -(-spec.D // self._p)
        orders = min(_TILE_ORDERS, tiles)
        self._factors = _walsh_factors(self._p)
        (self._tile_factor,) = _walsh_factors(min(self._p, _TILE_FACTOR))
        self._input_signs = torch.from_numpy(random.signs(spec.seed, "tiled/input", self._p))
        drawn = [random.permutation(spec.seed, f"tiled/order {k}", self._p) for k in range(orders)]
        self._order = torch.from_numpy(np.stack(drawn))
        self._reverse = torch.argsort(self._order)
        signs = torch.from_numpy(random.signs(spec.seed, "tiled/signs", -(-tiles // orders) * orders * self._p))
        self._signs = signs.view(-1, orders, self._p).mul_(math.sqrt(self._p / spec.D))  # a tile of each order a round

    def _times(self, w: Tensor) -> Tensor:
        spread = torch.nn.functional.pad(w, (0, self._p - self.spec.d)) * self._input_signs
        mixed = _walsh(self._factors, spread)[:, self._order].unsqueeze(1)  # (k, 1, orders, p)
        product = torch.empty(len(w), self.spec.D)
        for signs, rows in self._chunks(product):
            rows.copy_(self._within_tiles(mixed * signs)[:, : rows.shape[1]])
        return product

    def _transposed(self, v: Tensor) -> Tensor:
        mixed = torch.zeros(len(v), *self._order.shape)
        for signs, rows in self._chunks(v):
            padded = torch.nn.functional.pad(rows, (0, signs.numel() - rows.shape[1]))
            mixed += self._within_tiles(padded).view(len(v), *signs.shape).mul_(signs).sum(1)
        spread = mixed.gather(2, self._reverse.expand_as(mixed)).sum(1)
        return (_walsh(self._factors, spread) * self._input_signs)[:, : self.spec.d]

    def _chunks(self, v: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """Cut rounds of tiles into ranges whose working memory stays in cache: their signs, and their columns of v."""
        entries = self._order.numel()
        for signs in self._signs.split(max(1, _CHUNK_ENTRIES // (len(v) * entries))):
            rows, v = v[:, : signs.numel()], v[:, signs.numel() :]
            yield signs, rows

    def _within_tiles(self, x: Tensor) -> Tensor:
        """Transform groups of consecutive numbers, its own transpose; shape (k, rows)."""
        return (x.reshape(-1, len(self._tile_factor)) @ self._tile_factor).view(len(x), -1)


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


def _walsh(factors: list[Tensor], x: Tensor) -> Tensor:
    """Apply the orthonormal transform along axis 1 of (k, p) or (k, p, m): it is its own transpose.

    H_p is the Kronecker product of small Hadamard matrices, so one matrix product per factor does it.
    """
    shape, done = x.shape, x.shape[0]
    for factor in factors:
        size = factor.shape[0]
        x = torch.matmul(factor, x.reshape(done, size, -1))
        done *= size
    return x.reshape(shape)
