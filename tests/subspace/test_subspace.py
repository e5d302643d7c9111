"""The network on its subspace: values against a plainly loaded copy, and a module that is never touched."""

import copy
import math
from collections.abc import Callable

import pytest
import torch
from torch import nn

from pacbound.errors import SubspaceError
from pacbound.networks.hypothesis import make_base, make_subspace
from pacbound.specs.specs import ProjectorSpec
from pacbound.subspace.layout import Layout, Slot
from pacbound.subspace.projectors import make_projector
from pacbound.subspace.subspace import Subspace, layer_scale, scale_index
from tests.cases import small_network


class Shared(nn.Module):
    """Tied weights, dropout, a recurrent layer and an integer table in one network."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(7, 4)
        self.drop = nn.Dropout(0.5)
        self.lstm = nn.LSTM(4, 4, batch_first=True)
        self.head = nn.Linear(4, 7)
        self.head.weight = self.embed.weight
        self.register_buffer("order", torch.tensor([6, 5, 4, 3, 2, 1, 0]))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        hidden, _ = self.lstm(self.drop(self.embed(self.order[x])))
        return self.head(hidden[:, -1])


class Counting(nn.Module):
    """A network that misbehaves: each call changes its buffer, even in eval mode."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(3, 2)
        self.register_buffer("calls", torch.zeros((), dtype=torch.int64))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        return self.linear(x) * self.calls


def _batch_norm_network() -> nn.Module:
    torch.manual_seed(1)
    net = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.ReLU(), nn.Linear(8, 3))
    net[1].running_mean.normal_()
    return net


def _images() -> nn.Module:
    torch.manual_seed(2)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.MaxPool2d(2), nn.ReLU(), nn.Conv2d(4, 8, 2), nn.ReLU(), nn.Flatten(), nn.Linear(32, 3)
    )


def _subspace(net: nn.Module, d: int = 5, scaled: bool = True) -> Subspace:
    layout = Layout.of(net)
    projector = make_projector(ProjectorSpec(kind="dense", D=layout.D, d=d, seed=1), layout)
    return Subspace(net, layout, layout.flatten(net), projector, layer_scale(layout) if scaled else None)


def _loaded(net: nn.Module, theta: torch.Tensor) -> nn.Module:
    """A copy of the network in eval mode with theta written into its parameters."""
    copied = copy.deepcopy(net).eval()
    start = 0
    for parameter in copied.parameters():
        if parameter.requires_grad:
            parameter.data.copy_(theta[start : start + parameter.numel()].view(parameter.shape))
            start += parameter.numel()
    return copied


@pytest.mark.parametrize(
    ("net", "x"),
    [
        (_batch_norm_network(), torch.randn(9, 6, generator=torch.Generator().manual_seed(0))),
        (Shared(), torch.tensor([[0, 3, 6], [1, 1, 2]])),
        (small_network(), torch.ones(2, 1, 8, 8)),
        (_batch_norm_network().to(torch.bfloat16), torch.ones(4, 6, dtype=torch.bfloat16)),
        (_batch_norm_network().double(), torch.ones(4, 6, dtype=torch.float64)),
    ],
    ids=["batch norm and dropout", "tied, recurrent, integer buffer", "convolution", "bfloat16", "float64"],
)
@pytest.mark.parametrize("train", [True, False])
def test_a_call_equals_a_plain_eval_network_and_leaves_the_module_alone(
    net: nn.Module, x: torch.Tensor, train: bool
) -> None:
    net.train(train)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    subspace = _subspace(net)
    w = torch.randn(5, generator=torch.Generator().manual_seed(2)).requires_grad_()
    output = subspace.call(w, x)
    output.sum().backward()
    assert torch.equal(output, subspace.call(w, x))
    torch.testing.assert_close(output, _loaded(net, subspace.theta(w).detach())(x))
    assert w.grad is not None
    assert w.grad.abs().min() > 0
    after = net.state_dict()
    assert list(after) == list(before)
    assert all(torch.equal(after[name], before[name]) for name in before)
    assert all(module.training == train for module in net.modules())
    assert all(p.grad is None and p.requires_grad for p in net.parameters())


def test_later_changes_of_the_module_do_not_reach_the_subspace() -> None:
    net = _batch_norm_network()
    subspace, x = _subspace(net), torch.ones(2, 6)
    before = subspace.call(torch.zeros(5), x)
    net[1].running_mean.add_(1)
    net[0].weight.data.zero_()
    assert torch.equal(subspace.call(torch.zeros(5), x), before)


def test_base_subspace_and_network_share_one_theta0() -> None:
    base = make_base(_batch_norm_network(), 0)
    subspace = make_subspace(base, ProjectorSpec(kind="fastfood", D=base.layout.D, d=5), False)
    places = {base.theta0.data_ptr(), subspace.theta0.data_ptr(), next(base.module.parameters()).data_ptr()}
    assert places == {next(subspace._network.parameters()).data_ptr()}


def test_buffers_that_a_forward_pass_writes_start_afresh_every_call() -> None:
    net = Counting()
    subspace, x = _subspace(net, d=2), torch.ones(1, 3)
    first = subspace.call(torch.zeros(2), x)
    assert torch.equal(first, subspace.call(torch.zeros(2), x))
    assert torch.equal(first, net.linear(x))
    assert net.calls == 0


def test_theta_is_base_plus_scaled_projection() -> None:
    net = small_network()
    subspace, w = _subspace(net), torch.arange(5.0)
    layout = Layout.of(net)
    expected = layout.flatten(net) + layer_scale(layout) * (subspace.projector.as_matrix() @ w)
    torch.testing.assert_close(subspace.theta(w), expected)
    plain = _subspace(net, scaled=False)
    torch.testing.assert_close(plain.theta(w), layout.flatten(net) + plain.projector.as_matrix() @ w)
    assert torch.equal(subspace.theta(torch.zeros(5)), layout.flatten(net))


