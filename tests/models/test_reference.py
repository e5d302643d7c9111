"""Reference networks: sizes counted by hand, behaviour, and an initialisation that never changes."""

import hashlib
import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from pacbound.errors import ModelError
from pacbound.models.architecture import ResidualBlock
from pacbound.models.reference import build, initialise
from pacbound.specs.specs import RAW_PIXEL_MODELS, REFERENCE_MODELS

SIZES = {  # parameters, layer by layer: weights, then biases
    ("lenet", (1, 28, 28)): 16 * 25 + 16 + 32 * 16 * 25 + 32 + 512 * 64 + 64 + 64 * 10 + 10,
    ("lenet", (3, 32, 32)): 16 * 75 + 16 + 32 * 16 * 25 + 32 + 800 * 64 + 64 + 64 * 10 + 10,
    ("lenet", (1, 8, 8)): 16 * 25 + 16 + 32 * 16 * 25 + 32 + 128 * 64 + 64 + 64 * 10 + 10,
    ("lenet1", (1, 28, 28)): 4 * 25 + 4 + 12 * 100 + 12 + 12 * 3 * 3 * 10 + 10,
    ("pooled", (3, 32, 32)): 8 * 75 + 8 + 16 * 200 + 16 + 32 * 400 + 32 + 32 * 3 * 3 * 10 + 10,
    ("mlp", (1, 8, 8)): 64 * 256 + 256 + 256 * 10 + 10,
    ("mlp", (7,)): 7 * 256 + 256 + 256 * 10 + 10,
    ("cnn", (3, 32, 32)): 16 * 27 + 16 + 32 * 144 + 32 + 32 * 288 + 32 + 64 * 288 + 64 + 10 * 64 + 10,
    ("resnet20", (3, 32, 32)): 432
    + 6 * 2304
    + 4608
    + 5 * 9216
    + 18432
    + 5 * 36864  # convolutions
    + 32
    + 6 * 32
    + 6 * 64
    + 6 * 128
    + 640
    + 10,  # norms, linear layer
}
OWN = [name for name in REFERENCE_MODELS if name not in RAW_PIXEL_MODELS]  # the others: test_published.py
SHAPES = [(1, 28, 28), (28, 28), (1, 8, 8), (8, 8), (3, 32, 32), (2, 17, 9), (1, 4, 4)]


@pytest.mark.parametrize(("name", "shape"), SIZES)
def test_parameters_count_as_by_hand(name, shape):
    assert sum(p.numel() for p in build(name, shape, 10).parameters()) == SIZES[name, shape]


def test_lenet_for_mnist_has_the_size_that_results_are_quoted_for():
    assert SIZES["lenet", (1, 28, 28)] == 46730


def test_resnet20_has_the_size_of_the_published_one():
    assert SIZES["resnet20", (3, 32, 32)] == 269722


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", OWN)
def test_every_network_reads_every_image_shape_and_has_no_state(name, shape):
    net = build(name, shape, 5)
    initialise(net, 3)
    x = torch.randn(3, *shape, generator=torch.Generator().manual_seed(0))
    logits = net.eval()(x)
    assert logits.shape == (3, 5)
    assert logits.std() > 0.01
    assert not list(net.buffers())
    assert torch.equal(logits, net.train()(x))
    assert torch.allclose(logits[2:3], net(x[2:3]), atol=1e-5)  # one example does not see the others


def test_grey_images_may_leave_out_their_channel():
    with_channel, without = build("lenet", (1, 8, 8), 3), build("lenet", (8, 8), 3)
    initialise(with_channel, 1)
    initialise(without, 1)
    x = torch.rand(4, 8, 8, generator=torch.Generator().manual_seed(0))
    assert torch.equal(with_channel(x[:, None]), without(x))


