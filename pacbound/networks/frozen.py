"""A whole network as one file: every parameter and buffer by name, as safetensors."""

from collections.abc import Container

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from ..errors import ModelError


def named_tensors(module: nn.Module) -> dict[str, Tensor]:
    """Return what a file of a module holds: parameters and persistent buffers by name, tied ones under every name."""
    buffers = {
        f"{prefix}.{name}" if prefix else name: buffer
        for prefix, part in module.named_modules(remove_duplicate=False)
        for name, buffer in part.named_buffers(recurse=False, remove_duplicate=False)
        if name not in part._non_persistent_buffers_set
    }
    return {**dict(module.named_parameters(remove_duplicate=False)), **buffers}


def freeze_network(module: nn.Module, without: Container[str] = ()) -> bytes:
    """Return the file of a module. without: names of tensors that are left out."""
    kept = {name: tensor for name, tensor in named_tensors(module).items() if name not in without}
    return save({name: tensor.detach().cpu().contiguous().clone() for name, tensor in kept.items()})


def thaw_network(module: nn.Module, raw: bytes) -> None:
    """Copy the tensors of a file of `freeze_network` into a module of the same names, shapes and dtypes.

    Raises: ModelError where the file is none, or of another network.
    """
    try:
        tensors = load(raw)
    except (SafetensorError, ValueError) as why:
        raise ModelError(f"thaw_network: the file of the network is a safetensors file: {why}.") from None
    own = named_tensors(module)
    for name in sorted(own.keys() | tensors.keys()):
        here, there = (_kind(some.get(name)) for some in (own, tensors))
        if here != there:
            raise ModelError(
                f"thaw_network: {name} is {here} in the network and {there} in its file. Give the network of the file."
            )
    with torch.no_grad():
        for name, tensor in tensors.items():
            own[name].copy_(tensor)


def _kind(tensor: Tensor | None) -> str:
    return "absent" if tensor is None else f"{str(tensor.dtype).removeprefix('torch.')} {tuple(tensor.shape)}"
