"""How a language model is trained: every weight on lattices, or a subspace around theta0, on windows of a text.

Everything here is free: only the message counts.
"""

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.func import functional_call

from ..bits.codes import fit_code
from ..bits.weights import REACH
from ..data.pairs import Pairs
from ..data.texts import Text
from ..models.others import private_copy
from ..models.reference import initialise
from ..networks.hypothesis import make_subspace
from ..networks.predictions import Units
from ..quantize.lattice import step_index_for, to_lattice
from ..quantize.rates import lattice_coding
from ..quantize.tensors import nearest_step, step_size
from ..request.request import RANDOM_DIRECTIONS, Request, parse_projector
from ..specs.language import PredictionSpec
from ..specs.specs import HypothesisSpec, LatticeSpec, ProjectorSpec
from ..specs.tensors import DirectSpec, TensorSpec
from ..training.lattices import FIRST_VARIANCE, Lattices, Plan, stream_price, train_lattices
from ..training.plain import Candidate
from ..training.sequence_posterior import Objective, encode_sequences, settings_of
from ..training.state import Checkpoint
from ..training.timing import seconds_between
from ..training.weights import rounded_weights, weight_lattices
from .language import LanguageSetup, Offer
from .preparation import whole_space

LENGTH, WARM = 64, 4  # symbols of a training window that count, and those before them that do not
BATCH = 32  # windows a step
PASSES, LEAST_STEPS, MOST_STEPS = 20.0, 500, 12_000
SUBSPACE = 512  # dimension around a checkpoint
WEIGHT_RATE, WEIGHT_STEP = 0.03, 0.05
AROUND_RATE = 0.01  # of weights that a checkpoint has already
COEFFICIENT_RATE, COEFFICIENT_STEP = 0.002, 0.004  # a coarser first step destroys what a checkpoint knows
VECTOR_UNIT = 0.5  # of biases and other vectors
TIMED_STEPS = 6
POSTERIOR_STEPS = 400  # of a training that is long enough for the stages of a posterior
USUAL_ALPHA = 0.03

Tensors = dict[str, Tensor]


Losses = Callable[[Tensors, int], tuple[Tensor, float]]


@dataclass(frozen=True)
class Way:
    """How a network is made of what is trained. call: tensors and ids -> logits. coded: what lattices come to.

    projector: of a subspace, None where every weight is coded.
    """

    lattices: Lattices
    rate: float
    call: Callable[[Tensors, Tensor], Tensor]
    coded: Callable[[Lattices], Offer]
    projector: ProjectorSpec | None = None


def way_of(setup: LanguageSetup, request: Request) -> Way:
    """Return every weight, around zero or theta0, or a subspace. Raises: RequestError for an unknown projector."""
    if setup.base.origin.kind == "zero":
        return _every_weight(setup, request)
    return _around(setup, request) if request.encoder == "weights" else _subspace(setup, request)


def _every_weight(setup: LanguageSetup, request: Request) -> Way:
    """Every weight on a lattice of its tensor, around zero; training starts from the seed."""
    base, drawn = setup.base, private_copy(setup.base.module)
    initialise(drawn, request.seed)
    values = dict(drawn.named_parameters())
    start = {slot.name: values[slot.name].detach() for slot in base.layout.slots}
    units = {
        slot.name: math.sqrt(1 / slot.fan_in) if len(slot.shape) >= 2 else VECTOR_UNIT for slot in base.layout.slots
    }

    def coded(lattices: Lattices) -> Offer:
        indices = {name: nearest_step(step) for name, step in lattices.steps().items()}
        integers = lattices.integers({name: step_size(index) for name, index in indices.items()})
        tensors, symbols = [], []
        for slot in base.layout.slots:
            tensor = TensorSpec(name=slot.name, shape=slot.shape)
            values = integers[slot.name].astype(np.int32)
            if not values.any():
                tensors.append(tensor)
                continue
            coding, sent = lattice_coding(values, indices[slot.name])
            tensors.append(tensor.model_copy(update={"coding": coding}))
            symbols.append(sent.reshape(-1))
        spec = setup.spec.model_copy(update={"quantizer": DirectSpec(tensors=tuple(tensors))})
        return Offer(spec, np.concatenate([np.zeros(0, np.int32), *symbols]))

    return Way(
        Lattices.around(start, units, WEIGHT_STEP),
        WEIGHT_RATE,
        lambda tensors, ids: functional_call(base.module, tensors, (ids,)),
        coded,
    )


def _around(setup: LanguageSetup, request: Request) -> Way:
    """Every weight on a lattice of its tensor, around theta0."""
    projector = whole_space(setup.base.layout.D)
    subspace = make_subspace(setup.base, projector, request.layer_scale)

    def coded(lattices: Lattices) -> Offer:
        spec, integers = rounded_weights(lattices)
        return _offer(setup, request, projector, Candidate(integers + REACH, spec, None))

    return Way(
        weight_lattices(subspace),
        AROUND_RATE,
        lambda tensors, ids: subspace.call_at(subspace.theta(torch.cat(list(tensors.values()))), ids),
        coded,
        projector,
    )


