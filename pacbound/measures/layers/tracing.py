"""A network's graph, traced once, as a chain of blocks: which linear maps follow one another, which add up.

Every step of the traced graph becomes a layer, a fixed operation, an addition, or a step that cannot be expressed.
Steps that all paths pass through (dominators) cut the graph into a chain; an addition of two paths between two such
steps is a residual block.
"""

import functools
import math
import operator
from collections import Counter
from dataclasses import dataclass, field

import torch
from torch import Tensor, fx, nn
from torch.nn.modules.batchnorm import _BatchNorm

from ...models.published import Pixels
from .linear_maps import LayerRecord, Skipped, express, fold
from .lipschitz import SAME, SEVERITY, Channels, Fixed, of_function, of_method, of_module

ADDITIONS = (operator.add, operator.iadd, torch.add, "add", "add_")
RUNNING_NORM = "batch normalisation in training mode: its map depends on the batch. Call eval() on the network first"


@dataclass(frozen=True)
class Gap:
    """Fixed operations in a row: constants in both norms, and the worst that is done to channels."""

    euclidean: float = 1.0
    maximum: float = 1.0
    channels: Channels = "alike"

    def after(self, fixed: "Fixed | Gap") -> "Gap":
        """With one more operation."""
        euclidean = fixed.lipschitz if isinstance(fixed, Fixed) else fixed.euclidean
        return Gap(self.euclidean * euclidean, self.maximum * fixed.maximum, worst(self.channels, fixed.channels))


UNKNOWN = Gap(math.inf, math.inf, "lost")


def worst(*channels: Channels) -> Channels:
    """The worst of what several operations do to channels."""
    return max(channels, key=SEVERITY.index)


@dataclass(frozen=True)
class Branch:
    """Layers in a row: Lipschitz constant of what stands before the first, and of what follows each."""

    layers: tuple[LayerRecord, ...]
    before: float
    after: tuple[float, ...]


@dataclass(frozen=True)
class Block:
    """after . (main + shortcut): one step of the chain.

    name: of its first layer. main: its layers, at least one. shortcut: None for a plain layer; a branch without
    layers is a fixed map of Lipschitz constant `before` (identity, option A); with layers a learned shortcut.
    after: Lipschitz constant of the fixed operations behind the addition; 1 for a plain layer, whose own are in main.
    maximum: constant in the maximum norm of what is behind a plain layer, infinite for a residual block. channels:
    the worst that the fixed operations of the block and behind it do to channels.
    """

    name: str
    main: Branch
    shortcut: Branch | None
    after: float
    maximum: float = math.inf
    channels: Channels = "lost"


@dataclass
class Step:
    """One node of the graph on the way from input to output."""

    name: str
    sources: tuple["Step", ...]
    fixed: Fixed = SAME
    record: LayerRecord | None = None
    adds: bool = False
    reason: str = ""  # why it cannot be expressed
    readers: int = 1
    depth: int = 0
    cut: "Step | None" = field(default=None, repr=False)  # immediate dominator


