"""Every option of a certification as one record; the command line, TOML files and Python are views of it."""

import difflib
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, ValidationError
from pydantic_core import PydanticCustomError

from ..errors import RequestError, without_file
from ..records import Record
from ..specs.language import Statement
from ..specs.picks import MENUS, Augmentation, Order
from ..specs.preprocess import PREPROCESS_NAMES, parse_preprocess
from ..specs.repeats import Reason
from ..specs.specs import RAW_PIXEL_MODELS, REFERENCE_MODELS, SINGLE_KINDS, ProjectorKind, ProjectorSpec
from ..specs.trained import ALL, TrainedWord
from .reading import NAME, Layout, Reading

_OWN = [name for name in REFERENCE_MODELS if name not in RAW_PIXEL_MODELS]
Group = Literal[
    "Main", "Data", "Statement", "Network", "Subspace", "Picks", "Language", "Quantization", "Code", "Training"
]  # fmt: skip
Task = Literal["classify", "lm"]
Method = Literal["subspace", "direct", "surrogate", "picks", "auto", "quantization-loss"]
Encoder = Literal["posterior", "plain", "codebook", "weights"]
SentCode = Literal["gaussian", "laplace", "adaptive", "static"]
RANDOM_DIRECTIONS = "fastfood"  # the projector where nobody asks for another, but for pipeline/preparation.py `led`

# option -> field of the recipe
PICK_OPTIONS = {
    "pick_order": "order", "pick_first": "first", "pick_growth": "growth", "pick_steps": "steps",
    "pick_epochs": "epochs", "pick_batch": "batch", "pick_rate": "rate", "augmentation": "augmentation",
}  # fmt: skip


def _menu(field: str, text: str) -> dict[str, str]:
    """Help of an option from a menu, the default being its first entry."""
    menu = MENUS[field]
    return _option("Picks", f"{text}: {', '.join(map(str, sorted(menu)))}; coded [{menu[0]}]")


def _option(group: Group, text: str) -> dict[str, str]:
    return {"group": group, "help": text}


def _known_preprocess(expression: str) -> str:
    """Refuse what names nothing of the menu."""
    if expression != "auto":
        try:
            parse_preprocess(expression, sha256="0" * 64)
        except RequestError as cause:
            raise PydanticCustomError("preprocess", "{why}", {"why": str(cause).split(", got ")[0]}) from None
    return expression


