"""What is fixed before training: the sample, the network with its theta0, the subspace, and what is asked for."""

import hashlib
import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import nn

from ..bounds.claims import RiskEstimate
from ..bounds.table import COUNTS_ONLY, headline_theorem
from ..certificate.schema import DataRecord
from ..certificate.sweep import SweepRecord
from ..certificate.tuned import named_after
from ..data.class_names import names_of
from ..data.columns import OWN_SCALE, refuse_own_statistics, scaled_by_itself
from ..data.examples import Examples
from ..data.inputs import check_apart, check_repeats, distinct_inputs, same_shape
from ..data.likeness import recognise
from ..data.mixed import Pictures, Raw
from ..data.preprocess import IMAGE_DIMENSIONS, preprocessed, shape_after, treated
from ..data.registry import DATA_SETS, FILES, load, load_any, load_held_out
from ..data.split import Split, split_examples
from ..data.tokens import cut_texts, package, padding_number
from ..errors import DataError, ModelError, RequestError, SubspaceError, first_line
from ..models.classifiers import TextClassifier, TextEncoder
from ..models.foreign import FOLDER, TIMM, from_hub, holds_network
from ..models.loading import network_for, treatment
from ..models.others import failures, private_copy
from ..models.own_head import by_names, names_in
from ..networks.captured import Captured
from ..networks.checkpoints import checkpoint_base, outputs_in
from ..networks.hypothesis import Base, make_base, make_subspace, spanned
from ..networks.passes import Network, check_deterministic
from ..networks.rebuilt import LARGE_ROWS, check_promise
from ..networks.risk import CUSTOM, LossFunction, loss_function, losses_of
from ..networks.trained import train_only
from ..request.reading import Reading
from ..request.request import RANDOM_DIRECTIONS, Request, parse_projector, refuse_options, trained_word
from ..specs.grammar import OWN_NETWORK, begins_with_features
from ..specs.head import NAMES, HeadSpec, parse_head
from ..specs.preprocess import PREPROCESS
from ..specs.specs import (
    SPLIT_PARTS,
    HypothesisSpec,
    PreprocessSpec,
    ProjectorSpec,
    every_weight,
)
from ..specs.tensors import DirectSpec
from ..stages import clocked
from ..subspace.curvature import LARGE
from ..subspace.layout import NORM_BUFFERS
from ..subspace.subspace import Subspace
from ..training.fit import Sample
from ..training.plain import Candidate
from .memory import give_back_freed, refuse_too_large

LOG = logging.getLogger("pacbound")
Usual = tuple[tuple[int | None, int, str], ...]

# The network `auto` reads images with: by channels (None: any number) and shorter side, the first that fits; everything
# else gets mlp.
IMAGE_MODELS: Usual = (
    (3, 32, "flip-bars2-c12k3p1-R-A3-c32k3p1-R-A3-L"),
    (None, 32, "pooled"),
    (1, 24, "bars2-c8k5-R-A4s3-L"),
    (1, 16, "edges2-c12k3-R-A2-L"),
    (1, 8, "c16k3-R-A2-L"),
    (None, 16, "lenet1"),
)
# The same where a learner makes the network from picked examples: its parameters cost nothing, its description does.
PICKED_MODELS: Usual = (
    (None, 32, "flip-c32k3-B-M2-R-c64k3-B-M2-R-c128k3-B-R-G-L"),
    (None, 16, "V2-c32k3-M2-R-c64k3-M2-R-c128k3-R-G-L"),
    (None, 4, "V1-r32-L"),
    (None, 0, "h64-R-L"),
)
USUAL_SIDE, LARGE_SIDE = 32, 64  # pixels that these are for; from twice as many on the user is told what they cost
MAX_WEIGHTS = 1 << 20  # of which each is coded
MAX_LED = 1 << 14  # parameters for which leading directions are found where nobody asks for them: in seconds
MOST_NAMED, NAMED_LENGTH = 5, 40  # of classes that never occur, and characters of each


