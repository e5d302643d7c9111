"""What stands beside a language model, against counts kept in dictionaries."""

import math
from collections import Counter, defaultdict

import numpy as np
import pytest

from pacbound.data.texts import map_text
from pacbound.networks import ngrams
from pacbound.networks.ngrams import ALPHA, predictors
from pacbound.specs.language import TOLERANCE_BITS
from tests.markov import CHAIN, save_text, states


@pytest.fixture
def text(tmp_path):
    return map_text(save_text(tmp_path, 3000), "ascii97", None, 0, None).listing()


def slow_ngram(symbols: list[int], order: int, size: int) -> list[float]:
    """Witten and Bell from dictionaries, one symbol after the other."""
    counts: dict[tuple[int, ...], Counter[int]] = defaultdict(Counter)
    losses = []
    for i, y in enumerate(symbols):
        padded = (-1,) * order + tuple(symbols[:i])
        p = 1 / size
        for k in range(order + 1):
            seen = counts[(k, *padded[len(padded) - k :])]
            total, different = sum(seen.values()), len(seen)
            p = (seen[y] + different * p) / (total + different) if total else p
        losses.append(-math.log2((1 - ALPHA) * p + ALPHA / size))
        for k in range(order + 1):
            counts[(k, *padded[len(padded) - k :])][y] += 1
    return losses


def test_an_adaptive_ngram_is_that_of_its_counts(text):
    found = {one.name: one for one in predictors(text)}["n-gram"]
    slow = slow_ngram(text.symbols(0, text.n).tolist(), found.order, 97)
    assert found.bits == 0
    assert found.sums.losses == pytest.approx(sum(slow) + text.n * TOLERANCE_BITS, abs=1e-6)


def test_tables_lie_between_the_source_and_their_bounds(text):
    """No predictor does better on average than the source's own probabilities, but for chance and what it learned."""
    found = {one.name: one for one in predictors(text)}
    symbols = states(3000)
    source = -np.log2(CHAIN[np.concatenate([[3], symbols[:-1]]), symbols]).mean()
    frequencies = np.bincount(symbols, minlength=4) / 3000
    unigram = -(frequencies * np.log2(frequencies)).sum()
    means = {name: one.sums.losses / one.sums.n for name, one in found.items()}
    assert means["uniform"] == pytest.approx(math.log2(97))
    assert unigram < means["unigram"] < unigram + 0.05
    assert source - 0.01 < means["bigram"] < source + 0.06
    assert all(means[name] < found[name].value(0.05) for name in ("unigram", "bigram", "n-gram"))
    assert 0 < found["unigram"].bits < found["bigram"].bits < 400


def test_blocks_change_nothing(text, monkeypatch):
    whole = predictors(text)
    monkeypatch.setattr(ngrams, "BLOCK", 777)
    for one, other in zip(whole, predictors(text), strict=True):
        assert (one.bits, one.order) == (other.bits, other.order)
        assert one.value(0.05) == pytest.approx(other.value(0.05), abs=1e-9)


def test_an_ngram_never_looks_at_the_symbol_that_it_predicts(tmp_path, text):
    """The last symbol exchanged changes the loss of the last place alone."""
    path = tmp_path / "other.txt"
    raw = b"".join(chunk.tobytes() for chunk in text.chunks())
    path.write_bytes(raw[:-1] + (b"a" if raw[-1:] != b"a" else b"b"))
    other = map_text(path, "ascii97", None, 0, None).over(text.alphabet)
    one, two = (slow_ngram(t.symbols(0, t.n).tolist(), 4, 97) for t in (text, other))
    totals = [{x.name: x for x in predictors(t)}["n-gram"].sums.losses for t in (text, other)]
    assert totals[1] - totals[0] == pytest.approx(two[-1] - one[-1], abs=1e-6)


def test_a_text_shorter_than_the_contexts_has_its_predictors(tmp_path):
    text = map_text(save_text(tmp_path, 2), "ascii97", None, 0, None).listing()
    found = {one.name: one for one in predictors(text)}["n-gram"]
    assert found.order > text.n == 2
    slow = slow_ngram(text.symbols(0, 2).tolist(), found.order, 97)
    assert found.sums.losses == pytest.approx(sum(slow) + 2 * TOLERANCE_BITS, abs=1e-6)
