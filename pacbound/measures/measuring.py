"""Measure a network: one in memory, a checkpoint, or the one that a certificate decodes to.

Measures stand beside the bound and carry no probability. One that does not apply to a network is named with the
reason, never given as 0.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field

from ..bounds.claims import Bound, Measure
from ..certificate.recheck import recheck_arithmetic
from ..certificate.schema import Certificate
from ..errors import CertificateError, DataError, ModelError, PacboundError, RequestError
from ..progress import hidden, tqdm
from ..records import Record
from ..request.reading import Reading
from ..specs.grammar import OWN_NETWORK, is_described
from ..specs.picks import PicksSpec
from ..specs.specs import BaseOrigin, DrawSpec, HypothesisSpec, PreprocessSpec
from ..threads import measured_threads, one_thread

if TYPE_CHECKING:
    from torch import Tensor, nn

    from ..data.examples import Examples

SHAPES: dict[str, tuple[int, ...]] = {
    "digits": (1, 8, 8), "mnist": (1, 28, 28), "fashion-mnist": (1, 28, 28), "cifar10": (3, 32, 32),
}  # fmt: skip
PLOT_COLUMNS = 2
PRODUCT = 512  # side of the matrices whose product says how many threads are faster
LABEL_INCHES = 0.12  # of a layer in a plot, so that each one is named


class Measured(Record):
    """What was measured of a network, and what could not be.

    model: its name. measures: in the order of the table. refused: measure -> why it does not apply, or why no more of
    its figures do. skipped: part of the network with parameters that is no linear layer, and so in no measure of
    layers -> why. bounds: on the risk of the network itself, each with probability 1 - delta by itself.
    """

    model: str
    measures: tuple[Measure, ...]
    refused: dict[str, str] = Field(default={})
    skipped: dict[str, str] = Field(default={})
    bounds: tuple[Bound, ...] = ()


@dataclass(frozen=True, eq=False)
class _Subject:
    """A network ready to be measured: one example, a sample where there is one, its start and its code where known."""

    name: str
    module: "nn.Module"
    example: "Tensor"
    sample: "tuple[Tensor, Tensor] | None"
    start: "nn.Module | None"
    spec: HypothesisSpec | None = None


@dataclass(frozen=True)
class _Weights:
    """Where a certificate's theta0 lies, how names in a checkpoint are mapped, and which of its state dicts is read."""

    checkpoint: str | Path | None
    rename: tuple[str, ...]
    key: str | None


@dataclass(frozen=True)
class _Treatment:
    """What is done to inputs, as an expression, and the files for it."""

    preprocess: str
    tokenizer: str | Path | None
    standardise: str | Path | None

    def spec(self, name: str, examples: "Examples") -> PreprocessSpec:
        """Of a network's examples; loads the files."""
        from ..models.loading import treatment

        return treatment(name, examples.preprocess, self.preprocess, self.tokenizer, self.standardise)

    def load(self, stated: PreprocessSpec, examples: "Examples | None", origin: BaseOrigin) -> None:
        """Load what the inputs of a certificate's network are read by, as far as it is at hand."""
        from ..data.columns import learn_constants, load_constants
        from ..data.split import split_examples
        from ..data.tokens import load_tokenizer

        if stated.name == "tokens" and self.tokenizer is not None:
            load_tokenizer(self.tokenizer)
        if stated.name == "columns" and self.standardise is not None:
            load_constants(self.standardise)
        if stated.name == "learned" and examples is not None and origin.split is not None:
            learn_constants(split_examples(examples, origin.split.seed, origin.split.parts).first.x)