class Stated(Record):
    """What reaches the receiver or the statement: declared, or paid in the ledger by the code of its field.

    Each choice among values of these fields costs what its field costs in the message, however it was made, or is
    somebody's word; delta, the loss, the sample and what is held out are fixed before the sample is seen.
    """

    data: Annotated[
        str,
        Field(
            json_schema_extra=_option("Main", "digits, mnist, fashion-mnist, cifar10, FILE, FOLDER, module:callable")
        ),
    ] = "digits"
    model: Annotated[
        str,
        Field(json_schema_extra=_option("Main", f"auto, {', '.join(_OWN)}, layers (c4k5-R-A3-L) or module:callable")),
    ] = "auto"
    method: Annotated[
        Method,
        Field(
            json_schema_extra=_option(
                "Main",
                "subspace, direct (a file), surrogate, picks (examples), auto: best; quantization-loss",
            )
        ),
    ] = "subspace"
    task: Annotated[
        Task,
        Field(json_schema_extra=_option("Main", "classify, or lm: bits a symbol of a text by a language model")),
    ] = "classify"
    test: Annotated[
        str | None,
        Field(json_schema_extra=_option("Statement", "held-out examples, NAME:test:2/2, FILE or module:callable")),
    ] = None
    text_column: Annotated[
        str | None,
        Field(json_schema_extra=_option("Data", "column of texts in a table, field of records [text]")),
    ] = None
    label_column: Annotated[
        str | None,
        Field(json_schema_extra=_option("Data", "column of labels in a table, field of records [label]")),
    ] = None
    encoding: Annotated[str, Field(json_schema_extra=_option("Data", "of files of text, such as cp1252"))] = "utf-8"
    layout: Annotated[
        Layout, Field(json_schema_extra=_option("Data", "axes of stored pictures: chw, hwc, or auto by their sizes"))
    ] = "auto"
    classes: Annotated[
        int | None,
        Field(ge=2, le=1 << 20, json_schema_extra=_option("Data", "how many there are, where not all of them occur")),
    ] = None
    name: Annotated[
        str | None,
        Field(pattern=NAME, json_schema_extra=_option("Data", "what the certificate calls the sample: a label alone")),
    ] = None
    repeats: Annotated[
        Reason | None,
        Field(json_schema_extra=_option("Statement", "I say: the source itself repeats its inputs, because REASON")),
    ] = None
    delta: Annotated[
        float, Field(gt=0, lt=1, json_schema_extra=_option("Statement", "the statement fails with this probability"))
    ] = 0.05
    loss: Annotated[
        str,
        Field(json_schema_extra=_option("Statement", "zero_one, top_K, error_probability or module:function")),
    ] = "zero_one"
    theorem: Annotated[
        Literal["auto", "occam_binomial", "occam_kl", "occam_hoeffding", "pac_bayes_kl", "catoni_grid"],
        Field(json_schema_extra=_option("Statement", "auto: occam_binomial for counted losses, else occam_kl")),
    ] = "auto"
    posterior: Annotated[
        Literal["point", "draw"],
        Field(json_schema_extra=_option("Statement", "point: a decodable network; draw: one drawn from the posterior")),
    ] = "point"
    earlier_draws: Annotated[
        int | None,
        Field(
            ge=0,
            lt=1 << 19,
            json_schema_extra=_option("Statement", "I say: so many draws were evaluated before on this sample; paid"),
        ),
    ] = None
    unlabelled: Annotated[
        str | None,
        Field(
            json_schema_extra=_option("Statement", "inputs to compare on, as NAME:test:1/2, FILE or module:callable")
        ),
    ] = None
    earlier_looks: Annotated[
        int | None,
        Field(
            ge=0,
            lt=1 << 10,
            json_schema_extra=_option("Statement", "I say: so many surrogates were compared there before; paid"),
        ),
    ] = None
    surrogate: Annotated[
        str,
        Field(
            json_schema_extra=_option(
                "Network", "what answers like the checkpoint: auto, a reference network or a description"
            )
        ),
    ] = "auto"
    surrogate_checkpoint: Annotated[
        str | None,
        Field(
            json_schema_extra=_option(
                "Network", "theta0 of the surrogate: I say, it saw nothing of the sample and the inputs"
            )
        ),
    ] = None
    surrogate_preprocess: Annotated[
        str,
        AfterValidator(_known_preprocess),
        Field(
            json_schema_extra=_option("Network", "what is done to the inputs of the surrogate, as --preprocess; coded")
        ),
    ] = "auto"
    surrogate_by: Annotated[
        Literal["codes", "picks"],
        Field(
            json_schema_extra=_option("Network", "how the surrogate is made: codes, or picks, from true labels alone")
        ),
    ] = "codes"
    base: Annotated[
        Literal["seeded", "values"],
        Field(
            json_schema_extra=_option(
                "Network", "theta0: seeded, or values: I say, those the module holds never saw this sample"
            )
        ),
    ] = "seeded"
    checkpoint: Annotated[
        str | None,
        Field(
            json_schema_extra=_option("Network", "theta0: weights by others, .safetensors, a torch file, or a folder")
        ),
    ] = None
    disjoint: Annotated[
        bool,
        Field(json_schema_extra=_option("Network", "I say: the checkpoint was trained on data disjoint from this")),
    ] = False
    new_head: Annotated[
        bool,
        Field(json_schema_extra=_option("Network", "draw the last layer of the checkpoint from the seed")),
    ] = False
    head_rows: Annotated[
        tuple[str, ...],
        Field(
            json_schema_extra=_option(
                "Network",
                "a last layer of means over its own rows: names, or rows of each class (404+895,10-24)",
            )
        ),
    ] = ()
    train: Annotated[
        TrainedWord,
        Field(
            json_schema_extra=_option(
                "Network", "all, head, lora:RANK, or a pattern of names ('layer4.*') of what is trained; coded"
            )
        ),
    ] = ALL
    rename: Annotated[
        tuple[str, ...],
        Field(json_schema_extra=_option("Network", "REGEX=REPLACEMENT for names in the checkpoint; REGEX= drops one")),
    ] = ()
    key: Annotated[
        str | None,
        Field(json_schema_extra=_option("Network", "which of several state dicts in the checkpoint, NAME[.NAME]")),
    ] = None
    prior_share: Annotated[
        float | None,
        Field(
            gt=0, lt=1, json_schema_extra=_option("Network", "train theta0 on this share of the sample, in 64ths; paid")
        ),
    ] = None
    start_minutes: Annotated[
        float | None,
        Field(gt=0, json_schema_extra=_option("Network", "minutes for the theta0 of a prior share [a fixed plan]")),
    ] = None
    preprocess: Annotated[
        str,
        AfterValidator(_known_preprocess),
        Field(
            json_schema_extra=_option("Network", f"auto, {', '.join(PREPROCESS_NAMES[:-3])}, tokens; sizes: lite@128")
        ),
    ] = "auto"
    tokenizer: Annotated[
        str | None,
        Field(
            json_schema_extra=_option("Network", "I say: this tokenizer.json, of texts, was fixed before the sample")
        ),
    ] = None
    standardise: Annotated[
        str | None,
        Field(
            json_schema_extra=_option(
                "Network", "mean, std of columns: I say, this JSON knows not the sample; or share"
            )
        ),
    ] = None
    model_name: Annotated[
        str | None,
        Field(
            pattern=NAME, json_schema_extra=_option("Network", "what the certificate calls the network: a label alone")
        ),
    ] = None
    frozen_buffers: Annotated[
        tuple[str, ...],
        Field(json_schema_extra=_option("Network", "buffers that are constants, by name; declared")),
    ] = ()
    d: Annotated[
        int | None,
        Field(
            ge=1,
            json_schema_extra=_option("Subspace", "dimension; by default near 5.6 sqrt(n), less if n < 840"),
        ),
    ] = None
    projector: Annotated[
        str | None,
        Field(json_schema_extra=_option("Subspace", f"{', '.join(SINGLE_KINDS)} [by network]")),
    ] = None
    layer_scale: Annotated[
        bool, Field(json_schema_extra=_option("Subspace", "scale each layer's part by its He value"))
    ] = True
    seed: Annotated[
        int, Field(ge=0, lt=1 << 63, json_schema_extra=_option("Subspace", "of theta0, projector and picks; coded"))
    ] = 0
    pick_order: Annotated[
        Order | None,
        Field(json_schema_extra=_option("Picks", "priority: random; worst; boundary: nearest to it; coded [priority]")),
    ] = None
    pick_first: Annotated[int | None, Field(json_schema_extra=_menu("first", "examples picked at first"))] = None
    pick_growth: Annotated[int | None, Field(json_schema_extra=_menu("growth", "16ths by which they grow a round"))] = (
        None
    )
    pick_steps: Annotated[int | None, Field(json_schema_extra=_menu("steps", "steps a round"))] = None
    pick_epochs: Annotated[int | None, Field(json_schema_extra=_menu("epochs", "passes over the picks a round"))] = None
    pick_batch: Annotated[int | None, Field(json_schema_extra=_menu("batch", "examples a step"))] = None
    pick_rate: Annotated[int | None, Field(json_schema_extra=_menu("rate", "rate of Adam in millionths"))] = None
    augmentation: Annotated[
        Augmentation | None,
        Field(json_schema_extra=_option("Picks", f"{', '.join(MENUS['augmentation'])}; coded [by shape]")),
    ] = None
    statement: Annotated[
        Statement,
        Field(
            json_schema_extra=_option(
                "Language", "stream: pasts of this text; positions: drawn of a corpus; documents, answers: new ones"
            )
        ),
    ] = "stream"
    alphabet: Annotated[
        Literal["bytes", "ascii97"],
        Field(json_schema_extra=_option("Language", "declared symbols: bytes, ascii97, or those of --tokenizer")),
    ] = "bytes"
    held_out: Annotated[
        float | None,
        Field(gt=0, lt=1, json_schema_extra=_option("Language", "keep this last share of the text apart, beside it")),
    ] = None
    context: Annotated[
        int | None,
        Field(ge=8, le=4096, json_schema_extra=_option("Language", "symbols in a window, a power of two; coded [256]")),
    ] = None
    stride: Annotated[
        int | None,
        Field(ge=1, le=4, json_schema_extra=_option("Language", "quarters of a window to the next one; coded [3]")),
    ] = None
    positions: Annotated[
        int | None,
        Field(ge=1, json_schema_extra=_option("Language", "how many are drawn with --statement positions [100000]")),
    ] = None
    reference: Annotated[
        str | None,
        Field(json_schema_extra=_option("Quantization", "the network before quantization: a file or folder")),
    ] = None
    quantize: Annotated[
        tuple[str, ...],
        Field(
            json_schema_extra=_option(
                "Quantization", "versions of the reference: int8, nf4, fp4, lattice@K (K steps a deviation), by commas"
            )
        ),
    ] = ()
    smoothing: Annotated[
        float | None,
        Field(
            gt=0,
            lt=1,
            json_schema_extra=_option("Quantization", "alpha of language models, fixed before the text [0.1]"),
        ),
    ] = None
    separator: Annotated[
        str | None,
        Field(
            min_length=1,
            max_length=32,
            json_schema_extra=_option("Language", "what stands between documents or ends an answer, \\n: a line end"),
        ),
    ] = None


