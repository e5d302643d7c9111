"""Every weight of a classifier on a lattice of its tensor: trained with learned steps and scales, then refined.

Cross-entropy at first, with uniform noise and then rounding, at a fixed weight of the bits; in the end the bounded loss
1 - p(label), at the weight that follows from the bound (posterior.py). All of it is free: only the message counts.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..bits.coder import TOTAL
from ..bits.codes import symmetric_table
from ..bits.profile import LEVELS
from ..bits.weights import REACH, fit_tables
from ..quantize.lattice import step_index_for
from ..quantize.weights import weight_steps
from ..specs.specs import TensorsSpec
from ..subspace.subspace import Subspace
from .fit import Sample
from .joint import batch_loss
from .lattices import Lattices, Plan, Tensors, train_lattices
from .losses import Surrogate
from .plain import TIMED_STEPS, Candidate, Encoded
from .posterior import bound_beta, generator_of
from .progressive import NEVER, Deadline
from .refine import NEAR, evaluate_point, refine
from .rounding import Prices
from .settings import PosteriorSettings
from .state import Checkpoint
from .timing import seconds_of

FIRST_STEP = 0.05  # of every lattice, in He values of its layer
SMOOTH = 0.7  # of the steps descend the cross-entropy
FIRST_RISK = 0.5
BETA_SCALE = 1.0  # of the weight that follows from the bound
MAX_SLOPES = 1 << 25  # gradients of margins, of which refinement holds one for each weight and example
SETTINGS = PosteriorSettings()


@dataclass(frozen=True)
class WeightsPlan:
    """Steps of `batch` examples, peak rate of Adam in He values; beta: of the bits beside the cross-entropy."""

    steps: int
    batch: int
    rate: float
    beta: float
    seed: int


def encode_weights(
    subspace: Subspace,
    sample: Sample,
    plan: WeightsPlan,
    checkpoint: Checkpoint,
    progress: bool,
    until: Deadline = NEVER,
) -> Encoded:
    """Return the messages of the trained lattices, refined and as rounded.

    Args: subspace: of the identity, so that its coefficients are the weights.
    Raises: QuantizeError where training diverges; StateError.
    """
    lattices, smooth = weight_lattices(subspace), round(SMOOTH * plan.steps)

    def price(step: int, risk: float, nats: float) -> float:
        return plan.beta if step < smooth else BETA_SCALE * bound_beta(risk, nats, sample.n)

    asked = Plan(plan.steps, plan.rate, sample.n, price, FIRST_RISK, plan.batch, plan.seed, until.training)
    train_lattices(lattices, _losses(subspace, sample, plan, smooth), asked, checkpoint, progress)
    return Encoded(_refined(subspace, sample, lattices, progress, until.refinement), plan.steps * plan.batch / sample.n)


def seconds_an_epoch_of_weights(subspace: Subspace, sample: Sample, batch: int) -> float:
    """Time a few training steps and return the seconds that a pass over the sample takes."""
    lattices, generator = weight_lattices(subspace), generator_of(0)
    there = sample.subset(torch.arange(min(batch, sample.n, len(sample.x))))

    def step(size: int) -> None:
        losses = _losses(subspace, there, WeightsPlan(TIMED_STEPS, size, 1.0, 1.0, 0), TIMED_STEPS)
        seen, nats = lattices.apply(True, generator)
        (losses(seen, 0)[0] + nats / sample.n).backward()

    return seconds_of(step, min(batch, sample.n), TIMED_STEPS, there.n) * max(1, sample.n // batch)


def weight_lattices(subspace: Subspace) -> Lattices:
    """Return lattices of all tensors around theta0, in units of the He value of each layer."""
    sizes = {slot.name: slot.stop - slot.start for slot in subspace.layout.slots}
    zeros = {name: torch.zeros(size) for name, size in sizes.items()}
    return Lattices.around(zeros, dict.fromkeys(sizes, 1 / math.sqrt(subspace.layout.D)), FIRST_STEP)


def _losses(
    subspace: Subspace, sample: Sample, plan: WeightsPlan, smooth: int
) -> Callable[[Tensors, int], tuple[Tensor, float]]:
    """Return the loss of a batch, and the share of its errors."""
    batch = min(plan.batch, sample.n)
    per_pass = sample.n // batch
    order = torch.empty(0, dtype=torch.int64)
    drawn = -1

    def losses(tensors: Tensors, step: int) -> tuple[Tensor, float]:
        nonlocal order, drawn
        number, place = divmod(step, per_pass)
        if number != drawn:
            order, drawn = torch.randperm(sample.n, generator=generator_of(plan.seed, number)), number
        rows = order[place * batch : (place + 1) * batch]
        surrogate: Surrogate = "cross_entropy" if step < smooth else "error_probability"
        loss, errors = batch_loss(subspace, sample, torch.cat(list(tensors.values())), rows, surrogate)
        return loss, errors / len(rows)

    return losses


def rounded_weights(lattices: Lattices) -> tuple[TensorsSpec, NDArray[np.int32]]:
    """Return how all tensors are coded, and their integers (D,), which reach to -20 and 20."""
    steps = lattices.steps()
    integers = [values.clip(-REACH, REACH) for values in lattices.integers(steps).values()]
    spec = fit_tables(integers, [step_index_for(step) for step in steps.values()])
    return spec, np.concatenate(integers).astype(np.int32)


def _refined(subspace: Subspace, sample: Sample, lattices: Lattices, progress: bool, until: float) -> list[Candidate]:
    """The lattices as they are, and after moves of single weights that lower the bound."""
    spec, whole = rounded_weights(lattices)
    first = evaluate_point(subspace, sample, whole, prices_of(spec), SETTINGS.overhead_bits)
    points = [first]
    if min(sample.n, NEAR) * subspace.layout.D <= MAX_SLOPES:
        points.insert(0, refine(subspace, sample, first, prices_of(spec), SETTINGS, progress, until))
    return [Candidate((point.integers + REACH).astype(np.int32), spec, None) for point in points]


def prices_of(spec: TensorsSpec) -> Prices:
    """Return steps and prices by the integer tables that will be charged; of a tensor of zeros 0 alone can be sent."""
    nothing = np.where(np.arange(LEVELS) == REACH, 0.0, np.inf)
    rows = [
        nothing if of.step_index is None else -np.log(symmetric_table(spec.table, LEVELS, of.ratio_index) / TOTAL)
        for of in spec.lattices
    ]
    return Prices(weight_steps(spec), np.repeat(rows, [of.size for of in spec.lattices], axis=0)[None])
