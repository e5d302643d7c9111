"""Every record that a certificate embeds to say how its network is rebuilt. Data only: no torch, no arithmetic."""

import math
from typing import Annotated, ClassVar, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from ..records import Record, SparseRecord
from .grammar import MAX_DESCRIPTION, REFERENCE_STRINGS, model_name
from .head import HeadSpec
from .picks import PicksSpec
from .preprocess import PreprocessSpec
from .tensors import DirectSpec
from .trained import TrainedWord

REFERENCE_MODELS = tuple(REFERENCE_STRINGS)
RAW_PIXEL_MODELS = ("resnet20-bn", "resnet32-bn", "lenet-mnist")  # those of published files scale pixels themselves
# "user", a name in REFERENCE_MODELS, or the canonical description of a network that has no name
ModelName = Annotated[str, Field(max_length=MAX_DESCRIPTION), AfterValidator(model_name)]

# Orders below are part of the format: a position is what the message codes, the first being the shortest.
ProjectorKind = Literal[
    "fastfood", "cosine", "sparse", "kron", "kron_qr", "dense", "film", "identity", "sum", "permuted", "tiled", "ekfac"
]
PROJECTOR_KINDS: tuple[ProjectorKind, ...] = ProjectorKind.__args__  # type: ignore[attr-defined]
SINGLE_KINDS = tuple(kind for kind in PROJECTOR_KINDS if kind not in ("sum", "permuted"))  # made of no others
BaseKind = Literal["seeded", "checkpoint", "values", "checkpoint_new_head", "split", "zero", "checkpoint_own_head"]
BASE_KINDS: tuple[BaseKind, ...] = BaseKind.__args__  # type: ignore[attr-defined]
CHECKPOINT_KINDS = ("checkpoint", "checkpoint_new_head", "checkpoint_own_head")
CodeKind = Literal["gaussian", "laplace", "adaptive", "static", "profile"]
SENT_CODE_KINDS: tuple[CodeKind, ...] = ("gaussian", "laplace", "adaptive", "static")  # profile needs no word
MAX_DIMENSION = 1 << 31
MAX_INPUT = 1 << 19  # numbers in an input of which many are drawn as noise
MAX_SYMBOL = 1 << 15
MAX_EXAMPLES = 1 << 40
SPLIT_PARTS = 64
PROFILE_REACH = 20  # symbols of a step profile are -20..20
RATIO_ONE = 64  # the ratio_index of a step that is the scale


class ProjectorSpec(SparseRecord):
    """A D x d matrix as data. `sum` adds its parts over sqrt(number); `permuted` shuffles the rows of its one part.

    shape: of one input as the network reads it, for `ekfac` alone, which looks at noise of that shape.
    """

    LEFT_OUT: ClassVar[tuple[str, ...]] = ("shape",)

    kind: ProjectorKind
    D: int = Field(ge=1, lt=MAX_DIMENSION)
    d: int = Field(ge=1, lt=MAX_DIMENSION)
    seed: int = Field(default=0, ge=0, lt=1 << 63)
    parts: tuple["ProjectorSpec", ...] = Field(default=(), max_length=4)
    shape: Annotated[tuple[Annotated[int, Field(ge=1)], ...], Field(min_length=1, max_length=3)] | None = None

    @model_validator(mode="after")
    def _shape(self) -> Self:
        needed = {"sum": "2 to 4", "permuted": "1"}.get(self.kind, "0")
        right = {"sum": len(self.parts) >= 2, "permuted": len(self.parts) == 1}.get(self.kind, not self.parts)
        if not right:
            raise ValueError(f"a {self.kind} projector has {needed} parts, got {len(self.parts)}")
        if any((part.D, part.d) != (self.D, self.d) for part in self.parts):
            raise ValueError("every part of a projector has the D and d of the whole")
        if any(part.kind == "sum" or (part.parts and self.kind == "permuted") for part in self.parts):
            raise ValueError("projectors nest no deeper than a sum of permuted parts")
        if (self.kind == "ekfac") != (self.shape is not None):
            raise ValueError(f"an ekfac projector has the shape of an input, and no other has, got {self.shape}")
        if self.shape is not None and math.prod(self.shape) > MAX_INPUT:
            raise ValueError(f"an ekfac projector has inputs of at most {MAX_INPUT:,} numbers, got {self.shape}")
        if any(part.kind == "ekfac" for part in self.parts):
            raise ValueError("an ekfac projector is no part of another")
        if self.kind == "identity" and self.D != self.d:
            raise ValueError(f"the identity projector has D == d, got {self.D} and {self.d}")
        return self