@dataclass(frozen=True)
class Setup:
    """Everything fixed before training: the sample, the base, the subspace's spec and what is asked for.

    split: where theta0 is trained on other examples than those of `train`. theta0: its file, once it is. methods: the
    list that this one is of, where the best of a list will be kept. targets: what the encoder learns in the place of
    labels, (n,) int64. notes: what a reader should know of a checkpoint, and by what texts were
    read.
    sweep: the grid, where this is a run of one. captured: the trained part and its inputs, where all before it is
    frozen and has been computed.
    """

    request: Request
    train: Examples
    test: Examples | None
    base: Base
    model: str
    projector: ProjectorSpec
    preprocess: PreprocessSpec
    loss: str | LossFunction
    data: DataRecord
    split: Split | None = None
    theta0: bytes | None = None
    methods: tuple[str, ...] = ()
    targets: torch.Tensor | None = None
    notes: tuple[str, ...] = ()
    sweep: SweepRecord | None = None
    captured: Captured | None = None

    @property
    def digest(self) -> str:
        """Of the sample."""
        return self.data.digest

    @property
    def theorem(self) -> str:
        """Name of the headline theorem, by rule or by request, never by result."""
        if self.request.theorem != "auto":
            return self.request.theorem
        return headline_theorem(RiskEstimate(errors=0, n=1, loss=loss_function(self.loss)[0]).counts)

    @property
    def key(self) -> str:
        """Digest of all that determines the result, for resuming."""
        treated = self.preprocess.model_dump_json()
        network = f"{self.model} {self.base.layout.digest} {self.base.origin} {treated} {self.methods}"
        if self.targets is not None:
            network += hashlib.sha256(self.targets.numpy().tobytes()).hexdigest()
        asked = self.request.model_copy(update={"projector": self.request.projector or self.projector.kind})
        text = f"{asked.model_dump_json()} {self.digest} {network}"
        return hashlib.sha256(text.encode()).hexdigest()

    def subspace(self) -> Subspace:
        """Span the subspace, of the trained part alone where its inputs are there."""
        module = None if self.captured is None else self.captured.part
        return make_subspace(self.base, self.projector, self.request.layer_scale, module)

    def spec(self, candidate: Candidate | None) -> HypothesisSpec:
        """Describe a candidate, or w = 0 where it is None."""
        common = {
            "model": self.model,
            "layout_digest": self.base.layout.digest,
            "base": self.base.origin,
            "train": trained_word(self.request),
            "preprocess": self.preprocess,
        }
        if candidate is None:
            return HypothesisSpec.model_validate({**common, "layer_scale": False})
        if isinstance(candidate.quantizer, DirectSpec):
            return HypothesisSpec.model_validate({**common, "layer_scale": False, "quantizer": candidate.quantizer})
        return HypothesisSpec.model_validate(
            {
                **common,
                "projector": self.projector,
                "layer_scale": self.request.layer_scale,
                "quantizer": candidate.quantizer,
                "code": candidate.code,
            }
        )


def prepare(
    model: nn.Module | str,
    train: object,
    test: object,
    request: Request,
    loss: str | LossFunction,
    data_dir: str | Path | None = None,
    planned: bool = False,
) -> Setup:
    """Load the data, build the base and fix the subspace; nothing here looks at the labels but to count classes.

    planned: nothing will be certified, so that a network of more than LARGE parameters is asked about a few rows only.
    Raises: DataError, ModelError, SubspaceError, RequestError.
    """
    if model == "auto" and request.checkpoint is not None and holds_network(Path(request.checkpoint)):
        model = FOLDER + request.checkpoint  # its config.json names the network
    _refuse_contradictions(request, model)
    device_of(request.device)
    whole = load_any(train, data_dir, reading=request.reading)
    split, sample = _split(whole, request)
    named = model if isinstance(model, str) else OWN_NETWORK
    first = None if split is None else split.first.x
    preprocess = treatment(named, sample.preprocess, request.preprocess, request.tokenizer, request.standardise, first)
    if preprocess.name == "columns":
        refuse_own_statistics(whole.x, preprocess)
    if model == "auto":
        images = PICKED_MODELS if request.method == "picks" else IMAGE_MODELS
        shape = shape_after(sample.x, preprocess)
        model = usual_network(shape, images)
        _say_how_long(shape, preprocess)
    module, name = network_for(model, sample.x, preprocess, sample.classes)
    _refuse_other_padding(module, preprocess)
    if isinstance(model, str) and model.startswith((FOLDER, TIMM)):
        request = request.model_copy(update={"frozen_buffers": (*request.frozen_buffers, *_constants(module, request))})
    module = train_only(module, trained_word(request))
    if request.method in ("subspace", "surrogate"):
        refuse_too_large(module, sample.x.nbytes)
    base = _base(module, request, _own_head(module, request, sample), named=isinstance(model, str))
    held_out = _test_examples(train, test, whole, data_dir, request.reading, untouched=base.origin.kind == "seeded")
    if held_out is not None:
        check_repeats(held_out.n, distinct_inputs(held_out.x), "test examples", request.repeats)
    name_of_loss, function = loss_function(loss)
    loss = function if name_of_loss == CUSTOM else name_of_loss
    _refuse_unfit(base, sample, preprocess, loss, request)
    if not (planned and base.layout.D > LARGE):
        with clocked("checks"):
            _refuse_undetermined(base, sample, preprocess)
    return Setup(
        request=request,
        train=sample,
        test=held_out,
        base=base,
        model=name,
        projector=_projector(request, name, base, sample, preprocess),
        preprocess=preprocess,
        loss=loss,
        data=describe(_with_cuts(sample, preprocess), split, request.repeats),
        split=split,
        notes=(f"tokens are those of {package()}",) if preprocess.name == "tokens" else (),
    )


