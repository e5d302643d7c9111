"""A draw from request to certificate: what is refused, what is counted, what is planned."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from pacbound.certificate import Certificate
from pacbound.certificate.draw import draw
from pacbound.errors import ModelError, RequestError
from pacbound.methods import subspace
from pacbound.methods.table import certify
from pacbound.networks.hypothesis import Hypothesis, make_base
from pacbound.pipeline import encoding
from pacbound.pipeline.encoding import plan_of
from pacbound.pipeline.forecast import forecast
from pacbound.pipeline.preparation import prepare
from pacbound.reports.show import render
from pacbound.request.request import Request
from pacbound.specs.specs import DrawSpec
from pacbound.training.settings import PosteriorSettings
from pacbound.training.state import Checkpoint
from tests.tiny import clouds, network

pytestmark = pytest.mark.usefixtures("brief_posterior")
QUICK = Request(posterior="draw", earlier_draws=0, base="values", d=32, epochs=5, batch=60)


def run(request: Request = QUICK, state: Path | None = None) -> Certificate:
    return certify(network(), clouds(600), request=request, state=state, progress=False)


@pytest.fixture(scope="module")
def made(brief_posterior: None) -> Certificate:
    return run()


def index_of(certificate: Certificate) -> int:
    assert isinstance(certificate.hypothesis.quantizer, DrawSpec)
    return certificate.hypothesis.quantizer.index


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"posterior": "draw", "earlier_draws": 0, "theorem": "occam_kl"}, "single_draw is the one theorem of a draw"),
        ({"posterior": "draw", "earlier_draws": 0, "encoder": "plain"}, "a draw needs a trained posterior"),
        ({"posterior": "draw"}, "how many draws were evaluated on this sample before.*--earlier-draws N"),
        ({"earlier_draws": 0}, "earlier_draws are counted for a draw"),
    ],
)
def test_what_does_not_go_with_a_draw_is_refused_before_training(options: dict[str, object], why: str) -> None:
    with pytest.raises(RequestError, match=why):
        prepare(network(), clouds(), None, Request.model_validate({"d": 8, **options}), "zero_one")


def test_the_certificate_is_about_the_drawn_network_and_no_other_bound_of_the_sample_stands_beside_it(
    made: Certificate,
) -> None:
    spec = made.hypothesis
    assert isinstance(spec.quantizer, DrawSpec)
    base = make_base(network(), None)
    hypothesis = Hypothesis.unpack(made.payload(), spec, base, made.beside())
    x, y = clouds(600)
    w = draw(made.beside(), spec.quantizer, 32).coefficients
    setup = prepare(network(), clouds(600), None, QUICK, "zero_one")
    expected = setup.subspace().call(torch.from_numpy(w), x)
    assert torch.allclose(hypothesis(x), expected, atol=1e-5)
    assert made.risk.errors >= int((expected.argmax(1) != y).sum())
    assert [other.kind for other in made.also] == ["baseline"]
    assert "draw 1" in render(made)
    with pytest.raises(ModelError, match="a draw needs its posterior file"):
        Hypothesis.unpack(made.payload(), spec, base)


def test_losses_that_are_no_counts_have_draws_too() -> None:
    made = run(QUICK.model_copy(update={"loss": "error_probability"}))
    assert made.stated_bound.theorem == "single_draw"
    assert made.stated_risk.loss == "error_probability"


def dies(*_: object) -> None:
    raise KeyboardInterrupt


def test_a_draw_seen_before_the_run_died_is_the_same_draw_after_it_and_another_posterior_is_a_second_look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = tmp_path / "run.state"
    monkeypatch.setattr(subspace, "finish", dies)
    with pytest.raises(KeyboardInterrupt):
        run(state=state)
    monkeypatch.undo()
    again = run(state=state)
    assert index_of(again) == 1
    honest = encoding.train_posterior

    def other(*arguments: object, **named: object) -> object:
        trained = honest(*arguments, **named)  # type: ignore[arg-type]
        return replace(trained, posterior=replace(trained.posterior, mean=trained.posterior.mean + 1e-3))

    monkeypatch.setattr(encoding, "train_posterior", other)
    second = run(state=state)
    assert index_of(second) == 2
    assert {entry.item: entry.bits for entry in second.entries}["draws"] == 3


def test_the_plan_has_no_blocks_and_the_items_of_the_certificate_that_follows(made: Certificate) -> None:
    setup = prepare(network(), clouds(600), None, QUICK, "zero_one")
    plan = plan_of(setup, Checkpoint(None, ""))
    assert isinstance(plan, PosteriorSettings)
    assert (plan.blocks, plan.beta_scale) == (1, 1.0)
    assert plan.steps == pytest.approx(50, abs=3)
    assert [entry.item for entry in forecast(setup).ledger] == [entry.item for entry in made.entries]
