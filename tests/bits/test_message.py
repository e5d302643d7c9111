"""The message: round trips of everything it can say, an independent count of its bits, and what is refused."""

import hashlib
import itertools
import time
from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pacbound.bits.coder import MAX_COUNT, Encoder
from pacbound.bits.message import pack, unpack
from pacbound.errors import CodeError, MessageError
from pacbound.specs.grammar import REFERENCE_STRINGS
from pacbound.specs.preprocess import PREPROCESS_NAMES, PreprocessSpec
from pacbound.specs.specs import (
    PROFILE_CODE,
    PROJECTOR_KINDS,
    QUANTIZER_KINDS,
    BaseOrigin,
    CodebookSpec,
    CodeSpec,
    DrawSpec,
    HypothesisSpec,
    LatticeSpec,
    ProfileSpec,
    ProjectorSpec,
    TrellisSpec,
)

LAYOUT = "ab" * 32
SEEDS = st.one_of(st.integers(0, 3), st.integers(0, 2**63 - 1))
LEAVES = ("fastfood", "cosine", "sparse", "kron", "kron_qr", "dense", "film")
BASES = st.one_of(
    st.builds(BaseOrigin, seed=SEEDS),
    st.builds(
        lambda kind, seed: BaseOrigin(
            kind=kind, seed=seed if kind != "checkpoint" else 0, sha256="0f" * 32, disjoint=True, values="2d" * 32
        ),
        kind=st.sampled_from(("checkpoint", "checkpoint_new_head")),
        seed=SEEDS,
    ),
    st.builds(BaseOrigin, kind=st.just("values"), sha256=st.just("1e" * 32)),
)
# words for what is trained -> bits of its kind and of the word; that one follows costs 5 more of the base
TRAINED_BITS = {
    None: 0, "head": 1, "lora:1": 3 + 1, "lora:8": 3 + 7, "lora:1024": 3 + 21,
    "x": 3 + 1 + 7, "layer4.*": 3 + 7 + 8 * 7, "!~" * 64: 3 + 15 + 128 * 7, "heads": 3 + 5 + 5 * 7,
}  # fmt: skip
TRAINED = tuple(TRAINED_BITS)
BASE_BITS = {"seeded": 1, "checkpoint": 3, "values": 3, "checkpoint_new_head": 5}
SIZES = st.one_of(st.sampled_from((1, 32, 96, 128, 224, 1000, 1024)), st.integers(1, 1024))
PICTURES = st.sampled_from(PREPROCESS_NAMES[:8])
TREATMENTS = st.one_of(
    st.builds(PreprocessSpec, name=PICTURES),
    st.builds(PreprocessSpec, name=PICTURES, resize=SIZES),
    st.builds(
        lambda name, sides: PreprocessSpec(name=name, resize=max(sides), crop=min(sides)),
        PICTURES, st.tuples(SIZES, SIZES),
    ),
    st.builds(PreprocessSpec, name=st.just("tokens"), length=SIZES, sha256=st.just("3c" * 32)),
    st.just(PreprocessSpec(name="columns", sha256="3c" * 32)),
)  # fmt: skip
PAIRS_OF_BYTES = st.binary(min_size=2, max_size=512).map(lambda raw: raw[: len(raw) // 2 * 2])
Packed = tuple[HypothesisSpec, np.ndarray]
Tree = tuple[str, int, Sequence["Tree"]]


def tree(kind: str, D: int, d: int, seed: int = 0, parts: tuple[ProjectorSpec, ...] = ()) -> ProjectorSpec:
    return ProjectorSpec.model_validate({"kind": kind, "D": D, "d": d, "seed": seed, "parts": parts})


def trees(*kinds: str) -> st.SearchStrategy[Tree]:
    """Kind, seed and parts of a projector whose innermost ones are of some kinds."""
    leaf = st.tuples(st.sampled_from(kinds), SEEDS, st.just(()))
    permuted = st.tuples(st.just("permuted"), SEEDS, st.tuples(leaf))
    parts = st.lists(st.one_of(leaf, permuted), min_size=2, max_size=4)
    return st.one_of(leaf, permuted, st.tuples(st.just("sum"), SEEDS, parts))


SQUARE, ANY_SIZE = trees(*LEAVES, "identity"), trees(*LEAVES)


def grown(shape: Tree, D: int, d: int) -> ProjectorSpec:
    kind, seed, parts = shape
    return tree(kind, D, d, seed, tuple(grown(part, D, d) for part in parts))


@st.composite
def hypotheses(draw: st.DrawFn) -> Packed:
    common = {
        "model": draw(st.sampled_from(("user", "h64-R-L", *REFERENCE_STRINGS))),
        "layout_digest": LAYOUT,
        "base": draw(BASES),
        "train": draw(st.sampled_from(TRAINED)),
        "preprocess": draw(TREATMENTS),
    }
    if draw(st.integers(0, 9)) == 0:
        return HypothesisSpec.model_validate({**common, "layer_scale": False}), np.zeros(0, np.int32)
    D = draw(st.sampled_from([1, 2, 3, 17, 1000, 44426, 2**31 - 1]))
    d = draw(st.integers(1, min(D, 70)))
    kind = draw(
        st.sampled_from([*QUANTIZER_KINDS[:3], *QUANTIZER_KINDS[4:]])
    )  # a draw has no symbols, and a test below
    quantizer, levels = draw(_quantizers(kind))
    symbols = (np.frombuffer(draw(st.binary(min_size=d, max_size=d)), np.uint8) % levels).astype(np.int32)
    code = PROFILE_CODE if kind in ("profile", "trellis") else _code(draw, levels, symbols)
    projector = grown(draw(SQUARE if d == D else ANY_SIZE), D, d)
    chosen = {"projector": projector, "quantizer": quantizer, "code": code}
    return HypothesisSpec.model_validate({**common, **chosen, "layer_scale": draw(st.booleans())}), symbols


@st.composite
def _quantizers(draw: st.DrawFn, kind: str) -> tuple[object, int]:
    if kind == "lattice":
        return LatticeSpec(step_index=draw(st.integers(0, 255))), 2 * draw(st.integers(0, 20)) + 1
    if kind == "codebook":
        centroids = np.frombuffer(draw(PAIRS_OF_BYTES), np.uint16)
        centroids = np.where(np.isfinite(centroids.view(np.float16)), centroids, 0)
        return CodebookSpec(centroids=tuple(centroids.tolist())), len(centroids)
    ranges = {"scale_index": (0, 127), "kap": (1, 64), "c0": (0, 63), "c1": (-16, 15), "c2": (-8, 7)}
    record = ProfileSpec if kind == "profile" else TrellisSpec
    ranges["scale_index"] = (0, 127) if kind == "profile" else (-128, 255)
    return record.model_validate({k: draw(st.integers(*r)) for k, r in ranges.items()}), PROFILE_CODE.levels


def _code(draw: st.DrawFn, levels: int, symbols: np.ndarray) -> CodeSpec:
    symmetric = ["gaussian", "laplace"] if levels % 2 else []
    kind = draw(st.sampled_from([*symmetric, "adaptive", "static"]))
    if kind == "static":
        return CodeSpec(kind="static", levels=levels, counts=tuple(np.bincount(symbols, minlength=levels).tolist()))
    index = draw(st.integers(0, 127)) if kind in ("gaussian", "laplace") else 0
    return CodeSpec.model_validate({"kind": kind, "levels": levels, "ratio_index": index})


def gamma_bits(value: int) -> int:
    return 2 * (len(f"{value + 1:b}") - 1) + 1


MODEL_BITS = {  # the flag, the description by hand from FORMAT.md
    "user": 1,
    "h64-R-L": 1 + 1 + (4 + 4 + 1) + 2 + 3,
    "lenet": 43, "mlp": 16, "cnn": 47, "resnet20": 50, "resnet20-bn": 50, "resnet32-bn": 52, "lenet-mnist": 55,
    "lenet1": 44, "pooled": 49,
}  # fmt: skip


def treatment_bits(spec: PreprocessSpec) -> int:
    """Two bits for the four short ones; else the name, a flag a side, and a flag and a gamma code a size."""
    names = ["none", "ink", "photo", "digits", "imagenet", "clip", "lite", "half", "tokens", "columns"]
    if spec.name in names[:4] and spec.resize is None:
        return 2
    sizes = [size for size in (spec.resize, spec.crop, spec.length) if size is not None]
    coded = sum(1 + gamma_bits(size if size % 32 else size // 32 - 1) for size in sizes)
    return gamma_bits(names.index(spec.name)) + (0 if spec.name in ("tokens", "columns") else 2) + coded


def header_bits(spec: HypothesisSpec) -> Counter[str]:
    """What FORMAT says each field costs, added up by hand."""
    bits: Counter[str] = Counter()
    bits["zero flag"] = 1
    bits["model"] = MODEL_BITS[spec.model]
    bits["base"] = BASE_BITS[spec.base.kind] + gamma_bits(spec.base.seed)
    if spec.train is not None:
        bits["base"] += 5
        bits["trained part"] = TRAINED_BITS[spec.train]
    bits["preprocessing"] = treatment_bits(spec.preprocess)
    bits["base"] += 0 if bits["preprocessing"] == 2 else 7
    if spec.projector is None or spec.code is None:
        return bits
    bits["layer scale"] = 1
    d = spec.projector.d
    bits["dimension"] = 6 if bin(d).count("1") == 1 else 1 + gamma_bits(d)
    bits["projector"] = _tree_bits(spec.projector)
    bits["quantizer"] = {"profile": 1 + 13, "lattice": 3 + 8, "codebook": 3 + 8, "trellis": 5 + 10}[spec.quantizer.kind]
    if isinstance(spec.quantizer, CodebookSpec):
        bits["quantizer"] += 16 * len(spec.quantizer.centroids)
    if isinstance(spec.quantizer, ProfileSpec | TrellisSpec):
        order = [0] + [sign * k for k in range(1, 80) for sign in (1, -1)]  # usual value, one more, one less, ...
        near = (
            {"kap": 44, "c1": 3, "c2": 1} if isinstance(spec.quantizer, ProfileSpec) else {"kap": 44, "c1": 6, "c2": 2}
        )
        bits["quantizer"] += sum(gamma_bits(order.index(getattr(spec.quantizer, k) - near[k])) for k in near)
        if isinstance(spec.quantizer, TrellisSpec):
            bits["quantizer"] += gamma_bits(order.index(spec.quantizer.scale_index // 16 - 3))
        return bits
    bits["symbol model"] = 2 + (7 if spec.code.kind in ("gaussian", "laplace") else 0)
    if isinstance(spec.quantizer, LatticeSpec):
        bits["symbol model"] += gamma_bits(spec.code.levels // 2)
    if spec.code.kind == "static":
        bits["symbol counts"] = len(bin(d)[2:]) * spec.code.levels
    return bits


def _tree_bits(spec: ProjectorSpec) -> int:
    own = gamma_bits(PROJECTOR_KINDS.index(spec.kind)) + gamma_bits(spec.seed) + 2 * (spec.kind == "sum")
    own += 0 if spec.shape is None else 2 + sum(gamma_bits(side - 1) for side in spec.shape)
    return own + sum(_tree_bits(part) for part in spec.parts)


def test_kinds_of_projectors_keep_their_numbers_in_messages() -> None:
    first = ("fastfood", "cosine", "sparse", "kron", "kron_qr", "dense", "film", "identity", "sum", "permuted")
    assert PROJECTOR_KINDS == (*first, "tiled", "ekfac")


@given(hypotheses())
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_receiver_rebuilds_the_very_hypothesis_and_its_ledger(packed: Packed) -> None:
    spec, symbols = packed
    message, ledger = pack(spec, symbols)
    decoded, received, recounted = unpack(message.payload, spec)
    assert decoded == spec
    assert np.array_equal(received, symbols)
    assert received.dtype == np.int32
    assert recounted == ledger
    assert message.bits == ledger.bits
    assert 8 * len(message.payload) <= message.bits + 40 + 0.0005 * len(symbols)
    charged = {entry.item: entry.bits for entry in ledger.entries}
    charged.pop("symbols", None)
    assert charged == dict(header_bits(spec))
    assert {entry.kind for entry in ledger.entries} == {"counted"}


def header_with(words: list[tuple[str, int, int | None]]) -> bytes:
    """A forger's header of w = 0 around fields (item, value, width), by the gamma code where the width is None."""
    encoder = Encoder()
    encoder.integer("zero flag", 1, "forged", 1)
    encoder.integer("model", 1, "forged", 1)
    for item, value, width in words:
        encoder.gamma(item, "forged", value) if width is None else encoder.integer(item, width, "forged", value)
    return encoder.payload()


MORE = ("base", 14, None)
SEEDED = [("base", 0, None), ("base", 0, None)]
LITE = [("preprocessing", 6, None), ("preprocessing", 0, 1), ("preprocessing", 0, 1)]


def test_the_long_form_of_a_preprocessing_is_what_format_says() -> None:
    spec = ZERO.model_copy(update={"preprocess": PreprocessSpec(name="lite")})
    assert pack(spec, np.zeros(0, np.int32))[0].payload == header_with([MORE, *SEEDED, *LITE])


@pytest.mark.parametrize(
    "words",
    [
        [MORE, *SEEDED, ("preprocessing", 1, None), ("preprocessing", 0, 1), ("preprocessing", 0, 1)],  # ink, at length
        [MORE, MORE, *SEEDED, *LITE],
        [MORE, *SEEDED, ("preprocessing", 10, None), ("preprocessing", 0, 1), ("preprocessing", 0, 1)],  # no such name
        [MORE, *SEEDED, *LITE[:2], ("preprocessing", 1, 1), ("preprocessing", 0, 1), ("preprocessing", 0, None)],
        [MORE, *SEEDED, *LITE[:1], ("preprocessing", 1, 1), ("preprocessing", 0, 1), ("preprocessing", 99, None)],
        [MORE, *SEEDED, ("preprocessing", 8, None), ("preprocessing", 0, 1), ("preprocessing", 1, None)],  # whose file?
        [MORE, *SEEDED, ("preprocessing", 9, None)],
    ],
)  # fmt: skip
def test_a_preprocessing_spelt_otherwise_or_out_of_range_is_refused(
    words: list[tuple[str, int, int | None]],
) -> None:
    declared = ZERO.model_copy(update={"preprocess": PreprocessSpec(name="lite")})
    with pytest.raises(MessageError):
        unpack(header_with(words), declared)


@given(hypotheses(), st.data())
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_truncated_padded_and_flipped_payloads_never_pass_for_the_message(packed: Packed, data: st.DataObject) -> None:
    spec, symbols = packed
    payload = pack(spec, symbols)[0].payload
    cut = data.draw(st.integers(0, len(payload) - 1))
    junk = data.draw(st.binary(min_size=1, max_size=12))
    for forged in (payload[:cut], payload[: cut // 4 * 4], payload + junk, payload + bytes(4)):
        with pytest.raises((MessageError, CodeError)):
            unpack(forged, spec)
    bit = data.draw(st.integers(0, 8 * len(payload) - 1))
    flipped = bytearray(payload)
    flipped[bit // 8] ^= 1 << bit % 8
    other = accepted_as(bytes(flipped), spec)
    assert other is None or other[0] != spec or not np.array_equal(other[1], symbols)


def accepted_as(payload: bytes, declared: HypothesisSpec) -> Packed | None:
    """What a payload decodes to, or None where it is refused as it must be; any other exception is a failure."""
    try:
        spec, symbols, ledger = unpack(payload, declared)
    except (MessageError, CodeError):
        return None
    assert pack(spec, symbols) == (pack(spec, symbols)[0], ledger)
    assert pack(spec, symbols)[0].payload == payload
    return spec, symbols


def lattice_hypothesis(d: int = 5, D: int = 1000, kind: str = "adaptive", levels: int = 3) -> HypothesisSpec:
    return HypothesisSpec(
        model="lenet",
        layout_digest=LAYOUT,
        base=BaseOrigin(seed=3),
        projector=tree("kron_qr", D, d),
        quantizer=LatticeSpec(step_index=40),
        code=CodeSpec.model_validate({"kind": kind, "levels": levels}),
    )


ZERO = HypothesisSpec(model="user", layout_digest=LAYOUT, base=BaseOrigin(), layer_scale=False)


@given(st.binary(max_size=120), st.integers(0, 3))
@settings(max_examples=300, deadline=None)
def test_foreign_bytes_are_refused_or_are_a_canonical_message_and_nothing_else_happens(raw: bytes, head: int) -> None:
    """Some start like a message, so that the fuzz reaches the fields behind the flags."""
    start = pack(lattice_hypothesis(), np.zeros(5, np.int32))[0].payload
    for declared in (lattice_hypothesis(), ZERO):
        accepted_as(start[:head] + raw, declared)


def header_up_to_dimension(d: int) -> Encoder:
    """A forger's encoder: the fields of the format, with a dimension of its choice, power of two."""
    encoder = Encoder()
    encoder.integer("zero flag", 1, "forged", 0)
    encoder.integer("model", 1, "forged", 1)  # one's own network
    encoder.gamma("base", "forged", 0)
    encoder.gamma("base", "forged", 0)
    encoder.integer("preprocessing", 2, "forged", 0)
    encoder.integer("layer scale", 1, "forged", 0)
    encoder.integer("dimension", 1, "forged", 0)
    encoder.integer("dimension", 5, "forged", d.bit_length() - 1)
    encoder.gamma("projector", "forged", 0)
    encoder.gamma("projector", "forged", 0)
    return encoder


@pytest.mark.parametrize("power", [27, 30, 31])
@pytest.mark.parametrize("code", ["gaussian", "adaptive", "static"])
def test_billions_of_symbols_at_no_bits_each_are_refused_at_once(power: int, code: str) -> None:
    """An alphabet of one level costs nothing per symbol: only a cap stands before 2^30 of them."""
    encoder = header_up_to_dimension(1 << power)
    encoder.gamma("quantizer", "forged", QUANTIZER_KINDS.index("lattice"))
    encoder.integer("quantizer", 8, "forged", 0)
    encoder.integer("symbol model", 2, "forged", ("gaussian", "laplace", "adaptive", "static").index(code))
    encoder.gamma("symbol model", "forged", 0)
    encoder.integer("symbol model", 7, "forged", 0)
    declared = lattice_hypothesis(D=2**31 - 1)
    start = time.perf_counter()
    with pytest.raises((MessageError, CodeError), match="subspace has d in"):
        unpack(encoder.payload(), declared)
    assert time.perf_counter() - start < 5


def test_a_dimension_above_the_size_of_the_network_is_refused_in_both_directions() -> None:
    with pytest.raises(CodeError, match="subspace has d in"):
        pack(lattice_hypothesis(d=6, D=5), np.zeros(6, np.int32))
    message, _ = pack(lattice_hypothesis(d=6, D=6), np.zeros(6, np.int32))
    with pytest.raises(CodeError, match="subspace has d in"):
        unpack(message.payload, lattice_hypothesis(d=5, D=5))
    assert MAX_COUNT == 2**26


def test_a_projector_is_refused_where_the_certificate_declares_none() -> None:
    message, _ = pack(lattice_hypothesis(), np.zeros(5, np.int32))
    with pytest.raises(MessageError, match="declares none"):
        unpack(message.payload, ZERO)


def test_a_base_of_another_kind_than_declared_is_refused() -> None:
    values = ZERO.model_copy(update={"base": BaseOrigin(kind="values", sha256="0f" * 32)})
    message, _ = pack(values, np.zeros(0, np.int32))
    with pytest.raises(MessageError, match="sha256"):
        unpack(message.payload, ZERO)


@pytest.mark.parametrize(
    ("spec", "symbols"),
    [
        (ZERO.model_copy(update={"layer_scale": True}), np.zeros(0, np.int32)),
        (ZERO, np.zeros(1, np.int32)),
        (lattice_hypothesis(levels=4), np.zeros(5, np.int32)),
        (lattice_hypothesis(kind="static"), np.zeros(5, np.int32)),
        (lattice_hypothesis(), np.zeros(4, np.int32)),
        (lattice_hypothesis(), np.full(5, 3, np.int32)),
        (lattice_hypothesis(), np.zeros(5, np.int64)),
        (
            lattice_hypothesis().model_copy(update={"code": CodeSpec(kind="adaptive", levels=3, ratio_index=5)}),
            np.zeros(5, np.int32),
        ),
        (
            lattice_hypothesis().model_copy(update={"quantizer": CodebookSpec(centroids=(1, 2))}),
            np.zeros(5, np.int32),
        ),
    ],
    ids=[
        "scale of w = 0",
        "symbols of w = 0",
        "even lattice",
        "no counts",
        "too few",
        "outside",
        "int64",
        "scale of an adaptive code",
        "levels beside the codebook",
    ],
)
def test_what_a_receiver_would_rebuild_otherwise_is_refused_when_packed(
    spec: HypothesisSpec, symbols: np.ndarray
) -> None:
    with pytest.raises(CodeError):
        pack(spec, symbols)


def test_both_branches_of_the_zero_flag_pay_for_it() -> None:
    """w = 0 beside other codes at no bits would break Kraft."""
    for spec, symbols in ((ZERO, np.zeros(0, np.int32)), (lattice_hypothesis(), np.ones(5, np.int32))):
        first = pack(spec, symbols)[1].entries[0]
        assert (first.item, first.bits) == ("zero flag", 1)


def test_no_payload_starts_another_so_messages_need_no_length() -> None:
    payloads = {pack(ZERO, np.zeros(0, np.int32))[0].payload}
    for levels, d, kind in ((1, 1, "adaptive"), (1, 2, "adaptive"), (3, 1, "gaussian"), (3, 3, "adaptive")):
        for number in range(levels**d):
            symbols = np.array([number // levels**k % levels for k in range(d)], np.int32)
            for seed in range(3):
                spec = lattice_hypothesis(d, 1000, kind, levels)
                projector = tree("kron_qr", 1000, d, seed)
                payloads.add(pack(spec.model_copy(update={"projector": projector}), symbols)[0].payload)
    assert len(payloads) == 1 + 3 * (1 + 1 + 3 + 27)
    ordered = sorted(payloads)
    assert not any(later.startswith(earlier) for earlier, later in itertools.pairwise(ordered))
    assert sum(2.0 ** (-8 * len(payload)) for payload in payloads) <= 1


@pytest.mark.parametrize("case", ["zero", "lattice", "codebook", "static", "laplace"])
def test_golden_messages_so_that_old_certificates_stay_readable(case: str) -> None:
    """Changing one of these payloads is a breaking release."""
    spec, symbols = golden_message(case)
    message, _ = pack(spec, symbols)
    assert (message.bits, hashlib.sha256(message.payload).hexdigest()[:32]) == GOLDEN[case]


def golden_message(case: str) -> Packed:
    if case == "zero":
        return ZERO, np.zeros(0, np.int32)
    symbols = np.array([(k * k) % 7 for k in range(600)], np.int32)
    parts = (tree("permuted", 1000, 600, 1, (tree("dense", 1000, 600, 2),)), tree("film", 1000, 600, 2**40))
    update: dict[str, object] = {"projector": tree("sum", 1000, 600, 0, parts)}
    code: dict[str, object] = {"kind": "gaussian", "levels": 7, "ratio_index": 70}
    if case == "laplace":
        code["kind"] = "laplace"
    if case == "static":
        code = {"kind": "static", "levels": 7, "counts": tuple(np.bincount(symbols, minlength=7).tolist())}
    if case == "codebook":
        update["quantizer"] = CodebookSpec(centroids=(48128, 47104, 0, 14336, 15360, 15872, 16384))
        code = {"kind": "adaptive", "levels": 7}
    update["code"] = CodeSpec.model_validate(code)
    return lattice_hypothesis(600).model_copy(update=update), symbols


GOLDEN: dict[str, tuple[int, str]] = {
    "zero": (6, "fdf5d1b624cc458dffbd5035ee570263"),
    "lattice": (3688, "0a620701d18d6c330f0f3dd885314765"),
    "codebook": (1506, "a28297f27fe7f43adec1d84093e20b91"),
    "static": (1446, "4c9ede221b4e76813139d737917f4b74"),
    "laplace": (2548, "7b971cdcf44b5ce93c0de6dc35150572"),
}


def test_the_header_of_a_draw_has_no_symbols_and_takes_file_and_index_from_the_certificate() -> None:
    drawn = DrawSpec(scale_index=70, index=3, sha256="ab" * 32, size=1000)
    spec = lattice_hypothesis().model_copy(update={"quantizer": drawn, "code": None})
    message, ledger = pack(spec, np.zeros(0, np.int32))
    bits = {entry.item: entry.bits for entry in ledger.entries}
    assert (bits["quantizer"], bits["prior scale"]) == (5, 7)
    other = spec.model_copy(update={"quantizer": drawn.model_copy(update={"scale_index": 0})})
    assert unpack(message.payload, other)[0] == spec  # the scale is read from the message
    with pytest.raises(MessageError, match="header of a draw and the certificate declares none"):
        unpack(message.payload, lattice_hypothesis())
