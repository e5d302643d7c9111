"""Augmentations against pixels looked up by place, against closed forms of the plane, and as functions of the noise."""

import math
from itertools import product

import numpy as np
import pytest
import torch
from torch import Generator, Tensor

from pacbound.picking import augment
from pacbound.picking.augment import AUGMENTATIONS, affine, elastic, fitting, flip_affine, flip_crop, shift
from pacbound.specs.picks import MENUS

SHAPES = ((8, 8), (28, 28), (1, 28, 28), (3, 32, 32))


def noise(seed: int = 0) -> Generator:
    return Generator().manual_seed(seed)


def images(batch: int, *shape: int) -> Tensor:
    return torch.randn(batch, *shape, generator=noise(7))


def moved(image: np.ndarray, down: int, right: int, outside: float) -> np.ndarray:
    """The image whose pixel (i, j) is the old (i + down, j + right)."""
    height, width = image.shape
    rows, columns = np.arange(height)[:, None] + down, np.arange(width) + right
    inside = (0 <= rows) & (rows < height) & (0 <= columns) & (columns < width)
    return np.where(inside, image[rows % height, columns % width], outside)


def mirrored(image: np.ndarray, down: int, right: int) -> np.ndarray:
    """As `moved`, what lies outside being mirrored at the border pixel."""

    def inside(k: int, side: int) -> int:
        k = abs(k)
        return 2 * (side - 1) - k if k >= side else k

    height, width = image.shape
    rows, columns = [inside(i + down, height) for i in range(height)], [inside(j + right, width) for j in range(width)]
    return image[np.ix_(rows, columns)]


def test_the_menu_and_the_functions_are_the_same_names() -> None:
    assert tuple(AUGMENTATIONS) == MENUS["augmentation"]


@pytest.mark.parametrize("name", AUGMENTATIONS)
@pytest.mark.parametrize("shape", SHAPES)
def test_an_augmentation_keeps_shape_and_batch_and_is_a_function_of_the_generator(
    name: str, shape: tuple[int, ...]
) -> None:
    x = images(16, *shape)
    kept = x.clone()
    one, again, other = (AUGMENTATIONS[name](x, noise(seed)) for seed in (0, 0, 1))
    assert torch.equal(x, kept)  # never in place
    assert one.shape == x.shape
    assert one.dtype == torch.float32
    assert torch.equal(one, again)
    assert torch.equal(one, other) == (name == "none")


@pytest.mark.parametrize("shape", SHAPES)
def test_a_shift_is_one_of_the_shifts_by_whole_pixels_that_lets_background_in(shape: tuple[int, ...]) -> None:
    reach = max(1, shape[-1] // 14)
    x = images(40, *shape)
    steps = range(-reach, reach + 1)
    seen = set()
    for before, after in zip(x, shift(x, noise()), strict=True):
        channels, results = before.reshape(-1, *shape[-2:]).numpy(), after.reshape(-1, *shape[-2:]).numpy()
        fits = [
            (down, right)
            for down, right in product(steps, steps)
            if all(
                np.allclose(moved(old, down, right, old.min()), new, atol=1e-6)
                for old, new in zip(channels, results, strict=True)
            )
        ]
        assert len(fits) == 1  # all channels of an image move together
        seen.update(fits)
    assert len(seen) > (2 * reach + 1) ** 2 / 2


def test_flip_crop_is_one_of_the_mirrored_crops_and_every_other_image_is_turned() -> None:
    x = images(200, 16, 16)
    turned = 0
    for before, after in zip(x.numpy(), flip_crop(x, noise()).numpy(), strict=True):
        fits = [
            flipped
            for flipped, down, right in product((False, True), range(-2, 3), range(-2, 3))
            if np.array_equal(mirrored(before[:, ::-1] if flipped else before, down, right), after)
        ]
        assert len(fits) == 1
        turned += fits[0]
    assert 70 < turned < 130


@pytest.mark.parametrize("function", [affine, elastic, flip_affine])
def test_a_warp_of_nothing_but_background_is_background(function: augment.Augment) -> None:
    assert torch.allclose(function(torch.full((8, 12, 12), -0.4), noise()), torch.tensor(-0.4))


def test_an_affine_map_without_noise_is_the_identity(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DEGREES", "SCALE", "SHEAR"):
        monkeypatch.setattr(augment, name, 0.0)
    monkeypatch.setattr(augment, "SHIFT", math.inf)
    x = images(4, 28, 28)
    assert torch.allclose(affine(x, noise()), x, atol=1e-4)
    monkeypatch.setattr(augment, "BEND", 0.0)
    assert torch.allclose(elastic(x, noise()), x, atol=1e-4)


def test_the_mass_of_a_disc_moves_no_farther_and_grows_no_more_than_the_ranges_say() -> None:
    side = 41
    grid = torch.arange(side) - side // 2
    disc = ((grid[:, None] ** 2 + grid[None, :] ** 2) <= 8**2).float()
    after = affine(disc.expand(400, side, side), noise())
    mass = after.sum((1, 2))
    down = (after * grid[:, None]).sum((1, 2)) / mass
    right = (after * grid[None, :]).sum((1, 2)) / mass
    assert 0.75 * disc.sum() < mass.min() < 0.9 * disc.sum() < 1.1 * disc.sum() < mass.max() < 1.3 * disc.sum()
    for centre in (down, right):
        assert 2.0 < centre.abs().max() < side / 14 * 1.3
        assert abs(centre.mean()) < 0.3


def test_a_bar_is_turned_by_at_most_the_degrees() -> None:
    bar = torch.zeros(41, 41)
    bar[5:36, 19:22] = 1
    grid = (torch.arange(41) - 20).float()
    after = affine(bar.expand(300, 41, 41), noise())
    mass = after.sum((1, 2))
    y, x = grid[:, None].expand(41, 41), grid[None, :].expand(41, 41)
    means = [(after * k).sum((1, 2)) / mass for k in (y, x)]
    yy, xy = [
        (after * (y - means[0][:, None, None]) * (k - m[:, None, None])).sum((1, 2)) / mass
        for k, m in ((y, means[0]), (x, means[1]))
    ]
    degrees = torch.rad2deg(torch.atan2(xy, yy))
    assert 10 < degrees.abs().max() < 25
    assert abs(degrees.mean()) < 2


def test_images_have_augmentations_and_vectors_have_none() -> None:
    for name in MENUS["augmentation"]:
        assert fitting(name, (28, 28))
        assert fitting(name, (3, 32, 32))
        for shape in ((64,), (3, 2), (2, 3, 4, 5)):
            assert fitting(name, shape) == (name == "none")
