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
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import nn

from .bits.ledger import Ledger
from .bits.message import Message, pack
from .bounds.claims import Bound, RiskEstimate
from .bounds.table import COUNTS_ONLY, headline_theorem, theorem
from .certificate.accounting import complete
from .certificate.draw import draw, freeze
from .certificate.schema import Baseline, Certificate, DataRecord, Environment, OtherBound
from .checkpoints import checkpoint_base
from .data.examples import Examples
from .data.preprocess import preprocessed
from .data.registry import DATA_SETS, FILES, load
from .data.user import as_examples
from .errors import DataError, ModelError, RequestError
from .hypothesis import Base, Hypothesis, make_base, make_subspace
from .models.loading import load_model, preprocess_for
from .quantize.lattice import step_index_for
from .request import Request, parse_projector
from .risk import LossFunction, evaluate, loss_function
from .specs import DrawSpec, HypothesisSpec, PreprocessSpec, ProjectorSpec
from .subspace.subspace import Subspace
from .training.fit import Sample
from .training.plain import Candidate, PlainPlan, default_epochs, encode_plain, seconds_an_epoch
from .training.posterior import Posterior
from .training.progressive import PosteriorSettings, encode_posterior, posterior_settings, train_posterior
from .training.state import Checkpoint

DEFAULT_STEP = 2.0**-5
BATCH = 250
MIN_STEPS_AN_EPOCH = 20
POSTERIOR_TRAINING_SHARE = 0.7  # of a budget; the rest goes to curvature, beam, refinement and counting
MAX_SCALE_INDEX = 127  # of the prior of a draw: s = 2^-8
LARGE_IMAGE = 16  # images with sides from this on are read by lenet, everything else by mlp
PACKAGES = ("pacbound", "torch", "numpy", "constriction", "python-flint")


