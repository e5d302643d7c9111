"""Which hidden units of a network may change places: found by following them through the traced graph.

What is found is applied once to random weights, and has to leave the outputs as they are.
"""

import copy
import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, fx, nn

from ..errors import ModelError, first_line
from ..specs.tensors import MAX_PLACES, UnitGroup
from ..subspace.layout import Layout
from .interchange import MOST_AXES, Interchange, Symmetry, group_of, interchanges, shuffle_members
from .notes import Block
from .others import private_copy
from .walk import Tracer, Walk

EXACT, ROUNDED = 1e-6, 1e-3  # of the largest output: in float64, and where the network insists on its own dtype
SCALES = (1.0, 1e-2, 1e2)

Move = Callable[[list[Tensor]], None]


def symmetry_of(module: nn.Module, layout: Layout, example: Tensor) -> Symmetry:
    """Find every interchange of hidden units that leaves the function of a network as it is, for all parameters.

    Args: module: not touched, followed in evaluation mode. example: (batch, ...) as the network reads it; only shape
        and dtype matter.
    Raises: ModelError where the network does not run or cannot be traced, or does something else than its trace.
    """
    replica = _randomised(module, layout)
    x = _inputs(example, 1.0)
    named = [slot.name for slot in layout.slots]
    try:
        with torch.no_grad():
            replica(x)
    except Exception as why:  # somebody else's network: any kind
        raise ModelError(
            f"symmetry_of: the network runs on two examples of shape {tuple(example.shape[1:])} in evaluation mode, "
            f"got {first_line(why)}. Give examples as it reads them."
        ) from None
    try:
        graph = fx.GraphModule(replica, Tracer().trace(replica))
        walk = Walk(graph, named)
        with torch.no_grad():
            walk.run(x)
            same = _close(graph(x), replica(x), ROUNDED)
    except Exception as why:  # torch.fx raises many kinds, for anything it cannot trace
        raise ModelError(
            f"symmetry_of: torch.fx follows units through the network, and cannot: {first_line(why)}. "
            "Keep control flow that depends on the data out of forward."
        ) from None
    if not same:
        raise ModelError(
            "symmetry_of: the network computes what torch.fx sees in it, got other outputs. Remove hooks and forwards "
            "that were replaced on the network, and dropout that stays on."
        )
    units, whole = interchanges(walk, named)
    found = Symmetry(units, whole, tuple(walk.doubts))
    moves = [_mover(one, walk.notes.blocks) for one in (*units, *(block for block, _ in whole))]
    _check(module, layout, moves, example)
    return found


def unit_groups(module: nn.Module, layout: Layout, example: Tensor) -> tuple[UnitGroup, ...]:
    """Return the groups of interchangeable units in elimination order: those with most axes first, then as they come.

    Where whole blocks may change places too, whichever saves more is taken: a position belongs to one group. Units that
    the format cannot say (columns within a block) are left out.
    Args: as `symmetry_of`. Returns: () where nothing is known of the network for sure. All units are kept.
    """
    try:
        found = symmetry_of(module, layout, example)
    except ModelError:  # no group is always a right answer
        return ()
    inside = {id(one): block for block, within in found.whole for one in within}
    chosen: list[UnitGroup] = []
    for block, within in found.whole:
        moved, kept = group_of(block), [group for one in within if (group := group_of(one)) is not None]
        apart = sum(math.lgamma(group.size + 1) for group in kept)
        chosen += [moved] if moved is not None and math.lgamma(moved.size + 1) > apart else kept
    chosen += [group for one in found.units if id(one) not in inside and (group := group_of(one)) is not None]
    groups = tuple(sorted(chosen, key=lambda group: (-len(group.axes), group.axes[0].tensor)))
    places = sum(axis.units * axis.width for group in groups for axis in group.axes)
    if places > MAX_PLACES or len(groups) > MOST_AXES:
        return ()
    check_units(module, layout, groups, example)
    return groups


