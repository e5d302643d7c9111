"""Permutation groups that leave a network's function unchanged, and their order in bits.

Shen 2024, arXiv:2305.11417. The order is what codes of unordered units may save: at most log2 |group| bits, less
where units coincide. The continuous gauges of real weights are left out: they do not keep a quantisation grid.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

from ...errors import ModelError
from ..layers.layers import Block, LayerRecord, Layers


@dataclass(frozen=True)
class SymmetryGroup:
    """A product of symmetric groups and sign flips.

    factors: (where, size, copies), each `copies` independent permutations of `size` units. signs: independent sign
    flips, which only a code symmetric about 0 may claim.
    """

    factors: tuple[tuple[str, int, int], ...]
    signs: int = 0

    @property
    def order(self) -> int:
        """Number of elements, exactly."""
        return math.prod(math.factorial(size) ** copies for _, size, copies in self.factors) << self.signs

    @property
    def log2_order(self) -> float:
        """log2 of the order."""
        nats = math.fsum(copies * math.lgamma(size + 1) for _, size, copies in self.factors)
        return nats / math.log(2) + self.signs

    @property
    def whole_bits(self) -> int:
        """log2 of the order, rounded down."""
        return self.order.bit_length() - 1

    def __mul__(self, other: "SymmetryGroup") -> "SymmetryGroup":
        """Put two independent groups side by side."""
        return SymmetryGroup(self.factors + other.factors, self.signs + other.signs)


def mlp_group(widths: Sequence[int], odd: bool = False) -> SymmetryGroup:
    """Permute the units of each hidden layer; flip signs where activations are odd. widths: inputs to outputs."""
    hidden = tuple(widths[1:-1])
    factors = tuple((f"hidden {index + 1}", width, 1) for index, width in enumerate(hidden))
    return SymmetryGroup(factors, sum(hidden) if odd else 0)


def conv_group(channels: Sequence[int]) -> SymmetryGroup:
    """Permute the channels of each hidden convolution; a dense layer behind permutes blocks of h w columns."""
    return SymmetryGroup(tuple((f"channels {index + 1}", width, 1) for index, width in enumerate(channels)))


def residual_group(streams: Sequence[int], inner: Sequence[int], projected: bool = True) -> SymmetryGroup:
    """One permutation for each stream, shared by all that write to it, and one for each inner width of a block.

    streams: width of each stage. projected: whether learned projections part the stages; zero-padded shortcuts
    (option A) do not: later stages then permute their new channels only.
    """
    new = list(streams)
    if not projected:
        new = [streams[0], *(after - before for before, after in itertools.pairwise(streams))]
    factors = [(f"stream {index + 1}", width, 1) for index, width in enumerate(new) if width > 0]
    factors += [(f"inner {index + 1}", width, 1) for index, width in enumerate(inner)]
    return SymmetryGroup(tuple(factors))


def grouped_group(entering: int, leaving: int, groups: int) -> SymmetryGroup:
    """Hidden channels before and behind one grouped convolution: groups move whole, channels within their group.

    g! ((in / g)!)^g ((out / g)!)^g; depthwise (in = out = g) is g!, nothing beyond what the layer before has.
    """
    if groups < 1 or entering % groups or leaving % groups:
        raise ModelError(f"grouped_group: {groups} groups divide both widths, got {entering} and {leaving}.")
    within = (("before, in a group", entering // groups, groups), ("behind, in a group", leaving // groups, groups))
    return SymmetryGroup((("groups", groups, 1), *within))


def attention_group(
    layers: int, d_model: int, heads: int, d_head: int, d_ff: int, rotary: bool = False
) -> SymmetryGroup:
    """Transformer: feed-forward units, heads, value and query-key channels with signs, and one residual stream.

    rotary: rotary positions or gains on queries and keys leave no symmetry of query-key channels.
    """
    kinds = 1 if rotary else 2
    factors = (
        ("feed-forward units", d_ff, layers), ("heads", heads, layers),
        ("channels of a head", d_head, kinds * heads * layers), ("residual stream", d_model, 1),
    )  # fmt: skip
    return SymmetryGroup(factors, kinds * heads * layers * d_head)


@dataclass
class _Stream:
    """Channels that are permuted together: widths of its independent parts, the layers that write and read it."""

    name: str
    widths: list[int]
    writers: list[LayerRecord]
    readers: list[LayerRecord]
    fixed: bool = False
    shuffled: bool = False  # what is between may move entries across channels


def group_of(layers: Layers) -> SymmetryGroup:
    """Read the group off a chain of layers and residual blocks; where in doubt a factor is left out.

    Activations, pooling and flattening treat channels alike. Behind an operation that may not (shuffles, transposed
    dimensions, reshapes) a factor stays only before a dense layer, which can read its inputs in any order, and behind a
    slice of channels not even there.
    Raises: ModelError where the network is no such chain.
    """
    if layers.refusal:
        raise ModelError(f"group_of: symmetries are read off a chain of layers, but {layers.refusal}.")
    streams = [_Stream("inputs", [layers.blocks[0].main.layers[0].in_channels], [], [], fixed=True)]
    for block in layers.blocks:
        inner = _inner(block)
        streams += inner
        _advance(block, streams)
        if block.channels != "alike":
            streams[-1].shuffled = True
            streams[-1].fixed |= block.shortcut is not None or block.channels == "lost"
            for stream in inner:
                stream.fixed = True
    streams[-1].fixed = True  # outputs
    factors = [factor for stream in streams for factor in _factors(stream)]
    factors += [("groups", layer.groups, 1) for layer in _movable(streams)]
    return SymmetryGroup(tuple(factor for factor in factors if factor[1] > 1))


def _inner(block: Block) -> list[_Stream]:
    """Streams between the layers of each branch of a block."""
    rows = [block.main.layers, () if block.shortcut is None else block.shortcut.layers]
    return [
        _Stream(writer.name, [writer.out_channels], [writer], [reader])
        for row in rows
        for writer, reader in itertools.pairwise(row)
    ]


def _advance(block: Block, streams: list[_Stream]) -> None:
    """Let a block read the last outer stream and write to it (identity shortcut) or to a new one."""
    inner = sum(max(0, len(row) - 1) for row in _rows(block))
    outer = streams[len(streams) - 1 - inner]
    outer.readers += [row[0] for row in _rows(block)]
    writers = [row[-1] for row in _rows(block)]
    if block.shortcut is not None and not block.shortcut.layers:
        streams.remove(outer)
        added = writers[0].out_channels - sum(outer.widths)
        widths = [*outer.widths, added] if added > 0 else outer.widths
        streams.append(_Stream(outer.name, widths, outer.writers + writers, outer.readers, outer.fixed or added < 0))
    else:
        streams.append(_Stream(writers[0].name, [writers[0].out_channels], writers, []))


def _rows(block: Block) -> list[tuple[LayerRecord, ...]]:
    rows = [block.main.layers]
    return rows if block.shortcut is None or not block.shortcut.layers else [*rows, block.shortcut.layers]


def _factors(stream: _Stream) -> list[tuple[str, int, int]]:
    layers = [*stream.writers, *stream.readers]
    aligned = all(reader.in_channels % sum(stream.widths) == 0 for reader in stream.readers)
    if stream.fixed or not aligned or (stream.shuffled and not _any_order(stream)):
        return []
    groups = {layer.groups for layer in layers}
    if groups == {1}:
        return [(stream.name, width, 1) for width in stream.widths]
    largest = max(groups)
    if groups <= {1, largest} and len(layers) == 2 and len(stream.widths) == 1 and stream.widths[0] % largest == 0:
        return [(f"{stream.name}, in a group", stream.widths[0] // largest, largest)]
    return []


def _any_order(stream: _Stream) -> bool:
    return all(reader.kind == "dense" and not reader.input_size for reader in stream.readers)


def _movable(streams: list[_Stream]) -> list[LayerRecord]:
    """Grouped layers between two free streams that nothing else grouped touches: their groups move whole."""
    free = [s for s in streams if not (s.fixed or s.shuffled) and len(s.writers) == len(s.readers) == 1]
    before = {id(s.readers[0]) for s in free if s.writers[0].groups == 1}
    behind = {id(s.writers[0]): s.writers[0] for s in free if s.readers[0].groups == 1}
    return [layer for key, layer in behind.items() if key in before and layer.groups > 1]
