"""Groups of units, against the groups read off chains of layers, and against the function itself."""

import copy

import pytest
import torch
from torch import Tensor, nn

from pacbound.errors import ModelError
from pacbound.measures.covering.symmetry import mlp_group, residual_group
from pacbound.models.reference import build
from pacbound.models.units import check_units, shuffle_units, unit_groups
from pacbound.specs.tensors import UnitGroup
from pacbound.subspace.layout import Layout


def groups(module: nn.Module, *shape: int) -> tuple[UnitGroup, ...]:
    return unit_groups(module.eval(), Layout.of(module), torch.zeros(2, *shape))


@pytest.mark.parametrize(
    ("name", "shape", "sizes"),
    [("lenet", (28, 28), [16, 32, 64]), ("mlp", (8, 8), [256]), ("cnn", (3, 8, 8), [16, 32, 32, 64])],
)
def test_sizes_are_the_widths_of_the_hidden_layers(name: str, shape: tuple[int, ...], sizes: list[int]) -> None:
    assert sorted(g.size for g in groups(build(name, shape, 10), *shape)) == sizes


def test_lenet_of_mnist_has_its_channels_and_hidden_units_with_blocks_of_columns() -> None:
    found = groups(build("lenet-mnist", (28, 28), 10), 28, 28)
    assert [g.size for g in found] == [32, 64, 200]
    assert [[axis.width for axis in g.axes] for g in found] == [[1, 1, 1], [1, 1, 49], [1, 1, 1]]


@pytest.mark.parametrize(("name", "blocks"), [("resnet20-bn", 3), ("resnet32-bn", 5)])
def test_padded_shortcuts_leave_the_new_channels_of_each_stage(name: str, blocks: int) -> None:
    found = groups(build(name, (3, 8, 8), 10), 3, 8, 8)
    inner = [width for width in (16, 32, 64) for _ in range(blocks)]
    expected = residual_group((16, 32, 64), inner, projected=False)
    assert sorted(g.size for g in found) == sorted(size for _, size, _ in expected.factors)
    assert [g.size for g in found[:3]] == [16, 16, 32]  # streams before inner widths
    assert {axis.runs for axis in found[1].axes} == {((0, 8), (24, 8)), ((16, 8), (40, 8))}


def test_reordered_units_leave_the_function_as_it_was() -> None:
    module = build("resnet20-bn", (3, 8, 8), 4).eval()
    torch.manual_seed(0)
    for parameter in module.parameters():
        parameter.data = torch.randn(parameter.shape) / max(1, parameter[:1].numel()) ** 0.5
    other = copy.deepcopy(module)
    tensors = list(other.parameters())
    x = 255 * torch.rand(3, 3, 8, 8)
    with torch.no_grad():
        for group in groups(module, 3, 8, 8):
            shuffle_units(tensors, group, torch.randperm(group.size))
        assert not torch.equal(module.linear.weight, other.linear.weight)
        assert torch.allclose(module(x), other(x), atol=1e-4 * float(module(x).abs().max()))


class Cumulative(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.c = nn.Linear(3, 4), nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.c(torch.cumsum(self.a(x), dim=1))


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Linear(3, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.a(torch.relu(self.a(x)))


class Branching(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Linear(3, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.a(x) if x.sum() > 0 else -self.a(x)


@pytest.mark.parametrize("module", [Cumulative(), Tied(), Branching()], ids=lambda m: type(m).__name__)
def test_in_doubt_there_is_no_group(module: nn.Module) -> None:
    assert groups(module, 3) == ()


def test_learned_shortcuts_share_one_permutation_for_a_stream() -> None:
    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem, self.up, self.down, self.head = (
                nn.Linear(3, 5), nn.Linear(5, 7), nn.Linear(7, 5), nn.Linear(5, 2),
            )  # fmt: skip

        def forward(self, x: Tensor) -> Tensor:
            stream = self.stem(x)
            return self.head(stream + self.down(torch.relu(self.up(stream))))

    found = groups(Block(), 3)
    assert [(g.size, len(g.axes)) for g in found] == [(5, 6), (7, 3)]


def test_units_of_a_chain_are_as_many_as_the_theory_says() -> None:
    module = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 3))
    expected = mlp_group((4, 6, 5, 3))
    assert [g.size for g in groups(module, 4)] == [size for _, size, _ in expected.factors]


def test_a_group_that_changes_the_function_is_refused() -> None:
    module = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3))
    (right,) = groups(module, 4)
    wrong = right.model_copy(update={"axes": right.axes[:2]})
    with pytest.raises(ModelError, match="do change it"):
        check_units(module, Layout.of(module), (wrong,), torch.zeros(2, 4))


def test_a_buffer_that_tells_units_apart_is_noticed() -> None:
    class Masked(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.norm, self.c = nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.c(self.norm(self.a(x)))

    module = Masked().eval()
    assert [g.size for g in groups(module, 3)] == [4]
    module.norm.running_mean.copy_(torch.tensor([0.0, 0.0, 1.0, 1.0]))
    assert [g.size for g in groups(module, 3)] == [2, 2]
    module.norm.running_mean.copy_(torch.arange(4.0))
    assert groups(module, 3) == ()