def every_weight(D: int) -> ProjectorSpec:
    """Return the identity, which stands for no subspace at all."""
    return ProjectorSpec(kind="identity", D=D, d=D)


class SplitSpec(SparseRecord):
    """The first examples of a permutation of the whole sample train theta0; the statement is about the rest.

    seed: of the permutation. parts: theta0 saw parts/64 of the whole, rounded down. whole, digest: size and SHA-256
    of the whole sample. size: bytes of the file with theta0, which lies beside the certificate. start: SHA-256 of the
    values that its training started from, where they were handed over instead of drawn from the seed. checkpoint:
    SHA-256 of the file that these were read from, where they come from one.
    """

    LEFT_OUT: ClassVar[tuple[str, ...]] = ("start", "checkpoint")

    seed: int = Field(default=0, ge=0, lt=1 << 63)
    parts: int = Field(ge=1, lt=SPLIT_PARTS)
    whole: int = Field(ge=2, le=MAX_EXAMPLES)
    digest: str = Field(pattern="^[0-9a-f]{64}$")
    size: int = Field(ge=0, le=1 << 28)
    start: str | None = Field(default=None, pattern="^[0-9a-f]{64}$")
    checkpoint: str | None = Field(default=None, pattern="^[0-9a-f]{64}$")

    @property
    def first(self) -> int:
        """Number of examples that theta0 was trained on."""
        return self.whole * self.parts // SPLIT_PARTS

    @property
    def rest(self) -> int:
        """Number of examples that the statement is about."""
        return self.whole - self.first

    @model_validator(mode="after")
    def _nonempty(self) -> Self:
        if self.first < 1:
            raise ValueError(f"a split has examples on both sides, got {self.parts}/{SPLIT_PARTS} of {self.whole}")
        if self.checkpoint is not None and self.start is None:
            raise ValueError("a start from a checkpoint has the values that were read from it")
        return self


# kind of base -> the fields that it must have, and those that it may; no other may differ from its default.
BASE_FIELDS: dict[BaseKind, tuple[set[str], set[str]]] = {
    "seeded": (set(), {"seed", "constants"}),
    "checkpoint": ({"sha256", "disjoint", "values"}, set()),
    "values": ({"sha256"}, set()),
    "checkpoint_new_head": ({"sha256", "disjoint", "values"}, {"seed"}),
    "split": ({"sha256", "split"}, {"seed", "values", "constants"}),
    "zero": (set(), {"constants"}),
    "checkpoint_own_head": ({"sha256", "disjoint", "values", "head"}, set()),
}


class BaseOrigin(SparseRecord):
    """Where theta0 comes from, always before the data that the statement is about.

    seeded: our own generator. checkpoint: a file by others, with the user's word that it was trained on data
    disjoint from this sample. checkpoint_new_head: the same, with the last layer drawn from the seed.
    checkpoint_own_head: the same, with one made of rows of its own, head.
    values: handed over, stored beside the certificate. split: trained on other examples of the same sample, from a
    start drawn from the seed or handed over; sha256 is that of its file. zero: every parameter is 0, which a direct
    code starts from. values: of a checkpoint, SHA-256 of theta0 as it was read, which rules for names decide too; of a
    split, SHA-256 of theta0 where what is frozen is that of a checkpoint and stands in no other file.
    constants: where seeded or zero, SHA-256 of the buffers that are neither parameters nor
    statistics, where there are any; of a split, of those that no file of a network holds.
    """

    LEFT_OUT: ClassVar[tuple[str, ...]] = ("split", "values", "constants", "head")

    kind: BaseKind = "seeded"
    seed: int = Field(default=0, ge=0, lt=1 << 63)
    sha256: str | None = Field(default=None, pattern="^[0-9a-f]{64}$")
    disjoint: bool = False
    split: SplitSpec | None = None
    values: str | None = Field(default=None, pattern="^[0-9a-f]{64}$")
    constants: str | None = Field(default=None, pattern="^[0-9a-f]{64}$")
    head: HeadSpec | None = None

    @property
    def checkpoint(self) -> str | None:
        """SHA-256 of the file by others that theta0 is, or was trained from; None where there is none."""
        if self.split is not None:
            return self.split.checkpoint
        return self.sha256 if self.kind in CHECKPOINT_KINDS else None

    @property
    def needed(self) -> str | None:
        """SHA-256 of the file by others without which theta0 cannot be made again; None where there is none."""
        return None if self.split is not None and self.values is None else self.checkpoint

    @property
    def file(self) -> str:
        """Bare name of the file that the theta0 of a split lies in."""
        return f"{(self.sha256 or '')[:16]}.safetensors"

    @model_validator(mode="after")
    def _own_fields(self) -> Self:
        needed, allowed = BASE_FIELDS[self.kind]
        given = {
            name for name in type(self).model_fields if getattr(self, name) != type(self).model_fields[name].default
        }
        given -= {"kind"}
        if missing := needed - given:
            raise ValueError(f"a base of kind {self.kind} has {', '.join(sorted(missing))}, got none")
        if self.split is not None and self.values is not None and self.split.checkpoint is None:
            raise ValueError("a split has values of its own only where it started from a checkpoint")
        if foreign := given - needed - allowed:
            raise ValueError(f"a base of kind {self.kind} has no {', '.join(sorted(foreign))}")
        return self