def _subspace(setup: LanguageSetup, request: Request) -> Way:
    """Coefficients of a random subspace around theta0, on one lattice."""
    d = min(request.d or SUBSPACE, setup.base.layout.D)
    projector = parse_projector(request.projector or RANDOM_DIRECTIONS, setup.base.layout.D, d, request.seed)
    subspace = make_subspace(setup.base, projector, request.layer_scale)
    start = {"w": torch.zeros(projector.d)}

    def coded(lattices: Lattices) -> Offer:
        lattice = LatticeSpec(step_index=step_index_for(min(1.0, lattices.steps()["w"])))
        symbols, levels = to_lattice(lattices.entries["w"].detach().numpy(), lattice)
        return _offer(setup, request, projector, Candidate(symbols, lattice, fit_code(symbols, levels)))

    return Way(
        Lattices.around(start, {"w": 1.0}, COEFFICIENT_STEP),
        COEFFICIENT_RATE,
        lambda tensors, ids: subspace.call_at(subspace.theta(tensors["w"]), ids),
        coded,
        projector,
    )


def _offer(setup: LanguageSetup, request: Request, projector: ProjectorSpec, found: Candidate) -> Offer:
    """What is sent of the coefficients of a subspace."""
    coded = {
        "projector": projector, "layer_scale": request.layer_scale, "quantizer": found.quantizer, "code": found.code,
    }  # fmt: skip
    return Offer(HypothesisSpec.model_validate({**dict(setup.spec), **coded}), found.symbols)


@dataclass(frozen=True)
class Batch:
    """Windows of a text: ids (rows, T), and of the symbols after the first `warm` which come and are predicted."""

    ids: Tensor
    warm: int
    symbols: Tensor  # (rows, T - warm)
    counted: Tensor  # (rows, T - warm), bool


def batches_of(text: Text, units: Units | None, window: PredictionSpec) -> Callable[[int, int], Batch]:
    """Return a function of a number of rows and a seed: random windows of the text."""
    predicted = text.alphabet.predicted
    length = min(LENGTH, window.window)
    if isinstance(text, Pairs):
        length = int((text.spans[:, 2] - text.spans[:, 0]).max())
    warm = 0 if _apart(units) else min(WARM, window.window - length)

    def batch(rows: int, seed: int) -> Batch:
        symbols, asked = _windows(text, units, rows, length + warm, seed)
        known = np.where((symbols >= 0) & (symbols < predicted), symbols, text.alphabet.start)
        first = np.full((len(known), 1), text.alphabet.start)
        ids, y = torch.from_numpy(np.concatenate([first, known[:, :-1]], axis=1)), torch.from_numpy(symbols)[:, warm:]
        counted = torch.from_numpy(asked)[:, warm:] & (y >= 0) & (y < predicted)
        return Batch(ids, warm, y.clamp(0, predicted - 1), counted)

    return batch


def losses_of(setup: LanguageSetup, way: Way, request: Request) -> Losses:
    """Return the losses of `losses_on` for the text that is certified."""
    return losses_on(setup.text, setup.units, setup.window, way.call, request)


def losses_on(
    text: Text, units: Units | None, window: PredictionSpec, call: Callable[[Tensors, Tensor], Tensor], request: Request
) -> Losses:
    """Return the mean loss of random windows of the text, and its variance about the entropies of the predictions.

    Of documents the variance is that of their means. Of answers the loss is the mean of the sums over an answer, which
    is ln 2 at least where the answer is not given; there the variance is left out, since the bound on errors has no
    such term.
    """
    batch, rows, predicted = batches_of(text, units, window), request.batch or BATCH, text.alphabet.predicted

    def losses(tensors: Tensors, step: int) -> tuple[Tensor, float]:
        seen = batch(rows, 1_000_003 * (request.encoder_seed + 1) + step)
        logs = call(tensors, seen.ids)[:, seen.warm :, :predicted].log_softmax(-1)
        each = -logs.gather(-1, seen.symbols[..., None])[..., 0]
        nats = each[seen.counted]
        if isinstance(text, Pairs):
            return nats.sum() / rows, 0.0
        with torch.no_grad():
            if _apart(units):
                variance = ((each * seen.counted).sum(1) / seen.counted.sum(1).clamp(min=1)).var(correction=0)
            else:
                entropies = -(logs.exp() * logs).sum(-1)[seen.counted]
                variance = ((nats - entropies) ** 2).mean()
        return nats.mean(), float(variance)

    return losses


def score_of(setup: LanguageSetup, way: Way, request: Request) -> Callable[[Tensor, int], Tensor]:
    """Return a function of w and the number of a window: gradient in w of the log-likelihood of drawn symbols.

    Divided by the root of how many losses the window has, so that outer products have the Fisher of one as their mean;
    an answer is one.
    """
    batch, predicted = batches_of(setup.text, setup.units, setup.window), setup.text.alphabet.predicted

    def score(w: Tensor, number: int) -> Tensor:
        seed = 1_000_003 * (request.encoder_seed + 1) + (1 << 40) + number
        seen, w = batch(1, seed), w.detach().requires_grad_()
        logs = way.call({"w": w}, seen.ids)[:, seen.warm :, :predicted].log_softmax(-1)[seen.counted]
        if not len(logs):
            return torch.zeros_like(w)
        generator = torch.Generator().manual_seed(seed)
        drawn = torch.multinomial(logs.detach().exp(), 1, generator=generator)
        losses = 1 if isinstance(setup.text, Pairs) else len(logs)
        (gradient,) = torch.autograd.grad(logs.gather(1, drawn).sum() / math.sqrt(losses), w)
        return gradient

    return score


