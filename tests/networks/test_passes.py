"""A network, or a loss, that looks at the other examples of its batch, in ways that a single pass does not show."""

import pytest
import torch
from torch import Tensor, nn

from pacbound.data.examples import Examples
from pacbound.errors import ModelError, RequestError
from pacbound.networks import passes
from pacbound.networks.passes import ALONE, BATCH, OTHER_BATCH, SEED, batch_for, check_deterministic, readings
from pacbound.networks.risk import evaluate
from pacbound.subspace.random import permutation
from tests.tiny import CLASSES, decoded, examples, network

N = BATCH + 130


@pytest.fixture(autouse=True)
def many_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """As many as users' are: other tests ask fewer, see conftest.py."""
    monkeypatch.setattr(passes, "ALONE", ALONE)


class Own(nn.Module):
    """Logits are the input, moved by what a subclass says."""

    def __init__(self) -> None:
        super().__init__()
        self.unused = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.moved(x)

    def moved(self, x: Tensor) -> Tensor:
        return torch.zeros_like(x)


class OffsetCentred(Own):
    """A large offset, which no probability sees, hides logits that are centred by the batch from a relative test."""

    def moved(self, x: Tensor) -> Tensor:
        return 1000 + 0.45 * torch.tanh(x - x.mean(0)) - x


class LateBatch(Own):
    """Looks at its neighbours only where the first input of the batch is one that stands late in the sample."""

    def moved(self, x: Tensor) -> Tensor:
        return (x[:1, :1] == x[:1].abs().max()) * (x.mean(0) - x) / 2


class SizeOfBatch(Own):
    def moved(self, x: Tensor) -> Tensor:
        return torch.full_like(x, 0.01 * (len(x) == 1)) * torch.arange(x.shape[1])


class NanInCompany(Own):
    def moved(self, x: Tensor) -> Tensor:
        return torch.where(torch.tensor(len(x) == OTHER_BATCH), torch.nan, 0.0) * x


class NanAtFirst(Own):
    def moved(self, x: Tensor) -> Tensor:
        return torch.where(torch.tensor(len(x) == BATCH), torch.nan, 0.0) * x


KINDS = [OffsetCentred, LateBatch, SizeOfBatch, NanInCompany, NanAtFirst]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_what_depends_on_the_other_inputs_is_refused_wherever_it_shows(kind: type[Own]) -> None:
    with pytest.raises(ModelError, match="other inputs of its batch"):
        evaluate(decoded(kind()), examples(N), progress=False)


def test_rounding_that_differs_between_batches_passes_and_half_a_tie_margin_is_the_limit() -> None:
    class Moved(Own):
        share = 0.0

        def moved(self, x: Tensor) -> Tensor:
            return self.share * x.abs().amax(1, keepdim=True) * (len(x) == 1)

    for share, fits in ((0.4e-4, True), (0.6e-4, False)):
        module = Moved()
        object.__setattr__(module, "share", share)
        if fits:
            evaluate(decoded(module), examples(N), progress=False)
            continue
        with pytest.raises(ModelError, match="other inputs"):
            evaluate(decoded(module), examples(N), progress=False)


def test_few_answers_that_company_changes_are_errors_and_then_all_are_asked_alone() -> None:
    """Twelve inputs of 1,530 are right in company only; one of them is among the last that are asked alone."""
    x = torch.zeros(1530, 2)
    x[:, 0] = 1
    last = torch.from_numpy(permutation(SEED, "networks/passes/alone", 1530))
    chosen = torch.cat([last[:11], last[-1:]])
    x[chosen] = torch.tensor([0.0, 5e-3])  # wrong when it is asked alone

    class Cheating(Own):
        def moved(self, x: Tensor) -> Tensor:
            low = x[:, :1] == 0
            return torch.where(low & (len(x) > 1), torch.tensor([1e-2, 0.0]), 0.0)

    sample = Examples("rows", x, torch.zeros(1530, dtype=torch.int64), 2)
    assert evaluate(decoded(Cheating()), sample, progress=False).errors == 12
    x[last[11:17]] = torch.tensor([0.0, 5e-3])
    with pytest.raises(ModelError, match=r"17 of 1,530 inputs"):
        evaluate(decoded(Cheating()), sample, progress=False)


def test_of_few_inputs_one_that_company_changes_is_an_error_and_no_empty_batch_is_asked() -> None:
    """All have been asked alone already; a network that reshapes cannot read a batch of nothing."""
    x = torch.tensor([[1.0, 0.0]]).repeat(40, 1)
    x[3] = torch.tensor([0.0, 5e-3])

    class Reshapes(Own):
        def moved(self, x: Tensor) -> Tensor:
            x = x.reshape(len(x), -1)  # which torch refuses of nothing
            return torch.where((x[:, :1] == 0) & (len(x) > 1), torch.tensor([1e-2, 0.0]), 0.0)

    sample = Examples("rows", x, torch.zeros(40, dtype=torch.int64), 2)
    assert evaluate(decoded(Reshapes()), sample, progress=False).errors == 1


@pytest.mark.parametrize(("lead", "alone", "wrong"), [(1.3e-4, -0.4e-4, 10), (0.9e-4, 0.4e-4, 20)])
def test_an_example_that_any_pass_gets_wrong_is_an_error(lead: float, alone: float, wrong: int) -> None:
    """A clear winner in batches and every second a near tie alone, or the other way round, within what may differ."""

    class Shaky(Own):
        def moved(self, x: Tensor) -> Tensor:
            return torch.stack([torch.ones(len(x)), 1 - lead - alone * (len(x) == 1) * x[:, 0]], 1) - x

    x = torch.stack([torch.arange(20.0) % 2, torch.zeros(20)], 1)
    risk = evaluate(decoded(Shaky()), Examples("rows", x, torch.zeros(20, dtype=torch.int64), 2), progress=False)
    assert risk.errors == wrong


