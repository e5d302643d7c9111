from itertools import pairwise
from typing import cast

import pytest
import torch
from torch import Tensor, nn

from pacbound.bounds.claims import Measure
from pacbound.errors import ModelError
from pacbound.measures.redundancy.redundancy import measure
from pacbound.models.reference import build

IMAGE = torch.zeros(1, 3, 8, 8)
STRUCTURAL = ("k_over_r", "naive_parameters", "sample_dimension", "difference", "merge_bits", "gauge_bits")
NUMERICAL = ("k_over_r_threshold", "k_over_r_error", "k_over_r_vbmf", "tucker_parameters")


def measured(model: nn.Module, example: Tensor = IMAGE) -> dict[str, Measure]:
    found = measure(model, example)
    assert all(m.name.startswith("redundancy_") for m in found)
    return {m.name.removeprefix("redundancy_"): m for m in found}


def linear_bottleneck(last: nn.Module) -> nn.Sequential:
    """K = 12, R = 2, five weights read each output channel."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, bias=False), nn.MaxPool2d(2), nn.Conv2d(8, 4, 1, bias=False), nn.Conv2d(4, 2, 3, bias=False),
        nn.Conv2d(2, 12, 1, bias=False), last, nn.Flatten(), nn.Linear(12, 5, bias=False),
    ).double()  # fmt: skip


def test_a_linear_bottleneck_by_hand() -> None:
    found = measured(linear_bottleneck(nn.Identity()), IMAGE.double())
    assert tuple(found) == (*STRUCTURAL, *NUMERICAL)
    assert found["k_over_r"].per_layer == {"0": 1.0, "2": 6.0}
    assert found["k_over_r"].value == (8 + 12) / (8 + 2)
    naive = 8 * 27 + 4 * 8 + 2 * 36 + 12 * 2 + 5 * 12
    saved = 12 * 2 + (12 - 2) * 5
    assert found["naive_parameters"].value == naive
    assert found["sample_dimension"].value == naive - saved
    assert found["difference"].per_layer == {"0": 0.0, "2": float(saved)}
    assert found["merge_bits"].value == 32 * saved
    assert found["gauge_bits"].value == 32 * 4 - 7  # C(12, 2) = 66 choices of rows
    assert found["k_over_r_threshold"].per_layer == {"0": 1.0, "2": 1.0, "3": 1.0, "4": 6.0, "7": 1.0}


def test_the_bits_of_a_merge_are_those_of_the_merged_network() -> None:
    model = linear_bottleneck(nn.Identity())
    mixer, readout = cast(nn.Conv2d, model[4]), cast(nn.Linear, model[7])
    merged = nn.Sequential(*list(model)[:4], nn.Flatten(), nn.Linear(2, 5, bias=False)).double()
    merged[5].weight = nn.Parameter(readout.weight @ mixer.weight[:, :, 0, 0])
    x = torch.randn(3, 3, 8, 8, dtype=torch.float64)
    torch.testing.assert_close(merged(x), model(x))
    saved = sum(p.numel() for p in model.parameters()) - sum(p.numel() for p in merged.parameters())
    assert measured(model, IMAGE.double())["merge_bits"].value == 32 * saved


def test_nothing_is_saved_exactly_across_an_activation() -> None:
    found = measured(linear_bottleneck(nn.ReLU()), IMAGE.double())
    assert found["merge_bits"].value == 0
    assert found["difference"].value > 0
    assert not found["difference"].verified
    assert not found["sample_dimension"].verified


def test_a_plain_network_has_no_redundancy_of_this_kind() -> None:
    found = measured(build("lenet", (1, 28, 28), 10), torch.zeros(1, 1, 28, 28))
    assert found["k_over_r"].value == 1
    assert found["difference"].value == found["merge_bits"].value == found["gauge_bits"].value == 0
    assert found["naive_parameters"].value == 16 * 25 + 32 * 16 * 25 + 512 * 64 + 640


def test_a_kernel_of_low_rank_shows_in_all_numerical_ratios() -> None:
    torch.manual_seed(0)
    layer = nn.Conv2d(8, 16, 3, bias=False)
    layer.weight = nn.Parameter((torch.randn(16, 2) @ torch.randn(2, 72)).reshape(16, 8, 3, 3))
    found = measured(nn.Sequential(layer, nn.ReLU(), nn.Flatten(), nn.Linear(16 * 36, 2)), torch.zeros(1, 8, 8, 8))
    for rule in ("threshold", "error", "vbmf"):
        assert found[f"k_over_r_{rule}"].per_layer["0"] == 8.0
    assert found["k_over_r"].per_layer["0"] == 1.0  # the design promises nothing
    assert found["tucker_parameters"].per_layer["0"] < layer.weight.numel() / 2
    assert found["k_over_r_threshold"].verified
    assert not found["k_over_r_vbmf"].verified


class Undecided(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x) if float(x.sum()) >= 0 else -self.layer(x)


def test_without_a_graph_the_numerical_ratios_remain() -> None:
    assert tuple(measured(Undecided(), torch.zeros(1, 6))) == NUMERICAL


def test_a_network_without_layers_or_with_nan_is_refused() -> None:
    with pytest.raises(ModelError, match="none is expressed"):
        measure(nn.Sequential(nn.Flatten(), nn.ReLU()), IMAGE)
    broken = nn.Linear(2, 2)
    with torch.no_grad():
        broken.weight[0, 0] = torch.nan
    with pytest.raises(ModelError, match="NaN or infinite"):
        measure(nn.Sequential(broken, nn.ReLU(), nn.Linear(2, 2)), torch.zeros(1, 2))


class Joined(nn.Module):
    def __init__(self, formula, **parts: nn.Module) -> None:
        super().__init__()
        self.formula, self.parts = formula, nn.ModuleDict(parts)

    def forward(self, x: Tensor) -> Tensor:
        return self.formula(self.parts, x)


def line(*widths: int, act: type[nn.Module] = nn.Identity) -> nn.Sequential:
    return nn.Sequential(*(m for a, b in pairwise(widths) for m in (nn.Linear(a, b, bias=False), act())))


SLICED = Joined(lambda p, x: p["b"](p["a"](x)[:, :1]), a=nn.Linear(4, 60, bias=False), b=nn.Linear(1, 2, bias=False))


@pytest.mark.parametrize(
    ("model", "shape"),
    [
        (SLICED, (4,)),
        (line(4, 60, 70, 2), (4,)),
        (line(2, 50, 60, 70, 80, 3, act=nn.ReLU), (2,)),
        (line(7, 7, 7, 7), (7,)),
        (nn.Sequential(nn.Linear(4, 60), nn.GLU(), nn.Linear(30, 50), nn.GLU(), nn.Linear(25, 2)), (4,)),
        (nn.Sequential(nn.Conv1d(2, 30, 3), nn.ReLU(), nn.Conv1d(30, 70, 3), nn.Conv1d(70, 90, 1),
                       nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(90, 3)), (2, 20)),
        (Joined(lambda p, x: p["c"](torch.cat([p["a"](x), p["b"](x)], 1)), a=nn.Linear(4, 60), b=nn.Linear(4, 3),
                c=nn.Linear(63, 2)), (4,)),
        (Joined(lambda p, x: p["c"](p["a"](x) * torch.sigmoid(p["b"](x))), a=nn.Linear(4, 60), b=nn.Linear(4, 60),
                c=nn.Linear(60, 2)), (4,)),
        (Joined(lambda p, x: p["c"](p["a"](x).chunk(2, 1)[0]), a=nn.Linear(4, 60), c=nn.Linear(30, 2)), (4,)),
        (Joined(lambda p, x: p["c"](x + p["b"](torch.relu(p["a"](x)))), a=nn.Linear(4, 60), b=nn.Linear(60, 4),
                c=nn.Linear(4, 2)), (4,)),
        (Joined(lambda p, x: p["c"](torch.relu(p["a"](x))[:, ::2].flatten(1)), a=nn.Conv2d(1, 40, 3),
                c=nn.Linear(20 * 36, 2)), (1, 8, 8)),
        (Joined(lambda p, x: p["c"](p["a"](x)) + 0 * p["b"](x), a=nn.Linear(4, 9), b=nn.Linear(4, 2),
                c=nn.Linear(9, 2)), (4,)),
    ],
)  # fmt: skip
def test_the_dimension_lies_between_nothing_and_all_weights(model: nn.Module, shape: tuple[int, ...]) -> None:
    found = measured(model, torch.zeros(1, *shape))
    weights = sum(p.numel() for p in model.parameters() if p.ndim > 1)
    assert found["naive_parameters"].value == weights
    assert 0 <= found["sample_dimension"].value <= weights
    assert found["difference"].value == weights - found["sample_dimension"].value
    assert found["difference"].value == sum(found["difference"].per_layer.values())
    assert found["merge_bits"].value <= 32 * weights


def test_the_dimension_of_linear_pairs_is_the_rank_of_their_jacobian() -> None:
    """Of two factors B A as functions: the rank of the derivative of the product by all weights."""

    def rank(outputs: int, inner: int, inputs: int, read: int) -> int:
        torch.manual_seed(0)
        a, b = torch.randn(inner, inputs).double(), torch.randn(outputs, read).double()
        parts = torch.autograd.functional.jacobian(lambda a, b: (b @ a[:read]).flatten(), (a, b))
        return int(torch.linalg.matrix_rank(torch.cat([part.flatten(1) for part in parts], dim=1)))

    assert measured(SLICED, torch.zeros(1, 4))["sample_dimension"].value == rank(2, 60, 4, 1) == 5
    for widths in ((4, 60, 2), (6, 3, 5), (4, 4, 9)):
        found = measured(line(*widths), torch.zeros(1, widths[0]))["sample_dimension"].value
        assert found == rank(widths[2], widths[1], widths[0], widths[1])
