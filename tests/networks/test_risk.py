"""Counting against loops in numpy, and everything that must not be counted."""

import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from pacbound.data.examples import Examples
from pacbound.errors import ModelError, RequestError
from pacbound.networks.passes import BATCH
from pacbound.networks.risk import error_probability, evaluate, loss_function, top_k, zero_one
from tests.tiny import CLASSES, decoded, examples, network

SYMBOLS = np.random.default_rng(0).integers(0, 9, 12).astype(np.int32)


class Same(nn.Module):
    """Returns its input as logits."""

    def __init__(self) -> None:
        super().__init__()
        self.unused = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        return x


def loop_errors(logits: np.ndarray, y: np.ndarray, k: int) -> list[int]:
    """An example is right where fewer than k others come within 1e-4 of the largest magnitude of its label's logit."""
    counted = []
    for row, label in zip(logits.astype(np.float64), y, strict=True):
        margin = 1e-4 * max(abs(value) for value in row)
        rivals = sum(row[j] >= row[label] - margin for j in range(len(row)) if j != label)
        counted.append(int(rivals >= k))
    return counted


@pytest.mark.parametrize("k", [1, 2, 5])
def test_errors_are_those_of_a_loop(k: int) -> None:
    generator = np.random.default_rng(k)
    logits, y = generator.normal(0, 1, (300, 7)).astype(np.float32), generator.integers(0, 7, 300)
    found = top_k(torch.from_numpy(logits), torch.from_numpy(y), k)
    assert found.tolist() == loop_errors(logits, y, k)
    assert 0 < sum(found.tolist()) < 300


def test_the_errors_of_a_network_are_those_of_its_logits_over_several_batches() -> None:
    sample = examples(2 * BATCH + 17)
    hypothesis = decoded(network(), SYMBOLS)
    risk = evaluate(hypothesis, sample, progress=False)
    logits = np.concatenate([hypothesis(sample.x[k : k + 1]).numpy() for k in range(sample.n)])
    assert risk.errors == sum(loop_errors(logits, sample.y.numpy(), 1))
    assert 0 < risk.errors < sample.n
    assert isinstance(risk.errors, int)
    assert (risk.n, risk.loss, risk.data_digest) == (sample.n, "zero_one", sample.digest())


@pytest.mark.parametrize(
    ("row", "label", "wrong"),
    [
        ([1.0, 0.0, 0.0], 0, 0),
        ([1.0, 1.0, 0.0], 0, 1),  # a tie is an error, whoever argmax would pick
        ([1.0, 1.0, 0.0], 1, 1),
        ([1.0, 0.99995, 0.0], 0, 1),  # a near tie too
        ([1.0, 0.9998, 0.0], 0, 0),
        ([1.0, 0.9998, -50.0], 0, 1),  # near is relative to the largest magnitude
        ([0.0, 0.0, 0.0], 0, 1),
        ([math.nan, 1.0, 0.0], 1, 1),
        ([1.0, 0.0, math.nan], 0, 1),
        ([math.inf, 0.0, 0.0], 0, 1),
        ([0.0, -math.inf, -math.inf], 0, 1),
    ],
)
def test_ties_near_ties_and_numbers_that_are_not_finite_count_as_errors(
    row: list[float], label: int, wrong: int
) -> None:
    assert zero_one(torch.tensor([row]), torch.tensor([label])).tolist() == [wrong]


def test_nan_logits_of_a_network_count_as_errors_instead_of_stopping_the_count() -> None:
    class Sometimes(Same):
        def forward(self, x: Tensor) -> Tensor:
            return torch.where(x[:, :1] > 2, math.nan, x)

    sample = Examples("rows", torch.eye(4, 4).repeat(5, 1) + torch.arange(20)[:, None] % 3, torch.arange(20) % 4, 4)
    hopeless = sample.x[:, 0] > 2
    assert 0 < int(hopeless.sum()) < 20
    assert evaluate(decoded(Sometimes()), sample, progress=False).errors == int(hopeless.sum())


def test_top_5_forgives_four_better_labels() -> None:
    logits = torch.arange(8.0)[None].repeat(8, 1)
    assert loss_function("top_5")[1](logits, torch.arange(8)).tolist() == [1, 1, 1, 0, 0, 0, 0, 0]
    assert loss_function("top_3")[1](logits, torch.arange(8)).tolist() == [1, 1, 1, 1, 1, 0, 0, 0]
    sample = Examples("rows", logits, torch.arange(8), 8)
    risk = evaluate(decoded(Same()), sample, "top_5", progress=False)
    assert (risk.errors, risk.loss, risk.counts) == (3, "top_5", True)