def _projector(request: Request, model: str, base: Base, sample: Examples, preprocess: PreprocessSpec) -> ProjectorSpec:
    """Return the subspace that is asked for, the whole space where every weight is coded. Raises: RequestError."""
    D = base.layout.D
    if request.encoder == "weights":
        refuse_options(request, ("d", "projector", "layer_scale"), "is of a subspace, and --encoder weights has none")
        return whole_space(D)
    d = min(request.d or default_dimension(sample.n), D)
    shape = None if preprocess.name == "tokens" else shape_after(sample.x, preprocess)
    if request.projector is not None:
        return parse_projector(request.projector, D, d, request.seed, shape)
    if led(request, model, base, d):
        try:
            leading = parse_projector("ekfac", D, d, request.seed, shape)
            spanned(base, leading, request.layer_scale)
        except (RequestError, SubspaceError) as cause:
            LOG.info("the directions of the subspace are random ones: %s", cause)
        else:
            return leading
    return parse_projector(RANDOM_DIRECTIONS, D, d, request.seed)


def led(request: Request, model: str, base: Base, d: int) -> bool:
    """Whether leading directions are the default: where they were measured to be better than random ones.

    That is behind features of images, theta0 being drawn from the seed, with at most half as many directions as there
    are parameters. Labels and pixels have no say in it, and the message says which directions they are.
    """
    drawn = base.origin.kind == "seeded" and request.prior_share is None
    coded = request.method in ("subspace", "surrogate")  # other methods have no coefficients
    return begins_with_features(model) and drawn and coded and 2 * d <= base.layout.D <= MAX_LED


def whole_space(D: int) -> ProjectorSpec:
    """Return the space in which every weight is coded. Raises: RequestError for a network that is too large."""
    if D > MAX_WEIGHTS:
        raise RequestError(
            f"certify: every weight is coded of networks of up to {MAX_WEIGHTS:,}, got {D:,}. Leave --encoder out, or "
            "choose a smaller network."
        )
    return every_weight(D)


def _refuse_other_padding(module: nn.Module, preprocess: PreprocessSpec) -> None:
    """Refuse a network that takes what texts are filled up with for words. Raises: RequestError."""
    if preprocess.name != "tokens" or not isinstance(module, TextClassifier | TextEncoder):
        return
    if (number := padding_number(preprocess)) != module.padding:
        raise RequestError(
            f"certify: texts are filled up by the number that the network takes for none, {module.padding} "
            f"(pad_token_id of its config.json), got {number} from the tokenizer. Bring one that goes with it, or set "
            "the padding of its file."
        )


def _with_cuts(sample: Examples, preprocess: PreprocessSpec) -> Examples:
    """Say in the note of a sample of texts how many are cut off."""
    if isinstance(sample.x, Pictures) or preprocess.name != "tokens" or not (cut := cut_texts(sample.x, preprocess)):
        return sample
    return sample.noting(
        f"{cut:,} of the {sample.n:,} texts have more than {preprocess.length} tokens and are cut off there"
    )


def _with_absent(sample: Examples) -> Examples:
    """Say in the note of a sample which classes have no example in it."""
    counts = torch.bincount(sample.y, minlength=sample.classes)
    names = [*sample.labels, *map(str, range(len(sample.labels), sample.classes))]
    absent = [names[label][:NAMED_LENGTH] for label in torch.nonzero(counts == 0).flatten().tolist()]
    if not absent:
        return sample
    said = f"{len(absent):,} of the {sample.classes:,} classes never occur: {', '.join(absent[:MOST_NAMED])}"
    return sample.noting(f"{said}{' ...' if len(absent) > MOST_NAMED else ''}")


