"""The promise of a seed, tested on networks that reach what they learned by ways that no walk follows."""

import contextvars
import sys
import types

import pytest
import torch
from torch import Tensor, nn

from pacbound.data.examples import Examples
from pacbound.errors import ModelError
from pacbound.models.reference import build
from pacbound.networks import rebuilt
from pacbound.networks.hidden import refuse_hidden
from pacbound.networks.hypothesis import make_base, make_zero_base
from pacbound.networks.rebuilt import check_promise
from pacbound.specs.specs import PreprocessSpec

GENERATOR = torch.Generator().manual_seed(0)
LEARNED = torch.randn(16, 4, generator=GENERATOR)
X = torch.randn(300, 16, generator=GENERATOR)
SAMPLE = Examples("rows", X, (X @ LEARNED).argmax(1), 4)
VARIABLE: contextvars.ContextVar[Tensor] = contextvars.ContextVar("learned")
VARIABLE.set(LEARNED)
STORED = types.ModuleType("stored")
STORED.W = LEARNED  # type: ignore[attr-defined]


class Plain(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(16, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(x) * 1e-3 + self.known(x)

    def known(self, x: Tensor) -> Tensor:
        return torch.zeros(())


class ByVariable(Plain):
    def known(self, x: Tensor) -> Tensor:
        return x @ VARIABLE.get()


class ByTable(Plain):
    def known(self, x: Tensor) -> Tensor:
        return x @ sys.modules["stored"].W  # type: ignore[attr-defined]


class ByBoundBuiltin(Plain):
    def __init__(self) -> None:
        super().__init__()
        self.multiply = LEARNED.t().matmul

    def known(self, x: Tensor) -> Tensor:
        return self.multiply(x.t()).t()


class ByFeatures(Plain):
    """What was learned shapes features only, so that an untrained head still knows nothing."""

    def forward(self, x: Tensor) -> Tensor:
        return self.head((x @ VARIABLE.get()).repeat(1, 4))


class ByLiterals(Plain):
    def known(self, x: Tensor) -> Tensor:
        values = VARIABLE.get().tolist()
        return torch.stack([sum(x[:, i] * values[i][j] for i in range(16)) for j in range(4)], 1)  # type: ignore[misc]


class ByNumpy(Plain):
    def forward(self, x: Tensor) -> Tensor:
        return self.head(x) + torch.from_numpy(x.detach().numpy().copy()).sum()


class InLargeBatches(Plain):
    def known(self, x: Tensor) -> Tensor:
        return x @ VARIABLE.get() if len(x) > 50 else torch.zeros(())


class OnOneKindOfInput(Plain):
    def forward(self, x: Tensor) -> Tensor:
        return self.head(x) if bool(x.max() > 0) else self.head(-x)


@pytest.fixture(autouse=True)
def stored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "stored", STORED)


@pytest.mark.parametrize(
    ("kind", "complaint"),
    [
        (ByVariable, "got 64 numbers in tensors besides"),
        (ByTable, "got 64 numbers in tensors besides"),
        (ByBoundBuiltin, "got 64 numbers in tensors besides"),
        (ByFeatures, "got 64 numbers in tensors besides"),
        (ByLiterals, "got 6[0-9] numbers besides"),
        (ByNumpy, "traced program answers otherwise"),
        (InLargeBatches, "traced program answers otherwise"),
        (OnOneKindOfInput, "without .item"),
    ],
)
def test_what_a_forward_reads_besides_parameters_stands_in_its_program(kind: type[Plain], complaint: str) -> None:
    module = kind()
    refuse_hidden(module)  # the walk finds nothing
    for base in (make_base(module, 0), make_zero_base(module)):
        with pytest.raises(ModelError, match=complaint):
            check_promise(base, SAMPLE, PreprocessSpec())


def test_a_large_network_is_asked_less_but_still_in_batches_as_large_as_those_of_a_count(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rebuilt, "LARGE", 1)
    monkeypatch.setattr(rebuilt, "LARGE_ROWS", 50)  # of 300: as many as InLargeBatches answers honestly
    with pytest.raises(ModelError, match="traced program answers otherwise"):
        check_promise(make_base(InLargeBatches(), 0), SAMPLE, PreprocessSpec())
    check_promise(make_base(Plain(), 0), SAMPLE, PreprocessSpec())


def test_no_more_inputs_are_asked_at_once_than_large_results_leave_room_for() -> None:
    asked = []

    class Wide(Plain):
        def known(self, x: Tensor) -> Tensor:
            asked.append(len(x))
            return x.new_zeros(len(x), 1 << 20).sum(1, keepdim=True)  # 4 MiB an input: 16 MiB are four of them

    check_promise(make_base(Wide(), 0), SAMPLE.subset(range(60)), PreprocessSpec())
    assert max(asked) == 2 * max(rebuilt.BATCHES)


def test_labels_that_are_known_in_the_small_batches_of_a_count_alone_are_found() -> None:
    class InBatchesOfFour(Plain):
        def known(self, x: Tensor) -> Tensor:
            wide = x.new_zeros(len(x), 1 << 20).sum(1, keepdim=True)  # a count asks about four at a time
            return wide + (x @ sys.modules["stored"].W if len(x) == 4 else 0)  # type: ignore[attr-defined]

    with pytest.raises(ModelError, match="knows the labels"):
        check_promise(make_base(InBatchesOfFour(), 0), SAMPLE.subset(range(60)), PreprocessSpec())


def test_values_that_are_handed_over_need_no_trace_but_hold_no_constants() -> None:
    check_promise(make_base(OnOneKindOfInput(), None), SAMPLE, PreprocessSpec())
    with pytest.raises(ModelError, match="64 numbers in tensors"):
        check_promise(make_base(ByVariable(), None), SAMPLE, PreprocessSpec())


def test_untrained_networks_that_know_the_labels_are_refused_whatever_the_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rebuilt, "_check_program", lambda *_: None)
    with pytest.raises(ModelError, match="knows the labels"):
        check_promise(make_base(ByTable(), 0), SAMPLE, PreprocessSpec())
    check_promise(make_base(Plain(), 0), SAMPLE, PreprocessSpec())
    noise = torch.randint(0, 4, (300,), generator=GENERATOR)
    check_promise(make_base(ByTable(), 0), Examples("noise", X, noise, 4), PreprocessSpec())


