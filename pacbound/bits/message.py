"""The message: a self-delimiting header and the symbols in one stream, described once for both directions.

What the receiver knows beforehand (declared, 0 bits): the module's layout and its size D, the sha256 of a
checkpoint or of values handed over, and the statement about it; of a head of rows of a checkpoint, how many rows and
outputs there are, and to which of them names lead; of a split, the whole sample and the file of theta0; of a draw, its
file and index; of tokens, the file of their tokenizer, of columns, their constants; of picks, that they are
picks, and the file of the network; of a direct code, names and shapes of the tensors and where the units of a group
lie; of lattices of all tensors, their sizes. Everything else stands in the message.
"""

from functools import partial
from typing import TypeVar

import numpy as np
from pydantic import Field, ValidationError

from ..errors import CodeError, MessageError
from ..records import Record
from ..specs.picks import PicksSpec
from ..specs.preprocess import PREPROCESS_NAMES, SHORT_NAMES, PreprocessSpec
from ..specs.specs import (
    BASE_KINDS,
    PROFILE_CODE,
    PROJECTOR_KINDS,
    QUANTIZER_KINDS,
    BaseKind,
    BaseOrigin,
    CodebookSpec,
    DrawSpec,
    HypothesisSpec,
    LatticeSpec,
    ProfileSpec,
    ProjectorSpec,
    QuantizerSpec,
    SplitSpec,
    TensorsSpec,
    TrellisSpec,
    every_weight,
)
from ..specs.tensors import DirectSpec
from .architecture import code_model
from .coder import MAX_COUNT, Decoder, Encoder, Stream, Symbols
from .codes import code_header, code_symbols
from .head import code_head
from .ledger import Ledger
from .picks import code_picks
from .profile import code_profile_header, code_profile_symbols
from .tensors import code_direct
from .trained import code_trained
from .trellis import code_trellis_header, code_trellis_symbols
from .weights import code_weights, code_weights_header

BASE, WHY_BASE = "base", "where theta0 comes from, with its seed"
PART, LONG = (
    6,
    14,
)  # numbers that no kind of base has: a word for what is trained follows; preprocessing in its long form
Kind = TypeVar("Kind", DirectSpec, PicksSpec, TensorsSpec)
EVERY_WEIGHT = 0  # in the place of d, which is 1 or more


class Message(Record):
    """bits: exact -log2 of the prior mass of what was sent, each item rounded up. payload: the bytes that carry it."""

    bits: int = Field(ge=1)
    payload: bytes


def pack(spec: HypothesisSpec, symbols: Symbols) -> tuple[Message, Ledger]:
    """Encode a hypothesis and its symbols, shape (d,) or (0,) for w = 0; itemise the bits.

    Raises: CodeError where a field is outside the range the format gives it, or has no place in the message.
    """
    encoder = Encoder()
    described, carried = _describe(encoder, declared=spec, spec=spec, symbols=symbols)
    if described != spec or not np.array_equal(carried, symbols):
        raise CodeError(
            "pack: the receiver would rebuild another hypothesis. Give layer_scale=False and no symbols with "
            "w = 0, a code with the levels of its codebook, and to each code only the fields of its kind."
        )
    ledger = encoder.account.ledger()
    return Message(bits=ledger.bits, payload=encoder.payload()), ledger


def unpack(payload: bytes, declared: HypothesisSpec) -> tuple[HypothesisSpec, Symbols, Ledger]:
    """Decode a payload; of `declared` only the facts in the module docstring are read.

    Raises: MessageError or CodeError where the payload is truncated, padded, or not of this format.
    """
    decoder = Decoder(payload)
    try:
        spec, symbols = _describe(decoder, declared)
    except ValidationError as cause:
        raise MessageError(f"unpack: the payload decodes to an invalid header ({cause.errors()[0]['msg']}).") from None
    if pack(spec, symbols)[0].payload != payload:
        raise MessageError(
            "unpack: the payload is not what its content encodes to; it is truncated, padded or foreign."
        )
    return spec, symbols, decoder.account.ledger()


