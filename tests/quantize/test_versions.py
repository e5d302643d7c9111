"""Quantized versions of a network against bitsandbytes, and the bits that they are said to take."""

import numpy as np
import pytest
import torch
from torch import nn

from pacbound.errors import QuantizeError
from pacbound.quantize.versions import quantized_version


def network(rows: int = 24, columns: int = 100) -> nn.Module:
    generator = torch.Generator().manual_seed(0)
    module = nn.Sequential(nn.Linear(columns, rows), nn.ReLU(), nn.Linear(rows, 3))
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(0.1 * torch.randn(parameter.shape, generator=generator))
    return module


def test_integers_by_row_are_those_of_bitsandbytes() -> None:
    from bitsandbytes import functional as bnb

    module = network()
    version = quantized_version(module, "int8")
    for before, after in zip(module.parameters(), version.network.parameters(), strict=True):
        if before.ndim < 2:
            assert torch.equal(before, after)
            continue
        integers, scales, _ = bnb.int8_vectorwise_quant(before.detach())
        assert torch.allclose(after, integers.float() * scales[:, None] / 127, rtol=1e-6)
    assert version.bits == 8 * (2400 + 72) + 32 * (24 + 3) + 32 * 27
    assert (version.parameters, version.bits_a_weight) == (2499, version.bits / 2499)


@pytest.mark.parametrize("kind", ["nf4", "fp4"])
def test_blocks_are_those_of_bitsandbytes(kind: str) -> None:
    from bitsandbytes import functional as bnb

    module = network()
    version = quantized_version(module, kind)
    before, after = module[0].weight.detach(), version.network[0].weight.detach()  # type: ignore[index]
    decoded = bnb.dequantize_4bit(*bnb.quantize_4bit(before, blocksize=64, quant_type=kind))
    assert torch.allclose(after, decoded, rtol=1e-5, atol=1e-7)
    assert version.bits == 4 * (2400 + 72) + 32 * (38 + 2) + 32 * 27


def test_a_lattice_has_so_many_steps_in_a_deviation_and_fewer_bits_where_they_are_wide() -> None:
    module = network(64, 200)
    errors, bits = [], []
    for steps in (1, 2, 4, 8):
        version = quantized_version(module, f"lattice@{steps}")
        before, after = (m[0].weight.detach().double().numpy() for m in (module, version.network))  # type: ignore[index]
        step = before.std() / steps
        assert np.abs(after - before).max() <= step / 2 * 2 ** (1 / 16) * 1.001  # the step is one of 8 an octave
        errors.append(np.sqrt(((after - before) ** 2).mean()) / step)
        bits.append(version.bits_a_weight)
    assert np.allclose(errors, 12**-0.5, rtol=0.1)
    # a normal variable with a step of 1 / s deviations has about log2(s sqrt(2 pi e)) bits
    assert np.allclose(np.diff(bits), 1, atol=0.15)
    assert bits[1] == pytest.approx(np.log2(2 * np.sqrt(2 * np.pi * np.e)), abs=0.25)
    assert quantized_version(module, "lattice").bits == quantized_version(module, "lattice@2").bits


def test_the_network_itself_stays_as_it_was_and_shared_weights_stay_shared() -> None:
    module = nn.Sequential(nn.Embedding(5, 8), nn.Linear(8, 5, bias=False))
    module[1].weight = module[0].weight
    before = module[0].weight.detach().clone()
    version = quantized_version(module, "nf4")
    assert torch.equal(module[0].weight, before)
    assert version.network[0].weight is version.network[1].weight  # type: ignore[index]
    assert not torch.equal(version.network[0].weight, before)  # type: ignore[index]
    assert version.parameters == 40


@pytest.mark.parametrize("kind", ["int8", "nf4", "fp4", "lattice"])
def test_zeros_stay_zeros(kind: str) -> None:
    module = nn.Linear(70, 3)
    nn.init.zeros_(module.weight)
    assert not quantized_version(module, kind).network.weight.any()  # type: ignore[operator, union-attr]


def test_what_is_no_quantizer_and_what_is_not_finite_are_refused() -> None:
    for text in ("int4", "lattice@0", "lattice@100", "lattice@", "nf4 ", "lattice@1 to lattice@99"):
        with pytest.raises(QuantizeError, match="a quantizer is one of"):
            quantized_version(network(), text)
    module = network()
    module[2].weight.data[1, 2] = float("nan")  # type: ignore[index]
    with pytest.raises(QuantizeError, match=r"NaN or infinity in 2\.weight"):
        quantized_version(module, "int8")