class Honest(nn.Module):
    """Normalisation with constants in the source, statistics, attention, and a shortcut."""

    def __init__(self) -> None:
        super().__init__()
        self.inner, self.norm = nn.Linear(16, 16), nn.BatchNorm1d(16)
        self.attend = nn.MultiheadAttention(16, 2, batch_first=True)
        self.head = nn.Linear(16, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = (x - torch.tensor([0.1] * 8 + [0.2] * 8)) / 0.5
        x = x + self.norm(torch.relu(self.inner(x)))
        tokens = x[:, None] + torch.arange(3)[:, None] / 10
        return self.head(self.attend(tokens, tokens, tokens, need_weights=False)[0].mean(1))


def test_honest_networks_keep_the_promise_and_known_layers_are_not_traced(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (Plain(), Honest()):
        for base in (make_base(module, 0), make_zero_base(module), make_base(module, None)):
            check_promise(base, SAMPLE, PreprocessSpec())
    monkeypatch.setattr(rebuilt, "_check_program", lambda *_: pytest.fail("traced"))
    check_promise(make_base(build("mlp", (16,), 4), 0), SAMPLE, PreprocessSpec())
    check_promise(make_base(nn.Sequential(nn.Linear(16, 4), nn.Tanh()), 0), SAMPLE, PreprocessSpec())


class OfTwo(Plain):
    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(16, 2)


def test_a_network_that_classes_separate_by_luck_in_one_draw_is_not_refused() -> None:
    """Two clouds far apart: an untrained network is nearly all right or nearly all wrong, as its seed falls."""
    y = torch.arange(300) % 2
    clouds = Examples("clouds", 0.1 * X + (4.0 * y - 2)[:, None], y, 2)
    bases = [make_base(OfTwo(), seed) for seed in range(3)]
    assert [check_promise(base, clouds, PreprocessSpec()) for base in bases] == [None] * 3


class Collects(Plain):
    """Takes off the mean of the first batch that it ever sees."""

    mean: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        if self.mean is None:
            self.mean = x.mean(0)
        return self.head(x - self.mean)


class CollectsInABuffer(Plain):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(16))

    def forward(self, x: Tensor) -> Tensor:
        if len(x) > 100:
            self.mean = x.mean(0)
        return self.head(x - self.mean)


class Counts(Plain):
    asked = 0

    def forward(self, x: Tensor) -> Tensor:
        self.asked += 1
        return self.head(x) if self.asked < 10_000 else -self.head(x)


class KeepsFeatures(Plain):
    def forward(self, x: Tensor) -> Tensor:
        self.features = self.head(x)
        return self.features


@pytest.mark.parametrize(("module", "found"), [(Collects(), "asked before"), (Counts(), "writes the number asked")])
def test_a_forward_that_remembers_is_refused(module: nn.Module, found: str) -> None:
    for seed in (0, None):
        with pytest.raises(ModelError, match=found):
            check_promise(make_base(module, seed), SAMPLE, PreprocessSpec())


def test_a_forward_that_remembers_in_a_buffer_is_refused() -> None:
    with pytest.raises(ModelError, match="asked before"):
        check_promise(make_base(CollectsInABuffer(), None, ("mean",)), SAMPLE, PreprocessSpec())


def test_features_that_a_forward_keeps_and_never_reads_do_no_harm() -> None:
    assert check_promise(make_base(KeepsFeatures(), 0), SAMPLE, PreprocessSpec()) is None
