"""Inputs without labels, parts of a source, and inputs that stand in two samples."""

import gzip
import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch

from pacbound.data.examples import Examples
from pacbound.data.inputs import (
    check_repeats,
    distinct_inputs,
    overlap,
    parse_source,
    part_rows,
    row_digests,
)
from pacbound.data.registry import load, load_inputs
from pacbound.errors import DataError

GOLDEN = "87f259bfc6894dfd"  # of the rows of part 1 of 3 of 1001


class Untouchable:
    """Labels that nobody may look at."""

    def __getattribute__(self, name: str) -> object:
        raise AssertionError(f"the labels were asked for {name}")


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("mnist", ("mnist", None, None)),
        ("mnist:test", ("mnist", "test", None)),
        ("mnist:test:1/2", ("mnist", "test", (1, 2))),
        ("digits:3/4", ("digits", None, (3, 4))),
        ("mine:load", ("mine:load", None, None)),
        ("mine:load:2/2", ("mine:load", None, (2, 2))),
        ("a:b.npz:1/3", ("a:b.npz", None, (1, 3))),
        ("mnist:0/2", ("mnist:0/2", None, None)),
    ],
)
def test_a_source_says_its_split_and_part(text: str, parsed: object) -> None:
    assert parse_source(text) == parsed


def test_a_part_beyond_the_last_is_refused() -> None:
    with pytest.raises(DataError, match=r"I from 1 to K, got 3/2"):
        parse_source("mnist:3/2")
    with pytest.raises(DataError, match="4 parts need as many examples, got 3"):
        part_rows(3, 1, 4)


def test_parts_are_a_partition_in_a_fixed_order_unlike_the_official_one() -> None:
    parts = [part_rows(1001, i, 3) for i in (1, 2, 3)]
    assert sorted(np.concatenate(parts).tolist()) == list(range(1001))
    assert {len(part) for part in parts} <= {333, 334}
    assert abs(parts[0].mean() - 500) < 60
    assert hashlib.sha256(parts[0].astype("<i8").tobytes()).hexdigest()[:16] == GOLDEN  # part of every certificate


def test_a_part_of_named_data_is_the_same_with_and_without_labels() -> None:
    half, rest, whole = load("digits:test:1/2"), load("digits:test:2/2"), load("digits", split="test")
    inputs = load_inputs("digits:test:1/2")
    assert torch.equal(half.x, inputs.x)
    assert (half.n, rest.n, inputs.m, inputs.name) == (180, 180, 180, "digits")
    assert sorted(row_digests(half.x) + row_digests(rest.x)) == sorted(row_digests(whole.x))
    assert "part 1 of 2" in half.note
    assert "test split, part 1 of 2" in inputs.note
    assert load_inputs("digits").m == 360  # the test split, unless the train split is asked for
    assert load_inputs("digits:train").m == 1437


def test_labels_are_not_touched_wherever_they_lie(tmp_path: Path) -> None:
    x = torch.arange(12.0).reshape(4, 3)
    assert torch.equal(load_inputs((x, Untouchable())).x, x)
    examples = Examples("mine", x, torch.tensor([0, 1, 0, 1]), 2)
    object.__setattr__(examples, "y", Untouchable())
    assert load_inputs(examples).name == "mine"
    np.savez(tmp_path / "x.npz", x=x.numpy(), y=np.array([None, "poison"], dtype=object))  # unpickling would be refused
    assert torch.equal(load_inputs(str(tmp_path / "x.npz")).x, x)


def test_images_are_read_where_the_file_of_labels_is_missing(tmp_path: Path) -> None:
    pixels = np.arange(5 * 28 * 28, dtype=np.uint64).astype(np.uint8).reshape(5, 28, 28)
    head = np.array([0x803, 5, 28, 28], dtype=">i4").tobytes()
    (tmp_path / "mnist").mkdir()
    (tmp_path / "mnist" / "t10k-images-idx3-ubyte.gz").write_bytes(gzip.compress(head + pixels.tobytes()))
    inputs = load_inputs("mnist:test", tmp_path)
    assert inputs.x.shape == (5, 1, 28, 28)
    assert np.array_equal(inputs.x[:, 0].numpy(), pixels)
    with pytest.raises(DataError, match="t10k-labels"):
        load("mnist:test", tmp_path)


