import math
from collections import OrderedDict
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from pacbound.errors import ModelError
from pacbound.measures.redundancy.designs import Design, designs_of

IMAGE = torch.zeros(1, 3, 8, 8)


def point(before: int, after: int, groups: int = 1) -> nn.Conv2d:
    return nn.Conv2d(before, after, 1, groups=groups)


def three(before: int, after: int, groups: int = 1) -> nn.Conv2d:
    return nn.Conv2d(before, after, 3, padding=1, groups=groups)


def norm_act(channels: int) -> tuple[nn.Module, nn.Module]:
    return nn.BatchNorm2d(channels), nn.ReLU()


def bottleneck(channels: int, inner: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        point(channels, inner), *norm_act(inner), three(inner, inner), *norm_act(inner), point(inner, outputs)
    )


def separable(channels: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(three(channels, channels, channels), *norm_act(channels), point(channels, outputs))


def inverted(channels: int, factor: int, outputs: int) -> nn.Sequential:
    wide = factor * channels
    return nn.Sequential(
        point(channels, wide), *norm_act(wide), three(wide, wide, wide), *norm_act(wide), point(wide, outputs)
    )


def funnel(channels: int, inner: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(point(channels, inner), *norm_act(inner), three(inner, outputs))


class Ghost(nn.Module):
    def __init__(self, channels: int, outputs: int, s: int) -> None:
        super().__init__()
        few = outputs // s
        self.primary = nn.Sequential(point(channels, few), nn.BatchNorm2d(few), nn.ReLU())
        self.cheap = nn.Sequential(three(few, few * (s - 1), few), nn.BatchNorm2d(few * (s - 1)), nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        first = self.primary(x)
        return torch.cat([first, self.cheap(first)], dim=1)


class Shuffle(nn.Module):
    """Channels dealt out between groups, by views as published."""

    def forward(self, x: Tensor) -> Tensor:
        n, c, h, w = x.shape
        return x.view(n, 4, c // 4, h, w).transpose(1, 2).contiguous().view(n, c, h, w)


def shuffled(channels: int, inner: int) -> nn.Sequential:
    return nn.Sequential(
        point(channels, inner, 4), *norm_act(inner), Shuffle(), three(inner, inner, inner), nn.BatchNorm2d(inner),
        point(inner, channels, 4),
    )  # fmt: skip


class Excited(nn.Module):
    """MobileNetV3's block: a gate on the wide map."""

    def __init__(self, channels: int, wide: int) -> None:
        super().__init__()
        self.widen, self.depth, self.narrow = point(channels, wide), three(wide, wide, wide), point(wide, channels)
        self.squeeze, self.excite = point(wide, 2), point(2, wide)

    def forward(self, x: Tensor) -> Tensor:
        y = torch.relu(self.depth(torch.relu(self.widen(x))))
        gate = torch.sigmoid(self.excite(torch.relu(self.squeeze(y.mean((2, 3), keepdim=True)))))
        return x + self.narrow(y * gate)


class Residual(nn.Module):
    def __init__(self, body: nn.Module, shortcut: nn.Module | None = None) -> None:
        super().__init__()
        self.body, self.shortcut = body, shortcut or nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.body(x) + self.shortcut(x))


def network(block: nn.Module, channels: int, outputs: int) -> nn.Module:
    return nn.Sequential(
        OrderedDict(
            stem=three(3, channels), act=nn.ReLU(), pool=nn.MaxPool2d(2), block=block, last=nn.ReLU(),
            mean=nn.AdaptiveAvgPool2d(1), flat=nn.Flatten(), readout=nn.Linear(outputs, 10),
        )
    )  # fmt: skip


CASES: list[tuple[str, Callable[[], nn.Module], int, int, int, int]] = [
    # kind, block, channels in, K, R, layers
    ("bottleneck", lambda: bottleneck(256, 64, 256), 256, 256, 64, 3),
    ("bottleneck", lambda: bottleneck(64, 64, 64), 64, 64, 64, 3),
    ("depthwise_separable", lambda: separable(512, 512), 512, 512, 512, 2),
    ("depthwise_separable", lambda: separable(32, 64), 32, 64, 32, 2),
    ("inverted_bottleneck", lambda: inverted(24, 6, 24), 24, 24, 144, 3),
    ("funnel", lambda: funnel(64, 16, 64), 64, 64, 64, 2),
    ("ghost", lambda: Ghost(16, 32, 2), 16, 32, 16, 2),
    ("ghost", lambda: Ghost(16, 32, 8), 16, 32, 4, 2),
    ("shuffle", lambda: shuffled(64, 16), 64, 64, 16, 3),
    ("grouped_bottleneck", lambda: nn.Sequential(point(64, 32), three(32, 32, 8), point(32, 64)), 64, 64, 32, 3),
    ("grouped_separable", lambda: nn.Sequential(three(16, 16, 4), point(16, 32)), 16, 32, 16, 2),
    ("grouped", lambda: three(16, 64, 8), 16, 64, 64, 1),
    ("depthwise", lambda: three(16, 16, 16), 16, 16, 16, 1),
    ("plain", lambda: three(16, 32), 16, 32, 32, 1),
    ("plain", lambda: point(16, 64), 16, 64, 16, 1),
    ("factored", lambda: nn.Sequential(three(16, 8), point(8, 32)), 16, 32, 8, 2),
]  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "block", "channels", "outputs", "rank", "length"), CASES, ids=[f"{c[0]}-{c[3]}-{c[4]}" for c in CASES]
)
def test_each_design_is_recognised_with_its_ratio(
    kind: str, block: Callable[[], nn.Module], channels: int, outputs: int, rank: int, length: int
) -> None:
    stem, found = designs_of(network(block(), channels, outputs), IMAGE)
    assert (found.kind, found.outputs, found.rank, len(found.layers)) == (kind, outputs, rank, length)
    assert found.ratio == pytest.approx(outputs / rank)
    assert found.places == 10  # the weights by which the readout reads one channel
    assert all(name.startswith("block") for name in found.layers)
    assert (stem.kind, stem.name) == ("plain", "stem")


def test_the_published_ratios() -> None:
    def ratio(block: nn.Module, channels: int, outputs: int) -> float:
        return designs_of(network(block, channels, outputs), IMAGE)[1].ratio

    assert ratio(bottleneck(64, 64, 256), 64, 256) == 4  # the first of ResNet-50
    assert ratio(separable(512, 512), 512, 512) == 1
    assert ratio(inverted(24, 6, 24), 24, 24) == pytest.approx(0.1667, abs=1e-4)
    assert ratio(Ghost(16, 32, 2), 16, 32) == 2


@pytest.mark.parametrize("case", [c for c in CASES if c[0] not in ("ghost", "shuffle", "inverted_bottleneck")])
def test_no_block_has_a_larger_rank_than_stated(
    case: tuple[str, Callable[[], nn.Module], int, int, int, int],
) -> None:
    """Without norms and activations, a block of 1x1 mixers has a kernel whose rank along outputs is min(K, R)."""
    _, block, channels, outputs, rank, _ = case
    layers = [m for m in block().modules() if isinstance(m, nn.Conv2d)]
    linear = nn.Sequential(*(nn.Conv2d(m.in_channels, m.out_channels, m.kernel_size, padding=m.padding, groups=m.groups,
                                       bias=False) for m in layers)).double()  # fmt: skip
    torch.manual_seed(0)
    x = torch.randn(16, channels, 6, 6, dtype=torch.float64)  # at more places than the widest block has outputs
    y = linear(x).transpose(0, 1).reshape(outputs, -1)
    assert int(torch.linalg.matrix_rank(y)) == min(outputs, rank)


def kinds(model: nn.Module) -> list[tuple[str, str]]:
    return [(d.kind, d.name) for d in designs_of(model, IMAGE)]


def test_blocks_that_follow_each_other_are_told_apart() -> None:
    body = nn.Sequential(separable(8, 16), nn.ReLU(), separable(16, 32), nn.ReLU(), inverted(32, 2, 32))
    assert [k for k, _ in kinds(network(body, 8, 32))][1:] == [
        "depthwise_separable", "depthwise_separable", "inverted_bottleneck"
    ]  # fmt: skip
    body = nn.Sequential(funnel(32, 8, 32), nn.ReLU(), funnel(32, 8, 32))
    assert [k for k, _ in kinds(network(body, 32, 32))][1:] == ["funnel", "funnel"]
    flat = [m for block in (separable(8, 16), inverted(16, 2, 16), inverted(16, 2, 16)) for m in block]
    assert [k for k, _ in kinds(network(nn.Sequential(*flat), 8, 16))][1:] == [
        "depthwise_separable", "inverted_bottleneck", "inverted_bottleneck"
    ]  # fmt: skip
    body = nn.Sequential(three(8, 32), nn.ReLU(), funnel(32, 8, 32))
    assert [k for k, _ in kinds(network(body, 8, 32))][1:] == ["plain", "funnel"]


def test_what_follows_decides_where_the_order_of_layers_leaves_a_choice() -> None:
    fused = [nn.Sequential(three(16, 32), nn.ReLU(), point(32, 16)) for _ in range(2)]
    assert [k for k, _ in kinds(network(nn.Sequential(*fused), 16, 16))][1:] == ["factored", "factored"]
    stem = [three(16, 16), nn.ReLU(), nn.Sequential(point(16, 16), three(16, 16), point(16, 16))]
    assert [k for k, _ in kinds(network(nn.Sequential(*stem), 16, 16))][1:] == ["plain", "bottleneck"]


class Wrapped(nn.Module):
    def __init__(self, *parts: nn.Module) -> None:
        super().__init__()
        self.parts = nn.ModuleList(parts)

    def forward(self, x: Tensor) -> Tensor:
        for part in self.parts:
            x = part(x)
        return x


@pytest.mark.parametrize(
    "make",
    [
        lambda: [three(3, 64), nn.ReLU(), point(64, 16), point(16, 64)],
        lambda: [three(3, 16), nn.ReLU(), three(16, 32), nn.ReLU(), point(32, 16), three(16, 32), nn.ReLU(),
                 point(32, 16)],
        lambda: [three(3, 8), *separable(8, 16), *separable(16, 32), *inverted(32, 2, 32), *bottleneck(32, 8, 32)],
        lambda: [nn.Linear(6, 20), nn.ReLU(), nn.Linear(20, 4), nn.Linear(4, 20)],
    ],
)  # fmt: skip
def test_wrapping_changes_nothing(make: Callable[[], list[nn.Module]]) -> None:
    layers = make()
    image = torch.zeros(1, 6) if isinstance(layers[0], nn.Linear) else IMAGE
    ends = [nn.ReLU(), nn.Flatten(), nn.LazyLinear(5)]

    nn.Sequential(*layers, *ends)(image)  # says how many numbers the last layer reads

    def told(*parts: nn.Module) -> list[tuple[str, float, tuple[int, int] | None]]:
        net = nn.Sequential(*parts, *ends)
        return [(d.kind, d.ratio, d.gauge) for d in designs_of(net.eval(), image)]

    plain = told(*layers)
    for cut in range(1, len(layers)):
        assert told(nn.Sequential(*layers[:cut]), Wrapped(*layers[cut:])) == plain
        assert told(*layers[:cut], Wrapped(nn.Sequential(*layers[cut : cut + 2])), *layers[cut + 2 :]) == plain


def test_a_pair_of_factors_behind_a_bend_is_one_block() -> None:
    net = nn.Sequential(three(3, 64), nn.ReLU(), point(64, 16), point(16, 64), nn.ReLU(), nn.Flatten(),
                        nn.Linear(64 * 64, 5))  # fmt: skip
    first, second = designs_of(net, IMAGE)
    assert (first.ratio, second.ratio, second.gauge) == (64 / 27, 4.0, (64, 16))


def test_redundancy_counts_the_mixer_that_is_there() -> None:
    def redundancy(block: nn.Module, channels: int, outputs: int) -> int:
        return designs_of(network(block, channels, outputs), IMAGE)[1].redundancy

    assert redundancy(bottleneck(64, 16, 64), 64, 64) == 64 * 16 + 48 * 10  # K R + (K - R) P
    assert redundancy(shuffled(64, 16), 64, 64) == 64 * 16 // 4 + 48 * 10  # four groups
    assert redundancy(Ghost(16, 32, 4), 16, 32) == 24 * 9 + 24 * 10  # 24 cheap maps of 9 taps
    assert redundancy(inverted(24, 6, 24), 24, 24) == 0
    assert redundancy(bottleneck(64, 64, 64), 64, 64) == 0


def test_additions_cut_blocks_and_shortcuts_stand_alone() -> None:
    body = nn.Sequential(
        Residual(bottleneck(16, 4, 32), nn.Conv2d(16, 32, 1)),
        Residual(bottleneck(32, 4, 32)),
        Residual(bottleneck(32, 4, 32)),
    )
    model = network(body, 16, 32)
    found = {d.name: d for d in designs_of(model, IMAGE)}
    assert [d.kind for d in found.values()] == ["plain", "bottleneck", "plain", "bottleneck", "bottleneck"]
    assert found["block.0.body.0"].places == 4  # the next block, and not the one behind the next addition
    assert found["block.1.body.0"].places == 4
    assert found["block.2.body.0"].places == 10
    assert found["stem"].places == 4 + 32
    assert not any(d.exact_merge for d in found.values())


def test_a_gate_is_no_block_and_does_not_hide_one() -> None:
    found = designs_of(network(Excited(8, 32), 8, 8), IMAGE)
    assert [(d.kind, d.outputs, d.rank) for d in found] == [("plain", 8, 8), ("inverted_bottleneck", 8, 32)]


def only(block: nn.Module, channels: int, outputs: int, last: nn.Module) -> Design:
    model = network(block, channels, outputs)
    model.last = last
    return designs_of(model, IMAGE)[1]


def test_merging_is_exact_only_where_nothing_bends_behind_the_block() -> None:
    assert only(bottleneck(16, 4, 32), 16, 32, nn.BatchNorm2d(32)).exact_merge
    assert not only(bottleneck(16, 4, 32), 16, 32, nn.ReLU()).exact_merge
    assert not only(bottleneck(16, 4, 32), 16, 32, nn.GroupNorm(2, 32)).exact_merge
    assert not only(bottleneck(16, 4, 32), 16, 32, nn.MaxPool2d(2)).exact_merge


def test_a_basis_is_free_only_between_two_full_linear_layers() -> None:
    def gauge(*layers: nn.Module) -> tuple[int, int] | None:
        return only(nn.Sequential(*layers), 16, 32, nn.ReLU()).gauge

    assert gauge(point(16, 4), nn.ReLU(), three(4, 6), nn.BatchNorm2d(6), point(6, 32)) == (32, 6)
    assert gauge(point(16, 4), nn.ReLU(), three(4, 6), nn.ReLU(), point(6, 32)) is None
    assert gauge(point(16, 4), three(4, 32)) == (16, 4)  # a funnel: the first factor is the free one
    assert gauge(three(16, 16, 16), point(16, 32)) is None  # a depthwise layer would lose its form
    assert gauge(three(16, 4), point(4, 32)) == (32, 4)


def test_dense_layers_and_sequences_are_blocks_too() -> None:
    model = nn.Sequential(nn.Linear(20, 4), nn.Linear(4, 30), nn.ReLU(), nn.Linear(30, 8), nn.ReLU(), nn.Linear(8, 3))
    found = designs_of(model, torch.zeros(1, 20))
    assert [(d.kind, d.outputs, d.rank, d.places) for d in found] == [("factored", 30, 4, 8), ("dense", 8, 8, 3)]
    sequences = nn.Sequential(
        nn.Conv1d(2, 4, 3), nn.ReLU(), nn.Conv1d(4, 4, 3, groups=4), nn.Conv1d(4, 8, 1), nn.Flatten(), nn.Linear(64, 2)
    )
    found = designs_of(sequences, torch.zeros(1, 2, 12))
    assert [(d.kind, d.places) for d in found] == [("plain", 9 // 3), ("depthwise_separable", 16)]


def test_a_design_never_claims_more_rank_than_taps_or_changes_the_network() -> None:
    model = network(three(1, 64), 1, 64)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    model.train()
    found = designs_of(model, IMAGE)[1]
    assert found.rank == 9  # one channel in, nine taps
    assert model.training
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
    assert math.isclose(found.ratio, 64 / 9)


class Undecided(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x) if float(x.sum()) > 0 else x


def test_a_network_that_cannot_be_traced_is_refused() -> None:
    with pytest.raises(ModelError, match=r"traced by torch\.fx"):
        designs_of(Undecided(), torch.zeros(1, 3))
