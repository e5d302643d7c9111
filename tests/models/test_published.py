"""Published architectures: names of their files, sizes counted by hand, and the functions written out."""

from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from pacbound.data.registry import load
from pacbound.errors import ModelError
from pacbound.models.loading import preprocess_for
from pacbound.models.reference import build, initialise
from pacbound.networks.checkpoints import load_checkpoint
from pacbound.specs.specs import RAW_PIXEL_MODELS, REFERENCE_MODELS

SHAPES = {"lenet-mnist": (1, 28, 28), "resnet20-bn": (3, 32, 32), "resnet32-bn": (3, 32, 32)}
RESNET_STAGES = ((2, 16, 16), (2, 32, 16), (2, 64, 32))


def resnet_parameters(blocks: int) -> int:
    """Convolutions without biases, two numbers a channel for each normalisation, 650 for the last layer."""
    inside = sum((2 * blocks - 1) * 9 * width * width + 9 * width * before for _, width, before in RESNET_STAGES)
    norms = 2 * 16 + sum(2 * blocks * 2 * width for _, width, _ in RESNET_STAGES)
    return 27 * 16 + inside + norms + 650


@pytest.mark.parametrize(
    ("name", "parameters"),
    [("lenet-mnist", 648_226), ("resnet20-bn", resnet_parameters(3)), ("resnet32-bn", resnet_parameters(5))],
)
def test_parameters_count_as_by_hand(name: str, parameters: int) -> None:
    assert sum(p.numel() for p in build(name, SHAPES[name], 10).parameters()) == parameters


def test_sizes_are_those_of_the_published_files() -> None:
    assert (resnet_parameters(3), resnet_parameters(5)) == (269_722, 464_154)


def test_new_names_stand_at_the_end_so_that_old_codes_stay() -> None:
    assert REFERENCE_MODELS[:4] == ("lenet", "mlp", "cnn", "resnet20")
    assert REFERENCE_MODELS[4:7] == RAW_PIXEL_MODELS == ("resnet20-bn", "resnet32-bn", "lenet-mnist")
    assert REFERENCE_MODELS[7:] == ("lenet1", "pooled")


def pixels(*shape: int) -> Tensor:
    return torch.randint(0, 256, (3, *shape), generator=torch.Generator().manual_seed(0)).float()


def test_lenet_computes_what_its_docstring_says() -> None:
    net = build("lenet-mnist", (1, 28, 28), 10)
    initialise(net, 0)
    w1, b1, w2, b2, w3, b3, w4, b4 = (p.detach().double() for p in net.parameters())
    x = pixels(1, 28, 28)
    hidden = F.max_pool2d(F.conv2d(x.double() / 255, w1, b1, padding=1).clamp(min=0), 2)
    hidden = F.max_pool2d(F.conv2d(hidden, w2, b2, padding=1).clamp(min=0), 2).reshape(3, 3136)
    assert torch.allclose(net(x).double(), (hidden @ w3.T + b3).clamp(min=0) @ w4.T + b4, atol=1e-4)


def resnet_by_hand(state: dict[str, Tensor], x: Tensor, blocks: int) -> Tensor:
    """In float64, normalisation written as its formula, option A as a strided copy into a larger zero tensor."""
    weights = {name: value.double() for name, value in state.items()}

    def normal(y: Tensor, name: str) -> Tensor:
        w, b, m, v = (weights[f"{name}.{k}"][:, None, None] for k in ("weight", "bias", "running_mean", "running_var"))
        return (y - m) / torch.sqrt(v + 1e-5) * w + b

    mean = torch.tensor([0.485, 0.456, 0.406], dtype=torch.float64)[:, None, None]
    std = torch.tensor([0.229, 0.224, 0.225], dtype=torch.float64)[:, None, None]
    y = normal(F.conv2d((x.double() / 255 - mean) / std, weights["conv1.weight"], padding=1), "bn1").clamp(min=0)
    for stage in (1, 2, 3):
        for block in range(blocks):
            name = f"layer{stage}.{block}"
            stride = 2 if stage > 1 and block == 0 else 1
            z = normal(F.conv2d(y, weights[f"{name}.conv1.weight"], stride=stride, padding=1), f"{name}.bn1")
            z = normal(F.conv2d(z.clamp(min=0), weights[f"{name}.conv2.weight"], padding=1), f"{name}.bn2")
            shortcut = torch.zeros_like(z)
            first = (z.shape[1] - y.shape[1]) // 2
            shortcut[:, first : first + y.shape[1]] = y[:, :, ::stride, ::stride]
            y = (z + shortcut).clamp(min=0)
    return y.mean((2, 3)) @ weights["linear.weight"].T + weights["linear.bias"]