def encode(
    setup: LanguageSetup, way: Way, request: Request, losses: Losses, plan: Plan, checkpoint: Checkpoint,
    progress: bool = True,
) -> list[Offer]:  # fmt: skip
    """Train, and return what is offered; in a subspace theta0 itself, to which nothing was added, as well.

    Raises: QuantizeError or SubspaceError where training diverges; StateError.
    """
    if way.projector is None or not _by_posterior(setup, way.projector.d, request, plan):
        train_lattices(way.lattices, losses, plan, checkpoint, progress)
        coded = [way.coded(way.lattices)]
    else:
        objective = Objective(
            lambda w, step: losses({"w": w}, step), score_of(setup, way, request), way.projector.d, plan.n,
            plan.price, plan.symbols,
        )  # fmt: skip
        found = encode_sequences(objective, settings_of(plan.steps), request.encoder_seed, checkpoint, progress)
        coded = [_offer(setup, request, way.projector, one) for one in found]
    start = [] if way.projector is None else [Offer(setup.spec, np.zeros(0, np.int32))]
    return start + coded


def _by_posterior(setup: LanguageSetup, d: int, request: Request, plan: Plan) -> bool:
    """Whether a subspace is encoded by a posterior: not in a short training, nor of answers, nor at a given rate.

    Half as many windows as steps tell the Fisher, which has no say about d directions where these are fewer.
    """
    asked = request.encoder == "posterior" and request.rate == Request().rate
    return asked and plan.steps >= max(POSTERIOR_STEPS, 2 * d) and not isinstance(setup.text, Pairs)


def _apart(units: Units | None) -> bool:
    return units is not None and units.apart


def _windows(
    text: Text, units: Units | None, rows: int, length: int, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Random windows (rows, length) of a text, and which symbols of them are to be predicted.

    Of documents and answers their beginnings, -1 after the end.
    """
    generator = torch.Generator().manual_seed(seed)
    length = min(length, text.n)
    if units is None or not units.apart:
        begins = torch.randint(0, text.n - length + 1, (rows,), generator=generator).tolist()
        out = np.stack([text.symbols(begin, begin + length) for begin in begins])
        return out, np.ones_like(out, bool)
    out, asked = np.full((rows, length), -1, np.int64), np.zeros((rows, length), bool)
    for row, place in enumerate(torch.randint(0, len(units.spans), (rows,), generator=generator).tolist()):
        begin, end = units.spans[place].tolist()
        found = text.symbols(begin, min(end, begin + length))
        out[row, : len(found)] = found
        asked[row, (0 if units.answers is None else int(units.answers[place]) - begin) : len(found)] = True
    return out, asked


def steps_a_pass(request: Request, setup: LanguageSetup) -> float:
    """Return how many steps of training pass over the text, or the pairs, once."""
    rows = request.batch or BATCH
    return setup.n / rows if isinstance(setup.text, Pairs) else setup.text.n / (rows * LENGTH)


def plan_of(
    request: Request, setup: LanguageSetup, way: Way, losses: Losses,
    checkpoint: Checkpoint,
) -> Plan:  # fmt: skip
    """Fix the number of steps, once for a run and those that go on with it."""

    def steps() -> list[int]:
        if request.budget is not None:
            return [max(10, int(60 * request.budget / seconds_a_step(way, losses)))]
        passes = PASSES if request.epochs is None else request.epochs
        wanted = round(passes * steps_a_pass(request, setup))
        return [max(10, wanted) if request.epochs is not None else min(max(wanted, LEAST_STEPS), MOST_STEPS)]

    rate = way.rate if request.rate == Request().rate else request.rate
    least = 1.0 if isinstance(setup.text, Pairs) else math.log(setup.text.alphabet.size / USUAL_ALPHA)
    symbols = (request.batch or BATCH) * LENGTH
    price = stream_price(setup.n, least)
    return Plan(checkpoint.note("steps", steps)[0], rate, setup.n, price, FIRST_VARIANCE, symbols, request.encoder_seed)


def one_step(way: Way, losses: Losses) -> None:
    """One step of training without the optimiser."""
    seen, _ = way.lattices.apply(True, torch.Generator().manual_seed(0))
    losses(seen, 0)[0].backward()


def seconds_a_step(way: Way, losses: Losses) -> float:
    """Return the seconds of a step on this machine, by a few of a training on a copy."""
    plan, copied = Plan(TIMED_STEPS, way.rate, 1, lambda *_: 0.0, 0.0), copy.deepcopy(way.lattices)
    return seconds_between(lambda seen: train_lattices(copied, seen, plan, Checkpoint(None, ""), False), losses)
