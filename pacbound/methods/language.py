"""Certify a language model: bits a symbol of a text, by every weight on lattices or a subspace around a checkpoint."""

import hashlib
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from ..certificate.language import LanguageCertificate
from ..data.inputs import check_repeats
from ..data.pairs import Pairs, check_pairs_apart, read_pairs
from ..data.texts import (
    Text,
    byte_range,
    character_start,
    check_text_apart,
    distinct_beginnings,
    map_symbols,
    map_text,
)
from ..distributed import refuse_several
from ..errors import RequestError
from ..models.language import is_whole, load_language_model
from ..networks.causality import check_causal, length_asked
from ..networks.checkpoints import checkpoint_base, file_digest
from ..networks.hypothesis import Base, make_base, make_zero_base
from ..networks.predictions import Predicted, answers_of, predict, units_of
from ..networks.trained import train_only
from ..pipeline.language import LanguageSetup, finish_language, record_of
from ..pipeline.language_start import TextSplit, seconds_a_step_of_start, steps_of_start, with_text_start
from ..pipeline.language_training import encode, losses_of, one_step, plan_of, seconds_a_step, steps_a_pass, way_of
from ..pipeline.language_tree import FIRST, contexts_looked_at, fit_language_tree, tree_order
from ..records import Record
from ..request.request import Request, refuse_options, trained_word
from ..specs.grammar import MAX_ORDER, is_described, parse
from ..specs.language import PredictionSpec, UnitsSpec, place_of_window
from ..specs.specs import SPLIT_PARTS, BaseOrigin, HypothesisSpec
from ..stages import Stages, clocked, counted
from ..threads import measured_threads, one_thread
from ..training.state import Checkpoint
from .work import methods_folder

READ = (
    "task", "data", "model", "test", "name", "delta", "checkpoint", "disjoint", "train", "tokenizer", "d", "projector",
    "layer_scale", "seed", "model_name", "budget", "epochs", "rate", "batch", "encoder",
    "encoder_seed", "statement", "alphabet",
    "held_out", "context", "stride", "positions", "separator", "repeats", "prior_share", "start_minutes",
)  # fmt: skip
ONLY_HERE = ("statement", "alphabet", "held_out", "context", "stride", "positions", "separator")
DEFAULT_DATA, DEFAULT_MODEL = "tinyshakespeare", "E16-gru48-L"
CONTEXT, STRIDE, POSITIONS = 256, 3, 100_000
SEPARATORS = {"documents": "\\n\\n", "answers": "\\n"}
TIMED_UNITS = 20_000
READ_OF_TREES = (
    "task", "data", "model", "test", "name", "delta", "disjoint", "seed", "model_name", "statement", "alphabet",
    "held_out", "context", "stride", "positions", "separator", "repeats",
)  # fmt: skip


class LanguageForecast(Record):
    """What a certification would do: symbols of the text, losses that the statement is about, D, d where there is a
    subspace, steps of training, and seconds on this machine and threads.

    Of a context tree D and seconds are known when it is fitted; contexts: of 1, 2, ... symbols, that it is chosen from.
    """

    text: str
    symbols: int
    losses: int
    model: str
    D: int | None
    d: int | None
    steps: int
    seconds: float | None
    threads: int
    contexts: tuple[int, ...] = ()


@one_thread()
def certify_language(
    request: Request, *, data_dir: str | Path | None = None, state: Path | None = None, progress: bool = True
) -> LanguageCertificate:
    """Train, code and certify a language model.

    Args: request: its options for language models. data_dir: folder of named texts. state: file that keeps an
        unfinished run; where it exists the run goes on from it. progress: show bars on a terminal.
    Raises: PacboundError with the reason of a refusal.
    """
    refuse_several("a language model")
    with counted() as times:
        return _certified(request, data_dir, state, progress, times)


def _certified(
    request: Request, data_dir: str | Path | None, state: Path | None, progress: bool, times: Stages
) -> LanguageCertificate:
    with clocked("preparation"):
        setup, split = prepare_language(request, data_dir, progress)
    beside = None if state is None else methods_folder(state) / "theta0"
    if (order := tree_order(request.model)) is not None:
        with clocked("training"):
            setup, tree = fit_language_tree(setup, order)
        made = finish_language(setup, [tree], times.seconds(), 1.0, (), progress)
        return _named(made, request)
    setup = with_text_start(setup, split, request, beside, progress)
    way = way_of(setup, request)
    checkpoint = Checkpoint(state, _key(request, setup))
    losses = losses_of(setup, way, request)
    with measured_threads(lambda: one_step(way, losses), checkpoint):
        with clocked("training"):
            plan = plan_of(request, setup, way, losses, checkpoint)
            offers = encode(setup, way, request, losses, plan, checkpoint, progress)
        passes = plan.steps / steps_a_pass(request, setup)
        made = finish_language(setup, offers, times.seconds(), passes, setup.base.notes, progress)
    return _named(made, request)


