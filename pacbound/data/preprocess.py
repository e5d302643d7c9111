"""From stored examples to what a network reads, bit for bit the same everywhere but for what is resized."""

import functools
from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from ..errors import DataError
from ..specs.preprocess import PREPROCESS, PreprocessSpec
from .columns import standardised
from .mapped import chunks, give_back
from .mixed import Pictures, Raw
from .tokens import token_ids

RESIZED_ROWS = 256  # at a time
WHOLE_BYTES = 1 << 30  # what is larger as a network reads it is made batch by batch, each time it is asked for
MAX_LONGER = 1 << 14  # pixels of the longer side, where the shorter one is resized
IMAGE_DIMENSIONS = 4  # (n, channels, height, width)


def preprocessed(x: Raw, spec: PreprocessSpec) -> Tensor:
    """Apply x' = (x / scale - mean) / std with the constants of `spec`, fixed before the data; or take tokens of texts.

    Pixels go through a table of 256 values a channel, each computed in float64 and rounded to float32 once, so that no
    machine's vector division enters. Pictures that are resized are float32 from then on: bicubic (a = -0.5) with the
    kernel widened where they shrink, edges as they are, cut to 0 .. 255; machines agree on them up to rounding. Floats
    pass as they are, rounded to float32, and numbers of tokens, int64, as they are.

    Args: x: (n, ...) uint8, float or int64, or pictures of sizes of their own. spec: which map.
    Returns: float32 of the same shape; of resized pictures and of constants for three channels (n, channels, height,
        width); of tokens int64 (n, length). On the device of x.
    Raises: DataError where the map does not fit x.
    """
    if isinstance(x, Pictures):
        return _one_size(x, spec)
    if spec.name == "tokens":
        return token_ids(x, spec)
    if spec.name in ("columns", "learned"):
        return standardised(x, spec)
    if x.dtype == torch.uint8:
        return _pixels(x, spec)
    if x.dtype != torch.int64 and not x.dtype.is_floating_point:
        raise DataError(f"preprocess: x is uint8, float or int64, got {x.dtype}. Convert it to float32.")
    if spec.text != "none":
        raise DataError(
            f"preprocess: {spec.text!r} is for uint8 pixels, got {x.dtype}. Hand over the raw pixels as uint8, "
            "or normalise them yourself by constants fixed before the data and choose 'none'."
        )
    return x if x.dtype == torch.int64 else x.to(torch.float32)


@dataclass(frozen=True, eq=False)
class Treated:
    """Inputs as a network reads them, made where they are asked for: of raw ones x (n, ...), in memory or mapped."""

    x: Raw
    spec: PreprocessSpec
    device: torch.device

    def __len__(self) -> int:
        """Return n."""
        return len(self.x)

    def __getitem__(self, rows: Tensor | slice) -> Tensor:
        """Return some of them, (batch, ...)."""
        found = preprocessed(self.x[rows], self.spec).to(self.device)
        give_back()
        return found

    def subset(self, rows: Tensor) -> "Treated":
        """Return the same of some rows (m,), which are still raw."""
        return replace(self, x=self.x[rows])

    def split(self, size: int) -> Iterator[Tensor]:
        """Return all of them in order, `size` at a time."""
        return (self[slice(start, start + size)] for start in range(0, len(self), size))


def treated(x: Raw, spec: PreprocessSpec, device: torch.device | None = None) -> Tensor | Treated:
    """Return inputs as a network reads them: at once where that is below WHOLE_BYTES, else as they are asked for.

    Args: x, spec: as for `preprocessed`. device: where they go, by default that of x. Raises: DataError like it.
    """
    first, where = preprocessed(x[:1], spec), device or x.device
    same = first.dtype == x.dtype and x.dtype != torch.uint8  # then nothing is done
    if same or first.nbytes * len(x) <= WHOLE_BYTES:
        return preprocessed(x, spec).to(where)
    return Treated(x, spec, where)


def shape_after(x: Raw, spec: PreprocessSpec) -> tuple[int, ...]:
    """Shape of one example of x (n, ...) as a network reads it. Raises: as `preprocessed`."""
    return tuple(preprocessed(x[:1], spec).shape[1:])


def _one_size(x: Pictures, spec: PreprocessSpec) -> Tensor:
    """Bring pictures to one size, each by itself."""
    if spec.resize is None:
        raise DataError(
            f"preprocess: a network reads pictures of one size, got such from {x.span} pixels and {spec.text!r}. Name "
            "the rule that brings them to one, which is coded: --preprocess imagenet@256/224, photo@64 or the like."
        )
    return torch.cat([_pixels(picture[None], spec) for picture in x])


def _pixels(x: Tensor, spec: PreprocessSpec) -> Tensor:
    scale, mean, std = PREPROCESS[spec.name]
    if spec.resize is None and len(mean) == 1:
        return _looked_up(x, _table(scale, mean[0], std[0]).to(x.device))
    if x.ndim != IMAGE_DIMENSIONS or (len(mean) > 1 and x.shape[1] not in (1, len(mean))):
        channels = "1 or 3 channels" if len(mean) > 1 else "any number of channels"
        raise DataError(
            f"preprocess: {spec.text!r} is for pictures (n, channels, height, width) of {channels}, got "
            f"{tuple(x.shape)}. Reshape grey ones to (n, 1, height, width)."
        )
    repeats = len(mean) // x.shape[1] or 1  # of a grey channel
    if spec.resize is None:
        rows = x.expand(-1, repeats * x.shape[1], -1, -1)
        tables = [_table(scale, *constants).to(x.device) for constants in zip(mean, std, strict=True)]
        return torch.stack([_looked_up(rows[:, channel], table) for channel, table in enumerate(tables)], 1)
    resized = torch.cat([_resized(rows, spec) for rows in x.split(RESIZED_ROWS)])
    shift, factor = (torch.tensor(v, device=x.device).reshape(-1, 1, 1) for v in (mean, std))  # (channels, 1, 1)
    return (resized / scale - shift) / factor


def _resized(x: Tensor, spec: PreprocessSpec) -> Tensor:
    """Bring pixels x (n, channels, height, width) to the size of the spec, in float32 from 0 to 255."""
    side, crop, (height, width) = spec.resize or 0, spec.crop, x.shape[2:]
    shorter = min(height, width)
    size = (side, side) if crop is None else (side * height // shorter, side * width // shorter)
    if max(size) > MAX_LONGER:
        raise DataError(
            f"preprocess: {spec.text!r} makes pictures of up to {MAX_LONGER:,} pixels a side before it crops, got "
            f"{width} x {height}, which would have {size[1]:,} x {size[0]:,}. Leave out what is so narrow, or the crop."
        )
    out = interpolate(x.to(torch.float32), size, mode="bicubic", align_corners=False, antialias=True).clamp(0, 255)
    if crop is None:
        return out
    top, left = (size[0] - crop) // 2, (size[1] - crop) // 2
    return out[:, :, top : top + crop, left : left + crop]


@functools.cache
def _table(scale: float, mean: float, std: float) -> Tensor:
    values = [(value / scale - mean) / std for value in range(256)]
    return torch.tensor(values, dtype=torch.float64).to(torch.float32)


def _looked_up(x: Tensor, table: Tensor) -> Tensor:
    out = torch.empty(x.shape, dtype=torch.float32, device=x.device)
    for rows, numbers in zip(chunks(x), chunks(out), strict=True):  # an index has 4 bytes a pixel: keep it small
        torch.index_select(table, 0, rows.flatten().to(torch.int32), out=numbers.view(-1))
    return out
