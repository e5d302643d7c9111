"""Networks built from descriptions: the functions of the reference networks, the rules of shapes, and refusals."""

import json
import re
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from torch import Tensor, nn
from torch.nn import functional as F

from pacbound.errors import ModelError
from pacbound.models.architecture import build_architecture
from pacbound.models.loading import load_model, preprocess_for
from pacbound.models.reference import build, initialise
from pacbound.specs.grammar import REFERENCE_STRINGS, parse
from pacbound.specs.specs import RAW_PIXEL_MODELS
from pacbound.subspace.layout import Layout
from tests.descriptions import spellings

LAYOUTS = json.loads((Path(__file__).parents[1] / "golden" / "layouts.json").read_text())
SHAPES = [(1, 28, 28), (28, 28), (1, 8, 8), (3, 32, 32), (3, 17, 9), (1, 4, 4)]


def described(text: str, shape: tuple[int, ...], classes: int = 5) -> nn.Module:
    return build_architecture(parse(text), shape, classes)


def inputs(*shape: int) -> Tensor:
    return torch.randint(0, 256, (2, *shape), generator=torch.Generator().manual_seed(0)).float()


def scrambled(module: nn.Module) -> nn.Module:
    """The module in eval mode, every parameter and statistic drawn, so that each of them matters."""
    initialise(module, 1)
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for value in (*module.parameters(), *module.buffers()):
            if value.ndim == 1:
                value.copy_(1 + torch.rand(value.shape, generator=generator))
    return module.eval()


def copied(source: nn.Module, target: nn.Module) -> nn.Module:
    """The target with the parameters and buffers of the source, by position."""
    with torch.no_grad():
        for one, other in (
            (source.parameters(), target.parameters()),
            (source.buffers(), target.buffers()),
        ):
            for a, b in zip(one, other, strict=True):
                assert a.shape == b.shape
                b.copy_(a)
    return target.eval()


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", REFERENCE_STRINGS)
def test_a_reference_network_is_the_function_of_its_string(name: str, shape: tuple[int, ...]) -> None:
    reference = scrambled(build(name, shape, 5))
    twin = copied(reference, described(REFERENCE_STRINGS[name], shape))
    with torch.no_grad():
        said, again = (network(inputs(*shape)) for network in (reference, twin))
    assert torch.equal(said, again)
    assert said.std() > 0.001


@pytest.mark.parametrize("case", LAYOUTS)
def test_layouts_never_change(case: str) -> None:
    """Names, shapes and order of the parameters stand in every certificate, and in checkpoint files."""
    name, _, sizes = case.partition(" ")
    layout = Layout.of(build(name, [int(size) for size in re.findall("[0-9]+", sizes)], 5))
    assert {"D": layout.D, "layout": layout.digest} == LAYOUTS[case]


def mlp_by_hand(p: list[Tensor], x: Tensor) -> Tensor:
    w1, b1, w2, b2 = p
    return (x.reshape(len(x), -1) @ w1.T + b1).clamp(min=0) @ w2.T + b2


def cnn_by_hand(p: list[Tensor], x: Tensor) -> Tensor:
    for k, stride in enumerate((1, 2, 1, 2)):
        x = F.conv2d(F.pad(x, (1, 1, 1, 1)), p[2 * k], p[2 * k + 1], stride=stride).clamp(min=0)
    return (torch.einsum("bchw,nc->bnhw", x, p[8][:, :, 0, 0]) + p[9][:, None, None]).mean((2, 3))