class Encoding(Record):
    """What only helps the encoder to find a message: free, however many values are tried; see `free_options`."""

    budget: Annotated[
        float | None, Field(gt=0, json_schema_extra=_option("Main", "minutes of training; the default is a fixed plan"))
    ] = None
    max_picks: Annotated[
        int | None, Field(ge=0, json_schema_extra=_option("Picks", "pick no more examples [a quarter of them]"))
    ] = None
    encoder: Annotated[
        Encoder,
        Field(
            json_schema_extra=_option(
                "Code", "posterior: tightest; plain: lattice; codebook: published; weights: every one, no subspace"
            )
        ),
    ] = "posterior"
    step: Annotated[
        float | None, Field(gt=0, json_schema_extra=_option("Code", "lattice step, rounded to 2^(-k/8)"))
    ] = None
    levels: Annotated[int, Field(ge=2, le=256, json_schema_extra=_option("Code", "centroids of the codebook"))] = 7
    codebook_init: Annotated[
        Literal["uniform", "kmeans"], Field(json_schema_extra=_option("Code", "how the codebook starts"))
    ] = "kmeans"
    code: Annotated[
        tuple[SentCode, ...],
        Field(min_length=1, json_schema_extra=_option("Code", "symbol models to choose from; the kind costs 2 bits")),
    ] = ("gaussian", "laplace", "adaptive", "static")
    epochs: Annotated[
        int | None,
        Field(ge=1, json_schema_extra=_option("Training", "in all phases together; by default a fixed plan")),
    ] = None
    device: Annotated[
        Literal["auto", "cpu", "cuda"],
        Field(
            json_schema_extra=_option("Training", "where gradients are found; the certificate is counted on the CPU")
        ),
    ] = "auto"
    batch: Annotated[
        int | None,
        Field(ge=1, json_schema_extra=_option("Training", "examples a step [250, fewer if n is small]")),
    ] = None
    rate: Annotated[float, Field(gt=0, json_schema_extra=_option("Training", "peak learning rate"))] = 0.005
    optimizer: Annotated[
        Literal["adam", "sgd"],
        Field(json_schema_extra=_option("Training", "of the coefficients: adam, or sgd with momentum")),
    ] = "adam"
    beta: Annotated[
        float, Field(ge=0, json_schema_extra=_option("Training", "weight of the code length in the loss"))
    ] = 3.0
    encoder_seed: Annotated[
        int, Field(ge=0, lt=1 << 31, json_schema_extra=_option("Training", "order of examples and noise; free"))
    ] = 0
    encoder_seeds: Annotated[
        int,
        Field(
            ge=1,
            le=64,
            json_schema_extra=_option("Training", "encode so often, each time a seed on, keep the best; free"),
        ),
    ] = 1


