"""Adapters of low rank beside the linear layers of a network: LoRA (Hu et al. 2021, arXiv:2106.09685), by peft."""

import re

import torch
from torch import nn

from ..errors import ModelError
from ..subspace.random import normals
from .foreign import optional
from .others import private_copy

BASE = ".base_layer."  # what peft puts into the names of a layer that it wraps
PARTS = (".lora_A.", ".lora_B.")
FUSED = (nn.MultiheadAttention, nn.TransformerEncoderLayer)  # may read weights of their layers without calling these
SEED = 0  # of every A, unless theta0 is drawn from a seed of its own


def lora_network(module: nn.Module, rank: int, head: tuple[str, ...]) -> nn.Module:
    """Return a copy whose linear layers compute W x + B A x, with A and B of some rank trained, and W frozen.

    Every torch.nn.Linear is adapted but those within torch's own attention, and the last layer, which is trained as it
    is. B is 0, so that the network answers as before, and A is normal with standard deviation sqrt(2 / inputs) from our
    own generator. There is no scale and no dropout: module, rank and this rule are all that decides the network.

    Args: head: names of the parameters of the last layer.
    Raises: ModelError where there is nothing to adapt, or the extra `peft` is not installed.
    """
    copied = private_copy(module)
    last = head[0].rpartition(".")[0] if head else ""
    fused = {id(child) for part in copied.modules() if isinstance(part, FUSED) for child in part.children()}
    linear = {name: part for name, part in copied.named_modules() if type(part) is nn.Linear and name != last}
    names = [name for name, part in linear.items() if id(part) not in fused]
    if not names:
        raise ModelError(
            f"train: lora adapts torch.nn.Linear layers before the last, {type(module).__name__} has none that it can. "
            "Train a part of it by a pattern of names."
        )
    peft = optional("peft", f"lora:{rank}")
    config = peft.LoraConfig(r=rank, lora_alpha=rank, target_modules="|".join(map(re.escape, names)))
    with torch.random.fork_rng(devices=[]):
        copied = peft.inject_adapter_in_model(config, copied).eval()
    for name, parameter in copied.named_parameters():
        parameter.requires_grad_(is_adapter(name) or name in head)
        if PARTS[0] in name:
            values = normals(SEED, f"models/adapters/{name}", parameter.numel()) * (2 / parameter.shape[1]) ** 0.5
            parameter.data.copy_(torch.from_numpy(values).reshape(parameter.shape))
    return copied


def is_adapter(name: str) -> bool:
    """Whether a parameter is one of an adapter, by its full name."""
    return any(part in name for part in PARTS)


def without_adapters(name: str) -> str:
    """Return the name that a parameter had before its layer got an adapter.

    >>> without_adapters("encoder.query.base_layer.weight")
    'encoder.query.weight'
    """
    return name.replace(BASE, ".")
