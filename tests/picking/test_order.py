"""The order of picking: against hashes and losses written anew, and never by the place in the sample."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pacbound.data.examples import Examples
from pacbound.picking.order import GAP, group_of, priorities, values_of
from tests.picking.task import noisy, priority


def images(dtype: torch.dtype, n: int = 80) -> Examples:
    pixels = torch.randint(0, 256, (n, 2, 3, 4), generator=torch.Generator().manual_seed(1))
    pixels = pixels.to(dtype).transpose(2, 3)  # not contiguous
    return Examples("images", pixels, torch.arange(n) % 7, classes=7)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float16, torch.float32, torch.float64])
@pytest.mark.parametrize("seed", [0, 1, (1 << 63) - 1])
def test_priorities_are_hashes_of_seed_bytes_and_label(dtype: torch.dtype, seed: int) -> None:
    examples = images(dtype)
    expected = sorted(range(examples.n), key=lambda row: priority(examples, row, seed))
    assert priorities(examples, seed).tolist() == expected


def test_the_place_in_the_sample_has_no_part_in_it() -> None:
    examples = noisy(200)
    order = torch.from_numpy(priorities(examples, 3))
    mixed = torch.randperm(200, generator=torch.Generator().manual_seed(0))
    again = examples.subset(mixed)
    found = torch.from_numpy(priorities(again, 3))
    assert torch.equal(again.x[found], examples.x[order])
    assert torch.equal(again.y[found], examples.y[order])
    assert not torch.equal(found, order)


def test_seed_input_and_label_each_change_it() -> None:
    examples = noisy(60)
    order = priorities(examples, 0).tolist()
    other = Examples("clouds", examples.x, (examples.y + 1) % 3, classes=3)
    moved = Examples("clouds", examples.x + 1, examples.y, classes=3)
    assert order != priorities(examples, 1).tolist()
    assert order != priorities(other, 0).tolist()
    assert order != priorities(moved, 0).tolist()


def test_equal_examples_stand_side_by_side_and_with_another_label_elsewhere() -> None:
    one = noisy(40)
    twice = Examples("clouds", torch.cat([one.x, one.x]), torch.cat([one.y, one.y]), classes=3)
    order = priorities(twice, 0)
    assert (order[1::2] - order[::2]).tolist() == [40] * 40, "the earlier of two equal ones first"
    relabelled = Examples("clouds", twice.x, torch.cat([one.y, (one.y + 1) % 3]), classes=3)
    apart = priorities(relabelled, 0)
    assert any(abs(int(a) - int(b)) != 40 for a, b in zip(apart[::2], apart[1::2], strict=True))


VALUES = st.lists(
    st.one_of(st.floats(-1e3, 1e3), st.sampled_from([0.0, GAP / 2, GAP, 2 * GAP, -math.inf])), max_size=15
)


@settings(max_examples=100)
@given(VALUES, st.integers(0, 12))
def test_a_group_ends_at_the_first_gap_that_rounding_cannot_close(values: list[float], size: int) -> None:
    values = sorted(values)
    ends = [
        end
        for end in range(len(values) + 1)
        if end >= min(size, len(values)) and (end in (0, len(values)) or values[end] - values[end - 1] > GAP)
    ]
    assert group_of(torch.tensor(values, dtype=torch.float64), size) == min(ends)


def test_equal_values_are_picked_together_and_so_are_all_rows_that_are_not_finite() -> None:
    assert group_of(torch.tensor([1.0, 2.0, 2.0, 2.0, 3.0]), 2) == 4
    assert group_of(torch.tensor([1.0, 2.0, 2.0 + GAP / 2, 2.0 + GAP, 3.0], dtype=torch.float64), 2) == 4, "a chain"
    assert group_of(torch.tensor([-math.inf, -math.inf, -math.inf, 0.0]), 1) == 3


def test_worst_is_the_largest_loss_and_boundary_the_smallest_lead_of_a_rival() -> None:
    logits = torch.randn(50, 4, generator=torch.Generator().manual_seed(0)) * 5
    y = torch.arange(50) % 4
    losses, leads = [], []
    for row, label in zip(logits.double().tolist(), y.tolist(), strict=True):
        losses.append(math.log(math.fsum(math.exp(value) for value in row)) - row[label])
        leads.append(max(value for k, value in enumerate(row) if k != label) - row[label])
    np.testing.assert_allclose(
        values_of("worst", logits, y).numpy(), [-loss for loss in losses], rtol=1e-12, atol=1e-14
    )
    np.testing.assert_allclose(values_of("boundary", logits, y).numpy(), leads, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("order", ["worst", "boundary"])
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_rows_that_are_not_finite_come_first_whatever_their_label(order: str, bad: float) -> None:
    logits = torch.tensor([[90.0, -90.0, 0.0], [bad, 1.0, 0.0], [0.0, 0.0, bad], [1.0, 2.0, 3.0]])
    for label in range(3):
        values = values_of(order, logits, torch.full((4,), label))  # type: ignore[arg-type]
        assert values.isneginf().tolist() == [False, True, True, False]
