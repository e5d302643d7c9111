"""Networks that look ahead, at their neighbours or at dice, which the check of causality must tell from honest ones."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from pacbound.errors import ModelError
from pacbound.models.language import load_language_model
from pacbound.models.llama import read_llama2c
from pacbound.models.reference import initialise
from pacbound.models.sequences import sequence_network
from pacbound.networks.causality import check_causal
from tests.models.test_language import saved
from tests.models.test_llama import write

V, T = 11, 40


class Built(nn.Module):
    """An embedding, what a test does to (batch, T, 8), and a head."""

    def __init__(self, inside: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.embedding, self.head, self.inside = nn.Embedding(V, 8), nn.Linear(8, V), inside

    def forward(self, ids: Tensor) -> Tensor:
        return self.head(self.inside(self.embedding(ids)))  # type: ignore[no-any-return]


class Narrow(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.eval()

    def forward(self, ids: Tensor) -> Tensor:
        return torch.zeros(*ids.shape, 11)


def built(inside: Callable[[Tensor], Tensor]) -> nn.Module:
    module = Built(inside)
    initialise(module, 0)
    return module.eval()


def past_means(x: Tensor) -> Tensor:
    return x.cumsum(1) / torch.arange(1, x.shape[1] + 1)[:, None]


def said_of(network: nn.Module, vocabulary: int, length: int) -> str:
    """What the check says; nothing of a network that passes."""
    try:
        check_causal(network, vocabulary, length)
    except ModelError as refusal:
        return str(refusal)
    return ""


@pytest.mark.parametrize("text", ["E8-gru8-L", "E8-W3-h8-R-L", "E8-g8k4-L", "E8-attn2x2-L"])
def test_networks_of_the_grammar_depend_on_the_past_alone(text: str) -> None:
    network = sequence_network(text, V)
    initialise(network, 0)
    assert said_of(network.eval(), V, T) == ""
    assert "eval mode" in said_of(network.train(), V, T)


def test_a_checkpoint_and_plain_functions_of_the_past_pass(tmp_path: Path) -> None:
    assert said_of(read_llama2c(write(tmp_path / "made.bin")), V, 16) == ""
    assert said_of(built(past_means), V, T) == ""
    assert said_of(built(lambda x: x), V, 1) == ""
    for kind in ("GPT2Config", "LlamaConfig"):
        assert said_of(load_language_model(saved(kind, tmp_path / kind)[1], V)[0], V, 32) == ""


def symmetric(x: Tensor) -> Tensor:
    return nn.functional.avg_pool1d(x.transpose(1, 2), 3, 1, padding=1).transpose(1, 2)


def two_ways(x: Tensor) -> Tensor:
    return nn.functional.scaled_dot_product_attention(x, x, x)


def leak(x: Tensor) -> Tensor:
    """Past means, and at one position a trace of the one symbol that comes next."""
    y = past_means(x)
    ahead = torch.zeros_like(y)
    ahead[:, :-1] = x[:, 1:]
    return y + 1e-3 * ahead


def normal_over_places(x: Tensor) -> Tensor:
    return nn.functional.layer_norm(x, x.shape[1:])


def last_only(x: Tensor) -> Tensor:
    return x + (torch.arange(x.shape[1]) == 0)[:, None] * x[:, -1:]


def backwards(x: Tensor) -> Tensor:
    """Counts positions from the end."""
    return x * torch.arange(x.shape[1], 0, -1)[:, None]


@pytest.mark.parametrize("inside", [symmetric, two_ways, leak, normal_over_places, last_only, backwards])
def test_networks_that_look_ahead_are_refused(inside: Callable[[Tensor], Tensor]) -> None:
    with pytest.raises(ModelError, match=r"at position \d+ depend on symbols that come later"):
        check_causal(built(inside), V, T)


def test_a_transformer_that_looks_both_ways_is_refused(tmp_path: Path) -> None:
    network, _ = load_language_model(saved("BertConfig", tmp_path / "bert")[1], V)
    with pytest.raises(ModelError, match="come later"):
        check_causal(network, V, 32)


def test_neighbours_in_a_batch_must_not_matter() -> None:
    def inside(x: Tensor) -> Tensor:
        return nn.functional.batch_norm(x.transpose(1, 2), None, None, training=True).transpose(1, 2)

    for function in (inside, lambda x: x + x.mean(0, keepdim=True)):
        with pytest.raises(ModelError, match="depend on the other texts of its batch"):
            check_causal(built(function), V, T)


def test_chance_and_memory_must_not_matter() -> None:
    seen: list[Tensor] = []

    def remembers(x: Tensor) -> Tensor:
        seen.append(x)
        return x + float(len(seen) > 2 * 16 + 4)

    with pytest.raises(ModelError, match="on chance, or on what was asked before"):
        check_causal(built(remembers), V, T)
    with pytest.raises(ModelError, match="depend on"):
        check_causal(built(lambda x: nn.functional.dropout(x, 0.5, training=True)), V, T)


def test_what_answers_in_another_shape_or_not_at_all_is_refused() -> None:
    for function, said in (
        (lambda x: x[:, -1], "returns logits"),
        (lambda x: x[:, 1:], "returns logits"),
        (lambda x: x / 0, "finite"),
        (lambda x: x[:, :, :3], "got for"),
    ):
        with pytest.raises(ModelError, match=said):
            check_causal(built(function), V, T)
    with pytest.raises(ModelError, match="V at least 12"):
        check_causal(Narrow(), 12, 4)