class Request(Encoding, Stated):  # fields of Stated first
    """What to certify and how. Every field has a default; an empty request certifies the embedded digits.

    >>> Request(d=256).d
    256
    """

    @property
    def reading(self) -> Reading:
        """How the sample, and what is held out like it, is read."""
        return Reading.model_validate({name: getattr(self, name) for name in Reading.model_fields})


def refuse_options(request: Request, names: Iterable[str], why: str, source: str = "certify") -> None:
    """Refuse the first of some options that differs from its default. why: what is said of it. Raises: RequestError."""
    default = Request()
    for name in names:
        if getattr(request, name) != getattr(default, name):
            raise RequestError(f"{source}: --{name.replace('_', '-')} {why}. Leave it out.")


# of Encoding, what a method reads; all that it does not read it refuses, or has no effect
_TRAINED = tuple(name for name in Encoding.model_fields if name != "max_picks")
FREE: dict[Method, tuple[str, ...]] = {
    "subspace": _TRAINED,
    "direct": ("epochs", "device", "batch", "rate", "beta", "encoder_seed"),
    "surrogate": _TRAINED,
    "picks": ("budget", "max_picks"),  # every size is paid for; all else is the learner
    "auto": _TRAINED,
    "quantization-loss": (),
}


def free_options(request: Stated) -> tuple[str, ...]:
    """Return the options that cost nothing under this request's method, however many of their values are tried.

    They steer the encoder under one prior: what it finds is paid for symbol by symbol. With a draw they are not free,
    since every posterior they lead to is another look at the sample, which `earlier_draws` counts.

    >>> free_options(Request(method="direct"))
    ('epochs', 'device', 'batch', 'rate', 'beta', 'encoder_seed')
    >>> free_options(Request(posterior="draw"))
    ()
    """
    return () if request.posterior == "draw" else FREE[request.method]


