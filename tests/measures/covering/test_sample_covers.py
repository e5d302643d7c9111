"""Covers on the sample, by hand for one layer, and against networks of the class that are moved layer by layer."""

import math

import pytest
import torch
from torch import Tensor, nn

from pacbound.errors import BoundError
from pacbound.measures.covering.covering import measure_covering
from pacbound.measures.covering.sample_covers import sample_cover_nats
from pacbound.measures.layers.layers import layers_of
from pacbound.measures.rademacher.capacity import Limit, chain_class, class_of, covered_layers


def test_one_layer_is_a_count_of_multisets() -> None:
    network = chain_class((Limit("a", lipschitz=2.0, distance=0.5, parameters=6),))
    n, norm, eps = 4, 8.0, 0.4  # k = ceil(64 * .25 / (4 * .16)) = 25
    by_hand = math.log(math.comb(2 * 6 + 25 - 1, 25))
    found = sample_cover_nats(network, norm, n, eps)
    assert by_hand <= found <= 1.15 * by_hand  # an entropy in place of the binomial coefficient
    assert sample_cover_nats(network, norm, n, 2.1) == 0.0  # one centre: b ||X|| / sqrt n = 2
    with pytest.raises(BoundError):
        sample_cover_nats(network, norm, n, 0.0)


class Block(nn.Module):
    def __init__(self, learned: bool) -> None:
        super().__init__()
        self.stem, self.up, self.down, self.head = (
            nn.Linear(a, b, bias=False) for a, b in ((3, 4), (4, 5), (5, 4), (4, 2))
        )
        self.side = nn.Linear(4, 4, bias=False) if learned else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.stem(x))
        return self.head(torch.relu(self.side(x) + self.down(torch.relu(self.up(x)))))


@pytest.mark.parametrize("learned", [False, True])
def test_moving_a_layer_of_a_residual_network_moves_outputs_by_no_more_than_its_share(learned: bool) -> None:
    """A_i is b_i times what a step of (2,1) length 1 can do: |f - f'| <= A_i / b_i |K - K'|, root mean square."""
    torch.manual_seed(0)
    module = Block(learned)
    x = torch.randn(40, 3)
    network = class_of(layers_of(module, x[:1]))
    norm = float(x.double().norm())
    shares = {one.name: math.sqrt(one.squared) for one in covered_layers(network, norm, len(x), 1.0, 1)}
    distances = {limit.name: limit.distance for limit in network.limits}
    assert set(shares) == {"stem", "up", "down", "head"} | ({"side"} if learned else set())
    with torch.no_grad():
        before = module(x)
        for name, share in shares.items():
            weight = module.get_submodule(name).weight
            kept = weight.clone()
            for scale in (0.9, 0.5, 0.0):  # stays in the class
                weight.copy_(scale * kept)
                moved = float((module(x) - before).norm()) / math.sqrt(len(x))
                step = float((weight - kept).norm(dim=1).sum())
                assert moved <= share / distances[name] * step * (1 + 1e-6)
            weight.copy_(kept)


def test_residual_networks_are_counted_on_the_sample_and_chains_beside_the_published_count() -> None:
    x = torch.randn(30, 3)
    data = (x, torch.zeros(30, dtype=torch.int64))
    found = {one.name: one for one in measure_covering(Block(True), x[:1], data)}
    assert set(found) == {"covering_symmetry", "covering_sample"}
    assert found["covering_sample"].verified
    chain = nn.Sequential(nn.Linear(3, 4, bias=False), nn.ReLU(), nn.Linear(4, 2, bias=False))
    beside = {one.name: one for one in measure_covering(chain, x[:1], data)}
    assert not beside["covering_bartlett_2017"].verified
    s = [float(torch.linalg.matrix_norm(chain[k].weight.detach(), 2)) for k in (0, 2)]
    b = [float(chain[k].weight.detach().norm(dim=1).sum()) for k in (0, 2)]
    ratios = sum((one / other) ** (2 / 3) for one, other in zip(b, s, strict=True)) ** 3
    nats = float(x.norm()) ** 2 * math.log(2 * 16) / (0.01 * 30) * (s[0] * s[1]) ** 2 * ratios
    assert beside["covering_bartlett_2017"].value == pytest.approx(nats / math.log(2), rel=1e-4)
    assert beside["covering_sample"].value < beside["covering_bartlett_2017"].value
