"""Bounds by counting functions: above the losses by what was counted and chosen, and about the network itself."""

import math

import pytest
import torch
from torch import nn

from pacbound.errors import ModelError, RequestError
from pacbound.measures import guarantees
from pacbound.measures.guarantees import covering_bound, tucker_bound
from pacbound.measures.measuring import measure
from tests.tiny import clouds, network


def separated(n: int, features: int = 2) -> tuple[torch.Tensor, torch.Tensor]:
    """Two classes, apart in the first feature."""
    generator = torch.Generator().manual_seed(0)
    x = 0.1 * torch.randn(n, features, generator=generator).clamp(-1, 1)
    y = torch.arange(n) % 2
    x[:, 0] += (2 * y - 1).float()
    return x, y


def line(features: int = 2, bias: bool = True) -> nn.Linear:
    model = nn.Linear(features, 2, bias)
    with torch.no_grad():
        model.weight.zero_()
        model.weight[:, 0] = torch.tensor([-1.0, 1.0])
        if bias:
            model.bias.zero_()
    return model


def test_many_examples_of_an_easy_task_give_bounds_that_say_something() -> None:
    few, many = separated(200), separated(50_000)
    for bound in (covering_bound, tucker_bound):
        value = bound(line(), many).value
        assert 0 < value < 0.1
        assert bound(line(), few).value > value


def test_the_tucker_bound_is_its_formula_with_every_choice_paid() -> None:
    """By hand, at the printed gamma: grid places of two norms, 17 margins, d_M = 2 * 2 + 2 * 2 + 3 * 2."""
    data = separated(50_000)
    bound = tucker_bound(line(), data)
    largest = math.sqrt(2) * math.sqrt(float(data[0].square().sum(1).max()) + 1)
    places = [math.ceil(4 * math.log2(norm) - 1e-9) for norm in (largest, math.sqrt(2) * (1 + 1e-8))]
    nats = sum(math.log(1.5 * (abs(a) + 1) * (abs(a) + 2)) for a in places) + math.log(17)
    scale = 2 * math.prod(2 ** (a / 4) for a in places)
    best = 1.0
    for gamma in (2.0**j for j in range(-8, 9)):
        margins = 2 * data[0][:, 0].double() * (2 * data[1] - 1)
        risk = float((1 - margins / gamma).clamp(0, 1).mean())
        for eps in (2.0 ** (-k / 8) for k in range(200)):
            inside = 14 * math.log(9 / eps) + nats + math.log(1 / 0.05)
            best = min(best, risk + scale / gamma * eps + math.sqrt(inside / (2 * len(data[1]))))
    assert best - 1e-9 <= bound.value <= best + 1e-5


def test_the_covering_bound_pays_for_its_lists_and_its_ranges(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[float] = []
    real = guarantees.covering_risk
    monkeypatch.setattr(guarantees, "covering_risk", lambda *given: seen.append(given[-1]) or real(*given))
    data = separated(200)
    covering_bound(line(), data)
    reach = math.ceil(4 * math.log2(float(data[0].abs().max())))  # the largest weight and row sum are 1: one step up
    price = sum(math.log(1.5 * (a + 1) * (a + 2)) for a in (reach, 1, 1)) + math.log(17) + math.log(14) + math.log(2)
    assert price * (1 - 1e-12) <= min(seen)
    assert max(seen) <= price * (1 + 1e-6)


def test_the_tensor_of_a_convolution_gives_the_outputs_of_the_network() -> None:
    torch.manual_seed(0)
    conv = nn.Conv2d(2, 3, 2, stride=2, padding=1, bias=False)
    model = nn.Sequential(conv, nn.Flatten(), nn.Linear(3 * 9, 4, bias=False))
    x = torch.randn(5, 2, 4, 4)
    weight, patches = guarantees._linear(model, x)
    outputs = torch.einsum("nq,qc->nc", patches(x.double()), weight.reshape(8 * 9, 4))
    torch.testing.assert_close(outputs.float(), model(x))
    assert guarantees._ranks(model, weight) == (2, 2, 2, 3)
    assert torch.linalg.matrix_rank(weight.reshape(8, -1)) == 3
    said = " ".join(tucker_bound(model, (x, torch.arange(5) % 4)).assumes)
    assert "Tucker ranks (2, 2, 2, 3) of (2, 2, 2, 36)" in said


@pytest.mark.parametrize(
    "model",
    [
        network(),
        nn.Sequential(nn.Linear(6, 3), nn.Linear(3, 3)),
        nn.Sequential(nn.Linear(6, 3), nn.ReLU()),
        nn.Sequential(nn.Unflatten(1, (1, 2, 3)), nn.Conv2d(1, 2, 2, bias=False), nn.Flatten(), nn.Linear(4, 3)),
    ],
)
def test_other_models_than_a_linear_one_are_refused_by_name(model: nn.Module) -> None:
    with pytest.raises(ModelError, match=r"tucker_bound: the model is an nn\.Linear"):
        tucker_bound(model, clouds())


def test_one_logit_has_no_margin() -> None:
    x, _ = separated(10)
    for bound in (covering_bound, tucker_bound):
        with pytest.raises(ModelError, match="two or more classes"):
            bound(nn.Linear(2, 1), (x, torch.zeros(10, dtype=torch.int64)))


def test_bounds_stand_apart_from_measures_and_refusals_are_named() -> None:
    found = measure(network(), data=clouds(), measures=("stable_rank",), bounds=True)
    assert [bound.theorem for bound in found.bounds] == ["covering_risk"]
    assert list(found.refused) == ["tucker_covering"]
    assert measure(network(), data=clouds(), measures=("stable_rank",)).bounds == ()
    with pytest.raises(RequestError, match="Give --data"):
        measure(network(), input_shape=(6,), bounds=True)