class _Tracer(fx.Tracer):
    """Treat as one step what torch.nn provides, raw pixels made ready, and every module that owns parameters."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        own = isinstance(m, Pixels) or any(True for _ in m.parameters(recurse=False))
        return own or super().is_leaf_module(m, module_qualified_name)


def trace(model: nn.Module) -> fx.GraphModule:
    """Trace symbolically; raises what torch.fx raises where control flow depends on the data."""
    return fx.GraphModule(model, _Tracer().trace(model))


class Walk(fx.Interpreter):
    """Run a traced network once and make a `Step` of every node on the way; parts with parameters are named."""

    def __init__(self, graph: fx.GraphModule, training: frozenset[str]) -> None:
        """Args: graph: from `trace`. training: names of normalisations that were in training mode."""
        super().__init__(graph)
        self._training = training
        self.steps: dict[fx.Node, Step] = {}
        self.skipped: list[Skipped] = []
        self.end: Step | None = None
        self.failure = ""
        self._calls = Counter(str(node.target) for node in graph.graph.nodes if node.op == "call_module")
        self._owners = owners(graph)

    def run_node(self, n: fx.Node) -> object:
        """Run one node, then record it."""
        args, kwargs = self.fetch_args_kwargs_from_env(n)
        value = super().run_node(n)
        sources = tuple(self.steps[m] for m in n.all_input_nodes if m in self.steps)
        if n.op == "placeholder" and isinstance(value, Tensor):
            self.steps[n] = Step(n.name, ())
        elif n.op == "output":
            self._finish(n)
        elif sources and _carries_data(value):
            self.steps[n] = step = self._step(n, sources, args, dict(kwargs), value)
            _place(step)
        return value

    def _finish(self, n: fx.Node) -> None:
        returned = n.args[0]
        if len([m for m in self.steps if m.op == "placeholder"]) != 1:
            self.failure = "the network reads more than one tensor"
        elif isinstance(returned, fx.Node) and returned in self.steps:
            self.end = self.steps[returned]
        else:
            self.failure = "the network returns something else than one tensor computed from its input"

    def _step(
        self, n: fx.Node, sources: tuple[Step, ...], args: tuple[object, ...], kwargs: dict[str, object], value: object
    ) -> Step:
        step = Step(n.name, sources, readers=len(n.users))
        outside = [m for m in n.all_input_nodes if m.op == "get_attr"]
        if sources[0].readers > 1 and self._in_place(n):
            step.reason = f"{_target(n)} overwrites a tensor that other steps read"
            return step
        if outside:
            self._skip(step, str(outside[0].target), f"a parameter or constant used directly by {_target(n)}")
        elif n.op == "call_module":
            self._module(step, str(n.target), args, value)
        elif n.target in ADDITIONS and len(args) == 2 and all(isinstance(a, Tensor) for a in args):
            if kwargs.get("alpha", 1) != 1 or len(sources) != len(set(n.args)):
                step.reason = f"{_target(n)} adds something that is not computed from the input"
            elif len(sources) == 1:
                step.fixed = Fixed(2.0)  # x + x
            elif not _alike(args):
                step.reason = f"{_target(n)} adds tensors of different shapes"
            else:
                step.adds = True
        elif len(sources) > 1:
            step.reason = f"{_target(n)} combines {len(sources)} paths by something else than addition"
        else:
            self._operation(step, n, args, kwargs)
        return step

    def _operation(self, step: Step, n: fx.Node, args: tuple[object, ...], kwargs: dict[str, object]) -> None:
        named = n.op == "call_method"
        fixed = of_method(str(n.target), args, kwargs) if named else of_function(n.target, args, kwargs)
        if fixed is None:
            step.reason = f"no Lipschitz constant is known for {_target(n)}"
        else:
            step.fixed = fixed

    def _in_place(self, n: fx.Node) -> bool:
        if n.op == "call_module":
            return bool(getattr(self.module.get_submodule(str(n.target)), "inplace", False))
        named = n.op == "call_method" and str(n.target).endswith("_")
        return named or n.target is operator.iadd or any(v is True for v in (*n.args, n.kwargs.get("inplace")))

    def _module(self, step: Step, name: str, args: tuple[object, ...], value: object) -> None:
        module = self.module.get_submodule(name)
        entering = args[0] if args else None
        if not isinstance(entering, Tensor) or not isinstance(value, Tensor) or len(step.sources) != 1:
            self._skip(step, name, f"{type(module).__name__} is not a map from one tensor to one tensor")
        elif isinstance(module, _BatchNorm):
            self._norm(step, name, module)
        elif not list(module.parameters()):
            fixed = of_module(module, tuple(entering.shape))
            step.fixed = fixed or SAME
            step.reason = "" if fixed else f"no Lipschitz constant is known for {type(module).__name__} ({name})"
        elif self._calls[name] > 1:
            self._skip(step, name, f"weight-shared: {type(module).__name__} is called {self._calls[name]} times")
        elif shares_weights(module, self._owners):
            self._skip(step, name, f"weight-shared: {type(module).__name__} holds a parameter of another module too")
        else:
            step.record = express(module, name, tuple(entering.shape), tuple(value.shape))
            if step.record is None:
                self._skip(step, name, unexpressed(module))

    def _norm(self, step: Step, name: str, norm: _BatchNorm) -> None:
        """Fold into the layer just before, if nothing else reads that layer."""
        before = step.sources[0]
        if name in self._training:
            self._skip(step, name, RUNNING_NORM)
        elif before.record is None or before.readers > 1:
            self._skip(step, name, f"{type(norm).__name__} follows no layer of its own, into which it could be folded")
        elif before.record.kind == "dense" and before.record.input_size:
            self._skip(step, name, f"{type(norm).__name__} normalises another dimension than the features")
        elif norm.running_mean is None:
            self._skip(step, name, f"{type(norm).__name__} without running statistics: its map depends on the batch")
        else:
            before.record = fold(before.record, norm, name)

    def _skip(self, step: Step, name: str, reason: str) -> None:
        step.reason = f"{name}: {reason}"
        self.skipped.append(Skipped(name, reason))


def owners(model: nn.Module) -> Counter[int]:
    """Count the modules that hold each parameter, by its id."""
    return Counter(id(p) for module in model.modules() for p in module.parameters(recurse=False))


def shares_weights(module: nn.Module, counts: Counter[int]) -> bool:
    """True where another module holds one of its parameters too."""
    return any(counts[id(p)] > 1 for p in module.parameters())


def unexpressed(module: nn.Module) -> str:
    """Say why a module with parameters is no linear map here."""
    kind = type(module).__name__
    if isinstance(module, nn.GroupNorm | nn.LayerNorm):
        return f"{kind} divides by statistics of its input and is not linear"
    if isinstance(module, nn.RNNBase | nn.RNNCellBase):
        return f"{kind} is recurrent: its weights are shared over time"
    return f"{kind} is not a Linear or Conv layer of torch.nn, and its parameters are not measured"


def _carries_data(value: object) -> bool:
    return isinstance(value, Tensor) or (
        isinstance(value, tuple | list) and any(isinstance(part, Tensor) for part in value)
    )


def _alike(args: tuple[object, ...]) -> bool:
    shapes = [tuple(a.shape) for a in args if isinstance(a, Tensor)]
    return len(shapes) == 2 and shapes[0] == shapes[1]


def _target(n: fx.Node) -> str:
    return f"{getattr(n.target, '__name__', n.target)} ({n.name})"


def _place(step: Step) -> None:
    """Set the immediate dominator: the nearest common one of all sources (Cooper, Harvey and Kennedy 2001)."""
    common = step.sources[0]
    for source in step.sources[1:]:
        common = _meet(common, source)
    step.cut = common
    step.depth = common.depth + 1


def _meet(a: Step, b: Step) -> Step:
    while a is not b:
        if a.depth < b.depth:
            a, b = b, a
        if a.cut is None:
            return a
        a = a.cut
    return a


@dataclass(frozen=True)
class Chain:
    """A network as blocks in a row, in the order of computation.

    before: Lipschitz constant of the fixed operations before the first block; infinite where an operation has no
    known constant, as are those of the blocks. moved: operations that do not map 0 to 0.
    """

    before: Gap = Gap()
    blocks: tuple[Block, ...] = ()
    moved: tuple[str, ...] = ()


class NotAChain(Exception):
    """The graph between two steps is not a row of layers and simple residual blocks."""


def blocks_of(end: Step) -> Chain:
    """Read the chain backwards from the last step. Raises: NotAChain with the reason."""
    blocks: list[Block] = []
    moved: list[str] = []
    gap = Gap()  # the fixed operations passed since the last block
    step = end
    while step.cut is not None:
        _check(step)
        if step.adds:
            (main, own), (shortcut, other) = _branches(step, step.cut, moved)
            if main.layers:
                channels = worst(gap.channels, own.channels, other.channels)
                blocks.append(Block(main.layers[0].name, main, shortcut, gap.euclidean, channels=channels))
                gap = Gap()
            else:  # x + relu(x)
                sums = own.euclidean + other.euclidean, own.maximum + other.maximum
                gap = gap.after(Gap(*sums, worst(own.channels, other.channels)))
        elif step.record is not None:
            row = Branch((step.record,), 1.0, (gap.euclidean,))
            blocks.append(Block(step.record.name, row, None, 1.0, gap.maximum, gap.channels))
            gap = Gap()
        else:
            gap = gap.after(_gap(step, moved))
        step = step.cut
    return Chain(gap, tuple(reversed(blocks)), tuple(reversed(moved)))


def _branches(addition: Step, start: Step, moved: list[str]) -> tuple[tuple[Branch, Gap], tuple[Branch, Gap]]:
    first, second = (_branch(source, start, moved) for source in addition.sources)
    return (first, second) if len(first[0].layers) >= len(second[0].layers) else (second, first)


def _branch(end: Step, start: Step, moved: list[str]) -> tuple[Branch, Gap]:
    """The branch, and all its fixed operations together."""
    layers: list[LayerRecord] = []
    gaps = [Gap()]
    step = end
    while step is not start:
        _check(step)
        if step.adds or step.cut is None:
            raise NotAChain(f"{step.name} is an addition inside a residual block; nested blocks are not expressed")
        if step.record is not None:
            layers.append(step.record)
            gaps.append(Gap())
        else:
            gaps[-1] = gaps[-1].after(_gap(step, moved))
        step = step.cut
    gaps.reverse()
    whole = functools.reduce(Gap.after, gaps)
    return Branch(tuple(reversed(layers)), gaps[0].euclidean, tuple(gap.euclidean for gap in gaps[1:])), whole


def _check(step: Step) -> None:
    if len(step.sources) > 1 and not step.adds:
        raise NotAChain(step.reason)


def _gap(step: Step, moved: list[str]) -> Gap:
    if step.reason:
        return UNKNOWN
    if not step.fixed.keeps_zero:
        moved.append(step.name)
    return Gap().after(step.fixed)
