"""The plain encoders: rate-aware training on a uniform lattice, and the published learned codebook.

Lattice: uniform noise, then straight-through rounding, then a bounded loss, all with beta * nats / n added.
Codebook: continuous training, then straight-through training of coefficients and centroids (Lotfi et al. 2022).
What an encoder does with the data is free; only the message counts.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import torch

from ..bits.coder import Symbols
from ..bits.codes import fit_code
from ..distributed import processes, share
from ..errors import CodeError, QuantizeError
from ..quantize.codebook import Init, initial_centroids, to_codebook
from ..quantize.lattice import step_of, to_lattice
from ..specs.specs import CodeKind, CodeSpec, LatticeSpec, QuantizerSpec
from ..subspace.subspace import Subspace
from .fit import Sample, fit
from .losses import cross_entropy
from .phases import Continuous, NearestCentroid, Optimizer, Parameters, Phase, StraightThrough, UniformNoise
from .state import Checkpoint
from .timing import seconds_of

STEPS_AN_EPOCH = 240  # of the 60,000 examples in batches of 250 on which the phases were balanced
SHARES = {"lattice": (10, 5, 8), "codebook": (15, 8)}  # epochs of such size in each phase
TIMED_STEPS = 7
LOG = logging.getLogger("pacbound")
ADAM_RATE = 0.005  # where the coefficients are not trained by Adam
FINE_RATE = 0.2  # rate after rounding begins, in units of the first


@dataclass(frozen=True)
class Candidate:
    """One message that an encoder offers: symbols (d,), and how to read them; of a draw its file instead."""

    symbols: Symbols
    quantizer: QuantizerSpec
    code: CodeSpec | None
    posterior: bytes | None = None


@dataclass(frozen=True)
class Encoded:
    """What an encoder offers, and how many times it passed over the sample for it."""

    candidates: list[Candidate]
    epochs: float


@dataclass(frozen=True)
class PlainPlan:
    """Everything the plain encoders need to know, made once.

    epochs: of each phase. step_index: of the lattice. levels, init: of the codebook.
    """

    kind: Literal["lattice", "codebook"]
    epochs: tuple[int, ...]
    batch: int
    rate: float
    beta: float
    step_index: int
    levels: int
    init: Init
    codes: tuple[CodeKind, ...]
    seed: int
    optimizer: Optimizer = "adam"


def default_epochs(kind: Literal["lattice", "codebook"], n: int, batch: int, total: int | None) -> tuple[int, ...]:
    """Epochs of each phase: as many steps as on 60,000 examples, or `total` split in the same shares.

    >>> default_epochs("lattice", 60000, 250, None), default_epochs("lattice", 60000, 250, 5)
    ((10, 5, 8), (2, 1, 2))
    """
    shares = SHARES[kind]
    scale = STEPS_AN_EPOCH / max(1, n // batch) if total is None else total / sum(shares)
    return tuple(max(1, round(share * scale)) for share in shares)


def one_step(subspace: Subspace, sample: Sample, batch: int) -> Callable[[], None]:
    """Return a step of training without its effect: the gradient in w of this process's part of a batch."""
    rows = share(torch.arange(min(batch, sample.n)))  # by itself: nobody waits for whoever is timed

    def step() -> None:
        w = torch.zeros(subspace.d, requires_grad=True)
        cross_entropy(subspace.approximate(w, sample.x[rows]), sample.y[rows]).backward()

    return step


def seconds_an_epoch(subspace: Subspace, sample: Sample, batch: int) -> float:
    """Time a few training steps and return the seconds an epoch takes."""
    rows, there = min(batch, sample.n), len(sample.x)

    def step(size: int) -> None:
        one_step(subspace, sample, max(size, processes()))()  # each process has a part of it

    return seconds_of(step, rows, TIMED_STEPS, there) * max(1, sample.n // batch)


def encode_plain(
    subspace: Subspace, sample: Sample, plan: PlainPlan, checkpoint: Checkpoint, progress: bool
) -> Encoded:
    """Train and return the message after each phase that ends in quantized coefficients."""
    encode = _encode_lattice if plan.kind == "lattice" else _encode_codebook
    return Encoded(encode(subspace, sample, plan, checkpoint, progress), sum(plan.epochs))


def _encode_lattice(
    subspace: Subspace, sample: Sample, plan: PlainPlan, checkpoint: Checkpoint, progress: bool
) -> list[Candidate]:
    spec = LatticeSpec(step_index=plan.step_index)
    step = step_of(spec)
    first = {"w": plan.rate, "log_scale": _beside(plan)}
    fine = {name: rate * FINE_RATE for name, rate in first.items()}
    by = plan.optimizer
    phases = [
        Phase("noise", UniformNoise(step), plan.epochs[0], first, "cross_entropy", plan.beta, by),
        Phase("rounding", StraightThrough(step), plan.epochs[1], fine, "cross_entropy", plan.beta, by),
        Phase("bounded loss", StraightThrough(step), plan.epochs[2], fine, "error_probability", plan.beta / 3, by),
    ]
    candidates: list[Candidate] = []

    def keep(phase: Phase, parameters: Parameters) -> None:
        symbols, levels = to_lattice(parameters["w"].numpy(), spec)
        candidates.append(Candidate(symbols, spec, fit_code(symbols, levels, plan.codes)))

    start = {"w": torch.zeros(subspace.d), "log_scale": torch.zeros(())}
    with _what_was_kept(candidates):
        fit(subspace, sample, phases, start, plan.batch, plan.seed, checkpoint, _unchanged, keep, progress)
    return candidates


def _encode_codebook(
    subspace: Subspace, sample: Sample, plan: PlainPlan, checkpoint: Checkpoint, progress: bool
) -> list[Candidate]:
    rates = {"w": plan.rate, "centroids": _beside(plan)}
    phases = [
        Phase("continuous", Continuous(), plan.epochs[0], {"w": plan.rate}, optimizer=plan.optimizer),
        Phase("codebook", NearestCentroid(), plan.epochs[1], rates, optimizer=plan.optimizer),
    ]
    candidates: list[Candidate] = []

    def begin(phase: Phase, parameters: Parameters) -> Parameters:
        if phase.name == "continuous":
            return parameters
        centroids = initial_centroids(parameters["w"].numpy(), plan.levels, plan.init)
        return {**parameters, "centroids": torch.from_numpy(centroids)}

    def keep(phase: Phase, parameters: Parameters) -> None:
        if phase.name == "codebook":
            symbols, book = to_codebook(parameters["w"].numpy(), parameters["centroids"].numpy())
            candidates.append(Candidate(symbols, book, fit_code(symbols, len(book.centroids), plan.codes)))

    start = {"w": torch.zeros(subspace.d)}
    with _what_was_kept(candidates):
        fit(subspace, sample, phases, start, plan.batch, plan.seed, checkpoint, begin, keep, progress)
    return candidates


def _beside(plan: PlainPlan) -> float:
    """Rate of what is trained beside the coefficients, which Adam does always."""
    return plan.rate if plan.optimizer == "adam" else ADAM_RATE


@contextmanager
def _what_was_kept(candidates: list[Candidate]) -> Iterator[None]:
    """Go on with the messages of earlier phases where a later one fails. Raises: its cause, where there are none."""
    try:
        yield
    except (QuantizeError, CodeError) as cause:
        if not candidates:
            raise
        LOG.warning("%s Going on with the messages of earlier phases.", cause)


def _unchanged(phase: Phase, parameters: Parameters) -> Parameters:
    return parameters
