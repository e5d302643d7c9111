"""What other theorems make of the same chain of layers: quantities for comparison, none of them proved here.

Forms as Graf et al. 2022 (arXiv:2202.08070) implement them for their comparison, L layers, kappa classes, multi-class
by a factor kappa where the theorem is about one output; the cover is in nats at radius sqrt n. A dense layer is a
convolution of one place. Biases, which these statements do not know, are left out. All values are log10: the products
overflow doubles in real networks.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from ...bounds.claims import Measure
from ...errors import ModelError
from ..layers.layers import LayerRecord, Layers, squared_frobenius
from ..layers.operator_norms import operator_norm
from .capacity import group_norm

REFERENCES: Final = {
    "rademacher_bartlett_2017": "Bartlett, Foster and Telgarsky 2017, arXiv:1706.08498, Lemma A.8",
    "rademacher_lin_zhang_2019": "Lin and Zhang 2019, Lemma 18",
    "rademacher_neyshabur_2015_l1": "Neyshabur, Tomioka and Srebro 2015, arXiv:1503.00036, (1, inf)",
    "rademacher_neyshabur_2015_l2": "Neyshabur, Tomioka and Srebro 2015, arXiv:1503.00036, Frobenius",
    "rademacher_golowich_2018_l1": "Golowich, Rakhlin and Shamir 2018, arXiv:1712.06541, Theorem 2",
    "rademacher_golowich_2018_l2": "Golowich, Rakhlin and Shamir 2018, arXiv:1712.06541, Theorem 1",
    "rademacher_gouk_2021_l1": "Gouk, Hospedales and Pontil 2021, arXiv:2002.08253, (1, inf)",
    "rademacher_bartlett_cover": "Bartlett, Foster and Telgarsky 2017, arXiv:1706.08498, Theorem 3.3",
    "rademacher_neyshabur_2018": "Neyshabur, Bhojanapalli and Srebro 2018, arXiv:1707.09564, Theorem 1, inner quantity",
}


@dataclass(frozen=True)
class LayerNorms:
    """One layer as these formulas see it; every norm but `spectral` is of the kernel.

    places_in, places_out: entries of one map before and behind. taps, strides: products over dimensions. outputs:
    channels times places_out. distance: (2,1) to the start. l1: largest l1 norm of a filter, l1_distance: the same of
    kernel minus start. frobenius: of the kernel; operator_frobenius: of the map at its size.
    """

    parameters: int
    places_in: int
    places_out: int
    taps: int
    strides: int
    outputs: int
    spectral: float
    frobenius: float
    operator_frobenius: float
    distance: float
    l1: float
    l1_distance: float


@dataclass(frozen=True)
class SampleNorms:
    """Norms of a sample (n, ...): of all of it, of its largest row, column and entry; `inputs` entries a row."""

    n: int
    inputs: int
    classes: int
    total: float
    row: float
    column: float
    entry: float


def measure_comparisons(
    layers: Layers, start: Layers | None, x: Tensor, classes: int, gamma: float
) -> tuple[Measure, ...]:
    """Compute every quantity for a plain chain; () for a residual network, which these theorems do not cover.

    Args: start: the network before training, None for distances to 0. x: (n, ...) as the network reads it.
    """
    if any(block.shortcut is not None for block in layers.blocks):
        return ()
    norms = [layer_norms(record, None if start is None else start.named(record.name)) for record in layers.records]
    found = comparisons(norms, sample_norms(x, classes), gamma)
    left_out = ", biases left out" if any(record.bias is not None for record in layers.records) else ""
    return tuple(
        Measure(name=name, value=value, unit=f"log10, gamma {gamma:g}, n {len(x)}{left_out}",
                reference=REFERENCES[name], verified=False)
        for name, value in found.items()
        if math.isfinite(value)
    )  # fmt: skip


def layer_norms(record: LayerRecord, start: LayerRecord | None = None) -> LayerNorms:
    """Measure one layer. Raises: ModelError where the map has no Frobenius norm at its size, or is 0."""
    moved = record.kernel if start is None else record.kernel - start.kernel
    dense = record.kind == "dense"
    found = LayerNorms(
        parameters=record.weight.numel(),
        places_in=1 if dense else math.prod(record.input_size),
        places_out=1 if dense else math.prod(record.output_size),
        taps=math.prod(record.kernel_size),
        strides=math.prod(record.stride),
        outputs=record.out_channels * math.prod(record.output_size),
        spectral=operator_norm(record).upper,
        frobenius=float(record.kernel.norm()),
        operator_frobenius=math.sqrt(squared_frobenius(record)),
        distance=group_norm(moved),
        l1=_largest_filter(record.kernel),
        l1_distance=_largest_filter(moved),
    )
    if found.frobenius == 0:
        raise ModelError(f"layer_norms: {record.name} is 0, so the network is constant and products have no log.")
    return found


def sample_norms(x: Tensor, classes: int) -> SampleNorms:
    """Measure a sample (n, ...) as the network reads it."""
    flat = x.reshape(len(x), -1).to(torch.float64)
    return SampleNorms(
        n=len(x),
        inputs=flat.shape[1],
        classes=classes,
        total=float(flat.norm()),
        row=float(flat.norm(dim=1).max()),
        column=float(flat.norm(dim=0).max()),
        entry=float(flat.abs().max()),
    )


def comparisons(layers: Sequence[LayerNorms], sample: SampleNorms, gamma: float) -> dict[str, float]:
    """Return name -> log10 of the quantity, in the order of REFERENCES; inf or -inf where a factor is 0."""
    n, depth, classes = sample.n, len(layers), sample.classes
    spectral = math.fsum(_log(layer.spectral) for layer in layers)
    l1 = _log(classes) + math.fsum(_log(layer.l1) for layer in layers) - _log(n) / 2
    maps = _log(classes) + math.fsum(
        _log(layer.frobenius) + (_log(layer.places_in) - _log(layer.strides)) / 2 for layer in layers
    )
    relative = math.fsum(layer.l1_distance / layer.l1 for layer in layers)
    total = _log(sample.total) - _log(n)  # ||X|| / n, as a log
    wide = math.fsum(
        layer.parameters**2 * math.sqrt(layer.places_in / layer.strides) * layer.frobenius / layer.spectral
        for layer in layers
    )
    logs = {
        "rademacher_bartlett_2017": _bartlett(layers, sample, gamma),
        "rademacher_lin_zhang_2019": _log(16) - _log(n) / 2
        + (_log(2 / gamma) + _log(sample.total) - _log(n) / 2 + spectral + 2 * _log(depth) + _log(wide)) / 4,
        "rademacher_neyshabur_2015_l1": depth * _log(2) + l1 + _log(_log(2 * sample.inputs)) / 2 + _log(sample.entry),
        "rademacher_neyshabur_2015_l2": (depth - 1.5) * _log(2) + total + maps,
        "rademacher_golowich_2018_l1": _log(2) + l1 + _log(depth + 1 + _log(sample.inputs)) / 2
        + _log(sample.column) - _log(n) / 2,
        "rademacher_golowich_2018_l2": total + maps + _log(1 + math.sqrt(2 * math.log(2) * depth)),
        "rademacher_gouk_2021_l1": (depth + 1) * _log(2) + l1 + _log(_log(sample.inputs)) + _log(relative)
        + _log(sample.entry),
        "rademacher_bartlett_cover": _cover(layers, sample),
        "rademacher_neyshabur_2018": _spectral_inner(layers, sample, gamma),
    }  # fmt: skip
    return {name: value / math.log(10) for name, value in logs.items()}


def spectral_product(spectral: Sequence[float], frobenius: Sequence[float]) -> float:
    """ln of prod ||W_i||_2^2 sum_i ||W_i||_F^2 / ||W_i||_2^2, where stable ranks enter bounds.

    Neyshabur, Bhojanapalli and Srebro 2018, arXiv:1707.09564, Theorem 1.
    """
    ranks = math.fsum((f / s) ** 2 for s, f in zip(spectral, frobenius, strict=True))
    return 2 * math.fsum(_log(s) for s in spectral) + _log(ranks)


def spectral_cover(
    data_norm: float, eps: float, lipschitz: Sequence[float], distances: Sequence[float], width: int
) -> float:
    """ln of the nats in ln N(eps) <= ||X||^2 ln(2 W^2) / eps^2 prod s_j^2 (sum (b_j / s_j)^(2/3))^3.

    For 1-Lipschitz activations; Bartlett, Foster and Telgarsky 2017, arXiv:1706.08498, Theorem 3.3. width: W, the
    largest dimension.
    """
    ratios = math.fsum((b / s) ** (2 / 3) for s, b in zip(lipschitz, distances, strict=True))
    front = 2 * (_log(data_norm) - _log(eps)) + _log(_log(2 * width**2))
    return front + 2 * math.fsum(_log(s) for s in lipschitz) + 3 * _log(ratios)


def _bartlett(layers: Sequence[LayerNorms], sample: SampleNorms, gamma: float) -> float:
    """The (2,1) bound of the whole matrices: b d_out^2 / k, W (d_in d_out / k)^2; ln n for H, nothing rounded up."""
    n, depth = sample.n, math.fsum(_log(layer.spectral) for layer in layers)
    front = _log(4 / gamma) + _log(sample.total) - _log(n) / 2 + depth
    scaled = [
        2 / 3 * (front + _log(layer.distance) + _log(layer.places_out) - _log(layer.taps) / 2 - _log(layer.spectral))
        for layer in layers
    ]
    top = max(scaled)
    if top == -math.inf:
        return _log(4) - _log(n)
    norms = 1.5 * (top + _log(math.fsum(math.exp(one - top) for one in scaled)))
    width = max(layer.parameters * layer.places_in * layer.places_out / layer.taps for layer in layers)
    main = _log(12) + _log(_log(n)) - _log(n) / 2 + _log(_log(2 * width)) / 2 + norms
    least = _log(4) - _log(n)
    return max(main, least) + math.log1p(math.exp(-abs(main - least)))


def _cover(layers: Sequence[LayerNorms], sample: SampleNorms) -> float:
    """Nats of a cover whose functions are on average 1 apart: eps = sqrt n. Kernels as matrices at all places."""
    distances = [layer.distance * layer.places_out / math.sqrt(layer.taps) for layer in layers]
    width = max(sample.inputs, *(layer.outputs for layer in layers))
    return spectral_cover(sample.total, math.sqrt(sample.n), [layer.spectral for layer in layers], distances, width)


def _spectral_inner(layers: Sequence[LayerNorms], sample: SampleNorms, gamma: float) -> float:
    """sqrt(B^2 d^2 h ln(d h) prod ||W||^2 sum sr / (gamma^2 n)); no constant is known, ln(d n / delta) is left out."""
    depth, width = len(layers), max(layer.outputs for layer in layers)
    product = spectral_product([layer.spectral for layer in layers], [layer.operator_frobenius for layer in layers])
    inside = (
        2 * (_log(sample.row) + _log(depth) - _log(gamma)) + _log(width) + _log(_log(depth * width)) - _log(sample.n)
    )
    return (inside + product) / 2


def _largest_filter(kernel: Tensor) -> float:
    return float(kernel.abs().flatten(1).sum(dim=1).max())


def _log(value: float) -> float:
    return math.log(value) if value > 0 else -math.inf