def _with_own_scale(sample: Examples) -> Examples:
    """Say in the note of a sample, and to its user, that it looks as if a scaler had been fitted on it."""
    if not scaled_by_itself(sample.x):
        return sample
    LOG.warning("%s. Scale by constants that were fixed beforehand, or by --standardise share.", OWN_SCALE)
    return sample.noting(OWN_SCALE)


def describe(sample: Examples, split: Split | None = None, repeats: str | None = None) -> DataRecord:
    """Return what a certificate says of a sample, or of the rest of a split. repeats: why inputs stand there twice.

    Raises: DataError where more than 1 % are repeats, of a split also of what theta0 sees, and nobody says why.
    """
    distinct = distinct_inputs(sample.x, None if split is None else split.first.x)
    check_repeats(sample.n, distinct, "training examples", repeats)
    record = {"name": sample.name, "digest": sample.digest(), "n": sample.n, "classes": sample.classes}
    like = None if named_after(sample.name) else recognise(sample.x)
    return DataRecord.model_validate(
        {
            **record,
            "note": _with_own_scale(_with_absent(sample)).note,
            "distinct": distinct,
            "repeats": repeats,
            "like": like,
            "labels": sample.labels or None,
        }
    )


def _split(whole: Examples, request: Request) -> tuple[Split | None, Examples]:
    """Return the split asked for, and the examples that the statement will be about."""
    if request.prior_share is None:
        return None, whole
    parts = min(max(round(SPLIT_PARTS * request.prior_share), 1), SPLIT_PARTS - 1)
    split = split_examples(whole, request.seed, parts)
    return split, split.rest


def _refuse_contradictions(request: Request, model: nn.Module | str) -> None:
    """Refuse options about theta0 that do not go together.

    Raises: RequestError, above all where nobody says that the checkpoint has not seen the sample.
    """
    if request.prior_share is not None and request.method not in ("subspace", "picks"):
        raise RequestError(
            f"certify: a prior share is for the methods subspace and picks, got {request.method!r}. Leave one out."
        )
    if request.start_minutes is not None and request.prior_share is None:
        raise RequestError("certify: --start-minutes are those of theta0 on a share of the sample. Give --prior-share.")
    if request.checkpoint is None:
        for option, given in (
            ("disjoint", request.disjoint),
            ("new-head", request.new_head),
            ("head-rows", request.head_rows),
            ("rename", request.rename),
            ("key", request.key),
        ):
            if given:
                raise RequestError(f"certify: --{option} is about a checkpoint, got none. Give --checkpoint FILE.")
        return
    if not request.disjoint:
        raise RequestError(
            "certify: a checkpoint is a sound theta0 only if it was trained on data disjoint from this sample and "
            "fixed before the sample was seen, got nobody's word for it. If that is so, say it with --disjoint."
        )
    if request.head_rows and (request.new_head or request.prior_share is not None):
        raise RequestError(
            "certify: --head-rows is a last layer that nothing drew or trained, got --new-head or --prior-share too. "
            "Leave one out."
        )
    if request.base == "values":
        raise RequestError("certify: a checkpoint is theta0 itself, got base 'values' too. Leave one out.")
    if model == "auto":
        missing = "" if Path(request.checkpoint).exists() else from_hub(request.checkpoint)
        raise RequestError(f"certify: a checkpoint holds numbers only; name its network with --model.{missing}")


def _own_head(module: nn.Module, request: Request, sample: Examples) -> HeadSpec | None:
    """Return which rows of the checkpoint's own last layer stand for which class, where that is asked for.

    Raises: RequestError where they are not one of the file's for each class; ModelError where names lead to none.
    """
    if not request.head_rows or request.checkpoint is None:
        return None
    if request.head_rows == (NAMES,):
        return by_names(names_in(request.checkpoint), names_of(sample))
    if len(request.head_rows) != sample.classes:
        raise RequestError(
            f"certify: --head-rows has rows for each of the {sample.classes:,} classes, got {len(request.head_rows)}. "
            "Separate classes by commas, rows of one class by +."
        )
    return parse_head(request.head_rows, outputs_in(request.checkpoint, module, request.rename, request.key) or 1)


def _base(module: nn.Module, request: Request, head: HeadSpec | None, named: bool) -> Base:
    if request.checkpoint is not None:
        seed = request.seed if request.new_head else None
        rules = (request.rename, seed, request.frozen_buffers, request.key, head)
        return checkpoint_base(module, request.checkpoint, *rules)
    if request.base == "values" and named:
        raise RequestError(
            "certify: base values is theta0 as a module in memory holds it, got the name of a network, which is drawn "
            "anew each time. Leave --base out, give --checkpoint, or hand the module over in Python."
        )
    return make_base(module, request.seed if request.base == "seeded" else None, request.frozen_buffers)


