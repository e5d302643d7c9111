"""Every linear map of a network, with its true size, and how they follow one another.

>>> import torch
>>> found = layers_of(torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU(), torch.nn.Linear(4, 2)),
...                   torch.zeros(1, 3))
>>> [(record.name, record.kind, tuple(record.weight.shape)) for record in found.records], found.skipped, found.refusal
([('0', 'dense', (4, 3)), ('2', 'dense', (2, 4))], (), '')
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from ...errors import ModelError, first_line
from ...models.others import private_copy
from .agreement import Replay, disagreement
from .altered import blame
from .chains import Block, Branch, Chain, NotAChain, blocks_of
from .linear_maps import CONVOLUTIONS, LayerRecord, Skipped, express, fold, squared_frobenius
from .tracing import RUNNING_NORM, Walk, owners, shares_weights, trace, unexpressed

__all__ = ["Block", "Branch", "LayerRecord", "Layers", "Skipped", "fold", "layers_of", "squared_frobenius"]

BATCH = 500

Call = tuple[nn.Module, object, object]  # a module with the input and the output of one of its calls


@dataclass(frozen=True)
class Layers:
    """The linear maps of a network in the order of computation, and their arrangement.

    records: what could be expressed. skipped: parts with parameters that could not, each with its reason.
    blocks: the chain that the network is, empty where it is none. before: Lipschitz constant of the fixed operations
    before the first block. refusal: not empty where a step of the network has no known Lipschitz constant (those of
    the blocks are then infinite) or where it is no chain; no theorem about chains of layers may then be applied.
    before_maximum: the same in the maximum norm.
    offsets: operations that do not map 0 to 0 (a theorem that needs f(0) = 0 refuses them; biases are in the records);
    the first `fronts` of them stand before the first block, as where pixels are standardised. slopes: names of PReLUs,
    whose slopes are parameters that theorems about fixed activations do not cover. front: what the first block reads.
    """

    records: tuple[LayerRecord, ...]
    skipped: tuple[Skipped, ...]
    blocks: tuple[Block, ...]
    before: float
    offsets: tuple[str, ...]
    refusal: str
    before_maximum: float = math.inf
    fronts: int = 0
    slopes: tuple[str, ...] = ()
    front: Callable[[Tensor], Tensor] | None = None

    def behind_front(self) -> "Layers":
        """The layers as a network that reads what the first block reads, where something before it moves 0."""
        if not self.fronts:
            return self
        return replace(self, before=1.0, before_maximum=1.0, offsets=self.offsets[self.fronts :], fronts=0, front=None)

    def entering(self, x: Tensor) -> Tensor:
        """What the network of `behind_front` reads: x itself, or what the operations before the first block make of it.

        Args: x: (n, ...) as the whole network reads it. Returns: (n, ...), in batches of `BATCH`.
        """
        if not self.fronts or self.front is None:
            return x
        return torch.cat([self.front(x[start : start + BATCH]) for start in range(0, len(x), BATCH)])

    def named(self, name: str) -> LayerRecord:
        """Find a record by the name of its module. Raises: ModelError."""
        for record in self.records:
            if record.name == name:
                return record
        raise ModelError(
            f"Layers.named: a layer is one of {', '.join(r.name for r in self.records) or 'none'}, got {name!r}."
        )


def layers_of(model: nn.Module, example_input: Tensor) -> Layers:
    """Record every linear map of a network by running a copy of it once, in evaluation mode.

    A batch normalisation in evaluation mode directly behind a layer is folded into it; in training mode it is
    skipped. The network itself is neither changed nor run.

    Args: model: any module from one tensor to one tensor. example_input: (batch, ...) as the network reads it;
        its values do not matter, its sizes do.
    Raises: ModelError where the network cannot be copied or does not run on the example.
    """
    replica, own = private_copy(model), private_copy(model)
    if isinstance(replica, (nn.Linear, *CONVOLUTIONS)):
        replica = nn.Sequential(replica)  # a network of one layer, which is then called "0"
    training = frozenset(name for name, m in model.named_modules() if isinstance(m, _BatchNorm) and m.training)
    replica.eval()
    try:
        graph = trace(replica)
    except Exception as why:  # torch.fx raises many kinds, for anything it cannot trace
        records, skipped = _by_hooks(replica, example_input, training)
        refusal = blame(own) or f"torch.fx cannot trace the network: {first_line(why)}"
        return _complete(replica, records, skipped, Chain(), refusal)
    walk = Walk(graph, training)
    _run(walk.run, example_input)
    refusal = blame(own) or walk.failure or next((step.reason for step in walk.steps.values() if step.reason), "")
    chain = Chain()
    if walk.end is not None:
        try:
            chain = blocks_of(walk.end)
        except NotAChain as why:
            refusal = refusal or str(why)
    refusal = refusal or disagreement(walk, graph, own, example_input)
    records = [step.record for step in walk.steps.values() if step.record is not None]
    found = _complete(replica, records, walk.skipped, chain, refusal)
    return replace(found, slopes=tuple(walk.slopes), front=None if refusal else _front(walk, chain.start))


def _front(walk: Walk, start: str) -> Callable[[Tensor], Tensor]:
    def front(x: Tensor) -> Tensor:
        with torch.no_grad():
            return Replay(walk).up_to(start, x)

    return front


def _complete(
    model: nn.Module, records: list[LayerRecord], skipped: list[Skipped], chain: Chain, refusal: str
) -> Layers:
    """Name every parameter that nothing accounts for, then build the record."""
    named = [r.name for r in records] + [r.folded for r in records if r.folded] + [s.name for s in skipped]
    for name, _ in model.named_parameters(remove_duplicate=False):
        if not any(name == known or name.startswith(f"{known}.") or known == "" for known in named):
            owner = name.rpartition(".")[0] or name
            skipped.append(Skipped(owner, f"{name} is used by no layer that ran"))
            named.append(owner)
    if not chain.blocks and not refusal:
        refusal = "the network has no linear layer between its input and its output"
    named_once, before = tuple(dict.fromkeys(skipped)), chain.before
    return Layers(
        tuple(records), named_once, chain.blocks, before.euclidean, chain.moved, refusal, before.maximum, chain.fronts
    )


def _by_hooks(model: nn.Module, example: Tensor, training: frozenset[str]) -> tuple[list[LayerRecord], list[Skipped]]:
    """Record layers by forward hooks where the graph is unknown: sizes are true, the arrangement is not known."""
    seen: dict[str, list[Call]] = {}
    remark = blame(model)

    def note(name: str) -> Callable[[nn.Module, tuple[object, ...], object], None]:
        def hook(module: nn.Module, args: tuple[object, ...], output: object) -> None:
            seen.setdefault(name, []).append((module, args[0] if args else None, output))

        return hook

    handles = [
        module.register_forward_hook(note(name))
        for name, module in model.named_modules()
        if any(True for _ in module.parameters(recurse=False))
    ]
    _run(model, example, remark)
    for handle in handles:
        handle.remove()
    records: list[LayerRecord] = []
    skipped: list[Skipped] = []
    counts = owners(model)
    for name, calls in seen.items():
        record, reason = _hooked(name, calls, shares_weights(calls[0][0], counts), name in training)
        if record is not None:
            records.append(record)
        else:
            skipped.append(Skipped(name, reason))
    return records, skipped


def _hooked(name: str, calls: list[Call], shared: bool, training: bool) -> tuple[LayerRecord | None, str]:
    module, entering, leaving = calls[0]
    if isinstance(module, _BatchNorm):
        return None, RUNNING_NORM if training else "folding needs the graph, which torch.fx could not trace"
    if len(calls) > 1 or shared:
        return None, f"weight-shared: {type(module).__name__} is called {len(calls)} times or shares a parameter"
    if not isinstance(entering, Tensor) or not isinstance(leaving, Tensor):
        return None, f"{type(module).__name__} is not a map from one tensor to one tensor"
    record = express(module, name, tuple(entering.shape), tuple(leaving.shape))
    return record, unexpressed(module)


def _run(network: Callable[[Tensor], object], example: Tensor, remark: str = "") -> None:
    if not isinstance(example, Tensor) or example.ndim < 2 or example.shape[0] < 1:
        found = tuple(example.shape) if isinstance(example, Tensor) else type(example).__name__
        raise ModelError(f"layers_of: the example input is a tensor (batch, ...), got {found}. Give x[:1].")
    try:
        with torch.no_grad():
            network(example)
    except Exception as why:  # networks of others raise anything
        raise ModelError(
            f"layers_of: the network runs on the example input, of shape {tuple(example.shape)}: "
            f"{type(why).__name__}: {first_line(why)}. {remark or 'Give one batch as the network reads it'}."
        ) from None
