"""The posterior encoder where losses are of windows of a text: warm, smooth in the Fisher eigenbasis, blocks.

As in progressive.py, with another objective: the mean loss in nats, whose price of a nat is not that of errors. The gap
of the bound grows as sqrt(2 nats Var / n), so that beta = sqrt(Var n / (2 nats)), and at least one over the largest
lambda that is allowed (lattices.py has the same rule). Free: only the message counts.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..errors import QuantizeError, SubspaceError
from ..progress import hidden, tqdm
from ..specs.specs import PROFILE_CODE
from ..threads import tick
from .lattices import FIRST_BETA, FIRST_VARIANCE, Price, followed
from .plain import Candidate
from .posterior import Moving, Posterior, Stage, generator_of
from .rescue import Ends
from .rounding import Standing, prices_of, rounded, with_block, with_profile
from .settings import PosteriorSettings, block_edges
from .state import Checkpoint

SCORED = 4  # windows on which a survivor of the beam is judged, as steps of training
SHARES = {"warm_steps": 0.35, "smooth_steps": 0.4, "block_steps": 0.25}  # of all steps; the last of all blocks together
BLOCKS = 6


@dataclass(frozen=True)
class Objective:
    """What is minimised over w (d,).

    losses: w and the number of a step -> mean loss in nats, and the variance of losses about their centre; of the step
    alone, so that it can be repeated. score: w and the number of a window -> gradient in w of the log-likelihood of
    labels drawn from the network, (d,), such that the mean of its outer product is the Fisher of one loss. n: losses
    that the statement is about. price: (step, variance of losses, nats) -> beta. symbols: of a step.
    """

    losses: Callable[[Tensor, int], tuple[Tensor, float]]
    score: Callable[[Tensor, int], Tensor]
    d: int
    n: int
    price: Price
    symbols: int = 1


def settings_of(steps: int) -> PosteriorSettings:
    """Return the plan of so many steps in all."""
    whole = {name: max(1, round(share * steps)) for name, share in SHARES.items()}
    whole["block_steps"] = max(1, whole["block_steps"] // (BLOCKS - 1))
    settings = PosteriorSettings(batch=1, bounded=False, bounded_steps=0, blocks=BLOCKS)
    return settings.model_copy(update={**whole, "fisher_examples": max(64, steps // 2)})


def encode_sequences(
    objective: Objective, settings: PosteriorSettings, seed: int, checkpoint: Checkpoint, progress: bool = True
) -> list[Candidate]:
    """Return a message, symbols (d,) in [0, 41) with their step profile; none where nothing could be rounded.

    An interrupted run goes on from its state as if nothing had happened.
    Raises: QuantizeError or SubspaceError where training diverges before its first stage has ended; StateError.
    """
    return _Run(objective, settings, seed, checkpoint, progress).messages()


class _Run:
    """The stages in order, each prepared from the end of the one before, trained, and saved on the way."""

    def __init__(
        self, objective: Objective, settings: PosteriorSettings, seed: int, checkpoint: Checkpoint, progress: bool
    ) -> None:
        self.objective, self.settings, self.seed = objective, settings, seed
        self.checkpoint, self.progress, self.spread = checkpoint, progress, FIRST_VARIANCE
        self.edges = block_edges(objective.d, settings.blocks)
        self.stages = [
            Stage("warm", settings.warm_steps, "cross_entropy", None, (1.0, 0.0, 0.05)),
            Stage("smooth", settings.smooth_steps, "cross_entropy", None, (0.1, 0.02, 0.02)),
            *(
                Stage(f"block {k + 1}", settings.block_steps, "cross_entropy", None, (0.06, 0.02, 0.0))
                for k in range(len(self.edges) - 2)
            ),
        ]
        self.ends = Ends()

    def messages(self) -> list[Candidate]:
        """Train and round; where a stage fails, round at once what the last one left, with wider steps at last."""
        try:
            return self._rounded(self._trained(), self.settings.kap)
        except (QuantizeError, SubspaceError) as cause:
            return self.ends.rescued(cause, self.settings.kap, self._rounded)

    def _trained(self) -> Standing:
        saved = self.checkpoint.load() or {}
        first = int(saved.get("stage", torch.tensor(0)))
        now = Standing.of(saved) if saved else Standing.start(self.objective.d, self.settings.first_scale, FIRST_BETA)
        total = sum(stage.steps for stage in self.stages)
        done = sum(stage.steps for stage in self.stages[:first])
        bar = tqdm(
            total=total, initial=done, desc="posterior", unit=" symbols", unit_scale=self.objective.symbols,
            disable=hidden(self.progress),
        )  # fmt: skip
        if first:
            self.ends.keep(now)
        with bar:
            for k in range(first, len(self.stages)):
                if not saved:
                    now = self._prepare(k, now)
                    self._save(k, now, Moving(now.posterior), force=True)
                now = self.ends.keep(self._train(k, now, saved, bar))
                saved = {}
        return now

    def _prepare(self, k: int, now: Standing) -> Standing:
        """Change basis before the smooth stage; round a block before each later one."""
        if k == 1:
            return self._with_curvature(now)
        return with_block(now, self.edges[k - 1] - self.edges[k - 2], self.settings) if k > 1 else now

    def _with_curvature(self, now: Standing) -> Standing:
        """Give the posterior the eigenbasis of the Fisher H at its mean, and its precisions n H / beta + 1 / s^2."""
        p, total = now.posterior, torch.zeros(self.objective.d, self.objective.d, dtype=torch.float64)
        count = self.settings.fisher_examples
        for start in range(0, count, 64):
            rows = [self.objective.score(p.mean, k) for k in range(start, min(count, start + 64))]
            block = torch.stack(rows).double()
            total.addmm_(block.T, block)
            tick("curvature")
        if not torch.isfinite(total).all():
            raise SubspaceError("fisher: a derivative is not finite; the network overflows. Lower the learning rate.")
        values, basis = torch.linalg.eigh(total / count)
        values = values.clamp(min=0)
        shrunk = self.objective.d / (self.objective.d + count)  # of few windows it has too many directions without any
        values = (1 - shrunk) * values + shrunk * values.mean()
        variance = (p.mean.double() ** 2).mean() + (2 * p.log_std.double()).exp().mean()  # of the best prior
        log_std = -0.5 * torch.log(values * self.objective.n / now.beta + 1 / variance)
        return replace(now, posterior=Posterior(p.mean, basis.float(), log_std.float(), 0.5 * variance.log().float()))

    def _train(self, k: int, now: Standing, saved: dict[str, Tensor], bar: tqdm) -> Standing:
        stage, moving, beta, n = self.stages[k], Moving(now.posterior), now.beta, self.objective.n
        known, known_nats = now.known()
        if saved:
            beta = moving.restore({name[4:]: value for name, value in saved.items() if name.startswith("run/")})
            self.spread = float(saved["spread"])
            bar.update(moving.steps)
        before = sum(one.steps for one in self.stages[:k])
        while moving.steps < stage.steps:
            place = before + moving.steps
            (free,) = moving.draws(generator_of(self.seed, place))
            loss, variance = self.objective.losses(torch.cat([known, free]), place)
            nats = moving.divergence()
            priced = known_nats + float(nats.detach())
            self.spread, beta = followed(self.objective.price, place, variance, priced, self.spread, beta)
            moving.descend(loss + beta * nats / n, stage)
            bar.update()
            if place % 100 == 0:
                bits = priced / math.log(2)
                bar.set_postfix_str(f"{float(loss.detach()) / math.log(2):.3f} bits a symbol, {bits:,.0f} bits")
            self._save(k, now, moving, beta)
            tick("training")
        return replace(now, posterior=moving.posterior(), beta=beta)

    def _save(self, k: int, now: Standing, moving: Moving, beta: float | None = None, force: bool = False) -> None:
        if self.checkpoint.path is None:
            return
        run = {f"run/{name}": value for name, value in moving.state(now.beta if beta is None else beta).items()}
        held = {"stage": torch.tensor(k), "spread": torch.tensor(self.spread, dtype=torch.float64)}
        self.checkpoint.save(held | now.tensors() | run, force)

    def _rounded(self, now: Standing, kap: float) -> list[Candidate]:
        """Round what is free and return the survivor with the smallest loss and price on the same windows."""
        now = with_profile(now, self.settings.model_copy(update={"kap": kap}))
        assert now.profile is not None
        prices = prices_of(now.profile, now.d)
        last = rounded(now, len(now.posterior.mean), self.settings).integers[: self.settings.survivors]
        whole = [np.concatenate([now.integers, integers]) for integers in last]

        @torch.no_grad()
        def objective(integers: NDArray[np.int32]) -> float:
            w = prices.coefficients(integers)
            loss = sum(float(self.objective.losses(w, step)[0]) for step in range(SCORED)) / SCORED
            return loss + now.beta * prices.total(integers) / self.objective.n

        best = min(whole, key=objective)
        return [Candidate((best + prices.reach).astype(np.int32), now.profile, PROFILE_CODE)]