def test_every_input_is_asked_in_order_then_in_another_order_and_many_alone() -> None:
    asked: list[Tensor] = []

    def network(x: Tensor) -> Tensor:
        asked.append(x[:, 0])
        return x

    x = torch.arange(1530.0)[:, None].expand(-1, 2)
    rows = [reading.rows for reading in readings(network, x, progress=False)]
    assert torch.equal(torch.cat(asked), torch.cat(rows).float())
    sizes = [len(batch) for batch in asked]
    assert sizes == [500, 500, 500, 30, 384, 384, 384, 378] + [1] * ALONE
    together = torch.cat(asked[4:8])
    assert torch.equal(together.sort().values, x[:, 0])
    assert not torch.equal(together, x[:, 0])
    assert len(torch.cat(asked[8:]).unique()) == ALONE


def median_of_the_batch(logits: Tensor, y: Tensor) -> Tensor:
    return ((logits.argmax(1) != y).float().mean() > 0.5).float().expand(len(y))


def rank_in_the_batch(logits: Tensor, y: Tensor) -> Tensor:
    return logits[:, 0].argsort().argsort() / len(y)


def one_of_the_sum(logits: Tensor, y: Tensor) -> Tensor:
    return torch.softmax(logits.amax(1), 0)


@pytest.mark.parametrize("loss", [median_of_the_batch, rank_in_the_batch, one_of_the_sum])
def test_a_loss_that_depends_on_other_examples_is_refused(loss: object) -> None:
    with pytest.raises(RequestError, match="its own logits and label alone"):
        evaluate(decoded(network()), examples(N), loss, progress=False)  # type: ignore[arg-type]


def test_a_logit_that_is_not_finite_has_loss_one_under_a_loss_of_ones_own_too() -> None:
    x = torch.tensor([[1.0, 0.0, 0.0]]).repeat(5, 1)

    class Broken(Own):
        def moved(self, x: Tensor) -> Tensor:
            return torch.where(torch.arange(x.shape[1]) == 2, torch.inf, 0.0)

    risk = evaluate(
        decoded(Broken()), Examples("rows", x, torch.zeros(5, dtype=torch.int64), CLASSES),
        lambda logits, y: torch.zeros(len(y)), progress=False,
    )  # fmt: skip
    assert risk.errors == 5


class Wide(nn.Module):
    """So many numbers for an input on the way to two logits; and a large weight, which no input makes larger."""

    def __init__(self, numbers: int) -> None:
        super().__init__()
        self.numbers = numbers
        self.large = nn.Parameter(torch.ones(1 << 23))

    def forward(self, x: Tensor) -> Tensor:
        wide = x[:, :1].expand(-1, self.numbers) + 1 + 0 * self.large.view(-1)[:1]
        return torch.stack([wide.mean(1), x[:, 0]], 1)


@pytest.mark.parametrize(
    ("bytes_an_input", "batch", "n"),
    [(1 << 10, 500, 70), (1 << 20, 16, 70), (1 << 18, 64, 70), (1 << 23, 4, 5), (1 << 24, 4, 5)],
)
@torch.no_grad()
def test_inputs_that_make_large_results_are_asked_about_a_few_at_a_time(
    bytes_an_input: int, batch: int, n: int
) -> None:
    asked: list[int] = []
    module = Wide(bytes_an_input // 4)

    def network(x: Tensor) -> Tensor:
        asked.append(len(x))
        return module(x)

    x = torch.arange(float(n))[:, None]
    assert batch_for(network, x) == batch  # type: ignore[arg-type]
    asked.clear()
    seen = list(readings(network, x, progress=False, batch=batch))  # type: ignore[arg-type]
    assert max(asked) == min(batch, n)
    others = [len(reading.rows) for reading in seen if reading.batch == batch * 384 // 500]
    assert sum(others) == n
    assert all(torch.equal(reading.logits[:, 1], x[reading.rows, 0]) for reading in seen)


def test_errors_are_the_same_whatever_the_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for held in (1 << 24, 1):  # a batch of 500, and of 4
        monkeypatch.setattr(passes, "HELD_BYTES", held)
        found.append(evaluate(decoded(network()), examples(N), progress=False))
    assert found[0] == found[1]


def test_what_depends_on_its_company_is_refused_in_the_smallest_batches_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passes, "HELD_BYTES", 1)
    for kind in (OffsetCentred, LateBatch):
        with pytest.raises(ModelError, match="other inputs of its batch"):
            evaluate(decoded(kind()), examples(N), progress=False)


@pytest.mark.parametrize("held", [1 << 24, 1])  # a batch of 500, and of 4
def test_the_early_check_asks_a_batch_in_company(held: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passes, "HELD_BYTES", held)
    check_deterministic(decoded(network()), examples(N).x)
    with pytest.raises(ModelError, match="other inputs of its batch"):
        check_deterministic(decoded(OffsetCentred()), examples(N).x)


class Sparse(nn.Module):
    """Holds few numbers for an input in a sparse tensor on the way, which has no count of its bytes."""

    def forward(self, x: Tensor) -> Tensor:
        return x.to_sparse().to_dense()[:, :CLASSES]


def test_a_network_of_sparse_results_is_asked_as_any_other() -> None:
    assert batch_for(Sparse(), torch.ones(5, CLASSES + 1)) == 500
