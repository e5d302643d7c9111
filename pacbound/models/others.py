"""Somebody else's network in memory: a private copy of it, and its failures as refusals that say what to do."""

import copy
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from ..errors import ModelError, PacboundError, first_line

# a sibling of a weight that older torch keeps beside it -> what replaces that
RECOMPUTED = {
    "weight_g": "torch.nn.utils.weight_norm; use torch.nn.utils.parametrizations.weight_norm, or remove_weight_norm",
    "weight_u": "torch.nn.utils.spectral_norm; use torch.nn.utils.parametrizations.spectral_norm",
    "weight_mask": "torch.nn.utils.prune; make it permanent with torch.nn.utils.prune.remove",
    "bias_mask": "torch.nn.utils.prune; make it permanent with torch.nn.utils.prune.remove",
}


def private_copy(module: nn.Module) -> nn.Module:
    """Return a copy on the CPU, in evaluation mode, that shares no parameter or buffer with the module.

    Raises: ModelError where it cannot be copied, or its tensors are not plain numbers.
    """
    refuse_wrapped(module)
    try:
        own = copy.deepcopy(module)
        own.cpu()
        own.eval()  # in lines of their own: somebody's train() may return nothing
    except Exception as why:  # whatever lies in somebody's module
        raise ModelError(
            f"copy: pacbound works on a private copy of {type(module).__name__}, which cannot be made. "
            f"{_remedy(module)} ({type(why).__name__}: {first_line(why)})"
        ) from why
    kept = {id(tensor) for tensor in (*module.parameters(), *module.buffers())}
    if any(id(tensor) in kept for tensor in (*own.parameters(), *own.buffers())):
        raise ModelError(
            f"copy: a deep copy of {type(module).__name__} shares its tensors with the original. "
            "Remove its __deepcopy__, or give a network that is built anew."
        )
    return own


def refuse_wrapped(module: nn.Module) -> None:
    """Refuse a network that only points to another, or whose tensors hold no plain numbers. Raises: ModelError."""
    for name, part in module.named_modules():
        remedy = _wrapped(part)
        if remedy:
            raise ModelError(
                f"copy: pacbound reads plain torch modules, {name or 'the network'} is a {type(part).__name__}. "
                f"{remedy}"
            )
    for name, tensor in (*module.named_parameters(), *module.named_buffers()):
        kind = unusual(tensor)
        if kind and not is_lazy(tensor):  # a lazy one is refused by its layout, with a better remedy
            raise ModelError(f"copy: parameters and buffers are plain dense tensors, {name} is {kind}.")


def unusual(tensor: Tensor) -> str:
    """Say why a tensor holds no plain numbers, with a remedy; nothing where it does."""
    if is_lazy(tensor):
        return "lazy and uninitialised; run one forward pass before saving"
    if tensor.is_meta:
        return "on the device meta, which holds no values; load its weights first"
    if tensor.is_nested:
        return "nested; store it as one padded tensor"
    if tensor.is_quantized:
        return "quantized; save it with tensor.dequantize()"
    if tensor.layout != torch.strided:
        return "sparse; save it with tensor.to_dense()"
    return ""


@contextmanager
def failures(operation: str, others: bool = True) -> Iterator[None]:
    """Turn whatever a network raises within the block into a ModelError; refusals and a full disk stay as they are.

    others: whether the network is somebody else's; what fails in one of ours is a fault of ours and stays as it is.
    """
    try:
        yield
    except (PacboundError, OSError):
        raise
    except Exception as why:
        if not others:
            raise
        raise ModelError(
            f"{operation}: the network runs on any batch in eval mode, with gradients and under torch.func (vmap), got "
            f"{type(why).__name__}: {first_line(why)}. Use plain tensor operations in its forward: no branching on "
            "values, no numbers read with .item(), no work in place, no randomness in eval mode, and no statistics of "
            "the batch."
        ) from why


def _wrapped(part: nn.Module) -> str:
    """What to give in the place of a wrapper; nothing where a module is none."""
    if isinstance(part, torch.jit.ScriptModule):
        return "TorchScript cannot be read: give the Python module that it was made from, with its state_dict()."
    if hasattr(part, "_orig_mod"):
        return "torch.compile keeps the network in ._orig_mod: give that."
    if isinstance(part, nn.DataParallel | nn.parallel.DistributedDataParallel):
        return "It keeps the network in .module: give that."
    return ""


def _remedy(module: nn.Module) -> str:
    for name, part in module.named_modules():
        for sibling, remedy in RECOMPUTED.items():
            if sibling in part._parameters or sibling in part._buffers:
                return f"{name or 'The network'} was changed by {remedy}."
        for attribute, value in vars(part).items():
            if isinstance(value, Tensor) and not value.is_leaf:
                place = f"{name}.{attribute}" if name else attribute
                return f"{place} keeps the result of a computation: delete it, or detach it."
    return "Remove what cannot be copied, such as locks, open files and results of a computation kept in attributes."
