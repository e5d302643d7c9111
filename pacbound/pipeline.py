"""The pipeline: data and network -> subspace -> encoder -> message -> decoded network -> risk -> bound -> certificate.

`finish` is the only place where a certificate is made: it decodes each candidate message, counts the errors of
what it decodes to, completes the ledger and applies the theorem.
"""

import hashlib
import importlib.metadata
import math
import platform
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import nn

from .bits.ledger import Ledger
from .bits.message import Message, pack
from .bits.units import orbit_saving
from .bounds.claims import Bound, RiskEstimate
from .bounds.table import headline_theorem, theorem
from .certificate.accounting import complete
from .certificate.draw import draw, freeze
from .certificate.schema import Baseline, Certificate, DataRecord, Environment, MethodRow, OtherBound
from .errors import DataError, RequestError
from .hypothesis import Hypothesis
from .preparation import Setup, prepare, sample_of, with_start
from .quantize.lattice import step_index_for
from .request import Request
from .risk import LossFunction, evaluate
from .specs import DrawSpec, HypothesisSpec
from .subspace.curvature import Rows, examples_within
from .tensors import DirectSpec
from .training.plain import Candidate, Encoded, PlainPlan, default_epochs, encode_plain, seconds_an_epoch
from .training.posterior import Posterior
from .training.progressive import NEVER, Deadline, Task, encode_posterior, train_posterior
from .training.settings import PosteriorSettings, posterior_settings
from .training.state import Checkpoint

DEFAULT_STEP = 2.0**-5
BATCH = 250
MIN_STEPS_AN_EPOCH = 20
POSTERIOR_TRAINING_SHARE = 0.7  # of a budget; the rest goes to curvature, beam, refinement and counting
CURVATURE_SHARE = 0.05  # of a budget, for each of two matrices
STOPS = (0.85, 0.95)  # of a budget: where training that is late is stopped, and refinement
LEAST_EPOCHS = {"posterior": 1, "plain": 3, "codebook": 2}  # one a phase; the posterior's stages are steps
USED_BY = {
    "step": ("plain",),
    "levels": ("codebook",),
    "codebook_init": ("codebook",),
    **dict.fromkeys(("code", "rate", "beta"), ("plain", "codebook")),
}
MAX_SCALE_INDEX = 127  # of the prior of a draw: s = 2^-8
PACKAGES = ("pacbound", "torch", "numpy", "constriction", "python-flint")


@dataclass(frozen=True)
class Finished:
    """One candidate, decoded and counted."""

    spec: HypothesisSpec
    message: Message
    hypothesis: Hypothesis
    risk: RiskEstimate
    ledger: Ledger
    bound: Bound
    posterior: bytes | None = None


def certify(
    model: nn.Module | str,
    train: object,
    *,
    test: object = None,
    request: Request | None = None,
    loss: str | LossFunction | None = None,
    data_dir: str | Path | None = None,
    state: Path | None = None,
    progress: bool = True,
    methods: tuple[str, ...] = (),
) -> Certificate:
    """Train a network in a random subspace, code it, and certify what the code decodes to.

    Args:
        model: a module, which is not touched, or the name of a reference network.
        train: Examples, (x, y) tensors, a map-style data set, or what `--data` takes.
        test: held-out examples, reported beside the bound and never used for it.
        request: all other options; its `data`, `model` and `test` are overridden by the arguments.
        loss: a name of `risk.LOSSES`, or a function (logits, y) -> (batch,) in [0, 1]; by default the request's.
        data_dir: folder of named data sets.
        state: file that keeps an unfinished run; where it exists the run goes on from it.
        progress: show bars on a terminal.
        methods: the list of methods whose best certificate will be kept; paid for in the ledger.

    Returns: the certificate of the best candidate message, w = 0 included.
    Raises: PacboundError with the reason of a refusal.
    """
    request = request or Request()
    setup = prepare(model, train, test, request, loss if loss is not None else request.loss, data_dir)
    setup = replace(setup, methods=methods)
    started = time.monotonic()
    setup = with_start(setup, progress)
    checkpoint = Checkpoint(state, setup.key)
    encoded = encode(setup, checkpoint, progress)
    trained = time.monotonic()
    return finish(setup, encoded, {"training": trained - started}, progress)


