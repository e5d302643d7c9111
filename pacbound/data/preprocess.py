"""From stored examples to what a network reads, bit for bit the same everywhere."""

import torch
from torch import Tensor

from ..errors import DataError
from ..specs.specs import PREPROCESS, PreprocessSpec

CHUNK_ROWS = 4096


def preprocessed(x: Tensor, spec: PreprocessSpec) -> Tensor:
    """Apply x' = (x / scale - mean) / std with the constants of `spec`, fixed before the data.

    Pixels go through a table of 256 values, each computed in float64 and rounded to float32 once, so that no
    machine's vector division enters. Floats pass as they are, rounded to float32.

    Args: x: (n, ...) uint8 or float. spec: which constants.
    Returns: float32 of the same shape, on the device of x.
    Raises: DataError where pixel constants meet an x that is not uint8.
    """
    if x.dtype == torch.uint8:
        return _looked_up(x, _pixel_table(spec).to(x.device))
    if not x.dtype.is_floating_point:
        raise DataError(f"preprocess: x is uint8 or float, got {x.dtype}. Convert it to float32.")
    if spec.name != "none":
        raise DataError(
            f"preprocess: {spec.name!r} is for uint8 pixels, got {x.dtype}. Hand over the raw pixels as uint8, "
            "or normalise them yourself by constants fixed before the data and choose 'none'."
        )
    return x.to(torch.float32)


def _pixel_table(spec: PreprocessSpec) -> Tensor:
    scale, mean, std = PREPROCESS[spec.name]
    values = [(value / scale - mean) / std for value in range(256)]
    return torch.tensor(values, dtype=torch.float64).to(torch.float32)


def _looked_up(x: Tensor, table: Tensor) -> Tensor:
    out = torch.empty(x.shape, dtype=torch.float32, device=x.device)
    for start in range(0, x.shape[0], CHUNK_ROWS):  # the index tensor is 4 times the pixels: keep it small
        rows = x[start : start + CHUNK_ROWS]
        out[start : start + CHUNK_ROWS] = table[rows.to(torch.int32)]
    return out
