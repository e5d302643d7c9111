"""Recognise the block designs of a network and their K/R ratio: output channels over the rank behind them.

A block is a row of layers that feed each other alone, ended by the layer that mixes channels. K is its output channels,
R the channels that enter the last mixer. Source of the ratio: Huang, Si, Zheng, Li 2021, arXiv:2112.04857.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from torch import Tensor, fx, nn

from ..layers.wiring import Layer, Wiring

Kind = Literal[
    "plain", "grouped", "depthwise", "dense", "bottleneck", "grouped_bottleneck", "depthwise_bottleneck",
    "inverted_bottleneck", "depthwise_separable", "grouped_separable", "shuffle", "funnel", "factored", "ghost",
]  # fmt: skip
Tag = Literal["point", "grouped_point", "depth", "group", "full", "dense"]
MIXERS: tuple[Tag, ...] = ("point", "grouped_point")


@dataclass(frozen=True)
class Design:
    """One block.

    kind: its design. name: of its first layer. layers: all its layers. outputs: K. rank: R by structure, not capped by
    K. mixer: weights of the last layer (of a ghost: of the cheap ones), K R if it is full. places: P, weights by which
    the next layers read one output channel. gauge: where the last two layers are linear maps with nothing nonlinear
    between, so that a change of the basis between them changes nothing: (rows, columns) of the larger pointwise one,
    columns being the dimension of that basis; else None. exact_merge: nothing nonlinear, and no other path, stands
    between the block and the one next layer. readers: names of the next layers.
    """

    kind: Kind
    name: str
    layers: tuple[str, ...]
    outputs: int
    rank: int
    mixer: int
    places: int
    gauge: tuple[int, int] | None
    exact_merge: bool
    readers: tuple[str, ...] = ()

    @property
    def ratio(self) -> float:
        """K/R; above 1 is redundancy, 1 and below none of this kind."""
        return self.outputs / self.rank

    @property
    def redundancy(self) -> int:
        """d# - d_M of the block on its own: the mixer, and the weights that read K - R channels; 0 where R >= K."""
        return self.mixer + (self.outputs - self.rank) * self.places if self.rank < self.outputs else 0


def designs_of(model: nn.Module, example_input: Tensor) -> tuple[Design, ...]:
    """Divide the layers of a network into blocks, in order; the last layer, the readout, belongs to none.

    Args: model: is copied, not run itself. example_input: (batch, ...) as the network reads it.
    Raises: ModelError where torch.fx cannot trace the network.
    """
    return blocks_in(Wiring(model, example_input))


def blocks_in(wiring: Wiring) -> tuple[Design, ...]:
    """Divide the layers of a traced network into blocks; see `designs_of`.

    A row of layers is read from its start; where a layer could end one block or begin the next, what follows decides,
    never the modules that hold them. Layers that only compute a gate (squeeze and excitation) are left out. Of a
    bottleneck the last layer must not narrow, of a funnel the first must; what fits no design stands alone, as plain,
    grouped, depthwise or dense, with R = the largest rank that its kernel can have along its outputs.
    """
    order = [node for node in wiring.layers if node not in wiring.gates()][:-1]
    found: dict[fx.Node, Design] = {}
    taken: set[fx.Node] = set()
    for end, sources in wiring.concatenations():
        ghost = _ghost(wiring, end, sources)
        if ghost and not taken.intersection(ghost) and set(ghost) <= set(order):
            taken.update(ghost)
            outputs = wiring.shapes[end][1]
            rank = wiring.layers[ghost[0]].weight.shape[0]
            found[ghost[0]] = _design(wiring, "ghost", ghost, end, outputs, rank, None)
    for chain, linear in _chains(wiring, [node for node in order if node not in taken]):
        for start, stop in _pieces([wiring.layers[node] for node in chain], linear):
            kind, _, rank = _match([wiring.layers[n] for n in chain[start:stop]], linear[start : stop - 1])
            last = wiring.layers[chain[stop - 1]]
            straight = stop - start > 1 and linear[stop - 2]
            gauge = _gauge(wiring.layers[chain[stop - 2]], last) if straight else None
            found[chain[start]] = _design(
                wiring, kind, chain[start:stop], chain[stop - 1], last.weight.shape[0], rank, gauge
            )
    return tuple(found[node] for node in order if node in found)


