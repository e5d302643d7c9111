"""Stable ranks of a network, initialisation at a prescribed one, and what it does to a forward pass.

sr(W) = ||W||_F^2 / ||W||_2^2, between 1 and the rank. Georgiev, Franken, Mukherjee and Arvanitidis 2021
(arXiv:2110.02333) put it forward as a factor of propagation that is linear in each layer and accumulates
exponentially in depth. The laws below are derived for layers s U diag(sigma) V^T with independent Haar factors.
"""

import math
from collections.abc import Sequence
from typing import Final, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase

from ...bounds.claims import Measure
from ...errors import ModelError
from ...progress import hidden, tqdm
from ...subspace.random import normals
from .. import Sample
from ..layers.layers import Layers, layers_of, squared_frobenius
from ..layers.linear_maps import CONVOLUTIONS
from ..layers.operator_norms import operator_norm
from ..rademacher.comparisons import spectral_product

REFERENCE: Final = "Georgiev et al. 2021, arXiv:2110.02333"
SPECTRAL: Final = "Neyshabur, Bhojanapalli and Srebro 2018, arXiv:1707.09564, Theorem 1"

Scale = Literal["rms", "norm"]
Profile = Literal["flat", "power"]


def stable_rank(matrix: Tensor) -> float:
    """||W||_F^2 / ||W||_2^2 of a matrix (m, n); 0 for the zero matrix, which has none. Raises: ModelError."""
    if not bool(torch.isfinite(matrix).all()):
        raise ModelError("stable_rank: weights are finite, got NaN or infinity. The training may have diverged.")
    values = torch.linalg.svdvals(matrix.detach().to("cpu", torch.float64))
    top = float(values[0]) if len(values) else 0.0
    return float((values / top).square().sum()) if top > 0 else 0.0


def measure_stable_rank(model: nn.Module, example_input: Tensor, data: Sample | None = None) -> tuple[Measure, ...]:
    """Measure the stable ranks of every linear map.

    `stable_rank_reshaped`: of kernels as matrices (out, in k k). `stable_rank_operator`: of the maps at their sizes,
    from the upper end of the operator norm, hence never too large. `stable_rank_log2_gain`: log2 of prod a_l, the
    forecast factor of squared norms of activations per dimension were the layers Haar, with ReLU between them.
    `stable_rank_spectral_product`: log10 of prod ||A||_2^2 sum sr(A), the form in which stable ranks enter bounds.
    The first two are means over layers, the third is a sum.
    Args: data: not needed. Raises: ModelError.
    """
    layers = layers_of(model, example_input)
    if not layers.records:
        raise ModelError(
            f"measure_stable_rank: a network has a linear layer that can be expressed, got none. Skipped: "
            f"{'; '.join(f'{s.name}: {s.reason}' for s in layers.skipped) or 'nothing'}."
        )
    reshaped = {r.name: stable_rank(r.weight.reshape(r.out_channels, -1)) for r in layers.records}
    sized = [r for r in layers.records if r.padding_mode in ("zeros", "circular")]
    shown = tqdm(sized, desc="operator norms", unit="layer", delay=2, disable=hidden(), leave=False)
    tops = {r.name: operator_norm(r).upper for r in shown}
    frobenius = {r.name: math.sqrt(squared_frobenius(r)) for r in sized}
    operator = {name: max(1.0, (frobenius[name] / top) ** 2) if top > 0 else 0.0 for name, top in tops.items()}
    gains = log2_gains(layers)
    found = [Measure(name="stable_rank_reshaped", value=_mean(reshaped), unit="rank, mean over layers",
                     per_layer=reshaped, reference=REFERENCE, verified=True)]  # fmt: skip
    if operator:
        found.append(Measure(name="stable_rank_operator", value=_mean(operator), unit="rank, mean over layers",
                             per_layer=operator, reference=REFERENCE, verified=True))  # fmt: skip
    if gains:
        found.append(Measure(name="stable_rank_log2_gain", value=sum(gains.values()), unit="log2 of a factor",
                             per_layer=gains, reference=REFERENCE, verified=False))  # fmt: skip
    if len(sized) == len(layers.records) and all(tops.values()):
        product = spectral_product(list(tops.values()), list(frobenius.values())) / math.log(10)
        found.append(Measure(name="stable_rank_spectral_product", value=product, unit="log10",
                             reference=SPECTRAL, verified=False))  # fmt: skip
    return tuple(found)