def _named(made: LanguageCertificate, request: Request) -> LanguageCertificate:
    return made if request.model_name is None else made.with_network(request.model_name)


@one_thread()
def forecast_language(request: Request, data_dir: str | Path | None = None) -> LanguageForecast:
    """Say what a certification would do, by timing a few steps and windows. Trains nothing and writes nothing.

    Raises: PacboundError as `certify_language` does.
    """
    setup, split = prepare_language(request, data_dir)
    if (order := tree_order(request.model)) is not None:
        return LanguageForecast(
            text=setup.text.name, symbols=setup.text.n, losses=setup.n, model=request.model, D=None, d=None, steps=0,
            seconds=None, threads=1, contexts=contexts_looked_at(setup, order),
        )  # fmt: skip
    way = way_of(setup, request)
    losses = losses_of(setup, way, request)
    with measured_threads(lambda: one_step(way, losses)):
        threads, plan = torch.get_num_threads(), plan_of(request, setup, way, losses, Checkpoint(None, ""))
        started = time.perf_counter()
        units = max(1, sum(len(block.lengths) if setup.units else block.lengths.sum() for block in _timed(setup)))
        counting = (time.perf_counter() - started) * setup.n / units
        step = seconds_a_step(way, losses)
    start = 0.0
    if split is not None:
        start = steps_of_start(setup, split, request) * seconds_a_step_of_start(setup, split, request)
    return LanguageForecast(
        text=setup.text.name,
        symbols=setup.text.n,
        losses=setup.n,
        model=setup.spec.model,
        D=setup.base.layout.D,
        d=None if way.projector is None else way.projector.d,
        steps=plan.steps,
        seconds=start + plan.steps * step + counting * (2 if way.projector is None else 3),
        threads=threads,
    )


def _timed(setup: LanguageSetup) -> list[Predicted]:
    network = setup.base.module.eval()
    return list(predict(network, setup.text, setup.window, setup.units, progress=False, most=TIMED_UNITS))


def prepare_language(
    request: Request, data_dir: str | Path | None = None, progress: bool = True
) -> tuple[LanguageSetup, TextSplit | None]:
    """Read the text and fix theta0, the units and the windows; of a split, what theta0 is to be trained on.

    Raises: PacboundError with the reason of a refusal.
    """
    _refuse(request)
    text, held_out, split = _texts(request, data_dir, progress)
    text = text if request.name is None else replace(text, name=request.name)
    source = DEFAULT_MODEL if request.model == "auto" else request.model
    source = source if tree_order(source) is None else FIRST
    named = request.checkpoint is None or request.model != "auto"
    if request.checkpoint is None and request.tokenizer is None:
        whole = text.listing() if split is None else _whole(text, split).listing()
        text = text.over(whole.alphabet)
        held_out = None if held_out is None else held_out.over(text.alphabet)
        split = None if split is None else replace(split, first=split.first.over(text.alphabet))
    if held_out is not None and not isinstance(text, Pairs):
        for part in (text,) if split is None else (text, split.first):
            check_text_apart(part, held_out)
    record = record_of(text)
    module, name = load_language_model(source if named else str(request.checkpoint), text.alphabet.predicted)
    window = _window(request, getattr(module, "context", None))
    base = _base(module, request)
    check_causal(base.module, text.alphabet.predicted, length_asked(name, window.window))
    spec = HypothesisSpec(
        model=name, layout_digest=base.layout.digest, base=base.origin, train=trained_word(request), layer_scale=False
    )
    units_spec = _units_spec(request, text, window)
    units = answers_of(text, window) if isinstance(text, Pairs) else units_of(text, units_spec)
    if isinstance(text, Pairs) and isinstance(held_out, Pairs):
        held_out.check_fit(window.window)
        check_pairs_apart(text, held_out, request.repeats)
    return LanguageSetup(text, record, held_out, base, spec, units_spec, units, window, request.delta), split