def _constants(module: nn.Module, request: Request) -> list[str]:
    """Names of buffers that a package computed when it built a network from a description, before any training."""
    buffers = [name for name, _ in module.named_buffers() if name.rpartition(".")[2] not in NORM_BUFFERS]
    return [name for name in buffers if name not in request.frozen_buffers]


def _remedy(module: nn.Module, x: torch.Tensor, preprocess: PreprocessSpec) -> str:
    """What lets a network read a batch that it refused."""
    if preprocess.name == "tokens":
        return f"--preprocess tokens@{preprocess.length} reaches beyond what it reads: keep fewer tokens"
    shape = tuple(x.shape[1:])
    if len(shape) == 2:  # grey pictures, as most files hold them
        try:
            with torch.no_grad():
                read = len(module(x.unsqueeze(1))) == len(x)
        except Exception:  # the network reads something else
            read = False
        if read:
            return f"It reads {(1, *shape)}: store the examples with an axis of channels, as x[:, None]"
    return "Bring a network for such inputs, or reshape the examples"


def _refuse_unfit(
    base: Base, sample: Examples, preprocess: PreprocessSpec, loss: str | LossFunction, request: Request
) -> None:
    """Refuse before the work begins what could only fail after it.

    Raises: DataError where the constants do not fit the examples; RequestError where the theorem does not fit the
        loss; ModelError where the network cannot read the examples or has fewer outputs than there are classes.
    """
    _refuse_options_of_point(request)
    name, function = loss_function(loss)
    if request.theorem in COUNTS_ONLY and not RiskEstimate(errors=0, n=1, loss=name).counts:
        raise RequestError(
            f"certify: {request.theorem} holds for counted errors, got the loss {name!r}. "
            "Choose theorem auto or occam_kl."
        )
    x = preprocessed(sample.x[:2], preprocess).clone()
    before = x.clone()
    asked = replace(base, module=private_copy(base.module))  # theta0 itself stays as it is, whatever a forward writes
    try:
        with torch.no_grad():
            logits = asked.module(x)
    except Exception as cause:  # whatever a user's own network raises
        raise ModelError(
            f"certify: the network reads batches of examples {tuple(x.shape[1:])} in "
            f"{str(x.dtype).removeprefix('torch.')}, got the error "
            f"{first_line(cause)!r}. {_remedy(asked.module, x, preprocess)}."
        ) from cause
    fits = isinstance(logits, torch.Tensor) and logits.ndim == 2 and logits.dtype.is_floating_point
    if not fits or len(logits) != len(x) or logits.shape[1] < sample.classes:
        found = f"{logits.dtype} {tuple(logits.shape)}" if isinstance(logits, torch.Tensor) else type(logits).__name__
        raise ModelError(
            f"certify: the network returns logits of shape (batch, {sample.classes} or more) for {sample.classes} "
            f"classes, got {found} for a batch of {len(x)}. Change its last layer."
        )
    if not torch.equal(x, before):
        raise ModelError(
            "certify: the network leaves its inputs as they are, it changed them in place. Use x = x - mean in the "
            "place of x -= mean, and inplace=False in a first layer."
        )
    losses_of(name, function, logits, sample.y[:2])


def _refuse_undetermined(base: Base, sample: Examples, preprocess: PreprocessSpec) -> None:
    """Refuse early a network that is no function of one input, or that its parameters do not determine: ModelError."""
    asked = replace(base, module=private_copy(base.module))
    with failures("certify"):
        few = sample.x[:LARGE_ROWS] if base.layout.D > LARGE else sample.x
        check_deterministic(_reader(asked, preprocess), few)
        check_promise(base, sample, preprocess)
    if base.layout.D > LARGE:
        give_back_freed()


def _reader(base: Base, preprocess: PreprocessSpec) -> Network:
    """Return theta0 as a map from raw inputs to logits."""

    @torch.no_grad()
    def answer(x: Raw) -> torch.Tensor:
        logits: torch.Tensor = base.module(preprocessed(x, preprocess)).float()
        return logits

    return answer


