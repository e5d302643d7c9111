"""Posterior training: the divergence against torch.distributions, beta against the bound's derivative, resuming."""

import math

import pytest
import torch
from torch import Generator

from pacbound.bounds.inversion import kl_inverse_upper
from pacbound.errors import QuantizeError
from pacbound.networks.hypothesis import make_base, make_subspace
from pacbound.specs.specs import ProjectorSpec
from pacbound.subspace.subspace import Subspace
from pacbound.training import posterior
from pacbound.training.fit import Sample
from pacbound.training.posterior import Moving, Posterior, Round, Stage, State, bound_beta, generator_of, train
from tests.tiny import clouds, network

D_SMALL = 10


def _posterior(m: int = D_SMALL, seed: int = 0) -> Posterior:
    generator = Generator().manual_seed(seed)
    basis = torch.linalg.qr(torch.randn(m, m, generator=generator)).Q
    return Posterior(
        0.1 * torch.randn(m, generator=generator), basis, torch.linspace(-4, -2, m), torch.tensor(math.log(0.3))
    )


def _problem() -> tuple[Subspace, Sample]:
    base = make_base(network(), 0)
    return make_subspace(base, ProjectorSpec(kind="dense", D=base.layout.D, d=D_SMALL), True), Sample(*clouds())


def _stage(**fields: object) -> Stage:
    chosen: dict[str, object] = {
        "name": "test", "steps": 20, "surrogate": "cross_entropy", "beta": 1.0, "rates": (0.1, 0.02, 0.02), **fields
    }  # fmt: skip
    return Stage(**chosen)  # type: ignore[arg-type]


def _train(
    stage: Stage, start: Posterior, resumed: State | None = None, known: int = 0
) -> tuple[Posterior, list[State], list[Round]]:
    subspace, sample = _problem()
    states: list[State] = []
    rounds: list[Round] = []

    def keep(state: State, seen: Round) -> None:
        states.append(state)
        rounds.append(seen)

    fixed = torch.full((known,), 0.2)
    end, _ = train(subspace, sample, start, stage, 30, (0, 1), fixed, 5.0 * known, 1.0, resumed, keep)
    return end, states, rounds


def test_nats_are_the_divergence_of_two_multivariate_normals() -> None:
    posterior = _posterior()
    q = torch.distributions.MultivariateNormal(posterior.mean.double(), precision_matrix=posterior.precision())
    s2 = (2 * posterior.log_s.double()).exp()
    p = torch.distributions.MultivariateNormal(torch.zeros(D_SMALL).double(), s2 * torch.eye(D_SMALL).double())
    assert posterior.nats() == pytest.approx(float(torch.distributions.kl_divergence(q, p)), rel=1e-4)


def test_draws_have_the_mean_and_covariance_of_the_posterior() -> None:
    posterior, generator = _posterior(4), Generator().manual_seed(0)
    draws = torch.stack([posterior.draw(generator) for _ in range(8_000)]).double()
    covariance = torch.linalg.inv(posterior.precision())
    found = torch.cov(draws.T)
    assert torch.linalg.norm(found - covariance) < 0.05 * torch.linalg.norm(covariance)
    torch.testing.assert_close(draws.mean(0), posterior.mean.double(), atol=0.005, rtol=0)


@pytest.mark.parametrize(("risk", "nats", "n"), [(0.03, 1700, 60_000), (0.14, 1700, 60_000), (0.04, 400, 1437)])
def test_beta_is_the_ratio_of_the_bounds_derivatives(risk: float, nats: float, n: int) -> None:
    def bound(e: float, k: float) -> float:
        return kl_inverse_upper(e, k)

    step, rate = 1e-6, nats / n
    by_risk = (bound(risk + step, rate) - bound(risk - step, rate)) / (2 * step)
    by_rate = (bound(risk, rate + step) - bound(risk, rate - step)) / (2 * step)
    assert bound_beta(risk, nats, n) == pytest.approx(by_rate / by_risk, rel=1e-3)


def test_beta_stays_in_its_range_where_the_bound_says_nothing() -> None:
    assert bound_beta(0.0, 1e9, 100) >= 0.3 - 1e-12
    assert bound_beta(0.9, 0.0, 100) == 6.0


