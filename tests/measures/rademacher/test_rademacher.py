"""Capacity and Rademacher complexity against numbers worked out by hand, mpmath, brute force and dense matrices."""

import math
from fractions import Fraction

import mpmath
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from pacbound.errors import BoundError, ModelError
from pacbound.measures.layers.layers import layers_of
from pacbound.measures.rademacher.capacity import (
    Covered,
    Limit,
    NetworkClass,
    Path,
    Stage,
    chain_class,
    class_of,
    covered_layers,
    group_norm,
    log10_capacity,
    log10_lipschitz,
    root_up,
)
from pacbound.measures.rademacher.comparisons import REFERENCES
from pacbound.measures.rademacher.complexity import (
    PROVED,
    PUBLISHED,
    club,
    complexity,
    cube_root_up,
    dudley,
    psi,
    published_complexity,
    spade,
)
from pacbound.measures.rademacher.rademacher import measure_rademacher, rademacher_bound

TWO_LAYERS = chain_class((Limit("a", 1.0, 0.5, 100), Limit("b", 1.0, 0.25, 40)))


def roots(network: NetworkClass, constant: Fraction, norm: float = 100.0, n: int = 10000) -> list[float]:
    return [math.sqrt(layer.squared) for layer in covered_layers(network, norm, n, 1.0, constant)]


def residual() -> NetworkClass:
    first = Stage(Path((Limit("stem", 2.0, 1.0, 10),), (1.0,)))
    inner = Path((Limit("in", 0.5, 0.5, 10), Limit("out", 0.5, 0.25, 10)), (1.0, 1.0))
    last = Stage(Path((Limit("head", 1.0, 0.0, 10),), (1.0,)))
    return NetworkClass((first, Stage(inner, Path((), ())), last))


def test_two_layers_by_hand_in_both_constants() -> None:
    assert roots(TWO_LAYERS, PUBLISHED) == [2, 1]
    assert roots(TWO_LAYERS, PROVED) == pytest.approx([1 / math.sqrt(2), 1 / math.sqrt(8)], rel=1e-14)
    covered = covered_layers(TWO_LAYERS, 100, 10000, 1, PUBLISHED)
    assert club(covered, 10000) == pytest.approx(14.048065436, abs=2e-9)
    assert spade(covered, 10000) == pytest.approx(4.226814192, abs=5e-9)
    assert spade(covered, 10000, 2.7) == pytest.approx(4.571665660, abs=2e-9)


def test_squares_are_exact_where_a_float_ceiling_would_be_one_off() -> None:
    covered = covered_layers(TWO_LAYERS, 100, 10000, 1, PROVED)
    assert covered[0].squared == Fraction(1, 2)
    assert club(covered, 10000) == pytest.approx(7.646980533, abs=2e-9)
    assert spade(covered, 10000) == pytest.approx(3.332696562, abs=5e-9)


def test_six_wide_layers_reproduce_the_worked_numbers() -> None:
    network = chain_class(tuple(Limit(str(i), 1.0, 10.0, 512 * 512 * 9) for i in range(6)))
    covered = covered_layers(network, 12411.64, 50000, 10.0, PUBLISHED)
    assert math.sqrt(covered[0].squared) == pytest.approx(222.0262, abs=1e-4)
    assert club(covered, 50000) == pytest.approx(7930.681, abs=1e-3)
    assert spade(covered, 50000) == pytest.approx(1155.995, abs=1e-3)
    published = published_complexity(network, 12411.64, 50000, 10.0)
    assert (published.club, published.spade) == pytest.approx((7930.681, 1180.423), abs=1e-3)


def test_residual_blocks_share_the_constant_of_their_block() -> None:
    covered = covered_layers(residual(), 100, 10000, 1, PUBLISHED)
    assert [(layer.name, math.sqrt(layer.squared)) for layer in covered] == [("stem", 5), ("in", 2), ("out", 1)]
    assert log10_lipschitz(residual()) == pytest.approx(math.log10(2.5))


def test_a_learned_shortcut_is_one_more_covered_layer() -> None:
    main = Path((Limit("main", 3.0, 1.0, 5),), (1.0,))
    block = Stage(main, Path((Limit("shortcut", 2.0, 0.5, 5),), (1.0,)), after=2.0)
    network = NetworkClass((block, Stage(Path((Limit("head", 1.5, 0.0, 5),), (1.0,)))))
    # s of the block is 2 (3 + 2) = 10, of the chain 15; Ct = 4 * 15 * (share) * b / s
    by_hand = {"main": 4 * 15 * (2 * 3 / 10) / 3, "shortcut": 4 * 15 * (2 * 2 / 10) * 0.5 / 2}
    found = {layer.name: math.sqrt(layer.squared) for layer in covered_layers(network, 100, 10000, 1, PUBLISHED)}
    assert found == pytest.approx(by_hand)