def resnet20_by_hand(p: list[Tensor], x: Tensor) -> Tensor:
    def normal(y: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        groups = y.reshape(len(y), 8, -1)
        centred = groups - groups.mean(2, keepdim=True)
        groups = centred / torch.sqrt((centred**2).mean(2, keepdim=True) + 1e-5)
        return groups.reshape(y.shape) * weight[:, None, None] + bias[:, None, None]

    y = normal(F.conv2d(x, p[0], padding=1), p[1], p[2]).clamp(min=0)
    for block in range(9):
        c1, g1, b1, c2, g2, b2 = p[3 + 6 * block : 9 + 6 * block]
        stride = 2 if block in (3, 6) else 1
        z = normal(F.conv2d(y, c1, stride=stride, padding=1), g1, b1).clamp(min=0)
        z = normal(F.conv2d(z, c2, padding=1), g2, b2)
        first = (z.shape[1] - y.shape[1]) // 2
        z[:, first : first + y.shape[1]] += y[:, :, ::stride, ::stride]
        y = z.clamp(min=0)
    return y.mean((2, 3)) @ p[-2].T + p[-1]


@pytest.mark.parametrize(
    ("name", "by_hand"), [("mlp", mlp_by_hand), ("cnn", cnn_by_hand), ("resnet20", resnet20_by_hand)]
)
def test_networks_compute_what_is_said_of_them(name: str, by_hand: object) -> None:
    """The other reference networks: test_reference.py and test_published.py."""
    net = scrambled(build(name, (3, 16, 16), 5)).double()
    x = torch.rand(3, 3, 16, 16, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert torch.allclose(net(x), by_hand([p.detach() for p in net.parameters()], x))  # type: ignore[operator]


@pytest.mark.parametrize(
    ("text", "shape", "sizes"),
    [
        ("c4k5-L", (1, 16, 20), [100, 4, 4 * 12 * 16 * 5, 5]),  # sides of at least 16: no padding
        ("c4k5-L", (1, 20, 15), [100, 4, 4 * 20 * 15 * 5, 5]),  # a side below 16: as large as before
        ("c4k5s2p1-L", (1, 9, 9), [100, 4, 4 * 4 * 4 * 5, 5]),
        ("A15-L", (2, 4, 6), [2 * 1 * 2 * 5, 5]),  # the window is clipped to 4, then strides of 2
        ("M2s1-L", (2, 4, 6), [2 * 3 * 5 * 5, 5]),
        ("c4k3-B-P", (1, 8, 8), [36, 4, 4, 20, 5]),  # a norm makes the bias needless
        ("c4k3-R-N2-P", (1, 8, 8), [36, 4, 4, 4, 20, 5]),
        ("h8-B-R-h8-L", (7,), [56, 8, 8, 64, 8, 40, 5]),
        ("r4-G-L", (4, 8, 8), [144, 4, 144, 4, 20, 5]),  # without a norm before it a block has biases
        ("N2-r4-G-L", (4, 8, 8), [4, 4, 144, 4, 4, 144, 4, 4, 20, 5]),
        ("imagenet-c4k1-G-L", (8, 8), [12, 4, 20, 5]),  # grey fills three channels
        ("L", (3, 4), [60, 5]),
    ],
)
def test_rules_of_shapes(text: str, shape: tuple[int, ...], sizes: list[int]) -> None:
    net = scrambled(described(text, shape))
    assert [p.numel() for p in net.parameters()] == sizes
    assert net(inputs(*shape)).shape == (2, 5)


def test_activations_and_windows_are_what_they_are_called() -> None:
    x = inputs(2, 4, 4) / 100 - 1
    for text, function in {
        "R": F.relu, "tanh": torch.tanh, "gelu": F.gelu, "silu": F.silu,
        "M2": lambda y: F.max_pool2d(y, 2), "A3": lambda y: F.avg_pool2d(y, 3, 2), "G": lambda y: y.mean((2, 3)),
        "unit": lambda y: y / 255,
    }.items():  # fmt: skip
        net = scrambled(described(f"{text}-L", (2, 4, 4)))
        *_, w, b = net.parameters()
        assert torch.allclose(net(x), function(x).flatten(1) @ w.T + b, atol=1e-5), text


@pytest.mark.parametrize(
    ("text", "shape", "said"),
    [
        ("c4k5-M2-c4k15-L", (1, 20, 20), "layer 3 (c4k15) of c4k5-M2-c4k15-L: a kernel of 15"),
        ("h8-R-L", (), "1 feature"),
        ("c4k3-L", (7,), "layer 1 (c4k3) of c4k3-L: it reads images"),
        ("unit-L", (7,), "layer 1 (unit)"),
        ("imagenet-L", (2, 8, 8), "2 channels"),
        ("c12k3-N8-L", (1, 8, 8), "layer 2 (N8)"),
        ("c8k3-r4-L", (1, 8, 8), "layer 2 (r4)"),
        ("c8k3-N3-L", (1, 8, 8), "8 channels"),
        ("h4096-h4096-h4096-h4096-L", (4, 100, 200), "at most 268,435,456 parameters"),
        ("c4096k1-L", (1, 400, 400), "at most 16,777,216 numbers"),
    ],
)
def test_what_does_not_fit_is_refused_by_its_layer(text: str, shape: tuple[int, ...], said: str) -> None:
    with pytest.raises(ModelError, match=re.escape(said)):
        described(text, shape)


def test_the_number_of_classes_is_asked_for() -> None:
    with pytest.raises(ModelError, match="2 classes"):
        described("L", (7,), 1)


@given(spellings())
@settings(max_examples=60, deadline=None)
def test_any_description_is_built_or_refused_in_words(text: str) -> None:
    try:
        with torch.device("meta"):
            size = sum(p.numel() for p in described(text, (3, 8, 8)).parameters())
    except ModelError:
        return
    if size < 1e6:
        assert described(text, (3, 8, 8)).eval()(inputs(3, 8, 8)).shape == (2, 5)


def test_a_description_is_a_network_by_name_and_keeps_its_canonical_one() -> None:
    module, name = load_model("w2/h32-R-L", (6,), 3)
    assert (name, sum(p.numel() for p in module.parameters())) == ("h64-R-L", 7 * 64 + 65 * 3)
    assert load_model("c4k5s1-R-A3-c12k5-R-A3-L", (1, 28, 28), 10)[1] == "lenet1"
    with pytest.raises(ModelError, match=r"got 'h64-R'.*at character 6 \(layer 2\) stands the end"):
        load_model("h64-R", (6,), 3)


def test_descriptions_that_scale_pixels_get_raw_ones() -> None:
    names = ("unit-h8-L", "imagenet-c4k3-L", "h8-L", *RAW_PIXEL_MODELS)
    assert [preprocess_for(name, "ink") for name in names] == ["none", "none", "ink", "none", "none", "none"]


@pytest.mark.parametrize("shape", [(6, 5), (3, 6, 5)])
@pytest.mark.parametrize(
    ("text", "mirrored", "reach"), [("flip-h4-R-L", True, 0), ("V1-h4-R-L", False, 1), ("flip-V2-h4-R-L", True, 2)]
)
def test_views_are_averaged_in_eval_mode_and_left_alone_in_training(
    shape: tuple[int, ...], text: str, mirrored: bool, reach: int
) -> None:
    module, plain = described(text, shape, 3), described("h4-R-L", shape, 3)
    initialise(module, 5)
    plain.load_state_dict(dict(zip(plain.state_dict(), module.state_dict().values(), strict=True)))
    x = inputs(*shape)
    height, width = shape[-2:]
    answers = []
    for image in [x, torch.from_numpy(x.numpy()[..., ::-1].copy())] if mirrored else [x]:
        for i in range(-reach, reach + 1):
            for j in range(-reach + abs(i), reach - abs(i) + 1):
                rows = [min(max(row + i, 0), height - 1) for row in range(height)]  # the nearest place inside
                columns = [min(max(column + j, 0), width - 1) for column in range(width)]
                answers.append(plain(image[..., rows, :][..., columns]))
    assert len(answers) == (1 + mirrored) * (1 + 2 * reach * (reach + 1))
    assert torch.allclose(module.eval()(x), torch.stack(answers).mean(0), atol=1e-6)
    assert torch.equal(module.train()(x), plain(x))


def test_views_are_of_images() -> None:
    with pytest.raises(ModelError, match="reads images"):
        described("V1-L", (7,), 3)


def turned_by_hand(weight: Tensor, bias: Tensor, x: Tensor, on_turns: bool) -> Tensor:
    """Every filter placed everywhere by hand: out[t, n] = <filter n turned by t, patch> + bias, plane by plane."""
    width, before, kernel, _ = weight.shape
    sides = x.shape[-1] - kernel + 1
    out = torch.zeros(len(x), 4, width, sides, sides, dtype=x.dtype)
    for turn in range(4):
        for plane in range(before):
            of, channel = divmod(plane, before // 4) if on_turns else (0, plane)
            place = ((of + turn) % 4) * (before // 4) + channel if on_turns else plane
            filters = weight[:, plane]
            for _ in range(turn):
                filters = filters.transpose(1, 2).flip(1)  # a quarter turn, anticlockwise
            for i in range(sides):
                for j in range(sides):
                    patch = x[:, place, i : i + kernel, j : j + kernel]
                    out[:, turn, :, i, j] += torch.einsum("bhw,nhw->bn", patch, filters)
    return (out + bias[:, None, None]).flatten(1, 2)


def test_turned_convolutions_are_what_is_said_of_them() -> None:
    net = scrambled(described("t2k3p0-tanh-t3k2p0-T-L", (1, 6, 6))).double()
    x = torch.rand(3, 1, 6, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    w1, b1, w2, b2, w3, b3 = (p.detach() for p in net.parameters())
    assert (w1.shape, w2.shape) == ((2, 1, 3, 3), (3, 8, 2, 2))
    y = turned_by_hand(w2, b2, turned_by_hand(w1, b1, x, False).tanh(), True)
    most = y.reshape(3, 4, 3, 3, 3).max(1).values
    assert torch.allclose(net(x), most.flatten(1) @ w3.T + b3)


def test_what_turned_convolutions_answer_does_not_turn_with_the_image() -> None:
    """Where no stride leaves places over; a plain network of the same layers does turn."""
    x = torch.rand(4, 1, 28, 28, generator=torch.Generator().manual_seed(0)).double()
    for text, same in (("t8k4s2-R-A3-t8k3-R-t16k4-R-T-L", True), ("c8k4s2-R-A3-c8k3-R-c16k4-R-L", False)):
        net = scrambled(described(text, (1, 28, 28))).double()
        for turns in range(1, 4):
            assert torch.allclose(net(x), net(x.rot90(turns, (-2, -1)))) == same


@pytest.mark.parametrize("text", ["t4k3-c4k3-L", "t4k3-N4-L", "t4k3-r16-L", "t4k3-P", "T-L", "c4k3-T-L", "t4k3-T-T-L"])
def test_only_layers_that_know_of_turns_read_them(text: str) -> None:
    with pytest.raises(ModelError, match="there could stand"):
        parse(text)