@pytest.fixture
def short_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 20 steps, five passes over the sample."""
    monkeypatch.setattr(posterior, "ROUND_STEPS", 20)


@pytest.mark.usefixtures("short_rounds")
def test_training_lowers_the_objective_it_was_given() -> None:
    _, _, rounds = _train(_stage(steps=100, rates=(0.3, 0.05, 0.05)), _posterior())
    first, last = (r.surrogate + r.nats / 120 for r in (rounds[0], rounds[-1]))
    assert last < 0.7 * first
    assert rounds[-1].risk < 0.2


@pytest.mark.usefixtures("short_rounds")
def test_a_resumed_stage_ends_where_an_uninterrupted_one_does() -> None:
    stage = _stage(steps=50, beta=None, surrogate="error_probability")
    whole, states, _ = _train(stage, _posterior())
    assert len(states) == 3
    for state in states[:2]:
        resumed, rest, _ = _train(stage, _posterior(), state)
        assert len(rest) < 3
        for name, value in whole.tensors().items():
            assert torch.equal(value, resumed.tensors()[name]), name


def test_a_rate_of_zero_leaves_its_parameter_alone() -> None:
    start = _posterior()
    end, _, _ = _train(_stage(rates=(0.1, 0.0, 0.0)), start)
    assert torch.equal(end.log_std, start.log_std)
    assert torch.equal(end.log_s, start.log_s)
    assert not torch.allclose(end.mean, start.mean)


def test_known_coefficients_stay_and_their_price_counts_in_beta() -> None:
    rates = (0.0, 0.0, 0.0)
    _, states, rounds = _train(_stage(beta=None, rates=rates), _posterior(7), known=3)
    expected = bound_beta(rounds[0].risk, rounds[0].nats + 15.0, 120)
    assert float(states[0]["beta"]) == pytest.approx(expected)


def test_two_draws_lie_opposite_about_the_mean() -> None:
    moving, start, generator = Moving(_posterior(4)), _posterior(4), Generator().manual_seed(0)
    pairs = torch.stack([torch.stack(moving.draws(generator, 2)) for _ in range(2_000)]).detach().double()
    assert torch.allclose(pairs.mean(1), start.mean.double().expand(2_000, -1), atol=1e-6)
    covariance = torch.linalg.inv(start.precision())
    for k in range(2):
        assert torch.allclose(torch.cov(pairs[:, k].T), covariance, rtol=0.12, atol=1e-4)


@pytest.mark.parametrize(("most", "parts"), [(1 << 22, 2), (0, 1)])
def test_halves_of_a_batch_are_asked_at_a_draw_and_at_its_mirror_image(
    most: int, parts: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[torch.Tensor, torch.Tensor]] = []
    whole = posterior.batch_loss

    def noted(subspace: Subspace, sample: Sample, w: torch.Tensor, rows: torch.Tensor, *rest: object) -> object:
        asked.append((w.detach().clone(), rows))
        return whole(subspace, sample, w, rows, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(posterior, "batch_loss", noted)
    monkeypatch.setattr(posterior, "PAIRED", most)
    subspace, sample = _problem()
    start, known = _posterior(D_SMALL - 2), torch.tensor([0.25, -0.5])
    rounds: list[Round] = []
    train(
        subspace, sample, start, _stage(steps=1), 31, (0, 1), known, 0.0, 1.0, None, lambda _, seen: rounds.append(seen)
    )
    assert len(asked) == parts
    rows = torch.cat([rows for _, rows in asked])
    assert len(set(rows.tolist())) == len(rows) == 31
    if parts == 2:
        (one, _), (other, _) = asked
        assert not torch.equal(one, other)
        assert torch.allclose((one + other) / 2, torch.cat([known, start.mean]), atol=1e-6)
    loss = sum(float(whole(subspace, sample, w, rows, "cross_entropy")[0]) * len(rows) for w, rows in asked) / 31
    assert rounds[0].surrogate == pytest.approx(loss, rel=1e-5)


def test_a_loss_that_is_no_number_stops_the_training() -> None:
    start = _posterior()
    broken = Posterior(torch.full((D_SMALL,), torch.nan), start.basis, start.log_std, start.log_s)
    with pytest.raises(QuantizeError, match="the loss became nan in test"):
        _train(_stage(), broken)


def test_different_seeds_give_different_streams() -> None:
    seeds = [(0, 1, 2), (0, 2, 1), (1, 0, 2), (0, 1, 3), (0, 1)]
    assert len({int(torch.randint(1 << 60, (), generator=generator_of(*seed))) for seed in seeds}) == len(seeds)


def test_the_factor_is_lower_and_gives_back_the_covariance_that_draws_have() -> None:
    generator = torch.Generator().manual_seed(4)
    basis = torch.linalg.qr(torch.randn(5, 5, generator=generator))[0]
    log_std = torch.linspace(-3, 0, 5)
    posterior = Posterior(torch.zeros(5), basis, log_std, torch.tensor(0.0))
    factor = posterior.factor()
    assert torch.equal(factor, factor.tril())
    assert torch.allclose(factor @ factor.T, torch.linalg.inv(posterior.precision()), atol=1e-5)
    draws = torch.stack([posterior.draw(generator) for _ in range(4000)]).double()
    assert torch.allclose(factor @ factor.T, draws.T @ draws / 4000, atol=0.1)


def test_scales_too_far_apart_for_a_factor_are_refused() -> None:
    broken = Posterior(torch.zeros(2), torch.zeros(2, 2), torch.zeros(2), torch.tensor(0.0))
    with pytest.raises(QuantizeError, match="no Cholesky factor"):
        broken.factor()
