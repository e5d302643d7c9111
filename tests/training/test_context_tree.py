"""Context trees that are fitted to texts of known sources, against dictionaries."""

import math
from collections import Counter

import numpy as np
import pytest

from pacbound.errors import RequestError
from pacbound.training import context_tree
from pacbound.training.context_tree import ADDRESS_BITS, BETA, LEAST_COUNT, STEP, Level, fit_tree

V, N = 6, 20_000


def second_order(n: int = N) -> np.ndarray:
    """A text whose next symbol follows the last two where the last is 0, else is uniform."""
    generator, text = np.random.default_rng(1), [0, 1]
    for noise, uniform in zip(generator.random(n), generator.integers(0, V, n).tolist(), strict=True):
        text.append((text[-2] + 1) % V if text[-1] == 0 and noise < 0.9 else uniform)
    return np.array(text[2:])


def contexts_of(root: np.ndarray, levels: list[Level]) -> dict[tuple[int, ...], np.ndarray]:
    """Integers by context, the last symbol last."""
    found, rows = {(): root}, [()]
    for level in levels:
        longer = [
            (symbol, *context)
            for row, context in enumerate(rows)
            for symbol in np.flatnonzero(level.children[row]).tolist()
        ]
        assert len(longer) == len(level.integers)
        found |= dict(zip(longer, level.integers, strict=True))
        rows = longer
    return found


def nats(tree: dict[tuple[int, ...], np.ndarray], text: list[int]) -> float:
    """The loss of a text under a tree, in nats."""
    counts = Counter()
    for t, symbol in enumerate(text):
        context: tuple[int, ...] = ()
        while len(context) < t and (text[t - len(context) - 1], *context) in tree:
            context = (text[t - len(context) - 1], *context)
        counts[context, symbol] += 1
    total = 0.0
    for (context, symbol), count in counts.items():
        logits = STEP * sum(tree[context[k:]] for k in range(len(context) + 1))
        total += count * (math.log(np.exp(logits).sum()) - logits[symbol])
    return total


def test_a_text_of_independent_symbols_has_no_contexts() -> None:
    root, levels = fit_tree(np.random.default_rng(0).integers(0, V, N), V, 4)
    assert (root.shape, levels) == ((V,), [])


def test_contexts_are_those_of_the_source_and_losses_near_its_entropy() -> None:
    text = second_order()
    tree = contexts_of(*fit_tree(text, V, 4))
    assert {context for context in tree if len(context) == 2} == {(symbol, 0) for symbol in range(V)}
    assert not [context for context in tree if len(context) > 2]
    assert set(tree) == {(), (0,), *((symbol, 0) for symbol in range(V))}
    known = 0.9 + 0.1 / V
    entropy = -known * math.log(known) - (V - 1) * (0.1 / V) * math.log(0.1 / V)
    share = float((text == 0).mean())
    assert nats(tree, text.tolist()) / N == pytest.approx(share * entropy + (1 - share) * math.log(V), abs=0.03)


def test_no_context_without_descendants_costs_more_than_it_saves() -> None:
    text = second_order(4000)
    text[1000:2000] = np.tile([1, 2, 3, 4, 5], 200)
    tree = contexts_of(*fit_tree(text, V, 3))
    whole, leaves = nats(tree, text.tolist()), [c for c in tree if c and not any(o[1:] == c for o in tree)]
    assert leaves
    for leaf in leaves:
        without = {context: value for context, value in tree.items() if context != leaf}
        assert nats(without, text.tolist()) - whole > BETA * ADDRESS_BITS * math.log(2)


def test_rare_contexts_short_texts_and_unknown_symbols_are_no_trouble() -> None:
    assert fit_tree(np.zeros(1, np.int64), V, 4)[1] == []
    few = np.tile([0, 1], LEAST_COUNT // 2 - 1)
    assert fit_tree(few, V, 4)[1] == []
    unknown = np.where(second_order() == 0, V + 3, second_order())
    root, levels = fit_tree(unknown, V, 2)
    assert root[0] == 0
    assert all(not level.children[:, 0].any() for level in levels)


def test_more_contexts_than_memory_holds_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(context_tree, "MOST_CELLS", (V + 1) * V - 1)
    with pytest.raises(RequestError, match=r"6 contexts of 6 symbols, and at most 41 numbers"):
        fit_tree(second_order(), V, 3)
