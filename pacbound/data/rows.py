"""Data sets of rows, map-style: pairs (x, y) or records such as those of Hugging Face's datasets."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence, Sized
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from ..errors import DataError
from ..request.reading import Reading
from .arrays import as_inputs
from .mixed import Raw, of_their_sizes
from .pictures import CHANNELS, from_pil
from .tokens import text_bytes

INPUTS = ("image", "img", "pixel_values", "text", "input_ids", "x")  # names of fields, the first that there is
LABELS = ("label", "labels", "y")

Input = Tensor | str


@runtime_checkable
class MapStyle(Protocol):
    """A data set with a length whose items are (x, y) or records."""

    def __len__(self) -> int:
        """Return the number of examples."""
        ...

    def __getitem__(self, index: int) -> object:
        """Return the example at `index`."""
        ...


def gathered(data: MapStyle, reading: Reading) -> tuple[Raw, list[object], bool]:
    """Read a data set once to see what it holds, and once more to see that it stays the same.

    Returns: x (n, ...), the labels as they are, and whether x holds texts. Raises: DataError.
    """
    if len(data) == 0:
        raise DataError("as_examples: a sample has at least one example, got an empty data set.")
    first, _ = _pair(data[0], 0, reading)
    labels: list[object] = []
    known: list[bytes] = []
    shapes: list[tuple[int, ...]] = []
    for index in _counted(data, "reading examples"):
        example, label = _pair(data[index], index, reading)
        _refuse_unlike(example, index, first)
        labels.append(label)
        known.append(_digest(example))
        shapes.append(() if isinstance(example, str) else tuple(example.shape))
    texts: list[str] = []
    x: Raw | None = None
    if isinstance(first, Tensor):
        x = _room(data, reading, shapes, first.dtype)
    for index in _counted(data, "reading them again"):
        example, label = _pair(data[index], index, reading)
        if label != labels[index] or _digest(example) != known[index]:
            raise DataError(
                f"as_examples: a sample stays the same, example {index} differed on the second reading. "
                "Switch random augmentation off: the certificate is about the fixed examples."
            )
        if isinstance(example, str):
            texts.append(example)
        elif isinstance(x, Tensor):
            x[index] = example
    return (text_bytes(texts), labels, True) if x is None else (x, labels, False)


def class_names(data: object, reading: Reading) -> tuple[str, ...]:
    """What a data set calls its classes 0, 1, ...; empty where it does not say."""
    features = getattr(data, "features", None)
    if isinstance(features, Mapping):
        found = next((features[name] for name in _wanted(reading.label_column, LABELS) if name in features), None)
        names = getattr(found, "names", None)
    else:
        names = getattr(data, "classes", None)
    if isinstance(names, (list, tuple)) and all(isinstance(name, str) for name in names):
        return tuple(names)
    return ()


def _room(data: MapStyle, reading: Reading, shapes: list[tuple[int, ...]], dtype: torch.dtype) -> Raw:
    """Return an array for examples of these shapes; of pictures of several sizes, what decodes them one by one."""
    if len({shape[1:] for shape in shapes}) == 1:
        return torch.empty((len(shapes), *max(shapes)), dtype=dtype)
    return of_their_sizes(lambda row: torch.as_tensor(_pair(data[row], row, reading)[0]), shapes)


def _digest(example: Input) -> bytes:
    """What an example is known again by."""
    if isinstance(example, str):
        return hashlib.sha256(example.encode("utf-8", "surrogatepass")).digest()
    return hashlib.sha256(_kind(example).encode() + example.numpy().tobytes()).digest()


def _refuse_unlike(example: Input, index: int, first: Input) -> None:
    """Refuse an example that is unlike the first; pictures may differ in size, grey ones stand among coloured ones."""
    kinds = [_kind(example), _kind(first)]
    if kinds[0] != kinds[1] and not (_is_picture(example) and _is_picture(first)):
        raise DataError(
            f"as_examples: examples share one shape and dtype, example {index} is {kinds[0]}, the first is {kinds[1]}. "
            "Bring them to one size; pictures of uint8, (1 or 3, height, width), may have sizes of their own."
        )


def _kind(example: Input) -> str:
    return "a text" if isinstance(example, str) else f"{example.dtype} {tuple(example.shape)}"


def _is_picture(x: Input) -> bool:
    return isinstance(x, Tensor) and x.dtype == torch.uint8 and x.ndim == 3 and x.shape[0] in CHANNELS


def _pair(item: object, index: int, reading: Reading) -> tuple[Input, object]:
    if isinstance(item, Mapping):
        names = [
            next((name for name in _wanted(given, usual) if name in item), None)
            for given, usual in ((reading.text_column, INPUTS), (reading.label_column, LABELS))
        ]
        if None in names:
            option = "--text-column" if names[0] is None else "--label-column"
            raise DataError(
                f"as_examples: a record has fields for the input and the label, got {', '.join(map(str, item))}. "
                f"Name it with {option}; numbers in fields of their own are read from a frame: data.to_pandas()."
            )
        item = (item[names[0]], item[names[1]])
    if not isinstance(item, (tuple, list)) or len(item) != 2:
        raise DataError(f"as_examples: item {index} is a pair (x, y) or a record, got {type(item).__name__}.")
    return _input(item[0], index), _label(item[1], index)


def _wanted(given: str | None, usual: Sequence[str]) -> Sequence[str]:
    return usual if given is None else (given,)


def _input(x: object, index: int) -> Input:
    if isinstance(x, str):
        return x
    if hasattr(x, "mode") and hasattr(x, "convert"):  # a picture of Pillow, which need not be imported to know one
        return from_pil(x, f"the picture of item {index}")  # type: ignore[arg-type]
    return as_inputs(x)


def _label(label: object, index: int) -> object:
    if isinstance(label, str):
        return label
    array = np.asarray(label.detach().cpu()) if isinstance(label, Tensor) else np.asarray(label)
    if array.size != 1:
        raise DataError(f"as_examples: item {index} has one label, got {array.size}. Use class numbers, not one-hot.")
    return array.reshape(()).item()


def _counted(data: Sized, task: str) -> Iterator[int]:
    from ..progress import hidden, tqdm

    return iter(tqdm(range(len(data)), desc=task, disable=hidden(), leave=False, delay=1.0))
