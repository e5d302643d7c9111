"""Train a part of a network: head, adapters, or the parameters that a pattern names; all else is frozen in theta0."""

import difflib
from fnmatch import fnmatchcase

from torch import nn

from ..errors import ModelError
from ..models.adapters import lora_network
from ..models.others import private_copy
from ..specs.trained import HEAD, LORA
from .checkpoints import head_of

SHOWN = 3


def train_only(module: nn.Module, word: str | None) -> nn.Module:
    """Return a copy of a module of which only the parameters of a word of specs/trained.py are to be trained.

    None: the module itself, with whatever of it is trainable. head: the last layer. lora:RANK: that, and adapters of
    this rank (models/adapters.py). Anything else: the parameters whose
    full names a pattern matches, in which * stands for any characters and ? for one.

    Raises: ModelError where there is no such parameter.
    """
    if word is None:
        return module
    if word.startswith(LORA):
        return lora_network(module, int(word.removeprefix(LORA)), head_of(module))
    copied = private_copy(module)
    names = [name for name, _ in copied.named_parameters()]
    chosen = set(head_of(copied)) if word == HEAD else {name for name in names if fnmatchcase(name, word)}
    if not chosen:
        near = difflib.get_close_matches(word.replace("*", ""), names, n=SHOWN, cutoff=0) or ["none"]
        raise ModelError(
            f"train: the parameters to be trained are those that match {word!r}, and no name of {len(names)} does. "
            f"The nearest are {', '.join(near)}; * stands for any characters."
        )
    for name, parameter in copied.named_parameters():
        parameter.requires_grad_(name in chosen)
    return copied


def training_mode(module: nn.Module) -> None:
    """Put a module into training mode, but for parts whose parameters are all frozen: these stay what theta0 is."""
    module.train()
    for part in module.modules():
        if (parameters := list(part.parameters())) and not any(p.requires_grad for p in parameters):
            part.eval()
