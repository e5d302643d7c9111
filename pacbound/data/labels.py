"""Labels of any kind as numbers from 0 on, in sorted order, with what each number stands for."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..errors import DataError

LONGEST = 200  # characters of a label


@dataclass(frozen=True, eq=False)
class Labels:
    """y (n,) int64 in [0, classes), and names: what 0, 1, ... stand for, empty where they are themselves."""

    y: Tensor
    classes: int
    names: tuple[str, ...] = ()


def numbered(labels: object, classes: int | None = None, names: Sequence[str] = ()) -> Labels:
    """Number labels from 0 on.

    Whole numbers from 0 on stay as they are, and so do those below `classes`; others, booleans and words are numbered
    in sorted order.

    Args: labels: (n,) or (n, 1) of integers, booleans or words. classes: how many there are, by default as many as
        occur. names: of the classes 0, 1, ..., where the source gives them.
    Raises: DataError for floats, rows of several numbers, and words that no class could be called.
    """
    array = _array(labels)
    if len(set(names)) != len(names):
        twice = next(name for name in names if list(names).count(name) > 1)
        raise DataError(f"load: classes have names, each once, two are called {twice!r}. Rename or join them.")
    if names and array.dtype.kind in "iu":
        return Labels(_int64(array), max(len(names), classes or 0), tuple(map(_checked, names)))
    whole = array.dtype.kind in "iu"
    lowest, highest = (int(array.min()), int(array.max())) if whole and array.size else (0, -1)
    if whole and (lowest == 0 or (classes is not None and 0 <= lowest and highest < classes) or not array.size):
        return Labels(_int64(array), highest + 1 if classes is None else classes)
    values, places = np.unique(array, return_inverse=True)
    found = tuple(_checked(str(value)) for value in values.tolist())
    if classes is not None and classes < len(found):
        raise DataError(f"load: {classes} classes were declared, got {len(found)} different labels. Raise --classes.")
    return Labels(torch.from_numpy(places.reshape(-1).astype(np.int64)), classes or len(found), found)


def in_order_of(found: Labels, names: Sequence[str]) -> Labels:
    """Number the labels of held-out examples as those of the sample, whose numbers stand for `names`, or themselves.

    Raises: DataError where one of them is none of these.
    """
    names = names or [str(k) for k in range(found.classes)]
    own = found.names or tuple(str(k) for k in range(found.classes))
    occurring = found.y.unique().tolist()
    foreign = [own[k] for k in occurring if own[k] not in names]
    if foreign:
        raise DataError(
            f"load: labels of held-out examples are among those of the sample, {', '.join(names[:10])}, got "
            f"{foreign[0]!r}. Give them the same names, or declare --classes N where whole numbers from 0 to N - 1 are "
            "meant in both."
        )
    table = torch.tensor([names.index(name) if name in names else 0 for name in own], dtype=torch.int64)
    return Labels(table[found.y], max(found.classes, len(names)), tuple(names))


def _array(labels: object) -> np.ndarray:
    array = np.asarray(labels.detach().cpu()) if isinstance(labels, Tensor) else np.asarray(labels)
    if array.dtype.kind in "OT" and all(isinstance(label, str) for label in array.ravel().tolist()):
        array = array.astype(str)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.dtype.kind not in "iubU" or array.ndim != 1:
        raise DataError(
            f"as_examples: y holds one integer label per example in shape (n,), or words, got {array.dtype} in shape "
            f"{array.shape}. Number the classes from 0, by y.astype('int64') where floats are whole numbers, by "
            "y.argmax(1) where rows are one-hot."
        )
    return array


def _int64(array: np.ndarray) -> Tensor:
    """Raises: DataError for a number that no int64 is."""
    if array.size and int(array.max()) > np.iinfo(np.int64).max:
        raise DataError(f"load: labels are below 2^63, got {int(array.max())}. Number the classes from 0.")
    return torch.from_numpy(array.astype(np.int64))


def _checked(name: str) -> str:
    if not name.strip() or len(name) > LONGEST or not name.isprintable():
        raise DataError(
            f"load: a label is 1 to {LONGEST} printable characters, got {name[:40]!r}. Name the column of labels with "
            "--label-column."
        )
    return name
