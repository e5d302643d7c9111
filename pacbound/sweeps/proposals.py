"""Networks that a search proposes: where it begins for an input shape, and what it makes of what was good.

A proposal is a string of the grammar, which pays for itself, so that nothing here reaches a statement.
"""

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace

import numpy as np

from ..errors import ModelError
from ..models.architecture import build_architecture
from ..pipeline.preparation import usual_network
from ..specs.grammar import (
    ACTIVATIONS,
    FEATURES,
    HEADS,
    KINDS,
    ON_MAPS,
    VIEWS,
    WIDE,
    Architecture,
    Layer,
    canonical_name,
    parse,
)

# Where a search begins: from small to large, with and without hidden layers.
ON_ROWS = ("L", "h16-R-L", "h64-R-L", "h16-tanh-L", "h32-R-h32-R-L", "h256-R-L", "N1-h32-R-L", "h16-silu-L")
ON_IMAGES = (
    "moments-bars1-c8k5-R-A4s3-L",
    "bars2-c8k5-R-A4s3-L",
    "flip-bars2-c12k3p1-R-A3-c32k3p1-R-A3-L",
    "c4k5-R-A3-c12k5-R-A3-L",
    "c8k5-R-A4s3-L",
    "c8k5p2-R-A3-c16k5p2-R-A3-c32k5p2-R-A3-L",
    "flip-c8k5p2-R-A3-c16k5p2-R-A3-L",
    "c8k3-R-A3-c16k3-R-A3-L",
    "c16k3p1-R-M2-c32k3p1-R-M2-G-L",
    "h64-R-L",
    "c8k5-silu-A3-h32-R-L",
)
WIDTHS = (0.5, 0.75, 1.5, 2.0)  # factors
KERNELS = (3, 5)
POOLS = (("A", 2, 2), ("A", 3, 2), ("A", 4, 3), ("M", 2, 2), ("M", 3, 2))
NUMBERED = {kind: KINDS[kind][0][3] for kind in FEATURES if KINDS[kind]}  # of several forms: a network has one of them
TRIES = 200  # changes that lead nowhere new before a search proposes no more
Change = Callable[[list[Layer], np.random.Generator], list[Layer]]


def beginnings(shape: Sequence[int], classes: int, count: int) -> list[str]:
    """Return so many networks that read examples of a shape, that of `auto` among them; fewer where there are fewer."""
    images = len(shape) in (2, 3) and min(shape[-2:]) >= 4
    names = [canonical_name(text) for text in ((usual_network(shape), *ON_IMAGES) if images else ON_ROWS)]
    return [name for name in dict.fromkeys(names) if _fits(parse(name), shape, classes)][:count]


def children(
    parents: Sequence[str],
    known: Collection[str],
    shape: Sequence[int],
    classes: int,
    count: int,
    generator: np.random.Generator,
) -> list[str]:
    """Return so many networks that are one or two changes away from one of the parents, which come best first.

    known: what is not proposed again. Fewer where changes lead nowhere new.
    """
    found: list[str] = []
    for _ in range(TRIES * count):
        if len(found) == count:
            break
        place = min(int(generator.geometric(0.5)) - 1, len(parents) - 1)  # the best has half of the children
        layers = list(parse(parents[place]).layers)
        for _ in range(int(generator.integers(1, 3))):
            layers = CHANGES[int(generator.integers(len(CHANGES)))](layers, generator)
        try:
            child = canonical_name("-".join(map(str, layers)))
        except ModelError:
            continue
        if child not in known and child not in found and _fits(parse(child), shape, classes):
            found.append(child)
    return found


def _fits(architecture: Architecture, shape: Sequence[int], classes: int) -> bool:
    try:
        build_architecture(architecture, shape, classes)
    except ModelError:
        return False
    return True


def _width(layers: list[Layer], generator: np.random.Generator) -> list[Layer]:
    """Another width: with few odd factors, as these are the cheap ones."""
    factor = WIDTHS[int(generator.integers(len(WIDTHS)))]

    def changed(layer: Layer) -> Layer:
        wanted = max(1.0, (layer.size or 1) * factor)
        unit = 1 << max(0, math.floor(math.log2(wanted)) - 1)  # at most two binary digits
        return replace(layer, size=max(1, round(wanted / unit)) * unit)

    return _one(layers, lambda layer: layer.kind in WIDE, changed, generator)


