"""Arrays that stay in their file: pages are read as they are needed, and given back after each batch.

What the system keeps of a file in its cache is not counted here: a process that has looked at every example still holds
only the pages of its last batch.
"""

import json
import mmap
import weakref
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..errors import DataError, without_file

HEADER_BYTES = 8  # of the length of a safetensors header
CHUNK_NUMBERS = 1 << 22  # of rows that are looked at together: 32 MB where they are copied to float64
GIVEN_BACK = getattr(mmap, "MADV_DONTNEED", None)

_mappings: "weakref.WeakSet[mmap.mmap]" = weakref.WeakSet()


def mapped_array(path: Path) -> np.ndarray:
    """Map the array of an .npy file; nothing is ever written back. Raises: DataError."""
    try:
        found: np.ndarray = np.load(path, mmap_mode="c", allow_pickle=False)
    except (OSError, ValueError, EOFError) as cause:
        why = without_file(cause).split(". ")[0]
        raise DataError(
            f"load: {path.parent.name} holds plain arrays x.npy and y.npy, got for {path.name}: {why}. Save them with "
            "numpy.save."
        ) from None
    return _noted(found)


def mapped_bytes(path: Path, name: str) -> Tensor | None:
    """Map a tensor of uint8 in a safetensors file that was found to be sound; None where it is of another type."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(HEADER_BYTES), "little")
        entry = json.loads(file.read(length)).get(name, {})
    if entry.get("dtype") != "U8" or 0 in entry["shape"]:
        return None
    start = HEADER_BYTES + length + entry["data_offsets"][0]
    return torch.from_numpy(_noted(np.memmap(path, np.uint8, "c", start, tuple(entry["shape"]))))


def give_back() -> None:
    """Give the pages of all mapped arrays back to the system; they are read again where they are asked for."""
    if GIVEN_BACK is not None:
        for mapping in list(_mappings):
            mapping.madvise(GIVEN_BACK)


def chunks(x: Tensor) -> Iterator[Tensor]:
    """Yield all of x (n, ...) in order, some rows at a time, however large a row is; no page of it is kept."""
    for rows in x.split(max(1, CHUNK_NUMBERS // max(1, x[:1].numel()))):
        yield rows
        give_back()


def _noted(array: np.ndarray) -> np.ndarray:
    base: object = array
    while isinstance(base, np.ndarray) and base.base is not None:
        base = base.base
    if isinstance(base, mmap.mmap):
        _mappings.add(base)
    return array
