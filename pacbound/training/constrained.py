"""Training inside a class: every few steps each layer goes back to its Lipschitz and distance balls.

The excess capacity of a task is how far the class can be shrunk before the error moves. Graf et al. 2022,
arXiv:2202.08070, sec. 4: SGD with momentum, projection every 15 steps, one sweep of Dykstra. Projections leave layers
slightly outside; what is reported is measured after training, with certified norms, never read from the knobs.
"""

import copy
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..errors import ModelError, RequestError
from ..measures.layers.layers import LayerRecord, layers_of
from ..measures.layers.operator_norms import operator_norm
from ..measures.rademacher.capacity import class_of, log10_capacity
from ..measures.rademacher.projections import project_both, torus_sides
from ..threads import measured_threads, tick
from .fit import Sample
from .losses import cross_entropy

MILESTONES = (0.3, 0.6, 0.8)  # of the steps
DECAY = 0.2
BATCH = 500


@dataclass(frozen=True)
class Knobs:
    """What one layer may do: operator norm, and (2,1) distance to its start, bias included. inf switches one off."""

    lipschitz: float = math.inf
    distance: float = math.inf

    def __post_init__(self) -> None:
        """Validate. Raises: RequestError."""
        if not (self.lipschitz > 0 and self.distance >= 0):
            raise RequestError(
                f"Knobs: lipschitz is > 0 and distance >= 0, got {self.lipschitz!r} and {self.distance!r}."
            )


@dataclass(frozen=True)
class ConstrainedPlan:
    """How to train. every: steps between projections. sweeps: of Dykstra's algorithm in each."""

    epochs: int = 20
    batch: int = 100
    rate: float = 0.01
    momentum: float = 0.9
    weight_decay: float = 1e-4
    every: int = 15
    sweeps: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        """Validate. Raises: RequestError."""
        if min(self.epochs, self.batch, self.every, self.sweeps) < 1 or not self.rate > 0:
            raise RequestError(f"ConstrainedPlan: counts are at least 1 and the rate is > 0, got {self}.")


@dataclass(frozen=True)
class Trained:
    """A network and the start K0 from which its distances are counted; both are copies."""

    module: nn.Module
    start: nn.Module


@dataclass(frozen=True)
class Outcome:
    """One training of the protocol: rates in [0, 1]; log10 capacity as measured after training."""

    label: str
    train_error: float
    test_error: float
    log10_capacity: float


@dataclass(frozen=True)
class Excess:
    """log10 of how much smaller the class may be, and the outcome that shows it."""

    log10_excess: float
    chosen: Outcome


class _Constraint:
    """One layer of a module in training, with its start, its torus and its knobs."""

    def __init__(self, record: LayerRecord, module: nn.Module, knobs: Knobs) -> None:
        owner = module.get_submodule(record.name)
        weight, self.bias = _parameter(owner, "weight"), _parameter(owner, "bias")
        if weight is None or record.groups != 1 or any(step != 1 for step in record.dilation):
            raise ModelError(
                f"train_constrained: {record.name} is projected without groups and dilation, got {record.groups} "
                f"groups and dilation {record.dilation}. Leave it out of the knobs."
            )
        circular = record.padding_mode == "circular"
        self.sides = () if record.kind == "dense" else torus_sides(record.input_size, record.kernel_size, circular)
        self.knobs = knobs
        self.weight = weight
        self.start = self.weight.detach().clone()
        self.start_bias = None if self.bias is None else self.bias.detach().clone()

    def project(self, sweeps: int) -> None:
        """Move the layer back to its balls."""
        kernel, bias = project_both(
            self.weight.detach(),
            self.start,
            self.knobs.distance,
            self.knobs.lipschitz,
            self.sides,
            sweeps,
            None if self.bias is None else self.bias.detach(),
            self.start_bias,
        )
        with torch.no_grad():
            self.weight.copy_(kernel)
            if self.bias is not None and bias is not None:
                self.bias.copy_(bias)


