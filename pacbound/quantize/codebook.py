"""Scalar codebook: every coefficient is one of K float16 centroids (Lotfi et al. 2022, arXiv:2211.13609, sec. 4)."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ..bits.coder import Symbols
from ..errors import QuantizeError
from ..specs.specs import CodebookSpec

Init = Literal["uniform", "kmeans"]
LLOYD_STEPS = 50


def initial_centroids(w: NDArray[np.float32], levels: int, init: Init) -> NDArray[np.float32]:
    """Return `levels` sorted centroids (K,): means of equal-width bins, or one-dimensional k-means started there.

    Raises: QuantizeError where levels is not in 1..256 or a coefficient is not finite.
    """
    if not 1 <= levels <= 256:
        raise QuantizeError(f"Codebook: 1 to 256 levels, got {levels}.")
    if not np.isfinite(w).all():
        raise QuantizeError(
            "Codebook: coefficients are finite, got NaN or infinity; training diverged, lower its rate."
        )
    reach = float(np.abs(w).max(initial=0.0)) or 1.0
    edges = np.linspace(-reach, reach, levels + 1)
    centroids = _means(w, np.clip(np.searchsorted(edges, w, "right") - 1, 0, levels - 1), (edges[1:] + edges[:-1]) / 2)
    for _ in range(LLOYD_STEPS if init == "kmeans" else 0):
        centroids = _means(w, assign(w, centroids), centroids)
    return centroids.astype(np.float32)


def _means(w: NDArray[np.float32], index: NDArray[np.int64], empty: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean of each bin; an empty bin keeps its place."""
    counts = np.bincount(index, minlength=len(empty))
    sums = np.bincount(index, weights=w.astype(np.float64), minlength=len(empty))
    return np.sort(np.where(counts > 0, sums / np.maximum(counts, 1), empty))


def assign(w: NDArray[np.float32], centroids: NDArray[np.floating]) -> NDArray[np.int64]:
    """Return the index (d,) of the nearest of the sorted centroids."""
    middles = (centroids[1:] + centroids[:-1]) / 2
    return np.searchsorted(middles, w, "left")


def to_codebook(w: NDArray[np.float32], centroids: NDArray[np.float32]) -> tuple[Symbols, CodebookSpec]:
    """Round centroids to float16 and coefficients to the nearest of them; unused centroids are dropped.

    Raises: QuantizeError where a centroid does not fit float16.
    """
    with np.errstate(over="ignore"):  # infinity is refused below
        half = np.unique(centroids.astype(np.float16))
    if not np.isfinite(half).all():
        raise QuantizeError("Codebook: centroids fit float16 (at most 65504), got a larger one; training diverged.")
    index = assign(w, half.astype(np.float64))
    used, symbols = np.unique(index, return_inverse=True)
    book = half[used] if len(used) else half[:1]
    return symbols.astype(np.int32), CodebookSpec(centroids=tuple(int(bits) for bits in book.view(np.uint16)))


def from_codebook(symbols: Symbols, spec: CodebookSpec) -> NDArray[np.float32]:
    """Return the coefficients (d,) that symbols stand for."""
    return np.array(spec.centroids, np.uint16).view(np.float16).astype(np.float32)[symbols]
