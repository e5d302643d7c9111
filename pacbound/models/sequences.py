"""Networks of sequences from their descriptions: at every position, logits of the symbol that comes next.

No layer looks ahead: each maps (batch, T, channels) to (batch, T, channels), and position t depends on 0, ..., t.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..errors import ModelError
from ..specs.grammar import CONTEXTS, EMBEDDING, Architecture, Layer, parse
from .architecture import ACTIVATIONS, MAX_PARAMETERS
from .context_tree import ContextTree

ROTARY_BASE = 10_000.0
WIDER = 4  # of the inner layer of a transformer block
MAX_CHANNELS = 1 << 18  # between two layers, at one position


def sequence_network(description: str, vocabulary: int) -> nn.Sequential:
    """Build a network of sequences; its parameters are torch's until `initialise` sets them.

    Args: description: of the grammar (specs/grammar.py), starting with E or K. vocabulary: V, symbols of the alphabet.
    Returns: a module from ids (batch, T) int64 in [0, V) to (batch, T, V) float32, T of any length; the logits at
        position t are of the symbol after ids[:, :t + 1] and depend on these alone.
    Raises: ModelError for no such description, or one that names the first layer that does not fit.
    """
    architecture = parse(description)
    if not architecture.reads_sequences:
        raise ModelError(
            f"build: a network of sequences starts with {EMBEDDING} or {CONTEXTS}, got {architecture}. "
            "Describe one such as E16-gru32-L."
        )
    if vocabulary < 2:
        raise ModelError(f"build: {architecture} tells apart at least 2 symbols, got {vocabulary}.")
    modules: list[nn.Module] = []
    sizes = [_size(layer) for layer in architecture.layers if layer.kind == CONTEXTS]
    width, parameters = vocabulary, 0
    for position, layer in enumerate(architecture.layers):
        parameters += _parameters(layer, width, vocabulary)
        if parameters > MAX_PARAMETERS:  # before they take memory
            raise _unfit(architecture, position, f"at most {MAX_PARAMETERS:,} parameters, got {parameters:,}")
        if layer.kind == CONTEXTS:
            continue
        if layer.kind == "attn" and width % (2 * _size(layer)):
            raise _unfit(architecture, position, f"its heads are of equal and even width, got {width} channels")
        made, width = ([ContextTree(sizes, vocabulary)], 1) if sizes else _made(layer, width, vocabulary)
        if width > MAX_CHANNELS:
            raise _unfit(architecture, position, f"at most {MAX_CHANNELS:,} channels leave a layer, got {width:,}")
        modules += made
    return nn.Sequential(*modules)


def _size(layer: Layer) -> int:
    assert layer.size is not None
    return layer.size


def _parameters(layer: Layer, width: int, vocabulary: int) -> int:
    """Number of parameters of a layer that `width` channels come into."""
    size = layer.size or vocabulary
    return {
        EMBEDDING: vocabulary * size,
        CONTEXTS: 2 * vocabulary * size,
        "gru": 3 * size * (width + size + 2),
        "g": 2 * size * (width * (layer.kernel or 1) + 1),
        "attn": (layer.repeat or 1) * width * ((4 + 2 * WIDER) * width + 2) + width,
        "h": (width + 1) * size,
        "L": (width + 1) * size,
    }.get(layer.kind, 0)


def _made(layer: Layer, width: int, vocabulary: int) -> tuple[list[nn.Module], int]:
    """Return the modules of a layer and the channels that leave it."""
    if layer.kind in ACTIVATIONS:
        return [ACTIVATIONS[layer.kind]()], width
    if layer.kind == "L":
        return [nn.Linear(width, vocabulary)], vocabulary
    size = _size(layer)
    if layer.kind == EMBEDDING:
        return [nn.Embedding(vocabulary, size)], size
    if layer.kind == "gru":
        return [Recurrent(width, size)], size
    if layer.kind == "W":
        return [Window(size)], width * size
    if layer.kind == "g":
        return [GatedConvolution(width, size, layer.kernel or 1)], size
    if layer.kind == "attn":
        return [*(TransformerBlock(width, size) for _ in range(layer.repeat or 1)), _norm(width)], width
    return [nn.Linear(width, size)], size


def _norm(width: int) -> nn.LayerNorm:
    return nn.LayerNorm(width, bias=False)


def _unfit(architecture: Architecture, position: int, rule: str) -> ModelError:
    return ModelError(
        f"build: layer {position + 1} ({architecture.layers[position]}) of {architecture}: {rule}. "
        "Change the description."
    )


class Recurrent(nn.Module):
    """One gated recurrent layer (Cho et al. 2014, arXiv:1406.1078), torch's equations and order of gates.

    nn.GRU finds its weights in a list of its own, which functional_call cannot be relied upon to change.
    """

    def __init__(self, before: int, units: int) -> None:
        """Args: channels that come in, units that go out."""
        super().__init__()
        self.weight_ih = nn.Parameter(torch.empty(3 * units, before))
        self.weight_hh = nn.Parameter(torch.empty(3 * units, units))
        self.bias_ih = nn.Parameter(torch.zeros(3 * units))
        self.bias_hh = nn.Parameter(torch.zeros(3 * units))
        for weight in (self.weight_ih, self.weight_hh):
            nn.init.kaiming_uniform_(weight)

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, T, before) to (batch, T, units), from a state of zeros."""
        state = x.new_zeros(1, len(x), self.weight_hh.shape[1])
        weights: list[Tensor] = [self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh]
        # has_biases, num_layers, dropout, train, bidirectional, batch_first
        states: Tensor = torch.gru(x, state, weights, True, 1, 0.0, self.training, False, True)[0]
        return states


