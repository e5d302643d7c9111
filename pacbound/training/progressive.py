"""The tightest encoder: a trained posterior, rounded block by block with retraining of what is still free.

1. warm: w near a point, small noise.            2. smooth: posterior on cross-entropy in the Fisher eigenbasis.
3. bounded: posterior on 1 - p(label), in parts, with the Fisher measured again before each: a diagonal covariance in
   an old eigenbasis costs nats. This loss saturates the softmax, so that it is the Fisher of softer predictions.
4. steps that follow the conditional precisions (bits/profile.py).
5. blocks: a beam rounds the next coefficients; the rest moves to its conditional mean, is diagonalised again and
   retrained (rounding.py); of many coefficients the Fisher is measured again before the next block.
6. refinement: moves that lower the bound (refine.py).

Everything here is encoder-side and free: only the message counts. Any part can be switched off by the settings.
Where a stage fails or the time is over, what the last good posterior says is rounded at once: a message worth having.
All randomness comes from (seed, stage, step), so that a resumed run repeats an uninterrupted one. Several processes
divide batches, curvature and counting; what is diagonalised or rounded is so by process 0.
"""

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..bounds.occam import occam_kl
from ..distributed import first, over
from ..errors import QuantizeError, SubspaceError
from ..progress import hidden, tqdm
from ..specs.specs import PROFILE_CODE, StepSpec
from ..stages import clocked
from ..subspace.curvature import DENSE_DIMENSION, Rows, calibrated_temperature, curvature
from ..subspace.low_rank import low_rank_curvature
from ..subspace.subspace import Subspace
from .fit import Sample
from .losses import Surrogate
from .plain import Candidate, Encoded
from .posterior import OnRound, Posterior, Round, Stage, State, generator_of, train
from .refine import best_point, refine
from .rescue import Ends
from .rounding import Prices, Standing, prices_of, rounded, with_block, with_profile
from .settings import PosteriorSettings, block_edges
from .state import Checkpoint

TEMPERATURE_EXAMPLES = 8000
SOFTNESS = 2.0  # temperature of those predictions over the calibrated one; measured: results/features/tried.csv
FLAT_FISHER = 2.0  # what stands for every eigenvalue where the curvature is switched off
DELTA = 0.05  # for the estimate shown and for comparing candidates
MAX_DIMENSION = 8192  # the precision that is rounded is a d x d float64 matrix, with a few copies: 2 GB


@dataclass(frozen=True)
class Deadline:
    """Moments of time.monotonic(): training stops after a round that ends later, refinement after such a move."""

    training: float = math.inf
    refinement: float = math.inf


NEVER = Deadline()


@dataclass(frozen=True)
class Task:
    """What is encoded, how, from which seed; where the run is kept, whether bars are shown, and when to stop."""

    subspace: Subspace
    sample: Sample
    settings: PosteriorSettings
    seed: int
    checkpoint: Checkpoint
    progress: bool = True
    until: Deadline = NEVER


@dataclass(frozen=True)
class Trained:
    """A posterior on all d coefficients before anything is rounded, and the passes over the sample it took."""

    posterior: Posterior
    epochs: float


def encode_posterior(task: Task) -> Encoded:
    """Return messages, the most promising first: symbols (d,) in [0, 41) with their step profile; none at worst.

    Where a stage fails after another has ended, or the time is over, the messages are those of the last good
    posterior, and a warning of the logger `pacbound` says why.

    Raises: QuantizeError or SubspaceError where training diverges before its first stage has ended, or d is beyond
        MAX_DIMENSION. StateError from the checkpoint.
    """
    run = _Run(task)
    return Encoded(run.messages(), run.epochs)


def train_posterior(task: Task) -> Trained:
    """Return the posterior as it stands before anything is rounded; task.settings.blocks is 1.

    Failing, and raises: as encode_posterior.
    """
    run = _Run(task)
    try:
        return Trained(run.trained().posterior, run.epochs)
    except (QuantizeError, SubspaceError) as cause:
        return Trained(run.ends.last(cause).posterior, run.epochs)


