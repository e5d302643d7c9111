"""The closed menu of augmentations: noise on the picks alone, each a function of the batch and of one generator.

Pixels that come in from outside an image have its own lowest value, which is the background where an image is ink.
"""

import math
from collections.abc import Callable

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from ..specs.picks import Augmentation

SHIFT = 14  # parts of a side that make the longest shift: 2 of 28 pixels, at least 1
CROP = 8  # of a side that is mirrored around an image before it is cropped: 4 of 32 pixels, at least 1
DEGREES, SCALE, SHEAR = 15.0, 0.1, 0.1  # most of a rotation, of the logarithm of a scale, and of a shear
KNOTS, BEND = 4, 0.085  # knots on a side of a smooth displacement, and its standard deviation in half sides
COLOURS = 3  # channels of an image that is mirrored and cropped
STRONGER = 1.4  # of the affine map where an image is bent too

Augment = Callable[[Tensor, Generator], Tensor]


def fitting(augmentation: Augmentation, shape: tuple[int, ...]) -> bool:
    """Whether an augmentation is one for examples of this shape: images are (h, w) or (channels, h, w).

    >>> fitting("affine", (28, 28)), fitting("affine", (64,)), fitting("none", (64,))
    (True, False, True)
    """
    return augmentation == "none" or (len(shape) in (2, 3) and min(shape[-2:]) >= 4)


def usual(shape: tuple[int, ...], grey: Augmentation) -> Augmentation:
    """Return what suits examples of a shape: flip_crop for images in colour, `grey` for others, else none.

    >>> usual((3, 32, 32), "shift"), usual((28, 28), "shift"), usual((64,), "shift")
    ('flip_crop', 'shift', 'none')
    """
    chosen: Augmentation = "flip_crop" if len(shape) == 3 and shape[0] == COLOURS else grey
    return chosen if fitting(chosen, shape) else "none"


def shift(x: Tensor, noise: Generator) -> Tensor:
    """Move each image of (batch, ..., h, w) by whole pixels, up to 1/14 of its side either way, at least 1."""
    reach = max(1, x.shape[-1] // SHIFT)
    images = _channelled(x)
    low = _background(images)
    return _window(F.pad(images - low, (reach,) * 4) + low, reach, noise).reshape(x.shape)


def flip_crop(x: Tensor, noise: Generator) -> Tensor:
    """Mirror every other image, by chance, and move each by up to 1/8 of its side, mirrored at its border."""
    reach = max(1, x.shape[-1] // CROP)
    images = _channelled(x)
    turned = (torch.rand(len(x), generator=noise) < 0.5).to(x.device)
    images = torch.where(turned[:, None, None, None], images.flip(-1), images)
    return _window(F.pad(images, (reach,) * 4, mode="reflect"), reach, noise).reshape(x.shape)


def affine(x: Tensor, noise: Generator) -> Tensor:
    """Rotate, scale along both axes, shear and move each image, bilinear."""
    return _warped(x, _maps(x, noise, 1), None)


def elastic(x: Tensor, noise: Generator) -> Tensor:
    """Bend each image by a smooth displacement, normal at 4 x 4 knots and bicubic between; then `affine`, more of it.

    After Simard, Steinkraus and Platt 2003, "Best practices for convolutional neural networks", sec. 2.
    """
    maps = _maps(x, noise, STRONGER)
    knots = torch.randn((len(x), 2, KNOTS, KNOTS), generator=noise) * BEND
    bend = F.interpolate(knots, size=x.shape[-2:], mode="bicubic", align_corners=True)
    return _warped(x, maps, bend.permute(0, 2, 3, 1))  # (batch, h, w, 2)


def flip_affine(x: Tensor, noise: Generator) -> Tensor:
    """Mirror every other image, by chance, then do as `affine`."""
    turned = (torch.rand(len(x), generator=noise) < 0.5).to(x.device)
    return affine(torch.where(turned.reshape(-1, *[1] * (x.ndim - 1)), x.flip(-1), x), noise)


def none(x: Tensor, noise: Generator) -> Tensor:
    """Leave the batch as it is."""
    return x


AUGMENTATIONS: dict[Augmentation, Augment] = {
    "elastic": elastic, "flip_crop": flip_crop, "affine": affine, "flip_affine": flip_affine, "shift": shift,
    "none": none,
}  # fmt: skip


def _channelled(x: Tensor) -> Tensor:
    """(batch, h, w) or (batch, channels, h, w) as the latter."""
    return x.reshape(len(x), -1, *x.shape[-2:])


def _background(images: Tensor) -> Tensor:
    """The lowest value of each channel of each image, (batch, channels, 1, 1)."""
    return images.amin((2, 3), keepdim=True)


def _window(padded: Tensor, reach: int, noise: Generator) -> Tensor:
    """Cut from each image, padded by `reach` on all sides, a window of the old size at a place of its own."""
    batch, channels, height, width = padded.shape
    down, right = torch.randint(2 * reach + 1, (2, batch, 1), generator=noise).to(padded.device)
    rows = (down + torch.arange(height - 2 * reach, device=padded.device))[:, None, :, None]
    columns = (right + torch.arange(width - 2 * reach, device=padded.device))[:, None, None, :]
    one = torch.arange(batch, device=padded.device)[:, None, None, None]
    return padded[one, torch.arange(channels, device=padded.device)[None, :, None, None], rows, columns]


def _maps(x: Tensor, noise: Generator, strength: float) -> Tensor:
    """A random affine map of the plane for each image, (batch, 2, 3), in half sides."""
    turn, wide, high, shear, right, down = strength * (2 * torch.rand((6, len(x)), generator=noise) - 1)
    angle = turn * math.radians(DEGREES)
    wide, high, reach = torch.exp(SCALE * wide), torch.exp(SCALE * high), 2 / SHIFT
    cosine, sine = torch.cos(angle), torch.sin(angle)
    rows = (cosine * wide, SHEAR * shear - sine * high, reach * right, sine * wide, cosine * high, reach * down)
    return torch.stack(rows, 1).reshape(-1, 2, 3)


def _warped(x: Tensor, maps: Tensor, bend: Tensor | None) -> Tensor:
    images = _channelled(x)
    grid = F.affine_grid(maps, list(images.shape), align_corners=False)
    grid = grid if bend is None else grid + bend
    low = _background(images)
    return (F.grid_sample(images - low, grid.to(x), align_corners=False) + low).reshape(x.shape)