@pytest.mark.parametrize(("name", "blocks"), [("resnet20-bn", 3), ("resnet32-bn", 5)])
def test_resnet_computes_what_its_paper_says(name: str, blocks: int) -> None:
    net = build(name, (3, 16, 16), 10).eval()
    initialise(net, 0)
    generator = torch.Generator().manual_seed(1)
    for buffer_name, buffer in net.named_buffers():
        if buffer_name.endswith("running_var"):
            buffer.copy_(4 + torch.rand(buffer.shape, generator=generator))
        if buffer_name.endswith("running_mean"):
            buffer.copy_(torch.randn(buffer.shape, generator=generator))
    x = pixels(3, 16, 16)
    expected = resnet_by_hand(net.state_dict(), x, blocks)
    assert torch.allclose(net(x).detach().double(), expected, rtol=1e-3, atol=1e-3 * float(expected.abs().max()))


@pytest.mark.parametrize("name", RAW_PIXEL_MODELS)
def test_grey_images_may_leave_out_their_channel_and_any_size_is_read(name: str) -> None:
    with_channel, without = build(name, (1, 14, 10), 3).eval(), build(name, (14, 10), 3).eval()
    initialise(with_channel, 1)
    initialise(without, 1)
    x = pixels(1, 14, 10)
    assert with_channel(x).shape == (3, 3)
    assert torch.equal(with_channel(x), without(x[:, 0]))


def test_a_grey_image_is_read_as_the_colour_image_of_equal_channels() -> None:
    grey, colour = build("resnet20-bn", (1, 8, 8), 3).eval(), build("resnet20-bn", (3, 8, 8), 3).eval()
    colour.load_state_dict(grey.state_dict())
    x = pixels(1, 8, 8)
    assert torch.equal(grey(x), colour(x.expand(3, 3, 8, 8)))


def test_unfit_shapes_are_refused() -> None:
    with pytest.raises(ModelError, match="colour or grey images, got 2 channels"):
        build("resnet20-bn", (2, 32, 32), 10)
    for name in RAW_PIXEL_MODELS:
        with pytest.raises(ModelError, match="choose mlp"):
            build(name, (7,), 10)


def test_networks_that_standardise_pixels_themselves_get_raw_ones() -> None:
    assert [preprocess_for(name, "ink") for name in ("lenet", "lenet-mnist", "user")] == ["ink", "none", "ink"]


@pytest.mark.parametrize(
    ("name", "file", "data", "errors"),
    [
        ("lenet-mnist", "lenet5-mnist/mnist_lenet5_clntrained.pt", "mnist", 1),
        ("resnet20-bn", "resnet-cifar10/resnet20-12fca82f.th", "cifar10", 18),
        ("resnet32-bn", "resnet-cifar10/resnet32-d509ac18.th", "cifar10", 15),
    ],
)
def test_published_files_load_and_are_as_accurate_as_they_were_measured(
    data_root: Path, name: str, file: str, data: str, errors: int
) -> None:
    """On all 10,000: 98.89, 91.73 and 92.63 %; here on the first 200."""
    sample = load(data, data_root, "test").subset(range(200))
    net = build(name, sample.shape, 10)
    load_checkpoint(net, data_root / "checkpoints" / file)
    with torch.no_grad():
        logits = torch.cat([net.eval()(part.float()) for part in sample.x.split(50)])
    assert abs(int((logits.argmax(1) != sample.y).sum()) - errors) <= 1
