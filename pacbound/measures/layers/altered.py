"""What hides from a look at the modules of a network: hooks, and forward passes replaced on instances."""

from torch import nn


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