@one_thread()
def measure(
    source: "nn.Module | Certificate | str | Path",
    model: "nn.Module | str | None" = None,
    data: object = None,
    measures: Sequence[str] = (),
    input_shape: Sequence[int] | None = None,
    data_dir: str | Path | None = None,
    checkpoint: str | Path | None = None,
    rename: Sequence[str] = (),
    key: str | None = None,
    bounds: bool = False,
    reading: Reading | None = None,
    preprocess: str = "auto",
    tokenizer: str | Path | None = None,
    standardise: str | Path | None = None,
) -> Measured:
    """Measure stable ranks, redundancy (K/R), Rademacher capacity, covering numbers, tangent kernel and flatness.

    Args: source: a network in memory; a certificate, as a record or a .json file, whose decoded network is measured;
        or a checkpoint (.safetensors, or a torch file of plain tensors). model: the architecture of a checkpoint or
        of a user's certificate, as an nn.Module or what `--model` takes. data: Examples, tensors, a data set, or
        what `--data` takes. measures: names of the table, by default all. input_shape: of one example, where no data
        and no data set tells it. data_dir: the folder of named data sets. checkpoint: the file that a certificate's
        theta0 comes from, where it names one. rename: rules REGEX=REPLACEMENT for the names in a checkpoint. key: of
        the state dict in a file of several. bounds: count functions for bounds on the risk too (see guarantees.py),
        which need the sample that the network was trained on. reading, preprocess, tokenizer, standardise: how the data
        are read, as for certify; what is done to inputs a certificate says itself.
    Raises: RequestError for an unknown measure, for bounds without data, or where the size of the inputs is not known;
        ModelError, DataError, CertificateError where something cannot be loaded; ModelError where no measure applies,
        or for TorchScript.
    """
    from ..data.registry import load_any
    from ..models.others import failures, private_copy
    from . import MEASURES

    unknown = [name for name in measures if name not in MEASURES]
    if unknown:
        raise RequestError(f"measure: measures are {', '.join(MEASURES)}, got {', '.join(unknown)}.")
    if bounds and data is None:
        raise RequestError("measure: bounds are on the risk of the data's distribution, got no data. Give --data.")
    examples = None if data is None else load_any(data, data_dir, reading=reading or Reading())
    weights, treated = _Weights(checkpoint, tuple(rename), key), _Treatment(preprocess, tokenizer, standardise)
    subject = _subject(source, model, examples, input_shape, weights, treated)
    found: list[Measure] = []
    refused: dict[str, str] = {}
    private_copy(subject.module)  # refuses what no measure can read
    with measured_threads(_product):
        for name in tqdm(measures or tuple(MEASURES), desc="measures", unit="measure", delay=2, disable=hidden()):
            try:
                with failures("measure"):
                    for one in _one(name, subject):
                        found.append(one)
            except PacboundError as why:
                refused[name] = str(why)
    if not found:
        reasons = "; ".join(f"{name}: {why}" for name, why in refused.items())
        raise ModelError(f"measure: none of the measures applies to {subject.name}. {reasons}")
    proved = _bounds(subject, refused) if bounds else ()
    skipped = _skipped(subject)
    return Measured(model=subject.name, measures=tuple(found), refused=refused, skipped=skipped, bounds=proved)


def attach(certificate: Certificate, measured: Measured) -> Certificate:
    """Issue a certificate again with measures of its decoded network; those of the same name are replaced.

    Raises: CertificateError where it does not stand: a fresh digest would hide that.
    """
    last = recheck_arithmetic(certificate)[-1]
    if last.complaint is not None:
        raise CertificateError(
            f"attach: the certificate stands before measures are attached, got {last.check}: {last.complaint}. "
            "Certify again."
        )
    new = {found.name for found in measured.measures}
    kept = tuple(old for old in certificate.measures if old.name not in new)
    return certificate.with_measures(kept + measured.measures)


