"""theta0 of a split: trained in the full space, repeatable, and without touching anybody else's randomness."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from pacbound.data.preprocess import preprocessed
from pacbound.errors import ModelError
from pacbound.specs.specs import PreprocessSpec
from pacbound.training.fit import Sample
from pacbound.training.start import StartPlan, train_start
from pacbound.training.state import Checkpoint
from tests.tiny import CLASSES, FEATURES, clouds, network

NOTHING = Checkpoint(None, "")  # keeps nothing


def sample(n: int = 200, seed: int = 0) -> Sample:
    x, y = clouds(n, seed)
    return Sample(preprocessed(x, PreprocessSpec()), y)


@pytest.fixture
def brief(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three passes of 20 steps each."""
    monkeypatch.setattr("pacbound.training.start.EPOCHS", 3)


def test_a_start_learns_its_examples_and_is_repeatable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pacbound.training.start.EPOCHS", 10)
    nets = [network(), network()]
    before = torch.random.get_rng_state()
    for net in nets:
        train_start(net, sample(), StartPlan(1), NOTHING, progress=False)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert all(torch.equal(a, b) for a, b in zip(nets[0].parameters(), nets[1].parameters(), strict=True))
    assert not torch.equal(nets[0][0].weight, network()[0].weight)
    x, y = clouds(300, seed=5)
    assert float((nets[0](x).argmax(1) != y).float().mean()) < 0.1
    assert not nets[0].training


@pytest.mark.usefixtures("brief")
def test_running_statistics_are_trained_and_frozen_parameters_are_not() -> None:
    net = nn.Sequential(nn.Linear(FEATURES, 8), nn.BatchNorm1d(8), nn.Dropout(0.2), nn.Linear(8, CLASSES))
    net[0].requires_grad_(False)
    weight, mean = net[0].weight.clone(), net[1].running_mean.clone()
    train_start(net, sample(), StartPlan(0), NOTHING, progress=False)
    assert torch.equal(net[0].weight, weight)
    assert not torch.equal(net[1].running_mean, mean)


class Interrupted(Checkpoint):
    """Keeps every step, and stops the run after some."""

    def save(self, tensors: dict[str, Tensor], force: bool = False) -> None:
        super().save(tensors, force=True)
        if int(tensors["step"]) == 25:
            raise KeyboardInterrupt


@pytest.mark.usefixtures("brief")
def test_an_interrupted_start_goes_on_to_the_same_bits(tmp_path: Path) -> None:
    def module() -> nn.Module:
        with torch.random.fork_rng():
            torch.manual_seed(3)
            return nn.Sequential(nn.Linear(FEATURES, 8), nn.BatchNorm1d(8), nn.Dropout(0.2), nn.Linear(8, CLASSES))

    whole, first, rest = module(), module(), module()
    train_start(whole, sample(), StartPlan(1), NOTHING, progress=False)
    with pytest.raises(KeyboardInterrupt):
        train_start(first, sample(), StartPlan(1), Interrupted(tmp_path / "state", "key"), progress=False)
    train_start(rest, sample(), StartPlan(1), Checkpoint(tmp_path / "state", "key"), progress=False)
    assert all(torch.equal(value, rest.state_dict()[name]) for name, value in whole.state_dict().items())


@pytest.mark.usefixtures("brief")
def test_a_frozen_norm_keeps_its_statistics_and_large_samples_of_images_are_passed_over_more_often() -> None:
    net = nn.Sequential(nn.Linear(FEATURES, 8), nn.BatchNorm1d(8), nn.Linear(8, CLASSES))
    net[0].requires_grad_(False)
    net[1].requires_grad_(False)
    train_start(net, sample(), StartPlan(0), NOTHING, progress=False)
    assert torch.equal(net[1].running_mean, torch.zeros(8))
    assert StartPlan(0, "shift").epochs(5000) > StartPlan(0, "shift").epochs(4999) == StartPlan(0).epochs(10**6)


def test_a_loss_that_is_not_finite_is_refused() -> None:
    spoilt = sample(40)
    spoilt.x[3] = float("inf")
    with pytest.raises(ModelError, match="the loss of theta0 became"):
        train_start(network(), spoilt, StartPlan(0), NOTHING, progress=False)


def test_a_network_that_cannot_train_on_the_batches_is_refused_with_its_error() -> None:
    with pytest.raises(ModelError, match="trains on batches of 8"):
        train_start(nn.Linear(FEATURES + 1, CLASSES), sample(40), StartPlan(0), NOTHING, progress=False)