class _Run:
    """The stages in order, each prepared from the end of the one before, trained, and saved round by round."""

    def __init__(self, task: Task) -> None:
        if task.subspace.d > MAX_DIMENSION:
            raise QuantizeError(
                f"posterior: a d x d precision is rounded for d up to {MAX_DIMENSION}, got d = {task.subspace.d}. "
                "Choose a smaller d, or --encoder plain, which has no such limit."
            )
        self.task, self.subspace, self.sample, self.settings = task, task.subspace, task.sample, task.settings
        self.edges = block_edges(task.subspace.d, task.settings.blocks)
        self.stages = _stages(task.settings, len(self.edges) - 2)
        self.ends = Ends()
        self.steps = 0  # gradient steps so far

    @property
    def epochs(self) -> float:
        return self.steps * min(self.settings.batch, self.sample.n) / self.sample.n

    def messages(self) -> list[Candidate]:
        try:
            return self._finish(self.trained(), self.settings.kap)
        except (QuantizeError, SubspaceError) as cause:
            return self.ends.rescued(cause, self.settings.kap, self._finish)

    def trained(self) -> Standing:
        """All stages, from where the checkpoint stands."""
        saved = self.task.checkpoint.load() or {}
        index = int(saved.get("stage", torch.zeros((), dtype=torch.int64)))
        now = Standing.of(saved) if saved else Standing.start(self.subspace.d, self.settings.first_scale, 1.0)
        if index:
            self.ends.keep(now)
        total = sum(stage.steps for stage in self.stages)
        self.steps = sum(stage.steps for stage in self.stages[:index])
        off = hidden(self.task.progress)
        with tqdm(total=total, initial=self.steps, desc="posterior", unit="step", disable=off) as bar:
            for k in range(index, len(self.stages)):
                resumed = {name[4:]: value for name, value in saved.items() if name.startswith("run/")}
                if not saved:
                    now = self._prepare(k, now)
                now = self.ends.keep(self._train(k, now, resumed or None, bar))
                saved = {}
        return now

    def _prepare(self, k: int, now: Standing) -> Standing:
        """Change basis or round a block before stage k, and save the point it starts from."""
        name = self.stages[k].name
        if name == "smooth":
            now = self._with_curvature(k, now, again=False)
        elif name.startswith("bounded") and self.settings.again:
            now = self._with_curvature(k, now, again=True)
        elif name.startswith("block"):
            fixed = len(now.integers)
            if fixed and self.settings.again_in_blocks(self.subspace.d):
                now = self._with_curvature(k, now, again=True)
            end = self.edges[self.edges.index(fixed) + 1]
            with clocked("rounding"):
                now = first(lambda: with_block(now, end - fixed, self.settings))
        self.task.checkpoint.save({"stage": torch.tensor(k)} | now.tensors(), force=True)
        return now

    def _with_curvature(self, k: int, now: Standing, again: bool) -> Standing:
        """Give what is free the eigenbasis of a fresh Fisher, and its precisions n lambda / beta + 1 / s^2.

        again: that of softer predictions over the posterior, for the bounded loss saturates the softmax, whose
        Fisher vanishes; a common factor on it keeps the mean of the log-precisions.
        """
        p, n = now.posterior, self.sample.n
        prior = math.exp(-2 * float(p.log_s))
        with clocked("curvature"):
            values, basis = self._spectrum(k, now, again)
        values = values.clamp(min=0) * n
        wanted = -2 * float(p.log_std.double().mean())
        factor = _matching_factor(values, prior, wanted) if again else 1 / self.settings.smooth_beta
        log_std = -0.5 * torch.log(factor * values + prior)
        return replace(now, posterior=Posterior(p.mean, basis.float(), log_std.float(), p.log_s))

    def _spectrum(self, k: int, now: Standing, again: bool) -> tuple[Tensor, Tensor]:
        """Values (m,) and basis (m, m) of the curvature, or what stands for it where it is switched off. float64."""
        p, m, progress = now.posterior, len(now.posterior.mean), self.task.progress
        if not self.settings.curvature:
            return torch.full((m,), FLAT_FISHER, dtype=torch.float64), torch.eye(m, dtype=torch.float64)
        examples, generator = self.settings.examples_of(m), generator_of(self.task.seed, k, 1 << 20)
        draw = p.draw if again else (lambda _: p.mean)
        rows = Rows(self.subspace, self.sample.x, draw, self.sample.y, known=now.known()[0])
        if again:
            own = generator_of(self.task.seed, k, (1 << 20) + 1)
            rows = replace(rows, temperature=SOFTNESS * calibrated_temperature(rows, TEMPERATURE_EXAMPLES, own))
        if m > DENSE_DIMENSION:
            low_rank = low_rank_curvature(rows, examples, generator, progress=progress)
            return first(low_rank.eigen)
        matrix = curvature(rows, examples, generator, progress=progress)
        return first(lambda: tuple(torch.linalg.eigh(matrix)))

    def _train(self, k: int, now: Standing, resumed: State | None, bar: tqdm) -> Standing:
        stage, before = self.stages[k], self.steps
        start = {"stage": torch.tensor(k)} | now.tensors()
        known, nats = now.known()
        if resumed is not None:
            self._advance(before + int(resumed["steps"]), bar)

        def trained(stage: Stage, resumed: State | None, on_round: OnRound) -> tuple[Posterior, float]:
            return train(
                self.subspace, self.sample, now.posterior, stage, self.settings.batch, (self.task.seed, k),
                known, nats, now.beta if k > 2 else 1.0, resumed, on_round,
            )  # fmt: skip

        def on_round(state: State, seen: Round) -> None:
            done = int(state["steps"])
            self.task.checkpoint.save(
                start | {f"run/{name}": value for name, value in state.items()}, force=done == stage.steps
            )
            bits = (nats + seen.nats) / math.log(2) + self.settings.overhead_bits
            bound = occam_kl(seen.risk * self.sample.n, self.sample.n, bits, DELTA).value
            bar.set_postfix_str(f"{stage.name}: risk {seen.risk:.4f}, {bits:.0f} bits, bound near {bound:.4f}")
            self._advance(before + done, bar)
            if done < stage.steps and over(self.task.until.training):
                stopped, beta = trained(replace(stage, steps=done), state, lambda *_: None)
                self.ends.keep(replace(now, posterior=stopped, beta=beta))
                raise QuantizeError(f"posterior: the budget ended in {stage.name}, step {done} of {stage.steps}.")

        posterior, beta = trained(stage, resumed, on_round)
        return replace(now, posterior=posterior, beta=beta)

    def _advance(self, steps: int, bar: tqdm) -> None:
        bar.update(steps - self.steps)
        self.steps = steps

    def _finish(self, now: Standing, kap: float) -> list[Candidate]:
        """Round what is free, score a few survivors by the bound, refine the best."""
        settings = self.settings.model_copy(update={"kap": kap})
        with clocked("rounding"):
            profile, prices, whole = first(lambda: _survivors(now, settings))
        with clocked("survivors"):
            start = best_point(self.subspace, self.sample, whole, prices, settings.overhead_bits)
        with clocked("refinement"):
            best = refine(
                self.subspace, self.sample, start, prices, settings, self.task.progress, self.task.until.refinement
            )
        return [
            Candidate((point.integers + prices.reach).astype(np.int32), profile, PROFILE_CODE)
            for point in ([best] if best is start else [best, start])
        ]


