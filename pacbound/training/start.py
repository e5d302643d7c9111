"""A better start: theta0 trained on the first examples of a split, by one recipe.

The certificate takes it on somebody's word that the recipe was fixed before the rest of the sample was seen; here it
is, so that a run of this package keeps that word. Whatever it does with the first examples costs no bits.
"""

import copy
import time
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..errors import ModelError, RequestError, first_line
from ..networks.frozen import named_tensors
from ..networks.trained import training_mode
from ..picking.augment import AUGMENTATIONS
from ..progress import hidden, tqdm
from ..specs.picks import Augmentation
from ..subspace.subspace import channels_last, has_bfloat16
from ..threads import measured_threads, tick
from .fit import Sample
from .phases import one_cycle
from .posterior import generator_of
from .state import Checkpoint, moments_of, restore_moments

EPOCHS, AUGMENTED_EPOCHS = 20, 60  # the latter where the sample is large and its images are changed each time
RATE, TUNED_RATE = 0.003, 0.0005  # peaks of Adam's one cycle: from random weights, and from those of a checkpoint
DECAY, HEAD_DECAY = 0.05, 1.0  # of matrices and kernels, decoupled from the gradient: of networks, of heads alone
BATCH, SMALLEST_BATCH, STEPS_AN_EPOCH = 250, 8, 20
TIMED_STEPS = 4