class LatticeSpec(Record):
    """Coefficients are integers times the step 2^(-step_index / 8)."""

    kind: Literal["lattice"] = "lattice"
    step_index: int = Field(ge=0, lt=256)


class CodebookSpec(Record):
    """Coefficients are float16 centroids, given by their bit patterns, in the order of the symbols."""

    kind: Literal["codebook"] = "codebook"
    centroids: tuple[int, ...] = Field(min_length=1, max_length=256)

    @model_validator(mode="after")
    def _finite(self) -> Self:
        if any(not 0 <= c < 1 << 16 or (c >> 10) & 31 == 31 for c in self.centroids):
            raise ValueError("centroids are bit patterns of finite float16 numbers")
        return self


class ProfileSpec(Record):
    """Steps along a smooth curve, and with them the symbol model of each coefficient: see bits/profile.py.

    scale_index: s = 2^(-scale_index / 16). kap: tenths. c0, c1, c2: eighths, Chebyshev coefficients of degree 0 to 2.
    """

    kind: Literal["profile"] = "profile"
    scale_index: int = Field(ge=0, lt=128)
    kap: int = Field(ge=1, le=64)
    c0: int = Field(ge=0, lt=64)
    c1: int = Field(ge=-16, lt=16)
    c2: int = Field(ge=-8, lt=8)


class TensorLattice(Record):
    """One tensor of weights, in flat order: integers times the step 2^(-step_index / 8).

    size: elements, of the architecture and declared. step_index: None where all of them are 0. ratio_index: fixes step
    over scale of their symbol model, as in CodeSpec.
    """

    size: int = Field(ge=1, lt=MAX_DIMENSION)
    step_index: int | None = Field(default=None, ge=0, lt=256)
    ratio_index: int = Field(default=RATIO_ONE, ge=0, lt=128)

    @model_validator(mode="after")
    def _nothing_of_zeros(self) -> Self:
        if self.step_index is None and self.ratio_index != RATIO_ONE:
            raise ValueError("a tensor of zeros has no symbol model")
        return self


class TensorsSpec(Record):
    """Every weight by itself, without a subspace: a lattice and a symbol model for each tensor; bits/weights.py.

    table: the density that all symbol models discretise.
    """

    kind: Literal["tensors"] = "tensors"
    table: Literal["laplace", "gaussian"] = "laplace"
    lattices: tuple[TensorLattice, ...] = Field(min_length=1, max_length=900)

    @property
    def parameters(self) -> int:
        """Elements of all tensors."""
        return sum(lattice.size for lattice in self.lattices)


class TrellisSpec(Record):
    """A step profile under dependent quantization: every coefficient is on one of two lattices, and the symbols before
    it say on which: see bits/trellis.py.

    Fields as of ProfileSpec; the scale reaches from 2^-16 to 2^8.
    """

    kind: Literal["trellis"] = "trellis"
    scale_index: int = Field(ge=-128, lt=256)
    kap: int = Field(ge=1, le=64)
    c0: int = Field(ge=0, lt=64)
    c1: int = Field(ge=-16, lt=16)
    c2: int = Field(ge=-8, lt=8)


