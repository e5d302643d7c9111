"""Covering numbers and symmetry groups against worked numbers, enumeration and permuted networks."""

import itertools
import math
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from pacbound.bounds.occam import occam_hoeffding
from pacbound.errors import BoundError, ModelError
from pacbound.measures.covering.covering import family_of, measure_covering
from pacbound.measures.covering.covers import (
    Family,
    Units,
    cover_nats,
    covering_risk,
    log_volume_nats,
    mlp_family,
    modulus,
    published_nats,
    published_shallow_nats,
)
from pacbound.measures.covering.symmetry import (
    SymmetryGroup,
    attention_group,
    conv_group,
    group_of,
    grouped_group,
    mlp_group,
    residual_group,
)
from pacbound.measures.layers.layers import layers_of
from pacbound.models.reference import build


@pytest.mark.parametrize(("widths", "value"), [((2, 3, 1), 19), ((10, 50, 1), 1101), ((784, 300, 100, 10), 70650201)])
def test_the_modulus_is_the_worked_number(widths: tuple[int, ...], value: int) -> None:
    assert modulus(mlp_family(widths)) == value


COUNTS = [
    ((2, 3, 1), 0.1, 75.480339, 66.435274, 68.211313, 114.511113, 91.983830, 1e-6),
    ((10, 50, 1), 0.1, 5861.484, 5444.876, 5593.242, 7886.426, 6361.336, 1e-3),
]


@pytest.mark.parametrize(("widths", "eps", "volume", "discrete", "plain", "deep", "shallow", "digits"), COUNTS)
def test_covering_numbers_are_the_worked_ones(
    widths: tuple[int, ...],
    eps: float,
    volume: float,
    discrete: float,
    plain: float,
    deep: float,
    shallow: float,
    digits: float,
) -> None:
    found = cover_nats(mlp_family(widths), eps)
    assert found.volume == pytest.approx(volume, abs=digits)
    assert found.sorted_grid == pytest.approx(discrete, abs=digits)
    assert found.grid == pytest.approx(plain, abs=digits)
    assert found.neurons is not None
    assert found.value == found.neurons < found.sorted_grid
    assert published_nats(widths, eps) == pytest.approx(deep, abs=digits)
    assert published_shallow_nats(widths[0], widths[1], eps) == pytest.approx(shallow, abs=digits)


@pytest.mark.parametrize(("eps", "nats", "gap"), [(0.005, 7245.204989, 0.255767518), (0.05, 5861.401375, 0.321065547)])
def test_the_risk_bound_is_the_worked_number(eps: float, nats: float, gap: float) -> None:
    found = cover_nats(mlp_family((10, 50, 1)), eps).sorted_grid
    assert found == pytest.approx(nats, abs=1e-6)
    assert covering_risk(0, 60000, found, eps, 1.0, 0.05).value == pytest.approx(gap, abs=1e-9)
    assert covering_risk(600, 60000, found, eps, 1.0, 0.05, 3.0).value == pytest.approx(
        0.01 + 2 * eps + math.sqrt((found + 3 + math.log(20)) / 120000)
    )


def forward(theta: Tensor, widths: tuple[int, ...], x: Tensor) -> Tensor:
    """A ReLU network (count, parameters) at points (points, inputs), written out."""
    at, value = 0, x.expand(len(theta), *x.shape)
    for layer, (before, after) in enumerate(itertools.pairwise(widths)):
        weight = theta[:, at : at + before * after].reshape(-1, after, before)
        at += before * after
        value = value @ weight.mT + theta[:, None, at : at + after]
        at += after
        value = value if layer == len(widths) - 2 else value.relu()
    return value


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([(2, 3, 1), (1, 2, 2, 2), (3, 4, 3, 2)]), st.floats(0.2, 2))
def test_parameters_that_are_close_give_functions_that_are_close(
    seed: int, widths: tuple[int, ...], bound: float
) -> None:
    family = mlp_family(widths, bound)
    generator = torch.Generator().manual_seed(seed)
    theta, moved = (
        bound * (2 * torch.rand(50, family.parameters, dtype=torch.float64, generator=generator) - 1) for _ in range(2)
    )
    near = theta + 0.01 * (moved - theta)
    x = 2 * torch.rand(200, widths[0], dtype=torch.float64, generator=generator) - 1
    apart = (forward(theta, widths, x) - forward(near, widths, x)).abs().amax(dim=(1, 2))
    allowed = float(modulus(family)) * (theta - near).abs().amax(dim=1)
    assert bool((apart <= allowed).all())


