"""The covering measures of a network: how many functions its layers can tell apart, up to permutations of units.

Shen 2024, arXiv:2305.11417. See `covers` for the counts and `symmetry` for the groups.
"""

import math
from typing import Final

import torch
from torch import Tensor, nn

from ...bounds.claims import Measure
from ...errors import ModelError
from .. import Sample
from ..layers.agreement import steepest
from ..layers.layers import Layers, layers_of
from ..rademacher.capacity import class_of, group_norm
from ..rademacher.comparisons import spectral_cover
from ..rademacher.margin_bound import grid_index, grid_value
from ..rademacher.rademacher import check_slope
from .covers import Family, Units, cover_nats, log_volume_nats, published_nats
from .sample_covers import REFERENCE as ON_SAMPLES
from .sample_covers import sample_cover_nats
from .symmetry import SymmetryGroup, group_of

REFERENCE: Final = "Shen 2024, arXiv:2305.11417"
PROVED: Final = f"{REFERENCE}, with the count proved in pacbound"
SPECTRAL: Final = "Bartlett, Foster and Telgarsky 2017, arXiv:1706.08498, Theorem 3.3"
EPS: Final = 0.1  # radius in the norm of logits that each count is about


def measure_covering(model: nn.Module, example_input: Tensor, data: Sample | None = None) -> tuple[Measure, ...]:
    """Measure the symmetry group of a network and, where it is a plain chain, covering numbers of its family.

    `covering`: log2 of the covering number at radius 0.1 of the logits, of all networks whose parameters and row sums
    are as bounded as these (rounded up to 2^(a/4)); `covering_ordered`: the same without permutations;
    `covering_published`: the published form, for dense networks. `covering_volume`: log2 of (2B)^S / prod d_l!, per
    parameter. With data, `covering_sample`: the count in the Euclidean norm on the sample, of residual networks too,
    and `covering_bartlett_2017`: the published one of dense chains. `covering_symmetry`: log2 of the order of the
    group, rounded down: the bits that unordered units save.

    Args: data: for the range of the inputs; without it inputs are taken to lie in [-1, 1].
    Raises: ModelError where the units of the network cannot be followed.
    """
    group = group_of(model, example_input)
    found = [
        Measure(
            name="covering_symmetry",
            value=float(group.whole_bits),
            unit="bits",
            per_layer=group.bits_of,
            reference=REFERENCE,
            verified=True,
        )
    ]
    layers = layers_of(model, example_input)
    if layers.refusal:
        return tuple(found)
    behind = layers.behind_front()
    if data is not None and not behind.offsets and not layers.slopes:
        found += _on_the_sample(behind, layers.entering(data[0]))
    if any(block.shortcut is not None for block in layers.blocks) or behind.offsets or layers.slopes:
        return tuple(found)  # the counts are about plain chains of fixed activations
    family = family_of(behind, _reach(layers, example_input, data), group)
    check_slope(steepest(model, example_input)[1], log10_gain(layers))
    nats = cover_nats(family, EPS)
    unit = f"bits at radius {EPS:g} of the logits, parameters to {family.bound:.3g}, inputs to {family.reach:.3g}"
    volume = log_volume_nats(family) / math.log(2) / family.parameters
    for name, value, kind in (
        ("covering", _bits(nats.value), unit),
        ("covering_ordered", _bits(nats.grid), unit),
        ("covering_volume", volume, "bits a parameter"),
    ):
        found.append(Measure(name=name, value=value, unit=kind, reference=PROVED, verified=True))
    if all(record.kind == "dense" and not record.input_size for record in layers.records):
        widths = (layers.records[0].in_channels, *(layer.units for layer in family.layers))
        value = _bits(published_nats(widths, EPS, family.bound, family.reach))
        found.append(
            Measure(name="covering_published", value=value, unit=unit, reference=f"{REFERENCE}, as published",
                    verified=False)
        )  # fmt: skip
    return tuple(found)


measure = measure_covering


