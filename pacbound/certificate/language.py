"""The certificate of a language model as a record: a bound on bits a symbol, its ledger and its message.

A document of its own beside that of schema.py, with which it shares the ledger, the message and the canonical form.
FORMAT.md is the prose of this file.
"""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, PrivateAttr, model_validator

from ..bits.ledger import Entry, Ledger
from ..bits.message import Message
from ..bounds.claims import Bound
from ..bounds.language import LOSS_THEOREMS
from ..bounds.loss_claims import LossBound
from ..bounds.losses import LossSums
from ..bounds.occam import occam_binomial
from ..errors import CertificateError, LedgerError
from ..notebook import html_table
from ..records import Record, SparseRecord
from ..specs.language import AlphabetSpec, PredictionSpec, UnitsSpec
from ..specs.specs import HypothesisSpec
from .canonical import Json
from .document import (
    Document,
    Environment,
    InlineMessage,
    Sha256,
    SidecarMessage,
    declared_sentences,
    message_document,
    read_message,
    read_theta0,
    schema_id,
)  # fmt: skip
from .language_statement import bits_a_byte, bits_up, write_language_statement
from .statement import percent_up

LANGUAGE_VERSION: Literal["language-1"] = "language-1"
LANGUAGE_ID = schema_id(LANGUAGE_VERSION)
MOST_ALONG = 256
# statement -> the theorem of the headline, and the forms beside it, on the same losses and bits
FORMS = {
    "stream": ("stream", "stream_catoni", "stream_hoeffding"),
    "positions": ("positions", "units_kl"),
    "documents": ("documents", "units_kl"),
    "answers": ("occam_binomial", "documents", "units_kl"),
}


class StatedLoss(SparseRecord):
    """The headline: `mean loss <= value` bits a symbol with probability at least 1 - delta. rate: its lambda.

    Of answers it is the share of new prompts that are not answered exactly, in [0, 1].
    """

    LEFT_OUT = ("rate",)

    value: float = Field(ge=0)
    theorem: Literal["stream", "positions", "documents", "occam_binomial"]
    delta: float = Field(gt=0, lt=1)
    rate: float | None = None


class TextRecord(Record):
    """The text: its name, SHA-256 digest, symbols, bytes that these stand for, and alphabet.

    begin: at which byte of its file it begins.
    """

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._:-]{0,63}$")
    digest: Sha256
    symbols: int = Field(ge=1, le=1 << 40)
    bytes: int = Field(ge=1, le=1 << 44)
    begin: int = Field(default=0, ge=0, le=1 << 44)
    alphabet: AlphabetSpec


class OtherForm(Record):
    """Another theorem on the same losses and bits; each holds with probability 1 - delta by itself."""

    kind: Literal["form"] = "form"
    theorem: str = Field(pattern=r"^[a-z][a-z_]{0,31}$")
    value: float = Field(ge=0)


class OtherPredictor(SparseRecord):
    """Another predictor of the same text, or the same network on held-out text, by the theorem of the headline.

    name: theta0 is the network without what the message adds, held_out the network of the headline on other text. mean:
    its mean loss. order: of an adaptive n-gram, the symbols before that it looks at. text: of what is held out, as
    TextRecord says it. sums: of both, the losses.
    """

    LEFT_OUT = ("order", "text", "sums")

    kind: Literal["predictor"] = "predictor"
    name: Literal["uniform", "unigram", "bigram", "n-gram", "theta0", "held_out"]
    value: float = Field(ge=0)
    bits: int = Field(ge=0, le=1 << 40)
    mean: float = Field(ge=0)
    n: int = Field(ge=1, le=1 << 40)
    order: int | None = Field(default=None, ge=1, le=16)
    text: TextRecord | None = None
    sums: LossSums | None = None

    @model_validator(mode="after")
    def _own_fields(self) -> "OtherPredictor":
        if (self.order is not None) != (self.name == "n-gram"):
            raise ValueError("an adaptive n-gram has an order, and nothing else has")
        held = self.name == "held_out"
        if (self.text is not None, self.sums is not None) != (held, held or self.name == "theta0"):
            raise ValueError("what is held out names its text, and with theta0 its sums, and nothing else does")
        return self


