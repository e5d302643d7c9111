"""The encoder's plan, and what it trains: candidate messages, or one draw of a posterior."""

import hashlib
import logging
import math
import time
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from ..certificate.draw import freeze
from ..data.preprocess import preprocessed
from ..distributed import first, processes
from ..errors import QuantizeError, RequestError, SubspaceError
from ..progress import hidden, tqdm
from ..quantize.lattice import step_index_for
from ..request.request import Encoder, Request
from ..specs.specs import DrawSpec
from ..subspace.curvature import Rows, examples_within
from ..subspace.subspace import Subspace
from ..threads import measured_threads
from ..training.fit import Sample
from ..training.plain import Candidate, Encoded, PlainPlan, default_epochs, encode_plain, one_step, seconds_an_epoch
from ..training.posterior import Posterior
from ..training.progressive import NEVER, Deadline, Task, encode_posterior, train_posterior
from ..training.settings import PosteriorSettings, posterior_settings
from ..training.state import Checkpoint
from ..training.weights import WeightsPlan, encode_weights, seconds_an_epoch_of_weights
from .costs import amounts_of, in_proportion, with_rows
from .looks import number_of_look
from .preparation import Setup, sample_of

LOG = logging.getLogger("pacbound")
DEFAULT_STEP = 2.0**-5
WEIGHT_STEPS, WEIGHT_RATE = 10_000, 0.02  # of every weight by itself: gradient steps, and peak rate in He values
BATCH = 250
MIN_STEPS_AN_EPOCH = 20
POSTERIOR_TRAINING_SHARE = 0.7  # of a budget; the rest goes to curvature, beam, refinement and counting
CURVATURE_SHARE = 0.15  # of a budget, for all matrices together
STOPS = (0.85, 0.95)  # of a budget: where training that is late is stopped, and refinement
LEAST_EPOCHS = {"posterior": 1, "plain": 3, "codebook": 2, "weights": 1}  # one a phase, where phases are epochs
USED_BY = {
    "step": ("plain",),
    "levels": ("codebook",),
    "codebook_init": ("codebook",),
    **dict.fromkeys(("code", "optimizer"), ("plain", "codebook")),
    **dict.fromkeys(("rate", "beta"), ("plain", "codebook", "weights")),
}
MAX_SCALE_INDEX = 127  # of the prior of a draw: s = 2^-8


