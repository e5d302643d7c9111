"""What other theorems say of a chain, against their formulas written out with plain products and dense matrices."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from pacbound.errors import ModelError
from pacbound.measures.layers.layers import layers_of
from pacbound.measures.rademacher.comparisons import (
    REFERENCES,
    LayerNorms,
    SampleNorms,
    comparisons,
    layer_norms,
    measure_comparisons,
    sample_norms,
    spectral_cover,
    spectral_product,
)
from pacbound.measures.stable_rank.stable_rank import stable_rank


def dense(parameters: int, distance: float) -> LayerNorms:
    return LayerNorms(parameters, 1, 1, 1, 1, 10, 1.0, 1.0, 1.0, distance, 1.0, 1.0)


def test_the_norm_bound_without_ceilings_is_the_worked_number() -> None:
    """Two dense layers with Ct = (2, 1): (club) as the authors' code has it, ln n for the harmonic sum."""
    sample = SampleNorms(n=10000, inputs=10, classes=2, total=100.0, row=1.0, column=1.0, entry=1.0)
    found = comparisons([dense(100, 0.5), dense(40, 0.25)], sample, 1.0)
    assert 10 ** found["rademacher_bartlett_2017"] == pytest.approx(10.588585371, rel=1e-8)


def test_the_cover_by_spectral_norms_is_the_worked_number() -> None:
    assert math.exp(spectral_cover(100, 10, (1, 1), (0.5, 0.25), 10)) == pytest.approx(573.600125, abs=1e-6)


def test_stable_ranks_enter_by_product_and_sum() -> None:
    first, second = torch.diag(torch.tensor([3.0, 4.0])), torch.tensor([[1.0, 2.0]])
    spectral = [4.0, math.sqrt(5)]
    assert math.prod(spectral) ** 2 == pytest.approx(80)
    assert stable_rank(first) + stable_rank(second) == pytest.approx(2.5625)
    assert math.exp(spectral_product(spectral, [5.0, math.sqrt(5)])) == pytest.approx(205)


def chain() -> tuple[nn.Sequential, nn.Sequential]:
    with torch.random.fork_rng():
        torch.manual_seed(2)
        conv = nn.Conv2d(2, 3, 3, stride=2, padding=1, padding_mode="circular", bias=False)
        start = nn.Sequential(conv, nn.ReLU(), nn.Flatten(), nn.Linear(12, 4, bias=False)).double()
        trained = nn.Sequential(
            nn.Conv2d(2, 3, 3, stride=2, padding=1, padding_mode="circular", bias=False), nn.ReLU(), nn.Flatten(),
            nn.Linear(12, 4, bias=False),
        ).double()  # fmt: skip
    return trained, start


