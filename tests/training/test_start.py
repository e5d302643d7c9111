"""theta0 of a split: trained in the full space, repeatable, and without touching anybody else's randomness."""

import pytest
import torch
from torch import nn

from pacbound.data.preprocess import preprocessed
from pacbound.errors import ModelError
from pacbound.specs.specs import PreprocessSpec
from pacbound.training.fit import Sample
from pacbound.training.start import train_start
from tests.tiny import CLASSES, FEATURES, clouds, network


def sample(n: int = 200, seed: int = 0) -> Sample:
    x, y = clouds(n, seed)
    return Sample(preprocessed(x, PreprocessSpec()), y)


def test_a_start_learns_its_examples_and_is_repeatable() -> None:
    nets = [network(), network()]
    before = torch.random.get_rng_state()
    for net in nets:
        train_start(net, sample(), 1, progress=False)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert all(torch.equal(a, b) for a, b in zip(nets[0].parameters(), nets[1].parameters(), strict=True))
    assert not torch.equal(nets[0][0].weight, network()[0].weight)
    x, y = clouds(300, seed=5)
    assert float((nets[0](x).argmax(1) != y).float().mean()) < 0.1
    assert not nets[0].training


def test_running_statistics_are_trained_and_frozen_parameters_are_not() -> None:
    net = nn.Sequential(nn.Linear(FEATURES, 8), nn.BatchNorm1d(8), nn.Dropout(0.2), nn.Linear(8, CLASSES))
    net[0].requires_grad_(False)
    weight, mean = net[0].weight.clone(), net[1].running_mean.clone()
    train_start(net, sample(), 0, progress=False)
    assert torch.equal(net[0].weight, weight)
    assert not torch.equal(net[1].running_mean, mean)


def test_a_loss_that_is_not_finite_is_refused() -> None:
    spoilt = sample(40)
    spoilt.x[3] = float("inf")
    with pytest.raises(ModelError, match="the loss of theta0 became"):
        train_start(network(), spoilt, 0, progress=False)


def test_a_network_that_cannot_train_on_the_batches_is_refused_with_its_error() -> None:
    with pytest.raises(ModelError, match="trains on batches of 8"):
        train_start(nn.Linear(FEATURES + 1, CLASSES), sample(40), 0, progress=False)
