"""Train tensors on lattices of their own: one step and one prior scale for each, learned with the entries.

Uniform noise of one cell at first (Balle et al. 2017, arXiv:1611.01704), then rounding with the gradient of the
identity, by steps as they are sent. The price is beta * nats / n, nats being those of Laplace masses of the cells; beta
follows the bound: its gap grows as sqrt(2 nats Var / n), the derivative of which in nats is sqrt(Var / (2 nats n)) =
beta / n, and as nats / (lambda n) where no larger lambda is allowed. All of it is free: only the message counts.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor

from ..distributed import first, over
from ..errors import QuantizeError
from ..progress import hidden, tqdm
from ..threads import tick
from .state import Checkpoint, moments_of, restore_moments

NOISY = 0.55  # of the steps; the rest round
WARM_STEPS = 200
LAST_RATE = 0.02  # of the peak
FIRST_BETA, FIRST_VARIANCE = 10.0, 4.0
LARGEST_GRADIENT = 1.0

Integers = NDArray[np.int64]
Tensors = dict[str, Tensor]
Price = Callable[[int, float, float], float]  # step, what was measured of the losses, nats -> beta


@dataclass(frozen=True)
class Plan:
    """How long and how fast. rate: peak of Adam, in units of each tensor. n: losses that the statement is about.

    price: what a nat costs. first: of what is measured. symbols: of a step, for the bar. until: time.monotonic() after
    which training ends as it is.
    """

    steps: int
    rate: float
    n: int
    price: Price
    first: float
    symbols: int = 1
    seed: int = 0
    until: float = math.inf


def stream_price(n: int, least_beta: float) -> Price:
    """Return the price of the module docstring. least_beta: one over the largest lambda that is allowed, in nats."""
    return lambda _, variance, nats: max(math.sqrt(variance * n / (2 * max(nats, 1.0))), least_beta)


def followed(price: Price, step: int, found: float, nats: float, measure: float, beta: float) -> tuple[float, float]:
    """Return what is measured and beta after a step that found something of its losses: both follow slowly."""
    measure += 0.02 * (found - measure)
    return measure, beta + 0.05 * (price(step, measure, nats) - beta)


@dataclass
class Lattices:
    """Tensors as integers times steps, and what these integers cost.

    units: the deviation that each tensor is measured in, by name; steps and scales are multiples of it.
    """

    units: dict[str, float]
    entries: Tensors = field(default_factory=dict)
    log_steps: Tensors = field(default_factory=dict)
    log_scales: Tensors = field(default_factory=dict)

    @classmethod
    def around(cls, start: Mapping[str, Tensor], units: Mapping[str, float], first_step: float) -> "Lattices":
        """Begin at some tensors. first_step: of every lattice, in its unit."""
        made = cls(dict(units))
        for name, value in start.items():
            flat = not bool(value.any())
            made.entries[name] = (value / units[name]).clone().requires_grad_()
            made.log_steps[name] = torch.tensor(math.log2(first_step), requires_grad=True)
            made.log_scales[name] = torch.tensor(math.log2(first_step) + 2 if flat else 0.0, requires_grad=True)
        return made

    def apply(self, noisy: bool, generator: Generator) -> tuple[Tensors, Tensor]:
        """Return the tensors as the network sees them, and their nats; differentiable in all that is trained."""
        seen: Tensors = {}
        nats = torch.zeros(())
        for name, entries in self.entries.items():
            step = torch.exp2(self.log_steps[name] if noisy else self._on_grid(name))
            u = entries / step
            u = u + torch.rand(u.shape, generator=generator) - 0.5 if noisy else u + (u.round() - u).detach()
            nats = nats + laplace_nats(u, torch.exp2(self.log_scales[name]) / step)
            seen[name] = u * step * self.units[name]
        return seen, nats

    def _on_grid(self, name: str) -> Tensor:
        """log2 of a step that can be sent, in units of its tensor: gradients pass as if it were the learned one."""
        log, unit = self.log_steps[name], math.log2(self.units[name])
        return log + ((8 * (log.detach() + unit)).round() / 8 - unit - log.detach())

    def integers(self, steps: Mapping[str, float]) -> dict[str, Integers]:
        """Return the nearest multiples of steps, which are in the tensors' own scale."""
        return {
            name: np.rint((entries.detach().double() * self.units[name]).numpy() / steps[name]).astype(np.int64)
            for name, entries in self.entries.items()
        }

    def steps(self) -> dict[str, float]:
        """Return the steps in the tensors' own scale, eighths of an octave as they are sent."""
        return {name: 2.0 ** float(self._on_grid(name).detach()) * self.units[name] for name in self.log_steps}


