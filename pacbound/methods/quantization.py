"""Method quantization-loss: what a quantized network loses at most, against the network that it was made from.

Both are fixed before the data are seen, so that nothing is coded; the differences of their losses on held-out data are
bounded as any losses are, each version of a list at once.
"""

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from torch import nn

from ..bounds.losses import LossSums
from ..certificate.difference import FILE, MOST_VERSIONS, DifferenceCertificate, VersionRow
from ..certificate.parts import OriginalNetwork
from ..data.examples import Examples
from ..data.registry import load_any
from ..data.texts import Text, byte_range, map_symbols
from ..distributed import refuse_several
from ..errors import ModelError, RequestError
from ..models.loading import network_for, treatment
from ..models.others import failures
from ..networks.differences import difference_sums, example_difference_sums
from ..networks.original import Original, check_answers, load_original
from ..networks.passes import BATCH
from ..networks.risk import LOSSES
from ..networks.versioned import check_language, read_language_file, values_of
from ..pipeline.finish import environment
from ..pipeline.language import record_of, still_record_of
from ..pipeline.preparation import describe
from ..quantize.versions import check_quantizer, quantized_version
from ..request.request import Request, refuse_options
from ..specs.language import ALPHAS, PredictionSpec, place_of_window
from ..threads import one_thread
from .language import STRIDE, window_of

METHOD = "quantization-loss"
ONLY_HERE = ("reference", "quantize", "smoothing")
READ = ("method", "task", "data", "delta", "reference", "checkpoint", "quantize", "disjoint")
READ_OF_TEXTS = ("tokenizer", "alphabet", "held_out", "context", "stride", "smoothing")
READ_OF_EXAMPLES = (
    "model", "name", "loss", "preprocess", "rename", "key", "text_column", "label_column", "encoding", "layout",
    "classes", "repeats",
)  # fmt: skip
USUAL_ALPHA = 0.1


@one_thread()
def certify_quantization(
    request: Request, *, data_dir: str | Path | None = None, progress: bool = True
) -> DifferenceCertificate:
    """Certify what a second file, and quantized versions of the reference, lose against the reference at most.

    Args: request: --reference, --checkpoint and --quantize say which networks; with --model they are classifiers, else
        language models. data_dir: folder of named data. progress: show bars on a terminal.
    Raises: PacboundError with the reason of a refusal.
    """
    refuse_several(f"method {METHOD}")
    _refuse(request)
    with failures("certify"):  # the networks may be somebody else's
        return _of_examples(request, data_dir) if _classifies(request) else _of_text(request, data_dir, progress)


def refuse_quantization_options(request: Request) -> None:
    """Refuse what only this method has a use for. Raises: RequestError."""
    if request.method == METHOD:
        raise RequestError(
            f"certify: the method {METHOD} trains nothing and has no plan or sweep; in Python it is "
            "pacbound.certify_quantization."
        )
    refuse_options(request, ONLY_HERE, f"goes with --method {METHOD}")


def _classifies(request: Request) -> bool:
    return request.task != "lm" and request.model != "auto"


def _refuse(request: Request) -> None:
    """Refuse options that are not read, and contradictions. Raises: RequestError."""
    default, of_examples = Request(), _classifies(request)
    read = (*READ, *(READ_OF_EXAMPLES if of_examples else READ_OF_TEXTS))
    what = "classifiers" if of_examples else "language models (classifiers have a --model)"
    unread = (name for name in Request.model_fields if name not in read)
    refuse_options(request, unread, f"is not for --method {METHOD} of {what}")
    if request.reference is None:
        raise RequestError(f"certify: --method {METHOD} compares with a network, got none. Give --reference FILE.")
    if request.checkpoint is None and not request.quantize:
        raise RequestError(
            f"certify: --method {METHOD} is about a quantized network, got none. Give its file with --checkpoint, or "
            "quantizers of the reference with --quantize, such as int8,nf4,lattice@4."
        )
    if len(set(request.quantize)) < len(request.quantize) or len(request.quantize) >= MOST_VERSIONS:
        raise RequestError(
            f"certify: --quantize names at most {MOST_VERSIONS - 1} different quantizers, got "
            f"{', '.join(request.quantize)}."
        )
    for name in request.quantize:
        check_quantizer(name)
    if not request.disjoint:
        raise RequestError(
            "certify: what a version loses is measured on data that nobody looked at before the networks and all "
            "options were fixed. Add --disjoint to say so; the certificate will print it."
        )
    if request.data == default.data and not of_examples:
        raise RequestError("certify: held-out text is needed, got none. Give --data FILE.")
    if of_examples and request.loss not in LOSSES:
        raise RequestError(f"certify: a loss of --method {METHOD} is one of {', '.join(LOSSES)}, got {request.loss!r}.")
    if not of_examples and request.smoothing not in (None, *ALPHAS):
        menu = ", ".join(f"{alpha:g}" for alpha in ALPHAS)
        raise RequestError(f"certify: --smoothing is one of {menu}, got {request.smoothing:g}.")
    if not of_examples and request.tokenizer is not None and request.alphabet != default.alphabet:
        raise RequestError("certify: symbols are those of --alphabet or of --tokenizer. Give one of them.")