class DrawSpec(Record):
    """Coefficients are one draw from a posterior in a file beside the certificate, against N(0, s^2 I).

    scale_index: s = 2^(-scale_index / 16). index: how many draws have been evaluated, this one included; the noise
    depends on it and on the file. sha256 (hex) and size (bytes) of the file, which bears the digest's name.
    """

    kind: Literal["draw"] = "draw"
    scale_index: int = Field(ge=0, lt=128)
    index: int = Field(ge=1, lt=1 << 20)
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    size: int = Field(ge=0, le=1 << 28)

    @property
    def file(self) -> str:
        """Bare name of the file."""
        return f"{self.sha256[:16]}.safetensors"


StepSpec = ProfileSpec | TrellisSpec  # steps along a curve, which fix the symbol model too
SymbolSpec = LatticeSpec | CodebookSpec | StepSpec | TensorsSpec  # what gives symbols a meaning
QuantizerSpec = SymbolSpec | DrawSpec | DirectSpec | PicksSpec
QUANTIZER_KINDS = ("profile", "lattice", "codebook", "draw", "trellis")  # of coefficients; 1 bit, then 3, 3, 5, 5


class CodeSpec(Record):
    """The symbol model. ratio_index fixes step over scale (gaussian, laplace); counts belong to `static`."""

    kind: CodeKind
    levels: int = Field(ge=1, le=2 * MAX_SYMBOL + 1)
    ratio_index: int = Field(default=0, ge=0, lt=128)
    counts: tuple[int, ...] = ()


PROFILE_CODE = CodeSpec(kind="profile", levels=2 * PROFILE_REACH + 1)


class HypothesisSpec(SparseRecord):
    """Everything but the symbols. projector, quantizer and code are None together: that is w = 0.

    A draw has no code, nor have lattices of all tensors, whose projector is the identity. A direct code has a quantizer
    alone, and goes with a base of zeros; picks have a quantizer alone. train: which parameters are trained, where not
    all of them.
    """

    LEFT_OUT: ClassVar[tuple[str, ...]] = ("train",)

    model: ModelName
    layout_digest: str = Field(pattern="^[0-9a-f]{64}$")
    base: BaseOrigin
    train: TrainedWord | None = None
    preprocess: PreprocessSpec = PreprocessSpec()
    projector: ProjectorSpec | None = None
    layer_scale: bool = True
    quantizer: QuantizerSpec | None = None
    code: CodeSpec | None = None

    @property
    def parameters(self) -> int | None:
        """How many the network has, as far as this says; None where w = 0."""
        if isinstance(self.quantizer, DirectSpec):
            return self.quantizer.parameters
        return None if self.projector is None else self.projector.D

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.preprocess.name == "learned" and self.base.split is None:
            raise ValueError("constants of columns are learned on the first share of a split, and there is none")
        if isinstance(self.quantizer, DirectSpec):
            alone = self.projector is None and self.code is None and not self.layer_scale
            if self.base.kind != "zero" or self.train is not None or not alone:
                raise ValueError("a direct code has a base of zeros, all parameters, and no subspace or other code")
            return self
        if isinstance(self.quantizer, PicksSpec):
            if self.base.kind == "zero" or self.layer_scale or self.projector is not None or self.code is not None:
                raise ValueError("picks have a theta0 that is not zero, no projector, no code and no layer_scale")
            return self
        if self.base.kind == "zero" and self.quantizer is not None:
            raise ValueError("a base of zeros goes with a direct code")
        alone = isinstance(self.quantizer, DrawSpec | TensorsSpec)
        present = [part is not None for part in (self.projector, self.quantizer, self.code or alone or None)]
        if len(set(present)) != 1 or (alone and self.code is not None):
            raise ValueError(
                "projector, quantizer and code are given together, or all are absent (w = 0); a draw has no code, nor "
                "have lattices of tensors"
            )
        if isinstance(self.quantizer, TensorsSpec) and self.projector != every_weight(self.quantizer.parameters):
            raise ValueError("lattices of tensors go with the identity projector of all their elements, of seed 0")
        profile = isinstance(self.quantizer, StepSpec)
        if self.code is not None and (self.code.kind == "profile") != profile:
            raise ValueError("a quantizer with a step profile and the code `profile` go together")
        if self.code is not None and profile and self.code != PROFILE_CODE:
            raise ValueError(f"a profile code has {PROFILE_CODE.levels} levels and no fields of its own")
        return self
