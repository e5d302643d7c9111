"""Where things run: the network where its inputs are, everything else on the CPU."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from pacbound.errors import RequestError
from pacbound.networks.hypothesis import make_base, make_subspace
from pacbound.pipeline.encoding import plan_of
from pacbound.pipeline.preparation import device_of, prepare, sample_of
from pacbound.request.request import Request, read_toml
from pacbound.specs.specs import ProjectorSpec
from pacbound.subspace.subspace import Subspace
from pacbound.training.settings import PosteriorSettings
from pacbound.training.state import Checkpoint
from tests.tiny import clouds, network

GPU_CONFIG = Path(__file__).parents[2] / "results" / "cifar10" / "gpu.toml"


class Frozen(nn.Module):
    """A network with a frozen parameter and a buffer, both of which a forward pass needs."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(6, 8), nn.Linear(8, 3)
        self.shift = nn.Parameter(torch.ones(8), requires_grad=False)
        self.register_buffer("factor", torch.tensor(2.0))

    def forward(self, x: Tensor) -> Tensor:
        return self.last(torch.mul(torch.add(self.first(x), self.shift), self.factor))


class Seen(TorchFunctionMode):
    """Notes the devices of the operands of every linear map, sum and product."""

    def __init__(self) -> None:
        super().__init__()
        self.devices: list[str] = []

    def __torch_function__(self, function, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        if function in (nn.functional.linear, torch.add, torch.mul):
            self.devices += [value.device.type for value in args if isinstance(value, Tensor)]
        return function(*args, **(kwargs or {}))


def _subspace() -> Subspace:
    base = make_base(Frozen(), None, ("factor",))
    return make_subspace(base, ProjectorSpec(kind="dense", D=base.layout.D, d=4), True)


def test_the_network_runs_where_its_inputs_are() -> None:
    subspace, seen = _subspace(), Seen()
    theta = subspace.theta(torch.zeros(4))
    with seen, pytest.raises(NotImplementedError, match="meta"):  # numbers cannot come back from there
        subspace.call_at(theta, torch.zeros(2, 6, device="meta"))
    assert seen.devices == ["meta"] * 10


def test_outputs_and_gradients_come_back_to_the_coefficients() -> None:
    subspace = _subspace()
    w = torch.zeros(4, requires_grad=True)
    for call in (subspace.call, subspace.approximate):
        output = call(w, torch.ones(2, 6))
        (gradient,) = torch.autograd.grad(output.sum(), w)
        assert (output.device.type, gradient.device.type) == ("cpu", "cpu")


def test_auto_is_the_cpu_where_there_is_no_gpu_and_cuda_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert device_of("auto") == device_of("cpu") == torch.device("cpu")
    with pytest.raises(RequestError, match=r"found none\. Leave --device out"):
        prepare(network(), clouds(), None, Request(device="cuda"), "zero_one")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert device_of("auto") == device_of("cuda") == torch.device("cuda")
    assert device_of("cpu") == torch.device("cpu")


def test_inputs_go_to_the_device_and_labels_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    setup = prepare(network(), clouds(), None, Request(d=4), "zero_one")
    monkeypatch.setattr("pacbound.pipeline.preparation.device_of", lambda name: torch.device("meta"))
    sample = sample_of(setup)
    assert (sample.x.device.type, sample.y.device.type) == ("meta", "cpu")


def test_the_configuration_for_a_gpu_is_a_request_that_makes_a_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    request = read_toml(GPU_CONFIG)
    assert (request.data, request.device) == ("cifar10", "cuda")
    smoke = request.model_copy(update={"device": "cpu"})
    monkeypatch.setattr("pacbound.pipeline.encoding.seconds_an_epoch", lambda *_: 20.0)
    plan = plan_of(prepare(network(), clouds(), None, smoke, "zero_one"), Checkpoint(None, ""))
    assert isinstance(plan, PosteriorSettings)
    assert plan.batch == 500
