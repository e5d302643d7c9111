"""Which layer feeds which: the traced graph of a network, reduced to its linear layers and what stands between them."""

import operator
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, fx, nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm

from ...errors import ModelError
from ...models.others import private_copy
from .tracing import trace

LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
LINEAR_MODULES = (
    nn.Identity, _BatchNorm, nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.Flatten, nn.Unflatten,
    nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d, nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.AdaptiveAvgPool3d,
    nn.ZeroPad2d, nn.ChannelShuffle,
)  # fmt: skip
LINEAR_FUNCTIONS = (
    torch.flatten, torch.mean, torch.reshape, torch.permute, torch.transpose, torch.squeeze, torch.channel_shuffle,
    F.avg_pool1d, F.avg_pool2d, F.avg_pool3d, F.adaptive_avg_pool1d, F.adaptive_avg_pool2d, F.dropout,
)  # fmt: skip
LINEAR_METHODS = ("view", "reshape", "flatten", "mean", "permute", "transpose", "contiguous", "squeeze", "unflatten")
PRODUCTS = (operator.mul, operator.imul, torch.mul, "mul", "mul_")
SUMS = (operator.add, operator.iadd, torch.add, "add", "add_")

Layer = nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d
Shapes = dict[fx.Node, tuple[int, ...]]


@dataclass(frozen=True)
class Link:
    """The one layer that a layer reads, through steps that keep the shape; linear where none of them bends."""

    source: fx.Node
    linear: bool


