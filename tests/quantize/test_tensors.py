"""Tensors from symbols, against arithmetic written out, and blocks against bitsandbytes itself."""

import numpy as np
import pytest
import torch

from pacbound.errors import QuantizeError
from pacbound.quantize.blockwise import block_table, to_blocks
from pacbound.quantize.tensors import (
    dequantize_tensor,
    dequantize_tensors,
    nearest_step,
    row_offsets,
    step_size,
    to_integers,
)
from pacbound.specs.tensors import BlockTensor, CodebookTensor, LatticeTensor, TableSpec
from tests.direct_cases import chain, random_symbols, ternary

FIVE = TableSpec(kind="spike", levels=5, ratio_index=64, zero_index=8)


def weights(count: int = 1000, seed: int = 0) -> np.ndarray:
    return (0.1 * np.random.default_rng(seed).standard_normal(count)).astype(np.float32)


def test_a_lattice_is_integers_times_its_step() -> None:
    coding = LatticeTensor(step_index=144, table=FIVE)  # 2^-2
    values = np.array([[0, 1, 2], [3, 4, 2]], np.int32)
    assert dequantize_tensor(coding, values, None).tolist() == [[-0.5, -0.25, 0], [0.25, 0.5, 0]]


def test_offsets_of_rows_are_eighths_of_an_octave() -> None:
    coding = LatticeTensor(step_index=128, rows=TableSpec(kind="spike", levels=17, ratio_index=64), table=FIVE)
    values = np.full((3, 2), 3, np.int32)
    found = dequantize_tensor(coding, values, np.array([0, 8, 16], np.int32))
    assert found.tolist() == [[0.5, 0.5], [1, 1], [2, 2]]
    assert row_offsets(np.array([0.5, 1.0, 2.0]), 128).tolist() == [-8, 0, 8]


def test_a_codebook_looks_up_its_centroids() -> None:
    coding = CodebookTensor(centroids=(0xBC00, 0, 0x3800), table=FIVE)
    assert dequantize_tensor(coding, np.array([2, 0, 1]), None).tolist() == [0.5, -1, 0]


@pytest.mark.parametrize("kind", ["nf4", "fp4"])
def test_tables_of_four_bits_are_those_of_bitsandbytes(kind: str) -> None:
    from bitsandbytes import functional as bnb

    assert np.array_equal(bnb.get_4bit_type(kind, device="cpu").numpy(), block_table(kind))


def test_the_table_of_eight_bits_is_that_of_bitsandbytes_to_the_last_bit_of_its_sums() -> None:
    from bitsandbytes import functional as bnb

    assert np.allclose(bnb.create_dynamic_map().numpy(), block_table("int8"), rtol=0, atol=1e-7)


@pytest.mark.parametrize(("kind", "error"), [("int8", 0.012), ("nf4", 0.1), ("fp4", 0.13)])
@pytest.mark.parametrize("block_log2", [6, 12])
def test_blocks_lose_what_bitsandbytes_loses(kind: str, error: float, block_log2: int) -> None:
    w = weights(5000)
    side, symbols = to_blocks(w, kind, block_log2)
    table = TableSpec(kind="static", levels=len(block_table(kind)))
    coding = BlockTensor(kind=kind, block_log2=block_log2, table=table)  # type: ignore[arg-type]
    found = dequantize_tensor(coding, symbols, side)
    assert len(side) == -(-5000 // (1 << block_log2))
    loss = float(np.sqrt(((w - found) ** 2).mean() / (w**2).mean()))
    assert error / 2 < loss < error * (2.2 if block_log2 == 12 else 1.0)


@pytest.mark.parametrize("kind", ["int8", "nf4", "fp4"])
def test_a_weight_is_the_nearest_entry_times_the_scale_that_is_sent(kind: str) -> None:
    w = weights(256)
    side, symbols = to_blocks(w, kind, 6)
    scales = np.repeat(torch.from_numpy(side.astype(np.int16)).view(torch.bfloat16).float().numpy(), 64)
    tried = block_table(kind).astype(np.float64)[:, None] * scales  # (entries, weights)
    assert np.allclose(np.abs(tried[symbols, np.arange(256)] - w), np.abs(tried - w).min(0), rtol=0, atol=1e-9)


def test_block_scales_are_bfloat16_and_not_below_the_largest_magnitude() -> None:
    w = weights(256)
    side, _ = to_blocks(w, "nf4", 6)
    scales = torch.from_numpy(side.astype(np.int16)).view(torch.bfloat16).float().numpy()
    largest = np.abs(w).reshape(4, 64).max(1)
    assert (scales >= largest).all()
    assert (scales <= largest * (1 + 2**-7)).all()


def test_a_block_of_zeros_comes_back_as_zeros() -> None:
    side, symbols = to_blocks(np.zeros(70, np.float32), "int8", 6)
    coding = BlockTensor(kind="int8", block_log2=6, table=TableSpec(kind="static", levels=256))
    assert not dequantize_tensor(coding, symbols, side).any()


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_weights_that_are_not_finite_are_refused(bad: float) -> None:
    w = weights(8)
    w[3] = bad
    with pytest.raises(QuantizeError, match="finite"):
        to_blocks(w, "nf4", 6)
    with pytest.raises(QuantizeError, match="finite"):
        to_integers(w, np.array(0.1))


def test_the_nearest_step_is_nearest_in_ratio_and_refused_out_of_range() -> None:
    for index in (0, 128, 300, 511):
        assert nearest_step(step_size(index) * 1.02) == index
    for step in (0.0, 2.0**17, 2.0**-60, float("nan")):
        with pytest.raises(QuantizeError, match="step"):
            nearest_step(step)


def test_dropped_units_are_zero_in_every_tensor_of_the_group() -> None:
    spec = chain((3, 4, 2), ternary())
    spec = spec.model_copy(update={"groups": (spec.groups[0].model_copy(update={"kept": 2}),)})
    symbols = random_symbols(spec)
    found = dequantize_tensors(spec, symbols)
    assert not found["0.weight"][2:].any()
    assert not found["0.bias"][2:].any()
    assert not found["1.weight"][:, 2:].any()
    assert np.array_equal(found["0.weight"][:2], symbols[:6].reshape(2, 3) - 1)
    assert np.array_equal(found["1.weight"][:, :2], symbols[8:12].reshape(2, 2) - 1)
