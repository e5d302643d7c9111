"""Several seeds of the encoder under one theta0, projector and format: the best message of all, for nothing."""

import functools
from pathlib import Path

import pytest
import torch

import pacbound as pb
from pacbound.errors import QuantizeError, RequestError
from pacbound.methods.language import certify_language
from pacbound.methods.table import certify
from pacbound.pipeline import encoding
from pacbound.pipeline.encoding import plan_of
from pacbound.pipeline.forecast import forecast
from pacbound.pipeline.preparation import prepare
from pacbound.training.settings import PosteriorSettings
from pacbound.training.state import Checkpoint
from tests.tiny import clouds, network, quick

GOOD = quick(base="values", d=8, epochs=4, batch=60, rate=0.3, beta=1.0)
MANY = 300


def run(request: pb.Request, state: Path | None = None) -> pb.Certificate:
    return certify(network(), clouds(MANY), request=request, state=state, progress=False)


@functools.cache
def single(seed: int) -> pb.Certificate:
    """A run from one seed: of 4, 5 and 6 the second is the best."""
    return run(GOOD.model_copy(update={"encoder_seed": seed}))


def test_the_result_is_the_best_of_the_single_runs_and_its_ledger_that_of_one() -> None:
    singles = [single(seed) for seed in (4, 5, 6)]
    together = run(GOOD.model_copy(update={"encoder_seed": 4, "encoder_seeds": 3}))
    values = [single.bound.value for single in singles]
    best = singles[values.index(min(values))]
    assert len(set(values)) == 3
    assert values.index(min(values)) > 0  # not the one that would be kept without looking
    assert together.bound == best.bound
    assert together.payload() == best.payload()
    assert together.entries == best.entries
    assert together.risk == best.risk
    assert together.environment.epochs == sum(single.environment.epochs or 0 for single in singles)


def test_a_state_that_has_ended_one_seed_goes_on_with_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """test_resume kills two seeds of the posterior at several saves; here it is said what is not trained again."""
    begun: list[int] = []
    once = encoding._encoded_once

    def noted(setup: encoding.Setup, checkpoint: Checkpoint, *rest: object) -> encoding.Encoded:
        begun.append(setup.request.encoder_seed)
        if len(begun) == 2:
            raise KeyboardInterrupt
        return once(setup, checkpoint, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(encoding, "_encoded_once", noted)
    request, state = GOOD.model_copy(update={"encoder_seed": 5, "encoder_seeds": 2}), tmp_path / "run.state"
    with pytest.raises(KeyboardInterrupt):
        run(request, state)
    monkeypatch.undo()
    steps: list[int] = []
    plain = torch.optim.Adam.step
    monkeypatch.setattr(torch.optim.Adam, "step", lambda self: (steps.append(1), plain(self))[1])
    resumed = run(request, state)
    assert len(steps) == (GOOD.epochs or 0) * (MANY // 60)  # of the second seed alone
    assert single(5).bound.value < single(6).bound.value
    assert resumed.core_digest == single(5).core_digest


def test_a_seed_that_diverges_leaves_the_others_and_all_of_them_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    once, broken = encoding._encoded_once, {5}

    def diverging(setup: encoding.Setup, *rest: object) -> encoding.Encoded:
        if setup.request.encoder_seed in broken:
            raise QuantizeError("training: the loss became nan")
        return once(setup, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(encoding, "_encoded_once", diverging)
    two = GOOD.model_copy(update={"encoder_seed": 4, "encoder_seeds": 2})
    assert run(two).payload() == single(4).payload()
    broken.add(4)
    with pytest.raises(QuantizeError, match="became nan"):
        run(two)


def test_a_budget_is_shared_among_the_seeds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoding, "seconds_an_epoch", lambda *_: 1.5)
    given: list[float] = []
    monkeypatch.setattr(encoding, "examples_within", lambda rows, seconds, most, generator: given.append(seconds) or 9)

    def planned(**options: object) -> object:
        return plan_of(prepare(network(), clouds(), None, pb.Request(d=8, **options), "zero_one"), Checkpoint(None, ""))  # type: ignore[arg-type]

    one, four = planned(budget=2.0), planned(budget=8.0, encoder_seeds=4)
    assert one == four
    assert isinstance(one, PosteriorSettings)
    assert given == [pytest.approx(18.0)] * 2
    with pytest.raises(RequestError, match=r"for each of 64 seeds, about 2.3 minutes .* a budget of 2. Give --budget"):
        planned(budget=2.0, encoder_seeds=64)


def test_a_budget_is_measured_once_so_that_no_later_seed_finds_it_too_small(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = iter([0.6, 1e9])
    monkeypatch.setattr(encoding, "seconds_an_epoch", lambda *_: next(seconds))
    assert run(pb.Request(d=8, encoder="plain", batch=100, budget=0.1, encoder_seeds=2)).environment.epochs == 2 * 5


def test_a_forecast_multiplies_epochs_and_seconds() -> None:
    def plan(seeds: int) -> tuple[int, float]:
        request = pb.Request(d=8, epochs=100_000, encoder_seeds=seeds)
        found = forecast(prepare(network(), clouds(), None, request, "zero_one"))
        return found.epochs, found.stages["training"]

    (epochs, seconds), (all_epochs, all_seconds) = plan(1), plan(10)
    assert all_epochs == 10 * epochs
    assert all_seconds > 3 * seconds


def test_what_does_not_encode_refuses_them_and_a_draw_looks_at_one_posterior_alone() -> None:
    draw = pb.Request(posterior="draw", earlier_draws=0, d=4, encoder_seeds=2)
    with pytest.raises(RequestError, match="--encoder-seeds would look at several draws"):
        run(draw)
    with pytest.raises(RequestError, match="--encoder-seeds is for networks that are coded"):
        run(pb.Request(method="picks", encoder_seeds=2))
    with pytest.raises(RequestError, match="a direct code has no use for encoder_seeds"):
        run(pb.Request(method="direct", encoder_seeds=2))
    with pytest.raises(RequestError, match="--encoder-seeds is not for language models"):
        certify_language(pb.Request(task="lm", encoder_seeds=2), progress=False)
