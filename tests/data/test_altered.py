"""Altered samples: the same bytes on every machine, made by a rule that knows no example."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from pacbound.data.altered import alter, rotated, split_alteration
from pacbound.data.examples import Examples
from pacbound.data.registry import load
from pacbound.errors import DataError
from pacbound.subspace.random import integers
from tests.tiny import save_clouds


def pictures(high: int = 12, wide: int = 12, channels: int = 1) -> Examples:
    """Blurred random pictures: where pixels jump, one rounding of a place moves a value by much."""
    noise = torch.rand(400, channels, high, wide, generator=torch.Generator().manual_seed(0))
    smooth = F.avg_pool2d(noise, 3, stride=1, padding=1)
    x = (smooth * 255).to(torch.uint8)
    return Examples("smooth", x, torch.arange(400) % 7, classes=7)


@pytest.mark.parametrize("shape", [(12, 12, 1), (12, 12, 3), (9, 14, 1)])
def test_every_picture_is_turned_by_its_own_angle(shape: tuple[int, int, int]) -> None:
    given = pictures(*shape)
    turned = rotated(given, 0).x.double()
    radians = torch.deg2rad(torch.from_numpy(integers(0, "data/rotated", 400, 360)).double())
    high, wide = shape[:2]
    cosine, sine, zero = radians.cos(), radians.sin(), torch.zeros(400)
    rows = [torch.stack([cosine, -sine * high / wide, zero], 1), torch.stack([sine * wide / high, cosine, zero], 1)]
    grid = F.affine_grid(torch.stack(rows, 1), [400, shape[2], high, wide], align_corners=False)
    expected = F.grid_sample(given.x.double(), grid, align_corners=False)
    assert float((turned - expected).abs().max()) < 0.6  # half of it by rounding
    assert float((turned - given.x.double()).abs().mean()) > 5


def test_a_quarter_turn_only_moves_pixels() -> None:
    given = pictures()
    turned, angles = rotated(given, 6).x, integers(6, "data/rotated", 400, 360)
    assert {90, 180, 270} <= set(angles.tolist())
    for angle in (0, 90, 180, 270):
        chosen = torch.from_numpy(angles == angle)
        assert torch.equal(turned[chosen], given.x[chosen].rot90(angle // 90, (-2, -1)))


def test_all_inputs_have_one_order_of_pixels_and_keep_their_labels() -> None:
    given = pictures()
    found = alter(given, "permuted_2")
    one, two = given.x.flatten(1).numpy(), found.x.flatten(1).numpy()
    assert (np.sort(one, axis=1) == np.sort(two, axis=1)).all()
    columns = {column.tobytes() for column in one.T}
    assert len(columns) == one.shape[1]
    assert {column.tobytes() for column in two.T} == columns  # whole columns moved
    assert torch.equal(given.y, found.y)
    assert not torch.equal(found.x, alter(given, "permuted").x)


def test_random_labels_are_even_and_know_no_example() -> None:
    given = pictures()
    found = alter(given, "random_labels_5")
    other = alter(Examples("smooth", 255 - given.x, (given.y + 1) % 7, classes=7), "random_labels_5")
    assert torch.equal(found.y, other.y)
    counts = torch.bincount(found.y, minlength=7)
    assert float(((counts - 400 / 7) ** 2 / (400 / 7)).sum()) < 22.5  # chi-squared, 6 degrees: one in a thousand
    assert torch.equal(found.x, given.x)


def test_the_embedded_digits_altered_are_the_same_bytes_everywhere() -> None:
    digests = {kind: load(f"digits+{kind}").digest()[:16] for kind in ("rotated", "permuted_1", "random_labels_2")}
    assert digests == GOLDEN


GOLDEN = {"rotated": "bb0f42e2d930c0f8", "permuted_1": "e07c5d20a6f28699", "random_labels_2": "26dc2af7d56e71ba"}


@pytest.mark.parametrize(
    ("source", "split"),
    [
        ("mnist:test:1/2+rotated", ("mnist:test:1/2", "rotated")),
        ("digits+random_labels_12", ("digits", "random_labels_12")),
        ("digits+rotated_01", ("digits+rotated_01", None)),
        ("c++/rotated", ("c++/rotated", None)),
        ("rotated", ("rotated", None)),
    ],
)
def test_what_follows_the_plus_is_an_alteration_or_part_of_the_name(source: str, split: tuple[str, str | None]) -> None:
    assert split_alteration(source) == split


def test_an_altered_part_is_the_part_altered(tmp_path: Path) -> None:
    part = load("digits:test:1/2")
    assert load("digits:test:1/2+rotated").digest() == alter(part, "rotated").digest()
    assert load("digits:test:1/2+rotated").name == "digits.rotated"
    save_clouds(tmp_path, 60)
    with pytest.raises(DataError, match=r"pictures of uint8, .* got float32"):
        load(f"{tmp_path}/clouds.npz+rotated")
    assert "random order" in load(f"{tmp_path}/clouds.npz+permuted").note