def test_lenet_computes_what_its_docstring_says():
    net = build("lenet", (1, 28, 28), 10)
    initialise(net, 0)
    w1, b1, w2, b2, w3, b3, w4, b4 = net.parameters()
    x = torch.rand(3, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    hidden = F.max_pool2d(F.relu(F.conv2d(x, w1, b1)), 2)
    hidden = F.max_pool2d(F.relu(F.conv2d(hidden, w2, b2)), 2).flatten(1)
    assert torch.allclose(net(x), F.relu(hidden @ w3.T + b3) @ w4.T + b4, atol=1e-5)


@pytest.mark.parametrize(("name", "shape", "pad"), [("lenet1", (1, 28, 28), 0), ("pooled", (3, 32, 32), 2)])
def test_averaging_networks_compute_what_their_docstrings_say(name, shape, pad):
    net = build(name, shape, 10)
    initialise(net, 0)
    *convolutions, w, b = net.parameters()
    x = torch.rand(3, *shape, generator=torch.Generator().manual_seed(0))
    hidden = x
    for kernel, bias in zip(convolutions[::2], convolutions[1::2], strict=True):
        rectified = F.conv2d(hidden, kernel, bias, padding=pad).clamp(min=0)
        hidden = rectified.unfold(2, 3, 2).unfold(3, 3, 2).mean((4, 5))
    assert torch.allclose(net(x), hidden.flatten(1) @ w.T + b, atol=1e-5)


def test_option_a_shortcut_is_the_subsampled_input_between_zero_channels():
    block = ResidualBlock(16, 32, nn.GroupNorm(8, 32), nn.GroupNorm(8, 32))
    nn.init.zeros_(block.norm2.weight)  # the residual branch vanishes: the shortcut is left
    x = torch.rand(2, 16, 6, 6, generator=torch.Generator().manual_seed(0))
    out = block(x)
    assert out.shape == (2, 32, 3, 3)
    assert torch.equal(out[:, 8:24], x[:, :, ::2, ::2])
    assert out[:, :8].abs().sum() == 0
    assert out[:, 24:].abs().sum() == 0


def test_unfit_shapes_and_names_are_refused():
    with pytest.raises(ModelError, match="vgg"):
        build("vgg", (3, 32, 32), 10)
    for shape in [(7,), (3, 2, 32), (1, 3, 8, 8)]:
        for name in ("lenet", "cnn", "resnet20"):
            with pytest.raises(ModelError, match="choose mlp"):
                build(name, shape, 10)
    with pytest.raises(ModelError, match="2 classes"):
        build("mlp", (7,), 1)
    with pytest.raises(ModelError, match="1 feature"):
        build("mlp", (), 2)


def test_initialisation_is_he_normal_with_zero_biases_and_unit_norms():
    net = build("resnet20", (3, 32, 32), 10)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.fill_(math.nan)  # nothing may keep what torch's own generator put there
    initialise(net, 0)
    for name, parameter in net.named_parameters():
        values = parameter.detach().double().flatten()
        if parameter.ndim == 1:
            assert set(values.tolist()) == ({1.0} if name.endswith("weight") else {0.0})
            continue
        fan_in = {4: lambda p: p.shape[1] * p.shape[2] * p.shape[3], 2: lambda p: p.shape[1]}[parameter.ndim]
        std = math.sqrt(2 / fan_in(parameter))
        assert abs(values.mean()) < 5 * std / math.sqrt(len(values))
        assert abs(values.std() / std - 1) < 5 / math.sqrt(2 * len(values))


def test_seeds_and_layers_are_independent_of_each_other():
    def weights(seed: int, width: int) -> tuple[torch.Tensor, torch.Tensor]:
        net = nn.Sequential(nn.Linear(5, width), nn.Linear(width, 4))
        initialise(net, seed)
        return net[0].weight.detach(), net[1].weight.detach()

    first, second = weights(0, 6)
    assert torch.equal(first, weights(0, 6)[0])
    assert not torch.equal(first, weights(1, 6)[0])
    assert torch.equal(first.flatten()[:20], weights(0, 8)[0].flatten()[:20])
    normalised = second.flatten()[:20] * math.sqrt(6 / 2), weights(0, 8)[1].flatten()[:20] * math.sqrt(8 / 2)
    assert torch.allclose(*normalised, atol=1e-5)
    assert abs(np.corrcoef(first.flatten()[:24].numpy(), second.flatten()[:24].numpy())[0, 1]) < 0.9


def test_tied_parameters_are_drawn_once():
    net = nn.Sequential(nn.Linear(5, 5), nn.Linear(5, 5))
    net[1].weight = net[0].weight
    initialise(net, 0)
    alone = nn.Linear(5, 5)
    initialise(alone, 0)
    assert torch.equal(net[1].weight, alone.weight)


GOLDEN = {
    "lenet": "e3659f15e45ef2eb5da37dc2f4954bb269f931e0ab42f74628cf1bf288de61ce",
    "mlp": "71aa0f974b391ea2ba4204a90fcbbb39b4277fe145d7e7b21719efc561907979",
    "cnn": "2ce98c26fa4116b8824e49df173f6781c47ad4f59759728e23536f3adc22bb2c",
    "resnet20": "8ca632f55e99706b9217e224e34a5e075bb42b230e38a46840c2303cbcf74a68",
}


def parameters_digest(name: str) -> str:
    net = build(name, (3, 32, 32), 10)
    initialise(net, 7)
    raw = b"".join(p.detach().numpy().astype("<f4").tobytes() for p in net.parameters())
    return hashlib.sha256(raw).hexdigest()


@pytest.mark.parametrize("name", GOLDEN)
def test_initialisation_never_changes(name):
    # certificates in the world name a seed only; another digest here breaks all of them
    assert parameters_digest(name) == GOLDEN[name]