def test_the_modulus_is_attained_to_first_order() -> None:
    theta, widths = torch.ones(1, 13, dtype=torch.float64), (2, 3, 1)
    near = theta - 1e-7
    x = torch.ones(1, 2, dtype=torch.float64)
    apart = float((forward(theta, widths, x) - forward(near, widths, x)).abs())
    assert apart == pytest.approx(19e-7, rel=1e-5)


def test_sorted_biases_are_the_multisets_that_enumeration_finds() -> None:
    family = mlp_family((1, 3, 2, 1))
    eps = float(modulus(family)) / 3.5  # r = 1 / 3.5: 4 cells
    cells, total = 4, family.parameters
    assert total == 6 + 8 + 3
    sorted_biases = [len(list(itertools.combinations_with_replacement(range(cells), units))) for units in (3, 2)]
    by_hand = (total - 5) * math.log(cells) + math.log(math.prod(sorted_biases))
    found = cover_nats(family, eps)
    assert found.sorted_grid == pytest.approx(by_hand, abs=1e-12)
    assert found.sorted_grid >= by_hand
    assert found.grid == pytest.approx(total * math.log(cells), abs=1e-12)
    assert found.neurons is None


def test_whole_units_are_the_multisets_that_enumeration_finds() -> None:
    family = mlp_family((1, 2, 1))
    found = cover_nats(family, float(modulus(family)) / 2.5)  # 3 cells, a unit has 3 numbers
    states = len(list(itertools.combinations_with_replacement(range(3**3), 2)))
    assert found.neurons == pytest.approx(math.log(states * 3), abs=1e-12)
    assert math.comb(8 + 2, 3) == 120 >= 8**3 / mlp_group((3, 3, 1)).order  # three units of 2^3 states, 85.33


def test_every_network_of_a_family_with_bounded_rows_is_near_a_grid_point() -> None:
    """Round a bounded network to cell centres: the functions stay within eps."""
    widths, eps, row = (3, 4, 1), 0.5, 0.8
    family = Family((Units(4, 3, row_bound=row), Units(1, 4, row_bound=row)))
    bounded, free = modulus(family), modulus(mlp_family(widths))
    assert bounded < free
    generator = torch.Generator().manual_seed(0)
    theta = 2 * torch.rand(300, family.parameters, dtype=torch.float64, generator=generator) - 1
    for at, rows, width in ((0, 4, 3), (16, 1, 4)):
        weights = theta[:, at : at + rows * width].reshape(-1, rows, width)
        sums = weights.abs().sum(dim=2, keepdim=True)
        theta[:, at : at + rows * width] = (weights * (row / sums).clamp(max=1)).reshape(300, -1)
    cells = round(math.exp(cover_nats(family, eps).grid / family.parameters))
    centres = -1 + (2 * torch.arange(cells, dtype=torch.float64) + 1) / cells
    rounded = centres[((theta + 1) / 2 * cells).long().clamp(0, cells - 1)]
    x = 2 * torch.rand(300, 3, dtype=torch.float64, generator=generator) - 1
    assert float((forward(theta, widths, x) - forward(rounded, widths, x)).abs().max()) <= eps
    assert cells < 1 / (eps / float(free))


def test_volume_and_its_loss_to_permutations() -> None:
    assert log_volume_nats(mlp_family((10, 50, 1), 1.5)) == pytest.approx(601 * math.log(3) - 148.477767, abs=1e-6)


