"""A copy of somebody else's network that may be run, and what on it hides from a look at its modules."""

import copy

import torch
from torch import nn

from ...errors import ModelError, first_line

WRAPPERS = {  # what they are called -> where the network is
    "OptimizedModule": "_orig_mod (torch.compile)", "DataParallel": "module", "DistributedDataParallel": "module",
}  # fmt: skip


def copied(model: nn.Module, who: str) -> nn.Module:
    """Copy a network, so that neither it nor its mode is changed. Args: who: the caller, for messages.

    Raises: ModelError for TorchScript, and where it cannot be copied.
    """
    if not isinstance(model, nn.Module):
        raise ModelError(f"{who}: a network is a torch.nn.Module, got {type(model).__name__}. Wrap it in one.")
    scripted = [name or "the network" for name, m in model.named_modules() if isinstance(m, torch.jit.ScriptModule)]
    if scripted:
        raise ModelError(
            f"{who}: the layers of TorchScript cannot be read, and {scripted[0]} is compiled by torch.jit. "
            "Give the nn.Module it was made from, with its state_dict loaded."
        )
    wrapped = {type(m).__name__ for m in model.modules()} & set(WRAPPERS)
    if wrapped:
        kind = wrapped.pop()
        raise ModelError(f"{who}: layers are read in the plain network, got {kind}. Give its {WRAPPERS[kind]}.")
    try:
        return copy.deepcopy(model)
    except Exception as why:  # modules of others raise anything
        raise ModelError(
            f"{who}: the network is copied before it runs, and {type(model).__name__} cannot be: {first_line(why)}. "
            "Keep computed tensors out of its attributes; torch.nn.utils.remove_weight_norm and prune.remove drop "
            "those of old weight norms and of pruning."
        ) from None


def altered(model: nn.Module) -> dict[str, str]:
    """Name the modules whose calls do something else than the forward pass of their class: module -> what."""
    found = {}
    for name, module in model.named_modules():
        kinds = [
            kind
            for kind, there in (
                ("a forward hook", module._forward_hooks),
                ("a forward pre-hook", module._forward_pre_hooks),
                ("a forward pass replaced on the instance", "forward" in vars(module)),
            )
            if there
        ]
        if kinds:
            found[name or "the network itself"] = " and ".join(kinds)
    return found


def blame(model: nn.Module) -> str:
    """A sentence that names hooks and replaced forwards, with the remedy; "" where there are none."""
    found = altered(model)
    listed = ", ".join(f"{name} has {what}" for name, what in list(found.items())[:5])
    return f"{listed}: what they do is not traced. Remove them, or write them into forward" if found else ""
