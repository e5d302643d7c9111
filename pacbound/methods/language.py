"""Certify a language model: bits a symbol of a text, by every weight on lattices or a subspace around a checkpoint."""

import hashlib
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.func import functional_call

from ..bits.codes import fit_code
from ..certificate.language import LanguageCertificate
from ..data.inputs import check_repeats
from ..data.pairs import Pairs, check_pairs_apart, read_pairs
from ..data.texts import Text, byte_range, check_text_apart, map_text, map_tokens
from ..errors import RequestError
from ..models.language import load_language_model
from ..models.others import private_copy
from ..models.reference import initialise
from ..networks.causality import check_causal
from ..networks.checkpoints import file_digest
from ..networks.hypothesis import Base, make_base, make_subspace, make_zero_base
from ..networks.predictions import Predicted, Units, answers_of, predict, units_of
from ..networks.trained import train_only
from ..pipeline.language import LanguageSetup, Offer, finish_language
from ..quantize.lattice import step_index_for, to_lattice
from ..quantize.rates import lattice_coding
from ..quantize.tensors import nearest_step, step_size
from ..records import Record
from ..request.request import Request, parse_projector, trained_word
from ..specs.language import FIRST_CONTEXT, PredictionSpec, UnitsSpec
from ..specs.specs import BaseOrigin, HypothesisSpec, LatticeSpec
from ..specs.tensors import DirectSpec, TensorSpec
from ..training.lattices import Lattices, Plan, train_lattices
from ..training.state import Checkpoint
from ..training.threads import measured_threads

READ = (
    "task", "data", "model", "test", "name", "delta", "checkpoint", "disjoint", "train", "tokenizer", "d", "projector",
    "layer_scale", "seed", "model_name", "budget", "epochs", "rate", "batch", "encoder_seed", "statement", "alphabet",
    "held_out", "context", "stride", "positions", "separator", "repeats",
)  # fmt: skip
ONLY_HERE = ("statement", "alphabet", "held_out", "context", "stride", "positions", "separator")
DEFAULT_DATA, DEFAULT_MODEL = "tinyshakespeare", "E16-gru48-L"
CONTEXT, STRIDE, POSITIONS = 256, 3, 100_000
SEPARATORS = {"documents": "\\n\\n", "answers": "\\n"}
LENGTH, WARM = 64, 4  # symbols of a training window that count, and those before them that do not
BATCH = 32  # windows a step
PASSES, LEAST_STEPS, MOST_STEPS = 20.0, 500, 12_000
SUBSPACE = 512  # dimension around a checkpoint
WEIGHT_RATE, WEIGHT_STEP = 0.03, 0.05
COEFFICIENT_RATE, COEFFICIENT_STEP = 0.002, 0.004  # a coarser first step destroys what a checkpoint knows
VECTOR_UNIT = 0.5  # of biases and other vectors
TIMED_STEPS, TIMED_UNITS = 5, 20_000
USUAL_ALPHA = 0.03

Tensors = dict[str, Tensor]


class LanguageForecast(Record):
    """What a certification would do: symbols of the text, losses that the statement is about, D, d where there is a
    subspace, steps of training, and seconds on this machine.
    """

    text: str
    symbols: int
    losses: int
    model: str
    D: int
    d: int | None
    steps: int
    seconds: float


@dataclass(frozen=True)
class Way:
    """How a network is made of what is trained. call: tensors and ids -> logits. offers: what is coded in the end."""

    lattices: Lattices
    rate: float
    call: Callable[[Tensors, Tensor], Tensor]
    offers: Callable[[Lattices], list[Offer]]