@pytest.mark.parametrize(
    "call",
    [
        lambda: cover_nats(mlp_family((2, 3, 1)), 0.0),
        lambda: mlp_family((2, 3, 1), bound=math.inf),
        lambda: Family(()),
        lambda: Family((Units(0, 3),)),
        lambda: covering_risk(-1, 10, 1.0, 0.1, 1.0, 0.05),
        lambda: covering_risk(11, 10, 1.0, 0.1, 1.0, 0.05),
        lambda: covering_risk(1, 10, 1.0, math.nan, 1.0, 0.05),
        lambda: covering_risk(1, 10, 1.0, 0.1, 1.0, 1.0),
    ],
)
def test_numbers_outside_the_ranges_are_refused(call: object) -> None:
    with pytest.raises(BoundError):
        call()  # type: ignore[operator]


VGG = (64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512)
RESNET18 = residual_group((64, 128, 256, 512), [width for width in (64, 128, 256, 512) for _ in range(2)])


@pytest.mark.parametrize(
    ("group", "bits"),
    [
        (mlp_group((1, 10, 1)), 21.791),
        (mlp_group((1, 100, 1)), 524.765),
        (mlp_group((784, 300, 100, 10)), 2566.043),
        (conv_group((6, 16)) * mlp_group((256, 120, 84, 10)), 1134.517),
        (mlp_group((1, 1024, 1024, 1024, 1)), 26307.018),
        (conv_group(VGG) * mlp_group((512, 512, 512, 10)), 38077.632),
        (RESNET18, 19713.958),
        (attention_group(12, 768, 12, 64, 3072), 484253.974),
    ],
)
def test_orders_of_known_architectures(group: SymmetryGroup, bits: float) -> None:
    assert group.log2_order == pytest.approx(bits, abs=1e-3)
    assert group.whole_bits == math.floor(bits)


def test_what_the_saving_of_a_known_network_is_worth_in_risk() -> None:
    saved = mlp_group((784, 300, 100, 10)).whole_bits
    slacks = [occam_hoeffding(0, 60000, bits, 0.05).value for bits in (10000, 10000 - saved)]
    assert slacks == pytest.approx([0.240390, 0.207280], abs=2e-6)  # 2566 whole bits of 2566.04


def test_sign_flips_and_option_a_and_rotary_positions() -> None:
    assert mlp_group((2, 3, 4, 1), odd=True).order == 6 * 24 * 2**7
    assert residual_group((2, 4, 7), (3,), projected=False).order == 2 * 2 * 6 * 6
    assert residual_group((2, 4, 7), (3,)).order == 2 * 24 * 5040 * 6
    assert attention_group(1, 2, 2, 3, 4, rotary=True).order == 24 * 2 * 6**2 * 2 * 2 ** (2 * 3)
    assert attention_group(12, 768, 12, 64, 3072).signs == 18432


def test_grouped_layers_move_groups_whole() -> None:
    assert grouped_group(6, 4, 2).order == 2 * 6**2 * 2**2
    assert grouped_group(8, 8, 8).order == math.factorial(8)
    with pytest.raises(ModelError, match="divide"):
        grouped_group(6, 4, 4)


@pytest.mark.parametrize(("grid", "orbits"), [(2, 84), (3, 1782)])
def test_the_group_of_a_small_network_has_the_orbits_that_enumeration_finds(grid: int, orbits: int) -> None:
    """1-2-2-1 without biases: 8 numbers, two swaps."""
    seen: set[tuple[int, ...]] = set()
    largest = count = 0
    for theta in itertools.product(range(grid), repeat=8):
        if theta in seen:
            continue
        a, (b, c), d = theta[:2], (theta[2:4], theta[4:6]), theta[6:]
        orbit = set()
        for swap1, swap2 in itertools.product((False, True), repeat=2):
            first = a[::-1] if swap1 else a
            rows = [row[::-1] if swap1 else row for row in (b, c)]
            rows, last = (rows[::-1], d[::-1]) if swap2 else (rows, d)
            orbit.add((*first, *rows[0], *rows[1], *last))
        seen |= orbit
        count, largest = count + 1, max(largest, len(orbit))
    assert count == orbits
    order = mlp_group((1, 2, 2, 1)).order
    assert largest == order
    assert count >= grid**8 / order


