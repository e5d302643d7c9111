"""Constrained training: layers stay in their balls, as dense matrices see them; the protocol picks rightly."""

import functools
import math

import pytest
import torch
from torch import Tensor, nn

from pacbound.errors import ModelError, RequestError
from pacbound.measures.layers.layers import layers_of
from pacbound.measures.rademacher.capacity import class_of
from pacbound.training.constrained import (
    ConstrainedPlan,
    Knobs,
    Outcome,
    Trained,
    error_rate,
    excess_capacity,
    outcome,
    scaled_knobs,
    train_constrained,
)
from pacbound.training.fit import Sample

PLAN = ConstrainedPlan(epochs=6, batch=20, rate=0.05, every=4)


def bars(n: int = 120) -> Sample:
    """4 x 4 images, bright on the left (label 1) or on the right, with noise."""
    generator = torch.Generator().manual_seed(0)
    x, y = 0.3 * torch.randn(n, 1, 4, 4, generator=generator), torch.arange(n) % 2
    x[y == 1, :, :, :2] += 1
    x[y == 0, :, :, 2:] += 1
    return Sample(x, y)


def network() -> nn.Sequential:
    with torch.random.fork_rng():
        torch.manual_seed(5)
        conv = nn.Conv2d(1, 4, 3, padding=1, padding_mode="circular")
        return nn.Sequential(conv, nn.ReLU(), nn.Flatten(), nn.Linear(64, 2))


@functools.cache
def free() -> Trained:
    """What nothing holds back."""
    return train_constrained(network(), bars(), {}, PLAN)


def dense_norm(layer: nn.Module, inputs: Tensor) -> float:
    """Norm of the linear part from its images of all unit inputs."""
    with torch.no_grad():
        columns = layer(inputs) - layer(torch.zeros_like(inputs[:1]))
    return float(torch.linalg.matrix_norm(columns.reshape(len(inputs), -1).double(), 2))


def dense_distance(after: nn.Module, before: nn.Module) -> float:
    """(2,1) distance by loops, the bias at the first tap."""
    weight = (after.weight - before.weight).detach().double().reshape(len(after.weight), after.weight.shape[1], -1)
    bias = (after.bias - before.bias).detach().double()
    total = 0.0
    for o in range(weight.shape[0]):
        for tap in range(weight.shape[2]):
            extra = float(bias[o]) ** 2 if tap == 0 else 0.0
            total += math.sqrt(sum(float(v) ** 2 for v in weight[o, :, tap]) + extra)
    return total


def test_layers_end_in_their_balls_and_the_network_still_learns() -> None:
    sample = bars()
    knobs = {"0": Knobs(1.2, 0.5), "3": Knobs(0.8, 0.2)}
    plan = ConstrainedPlan(epochs=6, batch=20, rate=0.05, every=4, sweeps=30)
    trained = train_constrained(network(), sample, knobs, plan)
    images = torch.eye(16).reshape(16, 1, 4, 4)
    for name, inputs in (("0", images), ("3", torch.eye(64))):
        layer, start = trained.module.get_submodule(name), trained.start.get_submodule(name)
        assert dense_norm(layer, inputs) <= knobs[name].lipschitz * 1.02
        assert dense_distance(layer, start) <= knobs[name].distance * 1.02
        unbound = free().module.get_submodule(name)
        assert dense_distance(unbound, network().get_submodule(name)) > knobs[name].distance
    assert error_rate(trained.module, sample) < 0.3
    assert error_rate(network(), sample) > 0.3


def test_a_start_outside_its_ball_is_scaled_into_it_and_is_the_start() -> None:
    module = network()
    with torch.no_grad():
        module[3].weight.mul_(20)
    before = module[3].weight.detach().clone()
    trained = train_constrained(module, bars(), {"3": Knobs(0.5, 0.0)}, ConstrainedPlan(epochs=1, batch=60, every=1))
    start = trained.start.get_submodule("3")
    assert dense_norm(start, torch.eye(64)) == pytest.approx(0.5, rel=1e-4)
    assert torch.allclose(start.weight / start.weight.norm(), before / before.norm(), atol=1e-6)
    assert dense_distance(trained.module.get_submodule("3"), start) < 1e-5
    assert torch.equal(module[3].weight, before)  # the caller's network is as it was