def plan_of(setup: Setup, checkpoint: Checkpoint) -> PlainPlan | PosteriorSettings | WeightsPlan:
    """Return the encoder's plan. What a budget in minutes makes of it is measured once and noted in the checkpoint.

    From n: batches of 250, fewer where n < 5,000 (20 steps a pass); a fixed number of steps whatever n is, so that a
    small sample is passed over more often; d in preparation.py, blocks in settings.py. From d, D and the steps: how
    many examples the curvature has (costs.py). From a budget: as many passes as its share for training holds, split
    over the stages in the shares of the fixed plan, so that the longer the tighter; and as many examples for the
    curvature as its share holds.

    Raises: RequestError where a budget and epochs are both given, the budget does not hold the shortest plan, or an
        option is of another encoder.
    """
    request, n = setup.request, setup.train.n
    if request.budget is not None and request.epochs is not None:
        raise RequestError("certify: a budget makes the plan of epochs; give --budget or --epochs, not both.")
    batch = batch_of(setup)
    epochs = (
        request.epochs if request.budget is None else checkpoint.note("epochs", lambda: _affordable(setup, batch))[0]
    )
    _refuse_options_of_others(request)
    steps = None if epochs is None else max(1, epochs * n // batch)
    if request.encoder == "weights":
        return WeightsPlan(steps or WEIGHT_STEPS, batch, _rate(request), request.beta, request.encoder_seed)
    if request.encoder == "posterior":
        settings = posterior_settings(batch, steps, request.posterior == "draw", setup.targets is not None)
        if request.budget is None:
            return _in_proportion(setup, settings)
        examples = checkpoint.note("fisher", lambda: _affordable_curvature(setup, settings))[0]
        return settings.model_copy(update={"fisher_examples": examples})
    kind: Literal["lattice", "codebook"] = "codebook" if request.encoder == "codebook" else "lattice"
    return PlainPlan(
        kind=kind,
        epochs=default_epochs(kind, n, batch, epochs),
        batch=batch,
        rate=request.rate,
        optimizer=request.optimizer,
        beta=request.beta,
        step_index=step_index_for(request.step or DEFAULT_STEP),
        levels=request.levels,
        init=request.codebook_init,
        codes=request.code,
        seed=request.encoder_seed,
    )


def batch_of(setup: Setup) -> int:
    """Return how many examples a step sees."""
    return setup.request.batch or max(1, min(BATCH, setup.train.n // MIN_STEPS_AN_EPOCH))


def _in_proportion(setup: Setup, settings: PosteriorSettings) -> PosteriorSettings:
    """Settings that fit the network which runs in training: all of it, or its trained part."""
    if setup.captured is None:
        module, x = setup.base.module, preprocessed(setup.train.x[:1], setup.preprocess)
    else:
        module, x = setup.captured.part, setup.captured.read()[:1]
    return in_proportion(settings, module, x, setup.base.layout.D, setup.projector.d, setup.train.n)


def _rate(request: Request) -> float:
    """Return the rate that is asked for, in the place of the plain encoder's that of weights."""
    return WEIGHT_RATE if request.rate == Request().rate else request.rate


def seconds_a_pass(encoder: Encoder, subspace: Subspace, sample: Sample, batch: int) -> float:
    """Time a few training steps of an encoder, and return the seconds that a pass over the sample takes."""
    timed = seconds_an_epoch_of_weights if encoder == "weights" else seconds_an_epoch
    return timed(subspace, sample, batch)


def _affordable(setup: Setup, batch: int) -> list[int]:
    """Epochs that the budget holds. Raises: RequestError where these are fewer than the shortest plan has."""
    request, encoder = setup.request, setup.request.encoder
    share = POSTERIOR_TRAINING_SHARE if encoder in ("posterior", "weights") else 1.0
    minutes = seconds_a_pass(encoder, setup.subspace(), sample_of(setup), batch) / 60 / share
    epochs, least = int(_minutes(request) / minutes), LEAST_EPOCHS[encoder]
    if epochs < least:
        shortest = least * minutes * request.encoder_seeds
        each = f" for each of {request.encoder_seeds} seeds" if request.encoder_seeds > 1 else ""
        raise RequestError(
            f"certify: the shortest plan of the {encoder} encoder passes {least} times over the {setup.train.n:,} "
            f"examples{each}, about {shortest:.2g} minutes on this machine, got a budget of {request.budget:g}. "
            f"Give --budget {1.2 * shortest:.2g} or more, or a smaller network."
        )
    return [epochs]


def _affordable_curvature(setup: Setup, settings: PosteriorSettings) -> list[int]:
    """Return the most examples of a matrix with which the budget's share holds all of them."""
    subspace, seconds = setup.subspace(), 60 * CURVATURE_SHARE * _minutes(setup.request)
    rows = Rows(subspace, sample_of(setup).x, lambda _: torch.zeros(subspace.d))
    whole = int(amounts_of(settings, setup.train.n, subspace.d)["curvature"].rows)
    most = examples_within(rows, seconds, whole, torch.Generator().manual_seed(0))
    return [with_rows(settings, subspace.d, most).fisher_examples]


def _minutes(request: Request) -> float:
    """Minutes for one encoder seed, of a budget."""
    return (request.budget or 0.0) / request.encoder_seeds


def _deadline(request: Request) -> Deadline:
    """When late training stops: counted from now, also in a resumed run, whose plan was made before."""
    if request.budget is None:
        return NEVER
    now = time.monotonic()
    return Deadline(*(now + 60 * _minutes(request) * share for share in STOPS))


def _refuse_options_of_others(request: Request) -> None:
    """Refuse what the encoder would ignore. Raises: RequestError."""
    default = Request()
    for name, encoders in USED_BY.items():
        if request.encoder not in encoders and getattr(request, name) != getattr(default, name):
            raise RequestError(
                f"certify: the {request.encoder} encoder has no use for {name}, got {getattr(request, name)!r}. "
                f"Leave it out, or choose --encoder {' or '.join(encoders)}."
            )


def encode(setup: Setup, checkpoint: Checkpoint, progress: bool, looks: Path | None = None) -> Encoded:
    """Train and return candidate messages, of every encoder seed that is asked for; the same in every process.

    looks: the file that counts draws across runs, see looks.py.

    Raises: QuantizeError or SubspaceError where training diverges from every seed; from one of them it is a warning.
    """
    request, runs, diverged = setup.request, [], []
    off = hidden(progress and request.encoder_seeds > 1)
    for k in tqdm(range(request.encoder_seeds), desc="encoder seeds", unit="seed", disable=off):
        seeded = replace(setup, request=request.model_copy(update={"encoder_seed": request.encoder_seed + k}))
        try:
            runs.append(_encoded_once(seeded, checkpoint, k, progress, looks))
        except (QuantizeError, SubspaceError) as cause:
            diverged.append(cause)
    if not runs:
        raise diverged[0]
    for why in diverged:
        LOG.warning("%s One encoder seed ended so; the best of the others is kept.", why)
    return Encoded([candidate for run in runs for candidate in run.candidates], sum(run.epochs for run in runs))


def _encoded_once(setup: Setup, checkpoint: Checkpoint, k: int, progress: bool, looks: Path | None) -> Encoded:
    """Run k of the encoder, from the seed of the request; what a budget holds is measured in the first for all."""
    subspace, sample, own = setup.subspace(), sample_of(setup), checkpoint.of_seed(k)
    notes = own if processes() == 1 else None  # each process has its own number
    with measured_threads(one_step(subspace, sample, batch_of(setup)), notes):
        encoded = _encoded(setup, subspace, sample, plan_of(setup, checkpoint), own, progress, looks)
    return first(lambda: encoded)


def _encoded(
    setup: Setup,
    subspace: Subspace,
    sample: Sample,
    plan: PlainPlan | PosteriorSettings | WeightsPlan,
    checkpoint: Checkpoint,
    progress: bool,
    looks: Path | None,
) -> Encoded:
    if isinstance(plan, PlainPlan):
        return encode_plain(subspace, sample, plan, checkpoint, progress)
    until = _deadline(setup.request)
    if isinstance(plan, WeightsPlan):
        return encode_weights(subspace, sample, plan, checkpoint, progress, until)
    task = Task(subspace, sample, plan, setup.request.encoder_seed, checkpoint, progress, until)
    if setup.request.posterior == "point":
        return encode_posterior(task)
    trained = train_posterior(task)
    drawn = first(lambda: _draw_candidate(trained.posterior, setup, looks))
    return Encoded([drawn], trained.epochs)


def _draw_candidate(trained: Posterior, setup: Setup, looks: Path | None) -> Candidate:
    """Freeze a posterior, count the draw that will be evaluated, and only then name it."""
    octaves = -float(trained.log_s) / math.log(2)
    scale_index = min(max(round(16 * octaves), 0), MAX_SCALE_INDEX)
    posterior = freeze(trained.mean.numpy(), trained.factor().float().numpy(), scale_index)
    sha256 = hashlib.sha256(posterior).hexdigest()
    index = number_of_look(looks, "draw", setup.digest, sha256, setup.request.earlier_draws or 0)
    spec = DrawSpec(scale_index=scale_index, index=index, sha256=sha256, size=len(posterior))
    return Candidate(np.zeros(0, np.int32), spec, None, posterior)
