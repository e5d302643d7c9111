"""The certificate as a record: the fields are the document, the properties are what the document means.

`Certificate.issue` writes one, `Certificate.load` reads one; neither checks that it holds, which is what
`pacbound.verify` is for. FORMAT.md is the prose of this file.
"""

from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, PrivateAttr, model_validator

from ..bits.ledger import Entry, Ledger
from ..bits.message import Message
from ..bounds.claims import TOP_K, Bound, Measure, RiskEstimate
from ..bounds.disagreement import disagreement
from ..bounds.preference import picks
from ..bounds.table import rounded_up, theorem
from ..errors import CertificateError, LedgerError
from ..notebook import html_table
from ..records import Record, SparseRecord
from ..specs.picks import PicksSpec
from ..specs.repeats import Reason
from ..specs.specs import MAX_EXAMPLES, DrawSpec, HypothesisSpec
from .canonical import Json
from .document import (
    MAX_LEDGER_BITS,
    Document,
    Environment,
    InlineMessage,
    Sha256,
    SidecarMessage,
    Token,
    declared_sentences,
    message_document,
    read_message,
    read_theta0,
    schema_id,
)
from .files import read_sidecar
from .parts import DisagreementPart, SurrogatePart
from .picked import PicksPart
from .statement import write_statement
from .sweep import SweepRecord
from .tuned import TunedName, check_like

SCHEMA_VERSION: Literal["2"] = "2"
SCHEMA_ID = schema_id(SCHEMA_VERSION)
UNRELEASED = "1"  # its certificates paid no architecture: results/finish_again.py writes them anew

SampleSize = Annotated[int, Field(ge=1, le=MAX_EXAMPLES)]
TheoremName = Literal[
    "occam_binomial", "occam_kl", "occam_hoeffding", "pac_bayes_kl_xi", "pac_bayes_kl", "catoni_grid",
    "catoni_fixed", "thiemann_lambda", "rivasplata_quadratic", "tolstikhin_seldin", "mcallester", "single_draw",
    "test_set", "disagreement", "picks", "picks_classical",
]  # fmt: skip


class StatedBound(Record):
    """The headline: `risk <= value` with probability at least 1 - delta over the sample, by this theorem."""

    value: float = Field(ge=0, le=1)
    theorem: TheoremName
    delta: float = Field(gt=0, lt=1)


class StatedRisk(Record):
    """Errors of the decoded network on the n training examples: a count, or a sum of losses in [0, 1]."""

    errors: int | float = Field(ge=0)
    n: SampleSize
    loss: str = Field(pattern=r"^[a-z][a-z0-9_]{0,31}$")

    @model_validator(mode="after")
    def _whole(self) -> Self:
        estimate = RiskEstimate(errors=self.errors, n=self.n, loss=self.loss)
        if estimate.counts and self.loss != "zero_one" and not TOP_K.fullmatch(self.loss):
            raise ValueError(f"a loss named top_ ends in a number from 1 on, got {self.loss!r}")
        if estimate.counts and isinstance(self.errors, float):
            raise ValueError(f"errors of a {self.loss} loss are a whole number, got {self.errors!r}")
        return self


class DataRecord(SparseRecord):
    """The sample: its name, SHA-256 digest, size, classes, and what a reader must know about it.

    distinct: how many distinct inputs it has, of a split those that theta0 did not see either. repeats: why others
    repeat them, in the user's words. like: the data set that defaults were chosen on whose inputs these are, whatever
    their form, where the name does not say so. labels: what the classes 0, 1, ... are called, where they are not these
    numbers themselves; of those that never occur nothing.
    """

    LEFT_OUT = ("repeats", "like", "labels")

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")
    digest: Sha256
    n: SampleSize
    classes: int = Field(ge=2, le=1 << 20)
    note: str = Field(default="", max_length=1000)
    distinct: int = Field(ge=0, le=MAX_EXAMPLES)
    repeats: Reason | None = None
    like: TunedName | None = None
    labels: tuple[Annotated[str, Field(min_length=1, max_length=200)], ...] | None = Field(
        default=None, min_length=1, max_length=1 << 16
    )

    @model_validator(mode="after")
    def _range(self) -> Self:
        if self.labels is not None and (len(self.labels) > self.classes or len(set(self.labels)) < len(self.labels)):
            raise ValueError(f"labels are different names of at most {self.classes} classes, got {len(self.labels)}")
        if self.distinct > self.n:
            raise ValueError(f"distinct is at most n, got {self.distinct} of {self.n}")
        check_like(self.name, self.like)
        return self


