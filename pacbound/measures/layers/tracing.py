"""A network's graph, traced once: every step is a layer, a fixed operation, a sum, or cannot be expressed."""

import math
import operator
from collections import Counter
from dataclasses import dataclass, field

import torch
from torch import Tensor, fx, nn
from torch.nn.modules.batchnorm import _BatchNorm

from ...models.published import Pixels
from ...models.views import Front
from .altered import altered
from .linear_maps import LayerRecord, Skipped, express, fold
from .lipschitz import SAME, Fixed, of_constant, of_function, of_method, of_module, slopes

ADDITIONS = (operator.add, operator.iadd, torch.add, "add", "add_")
CONCATENATIONS = (torch.cat, torch.concat, torch.concatenate)
FORMS = ("size", "dim", "ndimension", "numel", "nelement", "shape", "ndim", "dtype", "device", "len")  # not values
BLANKS = ("new_tensor", "new_zeros", "new_ones", "new_full", "zeros_like", "ones_like", "full_like")  # not values
RUNNING_NORM = "batch normalisation in training mode: its map depends on the batch. Call eval() on the network first"


@dataclass
class Step:
    """One node of the graph on the way from input to output."""

    name: str
    sources: tuple["Step", ...]
    fixed: Fixed = SAME
    record: LayerRecord | None = None
    adds: bool = False
    joins: bool = False  # puts channels of its sources side by side
    folded: bool = False  # a normalisation that is folded into the layer before
    reason: str = ""  # why it cannot be expressed
    readers: int = 1
    depth: int = 0
    cut: "Step | None" = field(default=None, repr=False)  # immediate dominator


