"""What a trace cannot see is refused: each network here computes something else than its modules in a row."""

import math

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrize

from pacbound.errors import ModelError
from pacbound.measures.layers.agreement import steepest
from pacbound.measures.layers.layers import layers_of
from pacbound.measures.measuring import measure
from pacbound.measures.rademacher.rademacher import check_slope, measure_rademacher


def eye(*gains: float) -> nn.Sequential:
    layers: list[nn.Module] = []
    for gain in gains:
        linear = nn.Linear(4, 4, bias=False)
        with torch.no_grad():
            linear.weight.copy_(gain * torch.eye(4))
        layers += [linear, nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def hook_on(module: nn.Module, net: nn.Module, before: bool = False) -> nn.Module:
    if before:
        module.register_forward_pre_hook(lambda m, args: (1000 * args[0],))
    else:
        module.register_forward_hook(lambda m, args, out: 1000 * out)
    return net


class Body(nn.Module):
    """Two identities joined by a formula."""

    def __init__(self, formula) -> None:
        super().__init__()
        self.one, self.two, self.formula = eye(1)[0], eye(1)[0], formula
        self.register_buffer("mean", torch.full((4,), 0.5))
        self.register_buffer("std", torch.tensor([0.5, 0.25, 1.0, 1.0]))

    def forward(self, x: Tensor) -> Tensor:
        return self.formula(self, x)


def replaced(on_root: bool) -> nn.Module:
    net = nn.Sequential(eye(1, 1), eye(1))
    module = net if on_root else net[0]
    inner = type(module).forward
    module.forward = lambda x: 1000 * inner(module, x)
    return net


def scaled_linear_class() -> nn.Module:
    class Louder(nn.Sequential):
        def __call__(self, x: Tensor) -> Tensor:
            return 1000 * super().__call__(x)

    return Louder(*eye(1, 1))


def view_written(net: Body, x: Tensor) -> Tensor:
    h = net.one(x)
    part = h[:, :2]
    part.mul_(1000)
    return net.two(h)


def view_bent(net: Body, x: Tensor) -> Tensor:
    h = net.one(x)
    F.leaky_relu(h[:, :2], 1000.0, inplace=True)
    return net.two(h)


def kept_aside(net: Body, x: Tensor) -> Tensor:
    h = net.one(x)
    if isinstance(x, Tensor):  # a symbolic trace carries no tensors
        h = 1000 * h
    return net.two(h)


def hidden_branch(net: Body, x: Tensor) -> Tensor:
    h = net.one(x)
    if isinstance(x, Tensor) and bool(x.abs().max() > 1e6):  # never on the inputs tried
        h = 1000 * h
    return net.two(h)


def nets() -> dict[str, nn.Module]:
    hooked, bare = eye(1, 1), nn.Sequential(eye(1, 1), eye(1))
    return {
        "hook on a layer": hook_on(hooked[0], hooked),
        "pre-hook on a layer": hook_on(bare[1][0], bare, before=True),
        "hook on an activation": (lambda net: hook_on(net[1], net))(eye(1, 1)),
        "hook on the network": (lambda net: hook_on(net, net))(eye(1, 1)),
        "pre-hook on the network": (lambda net: hook_on(net, net, before=True))(eye(1, 1)),
        "hook on a container": (lambda net: hook_on(net[0], net))(nn.Sequential(eye(1, 1), eye(1))),
        "forward replaced on the network": replaced(on_root=True),
        "forward replaced on a container": replaced(on_root=False),
        "call replaced by a subclass": scaled_linear_class(),
        "a view written in place": Body(view_written),
        "an activation in place on a view": Body(view_bent),
        "a number read from the data": Body(lambda net, x: net.two(net.one(x) * float(x.detach().max()))),
        "an item read from the data": Body(lambda net, x: net.two(net.one(x) * x.max().item())),
        "the number of examples": Body(lambda net, x: net.two(net.one(x) * x.size(0))),
        "a mean over examples": Body(lambda net, x: net.two(net.one(x).flip(0))),
        "another function for tensors": Body(kept_aside),
        "a branch that inputs did not take": Body(hidden_branch),
        "a branch on values": Body(lambda net, x: net.two(net.one(x)) if x.sum() > 0 else net.one(x)),
        "rounded division": Body(lambda net, x: net.two(torch.div(net.one(x), 1.0, rounding_mode="floor"))),
    }


@pytest.mark.parametrize("name", nets())
def test_what_a_trace_misses_is_a_refusal(name: str) -> None:
    net, x = nets()[name], torch.randn(1, 4)
    found = layers_of(net, x)
    assert found.refusal, name
    with pytest.raises(ModelError):
        list(measure_rademacher(net, x))
    if "hook on" in name or "forward replaced" in name:
        assert "Remove them" in found.refusal


@pytest.mark.parametrize(
    ("make", "named"),
    [("hook on a layer", "0 has a forward hook"), ("pre-hook on a layer", "1.0 has a forward pre-hook"),
     ("hook on the network", "the network itself has a forward hook"),
     ("forward replaced on a container", "0 has a forward pass replaced")],
)  # fmt: skip
def test_hooks_and_replaced_forwards_are_named(make: str, named: str) -> None:
    assert named in layers_of(nets()[make], torch.randn(1, 4)).refusal


class Doubled(nn.Module):
    """A parametrization: the weight that is used is twice the one that is stored."""

    def forward(self, weight: Tensor) -> Tensor:
        return 2 * weight


def test_a_parametrized_weight_is_measured_as_it_is_used() -> None:
    net = eye(1, 1)
    parametrize.register_parametrization(net[0], "weight", Doubled())
    found = {m.name: m.value for m in measure_rademacher(net, torch.randn(1, 4))}
    assert 10 ** found["rademacher_lipschitz"] == pytest.approx(2, rel=1e-5)


def test_a_spectrally_normalised_layer_agrees_and_has_norm_one() -> None:
    torch.manual_seed(0)
    layer = nn.utils.parametrizations.spectral_norm(nn.Linear(10, 5), n_power_iterations=100)
    layer(torch.zeros(1, 10))  # in training mode, where the iteration goes on
    found = {m.name: m.value for m in measure_rademacher(nn.Sequential(layer).eval(), torch.randn(1, 10))}
    assert 10 ** found["rademacher_lipschitz"] == pytest.approx(1, rel=1e-4)


def test_wrappers_are_refused_with_where_the_network_is() -> None:
    class OptimizedModule(nn.Module):  # what torch.compile returns
        def __init__(self) -> None:
            super().__init__()
            self._orig_mod = eye(1)

    for wrapped, remedy in (
        (nn.DataParallel(eye(1)), "keeps the network in .module"),
        (OptimizedModule(), "_orig_mod"),
    ):
        with pytest.raises(ModelError, match=remedy):
            layers_of(wrapped, torch.zeros(1, 4))


def test_honest_networks_agree_with_their_trace() -> None:
    standard = Body(lambda net, x: net.two(F.relu(net.one((x - net.mean) / net.std))))
    found = layers_of(standard, torch.zeros(1, 4))
    assert (found.refusal, found.before, found.fronts, len(found.blocks)) == ("", 4.0, 1, 2)
    x = torch.randn(7, 4)
    torch.testing.assert_close(found.entering(x), ((x - standard.mean) / standard.std).double())
    norm = nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.ReLU(inplace=True), nn.Linear(6, 2)).eval()
    norm[1].running_mean += 3
    assert layers_of(norm, x[:1]).refusal == ""