def _describe(
    stream: Stream,
    declared: HypothesisSpec,
    spec: HypothesisSpec | None = None,
    symbols: Symbols | None = None,
) -> tuple[HypothesisSpec, Symbols]:
    flag, zero = None if spec is None else spec.quantizer is None, 0
    if not isinstance(declared.quantizer, PicksSpec):
        zero = stream.integer("zero flag", 1, "w = 0 is always a candidate", flag)
    model = code_model(stream, None if spec is None else spec.model)
    train, long, base = _base(stream, declared.base, spec)
    preprocess = _preprocess(stream, long, declared.preprocess, None if spec is None else spec.preprocess)
    build = partial(
        HypothesisSpec,
        model=model,
        layout_digest=declared.layout_digest,
        base=base,
        train=train,
        preprocess=preprocess,
    )
    if zero:
        return build(layer_scale=False), np.zeros(0, np.int32)
    if isinstance(declared.quantizer, PicksSpec):
        learned = code_picks(stream, declared.quantizer, _sent(spec, PicksSpec))
        return build(layer_scale=False, quantizer=learned), np.zeros(0, np.int32)
    if base.kind == "zero":
        tensors = _declared(declared, DirectSpec, "is a direct code")
        direct, decoded = code_direct(stream, tensors, _sent(spec, DirectSpec), symbols)
        return build(layer_scale=False, quantizer=direct), decoded
    scaled = stream.integer(
        "layer scale",
        1,
        "per-layer scale of the subspace, on or off",
        None if spec is None else spec.layer_scale,
    )
    if declared.projector is None:
        raise MessageError("unpack: the payload carries a projector and the certificate declares none.")
    d = _dimension(stream, declared.projector.D, spec)
    if d == EVERY_WEIGHT:
        sizes = _declared(declared, TensorsSpec, "holds every weight")
        weights = code_weights_header(stream, sizes, _sent(spec, TensorsSpec))
        build = partial(build, layer_scale=bool(scaled), projector=every_weight(weights.parameters))
        return build(quantizer=weights), code_weights(stream, weights, symbols)
    projector = _projector_tree(stream, declared.projector.D, d, None if spec is None else spec.projector)
    quantizer = _quantizer(stream, declared.quantizer, None if spec is None else spec.quantizer)
    build = partial(build, layer_scale=bool(scaled), projector=projector, quantizer=quantizer)
    if isinstance(quantizer, DrawSpec):
        return build(), np.zeros(0, np.int32)
    if isinstance(quantizer, ProfileSpec):
        return build(code=PROFILE_CODE), code_profile_symbols(stream, quantizer, projector.d, symbols)
    if isinstance(quantizer, TrellisSpec):
        return build(code=PROFILE_CODE), code_trellis_symbols(stream, quantizer, projector.d, symbols)
    levels = len(quantizer.centroids) if isinstance(quantizer, CodebookSpec) else None
    code = code_header(stream, None if spec is None else spec.code, projector.d, levels)
    decoded = code_symbols(stream, code, projector.d, symbols)
    return build(code=code), decoded


def _declared(declared: HypothesisSpec, kind: type[Kind], payload: str) -> Kind:
    """What the receiver knows of tensors beforehand. Raises: MessageError where that is nothing."""
    if not isinstance(declared.quantizer, kind):
        raise MessageError(f"unpack: the payload {payload} and the certificate declares no tensors.")
    return declared.quantizer


def _sent(spec: HypothesisSpec | None, kind: type[Kind]) -> Kind | None:
    """The quantizer that is sent, where it is of a kind; None to a receiver."""
    return spec.quantizer if spec is not None and isinstance(spec.quantizer, kind) else None


def _named(stream: Stream, item: str, names: tuple[str, ...], why: str, index: int | None) -> str:
    """Carry a name by the gamma code of its place in a fixed list."""
    sent = stream.gamma(item, why, index)
    if sent >= len(names):
        raise MessageError(f"unpack: {item} number {sent} is unknown; this version knows {', '.join(names)}.")
    return names[sent]


