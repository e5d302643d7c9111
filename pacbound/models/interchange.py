"""Units that may change places, and blocks of them, read off the places that a walk has noted.

Units with the same places up to their positions may be interchanged; blocks of grouped layers that are made of such
units may, as a whole.
"""

import itertools
from collections import Counter, defaultdict, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..specs.tensors import UnitAxis, UnitGroup
from .labels import FIXED
from .notes import Block, Place
from .walk import Walk

MOST_RUNS, MOST_AXES = 1 << 10, 1 << 12  # of the format

Key = tuple[tuple[tuple[int, int, int, int], int], ...]


@dataclass(frozen=True)
class Interchange:
    """Members (units, or blocks of them) that may change places in any order: place k of one answers place k of all.

    where: the layer that makes them. inner: whether they are the units within blocks, which also move as a whole.
    """

    where: str
    members: tuple[tuple[Place, ...], ...]

    @property
    def size(self) -> int:
        """How many members."""
        return len(self.members)


@dataclass(frozen=True)
class Symmetry:
    """All interchanges of a network. units: of single units. whole: of whole blocks, with the units inside them.

    doubts: steps that were not followed, so that there may be more.
    """

    units: tuple[Interchange, ...]
    whole: tuple[tuple[Interchange, tuple[Interchange, ...]], ...]
    doubts: tuple[str, ...]


def shuffle_members(tensors: Sequence[Tensor], one: Interchange, blocks: Sequence[Block], order: Tensor) -> None:
    """The same for an interchange: rows and whole columns first, then columns within the blocks they stand in now."""
    sources: dict[tuple[int, int, int], Tensor] = {}
    for member, other in zip(one.members, order.tolist(), strict=True):
        for place, source in zip(member, one.members[other], strict=True):
            if place.axis < 0:
                continue
            block = place.block if place.axis == 1 else 0
            key = (block, place.tensor, place.axis)
            rows = blocks[block - 1].rows if block else None
            side = tensors[place.tensor].shape[place.axis]
            assert rows is None or blocks[block - 1].tensor == place.tensor
            sources.setdefault(key, torch.arange(side))[place.position] = source.position
    for (block, tensor, axis), source in sorted(sources.items(), key=lambda item: item[0]):
        part = tensors[tensor][blocks[block - 1].rows.start : blocks[block - 1].rows.stop] if block else tensors[tensor]
        part.copy_(part.index_select(axis, source))


def interchanges(
    walk: Walk, names: Sequence[str]
) -> tuple[tuple[Interchange, ...], tuple[tuple[Interchange, tuple[Interchange, ...]], ...]]:
    """Units with the same places up to their positions, and blocks that are made of such units."""
    classes = _classes(walk)
    made = {key: _aligned(key, units, names) for key, units in classes.items()}
    units = tuple(one for one in made.values() if one.size > 1)
    whole = []
    for components in _alike_blocks(walk, classes):
        members = [tuple(itertools.chain.from_iterable(part)) for part in _blocks_as_members(components, made)]
        inside = tuple(made[key] for component in components for key in component if made[key].size > 1)
        whole.append((Interchange(made[components[0][0]].where, tuple(members)), inside))
    return units, tuple(whole)


def _classes(walk: Walk) -> dict[Key, list[list[Place]]]:
    """Units by what they have in common, in the order in which they were made; FIXED ones are left out."""
    tied = [unit for unit, place in walk.notes.places if place.tensor >= 0 and walk.uses[place.tensor] > 1]
    for units, why in (
        (tied, "weights are used more than once"),
        (sorted(walk.notes.units.doubled()), "units of a layer add up"),
    ):
        if bool((walk.notes.units.roots(torch.tensor(units, dtype=torch.int64)) != FIXED).any()):
            walk.doubts.append(why)
        walk.notes.units.fix(torch.tensor(units, dtype=torch.int64))
    roots = walk.notes.units.roots(torch.tensor([unit for unit, _ in walk.notes.places], dtype=torch.int64)).tolist()
    places: dict[int, list[Place]] = defaultdict(list)
    for root, (_, place) in zip(roots, walk.notes.places, strict=True):
        places[root].append(place)
    for root in set(places) & {FIXED}:
        for place in places.pop(root):
            if place.block:
                walk.notes.blocks[place.block - 1].anchored = True
    classes: dict[Key, list[list[Place]]] = defaultdict(list)
    for root in sorted(places):
        counts = Counter(place[:4] for place in places[root])
        classes[tuple(sorted(counts.items()))].append(places[root])
    return classes


