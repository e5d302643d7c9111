"""Losses of a network against a slow oracle: one position at a time, one window each, mpmath-free but by other code."""

import math

import numpy as np
import pytest
import torch

from pacbound.data.texts import map_text
from pacbound.models.reference import initialise
from pacbound.models.sequences import sequence_network
from pacbound.networks import predictions
from pacbound.networks.predictions import draw_positions, predict, sum_losses, unit_losses, units_of
from pacbound.specs.language import TOLERANCE_BITS, PredictionSpec, UnitsSpec
from tests.markov import save_text


@pytest.fixture
def text(tmp_path):
    return map_text(save_text(tmp_path, 150), "bytes", None, 0, None).listing()


@pytest.fixture
def network(text):
    made = sequence_network("E4-gru5-L", text.alphabet.predicted).eval()
    initialise(made, 3)
    return made


def slow_loss(network, past: list[int], symbol: int, alpha: float, size: int) -> tuple[float, float]:
    """Loss and entropy of one symbol after the start symbol and its past, over the declared vocabulary."""
    with torch.no_grad():
        p = network(torch.tensor([[0, *past]]))[0, -1].double().softmax(0).tolist()
    smoothed = [(1 - alpha) * q + alpha / size for q in p] + [alpha / size] * (size - len(p))
    return -math.log2(smoothed[symbol]), -sum(q * math.log2(q) for q in smoothed)


def test_a_stream_is_predicted_window_by_window(text, network):
    prediction = PredictionSpec(alpha=4, kappa=1, context=0, stride=3)  # 8 symbols, every 6
    symbols = text.symbols(0, text.n).tolist()
    begins = {i: 0 if i < 8 else 6 * ((i - 8) // 6 + 1) for i in range(text.n)}
    slow = [slow_loss(network, symbols[begins[i] : i], symbols[i], 0.01, 256) for i in range(text.n)]
    blocks = [unit_losses(block, prediction, 256, False) for block in predict(network, text, prediction, None)]
    losses, centres = (np.concatenate(parts) for parts in zip(*blocks, strict=True))
    assert np.allclose(losses, [x for x, _ in slow], atol=1e-6)
    assert np.allclose(centres, [1.1 * h for _, h in slow], atol=1e-5)
    sums, along = sum_losses(network, text, prediction, None)
    assert sums.n == text.n
    assert sums.losses == pytest.approx(sum(losses) + text.n * TOLERANCE_BITS, abs=1e-6)
    assert np.mean(along) == pytest.approx(np.mean(losses), abs=0.05)


def test_a_document_is_predicted_from_its_beginning_alone(text, network):
    units = predictions.Units(np.array([[0, 3], [5, 20], [30, 31], [40, 48]]), apart=True)
    prediction = PredictionSpec(alpha=5, centre=40, context=0)
    symbols = text.symbols(0, text.n).tolist()
    slow = []
    for begin, end in units.spans.tolist():
        piece = symbols[begin : min(end, begin + 8)]
        slow.append(np.mean([slow_loss(network, piece[:k], piece[k], 0.03, 256)[0] for k in range(len(piece))]))
    found = [unit_losses(block, prediction, 256, True) for block in predict(network, text, prediction, units)]
    assert np.allclose(np.concatenate([losses for losses, _ in found]), slow, atol=1e-6)
    assert {centre for _, centre in found} == {2.5}


def test_a_position_is_predicted_from_the_symbols_before_it_across_anything(text, network):
    units = units_of(text, UnitsSpec(statement="positions", count=40, seed=5))
    prediction = PredictionSpec(alpha=2, centre=16, context=0)
    symbols = text.symbols(0, text.n).tolist()
    slow = [slow_loss(network, symbols[max(0, i - 7) : i], symbols[i], 1e-3, 256)[0] for i, _ in units.spans.tolist()]
    found = [unit_losses(block, prediction, 256, True)[0] for block in predict(network, text, prediction, units)]
    assert np.allclose(np.concatenate(found), slow, atol=1e-6)


def test_a_symbol_that_the_network_does_not_know_costs_the_ceiling(tmp_path, text, network):
    path = tmp_path / "new.txt"
    path.write_bytes(b"ab!c")
    other = map_text(path, "bytes", None, 0, None).over(text.alphabet)
    prediction = PredictionSpec(alpha=4, kappa=0, context=0, stride=4)
    (block,) = predict(network, other, prediction, None)
    losses, _ = unit_losses(block, prediction, 256, False)
    assert losses[2] == pytest.approx(math.log2(256 / 0.01))
    assert losses[2] <= prediction.ceiling(256)
    assert max(losses[[0, 1, 3]]) < losses[2]


def test_positions_are_uniform_independent_and_of_the_seed_alone():
    drawn = draw_positions(7, 70_000, 1)
    counts = np.bincount(drawn, minlength=7)
    assert abs(counts - 10_000).max() < 5 * math.sqrt(10_000 * 6 / 7)
    assert (draw_positions(7, 70_000, 1) == drawn).all()
    assert (draw_positions(7, 70_000, 2) != drawn).any()
    assert len(np.unique(draw_positions(10, 100, 0))) <= 10  # with replacement


def test_words_that_favour_some_positions_are_left_out(monkeypatch):
    words = np.array([2**64 - 1, 5, 2**64 - 2, 9] * 40, np.uint64)
    monkeypatch.setattr(predictions, "raw_words", lambda seed, stream, n: words)
    n = (1 << 63) + 1  # every word from n on would stand for a second position
    assert set(draw_positions(n, 10, 0).tolist()) == {5, 9}
