"""Pictures of sizes of their own: decoded where they are asked for, and brought to one size by a coded rule alone."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..errors import DataError

KEPT_BYTES = 1 << 28  # of decoded pictures that are kept; those beyond are decoded each time that they are asked for

Read = Callable[[int], Tensor]


@dataclass(frozen=True, eq=False)
class Pictures:
    """n pictures of uint8, each of its own height and width; of a source, of which these are some.

    read: decodes one of the source, (1 or 3, height, width). sizes: height and width of each of the source, (m, 2).
    channels: of all, to which grey ones are repeated. rows: which of the source these are, (n,).
    """

    read: Read
    sizes: NDArray[np.int64]
    channels: int
    rows: NDArray[np.int64]
    dtype = torch.uint8
    device = torch.device("cpu")
    ndim = 4

    def __len__(self) -> int:
        """Return n."""
        return len(self.rows)

    def __getitem__(self, rows: slice | Tensor | NDArray[np.int64]) -> "Pictures":
        """Return some of them, none of which is decoded."""
        return replace(self, rows=self.rows[rows if isinstance(rows, slice) else np.asarray(rows)])

    def __iter__(self) -> Iterator[Tensor]:
        """Decode them one after the other, (channels, height, width) each. Raises: DataError where one has changed."""
        for row in self.rows.tolist():
            picture = self.read(row)
            if picture.shape[0] not in (1, self.channels) or picture.dtype != self.dtype:
                raise DataError(
                    f"load: a sample stays the same, picture {row + 1} has become {picture.dtype} in "
                    f"{picture.shape[0]} channels. Certify pictures that nobody changes."
                )
            if tuple(picture.shape[1:]) != tuple(self.sizes[row]):
                raise DataError(
                    f"load: a sample stays the same, picture {row + 1} had {_size(self.sizes[row])} pixels and has "
                    f"{_size(picture.shape[1:])}. Certify pictures that nobody changes."
                )
            yield picture.expand(self.channels, -1, -1)

    def split(self, size: int) -> "tuple[Pictures, ...]":
        """Return all of them in order, `size` at a time."""
        return tuple(self[start : start + size] for start in range(0, len(self), size))

    @property
    def shape(self) -> tuple[int, ...]:
        """(n, channels, the largest height, the largest width)."""
        return (len(self), self.channels, *self.sizes[self.rows].max(0).tolist())

    @property
    def nbytes(self) -> int:
        """Bytes of memory that they come to hold."""
        return min(KEPT_BYTES, self.channels * int(self.sizes[self.rows].prod(1).sum()))

    @property
    def span(self) -> str:
        """Say in words from which to which size all of the source are."""
        order = self.sizes.prod(1).argsort(kind="stable")
        smallest, largest = self.sizes[order[[0, -1]]]
        return f"{_size(smallest)} to {_size(largest)}"


Raw = Tensor | Pictures


def of_one_shape(x: Raw, done: str) -> Tensor:
    """Return inputs x (n, ...) of one shape as they are. done: to them, in words. Raises: DataError for others."""
    if isinstance(x, Pictures):
        raise DataError(f"load: what is {done} has one shape, got pictures from {x.span} pixels. Choose other data.")
    return x


def of_their_sizes(read: Read, shapes: Sequence[tuple[int, ...]]) -> Pictures:
    """Return pictures of their own sizes, of which some stay decoded. shapes: (1 or 3, height, width) of each.

    Raises: DataError where one has no pixels.
    """
    sizes = np.array([shape[1:] for shape in shapes], np.int64)
    if (sizes == 0).any():
        row = int((sizes == 0).any(1).argmax())
        raise DataError(f"load: each picture has pixels, picture {row + 1} has {_size(sizes[row])}. Leave it out.")
    channels = max(shape[0] for shape in shapes)
    return Pictures(_keeping(read), sizes, channels, np.arange(len(shapes)))


def _keeping(read: Read) -> Read:
    """Decode each picture once, as long as what is kept of them is below KEPT_BYTES."""
    kept: dict[int, Tensor] = {}
    held = 0

    def again(row: int) -> Tensor:
        nonlocal held
        if row in kept:
            return kept[row]
        picture = read(row)
        if held + picture.nbytes <= KEPT_BYTES:
            kept[row], held = picture, held + picture.nbytes
        return picture

    return again


def _size(size: "NDArray[np.int64] | tuple[int, ...]") -> str:
    height, width = size
    return f"{width} x {height}"
