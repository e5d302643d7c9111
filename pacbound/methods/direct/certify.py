"""Certify the weights of a file themselves: quantize, code and, where wanted, fine-tune under the code.

The checkpoint may have seen the sample: nothing of it is in the prior, and whoever reads the certificate decodes the
network without the file.
"""

import logging
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.func import functional_call

from ...bits.units import Coded
from ...certificate.schema import Certificate
from ...certificate.sweep import SweepRecord
from ...data.preprocess import preprocessed, treated
from ...errors import QuantizeError, RequestError
from ...models.classifiers import as_classifier
from ...models.others import failures, private_copy
from ...models.units import unit_groups
from ...networks.hypothesis import make_zero_base
from ...networks.rebuilt import check_promise
from ...networks.risk import LossFunction
from ...pipeline.finish import finish
from ...pipeline.first_look import first_look
from ...pipeline.preparation import Setup, prepare
from ...quantize.rates import QUANTIZERS, Choice, choose, lattice_coding
from ...request.request import Request
from ...specs.grammar import OWN_NETWORK
from ...specs.tensors import DirectSpec, ZeroTensor
from ...threads import measured_threads
from ...training.fit import Sample
from ...training.plain import Candidate, Encoded
from .training import FISHER_BATCH, FineTuning, Rounded, curvature, fine_tune, one_step, quantized_parts
from .weights import Weights, read_weights, weights_of

LOG = logging.getLogger("pacbound")
RATES = (1e-4, 0.01, 1.0)  # the more confident a network, the smaller its Fisher and the rate that suits it
KEPT = (0.125, 0.25)  # shares of the units that fine-tuning tries
DEFAULT_EPOCHS = 24  # over all trainings


@dataclass(frozen=True)
class DirectPlan:
    """How weights are coded. quantizers: to choose from in every tensor. rates: weights beta of the bits against the
    loss, one candidate each. tuning: trainings under the code, each of which offers candidates too.

    Raises: RequestError where nothing would be coded.
    """

    quantizers: tuple[str, ...] = QUANTIZERS
    rates: tuple[float, ...] = RATES
    tuning: tuple[FineTuning, ...] = ()

    def __post_init__(self) -> None:
        """Refuse an empty plan."""
        if not (self.rates or self.tuning):
            raise RequestError("DirectPlan: at least one rate or one tuning makes a candidate, got none of either.")


def certify_direct(
    model: nn.Module | str,
    train: object,
    *,
    plan: DirectPlan | None = None,
    test: object = None,
    request: Request | None = None,
    loss: str | LossFunction | None = None,
    data_dir: str | Path | None = None,
    progress: bool = True,
    methods: tuple[str, ...] = (),
    sweep: SweepRecord | None = None,
) -> Certificate:
    """Code the weights of a network directly and certify what the code decodes to.

    Args: model: a module with its weights, which is not touched, or the name of a network whose weights are in the
        file `request.checkpoint`. plan: by default that of the request's epochs, beta, rate and batch. methods: the
        list that this one is of, where the best of a list will be kept. sweep: the grid that this run is of.
        The others: as in `pacbound.certify`.
    Returns: the certificate of the candidate with the smallest bound.
    Raises: PacboundError with the reason of a refusal.
    """
    request = request or Request()
    setup = replace(prepare_direct(model, train, test, request, loss, data_dir, methods), sweep=sweep)
    started = time.monotonic()
    with failures("certify", setup.model == OWN_NETWORK):
        weights = checkpoint_weights(setup, model, request.checkpoint, request.rename, request.key)
        seen = first_look(as_network(setup, weights), setup.train, setup.preprocess, setup.model)
        setup = replace(setup, notes=(*setup.notes, *weights.notes, *seen))
        encoded = encode_direct(setup, weights, plan or plan_of(request), progress)
        return finish(setup, encoded, {"coding": time.monotonic() - started}, progress)


def prepare_direct(
    model: nn.Module | str,
    train: object,
    test: object,
    request: Request,
    loss: str | LossFunction | None,
    data_dir: str | Path | None,
    methods: tuple[str, ...],
) -> Setup:
    """Fix all but the weights. Args: as for `certify_direct`. Raises: PacboundError."""
    _refuse_options_of_others(request)
    plain = request.model_copy(update={"checkpoint": None, "rename": (), "key": None})  # no part of the prior
    setup = direct_setup(prepare(model, train, test, plain, loss if loss is not None else request.loss, data_dir))
    held_out = None if test is None else setup.test  # the weights may have seen a test split that nobody vouched for
    return replace(setup, methods=methods, test=held_out)


def as_network(setup: Setup, weights: Weights) -> Callable[[Tensor], Tensor]:
    """Return the network with the weights as they are, for preprocessed inputs."""
    named = {name: torch.from_numpy(array) for name, array in zip(weights.names, weights.arrays, strict=True)}
    return lambda x: functional_call(setup.base.module, named, (x,))