def _survivors(now: Standing, settings: PosteriorSettings) -> tuple[StepSpec, Prices, list[NDArray[np.int32]]]:
    """Round what is free; return the step profile, its prices, and the best few integers (d,)."""
    now = with_profile(now, settings)
    assert now.profile is not None
    last = rounded(now, len(now.posterior.mean), settings).integers[: settings.survivors]
    whole = [np.concatenate([now.integers, integers]) for integers in last]
    return now.profile, prices_of(now.profile, now.d), whole


def _stages(s: PosteriorSettings, blocks: int) -> list[Stage]:
    """The three stages of the whole posterior, and one after each of `blocks` roundings."""
    loss: Surrogate = "error_probability" if s.bounded else "cross_entropy"
    beta = None if s.bounded else s.smooth_beta
    return [
        Stage("warm", s.warm_steps, "cross_entropy", 1.0, (1.0, 0.0, 0.0)),
        Stage("smooth", s.smooth_steps, "cross_entropy", s.smooth_beta, (0.1, 0.02, 0.02)),
        *(
            Stage(f"bounded {k + 1}", steps, "error_probability", None, (0.1, 0.02, 0.02), s.beta_scale)
            for k, steps in enumerate(s.bounded_parts)
        ),
        *(Stage(f"block {k + 1}", s.block_steps, loss, beta, (0.06, 0.02, 0.0), s.beta_scale) for k in range(blocks)),
    ]


def _matching_factor(values: Tensor, prior: float, wanted: float) -> float:
    """Return f with mean ln(f values + prior) = wanted, by bisection of ln f."""
    low, high = -30.0, 30.0
    for _ in range(80):
        middle = (low + high) / 2
        below = float(torch.log(math.exp(middle) * values + prior).mean()) < wanted
        low, high = (middle, high) if below else (low, middle)
    return math.exp((low + high) / 2)
