"""Reading weights for direct coding: folding keeps the function, and what cannot be coded is refused."""

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torch.func import functional_call

from pacbound.errors import ModelError
from pacbound.methods.direct.weights import Weights, read_weights, unit_sums, weights_of, without_idle_units
from pacbound.models.reference import build
from pacbound.models.units import unit_groups
from pacbound.networks.hypothesis import Base, make_zero_base
from tests.tiny import network


def trained_norms(seed: int = 0) -> nn.Module:
    module = build("resnet20-bn", (3, 8, 8), 4).eval()
    generator = torch.Generator().manual_seed(seed)
    for name, tensor in [*module.named_parameters(), *module.named_buffers()]:
        if tensor.is_floating_point():
            tensor.data = 0.3 * torch.randn(tensor.shape, generator=generator)
            if name.endswith(("running_var", "bn1.weight", "bn2.weight")):
                tensor.data = tensor.data.abs() + 0.3
    return module


def parts_of(module: nn.Module) -> tuple[Base, Weights]:
    base = make_zero_base(module)
    shape = (2, 6) if isinstance(module, nn.Sequential) else (2, 3, 8, 8)
    return base, weights_of(copy.deepcopy(module), base, unit_groups(base.module, base.layout, torch.zeros(shape)))


def answers(base: Base, weights: Weights, x: torch.Tensor) -> torch.Tensor:
    named = {n: torch.from_numpy(a) for n, a in zip(weights.names, weights.arrays, strict=True)}
    with torch.no_grad():
        return functional_call(base.module, named, (x,))


def test_folded_normalisation_answers_as_the_running_statistics_did() -> None:
    module = trained_norms()
    base, weights = parts_of(module)
    x = 255 * torch.rand(5, 3, 8, 8)
    with torch.no_grad():
        expected = module(x)
    assert torch.allclose(answers(base, weights, x), expected, rtol=1e-3, atol=1e-3)
    assert float(dict(base.module.named_buffers())["bn1.running_var"].sum()) == 16


def test_a_base_of_zeros_holds_nothing_of_the_module() -> None:
    base = make_zero_base(trained_norms())
    assert not any(bool(p.any()) for p in base.module.parameters())
    assert base.origin.kind == "zero"
    buffers = [b for n, b in base.module.named_buffers() if n.endswith("running_mean")]
    assert not any(bool(b.any()) for b in buffers)


def test_a_frozen_parameter_is_refused_since_it_would_not_be_coded() -> None:
    module = network()
    module[0].weight.requires_grad_(False)
    with pytest.raises(ModelError, match=r"0\.weight is frozen"):
        make_zero_base(module)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused_by_name(bad: float, tmp_path: Path) -> None:
    module = network()
    module[2].bias.data[1] = bad
    base = make_zero_base(module)
    with pytest.raises(ModelError, match=r"2\.bias"):
        weights_of(copy.deepcopy(module), base, ())
    save_file(module.state_dict(), tmp_path / "w.safetensors")
    with pytest.raises(ModelError, match=r"2\.bias"):
        read_weights(base, tmp_path / "w.safetensors", ())


def test_running_statistics_without_scale_and_shift_are_refused() -> None:
    module = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8, affine=False), nn.Linear(8, 3))
    with pytest.raises(ModelError, match="affine=True"):
        weights_of(module, make_zero_base(module), ())


def test_kept_units_are_the_most_important_and_the_function_is_that_of_zeros_elsewhere() -> None:
    base, weights = parts_of(network())
    importance = np.arange(8.0)
    kept = weights.keep([importance], [3])
    assert [p.shape for p in kept.coded()] == [(3, 6), (3,), (3, 3), (3,)]
    by_hand = [a.copy() for a in weights.arrays]
    by_hand[0][:5], by_hand[1][:5], by_hand[2][:, :5] = 0, 0, 0
    expected = Weights(weights.names, tuple(by_hand), weights.groups)
    x = torch.randn(4, 6)
    found = answers(base, kept.with_coded(kept.coded()), x)
    assert torch.allclose(found, answers(base, expected, x), atol=1e-6)


def test_sums_over_units_count_writers_and_readers() -> None:
    _, weights = parts_of(network())
    (sums,) = unit_sums(weights, [np.ones(a.shape) for a in weights.arrays])
    assert sums.tolist() == [6 + 1 + 3] * 8


def test_idle_units_are_dropped_and_nothing_changes() -> None:
    base, weights = parts_of(network())
    arrays = [a.copy() for a in weights.arrays]
    arrays[0][2], arrays[1][2] = 0, 0  # nothing leads into unit 2
    arrays[2][:, 5] = 0  # nothing reads unit 5
    idle = Weights(weights.names, tuple(arrays), weights.groups)
    left = without_idle_units(idle)
    assert left.groups[0].kept == 6
    x = torch.randn(4, 6)
    assert torch.allclose(answers(base, left, x), answers(base, idle, x), atol=1e-6)
