"""Numbers that a network reads from its data: branches and factors that no trace of one example can know."""

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode, resolve_name

# what asks a tensor about its form and not about its values
FORMS = {
    "size", "dim", "ndimension", "numel", "nelement", "stride", "storage_offset", "is_contiguous", "element_size",
    "is_floating_point", "is_complex", "is_signed", "is_same_size", "get_device", "type", "__len__", "__hash__",
    "__repr__", "__str__", "__format__", "_version", "requires_grad_", "__get__", "__set__", "data_ptr", "result_type",
    "is_tensor", "is_inference", "register_hook", "retain_grad", "can_cast", "_is_view", "__deepcopy__",
}  # fmt: skip


class _Watch(TorchFunctionMode):
    """Follow tensors that are computed from the data, and note the first call that turns one into something else."""

    def __init__(self, data: Tensor) -> None:
        super().__init__()
        self.alive = [data]  # kept, so that no id is used twice
        self.ids = {id(data)}
        self.found = ""

    def __torch_function__(
        self,
        func: Callable[..., object],
        types: Sequence[type],
        args: Sequence[object] = (),
        kwargs: Mapping[str, object] | None = None,
    ) -> object:
        value = func(*args, **(kwargs or {}))
        if any(id(tensor) in self.ids for tensor in _tensors((args, kwargs or {}))):
            tensors = _tensors(value)
            self.alive += tensors
            self.ids.update(id(tensor) for tensor in tensors)
            name = getattr(func, "__name__", "")
            if not tensors and value is not None and name not in FORMS and not self.found:
                self.found = resolve_name(func) or name
        return value


def readings(network: nn.Module, example: Tensor) -> str:
    """Run a network and name the first function that reads numbers from its data; "" where none does."""
    watch = _Watch(example)
    with torch.no_grad(), watch:
        network(example)
    return watch.found


def _tensors(value: object) -> list[Tensor]:
    if isinstance(value, Tensor):
        return [value]
    if isinstance(value, Mapping):
        value = list(value.values())
    return [t for part in value for t in _tensors(part)] if isinstance(value, tuple | list) else []
