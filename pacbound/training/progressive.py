"""The tightest encoder: a trained posterior, rounded block by block with retraining of what is still free.

1. warm: w near a point, small noise.            2. smooth: posterior on cross-entropy in the Fisher eigenbasis.
3. bounded: posterior on 1 - p(label), with the Fisher measured again first (the bounded loss saturates the softmax,
   and its Fisher vanishes).                      4. steps that follow the conditional precisions (bits/profile.py).
5. blocks: a beam rounds the next coefficients; the rest moves to its conditional mean, is diagonalised again and
   retrained.                                     6. refinement: single moves that lower the bound (refine.py).

Everything here is encoder-side and free: only the message counts. Any part can be switched off by the settings.
Where a stage fails or the time is over, what the last good posterior says is rounded at once: a message worth having.
All randomness comes from (seed, stage, step), so that a resumed run repeats an uninterrupted one.
"""

import logging
import math
import time
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor
from tqdm import tqdm

from ..bits.coder import TOTAL, Symbols
from ..bits.profile import profile_steps, profile_tables
from ..bounds.occam import occam_kl
from ..errors import QuantizeError, SubspaceError
from ..quantize.beam import beam, lower_factor
from ..quantize.profile import fit_profile
from ..records import Record
from ..specs import PROFILE_CODE, PROFILE_REACH, CodeSpec, ProfileSpec
from ..subspace.curvature import DENSE_DIMENSION, Draw, Rows, curvature
from ..subspace.low_rank import low_rank_curvature
from ..subspace.subspace import Subspace
from .fit import Sample
from .losses import Surrogate
from .posterior import OnRound, Posterior, Round, Stage, State, generator_of, train
from .refine import Point, evaluate_point, refine
from .state import Checkpoint

Candidate = tuple[Symbols, ProfileSpec, CodeSpec]
WARM_NOISE = 0.1  # of s
FLAT_FISHER = 2.0  # what stands for every eigenvalue where the curvature is switched off
DELTA = 0.05  # for the estimate shown and for comparing candidates
MAX_DIMENSION = 8192  # the precision that is rounded is a d x d float64 matrix, with a few copies: 2 GB
WIDEST_KAP = 6.4  # of the format: steps this wide let a beam follow where usual ones do not
LOG = logging.getLogger("pacbound")


class PosteriorSettings(Record):
    """How the encoder works; nothing here reaches the receiver. Steps are gradient steps of `batch` examples.

    Steps are the same for any n: a small sample is passed over more often. beta of the bounded stages follows from
    the bound (posterior.py) times beta_scale; a little above 1, because errors fall when the rest is retrained and
    nats do not.

    curvature=False trains in the raw coordinates; refresh=False keeps the first Fisher; bounded=False stays with
    cross-entropy; blocks=1 rounds all at once; beam=1 is Babai's rule; identity=True rounds as if the precision were
    diagonal; refine_rounds=0 makes no final moves.
    """

    batch: int = Field(default=250, ge=1)
    warm_steps: int = Field(default=1200, ge=0)
    smooth_steps: int = Field(default=2400, ge=1)
    bounded_steps: int = Field(default=4000, ge=0)
    block_steps: int = Field(default=300, ge=0)
    first_scale: float = Field(default=0.05, gt=0)
    smooth_beta: float = Field(default=4.0, gt=0)
    beta_scale: float = Field(default=1.1, gt=0)
    curvature: bool = True
    refresh: bool = True
    bounded: bool = True
    fisher_examples: int = Field(default=8000, ge=1)
    identity: bool = False
    kap: float = Field(default=4.4, gt=0)
    blocks: int = Field(default=10, ge=1)
    beam: int = Field(default=512, ge=1)
    survivors: int = Field(default=8, ge=1)
    refine_rounds: int = Field(default=8, ge=0)
    refine_trials: int = Field(default=60, ge=0)
    overhead_bits: int = Field(default=72, ge=0)

    @property
    def steps(self) -> int:
        """Gradient steps of all stages together."""
        first = self.warm_steps + self.smooth_steps + (self.bounded_steps if self.bounded else 0)
        return first + (self.blocks - 1) * self.block_steps


