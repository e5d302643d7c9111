"""Training a Gaussian posterior over the coefficients, in the eigenbasis of the curvature.

Q = N(mean, V diag(e^{2 log_std}) V^T) against the prior N(0, s^2 I), s learned. Each step draws w ~ Q and its mirror
image 2 mean - w for half of the batch each, and descends surrogate + beta KL(Q||P) / n: what is odd in the noise leaves
the gradient of the mean (antithetic sampling). Where P w takes longer than half a batch, w is alone. The mean is
trained in units of the standard deviations it started with, so that one rate fits stiff and flat directions alike.

beta: with risk e, K nats and the bound B(e, K / n) of the kl form, dB/de : dB/d(K/n) = ln(B (1 - e) / (e (1 - B))),
so beta = 1 / that logarithm makes a step of the surrogate 1 - p(label) a step of the bound itself.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from ..distributed import first
from ..errors import QuantizeError
from ..subspace.subspace import Subspace
from ..threads import tick
from .fit import Sample
from .joint import batch_loss
from .losses import Surrogate
from .phases import one_cycle
from .state import moments_of, restore_moments
from .timing import median_seconds, seconds_of

PAIRED = 1 << 22  # parameters up to which a second product with P is cheap beside a batch
ROUND_STEPS = 100  # a round is at least this many steps, in whole passes over the sample
BETA_RANGE = (0.3, 6.0)
TIMED_STEPS, TIMED_LOG_STD = 5, -5.0


@dataclass(frozen=True)
class Posterior:
    """N(mean, V diag(e^{2 log_std}) V^T) on the last m of the d coefficients, and the prior's ln s. float32."""

    mean: Tensor  # (m,), in the coordinates of w
    basis: Tensor  # (m, m), columns are eigenvectors
    log_std: Tensor  # (m,), along the columns
    log_s: Tensor  # ()

    def draw(self, generator: Generator) -> Tensor:
        """Return one w (m,)."""
        noise = torch.randn(self.log_std.shape, generator=generator)
        return self.mean + self.basis @ (self.log_std.exp() * noise)

    def nats(self) -> float:
        """KL(Q||P)."""
        return float(_divergence(self.mean, self.log_std, self.log_s))

    def precision(self) -> Tensor:
        """Return the inverse covariance (m, m) in float64."""
        basis = self.basis.double()
        return (basis * (-2 * self.log_std.double()).exp()) @ basis.T

    def factor(self) -> Tensor:
        """Return the lower Cholesky factor of the covariance (m, m) in float64.

        Raises: QuantizeError where the covariance is not numerically positive.
        """
        scaled = self.basis.double() * self.log_std.double().exp()
        factor, info = torch.linalg.cholesky_ex(scaled @ scaled.T)
        if int(info):
            raise QuantizeError("posterior: the covariance has no Cholesky factor; its scales lie too far apart.")
        return factor

    def tensors(self) -> dict[str, Tensor]:
        """Return the fields by name, for saving."""
        return {"mean": self.mean, "basis": self.basis, "log_std": self.log_std, "log_s": self.log_s}


@dataclass(frozen=True)
class Stage:
    """Adam steps on one surrogate.

    beta None: the bound's own (module docstring) times beta_scale. rates: mean, log_std, log_s.
    """

    name: str
    steps: int
    surrogate: Surrogate
    beta: float | None
    rates: tuple[float, float, float]
    beta_scale: float = 1.0


@dataclass(frozen=True)
class Round:
    """What a round saw: mean surrogate, share of errors among noisy predictions, KL at its end, beta used."""

    surrogate: float
    risk: float
    nats: float
    beta: float


State = dict[str, Tensor]
OnRound = Callable[[State, Round], None]