def test_a_bias_adds_ones_to_its_input_and_norm_to_the_next() -> None:
    first = Limit("a", 2.0, 0.5, 6, places=9, start_bias=0.25)
    network = chain_class((first, Limit("b", 3.0, 1.0, 4, places=1, start_bias=0.0)), (1.0, 1.0))
    n, norm = 400, 60.0
    entering = 2.0 * norm + (0.25 + 0.5) * math.sqrt(n * 9)
    by_hand = [
        4 * math.sqrt((norm**2 + n * 9) / n) * 0.5 * 3,
        4 * math.sqrt((entering**2 + n) / n) * 1.0,
    ]
    assert roots(network, PUBLISHED, norm, n) == pytest.approx(by_hand, rel=1e-13)
    assert roots(network, PUBLISHED, norm, n)[1] >= by_hand[1] * (1 - 1e-15)


@pytest.mark.parametrize(("m", "value"), [(1, 1.68343), (2, 1.80731), (5, 1.91082), (10, 1.95288), (100, 1.99503)])
def test_psi_is_the_series_and_not_below_it(m: int, value: float) -> None:
    assert psi(m) == pytest.approx(value, abs=5e-6)
    series = mpmath.nsum(lambda j: mpmath.sqrt(m / j) * mpmath.log((j + 2) / (j + 1)), [m, mpmath.inf], method="e")
    assert 0 <= psi(m) - float(series) < 1e-7


def test_psi_closes_the_integral_it_stands_for() -> None:
    u = (np.arange(400_000) + 0.5) / 400_000
    integral = float(np.log1p(np.ceil(3 / u**2)).mean())
    assert integral == pytest.approx(1.861156 + math.log(4), abs=1e-5)
    assert psi(3) == pytest.approx(1.861156, abs=1e-6)


def test_psi_grows_towards_two_and_stays_there() -> None:
    values = [psi(m) for m in (0, 1, 3, 30, 3000, 10**6, 10**7, 10**40)]
    assert values == sorted(values)
    assert values[0] == 0
    assert values[-1] == 2


@settings(deadline=None)
@given(st.fractions(min_value=0, max_value=10**30))
def test_ceilings_of_roots_are_exact(value: Fraction) -> None:
    root = cube_root_up(value)
    assert root**3 >= value
    assert root == 0 or (root - 1) ** 3 < value
    assert 0 <= root_up(value) ** 2 - value <= 2 * root_up(value) / 2**80 + Fraction(1, 2**80)


def test_dudleys_integral_is_below_the_closed_form_and_above_one_split_integrated_finely() -> None:
    covered = (Covered("a", 50, Fraction(1, 10**6)), Covered("b", 20, Fraction(4, 10**6)))
    n = 2000
    found = dudley(covered, n)
    assert found < min(club(covered, n), spade(covered, n))

    def entropy(u: float) -> float:  # best over every split on a fine grid, exact multiset counts
        best = math.inf
        for share in np.linspace(0.02, 0.98, 49):
            total = 0.0
            for layer, part in zip(covered, (share, 1 - share), strict=True):
                ratio = math.sqrt(layer.squared) / (u * part)
                k = 0 if ratio <= 1 else math.ceil(ratio**2)
                total += math.log(math.comb(2 * layer.parameters + k - 1, k))
            best = min(best, total)
        return best

    edges = np.geomspace(1e-5, 1, 800)
    lower = [math.sqrt(entropy(float(u))) for u in edges[1:]]  # right ends: below the integral
    integral = np.concatenate([np.cumsum((np.array(lower) * np.diff(edges))[::-1])[::-1], [0]])
    best_possible = float((4 * edges + 12 / math.sqrt(n) * integral).min())
    assert best_possible * 0.97 <= found <= best_possible * 1.6


def test_a_class_of_one_function_has_no_complexity() -> None:
    network = chain_class((Limit("a", 1.0, 0.0, 5),))
    found = complexity(network, 10.0, 100, 1.0)
    assert (found.club, found.spade, found.dudley, found.value) == (0, 0, 0, 0)


