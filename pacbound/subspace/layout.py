"""The correspondence between a network's named parameters and one flat vector, and what happens to the rest.

Trainable parameters (requires_grad) fill the vector theta in the order of `named_parameters`, tied ones once.
Everything else is frozen: it is part of theta0, was fixed before the data, and must be named here, so that no
number can enter the certified network without being accounted for.
"""

import hashlib
import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from ..errors import SubspaceError

# float buffers of batch and instance normalisation: running statistics, fixed in eval mode
NORM_BUFFERS = ("running_mean", "running_var", "num_batches_tracked")


@dataclass(frozen=True)
class Slot:
    """One trainable parameter: its elements are start .. stop - 1 of the flat vector."""

    name: str
    shape: tuple[int, ...]
    dtype: torch.dtype
    start: int
    stop: int

    @property
    def fan_in(self) -> int:
        """Number of inputs of one output unit: elements per first index; 1 for biases and other vectors."""
        return math.prod(self.shape[1:])


@dataclass(frozen=True)
class Layout:
    """Where each parameter of a module lives in the flat vector; made by `Layout.of`.

    aliases: (name, name of its slot) for tied parameters. frozen: names of the parameters and buffers outside the
    vector. record: the canonical JSON that the digest covers.
    """

    slots: tuple[Slot, ...]
    aliases: tuple[tuple[str, str], ...]
    frozen: tuple[str, ...]
    record: str

    @classmethod
    def of(cls, module: nn.Module, frozen_buffers: tuple[str, ...] = ()) -> Self:
        """Lay out a module.

        Args:
            module: any network with floating-point parameters.
            frozen_buffers: full names of float buffers that are constants of the architecture or of theta0.
                Running statistics of normalisation layers and integer or bool buffers need no mention.

        Raises:
            SubspaceError: complex or lazy parameters, no trainable parameter, a float buffer not accounted for,
                or a name in frozen_buffers that is no buffer.
        """
        _refuse_unfit(module)
        _refuse_unaccounted(module, frozen_buffers)
        slots: list[Slot] = []
        frozen: list[tuple[str, Tensor]] = []
        aliases: list[tuple[str, str]] = []
        seen: dict[int, str] = {}
        start = 0
        for name, parameter in module.named_parameters(remove_duplicate=False):
            if id(parameter) in seen:
                aliases.append((name, seen[id(parameter)]))
                continue
            seen[id(parameter)] = name
            if not parameter.requires_grad:
                frozen.append((name, parameter))
                continue
            stop = start + parameter.numel()
            slots.append(Slot(name, tuple(parameter.shape), parameter.dtype, start, stop))
            start = stop
        frozen += list(module.named_buffers())
        if start == 0:
            raise SubspaceError(
                f"Layout.of: a network has at least one trainable parameter, got {type(module).__name__} with "
                f"{len(frozen)} frozen tensors and none trainable. Set requires_grad on what is to be trained."
            )
        record = _canonical(slots, aliases, frozen)
        return cls(tuple(slots), tuple(aliases), tuple(name for name, _ in frozen), record)

    @property
    def D(self) -> int:
        """Length of the flat vector."""
        return self.slots[-1].stop

    @cached_property
    def digest(self) -> str:
        """SHA-256 (64 hex digits) over names, shapes, dtypes and order of slots, ties and frozen tensors."""
        return hashlib.sha256(self.record.encode()).hexdigest()

    @cached_property
    def _sizes(self) -> list[int]:
        return [slot.stop - slot.start for slot in self.slots]

    def flatten(self, module: nn.Module) -> Tensor:
        """Copy the module's trainable parameters into a float32 vector of shape (D,), on the CPU.

        Raises:
            SubspaceError: the module has another layout.
        """
        self.check(module)
        parameters = dict(module.named_parameters())
        return torch.cat([parameters[s.name].detach().to("cpu", torch.float32).reshape(-1) for s in self.slots])

    def check(self, module: nn.Module) -> None:
        """Refuse a module whose slots differ from this layout's in name, shape or dtype.

        Raises:
            SubspaceError: naming the first slot that is missing or differs.
        """
        parameters = dict(module.named_parameters())
        for slot in self.slots:
            found = parameters.get(slot.name)
            if found is None or tuple(found.shape) != slot.shape or found.dtype != slot.dtype:
                what = "none" if found is None else f"{tuple(found.shape)} {found.dtype}"
                raise SubspaceError(
                    f"Layout: parameter {slot.name} has shape {slot.shape} and {slot.dtype}, the module has {what}. "
                    "Build the network with the architecture that was laid out."
                )

    def unflatten(self, theta: Tensor) -> dict[str, Tensor]:
        """View a vector (D,) as named parameters in their own shapes and dtypes; tied names share one tensor.

        Raises:
            SubspaceError: theta has another shape.
        """
        if theta.shape != (self.D,):
            raise SubspaceError(f"Layout.unflatten: theta has shape ({self.D},), got {tuple(theta.shape)}.")
        named = dict(zip((slot.name for slot in self.slots), self.pieces(theta), strict=True))
        named.update({alias: named[name] for alias, name in self.aliases if name in named})
        return named

    def pieces(self, theta: Tensor) -> list[Tensor]:
        """View a vector (D,) as the parameters of the slots, in their order, shapes and dtypes."""
        parts = zip(self.slots, theta.split(self._sizes), strict=True)
        return [part.view(slot.shape).to(slot.dtype) for slot, part in parts]

    def gathered(self, module: nn.Module) -> Tensor:
        """Return the module's trainable parameters as one float32 vector (D,), of which they are views from then on.

        Nothing is copied where they are already. Parameters of other dtypes stay by themselves.

        Raises:
            SubspaceError: the module has another layout.
        """
        self.check(module)
        named = dict(module.named_parameters())
        own = [named[slot.name] for slot in self.slots]
        storage = own[0].untyped_storage()
        places = [(p.dtype, p.untyped_storage().data_ptr(), p.storage_offset(), p.is_contiguous()) for p in own]
        if places == [(torch.float32, storage.data_ptr(), slot.start, True) for slot in self.slots]:
            return torch.empty(0).set_(storage, 0, (self.D,), (1,))
        vector = self.flatten(module)
        for parameter, piece in zip(own, self.pieces(vector), strict=True):
            parameter.data = piece
        return vector


