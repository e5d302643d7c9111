"""Pictures as uint8 in the order channels, height, width: decoded, or turned from another order of axes."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import torch
from torch import Tensor

from ..errors import DataError, first_line
from ..request.reading import Layout

if TYPE_CHECKING:
    from PIL.Image import Image

T = TypeVar("T")

CHANNELS = (1, 3)
GREY = ("1", "L")
DEEP = ("I", "F")  # modes of more than 8 bits begin so
ORIENTATION, UPRIGHT = 0x0112, 1  # of EXIF: a field, and the value that turns nothing
TURNED = "stored as height, width, channels"


def in_order(x: Tensor, layout: Layout) -> tuple[Tensor, str]:
    """Return pictures x (n, ...) with their channels first, and what a reader must know of it.

    Raises: DataError where a layout is asked of what are no pictures.
    """
    if layout == "chw" or (layout == "auto" and not _looks_turned(x)):
        return x, ""
    if x.ndim != 4:
        raise DataError(
            f"load: --layout hwc is for pictures (n, height, width, channels), got {tuple(x.shape)}. Leave it out."
        )
    return x.permute(0, 3, 1, 2).contiguous(), TURNED


def _looks_turned(x: Tensor) -> bool:
    return x.dtype == torch.uint8 and x.ndim == 4 and x.shape[3] in CHANNELS and x.shape[1] not in CHANNELS


def from_pil(image: "Image", where: str) -> Tensor:
    """Return the pixels of a picture, (1 or 3, height, width) uint8: grey as they are, all other modes as RGB.

    Raises: DataError where it cannot be decoded, or has more than 8 bits a channel.
    """
    if image.mode.startswith(DEEP):
        raise DataError(f"load: {where} has 8 bits a channel, got the mode {image.mode}. Store such pictures in x.npy.")
    try:
        pixels = np.asarray(image.convert("L" if image.mode in GREY else "RGB"))
    except (OSError, ValueError, SyntaxError) as cause:
        raise DataError(f"load: {where} is a picture, got: {first_line(cause)}. Remove or repair it.") from None
    rows = pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)
    return torch.from_numpy(np.ascontiguousarray(rows).copy())


def read_picture(path: Path) -> Tensor:
    """Decode a file, as `from_pil` does. Raises: DataError that names it."""

    def decoded(image: "Image") -> Tensor:
        image.load()
        return from_pil(image, _named(path))

    return _opened(path, decoded)


def head_of_picture(path: Path) -> tuple[tuple[int, int, int], bool]:
    """Return the shape of what `read_picture` decodes, and whether its EXIF names a rotation, which that leaves out.

    Raises: DataError that names the file.
    """

    def head(image: "Image") -> tuple[tuple[int, int, int], bool]:
        turned = "exif" in image.info and image.getexif().get(ORIENTATION, UPRIGHT) != UPRIGHT
        return (1 if image.mode in GREY else CHANNELS[-1], image.height, image.width), turned

    return _opened(path, head)


def _named(path: Path) -> str:
    return f"{path.parent.name}/{path.name}"


def _opened(path: Path, use: Callable[["Image"], T]) -> T:
    """Return what is made of a picture that is opened. Raises: DataError that names the file."""
    from PIL import Image

    try:
        with Image.open(path) as image:
            return use(image)
    except DataError:
        raise
    except Exception as cause:  # decoders of broken files raise anything
        said = first_line(cause).replace(str(path), path.name)
        raise DataError(f"load: {_named(path)} is a picture, got: {said}. Remove or repair it.") from None


def decoder() -> str:
    """Name the package that decodes pictures, with its version. Raises: DataError where it is missing."""
    try:
        import PIL
    except ImportError as why:
        raise DataError(
            f"load: pictures in files need Pillow, which cannot be imported ({first_line(why)}). Install the extra: "
            "pip install 'pacbound[data]'"
        ) from None
    return f"Pillow {PIL.__version__}"