def test_error_probability_is_summed_and_rounded_up_by_one_to_two_thousandths() -> None:
    sample, hypothesis = examples(), decoded(network(), SYMBOLS)
    risk = evaluate(hypothesis, sample, "error_probability", progress=False)
    total = Fraction(0)
    for logits, label in zip(hypothesis(sample.x).double().numpy(), sample.y, strict=True):
        p = np.exp(logits - logits.max())
        total += 1 - Fraction(float(p[label] / p.sum()))
    slack = Fraction(risk.errors) - total
    assert Fraction(9, 10_000) < slack < Fraction(21, 10_000)
    assert not risk.counts
    assert risk.errors * 1000 == pytest.approx(round(risk.errors * 1000), abs=1e-6)


def test_error_probability_never_exceeds_one_an_example() -> None:
    sample = Examples("rows", torch.tensor([[1e4, 0.0], [1e4, 0.0]]), torch.tensor([1, 1]), 2)
    assert evaluate(decoded(Same()), sample, "error_probability", progress=False).errors == 2
    assert error_probability(torch.tensor([[math.nan, 0.0]]), torch.tensor([0])).tolist() == [1.0]


def test_a_loss_of_ones_own_is_summed_under_the_name_custom() -> None:
    def quarter(logits: Tensor, y: Tensor) -> Tensor:
        return (logits.argmax(1) != y).float() / 4

    sample, hypothesis = examples(), decoded(network(), SYMBOLS)
    wrong = int((hypothesis(sample.x).argmax(1) != sample.y).sum())
    risk = evaluate(hypothesis, sample, quarter, progress=False)
    assert (risk.loss, risk.counts) == ("custom", False)
    assert wrong / 4 < risk.errors <= wrong / 4 + 0.002


@pytest.mark.parametrize(
    "loss",
    [
        lambda logits, y: torch.full((len(y),), 1.01),
        lambda logits, y: torch.full((len(y),), -0.01),
        lambda logits, y: torch.full((len(y),), math.nan),
        lambda logits, y: torch.zeros(()),
        lambda logits, y: torch.zeros(len(y), 1),
    ],
    ids=["above 1", "below 0", "nan", "mean", "column"],
)
def test_a_loss_that_is_not_one_number_in_0_1_an_example_is_refused(loss: object) -> None:
    with pytest.raises(RequestError, match=r"one number in \[0, 1\]"):
        evaluate(decoded(network()), examples(), loss, progress=False)  # type: ignore[arg-type]


def test_an_unknown_loss_is_refused_with_the_known_ones() -> None:
    for name in ("hinge", "top_0", "top_", "top_05", "top_10000"):
        with pytest.raises(RequestError, match=f"zero_one, error_probability or top_K, got '{name}'"):
            loss_function(name)
    assert loss_function("zero_one") == ("zero_one", zero_one)


def test_only_a_decoded_hypothesis_is_evaluated() -> None:
    with pytest.raises(ModelError, match="only a decoded Hypothesis is evaluated, got Sequential"):
        evaluate(network(), examples(), progress=False)  # type: ignore[arg-type]


class Noisy(Same):
    def forward(self, x: Tensor) -> Tensor:
        return x + torch.rand(()) * 1e-3


class Centred(Same):
    def forward(self, x: Tensor) -> Tensor:
        return x - x.mean(0)


class Positional(Same):
    def forward(self, x: Tensor) -> Tensor:
        return x + torch.arange(len(x))[:, None] % 3


def test_a_network_that_is_no_function_of_its_input_is_refused() -> None:
    with pytest.raises(ModelError, match="two answers to one input"):
        evaluate(decoded(Noisy()), examples(), progress=False)


@pytest.mark.parametrize("module", [Centred(), Positional()], ids=["batch mean", "place in the batch"])
def test_a_network_whose_answer_depends_on_its_batch_is_refused(module: nn.Module) -> None:
    with pytest.raises(ModelError, match="other inputs of its batch"):
        evaluate(decoded(module), examples(), progress=False)


def test_batch_norm_without_running_statistics_is_refused() -> None:
    net = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8, track_running_stats=False), nn.Linear(8, CLASSES))
    with pytest.raises(ModelError, match=r"batches of any size, got for 1 .*Freeze batch statistics"):
        evaluate(decoded(net), examples(), progress=False)


def test_dropout_written_to_stay_on_is_refused() -> None:
    class Always(Same):
        def forward(self, x: Tensor) -> Tensor:
            return nn.functional.dropout(x, 0.5, training=True)

    with pytest.raises(ModelError, match="two answers"):
        evaluate(decoded(Always()), examples(), progress=False)