def certify_language(
    request: Request, *, data_dir: str | Path | None = None, state: Path | None = None, progress: bool = True
) -> LanguageCertificate:
    """Train, code and certify a language model.

    Args: request: its options for language models. data_dir: folder of named texts. state: file that keeps an
        unfinished run; where it exists the run goes on from it. progress: show bars on a terminal.
    Raises: PacboundError with the reason of a refusal.
    """
    setup = prepare_language(request, data_dir, progress)
    started = time.monotonic()
    way = _way(setup, request)
    checkpoint = Checkpoint(state, _key(request, setup))
    losses = _losses(setup, way, request)
    with measured_threads(lambda: _step(way, losses, 0), checkpoint):
        plan = _plan(request, setup, way, losses, checkpoint)
        train_lattices(way.lattices, losses, plan, checkpoint, progress)
        seconds = {"training": time.monotonic() - started}
        passes = plan.steps / _steps_a_pass(request, setup)
        made = finish_language(setup, way.offers(way.lattices), seconds, passes, setup.base.notes, progress)
    return made if request.model_name is None else made.with_network(request.model_name)


def forecast_language(request: Request, data_dir: str | Path | None = None) -> LanguageForecast:
    """Say what a certification would do, by timing a few steps and windows. Trains nothing and writes nothing.

    Raises: PacboundError as `certify_language` does.
    """
    setup = prepare_language(request, data_dir)
    way = _way(setup, request)
    losses = _losses(setup, way, request)
    plan = _plan(request, setup, way, losses, Checkpoint(None, ""))
    started = time.perf_counter()
    units = max(1, sum(len(block.lengths) if setup.units else block.lengths.sum() for block in _timed(setup)))
    counting = (time.perf_counter() - started) * setup.n / units
    return LanguageForecast(
        text=setup.text.name,
        symbols=setup.text.n,
        losses=setup.n,
        model=setup.spec.model,
        D=setup.base.layout.D,
        d=way.lattices.entries["w"].numel() if "w" in way.lattices.entries else None,
        steps=plan.steps,
        seconds=plan.steps * _seconds_a_step(way, losses) + counting * (1 + len(way.offers(way.lattices))),
    )


def _timed(setup: LanguageSetup) -> list[Predicted]:
    network = setup.base.module.eval()
    return list(predict(network, setup.text, setup.window, setup.units, progress=False, most=TIMED_UNITS))


def prepare_language(request: Request, data_dir: str | Path | None = None, progress: bool = True) -> LanguageSetup:
    """Read the text and fix theta0, the units and the windows. Raises: PacboundError with the reason of a refusal."""
    _refuse(request)
    text, held_out = _texts(request, data_dir, progress)
    source = DEFAULT_MODEL if request.model == "auto" else request.model
    if request.checkpoint is None and request.tokenizer is None:
        text = text.listing()
        held_out = None if held_out is None else held_out.over(text.alphabet)
    if held_out is not None and not isinstance(text, Pairs):
        check_text_apart(text, held_out)
    module, name = load_language_model(request.checkpoint or source, text.alphabet.predicted)
    window = _window(request, getattr(module, "context", None))
    base = _base(module, request)
    check_causal(base.module, text.alphabet.predicted, min(window.window, 2 * LENGTH))
    spec = HypothesisSpec(
        model=name, layout_digest=base.layout.digest, base=base.origin, train=trained_word(request), layer_scale=False
    )
    units_spec = _units_spec(request, text)
    units = answers_of(text, window) if isinstance(text, Pairs) else units_of(text, units_spec)
    if isinstance(text, Pairs) and isinstance(held_out, Pairs):
        held_out.check_fit(window.window)
        check_pairs_apart(text, held_out, request.repeats)
    return LanguageSetup(text, held_out, base, spec, units_spec, units, window, request.delta)


def _texts(request: Request, root: str | Path | None, progress: bool) -> tuple[Text, Text | None]:
    data = DEFAULT_DATA if request.data == Request().data else request.data

    def read(source: str, begin: int = 0, count: int | None = None) -> Text:
        if request.statement == "answers":
            pairs = read_pairs(source, request.alphabet, request.tokenizer, _separator(request), root)
            check_repeats(len(pairs.spans), len(set(pairs.prompts())), "pairs", request.repeats)
            return pairs
        if request.tokenizer is not None:
            return map_tokens(source, request.tokenizer, root, begin, count, progress)
        return map_text(source, request.alphabet, root, begin, count)

    if request.held_out is None:
        return read(data), None if request.test is None else read(request.test)
    edge = 1 - request.held_out
    return read(data, *byte_range(data, root, (0.0, edge))), read(data, *byte_range(data, root, (edge, 1.0)))