def _base(stream: Stream, declared: BaseOrigin, spec: HypothesisSpec | None) -> tuple[str | None, bool, BaseOrigin]:
    """Carry what is trained, where not everything; whether the preprocessing has its long form; and theta0's origin.

    The first two are announced by numbers that no kind of base has: most networks do without them and pay nothing.
    """
    trained = None if spec is None else spec.train
    long = spec is not None and not spec.preprocess.short
    place = None if spec is None else _place(spec.base.kind)
    number = stream.gamma(BASE, WHY_BASE, PART if trained is not None else LONG if long else place)
    train = None
    if number == PART:
        train = code_trained(stream, trained)
        number = stream.gamma(BASE, WHY_BASE, LONG if long else place)
    if long := number == LONG:
        number = stream.gamma(BASE, WHY_BASE, place)
    kind = next((kind for kind in BASE_KINDS if _place(kind) == number), None)
    if kind is None:
        raise MessageError(f"unpack: {BASE} number {number} is unknown; this version knows {', '.join(BASE_KINDS)}.")
    return train, long, _origin(stream, declared, kind, None if spec is None else spec.base)


def _place(kind: BaseKind) -> int:
    """Number of a kind of base: its place, the two numbers left out that announce something else."""
    place = BASE_KINDS.index(kind)
    place += place >= PART
    return place + (place >= LONG)


def _origin(stream: Stream, declared: BaseOrigin, kind: BaseKind, base: BaseOrigin | None) -> BaseOrigin:
    if kind == "zero":
        return BaseOrigin(kind="zero", constants=declared.constants)
    seed = stream.gamma(BASE, WHY_BASE, None if base is None else base.seed)
    if kind == "seeded":
        return BaseOrigin(seed=seed, constants=declared.constants)
    split = _split(stream, declared.split, None if base is None else base.split) if kind == "split" else None
    own = kind == "checkpoint_own_head"
    head = code_head(stream, declared.head, None if base is None else base.head) if own else None
    sent = {"kind": kind, "seed": seed, "split": None if split is None else split.model_dump()}
    return BaseOrigin.model_validate({**declared.model_dump(), **sent, "head": head})


def _preprocess(stream: Stream, long: bool, declared: PreprocessSpec, spec: PreprocessSpec | None) -> PreprocessSpec:
    """Carry the map of the input: two bits, or in the long form a name with its sizes."""
    item, index = "preprocessing", None if spec is None else PREPROCESS_NAMES.index(spec.name)
    if not long:
        why = "one of four fixed maps of the input"
        return PreprocessSpec(name=SHORT_NAMES[stream.integer(item, 2, why, index)])
    why = "a fixed map of the input, with its sizes; 7 bits of the base announce one beyond the first four"
    name = _named(stream, item, PREPROCESS_NAMES, why, index)
    if name == "tokens":
        length = _size(stream, item, why, None if spec is None else spec.length)
        return PreprocessSpec(name="tokens", length=length, sha256=declared.sha256)
    if name in ("columns", "learned"):
        return PreprocessSpec.model_validate({"name": name, "sha256": declared.sha256})
    sides: list[int | None] = [None, None]
    for place, side in enumerate((None, None) if spec is None else (spec.resize, spec.crop)):
        if stream.integer(item, 1, why, None if spec is None else side is not None):
            sides[place] = _size(stream, item, why, side)
    return PreprocessSpec.model_validate({"name": name, "resize": sides[0], "crop": sides[1]})