def test_gradient_agrees_with_finite_differences() -> None:
    net = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3))
    subspace, x = _subspace(net), torch.ones(4, 6)
    w = torch.full((5,), 0.1, requires_grad=True)
    subspace.call(w, x).square().sum().backward()
    for j in range(5):
        shift = torch.zeros(5)
        shift[j] = 1e-2
        up, down = (subspace.call((w + s).detach(), x).square().sum() for s in (shift, -shift))
        assert w.grad is not None
        assert w.grad[j].item() == pytest.approx((up - down).item() / 2e-2, rel=2e-2, abs=1e-2)


@pytest.mark.parametrize("make", [Shared, _batch_norm_network, _images])
def test_the_fast_call_is_the_call_but_for_rounding(make: Callable[[], nn.Module]) -> None:
    subspace = _subspace(make())
    x = (
        torch.randint(7, (9, 7))
        if make is Shared
        else torch.randn(9, *((6,) if make is _batch_norm_network else (1, 9, 9)))
    )
    w = torch.randn(5).requires_grad_()
    exact, fast = subspace.call(w, x), subspace.approximate(w, x)
    assert fast.dtype == torch.float32
    torch.testing.assert_close(fast, exact, rtol=0.03, atol=0.03 * float(exact.detach().abs().max()))
    cotangent = torch.randn_like(exact)
    (slope,), (fast_slope,) = (torch.autograd.grad(y, w, cotangent, retain_graph=True) for y in (exact, fast))
    assert float(torch.cosine_similarity(slope, fast_slope, 0)) > 0.99


def test_without_bfloat16_the_fast_call_is_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pacbound.subspace.subspace.has_bfloat16", lambda device: False)
    subspace, w, x = _subspace(_images()), torch.randn(5), torch.randn(9, 1, 9, 9)
    torch.testing.assert_close(subspace.approximate(w, x), subspace.call(w, x), rtol=1e-5, atol=1e-5)


def test_layer_scale_by_hand() -> None:
    # D = 64: weight (4, 8): h = sqrt(2/8) = 1/2, h sqrt(D) = 4 = 2^(16/8)
    # vectors: 0.1 * 8 = 0.8, 8 log2(0.8) = -2.575, so 2^(-3/8) = 0.7711
    # weight (2, 3, 2, 2): h = sqrt(2/12), h sqrt(D) = 3.266, 8 log2 = 13.66, so 2^(14/8) = 3.3636
    net = nn.ModuleList([nn.Linear(8, 4), nn.Conv2d(3, 2, 2), nn.ParameterList([torch.zeros(2)])])
    layout = Layout.of(net)
    assert layout.D == 64
    scale = layout.unflatten(layer_scale(layout))
    for name, value in (
        ("0.weight", 4.0),
        ("0.bias", 2 ** (-3 / 8)),
        ("1.weight", 2 ** (14 / 8)),
        ("1.bias", 2 ** (-3 / 8)),
        ("2.0", 2 ** (-3 / 8)),
    ):
        assert torch.equal(scale[name], torch.full_like(scale[name], value))


def test_scale_index_is_the_nearest_eighth_in_the_logarithm() -> None:
    for fan_in in (1, 2, 3, 9, 25, 27, 144, 784, 5000):
        for D in (1, 10, 4631, 44_426, 11_173_962, 2**31 - 1):
            exact = 8 * math.log2(math.sqrt(2 / fan_in * D))
            assert abs(scale_index(Slot("", (2, fan_in), torch.float32, 0, 0), D) - exact) <= 0.5
            exact = 8 * math.log2(0.1 * math.sqrt(D))
            assert abs(scale_index(Slot("", (fan_in,), torch.float32, 0, 0), D) - exact) <= 0.5


def test_with_the_scale_every_layer_moves_in_proportion_to_its_he_value() -> None:
    layout = Layout.of(small_network())
    projector = make_projector(ProjectorSpec(kind="fastfood", D=layout.D, d=256, seed=3), layout)
    w = torch.randn(256, generator=torch.Generator().manual_seed(0))
    moved = layout.unflatten(layer_scale(layout) * projector.project(w / w.norm()))
    for name, fan_in in (("wide.weight", 288), ("fc.weight", 6)):
        size = moved[name].square().mean().sqrt().item()
        assert size == pytest.approx(math.sqrt(2 / fan_in), rel=0.2)


def test_vectors_of_another_shape_or_dtype_are_refused() -> None:
    net = small_network()
    layout = Layout.of(net)
    theta0 = layout.flatten(net)
    projector = make_projector(ProjectorSpec(kind="dense", D=layout.D, d=3), layout)
    other = make_projector(ProjectorSpec(kind="dense", D=layout.D + 1, d=3))
    with pytest.raises(SubspaceError, match="theta0 is float32 of shape"):
        Subspace(net, layout, theta0[:-1], projector)
    with pytest.raises(SubspaceError, match="theta0 is float32 of shape"):
        Subspace(net, layout, theta0.double(), projector)
    with pytest.raises(SubspaceError, match="scale is float32 of shape"):
        Subspace(net, layout, theta0, projector, theta0[:1])
    with pytest.raises(SubspaceError, match="projector has the layout's D"):
        Subspace(net, layout, theta0, other)
    with pytest.raises(SubspaceError, match="the module has none"):
        Subspace(nn.Linear(2, 2), layout, theta0, projector)
