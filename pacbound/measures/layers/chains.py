"""A traced network as a chain of blocks: which linear maps follow one another, which add up.

Steps that all paths pass through (dominators) cut the graph into a chain; an addition, or a concatenation of channels,
of two paths between two such steps is a residual block.
"""

import functools
import math
from dataclasses import dataclass

from .linear_maps import LayerRecord
from .lipschitz import SEVERITY, Channels, Fixed
from .tracing import Step


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
    the worst that the fixed operations of the block and behind it do to channels. joins: the two branches stand side
    by side as channels, and are not added.
    """

    name: str
    main: Branch
    shortcut: Branch | None
    after: float
    maximum: float = math.inf
    channels: Channels = "lost"
    joins: bool = False


@dataclass(frozen=True)
class Chain:
    """A network as blocks in a row, in the order of computation.

    before: Lipschitz constant of the fixed operations before the first block; infinite where an operation has no
    known constant, as are those of the blocks. moved: operations that do not map 0 to 0, the first `fronts` of them
    before the first block. start: the step that the first block reads.
    """

    before: Gap = Gap()
    blocks: tuple[Block, ...] = ()
    moved: tuple[str, ...] = ()
    fronts: int = 0
    start: str = ""


class NotAChain(Exception):
    """The graph between two steps is not a row of layers and simple residual blocks."""


def blocks_of(end: Step) -> Chain:
    """Read the chain backwards from the last step. Raises: NotAChain with the reason."""
    blocks: list[Block] = []
    moved: list[str] = []
    gap, known, behind, start = Gap(), 0, 0, ""  # the fixed operations passed since the last of the `known` blocks
    step = end
    while step.cut is not None:
        _check(step)
        if step.adds or step.joins:
            gap, block = _merged(step, moved, gap)
            if block is not None:
                blocks.append(block)
        elif step.record is not None:
            row = Branch((step.record,), 1.0, (gap.euclidean,))
            blocks.append(Block(step.record.name, row, None, 1.0, gap.maximum, gap.channels))
            gap = Gap()
        else:
            gap = gap.after(_gap(step, moved))
        found = len(blocks)
        step = step.cut
        if found > known:
            known, behind, start = found, len(moved), step.name
    order = tuple(reversed(moved))
    return Chain(gap, tuple(reversed(blocks)), order, len(moved) - behind, start)


def _merged(step: Step, moved: list[str], gap: Gap) -> tuple[Gap, Block | None]:
    """A sum or concatenation: a block where one branch (of a sum: or both) has layers, else one fixed operation."""
    if step.cut is None:
        raise NotAChain(step.name)
    rows = [_branch(source, step.cut, moved) for source in step.sources]
    rows.sort(key=lambda row: len(row[0].layers), reverse=True)
    (main, own), (shortcut, other) = rows[0], rows[1]
    if main.layers:
        if len(rows) > 2 or (step.joins and shortcut.layers):
            raise NotAChain(f"{step.name} combines {len(rows)} paths by something else than addition")
        channels = "lost" if step.joins else worst(gap.channels, own.channels, other.channels)
        return Gap(), Block(main.layers[0].name, main, shortcut, gap.euclidean, channels=channels, joins=step.joins)
    if step.adds:  # x + relu(x)
        whole = Gap(own.euclidean + other.euclidean, own.maximum + other.maximum, worst(own.channels, other.channels))
    else:
        gaps = [row[1] for row in rows]
        whole = Gap(math.hypot(*(g.euclidean for g in gaps)), max(g.maximum for g in gaps), "lost")
    return gap.after(whole), None


def _branch(end: Step, start: Step, moved: list[str]) -> tuple[Branch, Gap]:
    """The branch, and all its fixed operations together."""
    layers: list[LayerRecord] = []
    gaps = [Gap()]
    step = end
    while step is not start:
        _check(step)
        if step.cut is None:
            raise NotAChain(f"{step.name} is no part of a residual block")
        if step.adds or step.joins:
            gaps[-1], block = _merged(step, moved, gaps[-1])
            if block is not None:
                raise NotAChain(f"{step.name} is a block inside a residual block; nested blocks are not expressed")
        elif step.record is not None:
            layers.append(step.record)
            gaps.append(Gap())
        else:
            gaps[-1] = gaps[-1].after(_gap(step, moved))
        step = step.cut
    gaps.reverse()
    whole = functools.reduce(Gap.after, gaps)
    return Branch(tuple(reversed(layers)), gaps[0].euclidean, tuple(gap.euclidean for gap in gaps[1:])), whole


def _check(step: Step) -> None:
    if len(step.sources) > 1 and not (step.adds or step.joins):
        raise NotAChain(step.reason)


def _gap(step: Step, moved: list[str]) -> Gap:
    if step.reason:
        return UNKNOWN
    if not step.fixed.keeps_zero:
        moved.append(step.name)
    return Gap().after(step.fixed)
