import pytest
import torch
from torch import nn

from pacbound.errors import ModelError
from pacbound.measures.redundancy.compressing import compress_conv

GEOMETRIES = [
    {},
    {"stride": 2, "padding": 1},
    {"stride": (1, 2), "padding": (2, 0), "bias": False},
    {"padding": 1, "padding_mode": "circular"},
    {"padding": 2, "dilation": 2, "padding_mode": "reflect"},
    {"padding": "same", "dilation": (1, 2)},
    {"padding": "valid"},
]


def conv(**geometry: object) -> nn.Conv2d:
    torch.manual_seed(0)
    return nn.Conv2d(4, 6, 3, **geometry).double()  # type: ignore[arg-type]


@pytest.mark.parametrize("geometry", GEOMETRIES, ids=str)
@pytest.mark.parametrize(("form", "ranks", "tolerance"), [("tucker2", (3, 2), 1e-12), ("cp", (18,), 1e-4)])
def test_at_full_rank_the_row_of_layers_is_the_convolution(
    geometry: dict[str, object], form: str, ranks: tuple[int, ...], tolerance: float
) -> None:
    torch.manual_seed(0)
    layer = nn.Conv2d(2, 3, 3, **geometry).double()  # type: ignore[arg-type]
    x = torch.randn(2, 2, 9, 8, dtype=torch.float64)
    row = compress_conv(layer, form, ranks)  # type: ignore[arg-type]
    torch.testing.assert_close(row(x), layer(x), atol=tolerance, rtol=0)


@pytest.mark.parametrize(
    ("form", "ranks", "numbers"), [("tucker2", (3, 2), 4 * 2 + 2 * 3 * 9 + 3 * 6), ("cp", (5,), 5 * (4 + 3 + 3 + 6))]
)
def test_the_row_has_the_numbers_of_its_factors_and_computes_their_product(
    form: str, ranks: tuple[int, ...], numbers: int
) -> None:
    layer = conv(padding=1, bias=False)
    row = compress_conv(layer, form, ranks)  # type: ignore[arg-type]
    assert sum(p.numel() for p in row.parameters()) == numbers
    assert all(p.requires_grad for p in row.parameters())
    # the kernel of the row, read off from its response to unit impulses
    impulses = torch.zeros(4, 4, 5, 5, dtype=torch.float64)
    impulses[range(4), range(4), 2, 2] = 1
    kernel = row(impulses)[:, :, 1:4, 1:4].flip(2, 3).transpose(0, 1).detach()  # (out, in, 3, 3)
    unfoldings = [kernel.reshape(6, -1), kernel.transpose(0, 1).reshape(4, -1)]
    found = tuple(int(torch.linalg.matrix_rank(u, rtol=1e-8)) for u in unfoldings)
    assert found == (ranks if form == "tucker2" else (5, 4))
    assert float((kernel - layer.weight.detach()).norm()) < 0.9 * float(layer.weight.detach().norm())


def test_tucker_on_two_modes_is_no_worse_than_truncating_twice() -> None:
    layer = conv(padding=1, bias=False)
    weight = layer.weight.detach()
    outer = torch.linalg.svd(weight.reshape(6, -1))[0][:, :3]
    inner = torch.linalg.svd(weight.transpose(0, 1).reshape(4, -1))[0][:, :2]
    once = torch.einsum("oa,pa,ib,jb,pjkl->oikl", outer, outer, inner, inner, weight)
    row = compress_conv(layer, "tucker2", (3, 2))
    impulses = torch.zeros(4, 4, 5, 5, dtype=torch.float64)
    impulses[range(4), range(4), 2, 2] = 1
    kernel = row(impulses)[:, :, 1:4, 1:4].flip(2, 3).transpose(0, 1).detach()
    assert float((kernel - weight).norm()) <= float((once - weight).norm()) + 1e-12


def test_dtype_and_mode_stay_and_the_layer_is_untouched() -> None:
    layer = nn.Conv2d(3, 4, 3).eval()
    before = layer.weight.detach().clone()
    row = compress_conv(layer, "tucker2", (2, 2))
    assert not row.training
    assert {p.dtype for p in row.parameters()} == {torch.float32}
    row(torch.randn(1, 3, 8, 8)).sum().backward()
    torch.testing.assert_close(layer.weight.detach(), before, rtol=0, atol=0)
    assert layer.weight.grad is None
    assert layer.bias is not None
    assert layer.bias.grad is None


@pytest.mark.parametrize(
    ("layer", "form", "ranks", "complaint"),
    [
        (nn.Linear(3, 4), "cp", (2,), "got Linear"),
        (nn.Conv2d(4, 4, 3, groups=2), "cp", (2,), "Conv2d of 2 groups"),
        (nn.Conv2d(4, 6, 3), "tucker2", (7, 4), "from 1 to 6 and 4"),
        (nn.Conv2d(4, 6, 3), "tucker2", (2,), "takes 2 rank"),
        (nn.Conv2d(4, 6, 3), "cp", (37,), "from 1 to 36"),
        (nn.Conv2d(4, 6, 3), "cp", (0,), "from 1 to 36"),
    ],
)
def test_what_cannot_be_compressed_is_refused(
    layer: nn.Module, form: str, ranks: tuple[int, ...], complaint: str
) -> None:
    with pytest.raises(ModelError, match=complaint):
        compress_conv(layer, form, ranks)  # type: ignore[arg-type]
