"""Orders of permutations that are found, against all permutations of all axes of all parameters, tried one by one."""

import copy
import itertools
import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pacbound.errors import ModelError
from pacbound.models.units import symmetry_of, unit_groups
from pacbound.subspace.layout import Layout

Forward = Callable[..., Tensor]


class Net(nn.Module):
    """Parts and a forward that is written where it is tested."""

    def __init__(self, run: Forward, **parts: nn.Module) -> None:
        super().__init__()
        for name, part in parts.items():
            setattr(self, name, part)
        self.run = run

    def forward(self, x: Tensor) -> Tensor:
        return self.run(self, x)


def dense(entering: int, leaving: int) -> nn.Linear:
    return nn.Linear(entering, leaving, bias=False)


def conv(entering: int, leaving: int, groups: int = 1) -> nn.Conv2d:
    return nn.Conv2d(entering, leaving, 1, groups=groups, bias=False)


def tried(module: nn.Module, shape: tuple[int, ...]) -> int:
    """How many permutations of the first two axes of all parameters leave the outputs as they are."""
    network = copy.deepcopy(module).double().eval()
    generator = torch.Generator().manual_seed(5)
    parameters = list(network.parameters())
    held = [torch.randn(p.shape, generator=generator, dtype=torch.float64) for p in parameters]
    x = torch.randn(5, *shape, generator=generator, dtype=torch.float64)

    def outputs(values: tuple[Tensor, ...]) -> Tensor:
        for parameter, value in zip(parameters, values, strict=True):
            parameter.data = value
        return network(x)

    with torch.no_grad():
        before = outputs(tuple(held))
        every = itertools.product(*map(reordered, held))
        return sum(float((outputs(values) - before).abs().max()) < 1e-9 for values in every)


def reordered(values: Tensor) -> list[Tensor]:
    """The values in every order of the first axis, and of the second where there is one."""
    found = [values]
    for axis, side in enumerate(values.shape[:2]):
        orders = [torch.tensor(order) for order in itertools.permutations(range(side))]
        found = [one.index_select(axis, order) for one in found for order in orders]
    return found


def order_of(module: nn.Module, shape: tuple[int, ...]) -> int:
    found = symmetry_of(module.eval(), Layout.of(module), torch.zeros(2, *shape))
    assert found.doubts == ()
    return math.prod(math.factorial(one.size) for one in (*found.units, *(block for block, _ in found.whole)))


def claimed(module: nn.Module, shape: tuple[int, ...]) -> int:
    """What the direct coder counts on."""
    groups = unit_groups(module.eval(), Layout.of(module), torch.zeros(2, *shape))
    return math.prod(math.factorial(group.size) for group in groups)


def option_a(net: Net, x: Tensor) -> Tensor:
    y = net.second(torch.tanh(net.first(x))) + F.pad(x, (0, 0, 0, 0, 1, 1))
    return net.head(torch.tanh(y).mean((2, 3)))


def halves(net: Net, x: Tensor) -> Tensor:
    h = net.a(x)
    return net.b(torch.cat([torch.tanh(h[:, :2]), h[:, 2:]], 1))


def twice(net: Net, x: Tensor) -> Tensor:
    h = net.a(x)
    return net.b(torch.tanh(h + F.pad(h[:, :1], (0, 2))))


def both_signs(net: Net, x: Tensor) -> Tensor:
    h = net.a(x)
    return net.b(torch.cat([torch.relu(h), torch.relu(-h)], 1))


def gate(net: Net, x: Tensor) -> Tensor:
    h = net.a(x)
    return net.b(h * torch.sigmoid(net.c(h.mean((2, 3), keepdim=True)))).flatten(1)