def _base(module: nn.Module, request: Request) -> Base:
    """theta0: zeros where every weight is coded, values drawn from the seed, or those of a checkpoint."""
    module = train_only(module, trained_word(request))
    buffers = tuple(name for name, _ in module.named_buffers())
    if request.checkpoint is None:
        return make_zero_base(module, buffers) if request.d is None else make_base(module, request.seed, buffers)
    base = make_base(module, None, buffers)
    origin = BaseOrigin(
        kind="checkpoint", sha256=file_digest(request.checkpoint), disjoint=True, values=base.origin.sha256
    )
    return Base(base.module, base.layout, origin, base.notes)


def _window(request: Request, most: int | None) -> PredictionSpec:
    """The windows that are asked for, with the first smoothing of the menu."""
    place = window_of(request.context, most).bit_length() - 1 - FIRST_CONTEXT
    if request.statement == "stream":
        return PredictionSpec(alpha=0, kappa=0, context=place, stride=request.stride or STRIDE)
    return PredictionSpec(alpha=0, centre=0, context=place)


def window_of(asked: int | None, most: int | None) -> int:
    """Symbols in a window, by default what a network knows. most: of its positions. Raises: RequestError."""
    window = asked or min(CONTEXT, 1 << (most or CONTEXT).bit_length() - 1)
    if window & (window - 1):
        raise RequestError(f"certify: --context is a power of two, got {window}. Take {1 << window.bit_length() - 1}.")
    if most is not None and window > most:
        raise RequestError(f"certify: the network knows {most} positions, got --context {window}. Give a smaller one.")
    return window


def _separator(request: Request) -> bytes:
    """What stands between documents, or after an answer."""
    raw = request.separator or SEPARATORS[request.statement]
    return raw.replace("\\n", "\n").replace("\\t", "\t").encode("utf-8")


def _units_spec(request: Request, text: Text) -> UnitsSpec:
    if request.statement == "positions":
        return UnitsSpec(statement="positions", count=request.positions or POSITIONS, seed=request.seed)
    if request.statement == "documents":
        return UnitsSpec(statement="documents", separator=_separator(request).hex())
    if isinstance(text, Pairs):
        return UnitsSpec(
            statement="answers", separator=_separator(request).hex(), distinct=len(set(text.prompts())),
            repeats=request.repeats,
        )  # fmt: skip
    return UnitsSpec(statement="stream")


def _way(setup: LanguageSetup, request: Request) -> Way:
    return _every_weight(setup, request) if setup.base.origin.kind == "zero" else _subspace(setup, request)


def _every_weight(setup: LanguageSetup, request: Request) -> Way:
    """Every weight on a lattice of its tensor, around zero; training starts from the seed."""
    base, drawn = setup.base, private_copy(setup.base.module)
    initialise(drawn, request.seed)
    values = dict(drawn.named_parameters())
    start = {slot.name: values[slot.name].detach() for slot in base.layout.slots}
    units = {
        slot.name: math.sqrt(1 / slot.fan_in) if len(slot.shape) >= 2 else VECTOR_UNIT for slot in base.layout.slots
    }

    def offers(lattices: Lattices) -> list[Offer]:
        indices = {name: nearest_step(step) for name, step in lattices.steps().items()}
        integers = lattices.integers({name: step_size(index) for name, index in indices.items()})
        tensors, symbols = [], []
        for slot in base.layout.slots:
            tensor = TensorSpec(name=slot.name, shape=slot.shape)
            values = integers[slot.name].astype(np.int32)
            if not values.any():
                tensors.append(tensor)
                continue
            coding, coded = lattice_coding(values, indices[slot.name])
            tensors.append(tensor.model_copy(update={"coding": coding}))
            symbols.append(coded.reshape(-1))
        spec = setup.spec.model_copy(update={"quantizer": DirectSpec(tensors=tuple(tensors))})
        return [Offer(spec, np.concatenate([np.zeros(0, np.int32), *symbols]))]

    return Way(
        Lattices.around(start, units, WEIGHT_STEP),
        WEIGHT_RATE,
        lambda tensors, ids: functional_call(base.module, tensors, (ids,)),
        offers,
    )