def _refuse_options_of_others(request: Request) -> None:
    """Refuse what a direct code has no use for. Raises: RequestError."""
    for name in (
        "disjoint", "new_head", "head_rows", "base", "posterior", "d", "budget", "prior_share", "encoder_seeds",
    ):  # fmt: skip
        found = getattr(request, name)
        if found != getattr(Request(), name):
            raise RequestError(f"certify: a direct code has no use for {name}, got {found!r}. Leave it out.")


def plan_of(request: Request) -> DirectPlan:
    """Return the plan that a request's training options ask for: as it is, and fine-tuned with fewer units."""
    total = request.epochs or DEFAULT_EPOCHS
    recovering = max(1, total // 6)
    rounding = max(1, (total // len(KEPT) - recovering) // 2)
    common = {"epochs": (recovering, rounding), "beta": request.beta, "rate": request.rate}
    tuning = [
        FineTuning(keep=keep, batch=request.batch or FineTuning().batch, seed=request.encoder_seed, **common)  # type: ignore[arg-type]
        for keep in KEPT
    ]
    return DirectPlan(tuning=tuple(tuning))


def direct_setup(setup: Setup) -> Setup:
    """The same setup with a base of zeros: every parameter will stand in the message."""
    base = make_zero_base(setup.base.module, setup.request.frozen_buffers)
    check_promise(base, setup.train, setup.preprocess)
    return replace(setup, base=base)


def checkpoint_weights(
    setup: Setup,
    model: nn.Module | str,
    checkpoint: str | Path | None,
    rename: Sequence[str] = (),
    key: str | None = None,
) -> Weights:
    """Return the weights to code, from a file or from a module that holds them, with the units that may change places.

    Raises: ModelError where they do not fit, are not finite, or come from nowhere.
    """
    example = preprocessed(setup.train.x[:2], setup.preprocess)
    groups = unit_groups(setup.base.module, setup.base.layout, example)
    if checkpoint is not None:
        return read_weights(setup.base, checkpoint, groups, rename, key)
    if not isinstance(model, nn.Module):
        raise RequestError(f"certify_direct: {model!r} names a network without weights. Give the file of its weights.")
    return weights_of(private_copy(as_classifier(model, example)).float(), setup.base, groups)


def encode_direct(setup: Setup, weights: Weights, plan: DirectPlan, progress: bool) -> Encoded:
    """Return candidate messages: the weights as they are at every rate, and what fine-tuning makes of them."""
    sample = Sample(treated(setup.train.x, setup.preprocess), setup.train.y)
    candidates = []
    batch = max([tuning.batch for tuning in plan.tuning], default=FISHER_BATCH)
    with measured_threads(one_step(setup.base, weights, sample, batch)):
        if plan.rates:
            fisher = curvature(setup.base, weights, sample)
            for beta in plan.rates:
                price = beta * math.log(2) / sample.n
                candidates.append(candidate(*code_weights(weights, fisher, price, plan.quantizers)))
        for tuning in plan.tuning:
            for rounded in fine_tune(setup.base, weights, sample, tuning, progress):
                try:
                    candidates.append(candidate(*code_rounded(rounded)))
                except QuantizeError as why:  # a learned step that is far too small; the others remain
                    LOG.info("a fine-tuned candidate is left out: %s", why)
    return Encoded(candidates, sum(tuning.passes for tuning in plan.tuning))


def code_weights(
    weights: Weights, curvatures: Sequence[NDArray[np.floating]], price: float, quantizers: Sequence[str]
) -> tuple[Weights, list[Choice]]:
    """Choose for every tensor how it is quantized. curvatures: of the loss, full shapes. price: nats of a bit."""
    parts = zip(weights.coded(), replace(weights, arrays=tuple(curvatures)).coded(), strict=True)
    return weights, [choose(part, h, price, quantizers) for part, h in parts]


def code_rounded(rounded: Rounded) -> tuple[Weights, list[Choice]]:
    """Code tensors that are multiples of known steps."""
    choices = []
    for integers, index in zip(quantized_parts(rounded), rounded.step_indices, strict=True):
        if integers.any():
            coding, symbols = lattice_coding(integers, index)
            choices.append(Choice(coding, symbols, None, 0.0))
        else:
            choices.append(Choice(ZeroTensor(), None, None, 0.0))
    return rounded.weights, choices


def candidate(weights: Weights, choices: Sequence[Choice]) -> Candidate:
    """Put the units in order and return the message's content."""
    frame = weights.frame()
    tensors = zip(frame.tensors, choices, strict=True)
    spec = DirectSpec(
        tensors=tuple(tensor.model_copy(update={"coding": choice.coding}) for tensor, choice in tensors),
        groups=frame.groups,
    )
    coded = Coded(spec, [choice.values for choice in choices], [choice.side for choice in choices])
    coded.sort()
    return Candidate(coded.symbols(), spec, None)
