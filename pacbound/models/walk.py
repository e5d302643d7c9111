"""Run a traced network once and follow every unit to its places in the parameters.

Layers make units, operations on single entries keep them, additions and products tie them together, what moves entries
moves their labels along, and whatever is not known to treat units alike lets all units that enter it stay where they
are: a group may be missed, which `doubts` then says, and is never invented.
"""

from collections import Counter
from collections.abc import Sequence

import torch
from torch import Tensor, fx, nn
from torch.nn.modules.batchnorm import _BatchNorm

from .labels import FIXED, Labels
from .notes import Notes
from .published import Pixels
from .steps import (
    ARITHMETIC,
    CONSTANTS,
    CONVOLUTIONS,
    ENTRYWISE,
    ENTRYWISE_MODULES,
    MOVING,
    MOVING_MODULES,
    POOL,
    REDUCTIONS,
    SIZES,
    as_torch_made_it,
    is_of_torch,
)
from .views import Front


class Tracer(fx.Tracer):
    """Take as one step what torch.nn provides, the standardisation of pixels, and what no parameter enters."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        """Whether a module is a step of its own."""
        return isinstance(m, Pixels | Front) or super().is_leaf_module(m, module_qualified_name)


class Walk(fx.Interpreter):
    """One run, which notes for every unit its places in the parameters."""

    def __init__(self, graph: fx.GraphModule, names: Sequence[str]) -> None:
        """graph: its values are beside the point, so give it random weights. names: of the parameters that count."""
        super().__init__(graph)
        self.notes = Notes()
        self.labels: dict[fx.Node, Labels | tuple[Labels, ...]] = {}
        self.doubts: list[str] = []
        self.uses: Counter[int] = Counter()
        self._tensors = {name: k for k, name in enumerate(names)}
        self._names = {id(parameter): name for name, parameter in graph.named_parameters()}

    def run_node(self, n: fx.Node) -> object:
        """Run one node, then label the entries of what it returns."""
        args, kwargs = self.fetch_args_kwargs_from_env(n)
        versions = {m: v._version for m, v in self.env.items() if isinstance(v, Tensor)}
        value = super().run_node(n)
        last = self.user_to_last_uses.get(n, [])
        for m, version in versions.items():
            if self.env[m]._version != version and m not in last and m in self.labels:  # changed behind a name in use
                self.doubts.append(f"{n.name} overwrites a tensor that other steps read")
                self._let_stay([m])
                self.labels[m] = self._fixed(self.env[m])
        if n.op not in ("output", "placeholder"):
            self._label(n, args, dict(kwargs), value)
        elif n.op == "placeholder" and isinstance(value, Tensor):
            self.labels[n] = self._fixed(value)
        elif n.op == "output":
            self._let_stay(n.all_input_nodes)
        for m in last:
            self.labels.pop(m, None)
        return value

    def _label(self, n: fx.Node, args: tuple[object, ...], kwargs: dict[str, object], value: object) -> None:
        name = getattr(n.target, "__name__", str(n.target)).lower() if n.op != "call_module" else ""
        if n.op == "get_attr":
            self._attribute(n, value)
            return
        sources = [m for m in n.all_input_nodes if m in self.labels]
        if not isinstance(value, Tensor | tuple | list) or isinstance(value, torch.Size):
            if name not in SIZES and sources:
                self._unknown(n, sources, value)
            return
        if not sources or name in CONSTANTS:
            if isinstance(value, Tensor):
                self.labels[n] = Labels(torch.zeros_like(value, dtype=torch.int64), self.notes.roles.constants(value))
            return
        found = self._module(n, args, value) if n.op == "call_module" else self._follow(n, name, args, kwargs, value)
        if found is None:
            self._unknown(n, sources, value)
        else:
            self.labels[n] = found

    def _attribute(self, n: fx.Node, value: object) -> None:
        """A parameter or constant that forward takes itself: parameters take any value, constants have theirs."""
        if not isinstance(value, Tensor):
            return
        name = self._names.get(id(value))
        if name is None:
            self.labels[n] = Labels(torch.zeros_like(value, dtype=torch.int64), self.notes.roles.constants(value))
            return
        tensor, long = self._tensors.get(name), [d for d, side in enumerate(value.shape) if side > 1]
        if tensor is None or len(long) != 1:
            self.labels[n] = self._fixed(value)
            self.uses[-1 if tensor is None else tensor] += 2  # nobody follows its axes
            self.doubts.append(f"forward takes {name} itself")
            return
        self.uses[tensor] += 1
        unit = self.notes.units.new(value.shape[long[0]])
        self.notes.note(tensor, long[0], unit)
        self.labels[n] = Labels(
            unit.view(value.shape), self.notes.roles.fresh(torch.zeros_like(unit)).view(value.shape)
        )

    def _fixed(self, value: Tensor) -> Labels:
        return Labels(torch.zeros(value.shape, dtype=torch.int64), self.notes.roles.every(value.shape))

    def _let_stay(self, nodes: Sequence[fx.Node]) -> bool:
        """Fix all units in the values of nodes; whether there were any."""
        found = False
        for node in nodes:
            held = self.labels.get(node, ())
            for labels in held if isinstance(held, tuple) else (held,):
                found |= bool((self.notes.units.roots(labels.unit) != FIXED).any())
                self.notes.units.fix(labels.unit)
        return found

    def _unknown(self, n: fx.Node, sources: Sequence[fx.Node], value: object) -> None:
        """Fix what enters a step that nobody follows; what it returns depends on the data."""
        module = self.module.get_submodule(str(n.target)) if n.op == "call_module" else None
        if self._let_stay(sources) or (module is not None and any(True for _ in module.parameters())):
            what = getattr(n.target, "__name__", n.target) if module is None else type(module).__name__
            self.doubts.append(f"nobody knows which units {what} ({n.name}) lets change places")
        parts = value if isinstance(value, tuple | list) else (value,)
        labels = tuple(self._fixed(part) for part in parts if isinstance(part, Tensor))
        self.labels[n] = labels[0] if isinstance(value, Tensor) else labels

    def _of(self, node: object) -> Labels | None:
        """Labels of a node's value, fixed units told apart by their roles; None where it has none."""
        held = self.labels.get(node) if isinstance(node, fx.Node) else None
        if not isinstance(node, fx.Node) or not isinstance(held, Labels):
            return None
        roots = self.notes.units.roots(held.unit)
        stayed = (roots == FIXED) & (held.unit != FIXED)
        if not bool(stayed.any()):
            return Labels(roots, held.role)
        role = held.role.clone()
        role[stayed] = self.notes.roles.fresh(held.unit[stayed], held.role[stayed])
        self.labels[node] = Labels(roots, role)
        return Labels(roots, role)

    def _follow(
        self, n: fx.Node, name: str, args: tuple[object, ...], kwargs: dict[str, object], value: Tensor | tuple | list
    ) -> Labels | tuple[Labels, ...] | None:
        """Labels of the result; None for a step that is not known to treat units alike."""
        if not is_of_torch(n):
            return None
        of = n.args[0] if n.args else None
        if name == "getitem" and isinstance(of, fx.Node) and isinstance(held := self.labels.get(of), tuple):
            place = n.args[1]
            return held[place] if isinstance(place, int) and -len(held) <= place < len(held) else None
        if name in MOVING:
            return self._moved(n, value)
        if not isinstance(value, Tensor):
            return None
        if name in ARITHMETIC:
            return self._arithmetic(n, value)
        entering = self._of(n.args[0]) if n.args else None
        if entering is None or len([m for m in n.all_input_nodes if m in self.labels]) != 1:
            return None
        if name in ENTRYWISE:
            return self._entrywise(entering) if value.shape == entering.unit.shape else None
        if pool := POOL.fullmatch(name):
            return self._pooled(entering, int(pool[1]), value)
        if name in ("softmax", "log_softmax"):
            dim = args[1] if len(args) > 1 else kwargs.get("dim")
            return self.notes.normalised(entering, dim) if isinstance(dim, int) else None
        if name in REDUCTIONS:
            dims = args[1] if len(args) > 1 else kwargs.get("dim")
            return self._reduced(entering, dims, value)
        return None

    def _module(self, n: fx.Node, args: tuple[object, ...], value: Tensor | tuple | list) -> Labels | None:
        module = self.module.get_submodule(str(n.target))
        entering = self._of(n.args[0]) if len(n.args) == 1 and not n.kwargs else None
        if entering is None or not isinstance(value, Tensor) or not as_torch_made_it(module):
            return None
        kind = type(module).__name__
        if kind in ENTRYWISE_MODULES or (isinstance(module, nn.PReLU) and module.num_parameters == 1):
            return self._entrywise(entering)
        if pool := POOL.fullmatch(kind):
            return self._pooled(entering, int(pool[1]), value)
        if kind in MOVING_MODULES or (kind == "Upsample" and module.mode == "nearest"):
            moved = self._moved(n, value)
            return moved if isinstance(moved, Labels) else None
        own = dict(module.named_parameters(recurse=False))
        tensors = {key: self._tensors.get(self._names.get(id(p), "")) for key, p in own.items()}
        if any(tensor is None for tensor in tensors.values()):
            return None
        places = {key: tensor for key, tensor in tensors.items() if tensor is not None}
        self.uses.update(places.values())
        if isinstance(module, _BatchNorm) and module.running_mean is not None and module.running_var is not None:
            statistics = map(self.notes.roles.constants, (module.running_mean, module.running_var))
            return self.notes.vectors(places, entering, self.notes.roles.fresh(*statistics))
        if isinstance(module, nn.PReLU):
            return self.notes.vectors(places, entering, torch.zeros(module.num_parameters, dtype=torch.int64))
        if isinstance(module, nn.GroupNorm) and entering.unit.ndim >= 2:
            channels = torch.arange(module.num_channels)
            return self.notes.vectors(
                places, entering, channels // (len(channels) // module.num_groups), 1, str(n.target)
            )
        if isinstance(module, nn.LayerNorm) and len(module.normalized_shape) == 1:
            one = torch.zeros(module.normalized_shape[0], dtype=torch.int64)
            return self.notes.vectors(places, entering, one, entering.unit.ndim - 1, str(n.target))
        if kind in ("Softmax", "LogSoftmax") and isinstance(module.dim, int):
            return self.notes.normalised(entering, module.dim)
        if isinstance(module, nn.Linear):
            return self.notes.linear(places, entering, module.out_features)
        if isinstance(module, CONVOLUTIONS) and entering.unit.ndim == value.ndim == module.weight.ndim:
            return self.notes.convolution(str(n.target), module, places, entering, value)
        return None

    def _entrywise(self, entering: Labels) -> Labels:
        return Labels(entering.unit, self.notes.roles.fresh(entering.role))

    def _arithmetic(self, n: fx.Node, value: Tensor) -> Labels | None:
        """Two tensors, or a tensor and numbers, entry by entry."""
        if not n.kwargs.keys() <= {"alpha", "rounding_mode"} or any(isinstance(v, fx.Node) for v in n.kwargs.values()):
            return None
        operands = [self._of(m) for m in n.args if isinstance(m, fx.Node) and m in self.labels]
        known = [one for one in operands if one is not None]
        if not 1 <= len(known) <= 2 or len(known) != len(operands):
            return None
        parts = [Labels(one.unit.expand(value.shape), one.role.expand(value.shape)) for one in known]
        if len(parts) == 1:
            return self._entrywise(parts[0])
        (one, other) = parts
        both = (one.unit != FIXED) & (other.unit != FIXED)
        self.notes.units.unite(one.unit[both], other.unit[both])
        unit = self.notes.units.roots(torch.where(one.unit == FIXED, other.unit, one.unit))
        return Labels(unit, self.notes.roles.fresh(one.role, other.role))

    def _moved(self, n: fx.Node, value: Tensor | tuple | list) -> Labels | tuple[Labels, ...] | None:
        """Labels behind a step that moves, repeats or leaves out entries, or adds zeros: the step done to numbers."""
        moving = [m for m in n.all_input_nodes if m in self.labels and not _is_index(self.env[m])]
        sources = {m: labels for m in moving if (labels := self._of(m)) is not None}
        if not sources or len(sources) != len(moving):
            return None
        numbers, start = {}, 1
        for m, labels in sources.items():
            count = labels.unit.numel()
            numbers[m] = torch.arange(start, start + count, dtype=torch.float64).reshape(labels.unit.shape)
            start += count
        args, kwargs = (
            fx.node.map_arg(part, lambda m: numbers[m] if m in numbers else self.env[m]) for part in (n.args, n.kwargs)
        )
        index = getattr(self, n.op)(n.target, args, kwargs)
        all_values = torch.cat([torch.zeros(1).double(), *(self.env[m].reshape(-1).double() for m in sources)])
        unit, role = (
            torch.cat([getattr(labels, part).reshape(-1) for labels in sources.values()]) for part in ("unit", "role")
        )
        every = Labels(unit, role)
        found = []
        outcomes = [value] if isinstance(value, Tensor) else list(value)
        for tensor, places in zip(outcomes, [index] if isinstance(value, Tensor) else list(index), strict=True):
            if not isinstance(tensor, Tensor) or places.shape != tensor.shape or not _numbers(places, start):
                return None
            if not torch.equal(all_values[places.long()], tensor.double()):
                return None
            found.append(every.map(places.long()))
        return found[0] if isinstance(value, Tensor) else tuple(found)

    def _pooled(self, entering: Labels, spatial: int, value: Tensor) -> Labels | None:
        dims = entering.unit.ndim - spatial
        if value.ndim != entering.unit.ndim or dims < 1 or value.shape[:dims] != entering.unit.shape[:dims]:
            return None
        return self.notes.spread(self.notes.whole(entering.rows(dims)), value, dims)

    def _reduced(self, entering: Labels, dims: object, value: Tensor) -> Labels | None:
        """A mean or so over dimensions, which has to take one unit at a time."""
        rank = entering.unit.ndim
        chosen = [dims] if isinstance(dims, int) else list(range(rank)) if dims is None else dims
        if not isinstance(chosen, tuple | list) or not all(isinstance(d, int) for d in chosen):
            return None
        last = [d % rank for d in chosen]
        order = [d for d in range(rank) if d not in last] + last
        moved = Labels(entering.unit.permute(order), entering.role.permute(order))
        whole = self.notes.whole(moved.rows(rank - len(last)))
        return None if whole is None else Labels(whole.unit.reshape(value.shape), whole.role.reshape(value.shape))


def _numbers(places: Tensor, stop: int) -> bool:
    return bool(((places == places.round()) & (places >= 0) & (places < stop)).all())


def _is_index(value: object) -> bool:
    return isinstance(value, Tensor) and not value.is_floating_point()
