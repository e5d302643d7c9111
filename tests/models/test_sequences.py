"""Networks of sequences: each layer against numpy, which shares no code with it, and what does not fit."""

import itertools
import math
import re

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn
from torch.func import functional_call

from pacbound.errors import ModelError
from pacbound.models.loading import load_model
from pacbound.models.reference import initialise
from pacbound.models.sequences import sequence_network
from pacbound.subspace.layout import Layout

V, T = 7, 9
Array = NDArray[np.float64]


def made(text: str, vocabulary: int = V) -> nn.Module:
    """The network in eval mode, every parameter drawn, so that each of them matters."""
    network = sequence_network(text, vocabulary)
    initialise(network, 1)
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for value in network.parameters():
            if value.ndim == 1:
                value.copy_(0.5 + torch.rand(value.shape, generator=generator))
    return network.eval()


def texts(rows: int = 2, length: int = T, vocabulary: int = V) -> torch.Tensor:
    return torch.randint(0, vocabulary, (rows, length), generator=torch.Generator().manual_seed(3))


def sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def normal(x: Array, weight: Array) -> Array:
    return (x - x.mean()) / np.sqrt(x.var() + 1e-5) * weight


def gru_by_hand(x: Array, p: list[Array]) -> Array:
    w, u, b, c = p
    n, state, states = u.shape[1], np.zeros(u.shape[1]), []
    for row in x:
        i, h = w @ row + b, u @ state + c
        r, z = sigmoid(i[:n] + h[:n]), sigmoid(i[n : 2 * n] + h[n : 2 * n])
        state = (1 - z) * np.tanh(i[2 * n :] + r * h[2 * n :]) + z * state
        states.append(state)
    return np.array(states)


def window_by_hand(x: Array, reach: int) -> Array:
    zero = np.zeros(x.shape[1])
    return np.array([np.concatenate([x[i] if i >= 0 else zero for i in range(t - reach + 1, t + 1)]) for t in range(T)])


def convolution_by_hand(x: Array, p: list[Array]) -> Array:
    w, b = p
    n, kernel, rows = len(w) // 2, w.shape[2], []
    for t in range(len(x)):
        y = b + sum(w[:, :, k] @ x[t - kernel + 1 + k] for k in range(kernel) if t - kernel + 1 + k >= 0)
        rows.append(y[:n] * sigmoid(y[n:]) + (x[t] if n == x.shape[1] else 0))
    return np.array(rows)