def trained_word(request: Stated) -> str | None:
    """Return the word for what is trained, None where it is all that the network lets train."""
    return None if request.train == ALL else request.train


def group_of(name: str) -> Group:
    """Return the help group of a field."""
    return _extra(name)["group"]  # type: ignore[return-value]


def help_of(name: str) -> str:
    """Return the one-line help of a field."""
    return _extra(name)["help"]


def _extra(name: str) -> dict[str, str]:
    extra = Request.model_fields[name].json_schema_extra
    assert isinstance(extra, dict)
    return extra  # type: ignore[return-value]


def make_request(options: Mapping[str, object], source: str, base: Request | None = None) -> Request:
    """Return `base` with the options changed.

    Args: options: field names and values, lists standing for tuples. source: where they come from, for messages.
    Raises: RequestError on an unknown name (with the nearest one) or a value out of range.
    """
    for name in options:
        if name not in Request.model_fields:
            near = difflib.get_close_matches(name, Request.model_fields, n=1, cutoff=0.4)
            hint = f"Did you mean {near[0]!r}?" if near else f"Options are {', '.join(Request.model_fields)}."
            raise RequestError(f"{source}: there is no option {name!r}. {hint}")
    values = {name: tuple(v) if isinstance(v, list) else v for name, v in options.items()}
    try:
        return Request(**{**(base or Request()).model_dump(), **values})
    except ValidationError as cause:
        first = cause.errors()[0]
        said = first["msg"].removeprefix("Value error, ")
        raise RequestError(f"{source}: option {first['loc'][0]!r}: {said}, got {first['input']!r}.") from None


def read_toml(path: Path, base: Request | None = None) -> Request:
    """Read options from a TOML file. Raises: RequestError where it is missing, malformed or names unknown options."""
    try:
        return make_request(tomllib.loads(path.read_text("utf-8")), f"config {path.name}", base)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as cause:
        raise RequestError(f"config: {path.name!r} is not a readable TOML file ({without_file(cause)}).") from None


def parse_projector(text: str, D: int, d: int, seed: int, shape: tuple[int, ...] | None = None) -> ProjectorSpec:
    """Return the spec of an expression: KIND, permuted:KIND, or several of these joined by +.

    shape: of one input, for ekfac.

    >>> parse_projector("film+permuted:kron", 100, 10, 0).kind
    'sum'

    Raises: RequestError on an unknown kind.
    """
    if "+" in text:
        parts = tuple(parse_projector(part, D, d, seed) for part in text.split("+"))
        return _checked(text, kind="sum", D=D, d=d, seed=seed, parts=parts)
    if text.startswith("permuted:"):
        part = parse_projector(text.removeprefix("permuted:"), D, d, seed)
        return _checked(text, kind="permuted", D=D, d=d, seed=seed, parts=(part,))
    if text not in SINGLE_KINDS:
        near = difflib.get_close_matches(text, SINGLE_KINDS, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise RequestError(f"projector: a kind is one of {', '.join(SINGLE_KINDS)}, got {text!r}.{hint}")
    if text == "ekfac" and (shape is None or len(shape) > 3):
        got = "other inputs" if shape is None else f"inputs of shape {shape}"
        raise RequestError(f"projector: ekfac is for networks of images or vectors, got {got}. Choose another kind.")
    d, shape = D if text == "identity" else d, shape if text == "ekfac" else None
    return _checked(text, kind=text, D=D, d=d, seed=seed, shape=shape)


def _checked(
    text: str,
    kind: ProjectorKind,
    D: int,
    d: int,
    seed: int,
    parts: tuple[ProjectorSpec, ...] = (),
    shape: tuple[int, ...] | None = None,
) -> ProjectorSpec:
    try:
        return ProjectorSpec(kind=kind, D=D, d=d, seed=seed, parts=parts, shape=shape)
    except ValidationError as cause:
        raise RequestError(f"projector {text!r}: {cause.errors()[0]['msg']}.") from None