def _texts(request: Request, root: str | Path | None, progress: bool) -> tuple[Text, Text | None, TextSplit | None]:
    """The text of the statement, what is held out, and what stands before it for theta0."""
    data = DEFAULT_DATA if request.data == Request().data else request.data

    def read(source: str, begin: int = 0, count: int | None = None) -> Text:
        if request.statement == "answers":
            pairs = read_pairs(source, request.alphabet, request.tokenizer, _separator(request), root)
            check_repeats(len(pairs.spans), len(set(pairs.prompts())), "pairs", request.repeats)
            return pairs
        return map_symbols(source, request.alphabet, request.tokenizer, root, begin, count, progress)

    edge = 1 - (request.held_out or 0.0)
    held_out = None if request.test is None else read(request.test)
    if request.held_out is not None:
        held_out = read(data, *byte_range(data, root, (edge, 1.0)))
    if request.prior_share is not None:
        parts = min(max(round(SPLIT_PARTS * request.prior_share), 1), SPLIT_PARTS - 1)
        return _split(read, data, root, edge, parts, held_out)
    if request.held_out is None:
        return read(data), held_out, None
    return read(data, *byte_range(data, root, (0.0, edge))), held_out, None


def _split(
    read: Callable[[str, int, int | None], Text], data: str, root: str | Path | None, edge: float, parts: int,
    held_out: Text | None,
) -> tuple[Text, Text | None, TextSplit]:  # fmt: skip
    """The rest of a text, and its first `parts` 64ths of the bytes, both as they are read."""
    _, whole = byte_range(data, root, (0.0, edge))
    begin = character_start(data, root, whole * parts // SPLIT_PARTS)
    digest = map_text(data, "bytes", root, 0, whole).digest()
    split = TextSplit(read(data, 0, begin), whole, digest, parts)
    return read(data, begin, whole - begin), held_out, split


def _whole(text: Text, split: TextSplit) -> Text:
    """Bytes from the first of the first part to the last of the rest."""
    return replace(text, first=split.first.first, begin=split.first.begin, bytes_in_all=split.whole)


def _base(module: nn.Module, request: Request) -> Base:
    """theta0: zeros where every weight is coded, values drawn from the seed, or those of a checkpoint."""
    module = train_only(module, trained_word(request))
    buffers = tuple(name for name, _ in module.named_buffers())
    if request.checkpoint is None:
        around = request.d is not None or request.prior_share is not None
        return make_base(module, request.seed, buffers) if around else make_zero_base(module, buffers)
    if request.model != "auto":  # a described network, into which the file is read
        return checkpoint_base(module, request.checkpoint, frozen_buffers=buffers)
    base = make_base(module, None, buffers)
    origin = BaseOrigin(
        kind="checkpoint", sha256=file_digest(request.checkpoint), disjoint=True, values=base.origin.sha256
    )
    return Base(base.module, base.layout, origin, base.notes)


def _window(request: Request, most: int | None) -> PredictionSpec:
    """The windows that are asked for, with the first smoothing of the menu."""
    place = place_of_window(window_of(request.context, most))
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


def _units_spec(request: Request, text: Text, window: PredictionSpec) -> UnitsSpec:
    if request.statement == "positions":
        return UnitsSpec(statement="positions", count=request.positions or POSITIONS, seed=request.seed)
    if request.statement == "documents":
        separator = _separator(request)
        spans = text.documents(separator)
        distinct = distinct_beginnings(text, spans, window.window)
        check_repeats(len(spans), distinct, "documents", request.repeats)
        return UnitsSpec(
            statement="documents", separator=separator.hex(), distinct=distinct, repeats=request.repeats
        )  # fmt: skip
    if isinstance(text, Pairs):
        return UnitsSpec(
            statement="answers", separator=_separator(request).hex(), distinct=len(set(text.prompts())),
            repeats=request.repeats,
        )  # fmt: skip
    return UnitsSpec(statement="stream")


def _key(request: Request, setup: LanguageSetup) -> str:
    """Digest of all that determines the result, for resuming."""
    text = f"{request.model_dump_json()} {setup.record.digest} {setup.base.layout.digest} {setup.base.origin}"
    return hashlib.sha256(text.encode()).hexdigest()


def refuse_language_options(request: Request) -> None:
    """Refuse what only language models have a use for. Raises: RequestError."""
    if request.task == "lm":
        raise RequestError("certify: a language model is certified by pacbound.certify_language, or by --task lm.")
    refuse_options(request, ONLY_HERE, "goes with --task lm")


def _refuse(request: Request) -> None:
    """Refuse options of other tasks, and contradictions. Raises: RequestError."""
    default = Request()
    unread = (name for name in Request.model_fields if name not in READ)
    refuse_options(request, unread, "is not for language models (--task lm)")
    if request.checkpoint is not None and not request.disjoint:
        raise RequestError(
            "certify: a checkpoint is theta0 only where it never saw the text. Add --disjoint to say so; the "
            "certificate will print it."
        )
    if request.checkpoint is not None and request.model != "auto" and is_whole(request.checkpoint):
        raise RequestError(
            f"certify: this checkpoint of a language model says what network it is, got --model {request.model} as "
            "well. Leave it out."
        )
    if request.checkpoint is not None and not (is_whole(request.checkpoint) or is_described(request.model)):
        raise RequestError(
            "certify: a checkpoint of a language model is a .bin of llama2.c, a folder of transformers, or weights of "
            f"the network that --model describes, got {Path(request.checkpoint).name} with --model {request.model}. "
            "Describe its network, such as E16-gru32-L."
        )
    if is_described(request.model) and parse(request.model).is_tree:
        raise RequestError(
            f"certify: the contexts of a tree are found by --model tree4, got {request.model}. Give its order alone."
        )
    if (order := tree_order(request.model)) is not None:
        if not 1 <= order <= MAX_ORDER:
            raise RequestError(
                f"certify: a context tree has contexts of 1 to {MAX_ORDER} symbols, got {request.model}."
            )
        unread = (name for name in READ if name not in READ_OF_TREES)
        refuse_options(request, unread, "is not for a context tree, which is fitted to its text at once")
        if request.statement == "answers":
            raise RequestError("certify: a context tree is of a text, got --statement answers. Choose another network.")
    if request.encoder == "weights":
        refuse_options(request, ("d", "projector", "layer_scale"), "is of a subspace, and --encoder weights has none")
        if request.checkpoint is None and request.prior_share is None:
            raise RequestError(
                "certify: --encoder weights codes every weight around a checkpoint or --prior-share; around zeros they "
                "are coded as it is. Leave it out."
            )
    if request.disjoint and request.checkpoint is None:
        raise RequestError("certify: --disjoint is about a checkpoint, got none. Give --checkpoint, or leave it out.")
    if request.held_out is not None and request.test is not None:
        raise RequestError("certify: --held-out and --test both name held-out text. Give one of them.")
    if request.statement != "stream" and (request.held_out or request.stride):
        raise RequestError("certify: --held-out and --stride are for --statement stream. Leave them out.")
    if request.test is not None and request.statement not in ("stream", "answers"):
        raise RequestError("certify: --test is for --statement stream and answers. Leave it out.")
    if request.repeats is not None and request.statement not in ("documents", "answers"):
        raise RequestError("certify: --repeats is for --statement documents and answers. Leave it out.")
    if request.statement == "answers" and request.data == default.data:
        raise RequestError("certify: --statement answers is about a table of pairs, got none. Give it with --data.")
    if request.tokenizer is not None and request.alphabet != default.alphabet:
        raise RequestError("certify: symbols are those of --alphabet or of --tokenizer. Give one of them.")
    if (request.positions is not None) and request.statement != "positions":
        raise RequestError("certify: --positions is for --statement positions. Leave it out.")
    if request.separator is not None and request.statement not in SEPARATORS:
        raise RequestError("certify: --separator is for --statement documents and answers. Leave it out.")
    if request.prior_share is not None and request.statement != "stream":
        raise RequestError(
            "certify: --prior-share is for --statement stream, whose text has a beginning. Leave it out."
        )
    if request.prior_share is not None and request.train != default.train:
        raise RequestError("certify: --prior-share trains the whole network, got --train as well. Leave one out.")
    if request.start_minutes is not None and request.prior_share is None:
        raise RequestError("certify: --start-minutes are those of theta0 on a share of the text. Give --prior-share.")
    if request.encoder == "codebook":
        raise RequestError("certify: a language model is encoded by posterior or plain, got the encoder codebook.")
    if request.train != default.train and request.checkpoint is None and request.d is None:
        raise RequestError("certify: --train is for a checkpoint of a language model, or a subspace. Give --d as well.")