def train_constrained(
    module: nn.Module,
    sample: Sample,
    knobs: Mapping[str, Knobs],
    plan: ConstrainedPlan,
    after_epoch: Callable[[int, nn.Module], None] | None = None,
) -> Trained:
    """Train a copy of a network by SGD while its layers stay in their balls.

    A layer whose operator norm exceeds its knob is first scaled down to it, and that is its start K0. Layers without
    knobs are free. Randomness comes from plan.seed.
    Args: module: at its start. sample: what it is trained on. knobs: by the name of the layer. after_epoch: called with
        the number of the epoch and the network, which it leaves as it is.
    Raises: ModelError where a knob names no layer, or one that cannot be projected; or where the loss is not finite.
    """
    network = copy.deepcopy(module).train()
    layers = layers_of(network, sample.x[:1])
    for record in [layers.named(name) for name in knobs]:
        _scale_start(record, network, knobs[record.name])
    start = copy.deepcopy(network)
    constraints = [_Constraint(layers.named(name), network, knob) for name, knob in knobs.items()]
    optimizer = torch.optim.SGD(network.parameters(), plan.rate, plan.momentum, weight_decay=plan.weight_decay)
    steps = plan.epochs * max(1, sample.n // plan.batch)
    turns = [int(share * steps) for share in MILESTONES]
    schedule = torch.optim.lr_scheduler.MultiStepLR(optimizer, turns, DECAY)
    generator = torch.Generator().manual_seed(plan.seed)
    done = 0
    with measured_threads(lambda: _trial(network, sample, plan.batch)):
        while done < steps:
            for rows in torch.randperm(sample.n, generator=generator).split(plan.batch):
                if done == steps or (len(rows) < plan.batch and sample.n >= plan.batch):
                    break
                _step(network, optimizer, sample, rows)
                schedule.step()
                done += 1
                tick("training")
                if done % plan.every == 0 or done == steps:
                    for constraint in constraints:
                        constraint.project(plan.sweeps)
                if after_epoch is not None and done % (steps // plan.epochs) == 0:
                    after_epoch(done // (steps // plan.epochs), network)
    return Trained(network.eval(), start.eval())


def outcome(label: str, trained: Trained, train: Sample, test: Sample) -> Outcome:
    """Count errors and measure the capacity of a trained network.

    Raises: ModelError where the theorem does not apply.
    """
    example = train.x[:1]
    network = class_of(layers_of(trained.module, example), layers_of(trained.start, example))
    errors = error_rate(trained.module, train), error_rate(trained.module, test)
    return Outcome(label, *errors, log10_capacity(network))


def error_rate(module: nn.Module, sample: Sample) -> float:
    """Share of examples whose label has not the largest logit; NaN counts as an error."""
    right = 0
    with torch.no_grad():
        for i in range(0, sample.n, BATCH):
            logits, y = module(sample.x[i : i + BATCH]), sample.y[i : i + BATCH]
            right += int(((logits.argmax(dim=1) == y) & torch.isfinite(logits).all(dim=1)).sum())
    return 1 - right / sample.n


def scaled_knobs(trained: Trained, example: Tensor, lipschitz: float, distance: float) -> dict[str, Knobs]:
    """Knobs at a share of what an unconstrained training ended with. Layers that never moved stay where they are.

    Args: lipschitz, distance: shares, usually below 1.
    """
    network = class_of(layers_of(trained.module, example), layers_of(trained.start, example))
    return {limit.name: Knobs(limit.lipschitz * lipschitz, limit.distance * distance) for limit in network.limits}


def excess_capacity(free: Outcome, constrained: Sequence[Outcome], tolerance: float) -> Excess:
    """log10 capacity of the free training minus the least of those whose test error is at most `tolerance` higher.

    The free training is itself among them, so that the excess is never negative.
    Args: tolerance: in units of risk, such as 0.005. Raises: RequestError for a negative one.
    """
    if not tolerance >= 0:
        raise RequestError(f"excess_capacity: tolerance is a difference of risks >= 0, got {tolerance!r}.")
    on_par = [free, *(one for one in constrained if one.test_error <= free.test_error + tolerance)]
    chosen = min(on_par, key=lambda one: one.log10_capacity)
    return Excess(free.log10_capacity - chosen.log10_capacity, chosen)


def _trial(network: nn.Module, sample: Sample, batch: int) -> None:
    """Compute the gradients of one batch, in eval mode, so that nothing changes but them."""
    network.eval()
    cross_entropy(network(sample.x[:batch]), sample.y[:batch]).backward()
    network.train()


def _step(network: nn.Module, optimizer: torch.optim.Optimizer, sample: Sample, rows: Tensor) -> None:
    optimizer.zero_grad()
    loss = cross_entropy(network(sample.x[rows]), sample.y[rows])
    if not bool(torch.isfinite(loss)):
        raise ModelError("train_constrained: the loss is finite, it is not. Lower the rate.")
    loss.backward()
    optimizer.step()


def _scale_start(record: LayerRecord, network: nn.Module, knobs: Knobs) -> None:
    upper = operator_norm(record).upper
    weight = _parameter(network.get_submodule(record.name), "weight")
    if upper > knobs.lipschitz and weight is not None:
        with torch.no_grad():
            weight.mul_(knobs.lipschitz / upper)


def _parameter(owner: nn.Module, name: str) -> Tensor | None:
    value = getattr(owner, name, None)
    return value if isinstance(value, nn.Parameter) else None