EXACT: dict[str, tuple[nn.Module, tuple[int, ...], int]] = {
    "chain": (nn.Sequential(dense(2, 3), nn.Tanh(), dense(3, 2), nn.Tanh(), dense(2, 1)), (2,), 12),
    "option A": (Net(option_a, first=conv(2, 2), second=conv(2, 4), head=dense(4, 1)), (2, 2, 2), 4),
    "view": (Net(lambda n, x: n.b(n.a(x).view(x.size(0), -1)), a=conv(1, 2), b=dense(4, 2)), (1, 1, 2), 2),
    "reshape": (Net(lambda n, x: n.b(n.a(x).reshape(-1, 4)), a=conv(1, 2), b=dense(4, 2)), (1, 1, 2), 2),
    "flatten": (Net(lambda n, x: n.b(torch.flatten(n.a(x), 1)), a=conv(1, 2), b=dense(4, 2)), (1, 1, 2), 2),
    "places first": (Net(lambda n, x: n.b(n.a(x).permute(0, 2, 3, 1).flatten(1)), a=conv(1, 2), b=dense(4, 2)),
                     (1, 1, 2), 2),
    "squeeze": (Net(lambda n, x: n.b(F.adaptive_avg_pool2d(n.a(x), 1).squeeze()), a=conv(1, 3), b=dense(3, 2)),
                (1, 2, 2), 6),
    "squeeze twice": (Net(lambda n, x: n.b(F.max_pool2d(n.a(x), 2).squeeze(-1).squeeze(-1)), a=conv(1, 3),
                          b=dense(3, 2)), (1, 2, 2), 6),
    "first place": (Net(lambda n, x: n.b(F.adaptive_avg_pool2d(n.a(x), 1)[:, :, 0, 0]), a=conv(1, 3), b=dense(3, 2)),
                    (1, 2, 2), 6),
    "concatenation": (Net(lambda n, x: n.c(torch.cat([n.a(x), torch.tanh(n.b(x))], 1)), a=dense(2, 2), b=dense(2, 2),
                          c=dense(4, 1)), (2,), 4),
    "both signs of one layer": (Net(both_signs, a=dense(2, 2), b=dense(4, 1)), (2,), 2),
    "activation on one half": (Net(halves, a=dense(2, 4), b=dense(4, 1)), (2,), 4),
    "one unit counted twice": (Net(twice, a=dense(2, 3), b=dense(3, 1)), (2,), 2),
    "product": (Net(lambda n, x: n.c(n.a(x) * n.b(x)), a=dense(2, 3), b=dense(2, 3), c=dense(3, 1)), (2,), 6),
    "gate": (Net(gate, a=conv(1, 3), c=conv(3, 3), b=conv(3, 1)), (1, 1, 1), 6),
    "depthwise": (nn.Sequential(conv(1, 3), nn.Tanh(), conv(3, 3, 3), nn.Tanh(), conv(3, 1), nn.Flatten()),
                  (1, 1, 1), 6),
    "depthwise with two each": (nn.Sequential(conv(1, 2), conv(2, 4, 2), nn.Tanh(), conv(4, 1)), (1, 1, 1), 8),
    "groups": (nn.Sequential(conv(2, 4, 2), nn.Tanh(), conv(4, 1)), (2, 1, 1), 4),
    "group norm": (nn.Sequential(conv(1, 4), nn.GroupNorm(2, 4, affine=False), nn.ReLU(), conv(4, 1)), (1, 2, 2), 8),
    "part of a layer norm": (Net(lambda n, x: n.b(n.norm(n.a(x))[:, :2]), a=dense(2, 4), b=dense(2, 1),
                                 norm=nn.LayerNorm(4, elementwise_affine=False)), (2,), 4),
    "rows become channels": (Net(lambda n, x: n.b(n.a(x).transpose(1, 2)), a=conv(1, 3), b=conv(3, 1)), (1, 3, 3), 1),
    "a sequence": (Net(lambda n, x: n.b(torch.tanh(n.a(x))).mean(1), a=dense(2, 3), b=dense(3, 2)), (3, 2), 6),
    "log softmax": (Net(lambda n, x: F.log_softmax(n.b(torch.tanh(n.a(x))), dim=1), a=dense(2, 3), b=dense(3, 2)),
                    (2,), 6),
    "constants": (Net(lambda n, x: n.b(torch.tanh(n.a(x)) * torch.tensor([1.0, 1.0, 2.0])), a=dense(2, 3),
                      b=dense(3, 1)), (2,), 2),
    "a shift of 1e-9": (Net(lambda n, x: n.b(torch.tanh(n.a(x)) + 1e-9 * torch.arange(3.0)), a=dense(2, 3),
                            b=dense(3, 1)), (2,), 1),
}  # fmt: skip


@pytest.mark.parametrize("name", EXACT)
def test_the_order_is_the_number_of_permutations_that_keep_the_function(name: str) -> None:
    module, shape, order = EXACT[name]
    assert order_of(module, shape) == order
    assert order % claimed(module, shape) == 0
    if name not in ("a shift of 1e-9", "option A"):  # the first is below what outputs show, the other takes long
        assert tried(module, shape) == order


def test_a_block_that_widens_by_zeros_has_the_orders_of_its_inner_and_new_channels() -> None:
    """2 -> 4 channels: 4! of the inner width, 2! of the new channels, whose shortcut is 0."""
    assert order_of(Net(option_a, first=conv(2, 4), second=conv(4, 4), head=dense(4, 3)), (2, 4, 4)) == 48


def test_columns_within_groups_count_though_no_axis_says_them() -> None:
    module = nn.Sequential(conv(1, 4), nn.Tanh(), conv(4, 4, 2), nn.Tanh(), conv(4, 1))
    assert order_of(module, (1, 1, 1)) == 2 * 2**2 * 2**2
    assert claimed(module, (1, 1, 1)) == 2**2  # what is read within a block has no axis of its own