def posterior_settings(batch: int, steps: int | None, drawn: bool = False) -> PosteriorSettings:
    """Return the default settings, their stages scaled to `steps` gradient steps in all where it is given.

    drawn: nothing is rounded afterwards, so there are no blocks and beta is that of the bound.
    """
    default = PosteriorSettings(batch=batch, blocks=1, beta_scale=1.0) if drawn else PosteriorSettings(batch=batch)
    if steps is None:
        return default
    names = ("warm_steps", "smooth_steps", "bounded_steps", "block_steps")
    scaled = {name: max(1, round(getattr(default, name) * steps / default.steps)) for name in names}
    return default.model_copy(update=scaled)


def block_edges(d: int, blocks: int) -> list[int]:
    """Return 0 = e_0 < ... < e_k = d: e_j near d (1 - (1 - j / blocks)^2), so that blocks shrink towards the end.

    What is left after the first is at most DENSE_DIMENSION, for it is diagonalised again.
    """
    edges = {round(d * (1 - (1 - j / blocks) ** 2)) for j in range(blocks + 1)}
    return sorted({edge for edge in edges if d - edge <= DENSE_DIMENSION} | {0, d})


@dataclass(frozen=True)
class Deadline:
    """Moments of time.monotonic(): training stops after a round that ends later, refinement after such a move."""

    training: float = math.inf
    refinement: float = math.inf


NEVER = Deadline()


def encode_posterior(
    subspace: Subspace,
    sample: Sample,
    settings: PosteriorSettings,
    seed: int,
    checkpoint: Checkpoint,
    progress: bool = True,
    until: Deadline = NEVER,
) -> list[Candidate]:
    """Return messages, the most promising first: symbols (d,) in [0, 41) with their step profile.

    Where a stage fails after another has ended, or the time is over, the messages are those of the last good
    posterior, and a warning of the logger `pacbound` says why.

    Raises: QuantizeError or SubspaceError where nothing can be rounded: training diverges at once, d is beyond
        MAX_DIMENSION, or no beam can follow. StateError from the checkpoint.
    """
    return _Run(subspace, sample, settings, seed, checkpoint, progress, until).run()


def train_posterior(
    subspace: Subspace,
    sample: Sample,
    settings: PosteriorSettings,
    seed: int,
    checkpoint: Checkpoint,
    progress: bool = True,
    until: Deadline = NEVER,
) -> Posterior:
    """Return the posterior on all d coefficients as it stands before anything is rounded. settings.blocks is 1.

    Failing, and raises: as encode_posterior.
    """
    run = _Run(subspace, sample, settings, seed, checkpoint, progress, until)
    try:
        return run.trained().posterior
    except (QuantizeError, SubspaceError) as cause:
        return run.last_good(cause).posterior


@dataclass(frozen=True)
class _Progress:
    """What stands at the start of a stage: coefficients already fixed, the posterior of the rest, beta."""

    posterior: Posterior
    integers: NDArray[np.int32]  # (known,)
    profile: ProfileSpec | None
    beta: float

    def tensors(self) -> State:
        saved = {f"posterior/{name}": value for name, value in self.posterior.tensors().items()}
        saved["integers"] = torch.from_numpy(self.integers)
        saved["beta"] = torch.tensor(self.beta, dtype=torch.float64)
        if self.profile is not None:
            p = self.profile
            saved["profile"] = torch.tensor([p.scale_index, p.kap, p.c0, p.c1, p.c2])
        return saved

    @classmethod
    def of(cls, saved: State) -> "_Progress":
        posterior = Posterior(**{name: saved[f"posterior/{name}"] for name in ("mean", "basis", "log_std", "log_s")})
        profile = None
        if "profile" in saved:
            fields = zip(("scale_index", "kap", "c0", "c1", "c2"), saved["profile"].tolist(), strict=True)
            profile = ProfileSpec(**dict(fields))
        return cls(posterior, saved["integers"].numpy(), profile, float(saved["beta"]))