def _chains(wiring: Wiring, layers: Sequence[fx.Node]) -> list[tuple[list[fx.Node], list[bool]]]:
    """Rows of layers that feed each other alone, and for each step whether it is linear."""
    chains: list[tuple[list[fx.Node], list[bool]]] = []
    ends: dict[fx.Node, tuple[list[fx.Node], list[bool]]] = {}
    for node in layers:
        link = wiring.link(node)
        if link is None or link.source not in ends:
            chain: tuple[list[fx.Node], list[bool]] = ([], [])
            chains.append(chain)
        else:
            chain = ends.pop(link.source)
            chain[1].append(link.linear)
        chain[0].append(node)
        ends[node] = chain
    return chains


def _pieces(layers: Sequence[Layer], linear: Sequence[bool]) -> Iterator[tuple[int, int]]:
    """Where the blocks of a row start and stop, from the left."""
    start = 0
    while start < len(layers):
        stop = start + _match(layers[start:], linear[start:])[1]
        yield start, stop
        start = stop


def _match(layers: Sequence[Layer], linear: Sequence[bool]) -> tuple[Kind, int, int]:
    """Return the design that a row of layers begins with, its number of layers, and R; the rest of the row decides."""
    tags = [_tag(layer) for layer in layers]
    kind = _three(layers, tags)
    if kind:
        return kind, 3, _inputs(layers[2])
    kind = _two(layers, tags, linear)
    if kind:
        return kind, 2, _stand_alone_rank(layers[1]) if kind == "funnel" else _inputs(layers[1])
    alone: dict[Tag, Kind] = {"group": "grouped", "grouped_point": "grouped", "depth": "depthwise", "dense": "dense"}
    return alone.get(tags[0], "plain"), 1, _stand_alone_rank(layers[0])


def _three(layers: Sequence[Layer], tags: Sequence[Tag]) -> Kind | None:
    if len(tags) < 3 or tags[0] not in MIXERS or tags[2] not in MIXERS:
        return None
    if tags[1] in ("depth", "group") and "grouped_point" in tags[:3]:
        return "shuffle"
    if tags[1] == "depth":
        return "inverted_bottleneck" if _inputs(layers[2]) > _inputs(layers[0]) else "depthwise_bottleneck"
    if tags[1] == "group":
        return "grouped_bottleneck"
    if tags[1] == "full" and layers[2].weight.shape[0] >= _inputs(layers[2]):
        return "bottleneck"
    return None


def _two(layers: Sequence[Layer], tags: Sequence[Tag], linear: Sequence[bool]) -> Kind | None:
    if len(tags) < 2:
        return None
    if tags[0] in ("depth", "group") and tags[1] in MIXERS:
        return "depthwise_separable" if tags[0] == "depth" else "grouped_separable"
    narrowing = tags[0] == "point" and layers[0].weight.shape[0] < _inputs(layers[0])
    if narrowing and tags[1] == "full":
        return "funnel"
    if tags[0] == "full" and tags[1] == "point":
        return None if _begins_another(layers, tags, linear) else "factored"
    if linear[0] and tuple(tags[:2]) in (("point", "point"), ("dense", "dense")):
        return "factored"
    return None