def laplace_nats(u: Tensor, scale: Tensor) -> Tensor:
    """Return -ln of the masses of [u - 1/2, u + 1/2] under a Laplace density, summed up. scale: of it, in cells."""
    a = u.abs()
    scale = scale.clamp(min=0.02)
    outside = -a / scale + torch.log(torch.sinh(0.5 / scale))
    near = torch.log1p(-torch.exp(-0.5 / scale) * torch.cosh(a.clamp(max=0.5) / scale) * (1 - 1e-6))
    return -torch.where(a > 0.5, outside, near).sum()


def train_lattices(
    lattices: Lattices,
    losses: Callable[[Tensors, int], tuple[Tensor, float]],
    plan: Plan,
    checkpoint: Checkpoint,
    progress: bool = True,
) -> None:
    """Train in place; an interrupted run goes on from its state as if nothing had happened.

    Args: losses: tensors and the number of a step -> mean loss in nats, and what the price follows, such as the
        variance of losses about their centre, nats^2; of the step alone, so that it can be repeated.
    Raises: QuantizeError where the loss is no longer finite; StateError.
    """
    generator = Generator().manual_seed(plan.seed)
    trained = [*lattices.entries.values(), *lattices.log_steps.values(), *lattices.log_scales.values()]
    adam = torch.optim.Adam(trained, betas=(0.9, 0.99))
    begin, measure, beta = _resume(checkpoint, trained, adam, generator, plan)
    bar = tqdm(
        range(begin, plan.steps), desc="training", disable=hidden(progress), initial=begin, total=plan.steps,
        unit=" symbols", unit_scale=plan.symbols,
    )  # fmt: skip
    for step in bar:
        for group in adam.param_groups:
            group["lr"] = plan.rate * _warm_cosine(step, plan.steps)
        seen, nats = lattices.apply(step < NOISY * plan.steps, generator)
        loss, found = losses(seen, step)
        if not math.isfinite(float(loss.detach())):
            raise QuantizeError("train: the loss is no longer finite. Give a smaller --rate.")
        measure, beta = followed(plan.price, step, found, float(nats.detach()), measure, beta)
        adam.zero_grad()
        (loss + beta * nats / plan.n).backward()
        torch.nn.utils.clip_grad_norm_(lattices.entries.values(), LARGEST_GRADIENT)
        adam.step()
        if step % 100 == 0:
            bits = float(nats.detach()) / math.log(2)
            bar.set_postfix_str(f"{float(loss.detach()) / math.log(2):.3f} bits a symbol, {bits:,.0f} bits")
        _save(checkpoint, trained, adam, generator, step + 1, measure, beta)
        tick("training")
        if over(plan.until):
            break
    for tensor, agreed in zip(trained, first(lambda: [one.detach() for one in trained]), strict=True):
        tensor.data.copy_(agreed)
    _save(checkpoint, trained, adam, generator, plan.steps, measure, beta, force=True)


def _warm_cosine(step: int, steps: int) -> float:
    warm = min(1.0, (step + 1) / min(WARM_STEPS, max(1, steps // 10)))
    return warm * (LAST_RATE + (1 - LAST_RATE) * 0.5 * (1 + math.cos(math.pi * step / steps)))


def _resume(
    checkpoint: Checkpoint, trained: list[Tensor], adam: torch.optim.Adam, generator: Generator, plan: Plan
) -> tuple[int, float, float]:
    """Put back what was saved; return the next step, what is measured and beta."""
    held = checkpoint.load()
    if held is None:
        return 0, plan.first, FIRST_BETA
    for k, tensor in enumerate(trained):
        tensor.data.copy_(held[f"entry/{k}"])
    restore_moments(adam, _named(trained), held)
    generator.set_state(held["generator"])
    step, measure, beta = held["progress"].tolist()
    return int(step), measure, beta


def _save(
    checkpoint: Checkpoint, trained: list[Tensor], adam: torch.optim.Adam, generator: Generator, step: int,
    measure: float, beta: float, force: bool = False,
) -> None:  # fmt: skip
    if checkpoint.path is None:
        return
    held: Tensors = {
        "generator": generator.get_state(),
        "progress": torch.tensor([step, measure, beta], dtype=torch.float64),
    }
    held |= {f"entry/{k}": tensor.detach() for k, tensor in enumerate(trained)}
    checkpoint.save(held | moments_of(adam, _named(trained)), force)


def _named(trained: list[Tensor]) -> Tensors:
    return {f"adam/{k}": tensor for k, tensor in enumerate(trained)}