@dataclass(frozen=True)
class StartPlan:
    """How theta0 is trained. minutes: as many epochs as fit, measured before the first; else a number by rule.

    tuned: the module holds weights that were trained before.
    """

    seed: int
    augmentation: Augmentation = "none"
    tuned: bool = False
    decay: float = DECAY
    minutes: float | None = None
    device: str = "cpu"

    def batch(self, n: int) -> int:
        """Examples a step."""
        return min(n, max(SMALLEST_BATCH, min(BATCH, n // STEPS_AN_EPOCH)))

    def epochs(self, n: int) -> int:
        """Passes over n examples where no minutes are given."""
        return AUGMENTED_EPOCHS if self.augmentation != "none" and self.batch(n) == BATCH else EPOCHS


def train_start(
    module: nn.Module, sample: Sample, plan: StartPlan, checkpoint: Checkpoint, progress: bool = True
) -> None:
    """Train every trainable parameter of a module in place by cross-entropy, its running statistics along with it.

    Layers of normalisation whose parameters are all frozen keep their statistics. A run that was interrupted goes on
    from what the checkpoint holds, step by step as it would have.

    Args: module: left in eval mode on the CPU. sample: the first examples of a split, and no other. plan: its seed is
        of their order, of the augmentation and of whatever randomness the module has while it trains; torch's own
        generator is left as it was.
    Raises: ModelError where the loss is no longer finite, or the network cannot train on these batches; RequestError
        where the minutes do not hold one pass.
    """
    epochs = plan.epochs(sample.n)
    if plan.minutes is not None:
        epochs = checkpoint.note("epochs", lambda: [_affordable(module, sample, plan)])[0]
    run = _Run(module.to(plan.device), sample, plan, epochs)
    run.restore(checkpoint.load() or {})
    bar = tqdm(total=run.total, initial=run.step, desc="theta0", unit="step", disable=hidden(progress))
    with bar, torch.random.fork_rng(devices=[]), measured_threads(run.trial, checkpoint):
        while run.step < run.total:
            bar.set_postfix_str(f"loss {run.advance():.4f}")
            bar.update()
            checkpoint.save(run.state())
            tick("training")
    module.eval().cpu()


def seconds_an_epoch(module: nn.Module, sample: Sample, plan: StartPlan) -> float:
    """Time a few steps on a copy of the module. Raises: ModelError where it cannot train."""
    run = _Run(copy.deepcopy(module).to(plan.device), sample, plan, TIMED_STEPS + 1)
    with torch.random.fork_rng(devices=[]), measured_threads(run.trial):
        run.advance()  # the first one allocates
        started = time.perf_counter()
        for _ in range(TIMED_STEPS):
            run.advance()
    return (time.perf_counter() - started) / TIMED_STEPS * run.steps


def _affordable(module: nn.Module, sample: Sample, plan: StartPlan) -> int:
    """Epochs that the minutes hold. Raises: RequestError where these are none."""
    assert plan.minutes is not None
    minutes = seconds_an_epoch(module, sample, plan) / 60
    epochs = int(plan.minutes / minutes)
    if epochs < 1:
        raise RequestError(
            f"certify: theta0 passes at least once over its {sample.n:,} examples, about {minutes:.2g} minutes on this "
            f"machine, got {plan.minutes:g} minutes for it. Give a longer --start-minutes, or a smaller network."
        )
    return epochs


class _Run:
    """A training in progress: the module, Adam's moments and the number of steps taken."""

    def __init__(self, module: nn.Module, sample: Sample, plan: StartPlan, epochs: int) -> None:
        self.module, self.sample, self.plan = module, sample, plan
        self.batch = plan.batch(sample.n)
        self.steps, self.step = sample.n // self.batch, 0
        self.total = epochs * self.steps
        self.order = torch.zeros(0, dtype=torch.int64)
        self.trained = [parameter for parameter in module.parameters() if parameter.requires_grad]
        groups = [
            {"params": [p for p in self.trained if p.ndim >= 2], "weight_decay": plan.decay},
            {"params": [p for p in self.trained if p.ndim < 2], "weight_decay": 0.0},
        ]
        self.adam = torch.optim.AdamW(groups, RATE)
        training_mode(module)

    def advance(self) -> float:
        """Take one step and return its loss."""
        epoch, place = divmod(self.step, self.steps)
        if place == 0 or not len(self.order):
            self.order = torch.randperm(self.sample.n, generator=generator_of(self.plan.seed, epoch))
        factor, momentum = one_cycle(self.step / self.total)
        for group in self.adam.param_groups:
            group.update(lr=(TUNED_RATE if self.plan.tuned else RATE) * factor, betas=(momentum, 0.999))
        noise = generator_of(self.plan.seed, epoch, place)
        torch.default_generator.manual_seed(noise.initial_seed())  # of dropout
        rows = self.order[place * self.batch : (place + 1) * self.batch]
        x = AUGMENTATIONS[self.plan.augmentation](self.sample.x[rows], noise).to(self.plan.device)
        self.adam.zero_grad()
        loss = self._loss(channels_last(x), self.sample.y[rows].to(self.plan.device))
        loss.backward()
        self.adam.step()
        self.step += 1
        return float(loss.detach())

    def trial(self) -> None:
        """Compute the gradients of one batch, in eval mode, so that nothing changes but them."""
        self.module.eval()
        x, y = self.sample.x[: self.batch], self.sample.y[: self.batch]
        self._loss(channels_last(x.to(self.plan.device)), y.to(self.plan.device)).backward()
        training_mode(self.module)

    def _loss(self, x: Tensor, y: Tensor) -> Tensor:
        """Cross-entropy of a batch. Raises: ModelError."""
        try:
            with torch.autocast(x.device.type, torch.bfloat16, enabled=has_bfloat16(x.device)):
                logits = self.module(x)
            loss = F.cross_entropy(logits.float(), y)
        except (RuntimeError, ValueError) as cause:
            raise ModelError(
                f"train_start: the network trains on batches of {len(y)}, got the error "
                f"{first_line(cause)!r}. Bring theta0 as a checkpoint instead."
            ) from cause
        if not torch.isfinite(loss):
            raise ModelError(f"train_start: the loss of theta0 became {float(loss.detach())}. Scale the inputs down.")
        return loss

    def state(self) -> dict[str, Tensor]:
        """Everything `restore` needs; not copied."""
        state = {f"now/{name}": value.detach() for name, value in named_tensors(self.module).items()}
        return state | moments_of(self.adam, self._named()) | {"step": torch.tensor(self.step)}

    def restore(self, saved: dict[str, Tensor]) -> None:
        """Go on from what `state` returned; from the module as it is where that is empty."""
        if not saved:
            return
        with torch.no_grad():
            for name, value in named_tensors(self.module).items():
                value.copy_(saved[f"now/{name}"])
        restore_moments(self.adam, self._named(), saved)
        self.step = int(saved["step"])

    def _named(self) -> dict[str, Tensor]:
        return {f"adam/{index}": parameter for index, parameter in enumerate(self.trained)}