class Wiring:
    """A network traced once: its layers in order, and the questions that recognising a block asks of the graph."""

    def __init__(self, model: nn.Module, example_input: Tensor) -> None:
        """Trace and run a copy in evaluation mode. Raises: ModelError where torch.fx cannot trace it or it fails."""
        replica = private_copy(model)
        try:
            self.graph = trace(replica)
            self.shapes = _shapes(self.graph, example_input)
        except Exception as why:  # torch.fx and the network raise many kinds
            first = str(why).strip().splitlines()[0] if str(why).strip() else type(why).__name__
            raise ModelError(
                f"Wiring: the network is traced by torch.fx to see how its layers follow one another: {first}. "
                "Keep control flow that depends on the data out of forward."
            ) from None
        nodes = list(self.graph.graph.nodes)
        calls = Counter(str(n.target) for n in nodes if n.op == "call_module")
        self.layers: dict[fx.Node, Layer] = {}
        for node in nodes:
            module = replica.get_submodule(str(node.target)) if node.op == "call_module" else None
            if isinstance(module, LAYERS) and calls[str(node.target)] == 1 and node in self.shapes:
                self.layers[node] = module

    def link(self, layer: fx.Node) -> Link | None:
        """Find the layer that feeds this one alone, None where there is none or something else reads it too."""
        node, linear, shared = self.sources(layer)[0], True, False
        entering = self.shapes[node]
        while True:
            if len(self.users(node)) > 1 and not shared:
                return None
            if node in self.layers:
                return Link(node, linear) if self.shapes[node] == entering else None
            sources = self.sources(node)
            shared = len(sources) == 2 and self._gated(node, sources) is not None
            if len(sources) != 1 and not shared:
                return None
            linear = linear and not shared and self.is_linear(node)
            node = (self._gated(node, sources) or sources[0]) if shared else sources[0]

    def origin(self, node: fx.Node) -> fx.Node | None:
        """Follow single sources back to a layer, whoever else reads on the way; None where paths meet first."""
        while node not in self.layers:
            sources = self.sources(node)
            if len(sources) != 1:
                return None
            node = sources[0]
        return node

    def gates(self) -> set[fx.Node]:
        """Layers that only compute a gate (squeeze and excitation): factors of (batch, channels, 1, 1)."""
        found: set[fx.Node] = set()
        for node in self.shapes:
            sources = self.sources(node)
            gated = self._gated(node, sources) if len(sources) == 2 else None
            if gated is None:
                continue
            step: fx.Node | None = next(s for s in sources if s is not gated)
            while step is not None and step is not gated:
                if step in self.layers:
                    found.add(step)
                before = self.sources(step)
                step = before[0] if len(before) == 1 else None
        return found

    def readers(self, node: fx.Node) -> set[fx.Node]:
        """The next layers that read a node, through at most one addition."""
        found: set[fx.Node] = set()
        seen: set[tuple[fx.Node, int]] = set()
        waiting = [(user, 0) for user in self.users(node)]
        while waiting:
            step, sums = waiting.pop()
            sums += step.target in SUMS and len(self.sources(step)) == 2
            if (step, sums) in seen or sums > 1:
                continue
            seen.add((step, sums))
            if step in self.layers:
                found.add(step)
            else:
                waiting.extend((user, sums) for user in self.users(step))
        return found

    def reads_linearly(self, node: fx.Node) -> bool:
        """True where exactly one layer reads the node, and only linear steps stand between."""
        while len(self.users(node)) == 1:
            node = self.users(node)[0]
            if node in self.layers:
                return True
            if len(self.sources(node)) != 1 or not self.is_linear(node):
                return False
        return False

    def concatenations(self) -> Iterator[tuple[fx.Node, list[fx.Node]]]:
        """Every concatenation along channels, with its sources."""
        for node in self.shapes:
            if node.op == "call_function" and node.target in (torch.cat, torch.concat):
                dimension = node.args[1] if len(node.args) > 1 else node.kwargs.get("dim", 0)
                if dimension in (1, 1 - len(self.shapes[node])):
                    yield node, self.sources(node)

    def sources(self, node: fx.Node) -> list[fx.Node]:
        """Inputs of a node that are computed from the input of the network."""
        return [source for source in node.all_input_nodes if source in self.shapes]

    def users(self, node: fx.Node) -> list[fx.Node]:
        """Steps that read the values of a node; asking for its shape is no reading."""
        return [user for user in node.users if user in self.shapes or user.op == "output"]

    def is_linear(self, node: fx.Node) -> bool:
        """True where the step is known to be linear, or affine in evaluation mode."""
        if node.op == "call_module":
            return isinstance(self.graph.get_submodule(str(node.target)), LINEAR_MODULES)
        if node.op == "call_method":
            return str(node.target) in LINEAR_METHODS
        return node.target in LINEAR_FUNCTIONS

    def _gated(self, node: fx.Node, sources: list[fx.Node]) -> fx.Node | None:
        """The map in a product of a map (batch, channels, ...) and a gate (batch, channels, 1, ...)."""
        if node.target not in PRODUCTS or node not in self.shapes:
            return None
        shape = self.shapes[node]
        gate = shape[:2] + (1,) * (len(shape) - 2)
        kinds = [self.shapes[source] for source in sources]
        if len(shape) < 3 or shape == gate or sorted(kinds) != sorted([shape, gate]):
            return None
        return sources[kinds.index(shape)]


class _Recorder(fx.Interpreter):
    """Remember the shape of every tensor that depends on the input."""

    def __init__(self, graph: fx.GraphModule) -> None:
        super().__init__(graph)
        self.shapes: Shapes = {}

    def run_node(self, n: fx.Node) -> object:
        value = super().run_node(n)
        depends = n.op == "placeholder" or any(source in self.shapes for source in n.all_input_nodes)
        if isinstance(value, Tensor) and depends and n.op != "output":
            self.shapes[n] = tuple(value.shape)
        elif depends and isinstance(value, tuple | list) and any(isinstance(part, Tensor) for part in value):
            self.shapes[n] = ()  # several tensors, as of chunk
        return value


def _shapes(graph: fx.GraphModule, example: Tensor) -> Shapes:
    recorder = _Recorder(graph)
    with torch.no_grad():
        recorder.run(example)
    return recorder.shapes