class HeldOut(Record):
    """The held-out examples of a bound: name and digest as of DataRecord, and how many distinct inputs there are.

    rechecked: never by the document itself, which holds the errors as its author counted them.
    """

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")
    digest: Sha256
    distinct: int = Field(ge=1, le=MAX_EXAMPLES)
    rechecked: Literal[False] = False


class OtherBound(SparseRecord):
    """A bound beside the headline; each holds with probability 1 - delta by itself, not jointly.

    sample: `train` for the same message under another theorem, `test` for held-out examples (bits = 0), which
    `held_out` names.
    """

    LEFT_OUT = ("held_out",)

    kind: Literal["bound"] = "bound"
    sample: Literal["train", "test"]
    value: float = Field(ge=0, le=1)
    theorem: TheoremName
    delta: float = Field(gt=0, lt=1)
    errors: int | float = Field(ge=0)
    n: SampleSize
    bits: int = Field(ge=0, le=MAX_LEDGER_BITS)
    held_out: HeldOut | None = None

    @model_validator(mode="after")
    def _range(self) -> Self:
        RiskEstimate(errors=self.errors, n=self.n)
        if (self.sample == "test") != (self.held_out is not None):
            raise ValueError("held-out examples are named where the sample is test, and nowhere else")
        if self.held_out is not None and self.held_out.distinct > self.n:
            raise ValueError(f"distinct is at most n, got {self.held_out.distinct} of {self.n}")
        return self


class Baseline(Record):
    """Errors of a predictor that learned nothing, for honesty: the most frequent class, always."""

    kind: Literal["baseline"] = "baseline"
    name: Literal["majority_class"] = "majority_class"
    sample: Literal["train"]
    errors: int = Field(ge=0)
    n: SampleSize

    @model_validator(mode="after")
    def _range(self) -> Self:
        RiskEstimate(errors=self.errors, n=self.n)
        return self


class MethodRow(Record):
    """One of the methods that a list fixed beforehand named, and what came of it: nothing where it was refused."""

    name: Token
    value: float | None = Field(default=None, ge=0, le=1)
    errors: int | float | None = Field(default=None, ge=0)
    n: SampleSize | None = None
    bits: int | None = Field(default=None, ge=0, le=MAX_LEDGER_BITS)