def train(
    subspace: Subspace,
    sample: Sample,
    posterior: Posterior,
    stage: Stage,
    batch: int,
    seed: tuple[int, ...],
    known: Tensor,
    known_nats: float,
    first_beta: float,
    resumed: State | None,
    on_round: OnRound,
) -> tuple[Posterior, float]:
    """Run a stage; return the posterior it ends with, and beta.

    Args:
        known: coefficients already fixed, the first d - m, with their price known_nats.
        seed: with the round's number it determines the order of examples and the noise.
        first_beta: used until a round has measured the risk, where stage.beta is None.
        resumed: what on_round was last given in this stage, or None to begin.

    Raises: QuantizeError where the loss is not finite.
    """
    run = _StageRun(subspace, sample, posterior, stage, min(batch, sample.n), known, known_nats)
    beta = first_beta if stage.beta is None else stage.beta
    if resumed is not None:
        beta = run.moving.restore(resumed)
    while run.moving.steps < stage.steps:
        seen = run.round(generator_of(*seed, run.moving.steps), beta)
        if stage.beta is None:
            beta = stage.beta_scale * bound_beta(seen.risk, seen.nats + known_nats, sample.n)
        on_round(run.moving.agreed(beta), seen)
    return run.moving.posterior(), beta


def bound_beta(risk: float, nats: float, n: int) -> float:
    """Return 1 / ln(B (1 - e) / (e (1 - B))), the price of a nat over n in units of risk, within BETA_RANGE."""
    risk = min(max(risk, 0.5 / n), 0.99)
    bound = min(_kl_bound(risk, nats / n), 0.999)
    odds = math.log(bound * (1 - risk) / (risk * (1 - bound)))
    return min(max(1 / odds, BETA_RANGE[0]), BETA_RANGE[1]) if odds > 0 else BETA_RANGE[1]


def _kl_bound(risk: float, rate: float) -> float:
    """Float bisection of kl(risk || p) = rate: steers the training, certifies nothing."""
    low, high = risk, 1.0
    for _ in range(50):
        p = (low + high) / 2
        kl = risk * math.log(risk / p) + (1 - risk) * math.log((1 - risk) / (1 - p)) if p < 1 else math.inf
        low, high = (p, high) if kl < rate else (low, p)
    return high


class Moving:
    """A posterior while it is trained: its mean is known to Adam as `shift`, in units of the first deviations."""

    def __init__(self, start: Posterior) -> None:
        """Begin at a posterior."""
        self.start = start
        self.unit = start.log_std.exp()
        self.centre = start.basis.T @ start.mean
        self.trained = [torch.zeros_like(start.mean), start.log_std.clone(), start.log_s.clone()]
        for value in self.trained:
            value.requires_grad_()
        self.adam = torch.optim.Adam([{"params": [value]} for value in self.trained], lr=0.0)
        self.steps = 0

    def posterior(self) -> Posterior:
        """Return it as it stands."""
        shift, log_std, log_s = (value.detach().clone() for value in self.trained)
        mean = self.start.basis @ (self.centre + self.unit * shift)
        return Posterior(mean, self.start.basis, log_std, log_s)

    def state(self, beta: float) -> State:
        """Return everything that `restore` needs."""
        saved = {"steps": torch.tensor(self.steps), "beta": torch.tensor(beta, dtype=torch.float64)}
        for k, value in enumerate(self.trained):
            saved[f"value/{k}"] = value.detach().clone()
        return saved | {name: value.clone() for name, value in moments_of(self.adam, self._named()).items()}

    def agreed(self, beta: float) -> State:
        """Take over the state of process 0, from which this one may have moved away by rounding; return it."""
        state = first(lambda: self.state(beta))
        self.restore(state)
        return state

    def restore(self, saved: State) -> float:
        """Go on from what `state` returned; return its beta."""
        for k, value in enumerate(self.trained):
            with torch.no_grad():
                value.copy_(saved[f"value/{k}"])
        restore_moments(self.adam, self._named(), saved)
        self.steps = int(saved["steps"])
        return float(saved["beta"])

    def divergence(self) -> Tensor:
        """Return KL(Q||P), differentiable."""
        shift, log_std, log_s = self.trained
        return _divergence(self.centre + self.unit * shift, log_std, log_s)

    def draws(self, generator: Generator, count: int = 1) -> list[Tensor]:
        """Return one draw (m,), or two that lie opposite about the mean; differentiable."""
        shift, log_std, _ = self.trained
        noise = torch.randn(log_std.shape, generator=generator)
        along = self.centre + self.unit * shift
        return [self.start.basis @ (along + sign * log_std.exp() * noise) for sign in (1, -1)[:count]]

    def descend(self, loss: Tensor, stage: Stage) -> None:
        """Take one Adam step of a stage. Raises: QuantizeError where the loss is not finite."""
        if not torch.isfinite(loss):
            raise QuantizeError(f"posterior: the loss became {float(loss.detach())} in {stage.name}. Lower the rates.")
        factor, momentum = one_cycle(self.steps / stage.steps)
        for group, rate in zip(self.adam.param_groups, stage.rates, strict=True):
            group["lr"], group["betas"] = rate * factor, (momentum, 0.999)
        self.adam.zero_grad()
        loss.backward()
        self.adam.step()
        self.steps += 1

    def _named(self) -> State:
        return {f"adam/{k}": value for k, value in enumerate(self.trained)}