def frozen_digest(module: nn.Module) -> str:
    """SHA-256 (64 hex digits) over the values of everything frozen: untrained parameters and all buffers."""
    frozen = [(name, p) for name, p in module.named_parameters() if not p.requires_grad]
    return tensors_digest([*frozen, *module.named_buffers()])


def tensors_digest(named: Iterable[tuple[str, Tensor]]) -> str:
    """SHA-256 (64 hex digits) over tensors in order.

    Of each: name, dtype and shape as JSON, a zero byte, then its bytes (little endian).
    """
    state = hashlib.sha256()
    for name, tensor in named:
        state.update(json.dumps([name, str(tensor.dtype), list(tensor.shape)]).encode() + b"\0")
        state.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return state.hexdigest()


def _refuse_unfit(module: nn.Module) -> None:
    """Raise SubspaceError for parameters and buffers that have no place in a real vector of known length."""
    for name, tensor in [*module.named_parameters(), *module.named_buffers()]:
        if is_lazy(tensor):
            raise SubspaceError(
                f"Layout.of: every tensor has a shape, but {name} is lazy and uninitialised. "
                "Run one forward pass of the network first."
            )
    for name, parameter in module.named_parameters():
        if parameter.is_complex():
            raise SubspaceError(
                f"Layout.of: parameters are real, but {name} is {parameter.dtype}. "
                "Store its real and imaginary parts as two parameters."
            )


def _refuse_unaccounted(module: nn.Module, frozen_buffers: tuple[str, ...]) -> None:
    """Raise SubspaceError where a float buffer is neither a norm statistic nor listed, or a listed one is missing."""
    buffers = dict(module.named_buffers())
    for name in frozen_buffers:
        if name not in buffers:
            raise SubspaceError(
                f"Layout.of: frozen_buffers lists buffers of the module, but it has no {name!r}. "
                f"It has: {', '.join(buffers) or 'none'}."
            )
    for name, buffer in buffers.items():
        harmless = not (buffer.is_floating_point() or buffer.is_complex())
        if not (harmless or name in frozen_buffers or name.split(".")[-1] in NORM_BUFFERS):
            raise SubspaceError(
                f"Layout.of: every float buffer is accounted for, but {name} ({buffer.dtype}, shape "
                f"{tuple(buffer.shape)}) is not. If it was fixed before the data, list it: "
                f"frozen_buffers=({name!r},)."
            )


def _canonical(slots: list[Slot], aliases: list[tuple[str, str]], frozen: list[tuple[str, Tensor]]) -> str:
    """Write the layout as JSON with sorted keys and no spaces; the text is what the digest covers."""
    content = {
        "layout": 1,
        "slots": [[s.name, list(s.shape), str(s.dtype)] for s in slots],
        "tied": [list(pair) for pair in aliases],
        "frozen": [[name, list(tensor.shape), str(tensor.dtype)] for name, tensor in frozen],
    }
    return json.dumps(content, sort_keys=True, separators=(",", ":"))
