"""How many weights of a network the sample has to determine, d_M: no weight is taken away twice.

Block by block, in the order of computation: rows of channels that nothing reads go; the K x R factor of a block with
K > R goes, and its readers read R channels in place of K; where a block with K <= R and its one reader are linear, K^2
weights go, since the basis of the channels between them is free. So 0 <= d_M <= number of weights, by construction.
"""

import copy
import math
import operator
from collections import defaultdict
from collections.abc import Sequence

import torch
from torch import Tensor, fx, nn
from torch.nn.modules.batchnorm import _BatchNorm

from ..layers.wiring import LAYERS, Wiring
from .designs import Design

DRAWS = 4  # random networks of the same wiring; a channel that matters in none of them is dead


def savings(wiring: Wiring, designs: Sequence[Design], example: Tensor) -> dict[str, int]:
    """Weights that the sample has not to determine: name of a block, or of a layer outside all blocks -> number.

    Args: example: (batch, ...) as the network reads it.
    """
    live = live_channels(wiring, example)
    nodes = {str(node.target): node for node in wiring.layers}
    left = {node: layer.weight.numel() // len(layer.weight) * live[node] for node, layer in wiring.layers.items()}
    whole = {node: layer.weight.numel() for node, layer in wiring.layers.items()}
    saved: dict[str, int] = defaultdict(int)
    written: dict[fx.Node, list[tuple[str, int, int]]] = defaultdict(list)  # reader -> block, channels gone, rank
    merged: set[fx.Node] = set()
    gauges: list[tuple[Design, fx.Node, fx.Node, int]] = []

    def entering(node: fx.Node) -> int:
        """Rank of what a layer reads, at most its inputs."""
        inputs = wiring.layers[node].weight.shape[1]
        kept = inputs - sum(gone for _, gone, _ in written[node])
        return min(inputs, max(kept, sum(rank for _, _, rank in written[node]))) if written[node] else inputs

    def settle(node: fx.Node) -> None:
        cut = left[node] - left[node] * entering(node) // wiring.layers[node].weight.shape[1]
        if cut:
            left[node] -= cut
            saved[written[node][0][0]] += cut

    for design in designs:
        own = [nodes[name] for name in design.layers]
        for node in own:
            saved[design.name] += whole[node] - left[node]
            settle(node)
        last, ghost = own[-1], design.kind == "ghost"
        channels = design.outputs if ghost else live[last]
        rank = _rank(wiring, design, [(node, live[node]) for node in own], entering(own[0]))
        readers = [nodes[name] for name in design.readers]
        if rank < channels:
            for mixer in own[1:] if ghost else own[-1:]:
                saved[design.name] += left[mixer]
                left[mixer] = 0
                merged.add(mixer)
            for reader in readers:
                places = _places(wiring, last, reader, channels)
                written[reader].append((design.name, (channels - rank) * places, rank * places))
        elif len(readers) == 1 and _linearly(wiring, last, readers[0]):
            gauges.append((design, last, readers[0], channels))
    blocks = {name for design in designs for name in design.layers}
    for name, node in nodes.items():
        if name not in blocks:
            saved[name] += whole[node] - left[node]
            settle(node)
    for design, last, reader, channels in gauges:
        plain = all(getattr(wiring.layers[node], "groups", 1) == 1 for node in (last, reader))
        rows = math.prod(wiring.layers[last].weight.shape[2:]) * entering(last)
        if plain and not merged & {last, reader} and channels <= min(rows, live[reader]):
            saved[design.name] += min(left[last], channels**2)
            left[last] -= min(left[last], channels**2)
    return {name: number for name, number in saved.items() if number}


def _rank(wiring: Wiring, design: Design, own: Sequence[tuple[fx.Node, int]], entering: int) -> int:
    """Rank of a block's channels: never more than its inputs have times the taps, nor than a layer inside has."""
    rank = entering
    for node, channels in own:
        layer = wiring.layers[node]
        if getattr(layer, "groups", 1) > 1:
            return design.rank
        rank = min(channels, rank * math.prod(layer.weight.shape[2:]))
    return min(design.rank, rank)


def _linearly(wiring: Wiring, node: fx.Node, reader: fx.Node) -> bool:
    """True where one layer reads another alone, and only linear steps and slices stand between."""
    while node is not reader:
        users = wiring.users(node)
        if len(users) != 1:
            return False
        (node,) = users
        step = node is reader or wiring.is_linear(node) or node.target is operator.getitem
        if not step or len(wiring.sources(node)) != 1:
            return False
    return True


def _places(wiring: Wiring, writer: fx.Node, reader: fx.Node, channels: int) -> int:
    """Inputs of a reader for each channel: several where maps are flattened into a dense layer."""
    flattened = isinstance(wiring.layers[reader], nn.Linear) and len(wiring.shapes[writer]) > 2
    return max(1, wiring.layers[reader].weight.shape[1] // channels) if flattened else 1


def live_channels(wiring: Wiring, example: Tensor) -> dict[fx.Node, int]:
    """Output channels of each layer that the network's output depends on; all of them where it has no derivative.

    Derivatives in random networks of the same wiring, half of them with positive numbers only, so that nothing is dead
    by its values; channels that are sliced off stay without influence in all.
    """
    alive = {node: torch.zeros(len(layer.weight), dtype=torch.bool) for node, layer in wiring.layers.items()}
    with torch.random.fork_rng(devices=[]), torch.enable_grad():
        torch.manual_seed(0)
        for draw in range(DRAWS):
            try:
                _mark(wiring, example, alive, positive=draw % 2 == 0)
            except Exception:  # a network without derivatives
                return {node: len(layer.weight) for node, layer in wiring.layers.items()}
    return {node: int(mask.sum()) for node, mask in alive.items()}


def _mark(wiring: Wiring, example: Tensor, alive: dict[fx.Node, Tensor], positive: bool) -> None:
    graph = copy.deepcopy(wiring.graph).double()
    for module in graph.modules():
        if isinstance(module, _BatchNorm):
            module.reset_running_stats()
        for parameter in module.parameters(recurse=False):
            drawn = torch.rand_like(parameter) + 0.5 if positive else torch.randn_like(parameter)
            fan_in = parameter[0].numel() if isinstance(module, LAYERS) and parameter.ndim > 1 else 1
            parameter.data = drawn / fan_in
    probe = _Probe(graph, {node.name for node in alive})
    x = torch.rand(2, *example.shape[1:], dtype=torch.float64) + 0.5
    output = probe.run(x.requires_grad_())
    total = (output * torch.randn_like(output)).sum()
    names = list(probe.seen)
    found = torch.autograd.grad(total, [probe.seen[name] for name in names], allow_unused=True)
    by_name = {node.name: node for node in alive}
    for name, gradient in zip(names, found, strict=True):
        if gradient is not None:
            node = by_name[name]
            dimension = gradient.ndim - 1 if isinstance(wiring.layers[node], nn.Linear) else 1
            moved = gradient.movedim(dimension, 0).flatten(1)
            alive[node] |= (moved != 0).any(dim=1)


class _Probe(fx.Interpreter):
    """Keep the outputs of some nodes."""

    def __init__(self, graph: fx.GraphModule, names: set[str]) -> None:
        super().__init__(graph)
        self._names = names
        self.seen: dict[str, Tensor] = {}

    def run_node(self, n: fx.Node) -> object:
        """Run one node; what others overwrite in place is kept as it was."""
        value = super().run_node(n)
        if n.name in self._names and isinstance(value, Tensor):
            self.seen[n.name] = value
            return value.clone()
        return value