def test_every_quantity_is_its_formula_on_a_strided_chain() -> None:
    trained, start = chain()
    x = torch.randn(20, 2, 4, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    measures = measure_comparisons(layers_of(trained, x[:1]), layers_of(start, x[:1]), x, 4, 0.5)
    found = {one.name: 10**one.value for one in measures}
    kernel, head = (trained[i].weight.detach().numpy() for i in (0, 3))
    moves = [trained[i].weight.detach().numpy() - start[i].weight.detach().numpy() for i in (0, 3)]
    matrix = torch.autograd.functional.jacobian(trained[0], x[:1]).reshape(12, 32).numpy()
    tops = [np.linalg.norm(matrix, 2), np.linalg.norm(head, 2)]
    n, flat = 20, x.reshape(20, 32).numpy()
    total, gamma, kappa, inputs = np.linalg.norm(flat), 0.5, 4, 32
    one_norms = [np.abs(kernel).sum(axis=(1, 2, 3)).max(), np.abs(head).sum(axis=1).max()]
    one_moves = [np.abs(moves[0]).sum(axis=(1, 2, 3)).max(), np.abs(moves[1]).sum(axis=1).max()]
    fro = [np.linalg.norm(kernel), np.linalg.norm(head)]
    maps = fro[0] * 4 / 2 * fro[1]  # sides 4 and 1, strides 2 and 1
    b = [np.linalg.norm(moves[0], axis=1).sum() * 2**2 / 3, np.linalg.norm(moves[1], axis=1).sum()]
    ct = [4 / gamma * total / math.sqrt(n) * tops[0] * tops[1] * b[i] / tops[i] for i in (0, 1)]
    width = max(54 * (4 * 2 / 3) ** 2, 48)
    ranks = sum(np.linalg.norm(m) ** 2 / np.linalg.norm(m, 2) ** 2 for m in (matrix, head))
    wide = 54**2 * 4 / 2 * fro[0] / tops[0] + 48**2 * fro[1] / tops[1]
    row = np.linalg.norm(flat, axis=1).max()
    by_hand = {
        "rademacher_bartlett_2017": 4 / n + 12 * math.log(n) / math.sqrt(n) * math.sqrt(math.log(2 * width))
        * (ct[0] ** (2 / 3) + ct[1] ** (2 / 3)) ** 1.5,
        "rademacher_lin_zhang_2019": 16 / math.sqrt(n)
        * (2 / gamma * total / math.sqrt(n) * tops[0] * tops[1] * 4 * wide) ** 0.25,
        "rademacher_neyshabur_2015_l1": 4 * kappa * one_norms[0] * one_norms[1] * math.sqrt(math.log(2 * inputs))
        * np.abs(flat).max() / math.sqrt(n),
        "rademacher_neyshabur_2015_l2": 2 * kappa * total / math.sqrt(2 * n) * maps / math.sqrt(n),
        "rademacher_golowich_2018_l1": 2 * kappa * one_norms[0] * one_norms[1] * math.sqrt(3 + math.log(inputs))
        * math.sqrt((flat**2).sum(axis=0).max()) / n,
        "rademacher_golowich_2018_l2": kappa * total / n * maps * (1 + math.sqrt(2 * math.log(2) * 2)),
        "rademacher_gouk_2021_l1": 8 * kappa * one_norms[0] * one_norms[1] * math.log(inputs)
        * (one_moves[0] / one_norms[0] + one_moves[1] / one_norms[1]) * np.abs(flat).max() / math.sqrt(n),
        "rademacher_bartlett_cover": total**2 / n * math.log(2 * 32**2) * (tops[0] * tops[1]) ** 2
        * sum((b[i] / tops[i]) ** (2 / 3) for i in (0, 1)) ** 3,
        "rademacher_neyshabur_2018": math.sqrt(
            row**2 * 4 * 12 * math.log(24) * (tops[0] * tops[1]) ** 2 * ranks / (gamma**2 * n)
        ),
    }  # fmt: skip
    assert set(found) == set(REFERENCES)
    assert found == pytest.approx(by_hand, rel=1e-4)  # norms are certified from above, 1e-6 too large
    assert not any(one.verified for one in measures)


def test_networks_that_these_theorems_do_not_cover_get_none_and_biases_are_said_to_be_left_out() -> None:
    class Residual(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem, self.inner, self.head = nn.Linear(3, 3), nn.Linear(3, 3), nn.Linear(3, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = torch.relu(self.stem(x))
            return self.head(x + torch.relu(self.inner(x)))

    x = torch.ones(5, 3)
    assert measure_comparisons(layers_of(Residual(), x), None, x, 2, 1.0) == ()
    plain = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    assert all(
        one.unit.endswith("biases left out") for one in measure_comparisons(layers_of(plain, x), None, x, 2, 1.0)
    )


def test_a_zero_layer_is_refused_by_name_and_what_has_no_log_is_left_out() -> None:
    zero = nn.Linear(3, 2, bias=False)
    nn.init.zeros_(zero.weight)
    with pytest.raises(ModelError, match="0 is 0"):
        layer_norms(layers_of(zero, torch.ones(1, 3)).records[0])
    x = torch.zeros(4, 3)
    plain = layers_of(nn.Sequential(nn.Linear(3, 2, bias=False)), x)
    assert sample_norms(x, 2).entry == 0
    (only,) = measure_comparisons(plain, None, x, 2, 1.0)  # the others are 0
    assert (only.name, 10**only.value) == ("rademacher_bartlett_2017", pytest.approx(4 / 4))