def block_by_hand(x: Array, p: list[Array], heads: int) -> Array:
    first, second, qkv, out, up, down = p
    width = x.shape[1]
    size = width // heads
    q, k, v = np.split(np.array([qkv @ normal(row, first) for row in x]), 3, axis=1)
    rows = []
    for t in range(len(x)):
        answers = []
        for head in range(heads):
            part = slice(head * size, (head + 1) * size)
            pairs = [
                sum(
                    (complex(*q[t, part][2 * i : 2 * i + 2]) * complex(*k[s, part][2 * i : 2 * i + 2]).conjugate()
                     * np.exp(1j * (t - s) * 10000 ** (-2 * i / size))).real
                    for i in range(size // 2)
                ) / math.sqrt(size)
                for s in range(t + 1)
            ]  # fmt: skip
            shares = np.exp(pairs) / np.exp(pairs).sum()
            answers.append(sum(share * v[s, part] for s, share in enumerate(shares)))
        y = x[t] + out @ np.concatenate(answers)
        hidden = up @ normal(y, second)
        rows.append(y + down @ np.array([h * (1 + math.erf(h / math.sqrt(2))) / 2 for h in hidden]))
    return np.array(rows)


def by_hand(text: str, network: nn.Module, ids: Array) -> Array:
    values = iter(p.detach().double().numpy() for p in network.parameters())

    def take(n: int) -> list[Array]:
        return list(itertools.islice(values, n))

    x = take(1)[0][ids]
    for token in text.split("-")[1:]:
        if token.startswith("gru"):
            x = gru_by_hand(x, take(4))
        elif token[0] == "W":
            x = window_by_hand(x, int(token[1:]))
        elif token[0] == "g":
            x = convolution_by_hand(x, take(2))
        elif token == "tanh":
            x = np.tanh(x)
        elif token.startswith("attn"):
            heads, _, times = token[4:].partition("x")
            for _ in range(int(times or 1)):
                x = block_by_hand(x, take(6), int(heads))
            (weight,) = take(1)
            x = np.array([normal(row, weight) for row in x])
        elif token == "R":
            x = x.clip(min=0)
        else:
            w, b = take(2)
            x = x @ w.T + b
    assert next(values, None) is None
    return x


@pytest.mark.parametrize(
    "text", ["E4-L", "E4-gru5-L", "E4-W3-h6-R-L", "E4-g4k3-g5k2-tanh-L", "E8-attn2x2-L", "E6-attn1-gru3-h4-R-L"]
)
def test_networks_compute_what_is_said_of_them(text: str) -> None:
    network, ids = made(text), texts()
    with torch.no_grad():
        logits = network(ids)
    assert logits.shape == (2, T, V)
    for row in range(2):
        assert np.allclose(logits[row].numpy(), by_hand(text, network, ids[row].numpy()), atol=2e-5)


@pytest.mark.parametrize(
    ("text", "vocabulary", "size"),
    [
        ("E16-gru32-L", 65, 7985),
        ("E16-W6-h64-R-L", 65, 65 * 16 + 97 * 64 + 65 * 65),
        ("E32-g32k4-L", 65, 65 * 32 + 64 * 129 + 33 * 65),
        ("E48-attn4x2-L", 65, 65 * 48 + 2 * (12 * 48**2 + 2 * 48) + 48 + 49 * 65),
    ],
)
def test_sizes(text: str, vocabulary: int, size: int) -> None:
    assert sum(p.numel() for p in sequence_network(text, vocabulary).parameters()) == size


GOLDEN = {
    "E4-W2-gru6-g6k2-attn1-h3-L": (
        971, "4cd429860eb03094694f88c254d5d13ca000f60ee38a8b2acc37393c13d5a72c", 6636.947802367911,
    ),
    "E16-gru32-L": (5143, "19a1e085c651db20658d4fe4db570ccfea22218683b35690fbb9d51b4f46a5e7", -38592.65433567515),
}  # fmt: skip


@pytest.mark.parametrize("text", GOLDEN)
def test_a_seed_means_the_same_network_everywhere(text: str) -> None:
    """Names, shapes and order of parameters stand in certificates, and so do values drawn from a seed."""
    network = sequence_network(text, V)
    initialise(network, 5)
    layout = Layout.of(network)
    assert (layout.D, layout.digest) == GOLDEN[text][:2]
    values = torch.cat([p.detach().flatten() for p in network.parameters()]).double()
    assert float((values * torch.arange(len(values))).sum().detach()) == pytest.approx(GOLDEN[text][2], rel=1e-6)


def test_parameters_are_he_units_and_flat_ones_are_one_or_zero() -> None:
    network = sequence_network("E64-gru64-g64k3-attn4-L", 500)
    initialise(network, 0)
    for name, value in network.named_parameters():
        if value.ndim > 1:
            assert float(value.std().detach()) == pytest.approx(math.sqrt(2 * len(value) / value.numel()), rel=0.05), (
                name
            )
        else:
            assert torch.equal(value, torch.full_like(value, float(name.endswith("weight")))), name


@pytest.mark.parametrize("text", ["E4-gru5-L", "E4-g4k3-W2-L", "E8-attn2x2-L"])
def test_other_parameters_are_read_by_functional_call_and_have_gradients(text: str) -> None:
    network, other = made(text), made(text)
    initialise(other, 9)
    values = {name: p.detach().clone().requires_grad_() for name, p in other.named_parameters()}
    logits = functional_call(network, values, (texts(),))
    assert torch.equal(logits, other(texts()))
    logits.square().sum().backward()
    assert all(value.grad is not None and value.grad.abs().sum() > 0 for value in values.values())
    with torch.no_grad():
        assert not torch.allclose(network(texts()), logits.detach())


def test_activations_are_what_they_are_called() -> None:
    x = texts()
    for text, function in {
        "R": torch.relu,
        "tanh": torch.tanh,
        "gelu": nn.functional.gelu,
        "silu": nn.functional.silu,
    }.items():
        network = made(f"E4-{text}-L")
        e, w, b = network.parameters()
        assert torch.allclose(network(x), function(e[x]) @ w.T + b, atol=1e-6), text


@pytest.mark.parametrize("length", [1, 2, 40])
def test_texts_of_any_length_are_read_and_what_was_said_stays(length: int) -> None:
    network, ids = made("E8-W3-g8k4-gru8-attn2-L"), texts(3, 40)
    with torch.no_grad():
        assert torch.allclose(network(ids[:, :length]), network(ids)[:, :length], atol=1e-5)


@pytest.mark.parametrize(
    ("text", "vocabulary", "said"),
    [
        ("h64-R-L", 7, "starts with E or K, got h64-R-L"),
        ("lenet", 7, "starts with E"),
        ("E16-L", 1, "at least 2 symbols, got 1"),
        ("E16-attn3-L", 7, "layer 2 (attn3) of E16-attn3-L: its heads are of equal and even width, got 16 channels"),
        ("E6-attn2-L", 7, "even width"),
        ("E4096-gru4096-h4096-L", 1 << 17, "at most 268,435,456 parameters"),
        ("E4096-attn1x64-L", 7, "layer 2 (attn1x64)"),
        ("E4096-W64-W2-L", 7, "at most 262,144 channels"),
        ("E16", 7, "there could stand '-' and a layer"),
    ],
)
def test_what_does_not_fit_is_refused_by_its_layer(text: str, vocabulary: int, said: str) -> None:
    with pytest.raises(ModelError, match=re.escape(said)):
        sequence_network(text, vocabulary)


@pytest.mark.parametrize("shape", [(1, 28, 28), (28, 28), (12,)])
def test_a_network_of_sequences_classifies_nothing(shape: tuple[int, ...]) -> None:
    with pytest.raises(ModelError, match=r"E16-gru32-L says what symbol comes next.*--task lm"):
        load_model("E16-gru32-L", shape, 10)