def _subspace(setup: LanguageSetup, request: Request) -> Way:
    """Coefficients of a random subspace around theta0, on one lattice; theta0 itself is offered too."""
    d = min(request.d or SUBSPACE, setup.base.layout.D)
    projector = parse_projector(request.projector, setup.base.layout.D, d, request.seed)
    subspace = make_subspace(setup.base, projector, request.layer_scale)
    start = {"w": torch.zeros(projector.d)}

    def offers(lattices: Lattices) -> list[Offer]:
        lattice = LatticeSpec(step_index=step_index_for(min(1.0, lattices.steps()["w"])))
        symbols, levels = to_lattice(lattices.entries["w"].detach().numpy(), lattice)
        coded = {
            "projector": projector, "layer_scale": request.layer_scale, "quantizer": lattice,
            "code": fit_code(symbols, levels),
        }  # fmt: skip
        spec = HypothesisSpec.model_validate({**dict(setup.spec), **coded})
        return [Offer(setup.spec, np.zeros(0, np.int32)), Offer(spec, symbols)]

    return Way(
        Lattices.around(start, {"w": 1.0}, COEFFICIENT_STEP),
        COEFFICIENT_RATE,
        lambda tensors, ids: subspace.call_at(subspace.theta(tensors["w"]), ids),
        offers,
    )


def _losses(setup: LanguageSetup, way: Way, request: Request) -> Callable[[Tensors, int], tuple[Tensor, float]]:
    """Return the mean loss of random windows of the text, and its variance about the entropies of the predictions.

    Of answers it is the mean of the sums over an answer, which is ln 2 at least where the answer is not given; there
    the variance is left out, since the bound on errors has no such term.
    """
    text, rows, predicted = setup.text, request.batch or BATCH, setup.text.alphabet.predicted
    length = min(LENGTH, setup.window.window)
    if isinstance(text, Pairs):
        length = int((text.spans[:, 2] - text.spans[:, 0]).max())
    warm = 0 if _apart(setup.units) else min(WARM, setup.window.window - length)

    def losses(tensors: Tensors, step: int) -> tuple[Tensor, float]:
        seed = 1_000_003 * (request.encoder_seed + 1) + step
        symbols, asked = _windows(text, setup.units, rows, length + warm, seed)
        known = np.where((symbols >= 0) & (symbols < predicted), symbols, text.alphabet.start)
        first = np.full((len(known), 1), text.alphabet.start)
        ids, y = torch.from_numpy(np.concatenate([first, known[:, :-1]], axis=1)), torch.from_numpy(symbols)
        logs = way.call(tensors, ids)[:, warm:, :predicted].log_softmax(-1)
        target = y[:, warm:].clamp(0, predicted - 1)
        counted = torch.from_numpy(asked)[:, warm:] & (y[:, warm:] >= 0) & (y[:, warm:] < predicted)
        nats = -logs.gather(-1, target[..., None])[..., 0][counted]
        if isinstance(text, Pairs):
            return nats.sum() / rows, 0.0
        with torch.no_grad():
            entropies = -(logs.exp() * logs).sum(-1)[counted]
            variance = float(((nats - entropies) ** 2).mean())
        return nats.mean(), variance

    return losses


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


def _steps_a_pass(request: Request, setup: LanguageSetup) -> float:
    rows = request.batch or BATCH
    return setup.n / rows if isinstance(setup.text, Pairs) else setup.text.n / (rows * LENGTH)


def _plan(
    request: Request, setup: LanguageSetup, way: Way, losses: Callable[[Tensors, int], tuple[Tensor, float]],
    checkpoint: Checkpoint,
) -> Plan:  # fmt: skip
    """Fix the number of steps, once for a run and those that go on with it."""

    def steps() -> list[int]:
        if request.budget is not None:
            return [max(10, int(60 * request.budget / _seconds_a_step(way, losses)))]
        passes = PASSES if request.epochs is None else request.epochs
        wanted = round(passes * _steps_a_pass(request, setup))
        return [max(10, wanted) if request.epochs is not None else min(max(wanted, LEAST_STEPS), MOST_STEPS)]

    rate = way.rate if request.rate == Request().rate else request.rate
    least = 1.0 if isinstance(setup.text, Pairs) else math.log(setup.text.alphabet.size / USUAL_ALPHA)
    symbols = (request.batch or BATCH) * LENGTH
    return Plan(checkpoint.note("steps", steps)[0], rate, setup.n, least, symbols, request.encoder_seed)