def _begins_another(layers: Sequence[Layer], tags: Sequence[Tag], linear: Sequence[bool]) -> bool:
    """True where the pointwise layer behind a full one begins the next block instead of ending this one."""
    behind = list(tags[2:4])
    before, after = _inputs(layers[1]), layers[1].weight.shape[0]
    if behind[:1] == ["point"]:  # a pair of factors, where a bend parts them from the full layer
        return linear[1] and not linear[0]
    if behind[:1] == ["depth"] and after > before:  # an inverted bottleneck widens, and narrows again
        return behind[1:] == ["point"] and layers[3].weight.shape[0] < _inputs(layers[3])
    if behind[:1] == ["full"]:  # a bottleneck, or funnels up to the end of the row
        alternating = (i for i in range(1, len(tags) - 1) if {tags[i], tags[i + 1]} != {"point", "full"})
        last = next(alternating, len(tags) - 1)
        parted = not linear[0] and len(linear) > 2 and all(linear[1:3])
        bottleneck = _three(layers[1:], tags[1:]) is not None and (parted or after < before)
        return bottleneck or (after < before and tags[last] == "full")
    return False


def _tag(layer: Layer) -> Tag:
    if isinstance(layer, nn.Linear):
        return "dense"
    if layer.groups > 1 and layer.groups == layer.in_channels:
        return "depth"
    if max(layer.kernel_size) == 1:
        return "point" if layer.groups == 1 else "grouped_point"
    return "full" if layer.groups == 1 else "group"


def _inputs(layer: Layer) -> int:
    return layer.in_features if isinstance(layer, nn.Linear) else layer.in_channels


def _stand_alone_rank(layer: Layer) -> int:
    """Largest rank along the outputs: min(K, l), group by group."""
    groups = 1 if isinstance(layer, nn.Linear) else layer.groups
    return groups * min(layer.weight.shape[0] // groups, math.prod(layer.weight.shape[1:]))


def _gauge(before: Layer, after: Layer) -> tuple[int, int] | None:
    """Rows and columns of the factor that can absorb a change of basis between two layers, if either can."""
    if _tag(before) not in ("point", "full", "dense") or _tag(after) not in ("point", "full", "dense"):
        return None  # a grouped layer keeps its form under a change within groups only
    inner = _inputs(after)
    rows = [after.weight.shape[0]] if _tag(after) != "full" else []
    rows += [_inputs(before)] if _tag(before) != "full" else []
    return (max(rows), inner) if rows and max(rows) >= inner else None


def _ghost(wiring: Wiring, end: fx.Node, sources: Sequence[fx.Node]) -> list[fx.Node]:
    """Primary and cheap layers of a concatenation in which all others read the first alone; [] where it is none."""
    origins = [wiring.origin(source) for source in sources]
    layers = [origin for origin in origins if origin is not None]
    if len(layers) < 2 or len(layers) < len(sources):
        return []
    primary, *cheap = sorted(set(layers), key=list(wiring.layers).index)
    reads_primary = [wiring.origin(wiring.sources(node)[0]) is primary for node in cheap]
    grouped = [_tag(wiring.layers[node]) in ("depth", "group", "grouped_point") for node in cheap]
    return [primary, *cheap] if cheap and all(reads_primary) and all(grouped) else []


def _design(
    wiring: Wiring,
    kind: Kind,
    nodes: Sequence[fx.Node],
    end: fx.Node,
    outputs: int,
    rank: int,
    gauge: tuple[int, int] | None,
) -> Design:
    readers = wiring.readers(end)
    places = sum(_reading(wiring.layers[node], outputs) for node in readers)
    names = tuple(str(node.target) for node in nodes)
    mixers = nodes[1:] if kind == "ghost" else nodes[-1:]
    mixer = sum(wiring.layers[node].weight.numel() for node in mixers)
    merges, reading = wiring.reads_linearly(end), tuple(sorted(str(node.target) for node in readers))
    return Design(kind, names[0], names, outputs, rank, mixer, places, gauge, merges, reading)


def _reading(layer: Layer, channels: int) -> int:
    """Weights by which a layer reads one of `channels` channels; a dense layer may read them flattened."""
    if isinstance(layer, nn.Linear):
        return layer.out_features * max(1, layer.in_features // channels)
    return layer.weight.numel() // layer.in_channels