class _StageRun:
    """One stage in progress."""

    def __init__(
        self, subspace: Subspace, sample: Sample, start: Posterior, stage: Stage, batch: int, known: Tensor, nats: float
    ) -> None:
        self.subspace, self.sample, self.stage, self.batch, self.known = subspace, sample, stage, batch, known
        self.known_nats = nats
        self.moving = Moving(start)

    def round(self, generator: Generator, beta: float) -> Round:
        """Whole passes over the sample, or what is left of the stage."""
        per_pass = self.sample.n // self.batch
        count = min(per_pass * -(-ROUND_STEPS // per_pass), self.stage.steps - self.moving.steps)
        total, errors = 0.0, 0
        order = torch.empty(0, dtype=torch.int64)
        for _ in range(count):
            if len(order) < self.batch:
                order = torch.randperm(self.sample.n, generator=generator)
            loss, wrong = self.step(order[: self.batch], generator, beta)
            order = order[self.batch :]
            total, errors = total + loss, errors + wrong
            tick("training")
        with torch.no_grad():
            nats = float(self.moving.divergence())
        return Round(total / count, errors / (count * self.batch), nats, beta)

    def step(self, rows: Tensor, generator: Generator, beta: float) -> tuple[float, int]:
        """Take one Adam step; return the surrogate and the number of errors on the rows."""
        surrogate, errors = torch.zeros(()), 0
        parts = rows.chunk(2 if self.subspace.layout.D <= PAIRED else 1)  # one part of a single example, too
        for free, part in zip(self.moving.draws(generator, len(parts)), parts, strict=True):
            w = torch.cat([self.known, free])
            loss, wrong = batch_loss(self.subspace, self.sample, w, part, self.stage.surrogate)
            surrogate, errors = surrogate + loss * (len(part) / len(rows)), errors + wrong
        self.moving.descend(surrogate + beta * self.moving.divergence() / self.sample.n, self.stage)
        return float(surrogate.detach()), errors


def seconds_a_step(subspace: Subspace, sample: Sample, batch: int, steps: int = TIMED_STEPS) -> float:
    """Time so many steps of a stage on the first examples, and return what one takes. One step: on a whole batch."""
    d, generator, size = subspace.d, Generator().manual_seed(0), min(batch, sample.n)
    start = Posterior(torch.zeros(d), torch.eye(d), torch.full((d,), TIMED_LOG_STD), torch.tensor(TIMED_LOG_STD))
    stage = Stage("timed", steps, "cross_entropy", 1.0, (0.0, 0.0, 0.0))
    run = _StageRun(subspace, sample, start, stage, size, torch.zeros(0), 0.0)

    def step(count: int) -> None:
        run.step(torch.arange(count), generator, 1.0)

    if steps == 1:
        return median_seconds(lambda _: step(size), 1)
    return seconds_of(step, size, steps, len(sample.x))


def _divergence(along: Tensor, log_std: Tensor, log_s: Tensor) -> Tensor:
    """KL of a diagonal Gaussian, in any orthonormal basis, against N(0, e^{2 log_s} I)."""
    return 0.5 * (((2 * log_std).exp() + along**2) * (-2 * log_s).exp() - 1 - 2 * log_std + 2 * log_s).sum()


def generator_of(*seed: int) -> Generator:
    """A generator for each sequence of integers."""
    mixed = 0
    for part in seed:
        mixed = (mixed * 1_000_003 + part + 1) % (1 << 63)
    return Generator().manual_seed(mixed)
