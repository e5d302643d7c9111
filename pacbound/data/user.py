"""The user's own sample: a file or folder, a callable, tensors, arrays, a data frame or a map-style data set."""

from collections.abc import Sequence
from pathlib import Path

import torch

from ..errors import DataError
from ..request.reading import Reading
from ..specs.preprocess import PreprocessName
from .archives import ARCHIVES, PT, read_arrays, read_pt
from .arrays import Array, as_inputs
from .callables import call_named
from .examples import Examples
from .folders import mapped_pair, read_folder
from .labels import numbered
from .mixed import Pictures, Raw
from .pictures import in_order
from .rows import MapStyle, class_names, gathered
from .tables import TABLES, Frame, frame_columns, from_table, read_table
from .tokens import text_bytes

FILE_SUFFIXES = (*ARCHIVES, *PT, *TABLES)
PIXEL_DIMENSIONS = 3  # uint8 with at least (n, height, width) is taken for images
PLAIN = Reading()


def load_path(path: Path, reading: Reading = PLAIN) -> Examples:
    """Load a file or a folder; nothing is unpickled and no code is run. Raises: DataError."""
    if path.is_dir():
        pair = mapped_pair(path)
        if pair is not None:
            return as_examples(pair, reading=reading)
        x, labels, names, note = read_folder(path, reading)
        return _assembled(x, labels, reading, names=names, note=note, texts=x.ndim == 2)
    if not path.is_file():
        raise DataError(f"load: {path} is a file, found none. Check the path.")
    if path.suffix in TABLES:
        x, column, texts = from_table(read_table(path, reading), reading, path.name)
        return _assembled(x, column, reading, texts=texts)
    return as_examples(read_pt(path) if path.suffix in PT else read_arrays(path), reading=reading)


def load_callable(reference: str, reading: Reading = PLAIN) -> Examples:
    """Import `module:callable`, call it and take what it returns as `as_examples` does. Raises: DataError."""
    return as_examples(call_named(reference, DataError, "(x, y) or a data set"), reading=reading)


def as_examples(
    data: object, name: str | None = None, classes: int | None = None, reading: Reading = PLAIN
) -> Examples:
    """Turn data in memory into Examples.

    A map-style data set is read twice, since a sample that changes between readings (random augmentation)
    has no errors to count. uint8 images are treated as photos by default, texts by tokens, all else is left as it is.

    Args: data: Examples (returned as they are), a pair (x, y) of tensors, arrays or lists of texts, a data frame, or a
        data set with a length whose items are (x, y) or records, x a picture of Pillow or a text too. name, classes:
        in the place of those of `reading`. reading: what the data do not say themselves.
    Raises: DataError.
    """
    if isinstance(data, Examples):
        return data
    changes = {key: value for key, value in (("name", name), ("classes", classes)) if value is not None}
    reading = Reading.model_validate({**reading.model_dump(), **changes})
    if isinstance(data, torch.utils.data.TensorDataset):
        data = tuple(data.tensors)
    x: Raw
    if isinstance(data, (tuple, list)) and len(data) == 2 and all(_is_column(part) for part in data):
        x, texts = (text_bytes(data[0]), True) if _is_texts(data[0]) else (as_inputs(data[0]), False)
        return _assembled(x, data[1], reading, texts=texts)
    if isinstance(data, Frame):
        x, column, texts = from_table(frame_columns(data), reading, "the data frame")
        return _assembled(x, column, reading, texts=texts)
    if isinstance(data, MapStyle) and not isinstance(data, (str, bytes, dict, Array)):
        x, labels, texts = gathered(data, reading)
        return _assembled(x, labels, reading, names=class_names(data, reading), texts=texts)
    raise DataError(
        "as_examples: data is a pair (x, y) of tensors or arrays, a data frame, or a data set with len() and "
        f"[i] -> (x, y) or a record, got {type(data).__name__}. Iterable data sets have no fixed order; store them "
        "first. Of several splits choose one, such as data['train']."
    )


def _is_texts(part: object) -> bool:
    return isinstance(part, (list, tuple)) and len(part) > 2 and all(isinstance(one, str) for one in part)


def _is_column(part: object) -> bool:
    return isinstance(part, Array) or _is_texts(part)


def _assembled(
    x: Raw, labels: object, reading: Reading, *, names: Sequence[str] = (), note: str = "", texts: bool = False
) -> Examples:
    """Number the labels, bring pictures into their order, and say what was done."""
    if texts and reading.layout != "auto":
        raise DataError("load: --layout is for pictures, got texts. Leave it out.")
    if x.ndim == 0:
        raise DataError("load: x has a row for each example, got one number. Store an array of (n, ...).")
    x, turned = (x, "") if texts or isinstance(x, Pictures) else in_order(x, reading.layout)
    found = numbered(labels, reading.classes, names)
    if len(found.y) != len(x):
        raise DataError(f"load: each example has a label, got {len(found.y):,} labels for {len(x):,} examples.")
    images = x.dtype == torch.uint8 and x.ndim >= PIXEL_DIMENSIONS
    preprocess: PreprocessName = "tokens" if texts else "photo" if images else "none"
    return Examples(
        name=reading.name or "user", x=x, y=found.y, classes=found.classes, preprocess=preprocess,
        note="; ".join(part for part in (note, turned) if part), labels=found.names,
    )  # fmt: skip
