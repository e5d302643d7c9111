"""Arrays of the user's own as tensors on the CPU."""

import numpy as np
import torch
from torch import Tensor

from ..errors import DataError
from .examples import LAYOUTS

Array = Tensor | np.ndarray


def as_inputs(x: object) -> Tensor:
    """Return pixels, floats or numbers of tokens as a tensor on the CPU. Raises: DataError for other numbers."""
    tensor = _tensor(x)
    if tensor.dtype not in LAYOUTS:
        raise DataError(
            f"as_examples: x is uint8 pixels, floats, or int64 numbers of tokens, got {tensor.dtype}. Convert it: "
            "pixels with x.astype('uint8'), features with x.astype('float32')."
        )
    return tensor


def _tensor(value: object) -> Tensor:
    if isinstance(value, Tensor):
        return value.detach().cpu().contiguous()
    array = np.asarray(value)
    if array.dtype.kind not in "uifb" or array.dtype.itemsize > 8:
        raise DataError(f"as_examples: x holds numbers of at most 64 bits, got {array.dtype}. Convert it.")
    native = array.astype(array.dtype.newbyteorder("="), copy=False)
    return torch.from_numpy(np.require(native, requirements=["C", "W"]))