def plot(measured: Measured, path: str | Path) -> None:
    """Draw every measure that has values per layer as bars, into an SVG file.

    Raises: RequestError where matplotlib is missing, the name does not end in .svg, or nothing is per layer.
    """
    shown = [one for one in measured.measures if one.per_layer]
    if Path(path).suffix != ".svg" or not shown:
        raise RequestError(
            "plot: a file that ends in .svg and at least one measure per layer are needed, "
            f"got {Path(path).name!r} and {len(shown)} measures."
        )
    try:
        import matplotlib
        from matplotlib.figure import Figure
    except ImportError:
        raise RequestError("plot: matplotlib is not installed. Install pacbound[report].") from None
    rows = -(-len(shown) // PLOT_COLUMNS)
    with matplotlib.rc_context({"svg.hashsalt": "pacbound", "font.size": 8}):
        tallest = max(2.6, max(LABEL_INCHES * len(one.per_layer) for one in shown))
        figure = Figure(figsize=(10, tallest * rows), layout="constrained")
        figure.suptitle(measured.model)
        for axes, one in zip(figure.subplots(rows, PLOT_COLUMNS, squeeze=False).flat, shown, strict=False):
            names = [f"layer {name}" if name.isdecimal() else name for name in one.per_layer]
            axes.barh(range(len(names)), list(one.per_layer.values()))
            axes.set_yticks(range(len(names)), names, fontsize=6)
            axes.invert_yaxis()  # the first layer on top
            axes.set_title(f"{one.name} ({one.unit})", fontsize=8)
        for axes in figure.axes[len(shown) :]:
            axes.remove()
        try:
            figure.savefig(path, format="svg", metadata={"Date": None})
        except OSError as why:
            raise RequestError(f"plot: {Path(path).name!r} could not be written ({why.strerror}).") from None


def _product() -> None:
    """What measures of layers mostly compute."""
    import torch

    matrix = torch.ones(PRODUCT, PRODUCT, dtype=torch.float64)
    matrix @ matrix


def _one(name: str, subject: _Subject) -> Iterable[Measure]:
    from . import MEASURES

    if name == "rademacher":
        from .rademacher.rademacher import measure_rademacher

        return measure_rademacher(subject.module, subject.example, subject.sample, subject.start)
    if name == "flatness" and subject.start is not None and subject.spec is not None and subject.sample is not None:
        from .flatness import measure_flatness

        return [measure_flatness(subject.module, subject.start, subject.spec, subject.sample[0])]
    if name == "ntk" and subject.sample is None:
        raise ModelError("ntk: the kernel is one of examples, got none. Give --data.")
    return MEASURES[name](subject.module, subject.example, subject.sample)


def _bounds(subject: _Subject, refused: dict[str, str]) -> tuple[Bound, ...]:
    """The bounds that apply; why others do not goes into `refused`."""
    from ..models.others import failures
    from .guarantees import GUARANTEES

    proved: list[Bound] = []
    for name, function in GUARANTEES.items():
        try:
            with failures("measure"):
                if subject.sample is not None:
                    proved.append(function(subject.module, subject.sample))
        except PacboundError as why:
            refused[name] = str(why)
    return tuple(proved)


def _skipped(subject: _Subject) -> dict[str, str]:
    from .layers.layers import layers_of

    try:
        return {part.name: part.reason for part in layers_of(subject.module, subject.example).skipped}
    except Exception:  # the network does not run on one example, which the measures of layers have said
        return {}


def _subject(
    source: object,
    model: object,
    examples: "Examples | None",
    input_shape: Sequence[int] | None,
    weights: _Weights,
    treated: _Treatment,
) -> _Subject:
    from torch import nn

    from ..models.foreign import from_hub

    if isinstance(source, nn.Module):
        return _in_memory(source, examples, input_shape, treated)
    if isinstance(source, Certificate):
        return _decoded(source, model, examples, input_shape, weights, treated)
    if not isinstance(source, str | Path) or not Path(source).exists():
        raise RequestError(
            f"measure: the source is a network, a certificate, or a file or folder with one, got {str(source)[:80]!r}, "
            f"which is none of these. Check the path.{from_hub(str(source))}"
        )
    if Path(source).suffix == ".json" and not str(source).endswith(".index.json"):  # an index of shards is weights
        return _decoded(Certificate.load(source), model, examples, input_shape, weights, treated)
    return _checkpoint(Path(source), model, examples, input_shape, weights, treated)


def _in_memory(
    module: "nn.Module", examples: "Examples | None", shape: Sequence[int] | None, treated: _Treatment
) -> _Subject:
    from ..models.classifiers import as_classifier
    from ..models.others import refuse_wrapped

    refuse_wrapped(module)
    sample = None if examples is None else _read(examples, treated.spec(OWN_NETWORK, examples))
    example = _example(_shape(examples, shape, None), sample)
    return _Subject(type(module).__name__, as_classifier(module, example), example, sample, None)


def _checkpoint(
    path: Path,
    model: object,
    examples: "Examples | None",
    shape: Sequence[int] | None,
    weights: _Weights,
    treated: _Treatment,
) -> _Subject:
    from torch import nn

    from ..models.classifiers import TextEncoder
    from ..models.foreign import FOLDER, holds_network
    from ..models.others import private_copy
    from ..networks.checkpoints import load_checkpoint, outputs_in

    if model is None and holds_network(path):
        model = f"{FOLDER}{path}"  # the folder says which network it holds
    if model is None:
        raise RequestError("measure: a checkpoint holds numbers only; name its network with --model.")
    name = type(model).__name__ if isinstance(model, nn.Module) else str(model)
    sizes = _shape(examples, shape, None)
    sample = None if examples is None else _read(examples, treated.spec(name, examples))
    sizes = sizes if sample is None else tuple(sample[0].shape[1:])  # as the network reads them
    if isinstance(model, nn.Module):
        module = private_copy(model)
    else:
        classes = 2 if examples is None else examples.classes
        if examples is None and (is_described(name) or name.startswith(FOLDER)):
            classes = outputs_in(path, _named(name, sizes, classes), weights.rename, weights.key) or classes
        module = _named(name, sizes, classes)
    if isinstance(module, TextEncoder):
        module.head = nn.Identity()  # its folder holds none
    load_checkpoint(module, path, weights.rename, key=weights.key)
    module.eval()
    return _Subject(name, module, _example(sizes, sample), sample, None)


def _decoded(
    certificate: Certificate,
    model: object,
    examples: "Examples | None",
    shape: Sequence[int] | None,
    weights: _Weights,
    treated: _Treatment,
) -> _Subject:
    """The network that a receiver rebuilds, its theta0 as start, and the sample only where it is the certified one."""
    import torch
    from torch import nn

    from ..data.preprocess import shape_after
    from ..data.split import certified_part
    from ..networks.checkpoints import rebuild_base
    from ..networks.hypothesis import Hypothesis
    from ..networks.trained import train_only

    stated, origin = certificate.data, certificate.hypothesis.base
    treated.load(certificate.hypothesis.preprocess, examples, origin)
    examples = None if examples is None else certified_part(examples, origin.split)
    if examples is not None and examples.digest() != stated.digest:
        raise DataError(
            f"measure: the certificate is about data with digest {stated.digest[:12]}, got {examples.digest()[:12]}. "
            "Give the sample that it names."
        )
    sizes = _shape(examples, shape, stated.name)
    name = certificate.hypothesis.model
    if model is None and name == OWN_NETWORK:
        raise RequestError("measure: this certificate is about a network of its author's; name it with --model.")
    read = shape_after(torch.zeros(1, *sizes, dtype=torch.uint8), certificate.hypothesis.preprocess)
    module = model if isinstance(model, nn.Module) else _named(str(model or name), read, stated.classes)
    theta0 = None if origin.split is None else certificate.theta0()
    module = train_only(module, certificate.hypothesis.train)
    base = rebuild_base(module, origin, weights.checkpoint, weights.rename, theta0, weights.key)
    has_file = isinstance(certificate.hypothesis.quantizer, DrawSpec | PicksSpec)
    beside = certificate.beside() if has_file else None
    hypothesis = Hypothesis.unpack(certificate.payload(), certificate.hypothesis, base, beside)
    sample = None if examples is None else _read(examples, hypothesis.preprocess)
    return _Subject(name, hypothesis.network(), _example(sizes, sample), sample, base.module, hypothesis.spec)


def _named(name: str, shape: tuple[int, ...], classes: int) -> "nn.Module":
    from ..models.loading import load_model

    return load_model(name, shape, classes)[0]


def _shape(examples: "Examples | None", shape: Sequence[int] | None, name: str | None) -> tuple[int, ...]:
    """Shape of one example. Raises: RequestError where nothing tells it, or two sources disagree."""
    told = examples.shape if examples is not None else SHAPES.get(name or "")
    if shape is not None and told is not None and tuple(shape) != tuple(told):
        raise RequestError(f"measure: examples have shape {told}, got the input shape {tuple(shape)}. Leave one out.")
    found = told if shape is None else tuple(shape)
    if found is None or not found or min(found) < 1:
        raise RequestError(
            f"measure: layers are measured at the size of their inputs, and nothing tells it (got {found}). "
            "Give --data, or --input-shape such as 3,32,32."
        )
    return found


def _read(examples: "Examples", spec: PreprocessSpec) -> "tuple[Tensor, Tensor]":
    from ..data.preprocess import preprocessed

    return preprocessed(examples.x, spec), examples.y


def _example(shape: tuple[int, ...], sample: "tuple[Tensor, Tensor] | None") -> "Tensor":
    import torch

    return torch.zeros(1, *shape) if sample is None else sample[0][:1]
