"""Which answers greedy decoding gives: against a loop that writes them symbol by symbol; what counts as an error."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from pacbound.data.pairs import Pairs
from pacbound.errors import DataError
from pacbound.models.llama import read_llama2c
from pacbound.networks.predictions import answers_of, count_wrong, sum_losses
from pacbound.specs.language import ALPHAS, AlphabetSpec, PredictionSpec
from tests.models.test_llama import write

V = 256
WINDOW = PredictionSpec(alpha=ALPHAS.index(0.1), centre=64, context=1)  # 16 symbols


def pairs_of(pairs: list[tuple[list[int], list[int]]]) -> Pairs:
    symbols, edges = [], []
    for prompt, answer in pairs:
        begin = len(symbols)
        symbols += prompt + answer
        edges.append((begin, begin + len(prompt), len(symbols)))
    source = np.array(symbols, np.uint8)
    return Pairs("made", source, AlphabetSpec(size=V), 0, len(symbols), 0, len(symbols), np.array(edges, np.int64))


@torch.no_grad()
def written(network: nn.Module, prompt: list[int], length: int) -> list[int]:
    """What greedy decoding writes after a prompt, one symbol at a time."""
    known = [0, *prompt]
    for _ in range(length):
        known.append(int(network(torch.tensor([known]))[0, -1].argmax()))
    return known[1 + len(prompt) :]


def test_an_answer_is_exact_where_greedy_decoding_writes_it(tmp_path: Path) -> None:
    network = read_llama2c(write(tmp_path / "tiny.bin", (8, 12, 1, 4, 2, V, 16)))
    rng = np.random.default_rng(0)
    made, right = [], []
    for k in range(60):
        prompt, length = rng.integers(0, V, rng.integers(0, 9)).tolist(), 1 + k % 5
        answer = written(network, prompt, length)
        spoilt = k % 2 == 1
        if spoilt:
            place = int(rng.integers(0, length))  # first, last or between
            answer[place] = (answer[place] + 1 + int(rng.integers(0, V - 1))) % V
        made.append((prompt, answer))
        right.append(written(network, prompt, length) == answer)
    assert right == [k % 2 == 0 for k in range(60)]
    pairs = pairs_of(made)
    units = answers_of(pairs, WINDOW)
    assert count_wrong(network, pairs, WINDOW, units, progress=False) == 30
    for k in (0, 1, 4, 9):
        one = pairs_of([made[k]])
        assert count_wrong(network, one, WINDOW, answers_of(one, WINDOW), progress=False) == k % 2
    sums, _ = sum_losses(network, pairs, WINDOW, units, tolerance=0.0, progress=False)
    means = []
    for prompt, answer in made:
        with torch.no_grad():
            p = network(torch.tensor([[0, *prompt, *answer[:-1]]]))[0].double().softmax(-1).numpy()
        own = p[np.arange(len(prompt), len(prompt) + len(answer)), answer]
        means.append(-np.log2(0.9 * own + 0.1 / V).mean())
    assert sums.n == 60
    assert sums.losses == pytest.approx(sum(means), abs=1e-4)


class Constant(nn.Module):
    """Says the same of every position."""

    def __init__(self, logits: list[float]) -> None:
        super().__init__()
        self.logits = torch.tensor(logits)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return self.logits.expand(*ids.shape, -1)


@pytest.mark.parametrize(("lead", "wrong"), [(0.0, 1), (5e-4, 1), (2e-3, 0)])
def test_a_near_tie_is_an_error(lead: float, wrong: int) -> None:
    """The margin is 1e-4 of the largest magnitude, 10 here."""
    network = Constant([10.0 - lead, 10.0, -10.0, *[0.0] * (V - 3)])
    pairs = pairs_of([([5], [1])])
    assert count_wrong(network, pairs, WINDOW, answers_of(pairs, WINDOW), progress=False) == wrong


def test_a_symbol_that_the_network_does_not_know_is_an_error() -> None:
    network = Constant([10.0, 0.0])
    pairs = replace(pairs_of([([5], [9])]), alphabet=AlphabetSpec(size=V, occurring=f"{1 << 5 | 1 << 7:064x}"))
    assert count_wrong(network, pairs, WINDOW, answers_of(pairs, WINDOW), progress=False) == 1


def test_a_pair_longer_than_a_window_is_refused() -> None:
    pairs = pairs_of([([1], [2]), ([1] * 12, [2] * 5)])
    with pytest.raises(DataError, match="window of 16 symbols, pair 2 of made has 17"):
        answers_of(pairs, WINDOW)