def _on_the_sample(layers: Layers, x: Tensor) -> list[Measure]:
    """Entropies in the Euclidean norm on the sample: ours, of residual networks too, and Bartlett's of chains."""
    try:
        network = class_of(layers)
    except ModelError:  # a layer that this theorem does not cover
        return []
    unit = f"bits at root mean square radius {EPS:g} of the logits on the sample"
    norm = math.nextafter(float(x.to(torch.float64).norm()), math.inf)
    value = _bits(sample_cover_nats(network, norm, len(x), EPS))
    found = [Measure(name="covering_sample", value=value, unit=unit, reference=ON_SAMPLES, verified=True)]
    plain = not any(block.shortcut is not None for block in layers.blocks)
    if plain and all(record.kind == "dense" and not record.input_size for record in layers.records):
        width = max(max(record.weight.shape) for record in layers.records)
        lipschitz = [limit.lipschitz for limit in network.limits]
        distances = [group_norm(record.kernel) for record in layers.records]
        nats = spectral_cover(norm, EPS * math.sqrt(len(x)), lipschitz, distances, width)
        found.append(
            Measure(name="covering_bartlett_2017", value=math.exp(nats) / math.log(2), unit=f"{unit}, without biases",
                    reference=f"{SPECTRAL}, as published", verified=False)
        )  # fmt: skip
    return found


def family_of(layers: Layers, reach: float, group: SymmetryGroup) -> Family:
    """Make the family of a plain chain: its own ranges and row sums, rounded up to 2^(a/4).

    Args: reach: largest absolute value of an input. group: layers all of whose units it lets change places are counted
        by multisets.
    Raises: ModelError for residual blocks, and for operations between layers that do not map 0 to 0.
    """
    if layers.refusal:
        raise ModelError(f"family_of: covering numbers are counted for chains of layers, but {layers.refusal}.")
    if layers.slopes:
        raise ModelError(f"family_of: activations are fixed, the slopes of {layers.slopes[0]} (PReLU) are learned.")
    if layers.offsets or any(block.shortcut is not None for block in layers.blocks):
        found = ", ".join(layers.offsets) or "a residual block"
        raise ModelError(f"family_of: layers follow one another by maps of 0 to 0, found {found}.")
    records = [block.main.layers[0] for block in layers.blocks]
    largest = max(float(t.abs().max()) for r in records for t in (r.weight, r.bias) if t is not None)
    if largest == 0 or reach <= 0:
        raise ModelError("family_of: parameters and inputs are not all 0, they are.")
    units = []
    for index, block in enumerate(layers.blocks):
        record = records[index]
        rows = float(record.weight.abs().flatten(1).sum(dim=1).max())
        units.append(
            Units(
                units=record.out_channels,
                fan_in=record.weight[0].numel(),
                lipschitz=max(1.0, block.maximum),
                row_bound=_up(rows) if rows > 0 else None,
                exchangeable=(record.name, record.out_channels, 1) in group.factors,
            )
        )
    return Family(tuple(units), _up(largest), reach * max(1.0, layers.before_maximum))


def _reach(layers: Layers, example: Tensor, data: Sample | None) -> float:
    """Largest absolute value of what the first layer of `behind_front` reads; inputs lie in [-1, 1] without data."""
    if data is not None:
        return float(layers.entering(data[0]).abs().max())
    moved = float(layers.entering(torch.zeros_like(example)).abs().max())
    return moved + (layers.before_maximum if layers.fronts else 1.0)


def log10_gain(layers: Layers) -> float:
    """log10 of the Lipschitz constant of a plain chain in the maximum norm."""
    rows = [float(b.main.layers[0].weight.abs().flatten(1).sum(dim=1).max()) * b.maximum for b in layers.blocks]
    factors = [layers.before_maximum, *rows]
    return math.fsum(math.log10(f) for f in factors) if all(f > 0 for f in factors) else -math.inf


def _up(value: float) -> float:
    return grid_value(grid_index(value * (1 + 1e-9)))


def _bits(nats: float) -> float:
    return math.nextafter(nats / math.log(2), math.inf)