class Residual(nn.Module):
    def __init__(self, projected: bool = False) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, 5, 3, padding=1)
        self.inner = nn.Conv2d(5, 4, 3, padding=1)
        self.back = nn.Conv2d(4, 5 + 2 * projected, 1)
        self.side = nn.Conv2d(5, 7, 1) if projected else nn.Identity()
        self.head = nn.Linear((5 + 2 * projected) * 9, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.stem(x))
        x = torch.relu(self.back(torch.relu(self.inner(x))) + self.side(x))
        return self.head(torch.flatten(x, 1))


def test_a_residual_stream_shares_one_permutation() -> None:
    x = torch.zeros(1, 1, 3, 3)
    assert group_of(Residual(), x).order == math.factorial(5) * math.factorial(4)
    assert group_of(Residual(True), x).order == math.factorial(5) * math.factorial(4) * math.factorial(7)


def test_a_permuted_residual_network_is_the_same_function() -> None:
    network = Residual()
    x = torch.randn(6, 1, 3, 3, generator=torch.Generator().manual_seed(0))
    before = network(x).detach()
    order, inner = torch.tensor([3, 0, 4, 1, 2]), torch.tensor([1, 3, 0, 2])
    with torch.no_grad():
        for name in ("stem", "back"):  # both write to the stream: one permutation
            layer = getattr(network, name)
            layer.weight.copy_(layer.weight[order].clone())
            layer.bias.copy_(layer.bias[order].clone())
        network.inner.weight.copy_(network.inner.weight[:, order][inner].clone())
        network.inner.bias.copy_(network.inner.bias[inner].clone())
        network.back.weight.copy_(network.back.weight[:, inner].clone())
        network.head.weight.copy_(network.head.weight.reshape(2, 5, 9)[:, order].reshape(2, 45).clone())
    assert torch.allclose(network(x), before, atol=1e-5)


def test_a_grouped_layer_that_writes_to_a_stream_keeps_its_channels_in_their_groups() -> None:
    class Grouped(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem, self.back = nn.Conv2d(2, 4, 1, groups=2), nn.Conv2d(4, 4, 1)
            self.head = nn.Conv2d(4, 2, 1)

        def forward(self, x: Tensor) -> Tensor:
            x = self.stem(x)
            return self.head(torch.relu(x + self.back(x)))

    assert group_of(Grouped(), torch.zeros(1, 2, 3, 3)).order == 2 * 2  # within what one input channel feeds


def test_groups_are_read_off_convolutions() -> None:
    network = nn.Sequential(
        nn.Conv2d(1, 8, 1), nn.ReLU(), nn.Conv2d(8, 8, 3, groups=8), nn.ReLU(), nn.Conv2d(8, 6, 1), nn.ReLU(),
        nn.Conv2d(6, 4, 1, groups=2), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 4, 3),
    )  # fmt: skip
    by_hand = math.factorial(8) * (2 * 6**2 * 2**2)
    assert group_of(network, torch.zeros(1, 1, 4, 4)).order == by_hand


def small(bias: bool = True) -> nn.Sequential:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return nn.Sequential(nn.Flatten(), nn.Linear(4, 5, bias=bias), nn.ReLU(), nn.Linear(5, 3, bias=bias))


def read_family(network: nn.Module, x: Tensor, reach: float) -> Family:
    return family_of(layers_of(network, x), reach, group_of(network, x))