def test_standardised_inputs_are_measured_behind_the_standardisation() -> None:
    """The complexity and the cover are those of the bare network on standardised data."""
    whole = Body(lambda net, x: net.two(F.relu(net.one((x - net.mean) / net.std))))
    bare = Body(lambda net, x: net.two(F.relu(net.one(x))))
    x, y = torch.randn(60, 4), torch.arange(60) % 4
    z = (x - whole.mean) / whole.std
    names = ("rademacher", "covering")
    got = {m.name: m.value for m in measure(whole, data=(x, y), measures=names).measures}
    want = {m.name: m.value for m in measure(bare, data=(z, y), measures=names).measures}
    assert got.keys() == want.keys()
    assert {"rademacher", "covering"} <= got.keys()
    lipschitz = "rademacher_lipschitz"
    assert got.pop(lipschitz) == pytest.approx(want.pop(lipschitz) + math.log10(4), abs=1e-5)
    assert got == pytest.approx(want, rel=1e-6)


def test_a_slope_above_the_constant_is_refused() -> None:
    euclidean, maximum = steepest(eye(3, 1), torch.zeros(1, 4))
    assert 2.9 < euclidean <= 3
    assert 2.9 < maximum <= 3
    check_slope(euclidean, math.log10(3))
    with pytest.raises(ModelError, match="nowhere steeper"):
        check_slope(euclidean, math.log10(2.9))


