"""Weights from a file, into a network of the same layout: .safetensors, or a torch file read without running it."""

import pickle
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from .errors import ModelError

WRAPPERS = ("state_dict", "model_state_dict")
PREFIX = "module."  # what DataParallel puts before every name
SHOWN = 5


def read_checkpoint(path: str | Path) -> dict[str, Tensor]:
    """Read the tensors of a checkpoint by name, on the CPU; nothing in the file is run.

    A torch file holds a state dict, itself or under the key state_dict; a prefix `module.` that all names share is
    taken off.
    Raises: ModelError where there is no such file or it holds something else.
    """
    file = Path(path)
    if not file.is_file():
        raise ModelError(f"read_checkpoint: {file.name} is a file, found none. Check the path.")
    content = _safetensors(file) if file.suffix == ".safetensors" else _torch(file)
    for key in WRAPPERS:
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
    if not isinstance(content, dict) or not content or not all(isinstance(t, Tensor) for t in content.values()):
        raise ModelError(
            f"read_checkpoint: {file.name} holds tensors by name, got {type(content).__name__}"
            + (f" with keys {', '.join(map(str, list(content)[:SHOWN]))}" if isinstance(content, dict) else "")
            + ". Save model.state_dict()."
        )
    tensors = {str(name): tensor for name, tensor in content.items()}
    if all(name.startswith(PREFIX) for name in tensors):
        tensors = {name.removeprefix(PREFIX): tensor for name, tensor in tensors.items()}
    return tensors


def load_checkpoint(module: nn.Module, path: str | Path) -> None:
    """Copy a checkpoint into a module; every name and shape must match. Raises: ModelError."""
    tensors = read_checkpoint(path)
    own = module.state_dict()
    missing, unknown = sorted(own.keys() - tensors.keys()), sorted(tensors.keys() - own.keys())
    if missing or unknown:
        raise ModelError(
            f"load_checkpoint: {Path(path).name} has the parameters of {type(module).__name__}; "
            f"missing: {_some(missing)}; unknown: {_some(unknown)}. Give the network that it was saved from."
        )
    for name, tensor in tensors.items():
        if tensor.shape != own[name].shape:
            raise ModelError(
                f"load_checkpoint: {name} has shape {tuple(own[name].shape)} in {type(module).__name__}, got "
                f"{tuple(tensor.shape)} in {Path(path).name}. Give the network that it was saved from."
            )
    module.load_state_dict(tensors)


def _safetensors(file: Path) -> dict[str, Tensor]:
    try:
        return load_file(file)
    except (SafetensorError, OSError) as why:
        raise ModelError(f"read_checkpoint: {file.name} is no safetensors file: {why}.") from None


def _torch(file: Path) -> object:
    try:
        return torch.load(file, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError, KeyError, ValueError) as why:
        first = str(why).strip().splitlines()[0] if str(why).strip() else type(why).__name__
        raise ModelError(
            f"read_checkpoint: {file.name} is a torch file of plain tensors: {first[:200]}. "
            "Save model.state_dict() with torch.save, or as safetensors."
        ) from None


def _some(names: list[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return (", ".join(names[:SHOWN]) or "none") + more
