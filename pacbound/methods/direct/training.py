"""Fine-tuning under the code: units are dropped, then weights are trained as the receiver will see them.

Rounding to a lattice with a learned step (Esser et al. 2020, arXiv:1902.08153, eq. 3), straight through for gradients;
the loss has beta * bits ln2 / n added, bits being those of a spike at 0 and a geometric fall-off, refitted as training
goes on and interpolated between integers. What is done with the data here is free; only the message counts.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.func import functional_call
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm

from ...bits.units import coded_positions
from ...errors import QuantizeError
from ...networks.hypothesis import Base
from ...progress import hidden, tqdm
from ...quantize.tensors import nearest_step, step_size
from ...specs.tensors import MAX_HALF
from ...subspace.subspace import channels_last, has_bfloat16
from ...threads import tick
from ...training.fit import Sample
from ...training.phases import one_cycle
from .weights import Weights, unit_sums, without_idle_units

FISHER_EXAMPLES, FISHER_BATCH = 2000, 20
REFIT_STEPS = 25
STEP_RATE = 0.02  # of log2 of a step, per unit of the rate of the weights at 0.001
STEPS_PER_DEVIATION = 1.5  # of the first lattice, on nonzero weights


@dataclass(frozen=True)
class FineTuning:
    """How weights are trained under the code. keep: share of the units of each group.

    epochs: without rounding, and with rounding for each of two weights of the bits, beta / 3 and beta. rate: peak
    learning rate of Adam.
    """

    keep: float = 0.25
    epochs: tuple[int, int] = (2, 6)
    beta: float = 2.0
    rate: float = 0.003
    batch: int = 250
    seed: int = 0

    @property
    def passes(self) -> int:
        """Epochs in all."""
        return self.epochs[0] + 2 * self.epochs[1]


@dataclass(frozen=True)
class Rounded:
    """Fine-tuned weights, and for each tensor the index of the step of which they are multiples."""

    weights: Weights
    step_indices: tuple[int, ...]


class Network:
    """A network as a function of the coded parts of its tensors; runs on narrow tensors where that is the same."""

    def __init__(self, base: Base, weights: Weights, example: Tensor) -> None:
        """example: (batch, ...) as the network reads it."""
        self._module = base.module
        self._names = weights.names
        self._shapes = [array.shape for array in weights.arrays]
        self._positions = [[torch.from_numpy(p) for p in axes] for axes in coded_positions(weights.frame())]
        parts = [torch.from_numpy(part) for part in weights.coded()]
        self._narrow = False
        with torch.no_grad():
            wide = self(parts, example)
            self._narrow = True
            try:
                same = torch.allclose(self(parts, example), wide, rtol=1e-3, atol=1e-3 * float(wide.abs().max()))
            except Exception:  # sizes that the network itself fixes, which it may say in any way
                same = False
        self._narrow = same

    def __call__(self, parts: list[Tensor], x: Tensor) -> Tensor:
        """Return logits (batch, classes)."""
        if self._narrow:
            named = dict(zip(self._names, parts, strict=True))
            return functional_call(self._module, {**named, **self._statistics(named)}, (x,))
        full = [self._spread(*item) for item in zip(parts, self._shapes, self._positions, strict=True)]
        return functional_call(self._module, dict(zip(self._names, full, strict=True)), (x,))

    def approximate(self, parts: list[Tensor], x: Tensor) -> Tensor:
        """Return the logits in the fast way of `Subspace.approximate`: for gradients, never for counting."""
        with torch.autocast(x.device.type, torch.bfloat16, enabled=has_bfloat16(x.device)):
            return self([channels_last(part) for part in parts], channels_last(x)).float()

    def _spread(self, part: Tensor, shape: tuple[int, ...], positions: list[Tensor]) -> Tensor:
        whole = part.new_zeros(shape or (1,))
        return whole.index_put(torch.meshgrid(*positions, indexing="ij"), part).reshape(shape)

    def _statistics(self, named: dict[str, Tensor]) -> dict[str, Tensor]:
        """Fresh running statistics of the widths that are left."""
        buffers: dict[str, Tensor] = {}
        for name, part in self._module.named_modules():
            if isinstance(part, _BatchNorm) and part.running_mean is not None:
                width = len(named[f"{name}.weight"])
                buffers |= {f"{name}.running_mean": torch.zeros(width), f"{name}.running_var": torch.ones(width)}
        return buffers


def one_step(base: Base, weights: Weights, sample: Sample, batch: int) -> Callable[[], None]:
    """Return a step of training without its effect: the gradients of the whole network on a batch."""
    named = {
        name: torch.from_numpy(array).clone().requires_grad_()
        for name, array in zip(weights.names, weights.arrays, strict=True)
    }

    def step() -> None:
        F.cross_entropy(functional_call(base.module, named, (sample.x[:batch],)), sample.y[:batch]).backward()

    return step


def curvature(base: Base, weights: Weights, sample: Sample, batch: int = FISHER_BATCH) -> list[NDArray[np.float64]]:
    """Return the diagonal of the empirical Fisher matrix, full shapes, estimated from gradients of small batches."""
    chosen = torch.randperm(sample.n, generator=torch.Generator().manual_seed(0))[:FISHER_EXAMPLES]
    parameters = {
        name: torch.from_numpy(array).clone().requires_grad_()
        for name, array in zip(weights.names, weights.arrays, strict=True)
    }
    sums = [np.zeros(array.shape) for array in weights.arrays]
    for rows in chosen.split(batch):
        logits = functional_call(base.module, parameters, (sample.x[rows],))
        loss = F.cross_entropy(logits, sample.y[rows])
        gradients = torch.autograd.grad(loss, list(parameters.values()), allow_unused=True)
        for total, gradient in zip(sums, gradients, strict=True):
            if gradient is not None:
                total += gradient.double().numpy() ** 2 * len(rows)  # b times the square of a mean over b
    batches = -(-len(chosen) // batch)
    return [total / batches for total in sums]


def fine_tune(base: Base, weights: Weights, sample: Sample, plan: FineTuning, progress: bool) -> Iterator[Rounded]:
    """Drop units, train, and train on under rounding; one result for beta / 3, one for beta.

    Raises: QuantizeError where the loss is no longer finite.
    """
    if plan.keep < 1:
        fisher = curvature(base, weights, sample)
        entries = [h * a.astype(np.float64) ** 2 for h, a in zip(fisher, weights.arrays, strict=True)]
        sizes = [max(1, math.ceil(plan.keep * group.size)) for group in weights.groups]
        weights = weights.keep(unit_sums(weights, entries), sizes)
        weights = weights.with_coded(weights.coded())
    weights, steps = _train(base, weights, None, sample, plan, 0.0, plan.epochs[0], "recovering", progress)
    for beta in (plan.beta / 3, plan.beta):
        weights, steps = _train(base, weights, steps, sample, plan, beta, plan.epochs[1], "rounding", progress)
        steps = [max(step, _least_step(part)) for step, part in zip(steps, weights.coded(), strict=True)]
        weights = without_idle_units(_on_lattice(weights, steps))
        yield Rounded(weights, tuple(nearest_step(2.0**step) for step in steps))


def _on_lattice(weights: Weights, steps: list[float]) -> Weights:
    parts = []
    for part, step in zip(weights.coded(), steps, strict=True):
        size = step_size(nearest_step(2.0**step))
        parts.append((np.rint(part / size) * size).astype(np.float32))
    return weights.with_coded(parts)


def _train(
    base: Base, weights: Weights, log_steps: list[float] | None, sample: Sample, plan: FineTuning, beta: float,
    epochs: int, name: str, progress: bool,
) -> tuple[Weights, list[float]]:  # fmt: skip
    """Train the coded parts; with beta > 0 rounded to lattices. Return weights (not rounded) and log2 of the steps."""
    network = Network(base, weights, sample.x[:4])
    parts = [torch.from_numpy(part).clone().requires_grad_() for part in weights.coded()]
    if log_steps is None:
        log_steps = [_first_step(part.detach()) for part in parts]
    lattice = _Lattice(parts, log_steps) if beta > 0 else None
    groups = [{"params": parts, "lr": plan.rate}]
    if lattice is not None:
        groups.append({"params": lattice.log_steps, "lr": plan.rate * STEP_RATE / 0.001})
    adam = torch.optim.Adam(groups)
    generator = torch.Generator().manual_seed(plan.seed)
    per_epoch = max(1, sample.n // plan.batch)
    total = epochs * per_epoch
    bar = tqdm(range(total), desc=f"{name}, beta {beta:.2g}", disable=hidden(progress))
    order = torch.zeros(0, dtype=torch.int64)
    for step in bar:
        if step % per_epoch == 0:
            order = torch.randperm(sample.n, generator=generator)
        rows = order[(step % per_epoch) * plan.batch :][: plan.batch]
        factor, momentum = one_cycle(step / total)
        for group, rate in zip(adam.param_groups, (plan.rate, plan.rate * STEP_RATE / 0.001), strict=False):
            group["lr"], group["betas"] = rate * factor, (momentum, 0.999)
        if lattice is not None and step % REFIT_STEPS == 0:
            lattice.refit()
        loss, bits = _loss(network, parts, lattice, sample.x[rows], sample.y[rows], beta / sample.n)
        if not math.isfinite(float(loss.detach())):
            raise QuantizeError("fine_tune: the loss is no longer finite; lower the rate.")
        adam.zero_grad()
        loss.backward()
        adam.step()
        tick("training")
        if step % 50 == 0:
            bar.set_postfix_str(f"loss {float(loss.detach()):.4f}, {bits:.0f} bits")
    steps = log_steps if lattice is None else [float(step.detach()) for step in lattice.log_steps]
    return weights.with_coded([part.detach().numpy() for part in parts]), steps


def _loss(
    network: Network, parts: list[Tensor], lattice: "_Lattice | None", x: Tensor, y: Tensor, price: float
) -> tuple[Tensor, float]:
    if lattice is None:
        return F.cross_entropy(network.approximate(parts, x), y), 0.0
    seen, bits = lattice(parts)
    loss = F.cross_entropy(network.approximate(seen, x), y) + price * math.log(2) * bits
    return loss, float(bits.detach())


def _first_step(part: Tensor) -> float:
    deviation, largest = (
        float(part.std()) if part.numel() > 1 else 0.0,
        float(part.abs().max()) if part.numel() else 0.0,
    )
    alike = deviation < largest / MAX_HALF  # such as scales that are still 1: one step takes them
    return math.log2(max(largest if alike else STEPS_PER_DEVIATION * deviation, 2.0**-20))


def _least_step(part: NDArray[np.float32]) -> float:
    """log2 of a step of which no entry is more multiples than a table has, with room to spare."""
    return math.log2(max(2 * float(np.abs(part).max(initial=0)) / MAX_HALF, 2.0**-20))


class _Lattice:
    """Rounding of every tensor to multiples of its step, and the bits that takes."""

    def __init__(self, parts: list[Tensor], log_steps: list[float]) -> None:
        self._parts = parts
        self.log_steps = [torch.tensor(step, requires_grad=True) for step in log_steps]
        self._models: list[tuple[float, float, float]] = []

    def _step(self, k: int) -> Tensor:
        """The step on its grid of eighths of an octave, straight through."""
        on_grid = (8 * self.log_steps[k].detach()).round() / 8
        return torch.exp2(self.log_steps[k] + (on_grid - self.log_steps[k].detach()))

    @torch.no_grad()
    def refit(self) -> None:
        """Fit bits of 0, of +-1, and of each further unit to the symbols as they are."""
        self._models = []
        for k, part in enumerate(self._parts):
            q = (part / self._step(k)).abs().round()
            others = float((q > 0).sum())
            p = (others + 0.5) / (q.numel() + 1.0)
            mean = float(q.sum()) / others if others else 1.0
            fall = min(max(1 - 1 / mean, 0.05), 0.95) if others else 0.5
            self._models.append((-math.log2(1 - p), -math.log2(p * (1 - fall) / 2), -math.log2(fall)))

    def __call__(self, parts: list[Tensor]) -> tuple[list[Tensor], Tensor]:
        """Return the rounded tensors and the bits of all of them."""
        seen, bits = [], torch.zeros(())
        for k, part in enumerate(parts):
            step = self._step(k)
            u = part / step
            zero, one, unit = self._models[k]
            a = u.abs()
            bits = bits + (zero + a.clamp(max=1) * (one - zero) + (a - 1).clamp(min=0) * unit).sum()
            seen.append(step * (u + (u.round() - u).detach()))
        return seen, bits


def quantized_parts(rounded: Rounded) -> list[NDArray[np.int32]]:
    """Return the integers of every tensor, coded shapes."""
    parts = zip(rounded.weights.coded(), rounded.step_indices, strict=True)
    return [np.rint(part / step_size(index)).astype(np.int32) for part, index in parts]
