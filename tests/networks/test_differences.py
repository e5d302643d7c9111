"""Differences of two networks' losses: against losses taken one by one, by simulation, and for classifiers."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from pacbound.bounds.language import stream
from pacbound.bounds.losses import loss_sums
from pacbound.data.examples import Examples
from pacbound.data.texts import Text, map_text
from pacbound.errors import ModelError, RequestError
from pacbound.models.reference import initialise
from pacbound.models.sequences import sequence_network
from pacbound.networks.differences import difference_range, difference_sums, example_difference_sums
from pacbound.quantize.versions import quantized_version
from pacbound.specs.language import TOLERANCE_BITS, PredictionSpec

V = 97


def made(seed: int, size: int = V) -> nn.Module:
    network = sequence_network("E8-gru8-L", size)
    initialise(network, seed)
    return network.eval()


@pytest.fixture
def text(tmp_path: Path) -> Text:
    (tmp_path / "text.txt").write_bytes(bytes(np.random.default_rng(0).integers(97, 123, 53, dtype=np.uint8)))
    return map_text(tmp_path / "text.txt", "ascii97")


def by_hand(network: nn.Module, text: Text, alpha: float, size: int) -> np.ndarray:
    """Losses of all `size` symbols at every position, (n, size): windows of 16 that start 8 later each."""
    symbols, rows, begin, first = text.symbols(0, text.n), [], 0, 0
    while first < text.n:
        window = symbols[begin : begin + 16]
        ids = torch.from_numpy(np.concatenate([[text.alphabet.start], window[:-1]]))[None]
        with torch.no_grad():
            p = network(ids)[0].double().softmax(1).numpy()[first - begin :]
        q = np.full((len(p), size), alpha / size)
        q[:, : p.shape[1]] += (1 - alpha) * p
        rows.append(-np.log2(q))
        begin, first = begin + 8, begin + len(window)
    return np.concatenate(rows)


@pytest.mark.parametrize("listed", [False, True])
def test_sums_are_those_of_losses_taken_one_by_one(text: Text, listed: bool) -> None:
    text = text.listing() if listed else text
    size = text.alphabet.predicted
    network, reference = made(1, size), made(2, size)
    prediction = PredictionSpec(alpha=6, kappa=0, context=1, stride=2)
    difference = by_hand(network, text, 0.1, V) - by_hand(reference, text, 0.1, V)
    came = difference[np.arange(text.n), text.symbols(0, text.n)]
    sums = difference_sums(network, reference, text, prediction, tolerance=0.0, progress=False)
    assert (sums.n, sums.centre) == (text.n, 0.0)
    assert sums.losses == pytest.approx(came.sum(), abs=1e-6)
    assert sums.ceilings == pytest.approx(difference.max(1).sum(), abs=1e-6)
    assert sums.reach == pytest.approx(difference.max(), abs=1e-5)
    for rate, total in sums.log_terms:
        if total is not None:
            assert total == pytest.approx(-np.log1p(-rate * came).sum() / rate, abs=1e-6)
    assert any(total is not None for _, total in sums.log_terms)
    assert np.abs(difference).max() < difference_range(0.1, V) == -sums.lowest
    with_tolerance = difference_sums(network, reference, text, prediction, progress=False)
    assert with_tolerance.losses == pytest.approx(sums.losses + text.n * TOLERANCE_BITS, abs=1e-6)
    assert stream(sums, 0, 0.05).value < stream(with_tolerance, 0, 0.05).value


def test_the_range_is_that_of_one_symbol_surely_foreseen_and_surely_not() -> None:
    """The example of the literature: p = .5 against 1e-6 is 18.9 bits, mixed with alpha = .1 it is 11.2 at most."""
    for alpha, size in ((0.1, 512), (0.3, 2), (1e-4, 1 << 20)):
        least, most = -math.log2(1 - alpha + alpha / size), math.log2(size / alpha)
        assert most - least <= difference_range(alpha, size) <= (most - least) * (1 + 1e-12)


def test_a_network_loses_nothing_against_itself(text: Text) -> None:
    network = made(1)
    sums = difference_sums(
        network, network, text, PredictionSpec(alpha=6, kappa=0, context=1, stride=2), progress=False
    )
    assert sums.losses == pytest.approx(text.n * TOLERANCE_BITS, rel=1e-9)
    assert TOLERANCE_BITS <= stream(sums, 0, 0.05).value <= 2.01 * TOLERANCE_BITS  # no symbol could lose anything


def test_a_sharp_and_wrong_network_is_within_the_range(text: Text) -> None:
    sharp, flat = made(1), made(2)
    with torch.no_grad():
        sharp[2].bias[0], flat[2].bias[0] = 1e4, -1e4  # type: ignore[index]
    for one, other in ((sharp, flat), (flat, sharp)):
        sums = difference_sums(one, other, text, PredictionSpec(alpha=0, kappa=0, context=0, stride=4), progress=False)
        assert sums.reach <= difference_range(1e-4, V) + 3 * TOLERANCE_BITS


def test_coverage_on_a_source_whose_conditional_risk_is_known() -> None:
    """Texts from a Markov source; two tables that are wrong in ways of their own; how often is the bound violated?"""
    rng = np.random.default_rng(0)
    size, n, alpha = 4, 200, 0.1
    source, one, other = (rng.dirichlet(np.ones(size), size) for _ in range(3))
    smoothed = [(1 - alpha) * table + alpha / size for table in (one, other)]
    difference = np.log2(smoothed[1]) - np.log2(smoothed[0])  # loss of the first beyond the second's
    expected = (source * difference).sum(1)
    violations, width = 0, 0.0
    for _ in range(120):
        state, xs, ms, means = 0, [], [], []
        for u in rng.random(n):
            nxt = min(int(np.searchsorted(source[state].cumsum(), u)), size - 1)
            xs.append(difference[state, nxt])
            ms.append(difference[state].max())
            means.append(expected[state])
            state = nxt
        value = stream(loss_sums(xs, 0.0, ms, lowest=-difference_range(alpha, size)), 0, 0.05).value
        violations += value < np.mean(means)
        width += (value - np.mean(means)) / 120
    assert violations <= 6
    assert 0 < width < 1


class Table(nn.Module):
    """Looks its logits up by the one number that it reads."""

    def __init__(self, logits: list[list[float]]) -> None:
        super().__init__()
        self.logits = torch.tensor(logits)
        self.eval()

    def forward(self, x: Tensor) -> Tensor:
        return self.logits[x[:, 0].long()]


def examples(labels: list[int]) -> Examples:
    return Examples("made", torch.arange(len(labels)).float()[:, None], torch.tensor(labels), 3)


def test_near_ties_count_against_the_new_network_alone() -> None:
    right, wrong, tie = [5.0, 0.0, 0.0], [0.0, 5.0, 0.0], [5.0, 5.0, 0.0]
    nan = [math.nan, 0.0, 0.0]
    pairs = {
        (0, 0): (right, right), (1, 1): (wrong, right), (2, -1): (right, wrong), (3, 0): (wrong, wrong),
        (4, 1): (tie, right), (5, 0): (right, tie), (6, 1): (tie, tie), (7, 1): (nan, right),
    }  # fmt: skip
    for (_, expected), (one, other) in pairs.items():
        sums = example_difference_sums(Table([one] * 3), Table([other] * 3), examples([0, 0, 0]), "zero_one")
        assert (sums.n, sums.losses, sums.lowest, sums.ceiling) == (3, pytest.approx(3 * expected), -1.0, 1.0)


def test_a_bounded_loss_of_classifiers_differs_by_what_numpy_says() -> None:
    rng = np.random.default_rng(3)
    logits, labels = rng.normal(size=(2, 900, 3)), rng.integers(0, 3, 900)
    losses = [1 - np.exp(z)[np.arange(900), labels] / np.exp(z).sum(1) for z in logits]
    networks = [Table(z.tolist()) for z in logits]
    sums = example_difference_sums(networks[0], networks[1], examples(labels.tolist()), "error_probability")
    assert sums.losses == pytest.approx((losses[0] - losses[1]).sum() + 900 * 2e-5, abs=1e-4)
    assert sums.reach <= 1 + 1e-9


def test_what_is_not_answered_alike_alone_and_in_company_is_refused() -> None:
    class Centred(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return (x - x.mean(0)) * torch.tensor([1.0, -1.0, 2.0])

    data = examples([0, 1, 2, 0])
    with pytest.raises(ModelError, match="depends on the other inputs"):
        example_difference_sums(Centred(), Table([[1.0, 0.0, 0.0]] * 4), data, "zero_one")
    with pytest.raises(RequestError, match="a loss is one of zero_one, error_probability, got 'top_5'"):
        example_difference_sums(Table([[1.0, 0, 0]] * 4), Table([[1.0, 0, 0]] * 4), data, "top_5")


@pytest.mark.parametrize(("quantizer", "least", "most"), [("int8", -0.01, 0.004), ("nf4", 0.02, 0.13)])
def test_the_published_checkpoint_loses_little(data_root: Path, quantizer: str, least: float, most: float) -> None:
    from pacbound.data.texts import map_tokens
    from pacbound.models.llama import read_llama2c

    folder = data_root / "checkpoints" / "stories260K"
    text = map_tokens("tinyshakespeare", folder / "tok512.bin", data_root, 1_003_853, 30_000, progress=False)
    network = read_llama2c(folder / "stories260K.bin")
    version = quantized_version(network, quantizer)
    prediction = PredictionSpec(alpha=6, kappa=0, context=5, stride=4)
    sums = difference_sums(version.network, network, text, prediction, progress=False, most=5_120)
    value = stream(sums, 0, 0.05).value * text.n / text.bytes_in_all
    assert least < sums.losses / sums.n * text.n / text.bytes_in_all < value <= most