class Window(nn.Module):
    """The channels of this and the positions before as one vector, the earliest first, zeros before the start."""

    def __init__(self, reach: int) -> None:
        """Args: reach: positions, this one among them."""
        super().__init__()
        self.reach = reach

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, T, channels) to (batch, T, reach * channels)."""
        length = x.shape[1]
        padded = F.pad(x, (0, 0, self.reach - 1, 0))
        return torch.cat([padded[:, start : start + length] for start in range(self.reach)], dim=2)


class GatedConvolution(nn.Module):
    """Gated linear units over this and earlier positions (Dauphin et al. 2017, arXiv:1612.08083)."""

    def __init__(self, before: int, width: int, kernel: int) -> None:
        """Args: channels that come in and go out, positions that are looked at."""
        super().__init__()
        self.conv = nn.Conv1d(before, 2 * width, kernel)
        self.residual = before == width

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, T, before) to (batch, T, width)."""
        padded = F.pad(x.transpose(1, 2), (self.conv.kernel_size[0] - 1, 0))
        y = F.glu(self.conv(padded), dim=1).transpose(1, 2)
        return x + y if self.residual else y


class TransformerBlock(nn.Module):
    """Causal attention and two layers, each on normalised channels and added to what comes in."""

    def __init__(self, width: int, heads: int) -> None:
        """Args: channels, heads of equal and even width."""
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = _norm(width), _norm(width)
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.out = nn.Linear(width, width, bias=False)
        self.up = nn.Linear(width, WIDER * width, bias=False)
        self.down = nn.Linear(WIDER * width, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, T, width) to the same shape."""
        batch, length, width = x.shape
        # (batch, T, 3 * width) -> three of (batch, heads, T, width of a head)
        q, k, v = self.qkv(self.norm1(x)).view(batch, length, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(rotated(q), rotated(k), v, is_causal=True)
        x = x + self.out(y.transpose(1, 2).reshape(batch, length, width))
        return x + self.down(F.gelu(self.up(self.norm2(x))))


def rotated(x: Tensor) -> Tensor:
    """Turn neighbouring pairs of channels by the angle position / 10000^(2i / width) (arXiv:2104.09864, sec. 3.2).

    x: (batch, heads, T, width), position 0 first; the width is even.
    """
    length, width = x.shape[-2:]
    rates = ROTARY_BASE ** (-torch.arange(0, width, 2, dtype=torch.float64, device=x.device) / width)
    angles = torch.arange(length, dtype=torch.float64, device=x.device)[:, None] * rates
    cos, sin = angles.cos().to(x.dtype), angles.sin().to(x.dtype)
    even, odd = x[..., 0::2], x[..., 1::2]
    return torch.stack([even * cos - odd * sin, even * sin + odd * cos], dim=-1).flatten(-2)