def test_the_bound_covers_a_class_whose_complexity_is_known() -> None:
    """Linear maps of inputs in one dimension: E sup over |w| <= b of the mean of signs times ramp is computable."""
    generator = np.random.default_rng(0)
    n, b = 400, 0.3
    x = generator.normal(size=n)
    weights = np.linspace(-b, b, 61)
    logits = np.stack([weights[:, None] * x, np.zeros((61, n))], axis=-1)  # two classes: row (w, 0)
    margin = logits[..., 0] - logits[..., 1]
    losses = np.clip(1 - margin, 0, 1)
    signs = generator.choice([-1.0, 1.0], size=(300, n))
    true = float((signs @ losses.T / n).max(axis=1).mean())
    network = chain_class((Limit("w", b, b, 2),))
    assert 0 < true < complexity(network, float(np.linalg.norm(x)), n, 1.0).value


def test_capacity_is_the_published_product_for_a_chain() -> None:
    limits = [Limit("a", 2.0, 3.0, 5), Limit("b", 0.5, 0.7, 5), Limit("c", 4.0, 0.0, 5)]
    by_hand = math.log10(2 * 0.5 * 4 * ((3 / 2) ** (2 / 3) + (0.7 / 0.5) ** (2 / 3)) ** 1.5)
    assert log10_capacity(chain_class(tuple(limits))) == pytest.approx(by_hand)
    assert log10_capacity(chain_class((Limit("c", 4.0, 0.0, 5),))) == -math.inf


def test_group_norm_runs_over_input_channels_and_takes_the_bias_as_one_more() -> None:
    kernel = torch.zeros(2, 2, 2, 2, dtype=torch.float64)
    kernel[0, 0] = torch.tensor([[1.0, 2], [0, -1]])
    kernel[0, 1] = torch.tensor([[0.0, 1], [1, 0]])
    kernel[1, 0] = torch.tensor([[2.0, 0], [0, 1]])
    kernel[1, 1] = torch.tensor([[-1.0, 0], [0, 3]])
    assert group_norm(kernel) == pytest.approx(10.634414, abs=1e-6)
    assert float(kernel.norm()) == pytest.approx(4.795832, abs=1e-6)
    bias = torch.tensor([2.0, 0], dtype=torch.float64)  # joins the tap (0, 0) of output 0, whose norm was 1
    assert group_norm(kernel, bias) == pytest.approx(10.634414 - 1 + math.sqrt(5), abs=1e-6)


def chain(bias: bool = False, **options: object) -> nn.Sequential:
    with torch.random.fork_rng():
        torch.manual_seed(3)
        conv = nn.Conv2d(1, 3, 3, padding=1, bias=bias, padding_mode=str(options.get("padding_mode", "circular")))
        return nn.Sequential(conv, nn.ReLU(), nn.Flatten(), nn.Linear(3 * 16, 4, bias=bias))


def test_the_class_of_a_network_holds_it() -> None:
    start, trained = chain(), chain()
    with torch.no_grad():
        trained[0].weight += 0.1
    x = torch.zeros(1, 1, 4, 4)
    network = class_of(layers_of(trained, x), layers_of(start, x))
    conv, head = network.limits
    columns = torch.eye(16).reshape(16, 1, 4, 4)
    with torch.no_grad():
        dense = trained[0](columns).reshape(16, -1)
    assert conv.lipschitz == pytest.approx(float(torch.linalg.matrix_norm(dense, 2)), rel=1e-5)
    assert conv.distance == pytest.approx(27 * 0.1, rel=1e-5)  # 3 x 3 x 3 groups of one channel
    assert head.distance == 0
    from_zero = class_of(layers_of(trained, x)).limits
    assert from_zero[1].distance == pytest.approx(float(trained[3].weight.detach().double().norm(dim=1).sum()))


def test_biases_enter_the_distance_and_the_places() -> None:
    start, trained = chain(bias=True), chain(bias=True)
    with torch.no_grad():
        trained[3].bias += torch.tensor([3.0, 0, 0, 0])
    x = torch.zeros(1, 1, 4, 4)
    conv, head = class_of(layers_of(trained, x), layers_of(start, x)).limits
    assert (conv.places, head.places) == (16, 1)
    assert head.distance == pytest.approx(3.0)
    assert head.start_bias == pytest.approx(float(start[3].bias.detach().norm()), rel=1e-6)
    assert head.parameters == 3 * 16 * 4 + 4


