"""Inputs without labels, and parts of a source: what networks are compared on, and what must not overlap with it."""

import hashlib
import re
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import pad

from ..errors import DataError
from ..request.reading import Reading
from ..specs.preprocess import PreprocessName
from ..specs.repeats import too_many_repeats
from ..subspace.random import permutation
from .arrays import Array, as_inputs
from .examples import LAYOUTS, Examples, inputs_hasher
from .likeness import common_rows
from .mapped import chunks
from .mixed import Pictures, Raw
from .pictures import in_order
from .roots import FILES, Split
from .user import PIXEL_DIMENSIONS, PLAIN, as_examples

PART = re.compile(r"(?P<source>.+):(?P<part>[1-9][0-9]{0,3})/(?P<parts>[1-9][0-9]{0,3})")
PARTS_SEED, PARTS_STREAM = 0, "data/parts"


@dataclass(frozen=True, eq=False)
class Inputs:
    """x (m, ...) in a fixed order, without labels. name, preprocess, note: as for Examples."""

    name: str
    x: Raw
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


def inputs_in_memory(source: object, reading: Reading = PLAIN) -> Inputs:
    """Take the inputs of a tensor, an array, a pair (x, y), Examples or a data set; of arrays y is not touched.

    Raises: DataError.
    """
    if isinstance(source, Inputs):
        return source
    if isinstance(source, torch.utils.data.TensorDataset):
        source = source.tensors[0]
    if isinstance(source, (tuple, list)) and len(source) == 2 and isinstance(source[0], Array):
        source = source[0]
    if not isinstance(source, Examples | Array):
        source = as_examples(source, reading=reading)
    if isinstance(source, Examples):
        return Inputs(source.name, source.x, source.preprocess, source.note)
    x, note = in_order(as_inputs(source), reading.layout)
    pixels = x.dtype == torch.uint8 and x.ndim >= PIXEL_DIMENSIONS
    return Inputs("user", x, "photo" if pixels else "none", note)


def row_digests(x: Raw, half: bool = False) -> list[bytes]:
    """BLAKE2b-128 of each input as a network reads it: its numbers in float32, in row order, whatever their shape.

    half: rounded to float16 first, so that inputs that were kept in float16 can be found again.
    """
    digests: list[bytes] = []
    for part in x if isinstance(x, Pictures) else chunks(x):
        rows = (part[None] if isinstance(x, Pictures) else part).flatten(1).float()
        numbers = (rows.half().float() if half else rows).numpy() + np.float32(0)  # -0 becomes 0
        digests += [hashlib.blake2b(row, digest_size=16).digest() for row in numbers.astype("<f4", copy=False)]
    return digests


def distinct_inputs(x: Raw, seen: Raw | None = None) -> int:
    """Number of distinct inputs among x (n, ...), those that stand in `seen` left out.

    Labels do not matter: an input that comes back with another label is a repeat of it. Two that differ by the least
    noise are distinct.
    """
    return len(set(row_digests(x)) - set(() if seen is None else row_digests(seen)))


def check_repeats(n: int, distinct: int, kind: str, reason: str | None) -> None:
    """Refuse a sample of which more than 1 % are repeats, where nobody says why. Raises: DataError."""
    if too_many_repeats(n, distinct) and reason is None:
        raise DataError(
            f"certify: {n:,} independent draws were promised, got {n - distinct:,} {kind} whose input stands there "
            f"before ({distinct:,} are distinct). A copy is no draw, and bounds shrink with n: keep each example once. "
            "If the source itself repeats its inputs, say why with --repeats 'REASON'."
        )


def overlap(x: Raw, other: Raw) -> int:
    """Number of distinct inputs of `other` that stand in x too, as they are or in another form.

    Compared are float32 numbers (float16 where either was kept so), then each sample in its own scale (likeness.py),
    so that dtype, scale, order of the numbers and channel axis make no difference; nor do the zeros at the end of
    rows of bytes, which texts are padded with. Noise does.
    """
    x, other = _equally_wide(x, other)
    half = torch.float16 in (x.dtype, other.dtype)
    common = len(set(row_digests(x, half)) & set(row_digests(other, half)))
    return max(common, common_rows(x, other))


def _equally_wide(x: Raw, other: Raw) -> tuple[Raw, Raw]:
    """Fill up the shorter ones of two samples of texts."""
    if isinstance(x, Pictures) or isinstance(other, Pictures):
        return x, other
    if x.ndim != 2 or other.ndim != 2 or (x.dtype, other.dtype) != (torch.uint8, torch.uint8):
        return x, other
    width = max(x.shape[1], other.shape[1])
    return pad(x, (0, width - x.shape[1])), pad(other, (0, width - other.shape[1]))


def check_apart(x: Raw, held_out: Raw, kind: Literal["test", "unlabelled"], others: str = "training examples") -> None:
    """Refuse held-out inputs that stand among the others, x. Raises: DataError with their number."""
    common = overlap(x, held_out)
    if common:
        raise DataError(
            f"certify: the {len(held_out):,} {kind} inputs are other ones than the {len(x):,} {others}, got "
            f"{common:,} that stand in both. Hold inputs out that no network was trained on."
        )


def same_shape(x: Raw, other: Raw, texts: bool) -> bool:
    """Whether the inputs of two samples have one shape; texts have any length, pictures of their own sizes any size."""
    sides = slice(1, 2 if isinstance(x, Pictures) or isinstance(other, Pictures) else None)
    return texts or (x.ndim == other.ndim and x.shape[sides] == other.shape[sides])


def check_inputs(inputs: Inputs, examples: Examples) -> None:
    """Refuse inputs that a network for the examples cannot read. Raises: DataError."""
    fits = inputs.m and same_shape(inputs.x, examples.x, inputs.preprocess == "tokens")
    if inputs.x.dtype not in LAYOUTS or not fits:
        raise DataError(
            f"certify: unlabelled inputs are shaped like the examples, {examples.shape}, uint8 or float, "
            f"got {inputs.x.dtype} {tuple(inputs.x.shape)}."
        )
    if isinstance(inputs.x, Tensor) and inputs.x.dtype.is_floating_point and not bool(torch.isfinite(inputs.x).all()):
        raise DataError("certify: unlabelled inputs are finite, some hold NaN or infinity. Repair them.")
