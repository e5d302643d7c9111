"""Which hidden units of a network may change places: found by following channels through the traced graph.

Every channel of every intermediate tensor carries the name of a unit; additions make two units one, a reader or writer
adds a place in a weight. Whatever is not known to treat channels alike fixes the units that enter it, so that in doubt
a group is left out. Units with places in the same axes of the same tensors form a group.
"""

import copy
import itertools
import operator
from collections import defaultdict
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, fx, nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm

from ..errors import ModelError
from ..specs.tensors import UnitAxis, UnitGroup
from ..subspace.layout import Layout
from .published import Pixels

Labels = list[int | None]  # the unit of each channel; None where the channel is 0 throughout
FIXED = 0  # the unit of all channels that have their place

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
ALIKE_MODULES = (
    nn.ReLU, nn.LeakyReLU, nn.GELU, nn.SiLU, nn.Tanh, nn.Sigmoid, nn.ELU, nn.Identity, nn.Dropout, nn.Dropout2d,
    nn.MaxPool1d, nn.MaxPool2d, nn.AvgPool1d, nn.AvgPool2d, nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.Hardtanh,
    nn.ReLU6, nn.Hardswish, nn.Softplus,
)  # fmt: skip
ALIKE_FUNCTIONS = (
    F.relu, torch.relu, F.leaky_relu, F.gelu, F.silu, torch.tanh, torch.sigmoid, F.elu, F.dropout, F.relu6,
    F.max_pool1d, F.max_pool2d, F.avg_pool1d, F.avg_pool2d, F.adaptive_avg_pool1d, F.adaptive_avg_pool2d,
)  # fmt: skip
ALIKE_METHODS = ("relu", "relu_", "tanh", "sigmoid", "contiguous")
ADDITIONS = (operator.add, operator.iadd, torch.add)
TOLERANCE = 1e-6