def test_training_repeats_itself_at_a_seed() -> None:
    knobs = {"0": Knobs(1.0, 1.0)}
    first, second = (train_constrained(network(), bars(), knobs, PLAN).module.state_dict() for _ in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)
    other = train_constrained(network(), bars(), knobs, ConstrainedPlan(6, 20, 0.05, every=4, seed=1)).module
    assert not torch.equal(first["0.weight"], other.state_dict()["0.weight"])


def test_tighter_knobs_mean_less_capacity_as_measured() -> None:
    sample = bars()
    knobs = scaled_knobs(free(), sample.x[:1], 0.7, 0.5)
    limits = class_of(layers_of(free().module, sample.x[:1]), layers_of(free().start, sample.x[:1])).limits
    assert knobs["0"].lipschitz == pytest.approx(0.7 * limits[0].lipschitz)
    assert knobs["3"].distance == pytest.approx(0.5 * limits[1].distance)
    trained = train_constrained(network(), sample, knobs, PLAN)
    tight = outcome("tight", trained, sample, sample)
    loose = outcome("free", free(), sample, sample)
    assert tight.log10_capacity < loose.log10_capacity - 0.2
    assert tight.train_error == error_rate(trained.module, sample)


def test_the_excess_is_the_smallest_class_on_a_par() -> None:
    free = Outcome("free", 0.0, 0.100, 5.0)
    rows = [Outcome("half", 0.0, 0.104, 4.0), Outcome("third", 0.1, 0.105, 3.5), Outcome("tenth", 0.2, 0.2, 2.0)]
    found = excess_capacity(free, rows, 0.0050001)
    assert (found.log10_excess, found.chosen.label) == (1.5, "third")
    assert excess_capacity(free, rows, 0.001).log10_excess == 0
    with pytest.raises(RequestError, match="tolerance"):
        excess_capacity(free, rows, -0.1)


def test_errors_count_nan_and_every_example_once() -> None:
    class Fixed(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.flatten(1)[:, :2]

    x = torch.zeros(1200, 1, 1, 2)
    x[:, 0, 0, 0] = 1
    x[7, 0, 0, 1] = math.nan
    assert error_rate(Fixed(), Sample(x, torch.zeros(1200, dtype=torch.int64))) == pytest.approx(1 / 1200)


@pytest.mark.parametrize(
    ("knobs", "error"),
    [({"9": Knobs(1.0, 1.0)}, ModelError), ({"1": Knobs(1.0, 1.0)}, ModelError)],
)
def test_a_knob_for_no_layer_is_refused(knobs: dict[str, Knobs], error: type[Exception]) -> None:
    with pytest.raises(error, match="layer is one of"):
        train_constrained(network(), bars(20), knobs, PLAN)


def test_layers_that_cannot_be_projected_are_refused() -> None:
    module = nn.Sequential(nn.Conv2d(1, 4, 3, dilation=2, padding=2), nn.Flatten(), nn.Linear(64, 2))
    with pytest.raises(ModelError, match="dilation"):
        train_constrained(module, bars(20), {"0": Knobs(1.0, 1.0)}, PLAN)


def test_a_diverging_training_is_an_error_and_not_a_number() -> None:
    with pytest.raises(ModelError, match="finite"):
        train_constrained(network(), bars(), {}, ConstrainedPlan(epochs=5, batch=20, rate=1e20))


@pytest.mark.parametrize(
    "make",
    [
        lambda: Knobs(0.0, 1.0),
        lambda: Knobs(1.0, -1.0),
        lambda: Knobs(math.nan, 1.0),
        lambda: ConstrainedPlan(every=0),
        lambda: ConstrainedPlan(rate=0.0),
    ],
)
def test_knobs_and_plans_outside_their_ranges_are_refused(make: object) -> None:
    with pytest.raises(RequestError):
        make()  # type: ignore[operator]


def test_trained_is_ready_for_evaluation() -> None:
    trained = train_constrained(network(), bars(20), {}, ConstrainedPlan(epochs=1, batch=50))
    assert isinstance(trained, Trained)
    assert not trained.module.training
