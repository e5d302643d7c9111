"""The user's own sample: a file with x and y, a callable, tensors, arrays or a map-style data set."""

import zipfile
import zlib
from collections.abc import Iterator, Sized
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from ..errors import DataError, without_file
from ..specs.preprocess import PreprocessName
from .callables import call_named
from .examples import LAYOUTS, Examples

FILE_SUFFIXES = (".npz", ".safetensors")
PIXEL_DIMENSIONS = 3  # uint8 with at least (n, height, width) is taken for images

Array = Tensor | np.ndarray


@runtime_checkable
class MapStyle(Protocol):
    """A data set with a length whose items are (x, y)."""

    def __len__(self) -> int:
        """Return the number of examples."""
        ...

    def __getitem__(self, index: int) -> object:
        """Return the example at `index`, a pair (x, y)."""
        ...


def load_file(path: Path, classes: int | None = None) -> Examples:
    """Load x and y from a .npz or .safetensors file; nothing is unpickled. Raises: DataError."""
    if not path.is_file():
        raise DataError(f"load: {path} is a file, found none. Check the path.")
    arrays = _read_safetensors(path) if path.suffix == ".safetensors" else read_npz(path)
    missing = [name for name in ("x", "y") if name not in arrays]
    if missing:
        raise DataError(
            f"load: {path.name} holds arrays named x and y, {' and '.join(missing)} missing, "
            f"got {', '.join(sorted(arrays)) or 'none'}. Save it with numpy.savez(path, x=x, y=y)."
        )
    return as_examples((arrays["x"], arrays["y"]), classes=classes)


def load_callable(reference: str, classes: int | None = None) -> Examples:
    """Import `module:callable`, call it and take what it returns as `as_examples` does. Raises: DataError."""
    return as_examples(call_named(reference, DataError, "(x, y) or a data set"), classes=classes)


def as_examples(data: object, name: str = "user", classes: int | None = None) -> Examples:
    """Turn data in memory into Examples.

    A map-style data set is read twice, since a sample that changes between readings (random augmentation)
    has no errors to count. uint8 images are treated as photos by default, all else is left as it is.

    Args: data: Examples (returned as they are), a pair (x, y) of tensors or arrays, or a data set with a length
        whose items are (x, y). classes: number of classes, by default the largest label plus 1.
    Raises: DataError.
    """
    if isinstance(data, Examples):
        return data
    if isinstance(data, torch.utils.data.TensorDataset):
        data = tuple(data.tensors)
    if isinstance(data, (tuple, list)) and len(data) == 2 and all(isinstance(part, Array) for part in data):
        x, y = as_inputs(data[0]), _labels(data[1])
    elif isinstance(data, MapStyle) and not isinstance(data, (str, bytes, dict, Array)):
        x, y = _gathered(data)
    else:
        raise DataError(
            "as_examples: data is a pair (x, y) of tensors or arrays, or a data set with len() and [i] -> (x, y), "
            f"got {type(data).__name__}. Iterable data sets have no fixed order; store them first."
        )
    images = x.dtype == torch.uint8 and x.ndim >= PIXEL_DIMENSIONS
    preprocess: PreprocessName = "photo" if images else "none"
    count = classes if classes is not None else (int(y.max()) + 1 if y.numel() else 0)
    return Examples(name=name, x=x, y=y, classes=count, preprocess=preprocess)


def read_npz(path: Path, wanted: tuple[str, ...] = ("x", "y")) -> dict[str, Array]:
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


def _read_safetensors(path: Path) -> dict[str, Array]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file as load_tensors

    try:
        return dict(load_tensors(path))
    except (SafetensorError, OSError) as cause:
        why = without_file(cause)
        raise DataError(f"load: {path.name} is a safetensors file, got: {why}. Write the file again.") from None


def as_inputs(x: object) -> Tensor:
    """Return pixels or floats as a tensor on the CPU. Raises: DataError for other numbers."""
    tensor = _tensor(x, "x")
    if tensor.dtype not in LAYOUTS:
        raise DataError(
            f"as_examples: x is uint8 pixels or floats, got {tensor.dtype}. Convert it: pixels with "
            "x.astype('uint8'), features with x.astype('float32')."
        )
    return tensor


def _labels(y: object) -> Tensor:
    tensor = _tensor(y, "y")
    if tensor.dtype.is_floating_point or tensor.dtype == torch.bool or tensor.ndim != 1:
        raise DataError(
            f"as_examples: y holds one integer label per example in shape (n,), got {tensor.dtype} in shape "
            f"{tuple(tensor.shape)}. Number the classes from 0 and flatten y."
        )
    return tensor.to(torch.int64)


def _tensor(value: object, item: str) -> Tensor:
    if isinstance(value, Tensor):
        return value.detach().cpu().contiguous()
    array = np.asarray(value)
    if array.dtype.kind not in "uifb" or array.dtype.itemsize > 8:
        raise DataError(f"as_examples: {item} holds numbers of at most 64 bits, got {array.dtype}. Convert it.")
    native = array.astype(array.dtype.newbyteorder("="), copy=False)
    return torch.from_numpy(np.require(native, requirements=["C", "W"]))


def _gathered(data: MapStyle) -> tuple[Tensor, Tensor]:
    """Read a map-style data set into memory, then once more to see that it stays the same."""
    if len(data) == 0:
        raise DataError("as_examples: a sample has at least one example, got an empty data set.")
    first, _ = _pair(data[0], 0)
    x = torch.empty((len(data), *first.shape), dtype=first.dtype)
    y = torch.empty(len(data), dtype=torch.int64)
    for index in _counted(data, "reading examples"):
        x[index], y[index] = _fitting(data[index], index, first)
    for index in _counted(data, "reading them again"):
        again, label = _fitting(data[index], index, first)
        if label != y[index] or not torch.equal(again, x[index]):
            raise DataError(
                f"as_examples: a sample stays the same, example {index} differed on the second reading. "
                "Switch random augmentation off: the certificate is about the fixed examples."
            )
    return x, y


def _fitting(item: object, index: int, first: Tensor) -> tuple[Tensor, int]:
    example, label = _pair(item, index)
    if example.shape != first.shape or example.dtype != first.dtype:
        raise DataError(
            f"as_examples: examples share one shape and dtype, example {index} is {example.dtype} "
            f"{tuple(example.shape)}, the first is {first.dtype} {tuple(first.shape)}. Bring them to one size."
        )
    return example, label


def _pair(item: object, index: int) -> tuple[Tensor, int]:
    if not isinstance(item, (tuple, list)) or len(item) != 2:
        raise DataError(f"as_examples: item {index} is a pair (x, y), got {type(item).__name__}.")
    label = _labels(_tensor(item[1], "y").reshape(-1))
    if label.numel() != 1:
        raise DataError(
            f"as_examples: item {index} has one label, got {label.numel()}. Use class numbers, not one-hot."
        )
    return as_inputs(item[0]), int(label)


def _counted(data: Sized, task: str) -> Iterator[int]:
    from ..progress import hidden, tqdm

    return iter(tqdm(range(len(data)), desc=task, disable=hidden(), leave=False, delay=1.0))