def test_the_family_of_a_network_holds_it() -> None:
    network = small()
    family = read_family(network, torch.zeros(1, 1, 2, 2), 2.0)
    largest = max(float(p.detach().abs().max()) for p in network.parameters())
    assert largest <= family.bound <= largest * 1.2
    for units, layer in zip(family.layers, (network[1], network[3]), strict=True):
        rows = float(layer.weight.detach().abs().sum(dim=1).max())
        assert units.row_bound is not None
        assert rows <= units.row_bound <= rows * 1.2
        assert (units.units, units.fan_in) == tuple(layer.weight.shape)
    assert family.parameters == sum(p.numel() for p in network.parameters())


def test_measures_are_named_and_only_the_published_forms_are_unverified() -> None:
    x = torch.ones(3, 1, 2, 2)
    found = {one.name: one for one in measure_covering(small(), x[:1], (x, torch.zeros(3, dtype=torch.int64)))}
    assert set(found) == {
        "covering", "covering_ordered", "covering_published", "covering_symmetry", "covering_volume", "covering_sample",
        "covering_bartlett_2017",
    }  # fmt: skip
    assert {name for name, one in found.items() if not one.verified} == {"covering_published", "covering_bartlett_2017"}
    assert found["covering_symmetry"].value == math.floor(math.log2(120))
    family = read_family(small(), x[:1], 1.0)
    assert found["covering"].value == pytest.approx(cover_nats(family, 0.1).value / math.log(2))
    assert found["covering"].value < found["covering_ordered"].value < found["covering_published"].value


def test_a_mean_over_places_counts_as_one_in_the_maximum_norm() -> None:
    mean = nn.AdaptiveAvgPool2d(1)
    network = nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.ReLU(), mean, nn.Flatten(), nn.Linear(2, 2))
    family = read_family(network, torch.zeros(1, 1, 4, 4), 1.0)
    assert family.layers[0].lipschitz == pytest.approx(1.0)


class Moved(nn.Module):
    """Two convolutions on square maps, or one and a dense layer, with an operation between them."""

    def __init__(self, between: Callable[[Tensor], Tensor], last: nn.Module) -> None:
        super().__init__()
        self.first, self.between, self.last = nn.Conv2d(1, 4, 3, padding=1), between, last

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.between(torch.relu(self.first(x))))


@pytest.mark.parametrize(
    ("between", "last", "order"),
    [
        (nn.functional.silu, nn.Conv2d(4, 2, 3), 24),
        (lambda x: x.transpose(1, 2), nn.Conv2d(4, 2, 3), 1),  # rows are channels now
        (lambda x: x.reshape(-1, 8, 4, 2), nn.Conv2d(8, 2, 1), 24),  # two of the new channels are one of the old
        (lambda x: nn.functional.channel_shuffle(x, 2), nn.Conv2d(4, 2, 3, groups=2), 4),
        (lambda x: x.transpose(1, 3).flatten(1), nn.Linear(64, 2), 24),  # a dense layer reads in any order
        (lambda x: x.view(-1, 64), nn.Linear(64, 2), 24),
        (lambda x: x[:, 1:3].flatten(1), nn.Linear(32, 2), 4),  # two units are read and two are not
        (lambda x: x[:, :, 1:3].flatten(1), nn.Linear(32, 2), 24),
    ],
)
def test_what_moves_entries_between_channels_ends_the_symmetry(
    between: Callable[[Tensor], Tensor], last: nn.Module, order: int
) -> None:
    network, x = Moved(between, last), torch.zeros(1, 1, 4, 4)
    assert group_of(network, x).order == order
    layers = layers_of(network, x)
    if not layers.refusal:
        assert read_family(network, x, 1.0).layers[0].exchangeable == (order == 24)


def test_two_grouped_layers_with_a_shuffle_between_do_not_keep_permutations_within_groups() -> None:
    def order(*between: nn.Module) -> int:
        network = nn.Sequential(
            nn.Conv2d(2, 8, 1, groups=2), *between, nn.Conv2d(8, 8, 1, groups=2), nn.Conv2d(8, 2, 1)
        )  # fmt: skip
        return group_of(network, torch.zeros(1, 2, 3, 3)).order

    assert order(nn.ReLU()) == 24**2 * 24**2
    with pytest.raises(ModelError, match="cross"):
        order(nn.ChannelShuffle(2))