def plan_of(setup: Setup, checkpoint: Checkpoint) -> PlainPlan | PosteriorSettings:
    """Return the encoder's plan. What a budget in minutes makes of it is measured once and noted in the checkpoint.

    From n: batches of 250, fewer where n < 5,000 (20 steps a pass); a fixed number of steps whatever n is, so that a
    small sample is passed over more often; d in preparation.py, blocks in settings.py. From a budget: as many
    passes as its share for training holds, split over the stages in the shares of the fixed plan, so that the longer
    the tighter; and as many examples for the curvature as its share holds.

    Raises: RequestError where a budget and epochs are both given, the budget does not hold the shortest plan, or an
        option is of another encoder.
    """
    request, n = setup.request, setup.train.n
    if request.budget is not None and request.epochs is not None:
        raise RequestError("certify: a budget makes the plan of epochs; give --budget or --epochs, not both.")
    batch = request.batch or max(1, min(BATCH, n // MIN_STEPS_AN_EPOCH))

    epochs = (
        request.epochs if request.budget is None else checkpoint.note("epochs", lambda: _affordable(setup, batch))[0]
    )
    _refuse_options_of_others(request)
    if request.encoder == "posterior":
        steps = None if epochs is None else max(1, epochs * n // batch)
        settings = posterior_settings(batch, steps, request.posterior == "draw", setup.targets is not None)
        if request.budget is None:
            return settings
        examples = checkpoint.note("fisher", lambda: _affordable_curvature(setup, settings.fisher_examples))[0]
        return settings.model_copy(update={"fisher_examples": examples})
    kind: Literal["lattice", "codebook"] = "codebook" if request.encoder == "codebook" else "lattice"
    return PlainPlan(
        kind=kind,
        epochs=default_epochs(kind, n, batch, epochs),
        batch=batch,
        rate=request.rate,
        beta=request.beta,
        step_index=step_index_for(request.step or DEFAULT_STEP),
        levels=request.levels,
        init=request.codebook_init,
        codes=request.code,
        seed=request.encoder_seed,
    )


def _affordable(setup: Setup, batch: int) -> list[int]:
    """Epochs that the budget holds. Raises: RequestError where these are fewer than the shortest plan has."""
    encoder, budget = setup.request.encoder, setup.request.budget or 0.0
    share = POSTERIOR_TRAINING_SHARE if encoder == "posterior" else 1.0
    minutes = seconds_an_epoch(setup.subspace(), sample_of(setup), batch) / 60 / share
    epochs, least = int(budget / minutes), LEAST_EPOCHS[encoder]
    if epochs < least:
        raise RequestError(
            f"certify: the shortest plan of the {encoder} encoder passes {least} times over the {setup.train.n:,} "
            f"examples, about {least * minutes:.2g} minutes on this machine, got a budget of {budget:g}. "
            f"Give --budget {1.2 * least * minutes:.2g} or more, or a smaller network."
        )
    return [epochs]


def _affordable_curvature(setup: Setup, most: int) -> list[int]:
    """Examples for each estimate of the curvature."""
    subspace = setup.subspace()
    rows = Rows(subspace, sample_of(setup).x, lambda _: torch.zeros(subspace.d))
    seconds = 60 * CURVATURE_SHARE * (setup.request.budget or 0.0)
    return [examples_within(rows, seconds, most, torch.Generator().manual_seed(0))]


def _deadline(budget: float | None) -> Deadline:
    """When late training stops: counted from now, also in a resumed run, whose plan was made before."""
    if budget is None:
        return NEVER
    now = time.monotonic()
    return Deadline(*(now + 60 * budget * share for share in STOPS))


def _refuse_options_of_others(request: Request) -> None:
    """Refuse what the encoder would ignore. Raises: RequestError."""
    default = Request()
    for name, encoders in USED_BY.items():
        if request.encoder not in encoders and getattr(request, name) != getattr(default, name):
            raise RequestError(
                f"certify: the {request.encoder} encoder has no use for {name}, got {getattr(request, name)!r}. "
                f"Leave it out, or choose --encoder {' or '.join(encoders)}."
            )


def encode(setup: Setup, checkpoint: Checkpoint, progress: bool) -> Encoded:
    """Train and return candidate messages."""
    plan, subspace, sample = plan_of(setup, checkpoint), setup.subspace(), sample_of(setup)
    if isinstance(plan, PlainPlan):
        return encode_plain(subspace, sample, plan, checkpoint, progress)
    until = _deadline(setup.request.budget)
    task = Task(subspace, sample, plan, setup.request.encoder_seed, checkpoint, progress, until)
    if setup.request.posterior == "point":
        return encode_posterior(task)
    trained = train_posterior(task)
    drawn = _draw_candidate(trained.posterior, setup.request.earlier_draws, checkpoint)
    return Encoded([drawn], trained.epochs)


def _draw_candidate(trained: Posterior, earlier_draws: int, checkpoint: Checkpoint) -> Candidate:
    """Freeze a posterior, count the draw that will be evaluated, and only then name it."""
    octaves = -float(trained.log_s) / math.log(2)
    scale_index = min(max(round(16 * octaves), 0), MAX_SCALE_INDEX)
    posterior = freeze(trained.mean.numpy(), trained.factor().float().numpy(), scale_index)
    sha256 = hashlib.sha256(posterior).hexdigest()
    index = earlier_draws + checkpoint.look(sha256)
    spec = DrawSpec(scale_index=scale_index, index=index, sha256=sha256, size=len(posterior))
    return Candidate(np.zeros(0, np.int32), spec, None, posterior)


def finish(setup: Setup, encoded: Encoded, seconds: dict[str, float], progress: bool = True) -> Certificate:
    """Issue the certificate of the best candidate of an encoder, w = 0 included.

    All candidates lie under one prior, so that picking the best of them is free; draws have their share of it, and
    delta is shared like the prior.
    Raises: DataError where the sample changed since the run began.
    """
    started = time.monotonic()
    best = best_of(setup, encoded.candidates, progress)
    also: tuple[OtherBound | Baseline, ...] = (
        *_test_bound(setup, best.hypothesis, progress),
        baseline(setup),
        *_default_bound(setup, best),
    )
    train = setup.train
    return Certificate.issue(
        bound=best.bound,
        risk=best.risk,
        ledger=best.ledger,
        message=best.message,
        data=DataRecord(name=train.name, digest=setup.digest, n=train.n, classes=train.classes, note=train.note),
        hypothesis=best.spec,
        posterior=best.posterior,
        theta0=setup.theta0,
        also=also,
        methods=tuple(MethodRow(name=name) for name in setup.methods),
        environment=environment({**seconds, "counting": time.monotonic() - started}, encoded.epochs),
    )


def best_of(setup: Setup, candidates: Sequence[Candidate], progress: bool = True) -> Finished:
    """Decode every candidate and w = 0 (but for direct codes), count errors; return the one of the smallest bound.

    Raises: DataError where the sample changed since the run began.
    """
    start = [] if setup.base.origin.kind == "zero" else [None]  # w = 0; a network of zeros is nobody's
    results = [_finish_one(setup, candidate, progress) for candidate in [*start, *candidates]]
    best = min(results, key=lambda result: (result.bound.value, result.risk.errors, result.message.bits))
    if best.risk.data_digest != setup.digest:
        raise DataError("certify: the examples changed between two passes. Certify a sample that stays as it is.")
    return best


def environment(seconds: dict[str, float], epochs: float) -> Environment:
    """Return the versions of what computed, wall times by stage, and the encoder's passes over the sample."""
    return Environment(
        versions={name: importlib.metadata.version(name) for name in PACKAGES} | {"python": platform.python_version()},
        seconds={stage: round(value, 3) for stage, value in seconds.items()},
        epochs=round(epochs, 2) if epochs else None,
    )


def _finish_one(setup: Setup, candidate: Candidate | None, progress: bool) -> Finished:
    spec = setup.spec(candidate)
    message, _ = pack(spec, np.zeros(0, np.int32) if candidate is None else candidate.symbols)
    posterior = None if candidate is None else candidate.posterior
    hypothesis = Hypothesis.unpack(message.payload, spec, setup.base, posterior)
    risk = evaluate(hypothesis, setup.train, setup.loss, progress)
    ratio_bits, saving_bits, name = None, None, setup.theorem
    if candidate is not None and isinstance(candidate.quantizer, DirectSpec):
        saving_bits = orbit_saving(candidate.quantizer, candidate.symbols)
    if posterior is not None and isinstance(spec.quantizer, DrawSpec):
        ratio_bits, name = draw(posterior, spec.quantizer, setup.projector.d).bits, "single_draw"
    ledger = complete(
        hypothesis.ledger, spec, setup.train.name, setup.digest, ratio_bits, saving_bits,
        methods=max(1, len(setup.methods)),
    )  # fmt: skip
    bound = theorem(name)(risk.errors, risk.n, ledger.bits, setup.request.delta)
    return Finished(spec, message, hypothesis, risk, ledger, bound, posterior)


def baseline(setup: Setup) -> Baseline:
    """Return the errors of always answering the most frequent training label."""
    errors = setup.train.n - int(torch.bincount(setup.train.y).max())
    return Baseline(name="majority_class", sample="train", errors=errors, n=setup.train.n)


def _test_bound(setup: Setup, hypothesis: Hypothesis, progress: bool) -> tuple[OtherBound, ...]:
    if setup.test is None:
        return ()
    return (held_out_bound(evaluate(hypothesis, setup.test, setup.loss, progress), setup.request.delta),)


def held_out_bound(risk: RiskEstimate, delta: float) -> OtherBound:
    """Return what labelled held-out examples alone say: no bits are paid for a network that never saw them."""
    name = "test_set" if risk.counts else "occam_kl"
    return _other("test", name, theorem(name)(risk.errors, risk.n, 0, delta).value, delta, risk, 0)


def _default_bound(setup: Setup, best: Finished) -> tuple[OtherBound, ...]:
    """Beside a theorem asked for by name, what the default theorem says of the same message."""
    name = headline_theorem(best.risk.counts)
    if best.bound.theorem in (name, "single_draw"):
        return ()
    value = theorem(name)(best.risk.errors, best.risk.n, best.ledger.bits, setup.request.delta).value
    return (_other("train", name, value, setup.request.delta, best.risk, best.ledger.bits),)


def _other(sample: str, name: str, value: float, delta: float, risk: RiskEstimate, bits: int) -> OtherBound:
    return OtherBound.model_validate(
        {
            "sample": sample,
            "value": value,
            "theorem": name,
            "delta": delta,
            "errors": risk.errors,
            "n": risk.n,
            "bits": bits,
        }
    )
