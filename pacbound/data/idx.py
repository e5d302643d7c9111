"""Files of the two official image layouts: idx (MNIST and its kin) and the CIFAR-10 binary records."""

import gzip
import zlib
from pathlib import Path

import numpy as np

from ..errors import DataError, without_file

IDX_UINT8 = 0x08
MAX_IDX_BYTES = 1 << 30
CIFAR_RECORD_BYTES = 1 + 3 * 32 * 32


def read_idx(path: Path, dimensions: int) -> np.ndarray:
    """Read a gzipped idx file of bytes.

    The layout: two zero bytes, the type code, the number of dimensions, each dimension as a big-endian
    uint32, then the values in C order.

    Args: path: the file. dimensions: how many it must have (3 for images, 1 for labels).
    Returns: a uint8 array. Raises: DataError where the file is truncated, too long or of another type.
    """
    raw = _gunzipped(path)
    header = 4 + 4 * dimensions
    if len(raw) < header or raw[:2] != b"\0\0" or raw[2] != IDX_UINT8 or raw[3] != dimensions:
        raise DataError(
            f"idx: {path.name} starts with 00 00 08 {dimensions:02x} and {dimensions} sizes, "
            f"got {raw[:4].hex(' ') or 'nothing'} in {len(raw)} bytes. Fetch the file again."
        )
    shape = tuple(int(size) for size in np.frombuffer(raw, ">u4", dimensions, offset=4))
    expected = header + int(np.prod(shape, dtype=object))
    if len(raw) != expected:
        raise DataError(
            f"idx: {path.name} of shape {shape} unpacks to {expected} bytes, got {len(raw)}. Fetch the file again."
        )
    return np.frombuffer(raw, np.uint8, offset=header).reshape(shape).copy()


def read_cifar10(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Read one CIFAR-10 binary batch: records of a label byte and 3,072 pixels (red, green, blue planes).

    Returns: images (n, 3, 32, 32) uint8 and labels (n,) uint8. Raises: DataError where the size is wrong.
    """
    raw = np.fromfile(path, np.uint8)
    if raw.size == 0 or raw.size % CIFAR_RECORD_BYTES:
        raise DataError(
            f"cifar10: {path.name} holds whole records of {CIFAR_RECORD_BYTES} bytes, got {raw.size} bytes. "
            "Unpack the binary version of the archive again."
        )
    records = raw.reshape(-1, CIFAR_RECORD_BYTES)  # (n, 3073)
    return records[:, 1:].reshape(-1, 3, 32, 32).copy(), records[:, 0].copy()


def _gunzipped(path: Path) -> bytes:
    try:
        with gzip.open(path) as stream:
            raw = stream.read(MAX_IDX_BYTES + 1)
    except (OSError, EOFError, zlib.error) as cause:
        why = without_file(cause)
        raise DataError(f"idx: {path.name} is a whole gzip file, got: {why}. Fetch the file again.") from None
    if len(raw) > MAX_IDX_BYTES:
        raise DataError(f"idx: {path.name} unpacks to at most {MAX_IDX_BYTES} bytes, got more.")
    return raw