class _Tracer(fx.Tracer):
    """Take as one step what torch.nn provides, what owns parameters, and the standardisation of pixels."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        owns = any(True for _ in m.parameters(recurse=False))
        return super().is_leaf_module(m, module_qualified_name) or owns or isinstance(m, Pixels)


def unit_groups(module: nn.Module, layout: Layout, example: Tensor) -> tuple[UnitGroup, ...]:
    """Return the groups of interchangeable units in elimination order: those with most axes first, then as they come.

    Args: module: in evaluation mode, not touched. example: (batch, ...) as the network reads it; only shapes matter.
    Returns: () where the network cannot be traced. All units are kept.
    Raises: ModelError where a group that was found does change the function.
    """
    replica = copy.deepcopy(module).eval()
    try:
        graph = fx.GraphModule(replica, _Tracer().trace(replica))
        walk = _Walk(graph, layout)
        with torch.no_grad():
            walk.run(example)
    except Exception:  # torch.fx and the network raise many kinds; no group is always a right answer
        return ()
    groups = tuple(sorted(walk.groups(), key=lambda group: -len(group.axes)))
    check_units(module, layout, groups, example)
    return groups


def check_units(module: nn.Module, layout: Layout, groups: Sequence[UnitGroup], example: Tensor) -> None:
    """Shuffle the units of all groups of a copy with random weights, and compare the outputs in float64.

    Raises: ModelError where they differ, so that the groups are no symmetry of the network.
    """
    generator = torch.Generator().manual_seed(0)
    replica = copy.deepcopy(module).eval().double()
    named = dict(replica.named_parameters())
    tensors = [named[slot.name] for slot in layout.slots]
    x = torch.rand(example[:1].shape, generator=generator, dtype=torch.float64) * float(example.max().clamp(min=1))
    with torch.no_grad():
        for tensor in tensors:
            fan_in = max(1, tensor[:1].numel())
            tensor.copy_(torch.randn(tensor.shape, generator=generator, dtype=torch.float64) / fan_in**0.5)
        before = replica(x)
        for group in groups:
            shuffle_units(tensors, group, torch.randperm(group.size, generator=generator))
        after = replica(x)
    scale = float(before.abs().max()) + 1e-30
    if not float((after - before).abs().max()) <= TOLERANCE * scale:
        raise ModelError(
            "check_units: units of a group change places without changing the function, here they do change it. "
            "Declare the groups of this network, or none."
        )


def shuffle_units(tensors: Sequence[Tensor], group: UnitGroup, order: Tensor) -> None:
    """Give place k of a group the unit that stood at order[k], in every tensor, in place."""
    for axis in group.axes:
        places = torch.cat([start + axis.width * torch.arange(units) for start, units in axis.runs])
        places = places[:, None] + torch.arange(axis.width)  # (units, width)
        tensor = tensors[axis.tensor]
        source = torch.arange(max(1, tensor.shape[axis.axis] if tensor.ndim else 1))
        source[places] = places[order]
        tensor.copy_(tensor.index_select(axis.axis, source))


class _Walk(fx.Interpreter):
    """Run a traced network once and note, for every unit, its places in the parameters."""

    def __init__(self, graph: fx.GraphModule, layout: Layout) -> None:
        super().__init__(graph)
        self.labels: dict[fx.Node, Labels] = {}
        self.parents = [FIXED]
        self.places: dict[int, list[tuple[int, int, int]]] = defaultdict(list)  # unit -> (tensor, axis, position)
        self.tensors = {slot.name: k for k, slot in enumerate(layout.slots)}
        self.owners = {id(parameter): name for name, parameter in graph.named_parameters()}
        self.read: set[str] = set()

    def run_node(self, n: fx.Node) -> object:
        """Run one node, then label the channels of what it returns."""
        args, kwargs = self.fetch_args_kwargs_from_env(n)
        value = super().run_node(n)
        if isinstance(value, Tensor) and value.ndim >= 2:
            found = (
                None if n.op in ("placeholder", "get_attr", "output") else self._follow(n, args, dict(kwargs), value)
            )
            if found is None:
                self._fix(n)
            self.labels[n] = found or [FIXED] * value.shape[1]
        else:
            self._fix(n)
        return value

    def _fix(self, n: fx.Node) -> None:
        for source in n.all_input_nodes:
            for unit in self.labels.get(source, ()):
                self._unite(FIXED, unit)

    def _follow(self, n: fx.Node, args: tuple[object, ...], kwargs: dict[str, object], value: Tensor) -> Labels | None:
        """Labels of the result; None for a step that is not known to treat channels alike."""
        sources = [self.labels[m] for m in n.all_input_nodes if m in self.labels]
        if n.op == "call_module":
            return self._module(str(n.target), sources, args, value) if len(sources) == 1 else None
        if n.target in ADDITIONS and len(sources) == len(args) == 2 and not kwargs:
            return self._add(*sources) if len(sources[0]) == len(sources[1]) else None
        if len(sources) != 1 or not isinstance(args[0], Tensor):
            return None
        if n.target in ALIKE_FUNCTIONS or (n.op == "call_method" and n.target in ALIKE_METHODS):
            return sources[0]
        if n.target in (torch.flatten, "flatten", "mean", torch.mean, F.pad, operator.getitem):
            return _moved(n.target, sources[0], args, kwargs, value)
        return None

    def _module(self, name: str, sources: list[Labels], args: tuple[object, ...], value: Tensor) -> Labels | None:
        module = self.module.get_submodule(name)
        (entering,) = sources
        if isinstance(module, ALIKE_MODULES):
            return entering
        if isinstance(module, nn.Flatten) and module.start_dim == 1 and module.end_dim == -1:
            return list(itertools.chain.from_iterable([u] * (value.shape[1] // len(entering)) for u in entering))
        if name in self.read or not isinstance(args[0], Tensor):
            return None
        self.read.add(name)
        if isinstance(module, _BatchNorm):
            return self._vectors(module, entering)
        if isinstance(module, nn.Linear):
            return self._layer(module, entering) if args[0].ndim == 2 else None
        if isinstance(module, CONVOLUTIONS):
            return self._layer(module, entering) if module.groups == 1 else None
        return None

    def _vectors(self, module: nn.Module, entering: Labels) -> Labels | None:
        if any(self._index(parameter) is None for parameter in module.parameters(recurse=False)):
            return None
        for parameter in module.parameters(recurse=False):
            self._note(parameter, 0, entering)
        return [self._new() if unit is None else unit for unit in entering]  # a shift makes zeros something else

    def _layer(self, module: nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d, entering: Labels) -> Labels | None:
        weight, bias = module.weight, module.bias
        if self._index(weight) is None or (bias is not None and self._index(bias) is None):
            return None
        leaving: Labels = [self._new() for _ in range(len(weight))]
        self._note(weight, 1, entering)
        self._note(weight, 0, leaving)
        if bias is not None:
            self._note(bias, 0, leaving)
        return leaving

    def _index(self, parameter: object) -> int | None:
        """Place of a parameter in the layout; None for one that is tied to another."""
        name = self.owners.get(id(parameter), "")
        return self.tensors.get(name)

    def _note(self, parameter: object, axis: int, units: Labels) -> None:
        tensor = self._index(parameter)
        assert tensor is not None
        for position, unit in enumerate(units):
            if unit is not None:
                self.places[unit].append((tensor, axis, position))

    def _new(self) -> int:
        self.parents.append(len(self.parents))
        return len(self.parents) - 1

    def _root(self, unit: int) -> int:
        while self.parents[unit] != unit:
            unit = self.parents[unit]
        return unit

    def _unite(self, one: int | None, other: int | None) -> None:
        if one is not None and other is not None:
            low, high = sorted((self._root(one), self._root(other)))
            self.parents[high] = low

    def _add(self, one: Labels, other: Labels) -> Labels:
        for pair in zip(one, other, strict=True):
            self._unite(*pair)
        return [a if b is None else b for a, b in zip(one, other, strict=True)]

    def groups(self) -> Iterator[UnitGroup]:
        """Units whose places lie in the same axes of the same tensors, as often in each."""
        units: dict[int, list[tuple[int, int, int]]] = defaultdict(list)
        for unit, places in self.places.items():
            units[self._root(unit)] += places
        alike: dict[tuple[tuple[int, int, int], ...], list[int]] = defaultdict(list)
        for unit in sorted(units.keys() - {FIXED}):
            counts: dict[tuple[int, int], int] = defaultdict(int)
            for tensor, axis, _ in units[unit]:
                counts[tensor, axis] += 1
            alike[tuple((*key, count) for key, count in sorted(counts.items()))].append(unit)
        for key, members in alike.items():
            if len(members) > 1:
                axes = [_axis(tensor, axis, width, [units[m] for m in members]) for tensor, axis, width in key]
                if all(axis is not None for axis in axes):
                    yield UnitGroup(axes=tuple(a for a in axes if a is not None), kept=len(members))


def _axis(tensor: int, axis: int, width: int, units: list[list[tuple[int, int, int]]]) -> UnitAxis | None:
    """Places of units along an axis as runs; None where a unit's positions do not follow one another."""
    runs: list[list[int]] = []
    for places in units:
        positions = sorted(p for t, a, p in places if (t, a) == (tensor, axis))
        if positions != list(range(positions[0], positions[0] + width)):
            return None
        if runs and runs[-1][0] + runs[-1][1] * width == positions[0]:
            runs[-1][1] += 1
        else:
            runs.append([positions[0], 1])
    return UnitAxis(tensor=tensor, axis=axis, width=width, runs=tuple((start, count) for start, count in runs))