def _of_text(request: Request, root: str | Path | None, progress: bool) -> DifferenceCertificate:
    assert request.reference is not None
    started = time.monotonic()
    text = _text(request, root, progress)
    seen = record_of(text)
    reference, record = read_language_file(request.reference, text)
    second = None if request.checkpoint is None else read_language_file(request.checkpoint, text)
    networks = [reference] if second is None else [reference, second[0]]
    known = [network.vocabulary for network in networks]
    if len(set(known)) > 1:
        raise ModelError(
            f"certify: a version knows the symbols of its reference, {known[0]}, got {known[1]}. Give two networks of "
            "one tokenizer."
        )
    prediction = _prediction(request, [getattr(network, "context", None) for network in networks])
    check_language(networks, text, prediction)

    def count(network: nn.Module) -> LossSums:
        return difference_sums(network, reference, text, prediction, progress=progress)

    return DifferenceCertificate.issue(
        reference=record,
        versions=_rows(request, reference, second, count),
        delta=request.delta,
        text=still_record_of(text, seen),
        prediction=prediction,
        environment=environment({"counting": time.monotonic() - started}, 0),
    )


def _of_examples(request: Request, root: str | Path | None) -> DifferenceCertificate:
    assert request.reference is not None
    started = time.monotonic()
    examples = load_any(request.data, root, reading=request.reading)
    reference = _classifier(request, request.reference, examples)
    second = None if request.checkpoint is None else _classifier(request, request.checkpoint, examples)

    def count(network: nn.Module) -> LossSums:
        return example_difference_sums(Original(network, reference.record), reference, examples, request.loss)

    return DifferenceCertificate.issue(
        reference=reference.record,
        versions=_rows(request, reference.module, None if second is None else (second.module, second.record), count),
        delta=request.delta,
        data=describe(examples, repeats=request.repeats),
        loss=request.loss,
        environment=environment({"counting": time.monotonic() - started}, 0, reference.notes),
    )


def _rows(
    request: Request, reference: nn.Module, second: tuple[nn.Module, OriginalNetwork] | None,
    count: Callable[[nn.Module], LossSums],
) -> tuple[VersionRow, ...]:  # fmt: skip
    """Count the differences of the second file, if any, and of each quantizer's version; bounds are set later."""
    rows = []
    if second is not None:
        network, record = second
        rows.append(VersionRow(name=FILE, sha256=record.sha256, values=record.values, losses=count(network), value=0.0))
    for name in request.quantize:
        version = quantized_version(reference, name)
        rows.append(
            VersionRow(
                name=name, values=values_of(version.network), bits=version.bits, parameters=version.parameters,
                losses=count(version.network), value=0.0,
            )
        )  # fmt: skip
    return tuple(rows)


def _text(request: Request, root: str | Path | None, progress: bool) -> Text:
    """The text, or with --held-out its last share."""
    share = 1.0 if request.held_out is None else request.held_out
    begin, count = byte_range(request.data, root, (1 - share, 1.0))
    return map_symbols(request.data, request.alphabet, request.tokenizer, root, begin, count, progress)


def _prediction(request: Request, contexts: Sequence[int | None]) -> PredictionSpec:
    known = [context for context in contexts if context is not None]
    window = window_of(request.context, min(known, default=None))
    alpha = ALPHAS.index(USUAL_ALPHA if request.smoothing is None else request.smoothing)
    return PredictionSpec(
        alpha=alpha, kappa=0, context=place_of_window(window), stride=request.stride or STRIDE
    )  # fmt: skip


def _classifier(request: Request, file: str, examples: Examples) -> Original:
    spec = treatment(request.model, examples.preprocess, request.preprocess)
    module, name = network_for(request.model, examples.x, spec, examples.classes)
    made = load_original(module, name, file, request.rename, spec, request.key)
    check_answers(made, examples.x[:BATCH], examples.classes)
    return made