def _aligned(key: Key, units: list[list[Place]], names: Sequence[str]) -> Interchange:
    """Let place k of every unit be the one that answers place k of the first, which stands in order of positions."""
    first = sorted(units[0], key=lambda place: (place.tensor, place.axis, place.position))
    members = []
    for unit in units:
        waiting: dict[tuple[int, ...], deque[Place]] = defaultdict(deque)
        for place in sorted(unit, key=lambda place: place.position):
            waiting[place[:4]].append(place)
        members.append(tuple(waiting[place[:4]].popleft() for place in first))
    writer = next((place.tensor for place in first if place.axis == 0), first[0].tensor)
    return Interchange(names[writer].rpartition(".")[0] or names[writer], tuple(members))


def _alike_blocks(walk: Walk, classes: dict[Key, list[list[Place]]]) -> Iterator[list[list[Key]]]:
    """Sets of two or more components, each the keys of its classes; a component is blocks tied by common units."""
    tied: dict[int, set[int]] = {}
    for key in classes:
        blocks = {place[2] for place, _ in key if place[2]}
        together = set().union(blocks, *(tied.get(block, set()) for block in blocks))
        tied.update(dict.fromkeys(together, together))
    keys: dict[frozenset[int], list[Key]] = defaultdict(list)
    for key in classes:
        for block in {place[2] for place, _ in key if place[2]}:
            held = keys[frozenset(tied[block])]
            if key not in held:
                held.append(key)
    alike: dict[object, list[list[Key]]] = defaultdict(list)
    for component, held in keys.items():
        layers = [walk.notes.blocks[block - 1].layer for block in component]
        if len(set(layers)) < len(layers):
            walk.doubts.append(f"blocks of {' and '.join(sorted(set(layers)))} cross")
            continue
        if any(walk.notes.blocks[block - 1].anchored for block in component):
            continue
        held.sort(key=lambda key: (_without_block(key), key))
        if len({_without_block(key) for key in held}) == len(held):
            alike[frozenset(layers), tuple((_without_block(key), len(classes[key])) for key in held)].append(held)
    yield from (components for components in alike.values() if len(components) > 1)


def _without_block(key: Key) -> Key:
    return tuple(sorted(((tensor, axis, 0, role), count) for (tensor, axis, _, role), count in key))


def _blocks_as_members(components: list[list[Key]], made: dict[Key, Interchange]) -> Iterator[list[tuple[Place, ...]]]:
    """Units of each component in the order that answers that of the first component."""
    for component in components:
        units = []
        for key, pattern in zip(component, components[0], strict=True):
            wanted = [place._replace(block=0, position=0) for place in made[pattern].members[0]]
            for member in made[key].members:
                waiting: dict[Place, deque[Place]] = defaultdict(deque)
                for place in member:
                    waiting[place._replace(block=0, position=0)].append(place)
                units.append(tuple(waiting[place].popleft() for place in wanted))
        yield units


def group_of(one: Interchange) -> UnitGroup | None:
    """Say an interchange in the words of the format: consecutive answering positions are one axis.

    None where it cannot: columns within a block have no axis of their own.
    """
    kinds: dict[tuple[int, int], list[int]] = defaultdict(list)
    for k, place in enumerate(one.members[0]):
        if place.axis == 1 and place.block:
            return None
        if place.axis >= 0:
            kinds[place.tensor, place.axis].append(k)
    axes = []
    for (tensor, axis), places in sorted(kinds.items()):
        for stretch in _stretches(one, places):
            starts = [member[stretch[0]].position for member in one.members]
            axes.append(
                UnitAxis(tensor=tensor, axis=axis, width=len(stretch), runs=_runs(starts, len(stretch))[:MOST_RUNS])
            )
    complete = all(axis.units == one.size for axis in axes)
    return UnitGroup(axes=tuple(axes), kept=one.size) if complete and 0 < len(axes) <= MOST_AXES else None


def _stretches(one: Interchange, places: list[int]) -> list[list[int]]:
    """Cut places into those that follow one another in every member."""
    stretches: list[list[int]] = []
    for k in places:
        follows = stretches and all(m[k].position == m[stretches[-1][-1]].position + 1 for m in one.members)
        if follows:
            stretches[-1].append(k)
        else:
            stretches.append([k])
    return stretches


def _runs(starts: list[int], width: int) -> tuple[tuple[int, int], ...]:
    runs: list[list[int]] = []
    for start in starts:
        if runs and runs[-1][0] + runs[-1][1] * width == start:
            runs[-1][1] += 1
        else:
            runs.append([start, 1])
    return tuple((start, count) for start, count in runs)