def _refuse_options_of_point(request: Request) -> None:
    """Refuse with a draw what only a decoded message has. Raises: RequestError."""
    if request.posterior == "point":
        if request.earlier_draws is not None:
            raise RequestError("certify: earlier_draws are counted for a draw; give --posterior draw, or leave it out.")
        return
    if request.earlier_draws is None:
        raise RequestError(
            "certify: draw j has delta / (j (j + 1)), so that somebody must say how many draws were evaluated on this "
            "sample before, in any run, got nobody's word. Give --earlier-draws N, 0 where there were none."
        )
    refuse_options(request, ("encoder_seeds",), "would look at several draws, and --posterior draw looks at one")
    if request.encoder != "posterior":
        raise RequestError(
            f"certify: a draw needs a trained posterior, got the encoder {request.encoder!r}. Leave --encoder out."
        )
    if request.theorem != "auto":
        raise RequestError(
            f"certify: single_draw is the one theorem of a draw, got {request.theorem!r}. Leave --theorem out."
        )


def default_dimension(n: int) -> int:
    """Return the power of two nearest to 5.6 sqrt(n), of small samples to n^1.3 / 69, which have fewer bits to spend.

    1024 for 60,000 examples, 256 for 1,437, 32 for 419 and 16 for 178; 16 at least.

    >>> default_dimension(60000), default_dimension(1437)
    (1024, 256)
    """
    return 1 << max(4, round(math.log2(min(5.6 * math.sqrt(n), n**1.3 / 69))))


def sample_of(setup: Setup) -> Sample:
    """Return the training set with what the encoder learns, its inputs where the network is to run."""
    y = setup.train.y if setup.targets is None else setup.targets
    device = device_of(setup.request.device)
    if setup.captured is not None:
        return Sample(setup.captured.read(device), y)
    return Sample(treated(setup.train.x, setup.preprocess, device), y)


def device_of(name: str) -> torch.device:
    """Return the device that an option names; auto is cuda where there is one. Raises: RequestError."""
    available = torch.cuda.is_available()
    if name == "cuda" and not available:
        raise RequestError(
            f"certify: device cuda needs a GPU that torch {torch.__version__} can use, found none. "
            "Leave --device out, or install a CUDA build of torch."
        )
    return torch.device("cuda" if name != "cpu" and available else "cpu")


def _test_examples(
    train: object, test: object, sample: Examples, data_dir: str | Path | None, reading: Reading, untouched: bool
) -> Examples | None:
    """Return the held-out examples: those given, else the official test split of a named data set.

    untouched: nobody's training is in theta0; weights that are handed over may have seen the official test split, so
    that there it is for the user to give it.
    Raises: DataError where they are unlike those of the sample, or some of them stand in it.
    """
    if test is not None:
        held_out = load_held_out(test, sample.classes, data_dir, reading, sample.labels)
        check_apart(sample.x, held_out.x, "test")
    elif untouched and isinstance(train, str) and train in DATA_SETS and "test" in FILES[train]:
        held_out = load(train, data_dir, "test")
    else:
        return None
    fits = same_shape(sample.x, held_out.x, sample.preprocess == held_out.preprocess == "tokens")
    if not fits or (sample.x.dtype, sample.classes) != (held_out.x.dtype, held_out.classes):
        kinds = [(e.shape, str(e.x.dtype).removeprefix("torch."), e.classes) for e in (sample, held_out)]
        (shape, dtype, classes), found = kinds
        raise DataError(
            f"certify: test examples are like those of training, {shape} {dtype} in {classes} classes, "
            f"got {found[0]} {found[1]} in {found[2]}."
        )
    return held_out


def _say_how_long(shape: tuple[int, ...], preprocess: PreprocessSpec) -> None:
    """Say of large images how they are read in less time, where that is for nobody but the user to choose."""
    side = min(shape[-2:]) if len(shape) == IMAGE_DIMENSIONS - 1 else 0
    if side >= LARGE_SIDE and preprocess.resize is None and preprocess.name in PREPROCESS:
        LOG.info(
            "images of %s pixels are read as they are, about %d times as long as at %d x %d, which --preprocess %s@%d "
            "brings them to",
            " x ".join(map(str, shape[-2:])), (side / USUAL_SIDE) ** 2, USUAL_SIDE, USUAL_SIDE, preprocess.name,
            USUAL_SIDE,
        )  # fmt: skip


def usual_network(shape: Sequence[int], images: Usual = IMAGE_MODELS) -> str:
    """Name the network that `auto` reads examples of a shape with."""
    side = min(shape[-2:]) if len(shape) >= 2 else 0
    channels = shape[0] if len(shape) == 3 else 1
    return next((name for wanted, least, name in images if side >= least and wanted in (None, channels)), "mlp")