def test_one_input_in_both_is_found_whatever_its_dtype_and_shape() -> None:
    x = torch.randint(0, 256, (50, 1, 4, 4), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    other = torch.randint(0, 256, (60, 16), generator=torch.Generator().manual_seed(1)).float()
    assert overlap(x, other) == 0
    other[33] = x[7].flatten()
    assert overlap(x, other) == overlap(other, x) == 1
    other[33, 3] += 1
    assert overlap(x, other) == 0
    assert overlap(torch.tensor([[0.0]]), torch.tensor([[-0.0]])) == 1


@pytest.mark.parametrize(
    "form",
    [
        lambda x: x.float() / 255,
        lambda x: (x.double() / 255 - 0.3) / 0.2,
        lambda x: x.permute(0, 2, 3, 1),
        lambda x: x.permute(0, 2, 3, 1).flatten(1).float() / 255,
        lambda x: x.transpose(2, 3).float(),
    ],
    ids=["0 .. 1", "standardised", "channels last", "channels last, flat and scaled", "width first"],
)
def test_inputs_in_both_are_found_in_another_form(form) -> None:  # type: ignore[no-untyped-def]
    x = torch.randint(0, 256, (300, 3, 4, 4), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    x[:, 0, 0, 0], x[:, 0, 0, 1] = 0, 255  # any few images have both ends of the scale
    strangers = torch.randint(0, 256, x.shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    strangers[:, 0, 0, 0], strangers[:, 0, 0, 1] = 0, 255
    assert overlap(x, form(strangers)) == overlap(form(strangers), x) == 0
    mixed = torch.cat([strangers[:50], x[40:47]])
    assert overlap(x, form(mixed)) == overlap(form(mixed), x) == 7


def test_float16_finds_what_float32_and_float64_hold() -> None:
    x = torch.rand(100, 9, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert overlap(x, x[3:8].half()) == overlap(x[3:8].half(), x.float()) == overlap(x.float(), x[3:8]) == 5


def test_few_numbers_of_low_resolution_are_compared_as_they_are() -> None:
    grid = torch.cartesian_prod(torch.arange(20.0), torch.arange(20.0))
    assert overlap(grid[::2], grid[1::2]) == overlap(grid[::2], 2 * grid[1::2] + 1) == 0


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float16, torch.float32, torch.float64])
def test_distinct_inputs_are_those_of_a_set_of_tuples(dtype: torch.dtype) -> None:
    x = torch.randint(0, 4, (5000, 2, 3), generator=torch.Generator().manual_seed(0)).to(dtype)
    rows = [tuple(row) for row in x.flatten(1).tolist()]
    assert distinct_inputs(x) == len(set(rows))
    assert distinct_inputs(x[2000:], x[:2000]) == len(set(rows[2000:]) - set(rows[:2000]))
    assert distinct_inputs(torch.tensor([[0.0], [-0.0]])) == 1
    assert distinct_inputs(torch.tensor([[1.0], [1.0 + 2**-40]], dtype=torch.float64)) == 1  # one float32


def test_more_than_one_repeat_in_a_hundred_needs_a_word() -> None:
    check_repeats(1000, 990, "training examples", None)
    check_repeats(1000, 1, "training examples", "every reading is taken by the same sensor")
    with pytest.raises(DataError, match=r"got 11 training examples .* \(989 are distinct\).*--repeats"):
        check_repeats(1000, 989, "training examples", None)


def test_the_digest_is_that_of_examples_without_labels() -> None:
    x = torch.tensor([[1, 2], [3, 4]], dtype=torch.uint8)
    head = np.array([2, 1, 2, 5], dtype="<i8").tobytes() + b"uint8"
    assert load_inputs(x).digest() == hashlib.sha256(head + bytes([1, 2, 3, 4])).hexdigest()


def test_what_is_no_source_of_inputs_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "z.npz", z=np.zeros(3))
    for source in ("mnits", str(tmp_path / "z.npz"), str(tmp_path / "none.npz")):
        with pytest.raises(DataError):
            load_inputs(source)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut off", b"\x93NUMPY"])
def test_a_file_of_inputs_that_is_no_archive_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "inputs.npz").write_bytes(content)
    with pytest.raises(DataError, match=r"is an \.npz archive"):
        load_inputs(str(tmp_path / "inputs.npz"))