def _kernel(layers: list[Layer], generator: np.random.Generator) -> list[Layer]:
    """The other kernel, and zeros around where there were."""

    def changed(layer: Layer) -> Layer:
        kernel = KERNELS[layer.kernel == KERNELS[0]]
        return replace(layer, kernel=kernel, padding=None if layer.padding is None else kernel // 2)

    return _one(layers, lambda layer: layer.kernel is not None, changed, generator)


def _padding(layers: list[Layer], generator: np.random.Generator) -> list[Layer]:
    """Zeros around all convolutions, or none."""
    del generator
    bare = all(layer.padding is None for layer in layers)
    return [
        layer if layer.kernel is None else replace(layer, padding=layer.kernel // 2 if bare else None)
        for layer in layers
    ]


def _pool(layers: list[Layer], generator: np.random.Generator) -> list[Layer]:
    """Another pooling."""
    kind, size, stride = POOLS[int(generator.integers(len(POOLS)))]
    return _one(layers, lambda it: it.kind in ("A", "M"), lambda _: Layer(kind, size=size, stride=stride), generator)


def _activation(layers: list[Layer], generator: np.random.Generator) -> list[Layer]:
    """Another activation, everywhere."""
    kind = ACTIVATIONS[int(generator.integers(len(ACTIVATIONS)))]
    return [Layer(kind) if layer.kind in ACTIVATIONS else layer for layer in layers]


def _shorter(layers: list[Layer], generator: np.random.Generator) -> list[Layer]:
    """One layer less; an activation goes with the layer before it."""
    place = int(generator.integers(len(layers) - 1)) if len(layers) > 1 else 0
    gone = 2 if layers[place].kind in WIDE and layers[min(place + 1, len(layers) - 1)].kind in ACTIVATIONS else 1
    return layers[:place] + layers[place + gone :] if layers[place].kind not in HEADS else layers


def _longer(layers: list[Layer], generator: np.random.Generator) -> list[Layer]:
    """A block more: a convolution with its pooling behind the last map, or hidden units before the end."""
    head = len(layers) - 1
    if generator.random() < 0.5:
        return [*layers[:head], Layer("h", size=32), Layer("R"), *layers[head:]]
    last = max((place for place, layer in enumerate(layers) if layer.kind in ("c", "A", "M", *ACTIVATIONS)), default=-1)
    before = next((layer for layer in reversed(layers[: last + 1]) if layer.kind == "c"), Layer("c", size=4, kernel=5))
    block = [replace(before, size=2 * (before.size or 1), stride=1), Layer("R"), Layer("A", size=3, stride=2)]
    return [*layers[: last + 1], *block, *layers[last + 1 :]]


def _views(layers: list[Layer], generator: np.random.Generator) -> list[Layer]:
    """With or without the mean over mirror images."""
    del generator
    if layers[0].kind in VIEWS:
        return layers[1:]
    return [Layer("flip"), *layers] if any(layer.kind in ON_MAPS for layer in layers) else layers


def _features(layers: list[Layer], generator: np.random.Generator) -> list[Layer]:
    """Other features before the first trained layer, or none of a kind."""
    kind = FEATURES[int(generator.integers(len(FEATURES)))]
    first = sum(layer.kind in VIEWS for layer in layers)
    own = [layer for layer in layers if layer.kind in FEATURES and layer.kind != kind]
    rest = [layer for layer in layers[first:] if layer.kind not in FEATURES]
    if kind in NUMBERED and generator.random() < 0.5:
        own = [layer for layer in own if layer.kind not in NUMBERED]
        own.append(Layer(kind, size=1 + int(generator.integers(NUMBERED[kind]))))
    elif kind not in NUMBERED and all(layer.kind != kind for layer in layers):
        own.insert(0, Layer(kind))
    return [*layers[:first], *own, *rest]


CHANGES: tuple[Change, ...] = (
    _width, _width, _kernel, _padding, _pool, _activation, _shorter, _longer, _views, _features,
)  # fmt: skip


def _one(
    layers: list[Layer],
    which: Callable[[Layer], bool],
    changed: Callable[[Layer], Layer],
    generator: np.random.Generator,
) -> list[Layer]:
    """Change one of the layers that can be changed so."""
    places = [place for place, layer in enumerate(layers) if which(layer)]
    if not places:
        return layers
    place = places[int(generator.integers(len(places)))]
    return [*layers[:place], changed(layers[place]), *layers[place + 1 :]]