class _Run:
    """The stages in order, each prepared from the end of the one before, trained, and saved round by round."""

    def __init__(
        self,
        subspace: Subspace,
        sample: Sample,
        settings: PosteriorSettings,
        seed: int,
        checkpoint: Checkpoint,
        progress: bool,
        until: Deadline,
    ) -> None:
        if subspace.d > MAX_DIMENSION:
            raise QuantizeError(
                f"posterior: a d x d precision is rounded for d up to {MAX_DIMENSION}, got d = {subspace.d}. "
                "Choose a smaller d, or --encoder plain, which has no such limit."
            )
        self.until = until
        self.good: list[_Progress] = []  # the posterior at the end of the last stage, after the last whole one
        self.subspace, self.sample, self.settings, self.seed = subspace, sample, settings, seed
        self.checkpoint, self.progress = checkpoint, progress
        self.edges = block_edges(subspace.d, settings.blocks)
        self.stages = self._stages()
        self._tables: tuple[ProfileSpec, NDArray[np.float64], NDArray[np.float64]] | None = None

    def _stages(self) -> list[Stage]:
        s = self.settings
        loss: Surrogate = "error_probability" if s.bounded else "cross_entropy"
        beta = None if s.bounded else s.smooth_beta
        bounded_steps = s.bounded_steps if s.bounded else 0
        stages = [
            Stage("warm", s.warm_steps, "cross_entropy", 1.0, (1.0, 0.0, 0.0)),
            Stage("smooth", s.smooth_steps, "cross_entropy", s.smooth_beta, (0.1, 0.02, 0.02)),
            Stage("bounded", bounded_steps, "error_probability", None, (0.1, 0.02, 0.02), s.beta_scale),
        ]
        for k in range(len(self.edges) - 2):
            stages.append(Stage(f"block {k + 1}", s.block_steps, loss, beta, (0.06, 0.02, 0.0), s.beta_scale))
        return stages

    def run(self) -> list[Candidate]:
        try:
            return self._finish(self.trained())
        except (QuantizeError, SubspaceError) as cause:
            return self._rescued(cause)

    def last_good(self, cause: QuantizeError | SubspaceError) -> _Progress:
        """What the last stage left. Raises: the cause, where there was none."""
        if not self.good:
            raise cause
        LOG.warning("%s Going on with what was trained before.", cause)
        return self.good[-1]

    def _rescued(self, cause: QuantizeError | SubspaceError) -> list[Candidate]:
        """Round at once what is free in the last posterior, else in the last whole one, with wider steps at last."""
        last = self.last_good(cause)
        for now, kap in ((last, self.settings.kap), (self.good[0], self.settings.kap), (self.good[0], WIDEST_KAP)):
            self.settings = self.settings.model_copy(update={"kap": kap})
            self.edges = [len(now.integers), self.subspace.d]
            try:
                return self._finish(now)
            except (QuantizeError, SubspaceError):
                continue
        raise cause

    def _keep(self, now: _Progress) -> _Progress:
        """Note what a stage ended with: the last whole posterior first, the last of all at the end."""
        self.good = [now] if not len(now.integers) else [*self.good[:1], now]
        return now

    def trained(self) -> _Progress:
        """All stages, from where the checkpoint stands."""
        saved = self.checkpoint.load() or {}
        index = int(saved.get("stage", torch.zeros((), dtype=torch.int64)))
        now = _Progress.of(saved) if saved else self._start()
        if index:
            self._keep(now)
        total = sum(stage.steps for stage in self.stages)
        done = sum(stage.steps for stage in self.stages[:index])
        bar = tqdm(total=total, initial=done, desc="posterior", unit="step", disable=None if self.progress else True)
        with bar:
            for k in range(index, len(self.stages)):
                resumed = {name[4:]: value for name, value in saved.items() if name.startswith("run/")}
                if not saved:
                    now = self._prepare(k, now)
                bar.update(int(resumed.get("steps", torch.zeros(()))))
                now = self._keep(self._train(k, now, resumed or None, bar))
                saved = {}
        return now

    def _start(self) -> _Progress:
        d, s = self.subspace.d, self.settings.first_scale
        log_std = torch.full((d,), math.log(WARM_NOISE * s))
        posterior = Posterior(torch.zeros(d), torch.eye(d), log_std, torch.tensor(math.log(s)))
        return _Progress(posterior, np.zeros(0, np.int32), None, 1.0)

    def _prepare(self, k: int, now: _Progress) -> _Progress:
        """Change basis or round a block before stage k, and save the point it starts from."""
        name = self.stages[k].name
        if name == "smooth":
            now = self._with_curvature(k, now, rescale=False)
        elif name == "bounded" and self.settings.bounded and self.settings.refresh and self.settings.curvature:
            now = self._with_curvature(k, now, rescale=True)
        elif name.startswith("block"):
            now = self._with_block(k - 3, now)
        self.checkpoint.save({"stage": torch.tensor(k)} | now.tensors(), force=True)
        return now

    def _with_curvature(self, k: int, now: _Progress, rescale: bool) -> _Progress:
        """Give the posterior the eigenbasis of a fresh Fisher, and its precisions n lambda / beta + 1 / s^2.

        rescale: keep the mean of the log-precisions by a common factor on the Fisher.
        """
        p, n = now.posterior, self.sample.n
        prior = math.exp(-2 * float(p.log_s))
        values, basis = self._spectrum(k, p.draw if rescale else (lambda _: p.mean))
        values = values.clamp(min=0) * n
        wanted = -2 * float(p.log_std.double().mean())
        factor = _matching_factor(values, prior, wanted) if rescale else 1 / self.settings.smooth_beta
        log_std = -0.5 * torch.log(factor * values + prior)
        posterior = Posterior(p.mean, basis.float(), log_std.float(), p.log_s)
        return _Progress(posterior, now.integers, now.profile, now.beta)

    def _spectrum(self, k: int, draw: Draw) -> tuple[Tensor, Tensor]:
        """Values (d,) and basis (d, d) of the curvature, or what stands for it where it is switched off. float64."""
        d, examples = self.subspace.d, self.settings.fisher_examples
        if not self.settings.curvature:
            return torch.full((d,), FLAT_FISHER, dtype=torch.float64), torch.eye(d, dtype=torch.float64)
        rows, generator = Rows(self.subspace, self.sample.x, draw), generator_of(self.seed, k, 1 << 20)
        if d > DENSE_DIMENSION:
            return low_rank_curvature(rows, examples, generator, progress=self.progress).eigen()
        return torch.linalg.eigh(curvature(rows, examples, generator, progress=self.progress))

    def _train(self, k: int, now: _Progress, resumed: State | None, bar: tqdm) -> _Progress:
        stage = self.stages[k]
        start = {"stage": torch.tensor(k)} | now.tensors()
        known, nats = self._known(now)
        beta = now.beta if k > 2 else 1.0
        done = 0 if resumed is None else int(resumed["steps"])

        def trained(stage: Stage, resumed: State | None, on_round: OnRound) -> Posterior:
            return train(
                self.subspace, self.sample, now.posterior, stage, self.settings.batch, (self.seed, k),
                known, nats, beta, resumed, on_round,
            )  # fmt: skip

        def on_round(state: State, seen: Round) -> None:
            nonlocal beta, done
            beta = float(state["beta"])
            ended = int(state["steps"]) == stage.steps
            self.checkpoint.save(start | {f"run/{name}": value for name, value in state.items()}, force=ended)
            bits = (nats + seen.nats) / math.log(2) + self.settings.overhead_bits
            bound = occam_kl(seen.risk * self.sample.n, self.sample.n, bits, DELTA).value
            bar.set_postfix_str(f"{stage.name}: risk {seen.risk:.4f}, {bits:.0f} bits, bound near {bound:.4f}")
            bar.update(int(state["steps"]) - done)
            done = int(state["steps"])
            if not ended and time.monotonic() > self.until.training:
                stopped = trained(replace(stage, steps=done), state, lambda *_: None)
                self._keep(_Progress(stopped, now.integers, now.profile, beta))
                raise QuantizeError(f"posterior: the budget ended in {stage.name}, step {done} of {stage.steps}.")

        posterior = trained(stage, resumed, on_round)
        return _Progress(posterior, now.integers, now.profile, beta)

    def _known(self, now: _Progress) -> tuple[Tensor, float]:
        """Values of the fixed coefficients, float32, and their price in nats."""
        if now.profile is None or not len(now.integers):
            return torch.zeros(0), 0.0
        steps, nats = self._model(now.profile)
        count = len(now.integers)
        values = torch.from_numpy((now.integers * steps[:count]).astype(np.float32))
        return values, float(nats[np.arange(count), now.integers + PROFILE_REACH].sum())

    def _model(self, profile: ProfileSpec) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Steps (d,) and prices in nats (d, 41), by the integer tables that will be charged."""
        if self._tables is None or self._tables[0] != profile:
            nats = -np.log(profile_tables(profile, self.subspace.d) / TOTAL)
            self._tables = (profile, profile_steps(profile, self.subspace.d), nats)
        return self._tables[1], self._tables[2]

    def _with_block(self, block: int, now: _Progress) -> _Progress:
        """Round one block and move the rest to its conditional distribution."""
        now = self._with_profile(now)
        integers, rest = self._round(block, now)
        free = len(rest[0])
        precision = now.posterior.precision()[-free:, -free:]
        values, basis = torch.linalg.eigh(precision)
        mean = torch.from_numpy(rest[0]).float()
        posterior = Posterior(mean, basis.float(), (-0.5 * values.log()).float(), now.posterior.log_s)
        return _Progress(posterior, np.concatenate([now.integers, integers[0]]), now.profile, now.beta)

    def _with_profile(self, now: _Progress) -> _Progress:
        if now.profile is not None:
            return now
        lower = lower_factor(self._precision(now))
        profile = fit_profile(1 / np.diag(lower) ** 2, math.exp(float(now.posterior.log_s)), self.settings.kap)
        log_s = torch.tensor(-profile.scale_index / 16 * math.log(2))
        p = now.posterior
        return _Progress(Posterior(p.mean, p.basis, p.log_std, log_s), now.integers, profile, now.beta)

    def _precision(self, now: _Progress) -> NDArray[np.float64]:
        precision = now.posterior.precision().numpy()
        return np.diag(np.diag(precision)) if self.settings.identity else precision

    def _round(self, block: int, now: _Progress) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
        """Survivors of the beam on one block: integers (k, b) and means of the rest (k, m - b)."""
        assert now.profile is not None
        steps, nats = self._model(now.profile)
        start, stop = self.edges[block], self.edges[block + 1]
        result = beam(
            now.posterior.mean.double().numpy(), lower_factor(self._precision(now)), steps[start:], nats[start:],
            stop - start, self.settings.beam, 2 ** (-now.profile.scale_index / 16),
        )  # fmt: skip
        return result.integers, result.rest

    def _finish(self, now: _Progress) -> list[Candidate]:
        """Round the last block, score a few survivors by the bound, refine the best."""
        now = self._with_profile(now)
        assert now.profile is not None
        steps, nats = self._model(now.profile)
        last, _ = self._round(len(self.edges) - 2, now)
        points: list[Point] = []
        for integers in last[: self.settings.survivors]:
            whole = np.concatenate([now.integers, integers])
            points.append(evaluate_point(self.subspace, self.sample, whole, steps, nats, self.settings.overhead_bits))
        points.sort(key=lambda point: point.bound)
        best = refine(
            self.subspace, self.sample, points[0], steps, nats, self.settings.overhead_bits,
            self.settings.refine_rounds, self.settings.refine_trials, self.progress, self.until.refinement,
        )  # fmt: skip
        return [
            ((point.integers + PROFILE_REACH).astype(np.int32), now.profile, PROFILE_CODE)
            for point in (best, points[0])
        ]


def _matching_factor(values: Tensor, prior: float, wanted: float) -> float:
    """Return f with mean ln(f values + prior) = wanted, by bisection of ln f."""
    low, high = -30.0, 30.0
    for _ in range(80):
        middle = (low + high) / 2
        below = float(torch.log(math.exp(middle) * values + prior).mean()) < wanted
        low, high = (middle, high) if below else (low, middle)
    return math.exp((low + high) / 2)