measure = measure_stable_rank


def _mean(values: dict[str, float]) -> float:
    return sum(values.values()) / len(values)


def log2_gains(layers: Layers) -> dict[str, float]:
    """Forecast log2 of how each layer changes the mean square of an activation: ||A||_F^2 / (2 n_out).

    n_out is the number of outputs at all places; the last layer has no ReLU behind it and no factor 1/2. Layers that
    are zero, or whose padding repeats entries, are left out.
    """
    gains = {}
    for record in layers.records:
        if record.padding_mode not in ("zeros", "circular"):
            continue
        outputs = record.out_channels * math.prod(record.output_size)
        factor = squared_frobenius(record) / outputs / (1 if record is layers.records[-1] else 2)
        if factor > 0:
            gains[record.name] = math.log2(factor)
    return gains


def spectrum(rank: float, size: int, profile: Profile = "flat") -> NDArray[np.float64]:
    """Singular values (size,), the first 1, with squares that sum to `rank`.

    flat: floor(r) ones, then sqrt(r - floor r), then zeros. power: i^-a, a by bisection.
    Raises: ModelError unless 1 <= rank <= size.
    """
    if not 1 <= rank <= size:
        raise ModelError(
            f"spectrum: a stable rank lies between 1 and the smaller side, here {size}, got {rank}. Choose one there."
        )
    if profile == "flat":
        whole = math.floor(rank)
        values = np.zeros(size)
        values[:whole] = 1
        if whole < size:
            values[whole] = math.sqrt(rank - whole)
        return values
    index = np.arange(1, size + 1, dtype=np.float64)
    low, high = 0.0, 64.0  # sum i^(-2a) falls from size at 0 to 1 + 2^-128 at 64
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if (index ** (-2 * middle)).sum() > rank else (low, middle)
    return index ** (-(low + high) / 2)


def haar(rows: int, columns: int, seed: int, stream: str) -> NDArray[np.float64]:
    """Draw `columns` <= `rows` orthonormal columns, rotation invariant up to the generator's normals.

    QR of a Gaussian matrix, columns multiplied by the sign of R's diagonal (Mezzadri 2007, arXiv:math-ph/0609050).
    """
    gaussian = normals(seed, stream, rows * columns).astype(np.float64).reshape(rows, columns)
    q, r = np.linalg.qr(gaussian)
    return np.asarray(q * np.where(np.diag(r) < 0, -1.0, 1.0))


def sample_matrix(
    shape: tuple[int, int], rank: float, scale: float, seed: int, stream: str, profile: Profile = "flat"
) -> Tensor:
    """Draw W = scale U diag(sigma) V^T of shape (out, in), float64, with stable rank `rank` and Haar U, V."""
    size = min(shape)
    left, right = (haar(side, size, seed, f"{stream}/{name}") for side, name in zip(shape, "uv", strict=True))
    return torch.from_numpy(scale * (left * spectrum(rank, size, profile)) @ right.T)


