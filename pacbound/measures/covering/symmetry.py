"""Permutation groups that leave a network's function unchanged, and their order in bits.

Shen 2024, arXiv:2305.11417. The order is what codes of unordered units may save: at most log2 |group| bits, less
where units coincide. The continuous gauges of real weights are left out: they do not keep a quantisation grid.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from ...errors import ModelError
from ...models.others import private_copy
from ...models.units import symmetry_of
from ...subspace.layout import Layout
from ..layers.altered import blame


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
    def bits_of(self) -> dict[str, float]:
        """log2 of the order of the permutations, by where they are."""
        bits: dict[str, float] = {}
        for where, size, copies in self.factors:
            bits[where] = bits.get(where, 0.0) + copies * math.lgamma(size + 1) / math.log(2)
        return bits

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


def group_of(model: nn.Module, example_input: Tensor) -> SymmetryGroup:
    """Count the interchanges of hidden units that `models.units` finds, which the direct coder saves bits by.

    Running statistics of a normalisation with scale and shift are taken for new ones, since these can say the same.
    Raises: ModelError where the network cannot be followed to its end, so that there might be more.
    """
    replica = private_copy(model)
    if hidden := blame(model):
        raise ModelError(f"covering: {hidden}.")
    for part in replica.modules():
        if isinstance(part, _BatchNorm) and part.affine:
            part.reset_running_stats()
    for parameter in replica.parameters():
        parameter.requires_grad_(True)
    layout = Layout.of(replica, tuple(name for name, buffer in replica.named_buffers() if buffer.is_floating_point()))
    found = symmetry_of(replica, layout, example_input)
    if found.doubts:
        raise ModelError(
            f"group_of: every step of the network is one whose symmetries are known, but {found.doubts[0]}. "
            "Write that step with layers of torch.nn, or leave this measure out."
        )
    every = (*found.units, *(block for block, _ in found.whole))
    return SymmetryGroup(tuple((one.where, one.size, 1) for one in every))
