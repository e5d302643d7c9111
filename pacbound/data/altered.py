"""Samples made from others by a rule that knows no example: SOURCE+ALTERATION, with a number for its draws or none.

    SOURCE+rotated          every picture is turned by an angle of its own, in whole degrees
    SOURCE+permuted         the numbers of every input are put in one random order, the same for all
    SOURCE+random_labels    labels are drawn evenly from all classes, without looking at anything

SOURCE+rotated_3 is the same with other draws. All of it is arithmetic on integers and on our own generator, so that
every machine makes the same bytes. The altered sample is called NAME.ALTERATION: whoever looked at NAME looked at it.
"""

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from ..certificate.tuned import ALTERATION
from ..errors import DataError
from ..subspace.random import integers, permutation
from .examples import Examples
from .mixed import of_one_shape

Pixels = NDArray[np.uint8]
DEGREES = 360
FINE = 16  # bits after the point of a cosine
PLACE = FINE + 1  # of a place, which is kept in halves of a pixel


def split_alteration(source: str) -> tuple[str, str | None]:
    """Take +ALTERATION off what names a source.

    >>> split_alteration("mnist:test+rotated_3"), split_alteration("c++/mine.npz")
    (('mnist:test', 'rotated_3'), ('c++/mine.npz', None))
    """
    before, plus, after = source.rpartition("+")
    return (before, after) if plus and ALTERATION.fullmatch(after) else (source, None)


def alter(examples: Examples, alteration: str) -> Examples:
    """Return the altered sample. Raises: DataError where it does not apply."""
    form = ALTERATION.fullmatch(alteration)
    assert form is not None
    altered = ALTERATIONS[form["kind"]](examples, int(form["seed"] or 0))
    return replace(altered, name=f"{examples.name}.{alteration}")


def rotated(examples: Examples, seed: int) -> Examples:
    """Turn every picture by its own angle, anticlockwise, with zeros around it and pixels mixed by their distance.

    Raises: DataError where there are no pictures of whole numbers.
    """
    shape = examples.shape
    if examples.x.dtype != torch.uint8 or len(shape) not in (2, 3):
        raise DataError(
            "load: what is rotated are pictures of uint8, (height, width) or (channels, height, width), got "
            f"{str(examples.x.dtype).removeprefix('torch.')} of shape {shape}. Choose other data."
        )
    pixels = of_one_shape(examples.x, "rotated").numpy().reshape(examples.n, -1, *shape[-2:])
    angles, turned = integers(seed, "data/rotated", examples.n, DEGREES), np.empty_like(pixels)
    for angle in range(DEGREES):
        turned[angles == angle] = _turned(pixels[angles == angle], angle)
    x = torch.from_numpy(turned.reshape(examples.x.shape))
    return replace(examples, x=x).noting("every picture turned by an angle of its own, drawn from all whole degrees")


def permuted(examples: Examples, seed: int) -> Examples:
    """Put the numbers of every input in one order, drawn at random. Raises: DataError where they are texts."""
    if examples.preprocess == "tokens":
        raise DataError("load: what is permuted are pictures or features, got texts. Choose other data.")
    order = torch.from_numpy(permutation(seed, "data/permuted", math.prod(examples.shape)))
    x = of_one_shape(examples.x, "permuted").flatten(1)[:, order].reshape(examples.x.shape)
    return replace(examples, x=x).noting("the numbers of every input in one random order")


def random_labels(examples: Examples, seed: int) -> Examples:
    """Draw every label evenly from all classes: on such a source whatever is learned errs with 1 - 1 / classes."""
    y = torch.from_numpy(integers(seed, "data/random_labels", examples.n, examples.classes))
    return replace(examples, y=y).noting("labels drawn evenly, without looking at the inputs")


def _turned(pixels: Pixels, angle: int) -> Pixels:
    """Turn pictures (n, c, h, w) by one angle: every place takes from where it was, mixed from four neighbours."""
    high, wide = pixels.shape[-2:]
    cosine, sine = (round(f(math.radians(angle)) * (1 << FINE)) for f in (math.cos, math.sin))
    down, right = np.mgrid[1 - high : high : 2, 1 - wide : wide : 2]  # from the middle, in halves of a pixel
    places = (cosine * down + sine * right, cosine * right - sine * down)
    whole, rest = zip(*(_whole_and_rest(at, side) for at, side in zip(places, (high, wide), strict=True)), strict=True)
    framed = np.pad(pixels, ((0, 0), (0, 0), (1, 1), (1, 1)))
    total = np.zeros(pixels.shape, dtype=np.int64)
    for i, j in ((0, 0), (0, 1), (1, 0), (1, 1)):
        row, column = np.clip(whole[0] + i + 1, 0, high + 1), np.clip(whole[1] + j + 1, 0, wide + 1)
        share = (rest[0] if i else (1 << PLACE) - rest[0]) * (rest[1] if j else (1 << PLACE) - rest[1])
        total += share * framed[..., row, column]
    return ((total + (1 << 2 * PLACE - 1)) >> 2 * PLACE).astype(np.uint8)


def _whole_and_rest(at: NDArray[np.int64], side: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the pixel before a place, from 0, and how far beyond its middle the place lies, in 2^-PLACE pixels."""
    found = at + ((side - 1) << FINE)
    return found >> PLACE, found & ((1 << PLACE) - 1)


ALTERATIONS: dict[str, Callable[[Examples, int], Examples]] = {
    "rotated": rotated,
    "permuted": permuted,
    "random_labels": random_labels,
}
