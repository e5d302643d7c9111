"""Networks that answer with a record, as maps from one tensor to logits: those of transformers, and a user's own."""

import torch
from torch import Tensor, nn

from ..errors import ModelError, first_line
from .others import private_copy

PIXELS, TOKENS = "pixel_values", "input_ids"  # what networks of transformers call their main input
WINDOWS = ("local_attention", "sliding_window", "attention_window")  # of layers that look at near tokens only


class PixelClassifier(nn.Module):
    """An image classifier of transformers as a map from pixels to logits.

    Reads (batch, channels, height, width), or (batch, height, width) for grey images; returns (batch, classes).
    """

    def __init__(self, network: nn.Module) -> None:
        """Wrap a network that takes `pixel_values` and returns a record with `logits`."""
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits."""
        logits: Tensor = self.network(pixel_values=x[:, None] if x.ndim == 3 else x).logits
        return logits


class TextClassifier(nn.Module):
    """A text network of transformers as a map from token ids to logits.

    Reads (batch, length) ids, int64 or whole numbers in floating point, and takes places that hold `padding` for none;
    returns (batch, classes). Every text of a batch has the same length, so that no text sees how long the others are.
    """

    def __init__(self, network: nn.Module, padding: int) -> None:
        """Wrap a network that takes `input_ids` and `attention_mask` and returns a record with `logits`."""
        super().__init__()
        self.network, self.padding = network, padding

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits."""
        ids = x.long()
        logits: Tensor = self.network(input_ids=ids, attention_mask=_mask(ids != self.padding)).logits
        return logits


class TextEncoder(nn.Module):
    """An encoder of transformers under a linear head: token ids, as `TextClassifier` reads them, to logits.

    The head reads one vector a text: the mean of the last layer over its tokens, or (first) that of its first token.
    With `unit` the vector is divided by the root of its mean square, which is its direction at the scale that
    `initialise` draws the head for.
    """

    def __init__(self, network: nn.Module, padding: int, width: int, classes: int, first: bool, unit: bool) -> None:
        """Wrap a network that takes `input_ids` and `attention_mask` and returns a record with `last_hidden_state`."""
        super().__init__()
        self.network, self.padding, self.first, self.unit = network, padding, first, unit
        self.head: nn.Module = nn.Linear(width, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits."""
        ids = x.long()
        seen = ids != self.padding
        places = self.network(input_ids=ids, attention_mask=_mask(seen)).last_hidden_state  # (batch, length, width)
        weights = seen[:, :, None].to(places.dtype)
        vector = places[:, 0] if self.first else (places * weights).sum(1) / weights.sum(1).clamp(min=1)
        if self.unit:
            vector = vector * torch.rsqrt(vector.square().mean(1, keepdim=True) + 1e-12)
        logits: Tensor = self.head(vector)
        return logits


class Recorded(nn.Module):
    """Somebody's network that returns a record with `logits`, as a map to these."""

    def __init__(self, network: nn.Module) -> None:
        """Wrap the network."""
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits."""
        logits: Tensor = self.network(x).logits
        return logits


def as_classifier(module: nn.Module, x: Tensor) -> nn.Module:
    """Return a network that returns logits for this one: itself, or around it a wrapper that reads its record.

    Args: module: of transformers, known by the name of its main input, or any other. x: one example or more, which
        others are asked about, on a copy, to see what they return.
    Raises: ModelError for a text network that does not say what stands where a text has ended.
    """
    main = getattr(module, "main_input_name", None)
    if main in (PIXELS, TOKENS):
        own = private_copy(module)
        own.set_attn_implementation("eager")  # type: ignore[operator]  # the same operations at every batch size
        return PixelClassifier(own) if main == PIXELS else text_classifier(own)
    if any(part._forward_hooks or part._forward_pre_hooks for part in module.modules()):
        return module  # a copy's hooks may write into the caller's own network
    try:
        with torch.no_grad():
            answer = private_copy(module)(x[:1])
    except Exception:  # what is wrong is said, with its remedy, where the network itself is asked
        return module
    recorded = not isinstance(answer, Tensor) and isinstance(getattr(answer, "logits", None), Tensor)
    return Recorded(module) if recorded else module


def text_classifier(network: nn.Module) -> TextClassifier:
    """Wrap a sequence classifier of transformers in eval mode. Raises: ModelError where it cannot be read."""
    padding = padding_of(network.config, type(network).__name__)
    check_reads_texts(network, padding)
    return TextClassifier(network, padding)


@torch.no_grad()
def check_reads_texts(network: nn.Module, padding: int) -> None:
    """Refuse a text network in eval mode that does not look at all tokens, in both directions and alike.

    The mask is handed over as it is added to attention, since transformers, where it makes one, asks whether any text
    of the batch is filled up, which neither per-example gradients nor a function of one input can do. A network that
    makes other masks of its own, as causal ones do, is found by answers that differ.
    Raises: ModelError.
    """
    if windows := [name for name in WINDOWS if getattr(network.config, name, None) is not None]:
        raise _unread(network, f"one with {windows[0]}")
    words = [word for word in range(4) if word != padding][:3]
    ids = torch.tensor([[*words[:2], padding], words])
    seen = ids != padding
    try:
        made = network(input_ids=ids, attention_mask=seen.long())[0]
        given = network(input_ids=ids, attention_mask=_mask(seen))[0]
    except Exception as why:  # whatever a network of somebody's own raises
        raise _unread(network, first_line(why)) from None
    if not torch.equal(made, given):
        raise _unread(network, "one that answers otherwise under such a mask")


def _unread(network: nn.Module, found: str) -> ModelError:
    return ModelError(
        f"load_model: texts are read by networks that look at every token from both sides, as BERT does, under one "
        f"mask; {type(network).__name__}: {found}. Certify features of it instead, computed beforehand."
    )


def _mask(seen: Tensor) -> Tensor:
    """What is added to attention, (batch, 1, 1, length): 0 at tokens, and far below everything elsewhere."""
    far = torch.finfo(torch.float32).min
    return torch.where(seen, 0.0, far)[:, None, None]


def padding_of(config: object, network: str) -> int:
    """Return the id that a text is filled up with. Raises: ModelError where a configuration has none."""
    padding = getattr(config, "pad_token_id", None)
    if not isinstance(padding, int):
        raise ModelError(
            f"load_model: texts are filled up to one length by the id pad_token_id, {network} has {padding!r}. "
            "Set pad_token_id in its config.json to the id that its tokenizer pads with."
        )
    return padding