@pytest.mark.parametrize(
    ("network", "reason"),
    [
        (chain(padding_mode="reflect"), "reflect"),
        (nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(8, 2)).eval(), "folded"),
        (nn.Sequential(nn.Conv2d(1, 2, 3), nn.Sigmoid(), nn.Flatten(), nn.Linear(8, 2)), "map 0 to 0"),
        (nn.Sequential(nn.Conv2d(1, 2, 3), nn.GroupNorm(1, 2), nn.Flatten(), nn.Linear(8, 2)), "GroupNorm"),
    ],
)
def test_what_the_theorem_does_not_cover_is_named(network: nn.Module, reason: str) -> None:
    with pytest.raises(ModelError, match=reason):
        class_of(layers_of(network, torch.zeros(1, 1, 4, 4)))


def test_another_network_is_no_start() -> None:
    x = torch.zeros(1, 1, 4, 4)
    other = layers_of(nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.Flatten(), nn.Linear(32, 4)), x)
    with pytest.raises(ModelError, match="same shape"):
        class_of(layers_of(chain(), x), other)


@pytest.mark.parametrize(
    ("limit", "norm", "n", "gamma"),
    [
        (Limit("a", 0.0, 1.0, 5), 1.0, 10, 1.0),
        (Limit("a", math.inf, 1.0, 5), 1.0, 10, 1.0),
        (Limit("a", 1.0, -1.0, 5), 1.0, 10, 1.0),
        (Limit("a", 1.0, 1.0, 5), math.nan, 10, 1.0),
        (Limit("a", 1.0, 1.0, 5), 1.0, 1, 1.0),
        (Limit("a", 1.0, 1.0, 5), 1.0, 10, 0.0),
    ],
)
def test_limits_outside_the_ranges_are_refused(limit: Limit, norm: float, n: int, gamma: float) -> None:
    with pytest.raises(BoundError, match="covered_layers"):
        complexity(chain_class((limit,)), norm, n, gamma)


def test_measures_are_named_and_only_the_published_form_is_unverified() -> None:
    start, trained = chain(), chain()
    with torch.no_grad():
        trained[0].weight += 0.05
    x = torch.randn(30, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    y = torch.arange(30) % 4
    found = {one.name: one for one in measure_rademacher(trained, x[:1], (x, y), start)}
    assert all(name.startswith("rademacher") for name in found)
    assert {name for name, one in found.items() if not one.verified} == {
        "rademacher_published_norms",
        "rademacher_published_parameters",
        *REFERENCES,
    }
    assert found["rademacher_data_norm"].value == pytest.approx(float(x.norm()), rel=1e-6)
    assert found["rademacher"].value < found["rademacher_published_parameters"].value
    assert found["rademacher_distance"].per_layer["0"] == pytest.approx(27 * 0.05, rel=1e-5)
    capacity = 10 ** found["rademacher_capacity"].value
    s = found["rademacher_lipschitz"].per_layer
    assert capacity == pytest.approx(s["3"] * 27 * 0.05, rel=1e-5)  # one moving layer: prod s times b / s


def test_the_bound_of_a_network_that_never_moved_rests_on_its_margins_alone() -> None:
    network = nn.Sequential(nn.Linear(2, 2, bias=False))
    with torch.no_grad():
        network[0].weight.copy_(torch.eye(2))
    x = torch.tensor([[4.0, 0.0], [0.0, 4.0]]).repeat(500, 1)
    y = torch.tensor([0, 1]).repeat(500)
    bound, gamma = rademacher_bound(network, (x, y), 0.05, network)
    assert bound.theorem == "rademacher_margin"
    assert gamma <= 4
    assert 3 * math.sqrt(math.log(40) / 2000) < bound.value < 0.3


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.floats(0.1, 5), st.floats(0.01, 5)), min_size=1, max_size=4), st.floats(1.01, 3))
def test_larger_classes_have_larger_complexity(pairs: list[tuple[float, float]], factor: float) -> None:
    def network(scale: float) -> NetworkClass:
        return chain_class(tuple(Limit(str(i), s, scale * b, 30) for i, (s, b) in enumerate(pairs)))

    small, large = (complexity(network(scale), 20.0, 500, 0.5) for scale in (1.0, factor))
    assert small.club <= large.club
    assert small.spade <= large.spade
    assert small.dudley <= large.dudley * (1 + 1e-6)