def flipped(net: Net, x: Tensor) -> Tensor:
    h = net.a(x)
    return net.b(torch.stack([h[:, 0] + 2 * h[:, 1], h[:, 3] + 2 * h[:, 2]], 1).tanh())


def view_changed(net: Net, x: Tensor) -> Tensor:
    h = net.a(x)
    h[:, :1].mul_(3)
    return net.b(torch.tanh(h))


def changed_later(net: Net, x: Tensor) -> Tensor:
    h = net.a(x)
    kept = torch.tanh(h)
    h.mul_(torch.tensor([1.0, 2.0, 3.0]))
    return net.b(kept) + net.c(h)


def shared(net: Net, x: Tensor) -> Tensor:
    return net.b(torch.tanh(net.a(x[:, :2]))) + net.c(torch.tanh(net.a(x[:, 2:])))


def running_sum(net: Net, x: Tensor) -> Tensor:
    return net.b(torch.cumsum(net.a(x), 1))


DOUBTED: dict[str, tuple[nn.Module, tuple[int, ...]]] = {
    "units of a layer in two roles": (Net(flipped, a=dense(2, 4), b=dense(2, 1)), (2,)),
    "a view is changed": (Net(view_changed, a=dense(2, 3), b=dense(3, 1)), (2,)),
    "a tensor is changed after it was read": (Net(changed_later, a=dense(2, 3), b=dense(3, 1), c=dense(3, 1)), (2,)),
    "one layer twice": (Net(shared, a=dense(2, 2), b=dense(2, 1), c=dense(2, 1)), (4,)),
    "a running sum": (Net(running_sum, a=dense(2, 3), b=dense(3, 1)), (2,)),
    "groups across groups": (nn.Sequential(conv(2, 4, 2), nn.ChannelShuffle(2), conv(4, 2, 2), conv(2, 1)), (2, 1, 1)),
}  # fmt: skip


@pytest.mark.parametrize("name", DOUBTED)
def test_where_there_may_be_more_it_is_said_and_nothing_wrong_is_claimed(name: str) -> None:
    module, shape = DOUBTED[name]
    assert symmetry_of(module.eval(), Layout.of(module), torch.zeros(2, *shape)).doubts
    assert tried(module, shape) % claimed(module, shape) == 0


def chain() -> nn.Sequential:
    return nn.Sequential(dense(3, 4), nn.ReLU(), dense(4, 2))


def hooked(scale: Tensor) -> nn.Module:
    module = chain()
    module[1].register_forward_hook(lambda _module, _inputs, out: out * scale)
    return module


def hooked_outside() -> nn.Module:
    module = chain()
    module.register_forward_hook(lambda _module, inputs, out: out + inputs[0].sum(1, keepdim=True))
    return module


def replaced() -> nn.Module:
    module = chain()
    module[1].forward = lambda x: x.relu() * torch.tensor([1.0, 1.0, 1.0, 1.0 + 1e-9])
    return module


class Masked(nn.Linear):
    """A layer of torch by its class, not by what it computes."""

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight) * 2 ** torch.arange(4.0)


@pytest.mark.parametrize(
    "module",
    [
        hooked(torch.arange(1.0, 5.0)), hooked(1 + 1e-9 * torch.arange(4.0)), hooked_outside(), replaced(),
        nn.Sequential(Masked(3, 4, bias=False), nn.ReLU(), dense(4, 2)),
        Net(lambda n, x: n.b(F.dropout(n.a(x))), a=dense(3, 4), b=dense(4, 2)),
        Net(lambda n, x: n.b(n.a(x)) if x.sum() > 0 else n.b(-n.a(x)), a=dense(3, 4), b=dense(4, 2)),
    ],
    ids=["hook", "hook below rounding", "hook on the network", "forward replaced", "subclass", "dropout", "branches"],
)  # fmt: skip
def test_nothing_is_claimed_where_modules_do_what_nobody_sees(module: nn.Module) -> None:
    assert claimed(module, (3,)) == 1


@pytest.mark.parametrize(
    "prepared",
    [
        lambda x: x.float() / 255,
        lambda x: x.to(torch.float32),
        lambda x: x @ torch.eye(3),
        lambda x: x.half().float(),
        lambda x: x - torch.full((3,), 0.5),
    ],
)
def test_a_network_that_casts_is_followed_in_its_own_dtype(prepared: Callable[[Tensor], Tensor]) -> None:
    assert claimed(Net(lambda n, x: n.b(torch.relu(n.a(prepared(x)))), a=dense(3, 4), b=dense(4, 2)), (3,)) == 24


def test_a_network_that_does_not_run_is_a_refusal_with_its_reason() -> None:
    with pytest.raises(ModelError, match="cannot be multiplied"):
        symmetry_of(chain(), Layout.of(chain()), torch.zeros(2, 7))