def _step(way: Way, losses: Callable[[Tensors, int], tuple[Tensor, float]], step: int) -> None:
    """One step of training without the optimiser."""
    seen, _ = way.lattices.apply(True, torch.Generator().manual_seed(0))
    losses(seen, step)[0].backward()


def _seconds_a_step(way: Way, losses: Callable[[Tensors, int], tuple[Tensor, float]]) -> float:
    times = []
    for step in range(TIMED_STEPS):
        started = time.perf_counter()
        _step(way, losses, step)
        times.append(time.perf_counter() - started)
    return sorted(times)[TIMED_STEPS // 2] * 1.1


def _key(request: Request, setup: LanguageSetup) -> str:
    """Digest of all that determines the result, for resuming."""
    text = f"{request.model_dump_json()} {setup.text.digest()} {setup.base.layout.digest} {setup.base.origin}"
    return hashlib.sha256(text.encode()).hexdigest()


def refuse_language_options(request: Request) -> None:
    """Refuse what only language models have a use for. Raises: RequestError."""
    default = Request()
    if request.task != default.task:
        raise RequestError("certify: a language model is certified by pacbound.certify_language, or by --task lm.")
    for name in ONLY_HERE:
        if getattr(request, name) != getattr(default, name):
            raise RequestError(f"certify: --{name.replace('_', '-')} goes with --task lm. Leave it out.")


def _refuse(request: Request) -> None:
    """Refuse options of other tasks, and contradictions. Raises: RequestError."""
    default = Request()
    for name in Request.model_fields:
        if name not in READ and getattr(request, name) != getattr(default, name):
            option = name.replace("_", "-")
            raise RequestError(f"certify: --{option} is not for language models (--task lm). Leave it out.")
    if request.checkpoint is not None and not request.disjoint:
        raise RequestError(
            "certify: a checkpoint is theta0 only where it never saw the text. Add --disjoint to say so; the "
            "certificate will print it."
        )
    if request.checkpoint is not None and request.model != "auto":
        raise RequestError(
            f"certify: a checkpoint of a language model says what network it is, got --model {request.model} as well. "
            "Leave it out."
        )
    if request.disjoint and request.checkpoint is None:
        raise RequestError("certify: --disjoint is about a checkpoint, got none. Give --checkpoint, or leave it out.")
    if request.held_out is not None and request.test is not None:
        raise RequestError("certify: --held-out and --test both name held-out text. Give one of them.")
    if request.statement != "stream" and (request.held_out or request.stride):
        raise RequestError("certify: --held-out and --stride are for --statement stream. Leave them out.")
    if request.test is not None and request.statement not in ("stream", "answers"):
        raise RequestError("certify: --test is for --statement stream and answers. Leave it out.")
    if request.repeats is not None and request.statement != "answers":
        raise RequestError("certify: --repeats is for --statement answers. Leave it out.")
    if request.statement == "answers" and request.data == default.data:
        raise RequestError("certify: --statement answers is about a table of pairs, got none. Give it with --data.")
    if request.tokenizer is not None and request.alphabet != default.alphabet:
        raise RequestError("certify: symbols are those of --alphabet or of --tokenizer. Give one of them.")
    if (request.positions is not None) and request.statement != "positions":
        raise RequestError("certify: --positions is for --statement positions. Leave it out.")
    if request.separator is not None and request.statement not in SEPARATORS:
        raise RequestError("certify: --separator is for --statement documents and answers. Leave it out.")
    if request.train != default.train and request.checkpoint is None:
        raise RequestError("certify: --train is for a checkpoint of a language model. Leave it out.")
