"""Data sets of rows, map-style: pairs (x, y) or records such as those of Hugging Face's datasets."""

from collections.abc import Iterator, Mapping, Sequence, Sized
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from ..errors import DataError
from ..request.reading import Reading
from .arrays import as_inputs
from .pictures import from_pil
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


def gathered(data: MapStyle, reading: Reading) -> tuple[Tensor, list[object], bool]:
    """Read a data set into memory, then once more to see that it stays the same.

    Returns: x (n, ...), the labels as they are, and whether x holds texts. Raises: DataError.
    """
    if len(data) == 0:
        raise DataError("as_examples: a sample has at least one example, got an empty data set.")
    first, _ = _pair(data[0], 0, reading)
    x: list[str] | Tensor = []
    if isinstance(first, Tensor):
        x = torch.empty((len(data), *first.shape), dtype=first.dtype)
    labels: list[object] = []
    for index in _counted(data, "reading examples"):
        example, label = _pair(data[index], index, reading)
        _put(x, index, _fitting(example, index, first))
        labels.append(label)
    for index in _counted(data, "reading them again"):
        example, label = _pair(data[index], index, reading)
        again, before = _fitting(example, index, first), x[index]
        same = (
            torch.equal(again, before) if isinstance(again, Tensor) and isinstance(before, Tensor) else again == before
        )
        if label != labels[index] or not same:
            raise DataError(
                f"as_examples: a sample stays the same, example {index} differed on the second reading. "
                "Switch random augmentation off: the certificate is about the fixed examples."
            )
    return (x, labels, False) if isinstance(x, Tensor) else (text_bytes(x), labels, True)


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


def _put(x: list[str] | Tensor, index: int, example: Input) -> None:
    if isinstance(x, list):
        x.append(str(example))
    else:
        x[index] = torch.as_tensor(example)


def _fitting(example: Input, index: int, first: Input) -> Input:
    """Refuse an example that is unlike the first; grey pictures among coloured ones are repeated."""
    if isinstance(first, str) and isinstance(example, str):
        return example
    if isinstance(example, Tensor) and isinstance(first, Tensor):
        if example.ndim == 3 and len(example) == 1 and first.shape[:1] == (3,):
            example = example.expand(3, -1, -1)
        if example.shape == first.shape and example.dtype == first.dtype:
            return example
    kinds = [f"{one.dtype} {tuple(one.shape)}" if isinstance(one, Tensor) else "a text" for one in (example, first)]
    raise DataError(
        f"as_examples: examples share one shape and dtype, example {index} is {kinds[0]}, the first is {kinds[1]}. "
        "Bring them to one size."
    )


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
                f"Name it with {option}."
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