def check_units(module: nn.Module, layout: Layout, groups: Sequence[UnitGroup], example: Tensor) -> None:
    """Shuffle the units of all groups of a copy with random weights, and compare the outputs.

    Raises: ModelError where they differ, so that the groups are no symmetry of the network, or where it does not run.
    """
    moves = [_shuffler(group) for group in groups]
    _check(module, layout, moves, example)


def shuffle_units(tensors: Sequence[Tensor], group: UnitGroup, order: Tensor) -> None:
    """Give place k of a group the unit that stood at order[k], in every tensor, in place."""
    for axis in group.axes:
        places = torch.cat([start + axis.width * torch.arange(units) for start, units in axis.runs])
        places = places[:, None] + torch.arange(axis.width)  # (units, width)
        tensor = tensors[axis.tensor]
        source = torch.arange(max(1, tensor.shape[axis.axis] if tensor.ndim else 1))
        source[places] = places[order]
        tensor.copy_(tensor.index_select(axis.axis, source))


def _mover(one: Interchange, blocks: Sequence[Block]) -> Move:
    def move(tensors: list[Tensor]) -> None:
        shuffle_members(tensors, one, blocks, torch.randperm(one.size, generator=torch.Generator().manual_seed(1)))

    return move


def _shuffler(group: UnitGroup) -> Move:
    def move(tensors: list[Tensor]) -> None:
        shuffle_units(tensors, group, torch.randperm(group.size, generator=torch.Generator().manual_seed(1)))

    return move


def _randomised(module: nn.Module, layout: Layout) -> nn.Module:
    """A copy in evaluation mode with random weights. Raises: ModelError where it cannot be copied."""
    replica = private_copy(module)
    generator = torch.Generator().manual_seed(0)
    named = dict(replica.named_parameters())
    with torch.no_grad():
        for slot in layout.slots:
            tensor = named[slot.name]
            drawn = torch.randn(tensor.shape, generator=generator, dtype=torch.float64)
            tensor.copy_(drawn / max(1, tensor[:1].numel()) ** 0.5)
    return replica


def _inputs(example: Tensor, scale: float) -> Tensor:
    """Two random examples of the shape and dtype of the given ones, as large as these and `scale` times that."""
    shape = (2, *example.shape[1:])
    if not example.is_floating_point():
        return example[:1].expand(shape).clone()
    drawn = torch.rand(shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    return (drawn * scale * float(example.abs().max().clamp(min=1))).to(example.dtype)


def _check(module: nn.Module, layout: Layout, moves: Sequence[Move], example: Tensor) -> None:
    """Compare outputs before and after moves: in float64, in the network's own dtype where it does not run so."""
    if not moves:
        return
    for dtype, tolerance in ((torch.float64, EXACT), (None, ROUNDED)):
        before = _randomised(module, layout)
        after = copy.deepcopy(before)
        named = dict(after.named_parameters())
        with torch.no_grad():
            for move in moves:
                move([named[slot.name] for slot in layout.slots])
            try:
                pairs = [_outputs(before, after, _inputs(example, scale), dtype) for scale in SCALES]
            except Exception as why:  # somebody else's network: it may cast, or hold constants in float32
                if dtype is None:
                    raise ModelError(
                        f"check_units: the network runs on examples of shape {tuple(example.shape[1:])}, got "
                        f"{first_line(why)}. Give examples as it reads them."
                    ) from None
                continue
        if all(_close(one, other, tolerance) for one, other in pairs):
            return
        if dtype is None or all(one.dtype == dtype for one, _ in pairs):
            raise ModelError(
                "check_units: units of a group change places without changing the function, here they do change it. "
                "Declare the groups of this network, or none."
            )


def _outputs(before: nn.Module, after: nn.Module, x: Tensor, dtype: torch.dtype | None) -> tuple[Tensor, Tensor]:
    if dtype is not None:
        before, after, x = before.to(dtype), after.to(dtype), x.to(dtype) if x.is_floating_point() else x
    return before(x), after(x)


def _close(one: Tensor, other: Tensor, tolerance: float) -> bool:
    scale = float(one.abs().max()) + 1e-30
    return one.shape == other.shape and float((one - other).abs().max()) <= tolerance * scale