def cat_of(*functions):
    return Body(lambda net, x: torch.cat([f(net, x) for f in functions], dim=1))


@pytest.mark.parametrize(
    ("net", "constant"),
    [
        (cat_of(lambda net, x: net.one(x), lambda net, x: x), math.sqrt(2)),
        (cat_of(lambda net, x: F.relu(net.one(x)), lambda net, x: torch.zeros_like(x)), 1.0),
        (Body(lambda net, x: torch.cat([h := net.one(x), h], 1)), math.sqrt(2)),
        (Body(lambda net, x: torch.cat([h := F.relu(net.one(x)), 2 * h, h.mul(0)], 1)), math.sqrt(5)),
    ],
)
def test_channels_side_by_side_add_in_squares(net: nn.Module, constant: float) -> None:
    found = {m.name: m.value for m in measure_rademacher(net, torch.randn(1, 4))}
    jacobian = torch.autograd.functional.jacobian(net, torch.rand(1, 4)).reshape(-1, 4)
    assert 10 ** found["rademacher_lipschitz"] == pytest.approx(constant, rel=1e-5)
    assert float(torch.linalg.matrix_norm(jacobian, 2)) == pytest.approx(constant, rel=1e-5)


def test_a_prelu_has_its_steepest_slope_and_no_class() -> None:
    net = nn.Sequential(nn.Linear(4, 4, bias=False), nn.PReLU(4), nn.Linear(4, 2))
    with torch.no_grad():
        net[0].weight.copy_(torch.eye(4))
        net[1].weight.copy_(torch.tensor([0.1, -3.0, 0.5, 2.0]))
    (first, _) = layers_of(net, torch.zeros(1, 4)).blocks
    assert first.main.after == (3.0,)
    given = measure(net, input_shape=(4,), measures=("rademacher", "covering"))
    assert [m.name for m in given.measures] == ["rademacher_lipschitz", "covering_symmetry"]
    assert "PReLU" in given.refused["rademacher"]


@pytest.mark.parametrize("layer", ["norm", "sigmoid", "reflect"])
def test_the_lipschitz_constant_stays_where_only_distances_are_refused(layer: str) -> None:
    mode = "reflect" if layer == "reflect" else "zeros"
    middle = {"norm": nn.BatchNorm2d(3), "sigmoid": nn.Sigmoid(), "reflect": nn.ReLU()}[layer]
    net = nn.Sequential(nn.Conv2d(1, 3, 3, padding=1, padding_mode=mode), middle, nn.Flatten(), nn.Linear(48, 2)).eval()
    found = measure(net, input_shape=(1, 4, 4), measures=("rademacher",))
    assert [m.name for m in found.measures] == ["rademacher_lipschitz"]
    assert found.refused["rademacher"]
    if layer == "norm":
        fused = torch.nn.utils.fusion.fuse_conv_bn_eval(net[0], net[1])  # what the message says
        whole = measure(nn.Sequential(fused, *net[2:]), input_shape=(1, 4, 4), measures=("rademacher",))
        assert "rademacher_capacity" in {m.name for m in whole.measures}
