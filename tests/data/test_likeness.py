"""Inputs that are known again: tuned data in every form people store them in, and nothing else."""

import functools
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from pacbound.data.inputs import overlap
from pacbound.data.likeness import TABLE, known_rows, recognise
from pacbound.data.registry import load
from pacbound.data.tuned_rows import table_of

FORMS = {
    "as stored": lambda x, top: x,
    "float32 in 0 .. 1": lambda x, top: x.float() / top,
    "float64, mean 0 and deviation 1": lambda x, top: (x.double() - x.double().mean()) / x.double().std(),
    "float32, mean 0 and deviation 1": lambda x, top: (x.float() - x.float().mean()) / x.float().std(),
    "float16": lambda x, top: (x.float() / top).half(),
    "inverted pixels": lambda x, top: top - x,
    "inverted floats": lambda x, top: 1 - x.float() / top,
    "-1 .. 1": lambda x, top: 2 * (x.float() / top) - 1,
    "flat": lambda x, top: x.flatten(1).float(),
    "without a channel axis": lambda x, top: x.squeeze(1),
    "channels last": lambda x, top: x.permute(0, 2, 3, 1),
    "width before height": lambda x, top: x.transpose(2, 3),
    "channels last and flat": lambda x, top: x.permute(0, 2, 3, 1).flatten(1).float() / top,
    "as three channels": lambda x, top: x.repeat(1, 4 - min(x.shape[1], 3), 1, 1)[:, :3],
    "padded": lambda x, top: torch.nn.functional.pad(x, (2, 2, 2, 2)),
    "in another order": lambda x, top: x[torch.randperm(len(x), generator=torch.Generator().manual_seed(0))],
    "a fifth of it": lambda x, top: x[::5].float() / top,
    "each row over its own highest": lambda x, top: x / x.flatten(1).amax(1).reshape(-1, 1, 1, 1),
    "with one row that is far off": lambda x, top: torch.cat([x.float() / top, torch.full((1, *x.shape[1:]), 1e3)]),
    "half of it in a sample of others": lambda x, top: torch.cat([x, others(x, top)]),
}


def others(x: Tensor, top: int) -> Tensor:
    """As many images of noise in the same range."""
    return torch.randint(0, top + 1, x.shape, generator=torch.Generator().manual_seed(1), dtype=torch.uint8)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("split", ["train", "test"])
def test_digits_are_known_in_every_form(form: str, split: str) -> None:
    assert recognise(FORMS[form](load("digits", split=split).x, 16)) == "digits"


@functools.cache
def beginning(name: str, root: Path) -> Tensor:
    """The first 400 test images; every form copies them."""
    return load(name, root, "test").x[:400].clone()


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", ["mnist", "fashion-mnist", "cifar10"])
def test_part_of_the_larger_data_sets_is_known_in_every_form(name: str, form: str, data_root) -> None:  # type: ignore[no-untyped-def]
    assert recognise(FORMS[form](beginning(name, data_root), 255)) == name


@pytest.mark.parametrize("name", ["cifar10"])
def test_each_channel_may_have_a_scale_of_its_own(name: str, data_root) -> None:  # type: ignore[no-untyped-def]
    x = beginning(name, data_root).float() / 255
    mean, std = torch.tensor([0.49, 0.48, 0.45])[:, None, None], torch.tensor([0.25, 0.24, 0.26])[:, None, None]
    scaled = (x - mean) / std
    assert recognise(scaled) == recognise(scaled.permute(0, 2, 3, 1)) == name
    assert overlap((x * 255).to(torch.uint8), scaled[::9]) == overlap(scaled[::9], x) == 45


@pytest.mark.parametrize("shape", [(500, 64), (500, 1, 8, 8), (300, 784), (100, 3072), (500, 5), (1, 64)])
def test_other_data_are_nobodys(shape: tuple[int, ...]) -> None:
    generator = torch.Generator().manual_seed(0)
    floats, pixels = torch.randn(shape, generator=generator), torch.randint(0, 17, shape, generator=generator)
    for x in (floats, pixels.to(torch.uint8), (floats > 0).float(), torch.zeros(shape)):
        assert recognise(x) is None


def test_a_single_row_in_a_large_sample_does_not_make_it_tuned_data() -> None:
    digits = load("digits").x
    assert recognise(torch.cat([others(digits, 16)[:990], digits[:9]])) is None
    assert recognise(torch.cat([others(digits, 16)[:980], digits[:20]])) == "digits"


@pytest.mark.slow
def test_the_table_is_what_the_data_give(data_root) -> None:  # type: ignore[no-untyped-def]
    samples = {name: [load(name, data_root, split).x for split in ("train", "test")] for name in known_rows()}
    assert table_of(samples) == TABLE.read_text("ascii")


def test_the_table_of_the_digits_is_what_the_embedded_data_give() -> None:
    made = json.loads(table_of({"digits": [load("digits", split=split).x for split in ("train", "test")]}))
    assert made["digits"] == json.loads(TABLE.read_text("ascii"))["digits"]
    assert all((words[1:] > words[:-1]).all() for words in known_rows().values())  # they are searched as sorted ones
    assert len(known_rows()["digits"]) == len(np.unique(known_rows()["digits"])) == 1795  # two of 1,797 are too plain