class Certificate(Document):
    """A statement, a ledger of bits, and a message that can be decoded.

    Fields carry the names of the JSON keys, except where a property of that name returns the record that
    the document stands for: `bound`, `risk` and `ledger` are Bound, RiskEstimate and Ledger.
    """

    model_config = ConfigDict(title="pacbound certificate")
    LEFT_OUT = ("methods", "picks", "sweep")  # sections that do not apply

    schema_version: Literal["2"] = SCHEMA_VERSION
    statement: str = Field(max_length=2000)
    stated_bound: StatedBound = Field(alias="bound")
    stated_risk: StatedRisk = Field(alias="risk")
    entries: tuple[Entry, ...] = Field(alias="ledger", min_length=1, max_length=1000)
    message: InlineMessage | SidecarMessage
    data: DataRecord
    hypothesis: HypothesisSpec
    declarations: tuple[Annotated[str, Field(max_length=1000)], ...] = Field(max_length=100)
    measures: tuple[Measure, ...] = Field(default=(), max_length=1000)
    parts: tuple[Annotated[SurrogatePart | DisagreementPart, Field(discriminator="kind")], ...] = Field(
        default=(), max_length=2
    )
    picks: PicksPart | None = None
    methods: tuple[MethodRow, ...] | None = Field(default=None, min_length=2, max_length=16)
    sweep: SweepRecord | None = None
    also: tuple[Annotated[OtherBound | Baseline, Field(discriminator="kind")], ...] = Field(default=(), max_length=100)
    environment: Environment = Environment()
    digest: Sha256

    _payload: bytes | None = PrivateAttr(default=None)
    _beside: bytes | None = PrivateAttr(default=None)
    _theta0: bytes | None = PrivateAttr(default=None)

    @model_validator(mode="after")
    def _both_parts(self) -> Self:
        kinds = [part.kind for part in self.parts]
        if kinds not in ([], ["surrogate", "disagreement"]):
            raise ValueError(f"parts are none, or a surrogate and a disagreement in this order, got {kinds}")
        return self

    @model_validator(mode="after")
    def _picks_together(self) -> Self:
        if (self.picks is not None) != isinstance(self.hypothesis.quantizer, PicksSpec):
            raise ValueError("the section `picks` goes with a hypothesis of picks, and with nothing else")
        if self.picks is not None and self.picks.picked + self.picks.errors > self.stated_risk.n:
            raise ValueError(f"picks and errors outside them are different examples of the n = {self.stated_risk.n}")
        return self

    @model_validator(mode="after")
    def _distinct_items(self) -> Self:
        try:
            total = Ledger(self.entries).bits
        except LedgerError as cause:
            raise ValueError(str(cause)) from None
        if abs(total) > MAX_LEDGER_BITS:  # the ratio of a draw may be negative
            raise ValueError(f"the ledger sums to at most 2^40 bits, got {total}")
        return self

    def __repr__(self) -> str:
        """One line: data, bound, theorem, errors and bits."""
        stated, risk = self.stated_bound, self.stated_risk
        said = f"risk <= {rounded_up(stated.value)} by {stated.theorem}, delta {stated.delta!r}"
        return f"Certificate({self.data.name}: {said}; {risk.errors:,} of {risk.n:,} errors, {self.ledger.bits:,} bits)"

    @classmethod
    def issue(
        cls,
        *,
        bound: Bound,
        risk: RiskEstimate,
        ledger: Ledger,
        message: Message,
        data: DataRecord,
        hypothesis: HypothesisSpec,
        beside: bytes | None = None,
        theta0: bytes | None = None,
        also: tuple[OtherBound | Baseline, ...] = (),
        measures: tuple[Measure, ...] = (),
        parts: tuple[SurrogatePart, DisagreementPart] | tuple[()] = (),
        picks: PicksPart | None = None,
        methods: tuple[MethodRow, ...] = (),
        sweep: SweepRecord | None = None,
        environment: Environment | None = None,
    ) -> "Certificate":
        """Write the document: statement, declarations and digest follow from the rest. beside: the file of a draw or
        of the network that was made from picks. theta0: the file of a base of kind split.

        parts: where the headline is about a network other than the decoded one. methods: where it is the best of some.
        sweep: where it is a run of a grid.

        Raises: CertificateError where the parts do not make a certificate.
        """
        if risk.data_digest != data.digest or risk.n != data.n:
            raise CertificateError(
                f"Certificate: risk and data are of one sample, got n = {risk.n} and {data.n} "
                "or two digests. Count the errors on the examples that the certificate names."
            )
        document: dict[str, Json] = {
            "schema_version": SCHEMA_VERSION,
            "statement": write_statement(
                bound,
                risk,
                data.classes,
                hypothesis.base.split,
                parts[1] if parts else None,
                None if picks is None else picks.picked,
            ),
            "bound": bound.model_dump(mode="json", include={"value", "theorem", "delta"}),
            "risk": risk.model_dump(mode="json", include={"errors", "n", "loss"}),
            "ledger": [entry.model_dump(mode="json") for entry in ledger.entries],
            "message": message_document(message),
            "data": data.model_dump(mode="json"),
            "hypothesis": hypothesis.model_dump(mode="json"),
            "declarations": list(declared_sentences(ledger)),
            "measures": [measure.model_dump(mode="json") for measure in measures],
            "parts": [part.model_dump(mode="json") for part in parts],
            "also": [other.model_dump(mode="json") for other in also],
            "environment": (environment or Environment()).model_dump(mode="json"),
        }
        if picks is not None:
            document["picks"] = picks.model_dump(mode="json")
        if methods:
            document["methods"] = [row.model_dump(mode="json") for row in methods]
        if sweep is not None:
            document["sweep"] = sweep.model_dump(mode="json")
        certificate = cls.digested(document)
        certificate._payload, certificate._beside, certificate._theta0 = message.payload, beside, theta0
        return certificate

    def with_methods(
        self, methods: tuple[MethodRow, ...], seconds: dict[str, float], notes: tuple[str, ...]
    ) -> "Certificate":
        """Return the same certificate with what came of the methods it was chosen from, more wall times and notes."""
        times = {**self.environment.seconds, **seconds}
        added = {"seconds": times, "notes": (*(self.environment.notes or ()), *notes) or None}
        changed: dict[str, Json] = {"environment": self.environment.model_copy(update=added).model_dump(mode="json")}
        if methods:
            changed["methods"] = [row.model_dump(mode="json") for row in methods]
        return self.rewritten(**changed)

    def with_measures(self, measures: tuple[Measure, ...]) -> "Certificate":
        """Write the document again with these measures; its files stay where they are."""
        return self.rewritten(measures=[measure.model_dump(mode="json") for measure in measures])

    @classmethod
    def _check_version(cls, version: str) -> None:
        if version == UNRELEASED:
            raise CertificateError(
                "Certificate: schema_version '1' was never released and is not read: it did not charge what version 2 "
                "charges. Write it anew from its message, without training: python results/finish_again.py FILE."
            )
        if version.startswith("language-"):
            raise CertificateError(
                "Certificate: this one is about a language model, which show, verify, compare, report and export read, "
                "and this command does not."
            )
        if version.startswith("difference-"):
            raise CertificateError(
                "Certificate: this one says what versions of a network lose, which show, verify, report and export "
                "read, and this command does not."
            )
        if version != SCHEMA_VERSION:
            raise CertificateError(
                f"Certificate: this pacbound reads schema_version {SCHEMA_VERSION!r}, got {version[:40]!r}. "
                "Install the version that wrote it, or a newer one."
            )

    def _beside_it(self) -> dict[str, bytes]:
        files: dict[str, bytes] = {}
        if isinstance(self.message, SidecarMessage):
            files[self.message.file] = self.payload()
        if isinstance(self.hypothesis.quantizer, DrawSpec | PicksSpec):
            files[self.hypothesis.quantizer.file] = self.beside()
        if self.hypothesis.base.split is not None:
            files[self.hypothesis.base.file] = self.theta0()
        return files

    def payload(self) -> bytes:
        """Return the bytes of the message. Raises: CertificateError where they are absent or not those declared."""
        return read_message(self.message, self._folder) if self._payload is None else self._payload

    def beside(self) -> bytes:
        """Return the file of a draw's posterior, or of the network made from picks.

        Raises: CertificateError where it is absent or not the one declared.
        """
        if self._beside is not None:
            return self._beside
        spec = self.hypothesis.quantizer
        if not isinstance(spec, DrawSpec | PicksSpec) or self._folder is None:
            raise CertificateError(
                "Certificate: a draw or a picked network has a file beside it; load the certificate by its path."
            )
        return read_sidecar(self._folder, spec.file, spec.size, spec.sha256)

    def theta0(self) -> bytes:
        """Return the bytes of the theta0 of a split. Raises: CertificateError where absent or not the declared."""
        return read_theta0(self.hypothesis.base, self._folder) if self._theta0 is None else self._theta0

    @property
    def bound(self) -> Bound:
        """The headline as a Bound, with the reference and the assumptions of its theorem."""
        stated, comparison, part = self.stated_bound, self.comparison, self.picks
        if comparison is None and part is not None:
            source = picks(part.picked, part.errors, self.risk.n, self.ledger.bits, stated.delta)
        elif comparison is None:
            source = theorem(stated.theorem)(self.risk.errors, self.risk.n, self.ledger.bits, stated.delta)
        else:
            errors, picked = (round(self.risk.errors), None) if part is None else (part.errors, part.picked)
            source = disagreement(
                errors, self.risk.n, self.ledger.bits,
                comparison.differing, comparison.inputs.m, comparison.bits, stated.delta, picked,
            ).bound  # fmt: skip
        return source.model_copy(update={"value": stated.value})

    @property
    def comparison(self) -> DisagreementPart | None:
        """How often the original network differs from the decoded one, where the headline is about an original."""
        last = self.parts[-1] if self.parts else None
        return last if isinstance(last, DisagreementPart) else None

    @property
    def held_out(self) -> OtherBound | None:
        """What held-out examples say, where the certificate names some."""
        return next((one for one in self.also if isinstance(one, OtherBound) and one.held_out is not None), None)

    @property
    def risk(self) -> RiskEstimate:
        """Errors on the training sample."""
        stated = self.stated_risk
        return RiskEstimate(errors=stated.errors, n=stated.n, loss=stated.loss, data_digest=self.data.digest)

    def _repr_html_(self) -> str:
        from .recheck import recheck_arithmetic

        last = recheck_arithmetic(self)[-1]
        wrong = "" if last.complaint is None else f"This certificate DOES NOT STAND: {last.check}: {last.complaint}. "
        stated, risk = self.stated_bound, self.stated_risk
        rows = [
            ("bound", f"{stated.value!r} by {stated.theorem}, delta {stated.delta!r}"),
            ("training errors", f"{risk.errors:,} of {risk.n:,} ({risk.loss})"),
            ("bits", f"{self.ledger.bits:,}"),
            ("data", f"{self.data.name}, sha256 {self.data.digest[:16]}"),
            ("digest", self.digest),
        ]
        return html_table(("certificate", ""), rows, wrong + self.statement)
