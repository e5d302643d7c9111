"""The Rademacher measures of a network: excess-capacity quantities of Graf et al. 2022, arXiv:2202.08070."""

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

import torch
from torch import Tensor, nn

from ...bounds.claims import Bound, Measure
from ...errors import BoundError, ModelError
from ...models.others import private_copy
from .. import Sample
from ..layers.agreement import steepest
from ..layers.layers import layers_of
from .capacity import NetworkClass, class_of, log10_capacity, log10_lipschitz, norms_of
from .comparisons import measure_comparisons
from .complexity import complexity, published_complexity
from .margin_bound import data_norm, margins, post_hoc

REFERENCE: Final = "Graf et al. 2022, arXiv:2202.08070"
TIGHTENED: Final = f"{REFERENCE}, Theorem 3.5, with sqrt 2 / gamma as proved in pacbound"
QUANTILE: Final = 0.1  # of the training margins, where gamma is read
BATCH: Final = 500
SLACK: Final = 1e-6  # of log10, for slopes in float64


def measure_rademacher(
    model: nn.Module, example_input: Tensor, data: Sample | None = None, start: nn.Module | None = None
) -> Iterator[Measure]:
    """Measure how large the smallest class around the start is that holds the network.

    `rademacher_capacity`: log10 of (prod s)(sum (b/s)^(2/3))^(3/2), `rademacher_lipschitz`: log10 of prod s,
    `rademacher_distance`: (2,1) distances to the start, summed. With data: `rademacher_data_norm`,
    `rademacher_gamma` (tenth percentile of the margins, down to a power of two; 1 where that is negative),
    `rademacher`: log10 of the bound of R_S(F_gamma), and the form as published beside it; for plain chains also what
    earlier theorems would say (comparisons.py).

    A refusal comes after what could be measured: the Lipschitz constant holds for batch normalisation in evaluation
    mode, for sigmoids and for padding that repeats entries, distances and complexities do not. Where the operations
    before the first layer move 0 ((x - mean) / std), all but the Lipschitz constant is about what they give.

    Args: start: the network before training; None measures distances to 0, which no sample can influence either.
    Raises: ModelError where the network is no chain of layers and residual blocks that the theorem covers, or where
        two inputs are found between which it is steeper than its Lipschitz constant.
    """
    whole = layers_of(model, example_input)
    norms = norms_of(whole)
    if any(limit.lipschitz == 0 for limit in norms.limits):
        raise ModelError("measure_rademacher: a layer is 0, so the network is constant and its capacity has no log.")
    lipschitz = {limit.name: limit.lipschitz for limit in norms.limits}
    constant = log10_lipschitz(norms)
    check_slope(steepest(model, example_input)[0], constant)
    yield _measure("rademacher_lipschitz", constant, "log10; norms per layer", lipschitz)
    trained = whole.behind_front()
    started = None if start is None else layers_of(start, example_input).behind_front()
    network = class_of(trained, started, replace(norms, before=trained.before))
    origin = "from 0" if start is None else "from the start"
    distances = {limit.name: limit.distance for limit in network.limits}
    yield _measure("rademacher_distance", math.fsum(distances.values()), f"(2,1) norm {origin}", distances)
    if any(distance > 0 for distance in distances.values()):
        shares = {name: distances[name] / lipschitz[name] for name in distances}
        unit = f"log10, distances {origin}; b/s per layer"
        yield _measure("rademacher_capacity", log10_capacity(network), unit, shares)
    if data is None:
        return
    logits, y = logits_of(model, data[0]), data[1]
    x, gamma = whole.entering(data[0]), _gamma(margins(logits, y))
    yield from _on_data(network, x, gamma)
    yield from measure_comparisons(trained, started, x, logits.shape[1], gamma)


def check_slope(found: float, log10_constant: float) -> None:
    """Refuse a constant that the network itself exceeds. Args: found: a slope of it. Raises: ModelError."""
    if found > 0 and math.log10(found) > log10_constant + SLACK:
        raise ModelError(
            f"check_slope: a network is nowhere steeper than its constant, traced as 10^{log10_constant:.3f}, "
            f"got 10^{math.log10(found):.3f} between two inputs: its forward pass does what the trace misses. "
            "Write it with torch.nn layers and without side effects."
        )


measure = measure_rademacher


def rademacher_bound(
    model: nn.Module, data: Sample, delta: float, start: nn.Module | None = None
) -> tuple[Bound, float]:
    """Bound the 0-1 risk of a trained network by its own norms and margins, every choice paid; usually vacuous.

    Args: data: (x, y) as the network reads them, the training sample. start: the network before training, which
        must not depend on the sample.
    Returns: the bound and the margin gamma at which it was smallest. Raises: ModelError, BoundError.
    """
    x, y = data
    whole = layers_of(model, x[:1])
    network = class_of(whole.behind_front(), None if start is None else layers_of(start, x[:1]).behind_front())
    check_slope(steepest(model, x[:1])[0], log10_lipschitz(norms_of(whole)))
    norm = data_norm(whole.entering(x), lambda part: part)
    return post_hoc(network, margins(logits_of(model, x), y), norm, delta)


def logits_of(model: nn.Module, x: Tensor) -> Tensor:
    """Logits (n, classes) in evaluation mode, batch by batch; the network itself is not changed."""
    replica = private_copy(model)
    with torch.no_grad():
        return torch.cat([replica(x[i : i + BATCH]) for i in range(0, len(x), BATCH)])


def _gamma(margin: Tensor) -> float:
    """The tenth percentile of the margins, down to a power of two; 1 where it is not positive."""
    low = float(margin.quantile(QUANTILE)) if len(margin) < 1 << 24 else float(margin.sort().values[len(margin) // 10])
    return math.ldexp(1.0, math.frexp(low)[1] - 1) if math.isfinite(low) and low > 0 else 1.0


def _on_data(network: NetworkClass, x: Tensor, gamma: float) -> list[Measure]:
    norm = data_norm(x, lambda part: part)
    size = complexity(network, norm, len(x), gamma)
    provable = min(size.club, size.spade)  # Dudley's integral stops at 4, which says nothing about capacity
    published = published_complexity(network, norm, len(x), gamma)
    found = [
        _measure("rademacher_data_norm", norm, "norm", {}),
        _measure("rademacher_gamma", gamma, "margin", {}),
    ]
    for name, value, reference, verified in (
        ("rademacher", provable, TIGHTENED, True),
        ("rademacher_published_norms", published.club, f"{REFERENCE}, Theorem 3.5, as published", False),
        ("rademacher_published_parameters", published.spade, f"{REFERENCE}, Theorem 3.5, as published", False),
    ):
        if math.isinf(value):
            raise BoundError(f"measure_rademacher: {name} is too large for a double. Measure without data.")
        log10 = math.nextafter(math.log10(value), math.inf) if value > 0 else -math.inf
        if math.isfinite(log10):
            unit = f"log10, gamma {gamma:g}, n {len(x)}"
            found.append(Measure(name=name, value=log10, unit=unit, reference=reference, verified=verified))
    return found


def _measure(name: str, value: float, unit: str, per_layer: dict[str, float]) -> Measure:
    return Measure(name=name, value=value, unit=unit, per_layer=per_layer, reference=REFERENCE, verified=True)