@dataclass(frozen=True)
class Setup:
    """Everything fixed before training: the sample, the base, the subspace's spec and what is asked for."""

    request: Request
    train: Examples
    test: Examples | None
    base: Base
    model: str
    projector: ProjectorSpec
    preprocess: PreprocessSpec
    loss: str | LossFunction
    digest: str

    @property
    def theorem(self) -> str:
        """Name of the headline theorem, by rule or by request, never by result."""
        if self.request.theorem != "auto":
            return self.request.theorem
        return headline_theorem(RiskEstimate(errors=0, n=1, loss=loss_function(self.loss)[0]).counts)

    @property
    def key(self) -> str:
        """Digest of all that determines the result, for resuming."""
        network = f"{self.model} {self.base.layout.digest} {self.base.origin} {self.preprocess.name}"
        text = f"{self.request.model_dump_json()} {self.digest} {network}"
        return hashlib.sha256(text.encode()).hexdigest()

    def subspace(self) -> Subspace:
        """Span the subspace."""
        return make_subspace(self.base, self.projector, self.request.layer_scale)

    def spec(self, candidate: Candidate | None) -> HypothesisSpec:
        """Describe a candidate, or w = 0 where it is None."""
        common = {
            "model": self.model,
            "layout_digest": self.base.layout.digest,
            "base": self.base.origin,
            "preprocess": self.preprocess,
        }
        if candidate is None:
            return HypothesisSpec.model_validate({**common, "layer_scale": False})
        return HypothesisSpec.model_validate(
            {
                **common,
                "projector": self.projector,
                "layer_scale": self.request.layer_scale,
                "quantizer": candidate.quantizer,
                "code": candidate.code,
            }
        )


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
    model: nn.Module | str = "auto",
    train: object = "digits",
    *,
    test: object = None,
    request: Request | None = None,
    loss: str | LossFunction | None = None,
    data_dir: str | Path | None = None,
    state: Path | None = None,
    progress: bool = True,
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

    Returns: the certificate of the best candidate message, w = 0 included.
    Raises: PacboundError with the reason of a refusal.
    """
    request = request or Request()
    setup = prepare(model, train, test, request, loss if loss is not None else request.loss, data_dir)
    started = time.monotonic()
    checkpoint = Checkpoint(state, setup.key)
    candidates = encode(setup, checkpoint, progress)
    trained = time.monotonic()
    return finish(setup, candidates, {"training": trained - started}, progress)


def prepare(
    model: nn.Module | str,
    train: object,
    test: object,
    request: Request,
    loss: str | LossFunction,
    data_dir: str | Path | None = None,
) -> Setup:
    """Load the data, build the base and fix the subspace; nothing here looks at the labels but to count classes.

    Raises: DataError, ModelError, SubspaceError, RequestError.
    """
    _refuse_contradictions(request, model)
    sample = _examples(train, data_dir, "train")
    held_out = _test_examples(train, test, data_dir)
    if held_out is not None and (held_out.shape, held_out.classes) != (sample.shape, sample.classes):
        raise DataError(
            f"certify: test examples are shaped like those of training, {sample.shape} in {sample.classes} classes, "
            f"got {held_out.shape} in {held_out.classes}."
        )
    module, name = _network(model, sample)
    base = _base(module, request, named=isinstance(model, str))
    d = min(request.d or default_dimension(sample.n), base.layout.D)
    preprocess = _preprocess(request, name, sample)
    loss = loss_function(loss)[0] if isinstance(loss, str) else loss
    _refuse_unfit(base, sample, preprocess, loss, request)
    return Setup(
        request=request,
        train=sample,
        test=held_out,
        base=base,
        model=name,
        projector=parse_projector(request.projector, base.layout.D, d, request.seed),
        preprocess=preprocess,
        loss=loss,
        digest=sample.digest(),
    )


def _refuse_contradictions(request: Request, model: nn.Module | str) -> None:
    """Refuse options about a checkpoint that do not go together.

    Raises: RequestError, above all where nobody says that the checkpoint has not seen the sample.
    """
    if request.checkpoint is None:
        for option, given in (
            ("disjoint", request.disjoint),
            ("new-head", request.new_head),
            ("rename", request.rename),
        ):
            if given:
                raise RequestError(f"certify: --{option} is about a checkpoint, got none. Give --checkpoint FILE.")
        return
    if not request.disjoint:
        raise RequestError(
            "certify: a checkpoint is a sound theta0 only if it was trained on data disjoint from this sample and "
            "fixed before the sample was seen, got nobody's word for it. If that is so, say it with --disjoint."
        )
    if request.base != "auto":
        raise RequestError(f"certify: a checkpoint is theta0 itself, got base {request.base!r} too. Leave one out.")
    if model == "auto":
        raise RequestError("certify: a checkpoint holds numbers only; name its network with --model.")


def _base(module: nn.Module, request: Request, named: bool) -> Base:
    if request.checkpoint is not None:
        seed = request.seed if request.new_head else None
        return checkpoint_base(module, request.checkpoint, request.rename, seed, request.frozen_buffers)
    seeded = request.base == "seeded" or (request.base == "auto" and named)
    return make_base(module, request.seed if seeded else None, request.frozen_buffers)


def _preprocess(request: Request, model: str, sample: Examples) -> PreprocessSpec:
    name = preprocess_for(model, sample.preprocess) if request.preprocess == "auto" else request.preprocess
    if name != "none" and preprocess_for(model, name) == "none":
        raise RequestError(f"certify: {model} standardises raw pixels itself, got preprocess {name!r}. Leave it out.")
    return PreprocessSpec(name=name)


def _refuse_unfit(
    base: Base, sample: Examples, preprocess: PreprocessSpec, loss: str | LossFunction, request: Request
) -> None:
    """Refuse before the work begins what could only fail after it.

    Raises: DataError where the constants do not fit the examples; RequestError where the theorem does not fit the
        loss; ModelError where the network cannot read the examples or has fewer outputs than there are classes.
    """
    _refuse_options_of_point(request)
    if request.theorem in COUNTS_ONLY and not RiskEstimate(errors=0, n=1, loss=loss_function(loss)[0]).counts:
        raise RequestError(
            f"certify: {request.theorem} holds for counted errors, got the loss {loss_function(loss)[0]!r}. "
            "Choose theorem auto or occam_kl."
        )
    x = preprocessed(sample.x[:2], preprocess)
    try:
        with torch.no_grad():
            logits = base.module(x)
    except (RuntimeError, ValueError, TypeError, IndexError) as cause:
        raise ModelError(
            f"certify: the network reads batches of examples {sample.shape} in float32, got the error "
            f"{(str(cause).splitlines() or [type(cause).__name__])[0]!r}. "
            "Bring a network for such inputs, or reshape the examples."
        ) from cause
    fits = isinstance(logits, torch.Tensor) and logits.ndim == 2 and logits.dtype.is_floating_point
    if not fits or len(logits) != len(x) or logits.shape[1] < sample.classes:
        found = f"{logits.dtype} {tuple(logits.shape)}" if isinstance(logits, torch.Tensor) else type(logits).__name__
        raise ModelError(
            f"certify: the network returns logits of shape (batch, {sample.classes} or more) for {sample.classes} "
            f"classes, got {found} for a batch of {len(x)}. Change its last layer."
        )


def _refuse_options_of_point(request: Request) -> None:
    """Refuse with a draw what only a decoded message has. Raises: RequestError."""
    if request.posterior == "point":
        if request.earlier_draws:
            raise RequestError("certify: earlier_draws are counted for a draw; give --posterior draw, or leave it out.")
        return
    if request.encoder != "posterior":
        raise RequestError(
            f"certify: a draw needs a trained posterior, got the encoder {request.encoder!r}. Leave --encoder out."
        )
    if request.theorem != "auto":
        raise RequestError(
            f"certify: single_draw is the one theorem of a draw, got {request.theorem!r}. Leave --theorem out."
        )


def default_dimension(n: int) -> int:
    """Return the power of two nearest to 5.6 sqrt(n): 1024 for 60,000 examples, 256 for 1,437.

    >>> default_dimension(60000), default_dimension(1437)
    (1024, 256)
    """
    return 1 << max(1, round(math.log2(5.6 * math.sqrt(n))))


def plan_of(setup: Setup, checkpoint: Checkpoint) -> PlainPlan | PosteriorSettings:
    """Return the encoder's plan; a budget in minutes is turned into epochs once and noted in the checkpoint.

    Raises: RequestError where a budget and epochs are both given, or an option is of another encoder.
    """
    request, n = setup.request, setup.train.n
    if request.budget is not None and request.epochs is not None:
        raise RequestError("certify: a budget makes the plan of epochs; give --budget or --epochs, not both.")
    batch = request.batch or max(1, min(BATCH, n // MIN_STEPS_AN_EPOCH))

    def within_budget() -> list[int]:
        seconds = seconds_an_epoch(setup.subspace(), sample_of(setup), batch)
        share = POSTERIOR_TRAINING_SHARE if request.encoder == "posterior" else 1.0
        return [max(1, int(60 * (request.budget or 0) * share / seconds))]

    epochs = request.epochs if request.budget is None else checkpoint.note("epochs", within_budget)[0]
    if request.encoder == "posterior":
        _refuse_options_of_plain(request)
        steps = None if epochs is None else max(1, epochs * n // batch)
        return posterior_settings(batch, steps, request.posterior == "draw")
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


def _refuse_options_of_plain(request: Request) -> None:
    default = Request()
    for name in ("step", "levels", "codebook_init", "code", "rate", "beta"):
        if getattr(request, name) != getattr(default, name):
            raise RequestError(
                f"certify: the posterior encoder finds {name} itself, got {getattr(request, name)!r}. "
                "Leave it out, or choose --encoder plain or codebook."
            )


def encode(setup: Setup, checkpoint: Checkpoint, progress: bool) -> list[Candidate]:
    """Train and return candidate messages."""
    plan = plan_of(setup, checkpoint)
    if isinstance(plan, PlainPlan):
        return encode_plain(setup.subspace(), sample_of(setup), plan, checkpoint, progress)
    seed = setup.request.encoder_seed
    if setup.request.posterior == "draw":
        trained = train_posterior(setup.subspace(), sample_of(setup), plan, seed, checkpoint, progress)
        return [_draw_candidate(trained, setup.request.earlier_draws, checkpoint)]
    messages = encode_posterior(setup.subspace(), sample_of(setup), plan, seed, checkpoint, progress)
    return [Candidate(*message) for message in messages]


def _draw_candidate(trained: Posterior, earlier_draws: int, checkpoint: Checkpoint) -> Candidate:
    """Freeze a posterior, count the draw that will be evaluated, and only then name it."""
    octaves = -float(trained.log_s) / math.log(2)
    scale_index = min(max(round(16 * octaves), 0), MAX_SCALE_INDEX)
    posterior = freeze(trained.mean.numpy(), trained.factor().float().numpy(), scale_index)
    sha256 = hashlib.sha256(posterior).hexdigest()
    index = earlier_draws + checkpoint.look(sha256)
    spec = DrawSpec(scale_index=scale_index, index=index, sha256=sha256, size=len(posterior))
    return Candidate(np.zeros(0, np.int32), spec, None, posterior)


def finish(
    setup: Setup, candidates: Sequence[Candidate], seconds: dict[str, float], progress: bool = True
) -> Certificate:
    """Decode every candidate and w = 0, count errors, and issue the certificate of the smallest bound.

    All candidates lie under one prior, so that picking the best of them is free; draws have their share of it, and
    delta is shared like the prior.
    Raises: DataError where the sample changed since the run began.
    """
    started = time.monotonic()
    results = [_finish_one(setup, candidate, progress) for candidate in [None, *candidates]]
    best = min(results, key=lambda result: (result.bound.value, result.message.bits))
    if best.risk.data_digest != setup.digest:
        raise DataError("certify: the examples changed between two passes. Certify a sample that stays as it is.")
    also: tuple[OtherBound | Baseline, ...] = (
        *_test_bound(setup, best.hypothesis, progress),
        _baseline(setup),
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
        also=also,
        environment=Environment(
            versions={name: importlib.metadata.version(name) for name in PACKAGES}
            | {"python": platform.python_version()},
            seconds={k: round(v, 3) for k, v in {**seconds, "counting": time.monotonic() - started}.items()},
        ),
    )


def _finish_one(setup: Setup, candidate: Candidate | None, progress: bool) -> Finished:
    spec = setup.spec(candidate)
    message, _ = pack(spec, np.zeros(0, np.int32) if candidate is None else candidate.symbols)
    posterior = None if candidate is None else candidate.posterior
    hypothesis = Hypothesis.unpack(message.payload, spec, setup.base, posterior)
    risk = evaluate(hypothesis, setup.train, setup.loss, progress)
    ratio_bits, name = None, setup.theorem
    if posterior is not None and isinstance(spec.quantizer, DrawSpec):
        ratio_bits, name = draw(posterior, spec.quantizer, setup.projector.d).bits, "single_draw"
    ledger = complete(hypothesis.ledger, spec, setup.train.name, ratio_bits)
    bound = theorem(name)(risk.errors, risk.n, ledger.bits, setup.request.delta)
    return Finished(spec, message, hypothesis, risk, ledger, bound, posterior)


def _baseline(setup: Setup) -> Baseline:
    """Errors of always answering the most frequent training label."""
    errors = setup.train.n - int(torch.bincount(setup.train.y).max())
    return Baseline(name="majority_class", sample="train", errors=errors, n=setup.train.n)


def _test_bound(setup: Setup, hypothesis: Hypothesis, progress: bool) -> tuple[OtherBound, ...]:
    if setup.test is None:
        return ()
    risk = evaluate(hypothesis, setup.test, setup.loss, progress)
    name = "test_set" if risk.counts else "occam_kl"
    value = theorem(name)(risk.errors, risk.n, 0, setup.request.delta).value
    return (_other("test", name, value, setup.request.delta, risk, 0),)


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


def sample_of(setup: Setup) -> Sample:
    """Return the training set as the network reads it."""
    return Sample(preprocessed(setup.train.x, setup.preprocess), setup.train.y)


def _examples(source: object, data_dir: str | Path | None, split: str) -> Examples:
    if isinstance(source, str):
        return load(source, data_dir, split)  # type: ignore[arg-type]
    return source if isinstance(source, Examples) else as_examples(source)


def _test_examples(train: object, test: object, data_dir: str | Path | None) -> Examples | None:
    """Return the held-out examples: those given, else the official test split of a named data set."""
    if test is not None:
        return _examples(test, data_dir, "test")
    if isinstance(train, str) and train in DATA_SETS and "test" in FILES[train]:
        return load(train, data_dir, "test")
    return None


def _network(model: nn.Module | str, sample: Examples) -> tuple[nn.Module, str]:
    if isinstance(model, nn.Module):
        return model, "user"
    if model == "auto":
        model = "lenet" if len(sample.shape) >= 2 and min(sample.shape[-2:]) >= LARGE_IMAGE else "mlp"
    return load_model(model, sample.shape, sample.classes)