def test_residual_networks_have_a_group_and_no_count() -> None:
    found = measure_covering(Residual(), torch.zeros(1, 1, 3, 3))
    assert [one.name for one in found] == ["covering_symmetry"]
    with pytest.raises(ModelError, match="residual"):
        read_family(Residual(), torch.zeros(1, 1, 3, 3), 1.0)


def test_a_step_that_nobody_follows_is_refused_by_name() -> None:
    class Summed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.last = nn.Linear(4, 3), nn.Linear(3, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.last(torch.cumsum(self.first(x), 1))

    with pytest.raises(ModelError, match="cumsum"):
        measure_covering(Summed(), torch.zeros(1, 4))


def test_zeros_that_widen_a_residual_network_do_not_hide_its_channels() -> None:
    found = group_of(build("resnet20-bn", (3, 8, 8), 10), torch.zeros(2, 3, 8, 8))
    inner = [width for width in (16, 32, 64) for _ in range(3)]
    assert found.log2_order == pytest.approx(1579.89, abs=0.01)
    assert found.log2_order == pytest.approx(residual_group((16, 32, 64), inner, projected=False).log2_order)


@pytest.mark.parametrize(
    "joined",
    [
        lambda x: x.view(x.size(0), -1),
        lambda x: x.view(-1, 7),
        lambda x: x.reshape(x.shape[0], 7),
        lambda x: x.squeeze(),
        lambda x: x.flatten(1),
        lambda x: torch.squeeze(x, 3).squeeze(2),
        lambda x: x[:, :, 0, 0],
    ],
)
def test_ways_to_join_pooled_channels_to_a_head_keep_the_last_group(joined: Callable[[Tensor], Tensor]) -> None:
    class Pooled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.side = nn.Conv2d(1, 2, 3), nn.Conv2d(2, 7, 1)
            self.inner, self.back, self.head = nn.Conv2d(2, 3, 1), nn.Conv2d(3, 7, 1), nn.Linear(7, 3)

        def forward(self, x: Tensor) -> Tensor:
            x = torch.relu(self.first(x))
            x = torch.relu(self.back(torch.relu(self.inner(x))) + self.side(x))
            return self.head(joined(nn.functional.adaptive_avg_pool2d(x, 1)))

    assert group_of(Pooled(), torch.zeros(1, 1, 5, 5)).order == 2 * math.factorial(3) * math.factorial(7)


def test_trained_statistics_move_along_where_scale_and_shift_can_say_the_same() -> None:
    def network(affine: bool) -> nn.Sequential:
        module = nn.Sequential(nn.Linear(2, 4), nn.BatchNorm1d(4, affine=affine), nn.ReLU(), nn.Linear(4, 2)).eval()
        module[1].running_mean.copy_(torch.arange(4.0))
        return module

    assert group_of(network(True), torch.zeros(1, 2)).order == 24
    assert group_of(network(False), torch.zeros(1, 2)).order == 1


def test_normalised_channels_move_within_their_group_and_groups_move_whole() -> None:
    network = nn.Sequential(nn.Conv2d(1, 6, 3), nn.GroupNorm(2, 6), nn.Flatten(), nn.Linear(24, 2))
    (found,) = measure_covering(network, torch.zeros(1, 1, 4, 4))
    assert found.value == math.floor(math.log2(2 * 6**2))


def test_the_modulus_by_hand_for_a_smaller_range() -> None:
    # lam_1 = 2 * 1 + 1 = 3, M_1 = 1/2 (2 + 1) = 3/2, Lambda = 1/2 * 3 * 3 + 3 * 3/2 + 1
    assert modulus(mlp_family((2, 3, 1), bound=0.5)) == 10
