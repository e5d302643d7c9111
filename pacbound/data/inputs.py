"""Inputs without labels, and parts of a source: what networks are compared on, and what must not overlap with it."""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..errors import DataError
from ..specs.specs import PreprocessName
from ..subspace.random import permutation
from .examples import LAYOUTS, Examples, inputs_hasher
from .roots import FILES, Split
from .user import PIXEL_DIMENSIONS, as_inputs, read_npz

PART = re.compile(r"(?P<source>.+):(?P<part>[1-9][0-9]{0,3})/(?P<parts>[1-9][0-9]{0,3})")
PARTS_SEED, PARTS_STREAM = 0, "data/parts"
CHUNK_ROWS = 1024


@dataclass(frozen=True, eq=False)
class Inputs:
    """x (m, ...) in a fixed order, without labels. name, preprocess, note: as for Examples."""

    name: str
    x: Tensor
    preprocess: PreprocessName = "none"
    note: str = ""

    @property
    def m(self) -> int:
        """Number of inputs."""
        return len(self.x)

    def digest(self) -> str:
        """SHA-256 as of Examples, but for the labels, which are left out."""
        return inputs_hasher(self.x).hexdigest()


def parse_source(text: str) -> tuple[str, Split | None, tuple[int, int] | None]:
    """Take NAME:train or NAME:test, and a part :I/K, off what names a source; return (source, split, (I, K)).

    >>> parse_source("mnist:test:1/2"), parse_source("module:callable")
    (('mnist', 'test', (1, 2)), ('module:callable', None, None))

    Raises: DataError where I is larger than K.
    """
    part, match = None, PART.fullmatch(text)
    if match is not None:
        text, part = match["source"], (int(match["part"]), int(match["parts"]))
        if part[0] > part[1]:
            raise DataError(f"load: a part is I/K with I from 1 to K, got {part[0]}/{part[1]}.")
    name, _, tail = text.partition(":")
    if name in FILES and tail in FILES[name]:
        return name, tail, part
    return text, None, part


def part_rows(n: int, part: int, parts: int) -> NDArray[np.int64]:
    """Return the rows of one of `parts` nearly equal parts of n examples, in the order of a fixed permutation.

    The permutation is the package's own, of seed 0: nobody can choose another, so that which examples fall into a
    part is settled before they are seen. Raises: DataError where there are fewer examples than parts.
    """
    if n < parts:
        raise DataError(f"load: {parts} parts need as many examples, got {n}.")
    return permutation(PARTS_SEED, PARTS_STREAM, n)[n * (part - 1) // parts : n * part // parts]


def describe_part(part: int, parts: int) -> str:
    """Say in words what `part_rows` returns, for readers of a certificate."""
    return f"part {part} of {parts} in the order of pacbound's permutation"


def inputs_in_memory(source: object) -> Inputs:
    """Take the inputs of a tensor, an array, a pair (x, y) or Examples; y is not touched. Raises: DataError."""
    if isinstance(source, Inputs):
        return source
    if isinstance(source, Examples):
        return Inputs(source.name, source.x, source.preprocess, source.note)
    if isinstance(source, torch.utils.data.TensorDataset):
        source = source.tensors[0]
    x = as_inputs(source[0] if isinstance(source, (tuple, list)) and len(source) == 2 else source)
    pixels = x.dtype == torch.uint8 and x.ndim >= PIXEL_DIMENSIONS
    return Inputs("user", x, "photo" if pixels else "none")


def load_x(path: Path) -> Tensor | np.ndarray:
    """Read the array x of a .npz or .safetensors file and no other. Raises: DataError."""
    from safetensors import SafetensorError, safe_open

    try:
        if path.suffix == ".safetensors":
            with safe_open(path, "pt") as archive:
                return archive.get_tensor("x")
        return read_npz(path, ("x",))["x"]
    except (OSError, KeyError, SafetensorError) as cause:
        raise DataError(f"load: {path.name} is a file with an array x, got: {cause}. Save it with x=x.") from None


def row_digests(x: Tensor) -> set[bytes]:
    """SHA-256 of each input by itself: its numbers in row order as float64, whatever their dtype and shape."""
    digests: set[bytes] = set()
    for start in range(0, len(x), CHUNK_ROWS):
        rows = x[start : start + CHUNK_ROWS].flatten(1).double().numpy() + 0.0  # -0 becomes 0
        digests.update(hashlib.sha256(row.astype("<f8").tobytes()).digest() for row in rows)
    return digests


def overlap(x: Tensor, other: Tensor) -> int:
    """Number of distinct inputs that stand in both, compared one by one by their digests."""
    return len(row_digests(x) & row_digests(other))


def check_apart(
    x: Tensor, held_out: Tensor, kind: Literal["test", "unlabelled"], others: str = "training examples"
) -> None:
    """Refuse held-out inputs that stand among the others, x. Raises: DataError with their number."""
    common = overlap(x, held_out)
    if common:
        raise DataError(
            f"certify: the {len(held_out):,} {kind} inputs are other ones than the {len(x):,} {others}, got "
            f"{common:,} that stand in both. Hold inputs out that no network was trained on."
        )


def check_inputs(inputs: Inputs, shape: tuple[int, ...]) -> None:
    """Refuse inputs that a network for examples of `shape` cannot read. Raises: DataError."""
    if inputs.x.dtype not in LAYOUTS or tuple(inputs.x.shape[1:]) != shape or inputs.m == 0:
        raise DataError(
            f"certify: unlabelled inputs are shaped like the examples, {shape}, uint8 or float, "
            f"got {inputs.x.dtype} {tuple(inputs.x.shape)}."
        )
    if inputs.x.dtype.is_floating_point and not bool(torch.isfinite(inputs.x).all()):
        raise DataError("certify: unlabelled inputs are finite, some hold NaN or infinity. Repair them.")
