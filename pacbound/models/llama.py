"""Checkpoints of llama2.c: a header of seven numbers, then the weights in float32 in one fixed order.

The network is that of Touvron et al. 2023 (arXiv:2307.09288): rotary positions, grouped queries, root-mean-square norm,
SwiGLU. The layout of the file is that of Karpathy's llama2.c, version 0.
"""

import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..errors import ModelError
from .architecture import MAX_PARAMETERS
from .sequences import rotated

HEADER = struct.Struct("<7i")
EPSILON = 1e-5
MOST = 1 << 20  # of any number in a header


@dataclass(frozen=True)
class LlamaShape:
    """What the header of a file says; `tied` where the head has the weights of the embedding."""

    width: int
    inner: int
    layers: int
    heads: int
    groups: int
    vocabulary: int
    context: int
    tied: bool

    @property
    def head_width(self) -> int:
        """Channels of one head."""
        return self.width // self.heads

    def tensors(self) -> Iterator[tuple[str, tuple[int, ...]]]:
        """The tensors of a file in their order, by their names here; those of all layers lie together."""
        shared = self.groups * self.head_width
        yield "embedding.weight", (self.vocabulary, self.width)
        for name, shape in (
            ("norm1", (self.width,)),
            ("query", (self.width, self.width)),
            ("key", (shared, self.width)),
            ("value", (shared, self.width)),
            ("out", (self.width, self.width)),
            ("norm2", (self.width,)),
            ("gate", (self.inner, self.width)),
            ("down", (self.width, self.inner)),
            ("up", (self.inner, self.width)),
        ):
            yield from ((f"blocks.{layer}.{name}.weight", shape) for layer in range(self.layers))
        yield "norm.weight", (self.width,)
        for table in ("cosines", "sines"):  # of an older version; they are computed
            yield table, (self.context, self.head_width // 2)
        if not self.tied:
            yield "head.weight", (self.vocabulary, self.width)


class LlamaBlock(nn.Module):
    """Causal attention and a gated layer, each on normalised channels and added to what comes in."""

    def __init__(self, shape: LlamaShape) -> None:
        """Args: shape: of the network."""
        super().__init__()
        self.shape = shape
        shared = shape.groups * shape.head_width
        self.norm1, self.norm2 = (nn.RMSNorm(shape.width, EPSILON) for _ in range(2))
        self.query, self.out = (nn.Linear(shape.width, shape.width, bias=False) for _ in range(2))
        self.key, self.value = (nn.Linear(shape.width, shared, bias=False) for _ in range(2))
        self.gate, self.up = (nn.Linear(shape.width, shape.inner, bias=False) for _ in range(2))
        self.down = nn.Linear(shape.inner, shape.width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, T, width) to the same shape."""
        y = self.norm1(x)
        # (batch, T, heads * width of a head) -> (batch, heads, T, width of a head)
        q, k, v = (
            layer(y).unflatten(2, (-1, self.shape.head_width)).transpose(1, 2)
            for layer in (self.query, self.key, self.value)
        )
        times = self.shape.heads // self.shape.groups  # heads in a row share a key
        k, v = rotated(k).repeat_interleave(times, 1), v.repeat_interleave(times, 1)
        y = F.scaled_dot_product_attention(rotated(q), k, v, is_causal=True)
        x = x + self.out(y.transpose(1, 2).flatten(2))
        y = self.norm2(x)
        return x + self.down(F.silu(self.gate(y)) * self.up(y))


class Llama(nn.Module):
    """Token ids (batch, T), int64, to logits of the next token (batch, T, vocabulary)."""

    def __init__(self, shape: LlamaShape) -> None:
        """Args: shape: of the network."""
        super().__init__()
        self.shape = shape
        self.vocabulary, self.context = shape.vocabulary, shape.context
        self.embedding = nn.Embedding(shape.vocabulary, shape.width)
        self.blocks = nn.ModuleList(LlamaBlock(shape) for _ in range(shape.layers))
        self.norm = nn.RMSNorm(shape.width, EPSILON)
        self.head = None if shape.tied else nn.Linear(shape.width, shape.vocabulary, bias=False)

    def forward(self, ids: Tensor) -> Tensor:
        """Return the logits."""
        x = self.embedding(ids)
        for block in self.blocks:
            x = block(x)
        return F.linear(self.norm(x), self.embedding.weight if self.head is None else self.head.weight)


def read_llama2c(path: str | Path) -> Llama:
    """Read a checkpoint of llama2.c (FILE.bin, version 0), in eval mode; `shape` says what it is.

    Raises: ModelError where the file cannot be read, or its header and its size do not fit each other: nothing of its
        size is allocated before.
    """
    file = Path(path)
    try:
        with file.open("rb") as stream:
            head = stream.read(HEADER.size)
            shape = _shape(head, file)
            network = Llama(shape)
            with torch.no_grad():
                named = dict(network.named_parameters())
                for name, size in shape.tensors():
                    values = np.frombuffer(stream.read(4 * math.prod(size)), "<f4").astype(np.float32)
                    if name in named:
                        named[name].copy_(torch.from_numpy(values).view(size))
    except (OSError, ValueError, RuntimeError) as why:  # the latter two where a file shrinks while it is read
        raise _refusal(file, str(getattr(why, "strerror", None) or why)) from None
    broken = [name for name, values in named.items() if not values.isfinite().all()]
    if broken:
        raise _refusal(file, f"numbers that are not finite in {broken[0]}")
    return network.eval()


def _shape(head: bytes, file: Path) -> LlamaShape:
    """Read the header and check it, and the size of the file. Raises: ModelError."""
    if len(head) < HEADER.size:
        raise _refusal(file, f"{len(head)} bytes")
    width, inner, layers, heads, groups, vocabulary, context = HEADER.unpack(head)
    numbers = (width, inner, layers, heads, groups, abs(vocabulary), context)
    if not all(1 <= number <= MOST for number in numbers) or abs(vocabulary) < 2:
        raise _refusal(file, f"a header of {', '.join(map(str, numbers))}")
    if width % (2 * heads) or heads % groups:
        raise _refusal(file, f"{heads} heads, of which {groups} have keys, over {width} channels")
    shape = LlamaShape(width, inner, layers, heads, groups, abs(vocabulary), context, tied=vocabulary > 0)
    block = width * (2 * width + 2 * groups * shape.head_width + 3 * inner + 2)  # arithmetic alone: no list of layers
    tables = context * (shape.head_width // 2) * 2
    needed = layers * block + width * (1 + shape.vocabulary * (1 if shape.tied else 2))
    if needed > MAX_PARAMETERS:
        raise _refusal(file, f"{needed:,} parameters, where at most {MAX_PARAMETERS:,} are read")
    size, expected = file.stat().st_size, HEADER.size + 4 * (needed + tables)
    if size != expected:
        raise _refusal(file, f"{size:,} bytes where its header asks for {expected:,}")
    return shape


def _refusal(file: Path, found: str) -> ModelError:
    return ModelError(
        f"load_model: {file.name} is read as a checkpoint of llama2.c, version 0 (seven numbers, then float32 "
        f"weights), got {found}. Export it again, or give a folder of transformers."
    )