def stable_rank_init_(
    module: nn.Module, rank: float, seed: int, scale: Scale = "rms", profile: Profile = "flat"
) -> dict[str, float]:
    """Initialise a network in place with a prescribed stable rank, and return the rank of each layer.

    Each kernel, as a matrix (out, in k k), is s U diag(sigma) V^T. rms: s = sqrt(2 n_out / r), the second moment of
    He et al. 2015 (||W||_F^2 = 2 n_out), so that mean squares of activations survive. norm: s = sqrt(2 n_in / r), so
    that squared norms do. A layer with a side below `rank` gets that side instead. Biases are 0, normalisations 1.
    Raises: ModelError where another module owns parameters, or for a rank below 1.
    """
    used: dict[str, float] = {}
    for name, layer in module.named_modules():
        own = dict(layer.named_parameters(recurse=False))
        if not own:
            continue
        known = isinstance(layer, (nn.Linear, *CONVOLUTIONS, _NormBase, nn.GroupNorm, nn.LayerNorm))
        if not known:
            raise ModelError(
                f"stable_rank_init_: parameters belong to Linear, Conv or normalisation layers, got "
                f"{type(layer).__name__} ({name}). Initialise this network yourself."
            )
        kernel = own["weight"]
        with torch.no_grad():
            if isinstance(layer, (nn.Linear, *CONVOLUTIONS)):
                out, entering = kernel.shape[0], math.prod(kernel.shape[1:])
                used[name] = r = min(float(rank), float(min(out, entering)))
                factor = math.sqrt(2 * (out if scale == "rms" else entering) / r)
                drawn = sample_matrix((out, entering), r, factor, seed, f"measures/stable_rank/{name}", profile)
                kernel.copy_(drawn.reshape(kernel.shape))
            else:
                kernel.fill_(1.0)
            if "bias" in own:
                own["bias"].zero_()
    return used


def normalise_stable_rank(matrix: Tensor, rank: float) -> Tensor:
    """Lower the stable rank to at most `rank` by shrinking all but the top singular direction, which is kept.

    W' = S1 + g (W - S1), g = min(1, sqrt(r - 1) sigma_1 / ||W - S1||_F). Sanyal, Torr and Dokania 2020
    (arXiv:1906.04659), the form with the top singular value preserved.
    Raises: ModelError for a rank below 1.
    """
    if rank < 1:
        raise ModelError(f"normalise_stable_rank: a stable rank is at least 1, got {rank}.")
    left, values, right = torch.linalg.svd(matrix.to(torch.float64), full_matrices=False)
    top = values[0] * torch.outer(left[:, 0], right[0])
    rest = matrix.to(torch.float64) - top
    size = float(values[1:].norm())
    shrink = 1.0 if size == 0 else min(1.0, math.sqrt(rank - 1) * float(values[0]) / size)
    return top + shrink * rest


def feed_forward_factors(
    widths: Sequence[int], ranks: Sequence[float], scales: Sequence[float], slope: float = 0.0
) -> tuple[float, ...]:
    """a_l in E||h_l||^2 = a_l E||h_(l-1)||^2: (1 + c^2) / 2 * r_l s_l^2 / n_(l-1), exact at any width.

    V Haar gives E||W h||^2 = ||W||_F^2 ||h||^2 / n_in; U Haar makes the direction uniform, of which a leaky ReLU of
    slope c keeps (1 + c^2) / 2. The same factors hold for tangents and for squared speeds of curves.
    Args: widths: n_0 .. n_L. ranks, scales: r_l and s_l of the L layers.
    Raises: ModelError where the lengths differ.
    """
    if not len(widths) - 1 == len(ranks) == len(scales):
        raise ModelError(
            f"feed_forward_factors: L + 1 widths go with L ranks and scales, got {len(widths)}, {len(ranks)} "
            f"and {len(scales)}."
        )
    kept = (1 + slope**2) / 2
    return tuple(kept * r * s**2 / n for n, r, s in zip(widths, ranks, scales, strict=False))


def second_moment_variance(values: Sequence[float], entering: int) -> float:
    """Var(||W x||^2) / (s^4 ||x||^4) of one Haar layer: 2 (n sum sigma^4 - r^2) / (n^2 (n + 2)), n inputs.

    Args: values: its singular values over s, zeros may be left out.
    """
    squares = [value**2 for value in values]
    fourth, rank = math.fsum(v**2 for v in squares), math.fsum(squares)
    return 2 * (entering * fourth - rank**2) / (entering**2 * (entering + 2))
