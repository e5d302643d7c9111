"""Layer records against the modules they describe, the arrangement of networks, and what is refused by name."""

import math
import re

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from pacbound.errors import ModelError
from pacbound.measures.layers.layers import Layers, layers_of
from pacbound.measures.layers.operator_norms import apply, operator_norm
from pacbound.models.reference import build


class Residual(nn.Module):
    """A block as users write it: batch normalisation, in-place addition, option A or a projection."""

    def __init__(self, before: int, width: int, stride: int = 1, projected: bool = False) -> None:
        super().__init__()
        self.stride, self.extra = stride, width - before
        self.conv1 = nn.Conv2d(before, width, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.shortcut = nn.Sequential(nn.Conv2d(before, width, 1, stride, bias=False), nn.BatchNorm2d(width))
        if not projected:
            self.shortcut = None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        if self.shortcut is not None:
            out += self.shortcut(x)
        else:
            out += F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, self.extra // 2, self.extra // 2))
        return F.relu(out)


class ResNet(nn.Module):
    def __init__(self, projected: bool = False) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, 1, 1)
        self.bn = nn.BatchNorm2d(4)
        self.blocks = nn.Sequential(Residual(4, 4), Residual(4, 8, 2, projected), Residual(8, 8))
        self.fc = nn.Linear(8, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.max_pool2d(F.relu(self.bn(self.conv(x))), 3, 2, 1)
        x = self.blocks(x)
        x = F.avg_pool2d(x, x.size()[3])
        return self.fc(x.view(x.size(0), -1))


def randomised(net: nn.Module) -> nn.Module:
    """Give normalisations statistics and gains that folding must get right."""
    generator = torch.Generator().manual_seed(5)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d | nn.BatchNorm1d):
            for tensor, low in ((module.running_mean, -1), (module.running_var, 0.5), (module.weight, -1)):
                tensor.data.copy_(low + 1.5 * torch.rand(tensor.shape, generator=generator))
            module.bias.data.copy_(torch.randn(module.bias.shape, generator=generator))
    return net.eval()


def check_records(net: nn.Module, x: torch.Tensor, found: Layers) -> None:
    """Every record with its bias must map what entered its module to what left it, or its folded normalisation."""
    entered, left = {}, {}
    for name, module in net.named_modules():

        def hook(_, args, output, name=name):
            entered[name], left[name] = args[0].clone(), output.clone()

        module.register_forward_hook(hook)
    net.double()(x.double())
    for record in found.records:
        got = apply(record, entered[record.name])
        if record.bias is not None:
            got = got + (record.bias if record.kind == "dense" else record.bias.reshape(-1, *[1] * (got.ndim - 2)))
        torch.testing.assert_close(got, left[record.folded or record.name], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("lenet", (1, 28, 28)),
        ("pooled", (3, 32, 32)),
        ("mlp", (1, 9, 9)),
        ("cnn", (3, 16, 16)),
        ("resnet20", (3, 16, 16)),
    ],
)
def test_records_of_reference_networks_are_their_modules(name, shape):
    torch.manual_seed(0)
    net, x = build(name, shape, 10), torch.randn(2, *shape)
    found = layers_of(net, x)
    assert len(found.records) == sum(isinstance(m, nn.Linear | nn.Conv2d) for m in net.modules())
    check_records(net, x, found)


def test_groupnorm_is_skipped_visibly_and_stops_chain_theorems_only():
    found = layers_of(build("resnet20", (3, 16, 16), 10), torch.zeros(1, 3, 16, 16))
    assert len(found.skipped) == 19
    assert all("GroupNorm" in s.reason for s in found.skipped)
    assert "GroupNorm" in found.refusal
    assert [b.shortcut is not None for b in found.blocks] == [False, *[True] * 9, False]
    assert found.blocks[0].main.after == (math.inf,)