class OtherAnswers(SparseRecord):
    """How many prompts another network, or the same on other pairs, does not answer exactly.

    name: as of OtherPredictor; theta0 by the theorem of the headline, held_out by test_set. text: of what is held out,
    and distinct: how many prompts it has.
    """

    LEFT_OUT = ("text", "distinct")

    kind: Literal["answers"] = "answers"
    name: Literal["theta0", "held_out"]
    value: float = Field(ge=0, le=1)
    bits: int = Field(ge=0, le=1 << 40)
    errors: int = Field(ge=0)
    n: int = Field(ge=1, le=1 << 40)
    text: TextRecord | None = None
    distinct: int | None = Field(default=None, ge=1, le=1 << 40)

    @model_validator(mode="after")
    def _own_fields(self) -> "OtherAnswers":
        held = self.name == "held_out"
        if (self.text is not None, self.distinct is not None) != (held, held):
            raise ValueError("what is held out names its pairs, and nothing else does")
        if max(self.errors, self.distinct or 1) > self.n:
            raise ValueError("there are no more errors and prompts than pairs")
        return self


class LanguageCertificate(Document):
    """A bound on bits a symbol: the sums of losses, a ledger of bits, and a message that can be decoded.

    errors: of answers, how many of them greedy decoding does not give; the headline is about these. along: mean losses
    of consecutive equal parts of the units, for a plot; nothing rests on it.
    """

    model_config = ConfigDict(title="pacbound certificate of a language model")
    LEFT_OUT = ("errors",)

    schema_version: Literal["language-1"] = LANGUAGE_VERSION
    statement: str = Field(max_length=2000)
    stated_bound: StatedLoss = Field(alias="bound")
    losses: LossSums
    errors: int | None = Field(default=None, ge=0)
    entries: tuple[Entry, ...] = Field(alias="ledger", min_length=1, max_length=1000)
    message: InlineMessage | SidecarMessage
    text: TextRecord
    units: UnitsSpec
    prediction: PredictionSpec
    hypothesis: HypothesisSpec
    declarations: tuple[Annotated[str, Field(max_length=1000)], ...] = Field(max_length=100)
    also: tuple[Annotated[OtherForm | OtherPredictor | OtherAnswers, Field(discriminator="kind")], ...] = Field(
        default=(), max_length=20
    )
    along: tuple[float, ...] = Field(default=(), max_length=MOST_ALONG)
    environment: Environment = Environment()
    digest: Sha256

    _payload: bytes | None = PrivateAttr(default=None)
    _theta0: bytes | None = PrivateAttr(default=None)

    @model_validator(mode="after")
    def _together(self) -> "LanguageCertificate":
        if (self.prediction.kappa is None) == (self.units.statement == "stream"):
            raise ValueError("a stream has kappa, positions and documents one centre")
        if (self.errors is None) == (self.units.statement == "answers") or (self.errors or 0) > self.losses.n:
            raise ValueError("answers have a number of errors, at most one each, and nothing else has")
        try:
            _ = self.ledger.bits
        except LedgerError as cause:
            raise ValueError(str(cause)) from None
        return self

    def __repr__(self) -> str:
        """One line: text, bound, theorem, mean loss and bits."""
        stated, mean = self.stated_bound, self.losses.losses / self.losses.n
        if self.errors is not None:
            return (
                f"LanguageCertificate({self.text.name}: at most {percent_up(stated.value)} of prompts not answered "
                f"exactly by {stated.theorem}, delta {stated.delta!r}; {self.errors:,} of {self.losses.n:,}, "
                f"{self.ledger.bits:,} bits)"
            )
        return (
            f"LanguageCertificate({self.text.name}: {bits_up(stated.value)} bits a symbol by {stated.theorem}, delta "
            f"{stated.delta!r}; mean {bits_up(mean)} of {self.losses.n:,}, {self.ledger.bits:,} bits)"
        )

    @classmethod
    def issue(
        cls,
        *,
        losses: LossSums,
        ledger: Ledger,
        message: Message,
        text: TextRecord,
        units: UnitsSpec,
        prediction: PredictionSpec,
        hypothesis: HypothesisSpec,
        delta: float,
        predictors: tuple[OtherPredictor | OtherAnswers, ...] = (),
        errors: int | None = None,
        along: tuple[float, ...] = (),
        theta0: bytes | None = None,
        environment: Environment | None = None,
    ) -> "LanguageCertificate":
        """Write the document: bound, other forms, statement, declarations and digest follow from the rest.

        theta0: the file of a base of kind split. Raises: CertificateError where the parts do not make a certificate.
        """
        bound = headline(losses, errors, ledger.bits, delta, units)
        forms = [LOSS_THEOREMS[name](losses, ledger.bits, delta) for name in FORMS[units.statement][1:]]
        rate = bound.rate if isinstance(bound, LossBound) else None
        document: dict[str, Json] = {
            "schema_version": LANGUAGE_VERSION,
            "statement": write_language_statement(bound.value, delta, losses.n, text, units, hypothesis.base.split),
            "bound": StatedLoss.model_validate(
                {"value": bound.value, "theorem": bound.theorem, "delta": delta, "rate": rate}
            ).model_dump(mode="json"),
            "losses": losses.model_dump(mode="json"),
            **({} if errors is None else {"errors": errors}),
            "ledger": [entry.model_dump(mode="json") for entry in ledger.entries],
            "message": message_document(message),
            "text": text.model_dump(mode="json"),
            "units": units.model_dump(mode="json"),
            "prediction": prediction.model_dump(mode="json"),
            "hypothesis": hypothesis.model_dump(mode="json"),
            "declarations": list(declared_sentences(ledger)),
            "also": [
                *(OtherForm(theorem=one.theorem, value=one.value).model_dump(mode="json") for one in forms),
                *(one.model_dump(mode="json") for one in predictors),
            ],
            "along": list(along),
            "environment": (environment or Environment()).model_dump(mode="json"),
        }
        made = cls.digested(document)
        made._payload, made._theta0 = message.payload, theta0
        return made

    @classmethod
    def _check_version(cls, version: str) -> None:
        if version != LANGUAGE_VERSION:
            raise CertificateError(
                f"Certificate: a language model's has schema_version {LANGUAGE_VERSION!r}, got {version[:40]!r}. Read "
                "it with Certificate.load."
            )

    def _beside_it(self) -> dict[str, bytes]:
        files = {self.message.file: self.payload()} if isinstance(self.message, SidecarMessage) else {}
        if self.hypothesis.base.split is not None:
            files[self.hypothesis.base.file] = self.theta0()
        return files

    def payload(self) -> bytes:
        """Return the bytes of the message. Raises: CertificateError where they are absent or not those declared."""
        return read_message(self.message, self._folder) if self._payload is None else self._payload

    def theta0(self) -> bytes:
        """Return the bytes of the theta0 of a split. Raises: CertificateError where absent or not the declared."""
        return read_theta0(self.hypothesis.base, self._folder) if self._theta0 is None else self._theta0

    @property
    def bound(self) -> LossBound | Bound:
        """The headline with the reference, the assumptions and the meaning of its theorem."""
        stated = self.stated_bound
        made = headline(self.losses, self.errors, self.ledger.bits, stated.delta, self.units)
        return made.model_copy(update={"value": stated.value})

    @property
    def mean(self) -> float:
        """Mean loss of the decoded network over the units, in bits a symbol, rounded up."""
        return self.losses.losses / self.losses.n

    @property
    def bits_a_byte(self) -> float:
        """The headline in bits a byte of the text, rounded up, where symbols are tokens; no figure about answers."""
        return bits_a_byte(self.stated_bound.value, self.text)

    @property
    def predictors(self) -> tuple[OtherPredictor, ...]:
        """The other predictors beside the headline."""
        return tuple(one for one in self.also if isinstance(one, OtherPredictor))

    @property
    def beside_answers(self) -> tuple[OtherAnswers, ...]:
        """Counts of answers beside the headline."""
        return tuple(one for one in self.also if isinstance(one, OtherAnswers))

    def _repr_html_(self) -> str:
        from .language_recheck import recheck_language_arithmetic

        last = recheck_language_arithmetic(self)[-1]
        wrong = "" if last.complaint is None else f"This certificate DOES NOT STAND: {last.check}: {last.complaint}. "
        stated, unit = self.stated_bound, " bits a symbol" if self.errors is None else ""
        rows = [
            ("bound", f"{stated.value!r}{unit} by {stated.theorem}, delta {stated.delta!r}"),
            ("mean loss", f"{self.mean:.6f} of {self.losses.n:,}"),
            ("bits", f"{self.ledger.bits:,}"),
            ("text", f"{self.text.name}, sha256 {self.text.digest[:16]}"),
            ("digest", self.digest),
        ]
        return html_table(("certificate", ""), rows, wrong + self.statement)


def headline(
    losses: LossSums, errors: int | None, bits: int, delta: float, units: UnitsSpec
) -> LossBound | Bound:  # fmt: skip
    """Return what the theorem of a statement says. Raises: BoundError outside its ranges."""
    if errors is None:
        return LOSS_THEOREMS[units.statement](losses, bits, delta)
    return occam_binomial(errors, losses.n, bits, delta)