def _size(stream: Stream, item: str, why: str, size: int | None) -> int:
    """Carry a size >= 1: a flag, and the gamma code of its number of 32s, or of itself where it is no multiple."""
    irregular = stream.integer(item, 1, why, None if size is None else bool(size % 32))
    if irregular:
        return stream.gamma(item, why, None if size is None else size)
    return 32 * (1 + stream.gamma(item, why, None if size is None else size // 32 - 1))


def _split(stream: Stream, declared: SplitSpec | None, split: SplitSpec | None) -> SplitSpec:
    """Carry which examples trained theta0; a receiver who knows the whole sample finds the rest."""
    item, why = "split", "which examples trained theta0: seed of a permutation, and how many 64ths of it"
    if declared is None:
        raise MessageError("unpack: the payload has a theta0 trained on a split and the certificate declares none.")
    seed = stream.gamma(item, why, None if split is None else split.seed)
    parts = 1 + stream.integer(item, 6, why, None if split is None else split.parts - 1)
    return SplitSpec.model_validate({**declared.model_dump(), "seed": seed, "parts": parts})


def _dimension(stream: Stream, D: int, spec: HypothesisSpec | None) -> int:
    """Carry d; 0, which no subspace has, where every weight stands in the message."""
    item, why = "dimension", "d: a flag and five bits for a power of two, else a gamma code"
    sent = None
    if spec is not None and spec.projector is not None:
        sent = EVERY_WEIGHT if isinstance(spec.quantizer, TensorsSpec) else spec.projector.d
    irregular = stream.integer(item, 1, why, None if sent is None else bool(sent & (sent - 1)) or not sent)
    if irregular:
        d = stream.gamma(item, why, sent)
    else:
        d = 1 << stream.integer(item, 5, why, None if sent is None else sent.bit_length() - 1)
    if not d <= min(D, MAX_COUNT):  # before a matrix or d symbols are thought of
        raise CodeError(f"message: a subspace has d in [1, {min(D, MAX_COUNT)}] for D = {D}, got {d}.")
    return d


def _projector_tree(stream: Stream, D: int, d: int, spec: ProjectorSpec | None, depth: int = 0) -> ProjectorSpec:
    item, why = "projector", "kind and seed of each random matrix"
    kind = _named(stream, item, PROJECTOR_KINDS, why, None if spec is None else PROJECTOR_KINDS.index(spec.kind))
    seed = stream.gamma(item, why, None if spec is None else spec.seed)
    count = 1 if kind == "permuted" else 0
    if kind == "sum":
        count = 2 + stream.integer(item, 2, why, None if spec is None else len(spec.parts) - 2)
    if count and depth > 1:
        raise MessageError("unpack: projectors nest no deeper than a sum of permuted parts.")
    parts = tuple(
        _projector_tree(stream, D, d, None if spec is None else spec.parts[k], depth + 1) for k in range(count)
    )
    shape = None
    if kind == "ekfac":
        sent = None if spec is None else spec.shape
        sides = 1 + stream.integer(item, 2, why, None if sent is None else len(sent) - 1)
        shape = tuple(1 + stream.gamma(item, why, None if sent is None else sent[k] - 1) for k in range(sides))
    return ProjectorSpec(kind=kind, D=D, d=d, seed=seed, parts=parts, shape=shape)  # type: ignore[arg-type]


def _quantizer(stream: Stream, declared: QuantizerSpec | None, spec: QuantizerSpec | None) -> QuantizerSpec:
    item, why = "quantizer", "step profile, lattice step, or codebook of float16 centroids"
    kind = _named(stream, item, QUANTIZER_KINDS, why, None if spec is None else QUANTIZER_KINDS.index(spec.kind))
    if kind == "profile":
        return code_profile_header(stream, spec if isinstance(spec, ProfileSpec) else None)
    if kind == "trellis":
        return code_trellis_header(stream, spec if isinstance(spec, TrellisSpec) else None)
    if kind == "draw":
        if not isinstance(declared, DrawSpec):
            raise MessageError("unpack: the payload is the header of a draw and the certificate declares none.")
        scale = spec.scale_index if isinstance(spec, DrawSpec) else None
        sent = stream.integer("prior scale", 7, "s of the prior N(0, s^2) of a draw, on a grid", scale)
        return declared.model_copy(update={"scale_index": sent})
    if kind == "codebook":
        book = spec.centroids if isinstance(spec, CodebookSpec) else None
        levels = 1 + stream.integer(item, 8, why, None if book is None else len(book) - 1)
        return CodebookSpec(
            centroids=tuple(stream.integer(item, 16, why, None if book is None else book[k]) for k in range(levels))
        )
    step = spec.step_index if isinstance(spec, LatticeSpec) else None
    return LatticeSpec(step_index=stream.integer(item, 8, why, step))