@pytest.mark.parametrize("projected", [False, True])
def test_batch_normalised_residual_networks_are_folded_and_arranged(projected):
    torch.manual_seed(0)
    net, x = randomised(ResNet(projected)), torch.randn(2, 3, 16, 16)
    found = layers_of(net, x)
    assert (found.skipped, found.refusal, found.offsets) == ((), "", ())
    assert {r.name: r.folded for r in found.records}["blocks.1.conv2"] == "blocks.1.bn2"
    first, same, wider, last, head = found.blocks
    assert first.main.after == (2.0,)  # the 3x3 max-pool of stride 2
    assert [len(b.main.layers) for b in found.blocks] == [1, 2, 2, 2, 1]
    assert (same.shortcut.layers, same.shortcut.before) == ((), 1.0)
    assert [r.name for r in wider.shortcut.layers] == (["blocks.1.shortcut.0"] if projected else [])
    assert last.after == pytest.approx(1 / 4)  # global averages over 4 x 4 places
    assert head.shortcut is None
    check_records(net, x, found)


def chain_bound(found: Layers) -> float:
    """Lipschitz constant of the network from the upper ends of its layers."""
    bound = found.before
    for block in found.blocks:
        sizes = []
        for branch in (block.main, block.shortcut):
            if branch is not None:
                product = branch.before
                for record, after in zip(branch.layers, branch.after, strict=True):
                    product *= operator_norm(record).upper * after
                sizes.append(product)
        bound *= sum(sizes) * block.after
    return bound


@pytest.mark.parametrize("make", [lambda: build("lenet", (1, 12, 12), 10), lambda: randomised(ResNet()),
                                  lambda: randomised(ResNet(projected=True))])  # fmt: skip
def test_lipschitz_constant_of_the_chain_holds_against_gradient_ascent(make):
    torch.manual_seed(1)
    net = make().double()
    shape = (1, 1, 12, 12) if isinstance(net, nn.Sequential) else (1, 3, 16, 16)
    bound = chain_bound(layers_of(net, torch.zeros(shape, dtype=torch.float64)))
    a, b = (torch.randn(shape, dtype=torch.float64, requires_grad=True) for _ in range(2))
    best = 0.0
    for _ in range(25):
        ratio = (net(a) - net(b)).norm() / (a - b).norm()
        best = max(best, float(ratio.detach()))
        gradients = torch.autograd.grad(ratio, (a, b))
        size = torch.stack([g.norm() for g in gradients]).norm()
        a, b = ((v + 2 * g / size).detach().requires_grad_() for v, g in zip((a, b), gradients, strict=True))
    assert best <= bound
    assert best > 1e-4 * bound  # within what a product over layers loses


@pytest.mark.parametrize(("shape", "classes"), [((3, 8, 8), 10), ((1, 8, 8), 10)])
def test_published_networks_that_read_raw_pixels_are_traced(shape, classes):
    net = randomised(build("resnet20-bn", shape, classes)).eval()
    x = 255 * torch.rand(1, *shape)
    found = layers_of(net, x)
    assert (found.refusal, len(found.records), found.skipped) == ("", 20, ())
    assert found.offsets  # the mean that is taken off
    columns = torch.autograd.functional.jacobian(net.pixels, x.double()).reshape(-1, x.numel())
    assert found.before == pytest.approx(float(torch.linalg.matrix_norm(columns, 2)), rel=1e-6)
    assert found.before_maximum >= float(columns.abs().sum(dim=1).max()) * (1 - 1e-6)


def test_the_network_is_neither_changed_nor_run():
    net = ResNet().train()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    layers_of(net, torch.randn(2, 3, 16, 16))
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())
    assert all(m.training for m in net.modules())


def test_batch_normalisation_in_training_mode_is_named_with_the_remedy():
    found = layers_of(ResNet().train(), torch.randn(2, 3, 16, 16))
    assert {s.name for s in found.skipped} >= {"bn", "blocks.0.bn1"}
    assert "eval()" in found.skipped[0].reason
    assert "training mode" in found.refusal
    assert all(not r.folded for r in found.records)


class Recurrent(nn.Module):
    """The same linear map three times."""

    def __init__(self) -> None:
        super().__init__()
        self.cell, self.head = nn.Linear(4, 4), nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for _ in range(3):
            x = torch.tanh(self.cell(x))
        return self.head(x)


