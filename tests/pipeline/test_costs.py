"""What a plan counts is what a run does; a large network keeps stages in proportion, and one that cannot fit ends."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from pacbound.errors import ModelError
from pacbound.methods.table import certify
from pacbound.networks import passes, rebuilt
from pacbound.networks.hypothesis import Hypothesis
from pacbound.networks.passes import ALONE
from pacbound.pipeline import costs, encoding, memory, preparation
from pacbound.pipeline.costs import amounts_of, checking, counting, in_proportion, ranking
from pacbound.pipeline.encoding import plan_of
from pacbound.pipeline.forecast import forecast
from pacbound.pipeline.preparation import prepare
from pacbound.request.request import Request
from pacbound.subspace.curvature import SHARED, Rows
from pacbound.subspace.subspace import Subspace
from pacbound.threads import one_thread
from pacbound.training import progressive
from pacbound.training.fit import Sample
from pacbound.training.posterior import Moving, Stage
from pacbound.training.refine import Point, best_point
from pacbound.training.settings import PosteriorSettings, posterior_settings
from pacbound.training.state import Checkpoint
from tests.several import brief
from tests.tiny import clouds, network

IN, OUT, BATCH = 40, 30, 20
SHORT = PosteriorSettings(batch=BATCH, warm_steps=100, smooth_steps=200, bounded_steps=300, block_steps=50)


def _proportioned(steps: int = 1, d: int = 8, n: int = 1000) -> PosteriorSettings:
    names = ("warm_steps", "smooth_steps", "bounded_steps", "block_steps")
    settings = SHORT.model_copy(update={name: steps * getattr(SHORT, name) for name in names})
    net = nn.Linear(IN, OUT, bias=False)
    return in_proportion(settings, net, torch.zeros(1, IN), IN * OUT, d, n)


def test_a_small_network_has_the_settings_that_it_always_had() -> None:
    assert _proportioned() == SHORT
    setup = prepare(network(), clouds(), None, Request(d=16), "zero_one")
    assert plan_of(setup, Checkpoint(None, "")) == PosteriorSettings(batch=6)


def _rows_of_all(examples: int, d: int) -> int:
    """Four Fishers of all d and one before each block but the first, 12 rows a coefficient at most; the last 1 % of
    d is never diagonalised again. Beyond 4096 three passes for 512 directions."""
    free = [d - round(d * (1 - (1 - j / 10) ** 2)) for j in range(1, 9)]
    whole = min(examples, 12 * d) if d <= 4096 else 3 * min(examples, 12 * 512)
    return 4 * whole + sum(min(examples, 12 * m) for m in free if m <= 4096)


@pytest.mark.parametrize("d", [1200, 5000])
def test_the_curvature_of_a_large_network_takes_a_quarter_of_training(d: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(costs, "LARGE", 1)
    D, forward = IN * OUT, 2 * IN * OUT
    step = BATCH * 3 * forward / 4 + 1800 * D
    row = 3 * forward + 750 * D
    found, long = _proportioned(d=d), _proportioned(steps=1000, d=d)
    assert SHORT.steps == 1050
    most = 1050 * step / 4 / row
    assert _rows_of_all(found.fisher_examples, d) <= most < _rows_of_all(found.fisher_examples + 1, d)
    assert found.fisher_examples < long.fisher_examples == SHORT.fisher_examples
    assert found.refine_rounds < long.refine_rounds == SHORT.refine_rounds
    assert 1 <= found.survivors <= long.survivors == SHORT.survivors


@pytest.mark.parametrize("d", [1200, 5000])
def test_that_of_any_other_takes_as_many_rows_as_a_twentieth_of_what_its_batches_hold(d: int) -> None:
    """A row takes as long as five examples of a batch. At least it has four rows a coefficient."""
    times = 60 if d < 4096 else 180
    found, most = _proportioned(steps=times, d=d), times * 1050 * BATCH / 20
    assert _rows_of_all(found.fisher_examples, d) <= most < _rows_of_all(found.fisher_examples + 1, d)
    assert 4 * d < found.fisher_examples < SHORT.fisher_examples
    assert _proportioned(d=d).fisher_examples == 4 * d
    assert (found.survivors, found.refine_rounds) == (SHORT.survivors, SHORT.refine_rounds)


def test_even_the_shortest_training_has_a_chunk_of_examples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(costs, "LARGE", 1)
    monkeypatch.setattr(costs, "SHARE", 1e-9)
    assert (_proportioned().fisher_examples, _proportioned().refine_rounds) == (SHARED, 0)


def test_amounts_are_those_of_a_run(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: Counter[str] = Counter()
    steps, rows, asked = Moving.descend, Rows.of, Subspace.call_at

    def descend(self: Moving, loss: Tensor, stage: Stage) -> None:
        seen["steps"] += 1
        steps(self, loss, stage)

    def of(self: Rows, kind: str, places: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        seen["rows"] += len(places)
        return rows(self, kind, places, generator)  # type: ignore[arg-type]

    def call_at(self: Subspace, theta: Tensor, x: Tensor) -> Tensor:
        seen["asked"] += 0 if torch._C._functorch.maybe_current_level() else len(x)
        return asked(self, theta, x)

    def scored(subspace: Subspace, sample: Sample, survivors: list[NDArray[np.int32]], *rest: object) -> Point:
        seen["survivors"] = len(survivors)
        return best_point(subspace, sample, survivors, *rest)  # type: ignore[arg-type]

    less = {"fisher_examples": 200}
    monkeypatch.setattr(progressive, "best_point", scored)
    monkeypatch.setattr(encoding, "posterior_settings", lambda *a: posterior_settings(*a).model_copy(update=less))
    n, request = 300, Request(d=16, epochs=8)
    setup = prepare(network(), clouds(n), None, request, "zero_one")
    plan = plan_of(setup, Checkpoint(None, ""))
    assert isinstance(plan, PosteriorSettings)
    monkeypatch.setattr(Moving, "descend", descend)
    monkeypatch.setattr(Subspace, "call_at", call_at)
    monkeypatch.setattr(Rows, "of", of)
    certify(network(), clouds(n), request=request, progress=False)
    planned = amounts_of(plan, n, 16)
    assert seen["steps"] == planned["training"].steps
    assert seen["rows"] == planned["curvature"].rows
    few = planned["curvature"].rows + n * seen["survivors"]  # whatever refinement finds to do
    assert few <= planned["curvature"].rows + planned["survivors"].asked
    taken = costs.ROUNDS_TAKEN * costs.TRIALS_TAKEN
    assert few <= seen["asked"] <= few + planned["refinement"].asked / taken + 2 * n


def test_the_best_of_the_survivors_is_counted_wholly_and_as_a_rule_another_one_before() -> None:
    assert amounts_of(SHORT, 10_000, 16)["survivors"].asked == 10_000 * (1 + 7 / 8) + 7 * 6000
    assert amounts_of(SHORT.model_copy(update={"survivors": 1}), 10_000, 16)["survivors"].asked == 10_000


def test_where_rounds_of_refinement_are_allowed_one_is_made() -> None:
    rounds = [
        amounts_of(SHORT.model_copy(update={"refine_rounds": allowed}), 10_000, 16)["refinement"].rows / 4000
        for allowed in (0, 1, 3, 10)
    ]
    assert rounds == pytest.approx([0, 1, 1, 3])


def test_what_a_plan_counts_as_counting_is_asked_of_decoded_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    asked, call, n = Counter[str](), Hypothesis.__call__, 600

    def counted(self: Hypothesis, x: Tensor) -> Tensor:
        asked["alone" if len(x) == 1 else "batches"] += len(x)
        return call(self, x)

    monkeypatch.setattr(Hypothesis, "__call__", counted)
    monkeypatch.setattr(encoding, "posterior_settings", brief)
    monkeypatch.setattr(passes, "ALONE", ALONE)  # as many as users' are: tests ask fewer, see conftest.py
    monkeypatch.setattr(passes, "_result_bytes", lambda *_: [0])  # three questions more, to find the size of batches
    with one_thread(always=True):
        certify(network(), clouds(n), request=Request(d=16, epochs=4), progress=False)
    ranked, whole = ranking(n, 83), counting(n)
    planned = ranked.asked + whole.asked
    assert asked["alone"] == whole.alone  # one candidate is counted
    assert asked["batches"] in (planned, planned - n)  # one fewer where refinement moved nothing


def test_what_a_plan_counts_as_checks_is_asked_of_a_large_network(monkeypatch: pytest.MonkeyPatch) -> None:
    net, n = network(), 600
    with FlopCounterMode(display=False) as one:
        net(torch.zeros(1, 6))
    monkeypatch.setattr(rebuilt, "LARGE", 1)
    monkeypatch.setattr(preparation, "LARGE", 1)
    monkeypatch.setattr(rebuilt, "from_library", lambda _: False)
    with FlopCounterMode(display=False) as counter:
        prepare(net, clouds(n), None, Request(d=16), "zero_one")
    assert checking(500).asked == pytest.approx(counter.get_total_flops() / one.get_total_flops(), rel=0.05)
    with FlopCounterMode(display=False) as counter:
        prepare(net, clouds(n), None, Request(d=16), "zero_one", planned=True)
    assert counter.get_total_flops() <= 5 * one.get_total_flops()


def test_a_forecast_is_that_of_its_stages() -> None:
    found = forecast(prepare(network(), clouds(), None, Request(d=16, epochs=20), "zero_one"))
    assert list(found.stages) == ["training", "curvature", "rounding", "survivors", "refinement", "counting"]
    assert found.seconds == pytest.approx(sum(found.stages.values()), abs=0.06)
    longer = forecast(prepare(network(), clouds(), None, Request(d=16, epochs=2000), "zero_one"))
    assert longer.stages["training"] > 10 * found.stages["training"]


def test_a_network_that_cannot_fit_is_refused_with_the_bytes_it_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit = tmp_path / "memory.max"
    limit.write_text("5000\n")
    monkeypatch.setattr(memory, "control_groups", lambda _: [tmp_path / "none", tmp_path])
    assert memory.limit_bytes() == 5000
    needed = memory.LIBRARIES + 4 * 7 * 83 + 120 * 6 * 4  # seven vectors of its 83 parameters, and the sample
    with pytest.raises(ModelError, match=rf"83 trained and 0 other .* needs {needed:,} bytes .* may have 5,000"):
        prepare(network(), clouds(), None, Request(d=16), "zero_one")
    limit.write_text("max\n")
    assert memory.limit_bytes() > 1 << 28
    prepare(network(), clouds(), None, Request(d=16), "zero_one")
