"""Files of arrays x and y: .npz, .safetensors and .pt. Nothing is unpickled but tensors."""

import zipfile
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from ..errors import DataError, without_file
from .arrays import Array
from .mapped import mapped_bytes

if TYPE_CHECKING:
    from safetensors import safe_open

ARCHIVES = (".npz", ".safetensors")
PT = (".pt", ".pth")
X = ("x", "X")  # names of the inputs, the first that there is


def read_arrays(path: Path) -> tuple[Array, Array]:
    """Read x (or X) and y of an archive. Raises: DataError."""
    arrays = _read_safetensors(path) if path.suffix == ".safetensors" else read_npz(path)
    return _pair(arrays, path.name)


def read_pt(path: Path) -> tuple[Array, Array]:
    """Read a pair (x, y) of tensors, or a dict of them, from a file of torch.save. Raises: DataError."""
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as cause:  # whatever the unpickler makes of foreign bytes
        raise DataError(
            f"load: {path.name} is a pair (x, y) of tensors as torch.save writes it, got: {without_file(cause)}."
        ) from None
    if isinstance(found, (tuple, list)) and len(found) == 2:
        found = dict(zip(("x", "y"), found, strict=True))
    if not isinstance(found, dict) or not all(isinstance(part, Tensor) for part in found.values()):
        raise DataError(
            f"load: {path.name} is a pair (x, y) of tensors or a dict of them, got {type(found).__name__}. Write it "
            "with torch.save((x, y), path)."
        )
    return _pair(found, path.name)


def read_x(path: Path) -> Array:
    """Read the array x (or X) of a file and no other of an archive. Raises: DataError."""
    from safetensors import SafetensorError, safe_open

    try:
        if path.suffix in PT:
            return read_pt(path)[0]
        if path.suffix == ".safetensors":
            with safe_open(path, "pt") as archive:
                name = next((name for name in X if name in archive.keys()), "x")  # noqa: SIM118
                return _in_file(archive, path, name)
        found = read_npz(path, X)
        return found[next((name for name in X if name in found), "x")]
    except (OSError, KeyError, SafetensorError) as cause:
        why = without_file(cause)
        raise DataError(f"load: {path.name} is a file with an array x, got: {why}. Save it with x=x.") from None


def read_npz(path: Path, wanted: tuple[str, ...] = (*X, "y")) -> dict[str, Array]:
    """Read the wanted arrays of an archive; of all others the names. Raises: DataError where it is none."""
    try:
        with open(path, "rb") as stream:  # numpy leaves its own handle open when it refuses a file
            archive = np.load(stream, allow_pickle=False)
            if not isinstance(archive, np.lib.npyio.NpzFile):
                raise DataError(f"load: {path.name} is an .npz archive, got a single array. Use numpy.savez.")
            return {name: archive[name] if name in wanted else np.empty(0) for name in archive.files}
    except (ValueError, OSError, EOFError, zipfile.BadZipFile, zlib.error) as cause:
        why = without_file(cause).split(". ")[0]  # what numpy says next advises to unpickle the file
        raise DataError(
            f"load: {path.name} is an .npz archive of plain arrays (no pickled objects), got: {why}. "
            "Save it with numpy.savez(path, x=x, y=y) from numeric arrays."
        ) from None


def _pair(arrays: dict[str, Array], file: str) -> tuple[Array, Array]:
    x = next((name for name in X if name in arrays), "x")
    missing = [name for name in (x, "y") if name not in arrays]
    if missing:
        raise DataError(
            f"load: {file} holds arrays named x and y, {' and '.join(missing)} missing, "
            f"got {', '.join(sorted(arrays)) or 'none'}. Save it with numpy.savez(path, x=x, y=y)."
        )
    return arrays[x], arrays["y"]


def _read_safetensors(path: Path) -> dict[str, Array]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "pt") as archive:
            names = archive.keys()
            return {name: _in_file(archive, path, name) for name in names}
    except (SafetensorError, OSError) as cause:
        why = without_file(cause)
        raise DataError(f"load: {path.name} is a safetensors file, got: {why}. Write the file again.") from None


def _in_file(archive: "safe_open", path: Path, name: str) -> Tensor:
    """Bytes stay in the file; whatever else it holds is read."""
    mapped = mapped_bytes(path, name) if name in X else None
    return archive.get_tensor(name) if mapped is None else mapped