class Tied(nn.Module):
    """Two modules, one weight."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Linear(4, 4), nn.Linear(4, 4)
        self.two.weight = self.one.weight

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.two(F.relu(self.one(x)))


class Custom(nn.Module):
    """A parameter used by a formula of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.linear, self.gain = nn.Linear(4, 4), nn.Parameter(torch.ones(4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.linear(x) * self.gain


class Unused(nn.Module):
    """A layer that never runs."""

    def __init__(self) -> None:
        super().__init__()
        self.linear, self.spare = nn.Linear(4, 4), nn.Linear(4, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.linear(x)


class Masked(nn.Linear):
    """A linear layer with another forward pass."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.linear(x, self.weight.tril())


@pytest.mark.parametrize(
    ("net", "name", "reason"),
    [
        (Recurrent(), "cell", "called 3 times"),
        (Tied(), "one", "holds a parameter of another module too"),
        (Tied(), "two", "holds a parameter of another module too"),
        (nn.Sequential(Custom()), "0", "not a Linear or Conv layer"),
        (Unused(), "spare", "used by no layer that ran"),
        (nn.Sequential(Masked(4, 4)), "0", "not a Linear or Conv layer"),
        (nn.Sequential(nn.Linear(4, 4), nn.LayerNorm(4)), "1", "LayerNorm divides by statistics"),
        (nn.Sequential(nn.ReLU(), nn.BatchNorm1d(4)).eval(), "1", "follows no layer of its own"),
    ],
)
def test_what_cannot_be_expressed_is_named_and_never_counted_as_zero(net, name, reason):
    found = layers_of(net, torch.randn(2, 4))
    assert name in {s.name for s in found.skipped if reason in s.reason}
    assert name not in {r.name for r in found.records}
    assert found.refusal or name == "spare"


def test_a_recurrent_layer_is_named():
    class Reader(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rnn, self.head = nn.GRU(4, 4, batch_first=True), nn.Linear(4, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.head(self.rnn(x)[0][:, -1])

    found = layers_of(Reader(), torch.randn(2, 3, 4))
    assert [(s.name, "GRU" in s.reason) for s in found.skipped] == [("rnn", True)]
    assert [r.name for r in found.records] == ["head"]
    assert "GRU" in found.refusal


class Formula(nn.Module):
    """Two layers joined by a formula under test."""

    def __init__(self, formula) -> None:
        super().__init__()
        self.one, self.two, self.formula = nn.Linear(4, 4), nn.Linear(4, 4), formula

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.formula(self.one, self.two, x)


@pytest.mark.parametrize(
    ("formula", "refusal"),
    [
        (lambda f, g, x: torch.cat([f(x), g(x)], dim=1), "combines 2 paths"),
        (lambda f, g, x: f(x) * g(x), "combines 2 paths"),
        (lambda f, g, x: f(x) + (x + g(x)), "nested"),
        (lambda f, g, x: torch.sort(f(g(x)))[0], "no Lipschitz constant is known for sort"),
        (lambda f, g, x: (f(x), g(x)), "something else than one tensor"),
        (lambda f, g, x: f(x) + torch.ones(2, 4), "constant"),
        (lambda f, g, x: f(x) + g(x)[:, :1], "different shapes"),
        (lambda f, g, x: f(g(x)) if x.sum() > 0 else f(x), "torch.fx cannot trace"),
    ],
)
def test_networks_that_are_no_chain_of_blocks_say_why(formula, refusal):
    found = layers_of(Formula(formula), torch.ones(2, 4))
    assert re.search(refusal, found.refusal)
    assert [r.name for r in found.records if r.name in ("one", "two")]


def test_in_place_operations_on_a_shared_tensor_are_refused():
    class Shared(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.act = nn.Linear(4, 4), nn.SELU(inplace=True)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            h = self.one(x)
            return h + self.act(h)

    assert "overwrites" in layers_of(Shared(), torch.ones(2, 4)).refusal


@pytest.mark.parametrize(
    ("formula", "blocks", "gains"),
    [
        (lambda f, g, x: f(x) + x, 1, [1.0]),
        (lambda f, g, x: 2 * f(x), 1, [2.0]),
        (lambda f, g, x: g(f(x) / 4), 2, [0.25, 1.0]),
        (lambda f, g, x: g(f(x) + f.weight.shape[0] * 0), 2, [1.0, 1.0]),
        (lambda f, g, x: f(x) + g(x), 1, [1.0]),
        (lambda f, g, x: g(F.gelu(f(x))), 2, [1.128904146, 1.0]),
    ],
)
def test_small_formulas_have_the_expected_gains(formula, blocks, gains):
    found = layers_of(Formula(formula), torch.ones(2, 4))
    assert found.refusal == ""
    assert len(found.blocks) == blocks
    assert [b.main.after[-1] * b.after for b in found.blocks] == pytest.approx(gains)


def test_gains_inside_a_branch_stay_with_their_layers():
    found = layers_of(Formula(lambda f, g, x: x + 8 * g(f(2 * x) / 4)), torch.ones(2, 4))
    (block,) = found.blocks
    assert (block.main.before, block.main.after) == (2.0, (0.25, 8.0))


def test_a_layer_that_others_read_is_not_folded():
    class Read(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.norm = nn.Linear(4, 4), nn.BatchNorm1d(4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = self.one(x)
            return self.norm(y) + y

    found = layers_of(Read().eval(), torch.ones(2, 4))
    assert [s.name for s in found.skipped] == ["norm"]
    assert not found.records[0].folded


def test_sums_of_fixed_operations_are_fixed():
    net = nn.Sequential(Formula(lambda f, g, x: g(F.relu(x) + 3 * x)))
    found = layers_of(net, torch.ones(2, 4))
    assert (found.refusal, found.before, len(found.blocks)) == ("", 4.0, 1)
    assert [s.name for s in found.skipped] == ["0.one"]


def test_operations_that_move_zero_are_listed():
    found = layers_of(nn.Sequential(nn.Linear(4, 4), nn.Sigmoid(), nn.Linear(4, 2)), torch.ones(1, 4))
    assert len(found.offsets) == 1
    assert found.blocks[0].main.after == (0.25,)


def test_untraceable_networks_still_have_true_sizes():
    class Branching(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.bn, self.head = nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Linear(2, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = self.bn(self.conv(x))
            return self.head((y if y.sum() > 0 else -y).mean(dim=(2, 3)))

    found = layers_of(Branching().eval(), torch.zeros(1, 1, 9, 7))
    assert [(r.name, r.output_size) for r in found.records] == [("conv", (7, 5)), ("head", ())]
    assert [s.name for s in found.skipped] == ["bn"]
    assert (found.blocks, found.refusal[:25]) == ((), "torch.fx cannot trace the")


@pytest.mark.filterwarnings("ignore:Using padding='same'")  # torch tells users that it is slow
@pytest.mark.parametrize(
    ("padding", "size", "expected"), [("same", 4, ((1, 2),)), ("valid", 4, ((0, 0),)), (2, 3, ((2, 2),))]
)
def test_paddings_are_resolved_to_amounts(padding, size, expected):
    found = layers_of(nn.Conv1d(1, 1, size, padding=padding), torch.zeros(1, 1, 8))
    assert found.records[0].padding == expected
    assert found.named("0").kernel_size == (size,)
    with pytest.raises(ModelError, match="got 'conv'"):
        found.named("conv")


@pytest.mark.parametrize("example", [torch.zeros(4), torch.zeros(0, 4), torch.zeros(2, 5), "x"])
def test_unfit_examples_are_refused(example):
    with pytest.raises(ModelError, match="layers_of"):
        layers_of(nn.Sequential(nn.Linear(4, 2)), example)


def test_networks_that_cannot_be_copied_are_refused():
    net = nn.Linear(2, 2)
    net.computed = net.weight * 2
    with pytest.raises(ModelError, match=r"cannot be made\. computed keeps the result of a computation"):
        layers_of(net, torch.zeros(1, 2))
