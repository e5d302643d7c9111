"""The optimizer: Adam, or descent with momentum, over the phases of a plan, resumable after any epoch.

All randomness comes from (seed, phase, epoch), so that a resumed run repeats an uninterrupted one.
"""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from ..data.preprocess import Treated
from ..distributed import first
from ..errors import QuantizeError
from ..progress import hidden, tqdm
from ..subspace.subspace import Subspace
from ..threads import tick
from .joint import batch_loss
from .phases import Parameters, Phase, one_cycle
from .state import Checkpoint, moments_of, restore_moments


@dataclass(frozen=True)
class Sample:
    """The training set as the network reads it: x (n, ...) float32, whole or as it is asked for, and y (n,) int64."""

    x: Tensor | Treated
    y: Tensor

    @property
    def n(self) -> int:
        """Number of examples."""
        return len(self.y)

    def subset(self, rows: Tensor) -> "Sample":
        """Return the examples at rows (m,)."""
        return Sample(self.x[rows] if isinstance(self.x, Tensor) else self.x.subset(rows), self.y[rows])


MOMENTUM = 0.9  # of descent, before the schedule sets it

PhaseStart = Callable[[Phase, Parameters], Parameters]
PhaseEnd = Callable[[Phase, Parameters], None]


def fit(
    subspace: Subspace,
    sample: Sample,
    phases: Sequence[Phase],
    parameters: Parameters,
    batch: int,
    seed: int,
    checkpoint: Checkpoint,
    on_start: PhaseStart,
    on_end: PhaseEnd,
    progress: bool = True,
) -> None:
    """Run the phases in order, calling on_start before and on_end after each with the parameters at that moment.

    on_end must leave in the checkpoint's hands nothing but what it can recompute: on resume it is called again
    for the phases that had ended, with the parameters they had ended with.

    Raises: QuantizeError where the loss is no longer finite. StateError from the checkpoint.
    """
    saved = checkpoint.load() or {}
    done_epochs = int(saved.get("epochs", torch.zeros(())))
    total = sum(phase.epochs for phase in phases)
    bar = tqdm(total=total, initial=done_epochs, desc="training", unit="epoch", disable=hidden(progress))
    before = 0
    with bar:
        for index, phase in enumerate(phases):
            done = max(0, min(phase.epochs, done_epochs - before))
            before += phase.epochs
            ended = {key.split("/", 2)[2]: value for key, value in saved.items() if key.startswith(f"end/{index}/")}
            if done == phase.epochs and ended:
                parameters = ended
                on_end(phase, parameters)
                continue
            run = _PhaseRun(subspace, sample, phase, index, batch, seed)
            if done:
                run.restore(saved)
            else:
                run.begin(first(functools.partial(on_start, phase, parameters)))
            for epoch in range(done, phase.epochs):
                loss, nats = run.epoch(epoch)
                bar.set_postfix_str(f"{phase.name}: loss {loss:.4f}, {nats / 0.6931:.0f} bits")
                bar.update()
                saved = {key: value for key, value in saved.items() if key.startswith("end/")} | run.state()
                saved["epochs"] = torch.tensor(before - phase.epochs + epoch + 1)
                if epoch + 1 < phase.epochs:
                    checkpoint.save(saved)
            parameters = first(run.values)
            saved |= {f"end/{index}/{name}": value for name, value in parameters.items()}
            checkpoint.save(saved, force=True)
            on_end(phase, parameters)


class _PhaseRun:
    """One phase in progress: parameters, moments of the optimizers and the number of steps taken."""

    def __init__(self, subspace: Subspace, sample: Sample, phase: Phase, index: int, batch: int, seed: int) -> None:
        self.subspace, self.sample, self.phase = subspace, sample, phase
        self.index, self.batch, self.seed = index, min(batch, sample.n), seed
        self.steps = 0

    def begin(self, parameters: Parameters) -> None:
        """Start from values; parameters without a rate are carried along unchanged."""
        rates = self.phase.rates
        self.parameters = {k: v.clone().requires_grad_(k in rates) for k, v in parameters.items()}
        by_descent = ["w"] if self.phase.optimizer == "sgd" and "w" in rates else []
        by_adam = [name for name in rates if name not in by_descent]
        self.optimizers: list[torch.optim.Optimizer] = [
            *([torch.optim.Adam(self._groups(by_adam))] if by_adam else []),
            *([torch.optim.SGD(self._groups(by_descent), momentum=MOMENTUM)] if by_descent else []),
        ]

    def _groups(self, names: Sequence[str]) -> list[dict[str, object]]:
        """A group for each parameter, under its name."""
        return [{"params": [self.parameters[name]], "name": name} for name in names]

    def restore(self, saved: Parameters) -> None:
        """Start from what `state` returned."""
        self.begin({k.removeprefix("now/"): v for k, v in saved.items() if k.startswith("now/")})
        self.steps = int(saved["steps"])
        for optimizer in self.optimizers:
            restore_moments(optimizer, self._named(optimizer), saved)

    def state(self) -> Parameters:
        """Everything `restore` needs."""
        state = {f"now/{name}": value for name, value in self.values().items()}
        for optimizer in self.optimizers:
            moments = moments_of(optimizer, self._named(optimizer))
            state |= {name: value.clone() for name, value in moments.items()}
        return state | {"steps": torch.tensor(self.steps)}

    @staticmethod
    def _named(optimizer: torch.optim.Optimizer) -> Parameters:
        """The parameters of an optimizer by the names of its moments."""
        return {f"moments/{group['name']}": group["params"][0] for group in optimizer.param_groups}

    def values(self) -> Parameters:
        """The parameters, detached."""
        return {name: value.detach().clone() for name, value in self.parameters.items()}

    def epoch(self, epoch: int) -> tuple[float, float]:
        """Pass once over the sample; return the mean loss and the last price in nats."""
        mixed = (self.seed * 1_000_003 + self.index) * 1_000_003 + epoch
        generator = Generator().manual_seed(mixed % (1 << 64))  # more than torch takes, from seeds of 18 million on
        order = torch.randperm(self.sample.n, generator=generator)
        per_epoch = self.sample.n // self.batch
        total, nats = 0.0, 0.0
        for k in range(per_epoch):
            rows = order[k * self.batch : (k + 1) * self.batch]
            loss, nats = self.step(rows, generator, self.steps / (per_epoch * self.phase.epochs))
            total += loss
            tick("training")
        return total / per_epoch, nats

    def step(self, rows: Tensor, generator: Generator, progress: float) -> tuple[float, float]:
        """Take one step on the rows; return loss and nats."""
        factor, momentum = one_cycle(progress)
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = self.phase.rates[group["name"]] * factor
                group.update({"betas": (momentum, 0.999)} if "betas" in group else {"momentum": momentum})
            optimizer.zero_grad()
        w, nats = self.phase.relaxation.apply(self.parameters, generator)
        loss, _ = batch_loss(self.subspace, self.sample, w, rows, self.phase.surrogate)
        loss = loss + self.phase.beta * nats / self.sample.n
        if not torch.isfinite(loss):
            became = float(loss.detach())
            raise QuantizeError(f"training: the loss became {became} in phase {self.phase.name}. Lower the rate.")
        loss.backward()
        for optimizer in self.optimizers:
            optimizer.step()
        self.steps += 1
        return float(loss.detach()), float(nats.detach())
