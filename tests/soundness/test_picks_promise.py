"""Does the promise of picks hold for the whole of it: selection, learner, stop and theorem? Could a test see it broken?

In a hard world every network is a little worse than its bound, so that stopping without errors breaks the promise, and
a learner that peeks at the rest is seen at once. On a task of known risk whole certificates are made.
"""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import pacbound as pb
from pacbound.bounds.preference import picks
from pacbound.data.examples import Examples
from pacbound.networks.hypothesis import Hypothesis, make_base
from pacbound.picking import selection as home
from pacbound.picking.selection import END, Selection
from pacbound.specs.picks import RecipeSpec
from tests.picking.task import PLAIN, recipe
from tests.soundness.task import Task, grid, network

# ---------------------------------------------------------------- a hard world

N, HALF, LOOKS = 6, 0.5, 24


class Hard(nn.Module):
    """Network t, one of `LOOKS` alike, errs where its own coordinate of the input lies below r_t; every label is 1."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("number", torch.zeros((), dtype=torch.int64))
        values = [picks(t, 0, N, 0, HALF).value for t in range(N)]
        self.register_buffer("risks", torch.tensor(values) * (1 + 1e-6))

    def forward(self, x: Tensor) -> Tensor:
        errs = x[:, self.number] < self.risks[self.number // LOOKS]
        return torch.stack([errs, ~errs], 1).float()


def broken(repeats: int, peeking: bool, monkeypatch: pytest.MonkeyPatch) -> float:
    """Share of the repeats that stop where nobody else is wrong, which is where the risk is above the bound."""
    monkeypatch.setattr(home, "BATCH", 16)
    failures = 0
    for repeat in range(repeats):
        x = torch.rand(N, LOOKS * N, generator=torch.Generator().manual_seed(repeat))
        examples = Examples("hard", x, torch.ones(N, dtype=torch.int64), classes=2)

        def learn(module: nn.Module, inputs: Tensor, y: Tensor, chosen: RecipeSpec, whole: Tensor = x) -> None:
            numbers = [LOOKS * min(len(y), N - 1) + look for look in range(LOOKS)]
            rest = whole[[row for row in range(N) if not (whole[row] == inputs).all(1).any()]]
            errors = [int((rest[:, number] < module.risks[number // LOOKS]).sum()) for number in numbers]
            module.number.fill_(numbers[int(np.argmin(errors)) if peeking else 0])

        monkeypatch.setattr(home, "learn", learn)
        *_, last = Selection(Hard(), examples, PLAIN, recipe(growth=1)).rounds(progress=False)
        assert last.stop == END
        failures += len(last.picked) < N
    return failures / repeats


def test_a_learner_that_sees_its_picks_alone_keeps_the_promise_and_wastes_little(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert 0.4 * HALF <= broken(100, False, monkeypatch) <= HALF


def test_a_learner_that_peeks_at_the_rest_breaks_it(monkeypatch: pytest.MonkeyPatch) -> None:
    assert broken(40, True, monkeypatch) > 1.3 * HALF


# ---------------------------------------------------------------- a task of known risk

DELTA = 0.05
LEARNABLE = Task(n=100, noise=0.1)
NOISE_ALONE = Task(n=60, noise=0.5)  # every network has risk 1/2, whatever it learned by heart


def certified(task: Task, repeat: int, hidden: int = 4, **options: object) -> tuple[pb.Certificate, float]:
    """A whole certificate of a fresh sample, and the exact risk of the network in its file."""
    module = network(repeat, hidden)
    quick = {"pick_first": 8, "pick_growth": 8, "pick_steps": 25, "pick_epochs": 0, "pick_rate": 30000}
    request = pb.Request.model_validate(
        {
            "method": "picks", "base": "values", "augmentation": "none", "repeats": "the source is a finite grid",
            "delta": DELTA, "max_picks": 24, **quick, **options,
        }
    )  # fmt: skip
    certificate = pb.certify(module, task.sample(repeat), request=request, progress=False)
    base = make_base(module, None)
    decoded = Hypothesis.unpack(certificate.payload(), certificate.hypothesis, base, certificate.beside())
    return certificate, task.risk(decoded(grid()))


# P[Bin(16, .05) > 4] = .0009, P[Bin(200, .05) > 18] = .007
@pytest.mark.parametrize(
    ("repeats", "most"), [pytest.param(16, 4, id="16"), pytest.param(200, 18, id="200", marks=pytest.mark.slow)]
)
def test_certified_risks_are_true_and_not_far_from_it(repeats: int, most: int) -> None:
    results = [certified(LEARNABLE, repeat) for repeat in range(repeats)]
    bound = np.array([certificate.bound.value for certificate, _ in results])
    risk = np.array([risk for _, risk in results])
    assert int((bound < risk).sum()) <= most
    assert float(risk.mean()) < 0.3, "nothing was learned"
    assert float((bound - risk).mean()) < 0.6  # of which the bits of recipe and stop are most, at n = 100


def test_what_was_learned_by_heart_is_in_the_picks_and_forgetting_them_breaks_the_promise() -> None:
    """A recipe and a size fixed beforehand cost nothing: no bits hide what the picks are worth."""
    kept, forgotten = 0, 0
    for repeat in range(12):
        x, y = NOISE_ALONE.sample(repeat)
        examples = Examples("noise", x, y, classes=2)
        selection = Selection(network(repeat, 16), examples, PLAIN, recipe(first=16, growth=8))
        *_, last = selection.rounds(3, progress=False)
        errors = selection.wrong_outside(last)
        assert len(last.picked) > 20
        kept += picks(len(last.picked), errors, NOISE_ALONE.n, 0, HALF).value < 0.5
        forgotten += picks(0, errors, NOISE_ALONE.n, 0, HALF).value < 0.5
    assert (kept <= 10, forgotten >= 11) == (True, True)  # P[Bin(12, .5) > 10] = .003