def _moved(
    target: object, labels: Labels, args: tuple[object, ...], kwargs: dict[str, object], value: Tensor
) -> Labels | None:
    """Labels behind a step that keeps, repeats or pads channels; None where it does anything else to them."""
    x = args[0]
    assert isinstance(x, Tensor)
    if target in (torch.flatten, "flatten"):
        if (*args[1:], *kwargs.values()) != (1,):
            return None
        return list(itertools.chain.from_iterable([unit] * (value.shape[1] // len(labels)) for unit in labels))
    if target in (torch.mean, "mean"):
        dims = args[1] if len(args) == 2 and not kwargs else kwargs.get("dim") if len(args) == 1 else None
        spatial = isinstance(dims, tuple | list) and all(isinstance(d, int) and d % x.ndim >= 2 for d in dims)
        return labels if spatial else None
    if target is operator.getitem:
        index = args[1]
        whole = isinstance(index, tuple) and index[:2] == (slice(None), slice(None))
        return labels if whole and value.ndim == x.ndim else None
    zeros = kwargs.get("mode", "constant") == "constant" and not kwargs.get("value")
    widths = list(args[1]) if len(args) == 2 and zeros and isinstance(args[1], tuple | list) else []
    channel = 2 * (x.ndim - 2)  # pairs come from the last dimension on
    if len(widths) != channel + 2 or min(widths) < 0:
        return None
    before, after = (int(w) for w in widths[channel:])
    return [*[None] * before, *labels, *[None] * after]
