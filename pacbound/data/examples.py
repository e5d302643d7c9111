"""Examples: one labelled sample, in memory, with the digest that a certificate carries."""

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from ..errors import DataError
from ..specs.preprocess import PREPROCESS_NAMES, PreprocessName
from .mapped import chunks
from .mixed import Pictures, Raw

# The name of a dtype is part of the digest, as is the little-endian layout beside it.
LAYOUTS = {
    torch.uint8: "|u1", torch.float16: "<f2", torch.float32: "<f4", torch.float64: "<f8", torch.int64: "<i8",
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Examples:
    """n examples with their labels, in a fixed order.

    name: what the certificate calls the data. x: (n, ...) uint8 pixels or floats, (n, L) uint8 texts or int64 numbers
    of tokens, or pictures of sizes of their own. y: (n,) int64 labels in [0, classes). preprocess: what inputs go
    through by default. note: what a reader must know. labels: what the classes 0, 1, ... are called, empty where they
    are themselves.
    """

    name: str
    x: Raw
    y: Tensor
    classes: int
    preprocess: PreprocessName = "none"
    note: str = ""
    labels: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Validate. Raises: DataError."""
        if not re.fullmatch(r"[a-z0-9][a-z0-9._-]{0,63}", self.name):
            raise DataError(
                f"Examples: a name is 1 to 64 characters of a-z, 0-9, '.', '_' and '-', got {self.name!r}. "
                "Certificates carry it, so paths stay out; choose a short name."
            )
        if self.preprocess not in PREPROCESS_NAMES:
            raise DataError(f"Examples: preprocess is one of {', '.join(PREPROCESS_NAMES)}, got {self.preprocess!r}.")
        _check_inputs(self.x)
        _check_labels(self.y, self.n, self.classes)

    @property
    def n(self) -> int:
        """Number of examples."""
        return self.x.shape[0]

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one example, without the leading n; of pictures of sizes of their own, the largest sides."""
        return tuple(self.x.shape[1:])

    def subset(self, indices: Tensor | Sequence[int]) -> "Examples":
        """Keep the examples at `indices`, in their order. Raises: DataError where an index is out of range."""
        chosen = torch.as_tensor(indices, dtype=torch.int64)
        if chosen.ndim != 1 or chosen.numel() == 0 or chosen.min() < 0 or chosen.max() >= self.n:
            raise DataError(
                f"Examples: indices are a non-empty list of numbers in 0..{self.n - 1}, "
                f"got {chosen.numel()} of them in shape {tuple(chosen.shape)}"
                + (f", from {chosen.min()} to {chosen.max()}." if chosen.numel() else ".")
            )
        return replace(self, x=self.x[chosen], y=self.y[chosen])

    def noting(self, said: str) -> "Examples":
        """The same, with something more that a reader must know."""
        return replace(self, note=f"{self.note}{'; ' if self.note else ''}{said}")

    def digest(self) -> str:
        """SHA-256 over the sample, as 64 hex digits.

        Hashed in this order, integers as int64 little-endian: n; the number of dimensions of one example; those
        dimensions; the length of the dtype's name; the name in ASCII ("uint8", "float32", ...); the bytes of x,
        example after example, C order, little-endian; the labels. Of pictures of sizes of their own there are 0
        dimensions, and before the bytes of each stand its channels, height and width.
        """
        hasher = inputs_hasher(self.x)
        for part in _parts(self.y):
            hasher.update(part)
        return hasher.hexdigest()


def inputs_hasher(x: Raw) -> "hashlib._Hash":
    """SHA-256 begun with what `Examples.digest` hashes before the labels."""
    dtype = str(x.dtype).removeprefix("torch.").encode("ascii")
    hasher = hashlib.sha256()
    dimensions = [] if isinstance(x, Pictures) else x.shape[1:]
    for head in ([len(x), len(dimensions), *dimensions], [len(dtype)]):
        hasher.update(np.array(head, dtype="<i8").tobytes())
    hasher.update(dtype)
    for part in row_bytes(x) if isinstance(x, Pictures) else _parts(x):
        hasher.update(part)
    return hasher


def row_bytes(x: Raw) -> Iterator[bytes]:
    """Yield the bytes of each example of x (n, ...), as `Examples.digest` hashes them."""
    if isinstance(x, Pictures):
        for picture in x:
            yield np.array(picture.shape, dtype="<i8").tobytes() + picture.contiguous().numpy().tobytes()
        return
    for row in x.flatten(1).contiguous().numpy().astype(LAYOUTS[x.dtype], copy=False):
        yield row.tobytes()


def _parts(tensor: Tensor) -> Iterator[bytes]:
    """Yield the bytes of a tensor (n, ...) in order, many rows at a time."""
    for rows in chunks(tensor):
        yield rows.contiguous().numpy().astype(LAYOUTS[tensor.dtype], copy=False).tobytes()


def _check_inputs(x: Raw) -> None:
    if isinstance(x, Pictures):
        return
    if x.dtype not in LAYOUTS:
        raise DataError(
            f"Examples: x is uint8 pixels, float16, float32 or float64, or int64 numbers of tokens, got {x.dtype}. "
            "Convert it, for instance with x.to(torch.float32)."
        )
    if x.dtype == torch.int64 and x.ndim != 2:
        raise DataError(
            f"Examples: int64 are numbers of tokens, (n, length), got {tuple(x.shape)}. Convert pixels with "
            "x.astype('uint8'), features with x.astype('float32')."
        )
    if x.device.type != "cpu":
        raise DataError(f"Examples: x lies on the CPU, got a tensor on {x.device}. Move it with x.cpu().")
    if x.ndim < 2 or x.numel() == 0:
        raise DataError(
            f"Examples: x has shape (n, ...) with at least one example and one feature, got {tuple(x.shape)}. "
            "Reshape single features to (n, 1)."
        )
    if x.dtype.is_floating_point:
        start = 0
        for rows in chunks(x):
            finite = torch.isfinite(rows).flatten(1).all(dim=1)
            if not finite.all():
                row = start + int(torch.nonzero(~finite)[0])
                raise DataError(f"Examples: x is finite, example {row} holds NaN or infinity. Remove or repair it.")
            start += len(rows)


def _check_labels(y: Tensor, n: int, classes: int) -> None:
    if y.dtype != torch.int64 or tuple(y.shape) != (n,) or y.device.type != "cpu":
        raise DataError(
            f"Examples: y holds one int64 label for each of the {n} examples, on the CPU, "
            f"got {y.dtype} in shape {tuple(y.shape)} on {y.device}."
        )
    if classes < 2:
        raise DataError(
            f"Examples: there are at least 2 classes, got {classes}. Give the number of classes (--classes)."
        )
    low, high = int(y.min()), int(y.max())
    if low < 0 or high >= classes:
        raise DataError(
            f"Examples: labels lie in 0..{classes - 1} for {classes} classes, got labels from {low} to {high}. "
            "Number the classes from 0 or give the right number of classes."
        )