class _Tracer(fx.Tracer):
    """Treat as one step what torch.nn provides, raw pixels made ready, features, and all that owns parameters."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        own = isinstance(m, Pixels | Front) or any(True for _ in m.parameters(recurse=False))
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
        self._altered = altered(graph)
        self.slopes: list[str] = []  # names of PReLUs
        self._learned: dict[fx.Node, str] = {}  # constants that parameters make -> the parameter

    def run_node(self, n: fx.Node) -> object:
        """Run one node, then record it."""
        args, kwargs = self.fetch_args_kwargs_from_env(n)
        value = super().run_node(n)
        sources = tuple(self.steps[m] for m in n.all_input_nodes if m in self.steps)
        if n.op == "placeholder" and isinstance(value, Tensor):
            self.steps[n] = Step(n.name, ())
        elif n.op == "output":
            self._finish(n)
        elif sources and _carries_data(value) and _name(n) not in BLANKS:
            self.steps[n] = step = self._step(n, sources, args, dict(kwargs), value)
            _place(step)
        elif _asks_for_form(n):
            pass
        elif not sources:
            self._constant(n, value)
        elif _name(n) not in BLANKS:
            self.failure = self.failure or f"{_target(n)} reads numbers from the data"
        return value

    def _constant(self, n: fx.Node, value: object) -> None:
        """Remember constants that depend on parameters; buffers and numbers are fixed."""
        if n.op == "get_attr" and isinstance(value, nn.Parameter):
            self._learned[n] = str(n.target)
        for source in n.all_input_nodes:
            if source in self._learned:
                self._learned[n] = self._learned[source]

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
        learned = [self._learned[m] for m in n.all_input_nodes if m in self._learned]
        if sources[0].readers > 1 and self._in_place(n):
            step.reason = f"{_target(n)} overwrites a tensor that other steps read"
            return step
        if learned:
            self._skip(step, learned[0], f"a parameter used directly by {_target(n)}")
        elif n.op == "call_module":
            self._module(step, str(n.target), args, value)
        elif n.target in ADDITIONS and len(args) == 2 and all(m in self.steps for m in n.args):
            if kwargs.get("alpha", 1) != 1:
                step.reason = f"{_target(n)} adds something that is not computed from the input"
            elif len(sources) == 1:
                step.fixed = Fixed(2.0)  # x + x
            elif not _alike(args):
                step.reason = f"{_target(n)} adds tensors of different shapes"
            else:
                step.adds = True
        elif n.target in CONCATENATIONS and _along_channels(args, kwargs):
            self._concatenation(step, n, args)
        elif len(sources) > 1:
            step.reason = f"{_target(n)} combines {len(sources)} paths by something else than addition"
        elif len(args) == 2 and isinstance(args[0], Tensor) and isinstance(args[1], Tensor) and n.args[0] != n.args[1]:
            first = n.args[0] in self.steps
            data, constant = (args[0], args[1]) if first else (args[1], args[0])
            fixed = None if kwargs else of_constant(_name(n), data, constant, reversed_=not first)
            step.fixed = fixed or SAME
            step.reason = "" if fixed else f"{_target(n)} uses a constant in a way that has no known Lipschitz constant"
        else:
            self._operation(step, n, args, kwargs)
        return step

    def _concatenation(self, step: Step, n: fx.Node, args: tuple[object, ...]) -> None:
        """Channels side by side: of several steps, or of one step several times; zeros and constants may stand by."""
        nodes, parts = list(n.args[0]), list(args[0])  # type: ignore[arg-type, call-overload]
        constants = [part for node, part in zip(nodes, parts, strict=True) if node not in self.steps]
        zero = not any(bool(part.any()) for part in constants)
        own = [node for node in nodes if node in self.steps]
        if len(step.sources) == 1:
            step.fixed = Fixed(math.sqrt(len(own)), keeps_zero=zero, averages=True, channels="lost")
        elif len(own) == len(step.sources) and zero:
            step.joins = True
        else:
            step.reason = f"{_target(n)} puts {len(own)} paths and constants side by side"

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
        if name in self._altered:
            step.reason = f"{name} has {self._altered[name]}, and what it does is not traced"
        entering = args[0] if args else None
        if not isinstance(entering, Tensor) or not isinstance(value, Tensor) or len(step.sources) != 1:
            self._skip(step, name, f"{type(module).__name__} is not a map from one tensor to one tensor")
        elif isinstance(module, _BatchNorm):
            self._norm(step, name, module)
        elif not list(module.parameters()):
            fixed = of_module(module, tuple(entering.shape))
            step.fixed = fixed or SAME
            unknown = "" if fixed else f"no Lipschitz constant is known for {type(module).__name__} ({name})"
            step.reason = step.reason or unknown
        elif type(module) is nn.PReLU:
            step.fixed = slopes(module)
            self.slopes.append(name)
            self.skipped.append(Skipped(name, "PReLU has slopes of its own, which no measure of layers counts"))
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
        elif type(norm).forward not in (_BatchNorm.forward, nn.SyncBatchNorm.forward):
            self._skip(step, name, f"{type(norm).__name__} has a forward pass of its own")
        elif norm.running_mean is None:
            self._skip(step, name, f"{type(norm).__name__} without running statistics: its map depends on the batch")
        else:
            before.record = fold(before.record, norm, name)
            step.folded = True

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


def _along_channels(args: tuple[object, ...], kwargs: dict[str, object]) -> bool:
    parts = args[0] if args else None
    if not isinstance(parts, tuple | list) or not all(isinstance(part, Tensor) for part in parts):
        return False
    dimension = args[1] if len(args) > 1 else kwargs.get("dim", 0)
    return dimension in (1, 1 - parts[0].ndim)


def _asks_for_form(n: fx.Node) -> bool:
    return n.op != "get_attr" and (_name(n) in FORMS or (n.target is getattr and n.args[1] in FORMS))


def _name(n: fx.Node) -> str:
    return str(getattr(n.target, "__name__", n.target))


def _alike(args: tuple[object, ...]) -> bool:
    shapes = [tuple(a.shape) for a in args if isinstance(a, Tensor)]
    return len(shapes) == 2 and shapes[0] == shapes[1]


def _target(n: fx.Node) -> str:
    return f"{_name(n)} ({n.name})"


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
