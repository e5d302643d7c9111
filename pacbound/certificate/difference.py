"""The certificate of what quantized versions of a network lose against it, on data that nobody looked at.

A document of its own beside those of schema.py and language.py: nothing is coded, so that there is no message.
FORMAT.md is the prose of this file.
"""

from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from ..bits.ledger import Entry, Ledger
from ..bounds.language import LOSS_THEOREMS
from ..bounds.losses import LossSums
from ..notebook import html_table
from ..records import SparseRecord
from ..specs.language import PredictionSpec
from ..specs.repeats import repeats_sentence
from .accounting import TOKENIZER_OF_TEXT
from .canonical import Json
from .difference_statement import write_difference_statement
from .document import Document, Environment, Sha256, declared_sentences, schema_id
from .language import TextRecord
from .language_statement import bits_a_byte, bits_up
from .parts import OriginalNetwork
from .schema import DataRecord

DIFFERENCE_VERSION: Literal["difference-1"] = "difference-1"
DIFFERENCE_ID = schema_id(DIFFERENCE_VERSION)
MOST_VERSIONS = 64
FILE = "file"  # a version that stands in a file of its own
ExampleLoss = Literal["zero_one", "error_probability"]

HELD_OUT = (
    "nobody looked at these data before the reference, all of its versions, the loss, its smoothing and windows, and "
    "delta were fixed, and none of the networks was trained or quantized by them, says the user"
)
VERSIONS = "a union over the versions: every bound holds at once, and the best of them may be picked"
INDEPENDENT = "the examples are independent draws from one source"


class VersionRow(SparseRecord):
    """A version of the reference: `mean loss beyond the reference's <= value`, all versions at once.

    name: a quantizer, which makes it from the reference, or `file` with its SHA-256. values: SHA-256 of its parameters
    and buffers. bits, parameters: of a quantizer, the bits that its parameters take. losses: sums of the differences,
    loss of the version minus loss of the reference. rate: the lambda of the bound.
    """

    LEFT_OUT = ("sha256", "bits", "parameters", "rate")

    name: str = Field(pattern=r"^(file|int8|nf4|fp4|lattice(@[1-9][0-9]?)?)$")
    sha256: Sha256 | None = None
    values: Sha256
    bits: int | None = Field(default=None, ge=0, le=1 << 48)
    parameters: int | None = Field(default=None, ge=1, le=1 << 40)
    losses: LossSums
    value: float
    rate: float | None = None

    @model_validator(mode="after")
    def _own_fields(self) -> Self:
        in_file = self.name == FILE
        if (self.sha256 is None, self.bits is None, self.parameters is None) != (not in_file, in_file, in_file):
            raise ValueError("a version in a file has its SHA-256, and one by a quantizer has bits and parameters")
        return self

    @property
    def bits_a_weight(self) -> float | None:
        """Bits over parameters, None of a file."""
        return None if self.bits is None or self.parameters is None else self.bits / self.parameters

    @property
    def mean(self) -> float:
        """Mean difference on the data, rounded up."""
        return self.losses.losses / self.losses.n


class DifferenceCertificate(Document):
    """Bounds on what versions of a network lose against it: on a text, or on new examples.

    text, prediction: of language models; data, loss: of classifiers.
    """

    model_config = ConfigDict(title="pacbound certificate of what versions of a network lose")
    LEFT_OUT = ("text", "prediction", "data", "loss")

    schema_version: Literal["difference-1"] = DIFFERENCE_VERSION
    statement: str = Field(max_length=12_000)
    delta: float = Field(gt=0, lt=1)
    reference: OriginalNetwork
    versions: tuple[VersionRow, ...] = Field(min_length=1, max_length=MOST_VERSIONS)
    text: TextRecord | None = None
    prediction: PredictionSpec | None = None
    data: DataRecord | None = None
    loss: ExampleLoss | None = None
    entries: tuple[Entry, ...] = Field(alias="ledger", min_length=1, max_length=100)
    declarations: tuple[Annotated[str, Field(max_length=1000)], ...] = Field(max_length=100)
    environment: Environment = Environment()
    digest: Sha256

    @model_validator(mode="after")
    def _together(self) -> Self:
        given = (self.text is None, self.prediction is None, self.data is None, self.loss is None)
        if given not in ((False, False, True, True), (True, True, False, False)):
            raise ValueError("a language model has a text and a prediction, a classifier data and a loss")
        if self.prediction is not None and self.prediction.stride is None:
            raise ValueError("the prediction is that of a stream")
        names = [row.name for row in self.versions]
        if len(set(names)) < len(names):
            raise ValueError("each version stands once")
        return self

    def __repr__(self) -> str:
        """One line: data, versions and their bounds."""
        rows = ", ".join(f"{row.name} {bits_up(row.value)}" for row in self.versions)
        return f"DifferenceCertificate({self.about}: {rows} by {self.theorem}, delta {self.delta!r})"

    @classmethod
    def issue(
        cls,
        *,
        reference: OriginalNetwork,
        versions: tuple[VersionRow, ...],
        delta: float,
        text: TextRecord | None = None,
        prediction: PredictionSpec | None = None,
        data: DataRecord | None = None,
        loss: str | None = None,
        environment: Environment | None = None,
    ) -> "DifferenceCertificate":
        """Write the document: bounds, ledger, statement, declarations and digest follow from the rest.

        versions: whose value and rate are set here. Raises: CertificateError where the parts make no certificate.
        """
        ledger = difference_ledger(len(versions), text, data)
        theorem = "documents" if text is None else "stream"
        rows = []
        for row in versions:
            bound = LOSS_THEOREMS[theorem](row.losses, ledger.bits, delta)
            rows.append(row.model_copy(update={"value": bound.value, "rate": bound.rate}))
        document: dict[str, Json] = {
            "schema_version": DIFFERENCE_VERSION,
            "statement": write_difference_statement(tuple(rows), delta, text, prediction, data, loss),
            "delta": delta,
            "reference": reference.model_dump(mode="json"),
            "versions": [row.model_dump(mode="json") for row in rows],
            "ledger": [entry.model_dump(mode="json") for entry in ledger.entries],
            "declarations": list(declared_sentences(ledger)),
            "environment": (environment or Environment()).model_dump(mode="json"),
        }
        for name, part in (("text", text), ("prediction", prediction), ("data", data)):
            if part is not None:
                document[name] = part.model_dump(mode="json")
        if loss is not None:
            document["loss"] = loss
        return cls.digested(document)

    @property
    def theorem(self) -> Literal["stream", "documents"]:
        """Of a text `stream`, of independent examples that of independent units."""
        return "documents" if self.text is None else "stream"

    @property
    def about(self) -> str:
        """What the data are called."""
        if self.text is not None:
            return self.text.name
        assert self.data is not None
        return self.data.name

    @property
    def n(self) -> int:
        """Number of differences."""
        return self.versions[0].losses.n

    def a_byte(self, value: float) -> float:
        """Return bits a symbol of the text as bits a byte, rounded up."""
        assert self.text is not None
        return bits_a_byte(value, self.text)

    def _repr_html_(self) -> str:
        from .difference_recheck import recheck_difference

        last = recheck_difference(self)[-1]
        wrong = "" if last.complaint is None else f"This certificate DOES NOT STAND: {last.check}: {last.complaint}. "
        rows = [(row.name, f"at most {row.value!r}, measured {row.mean:.6f}") for row in self.versions]
        return html_table(("version", "loss beyond the reference's"), rows, wrong + self.statement)


def difference_ledger(versions: int, text: TextRecord | None, data: DataRecord | None) -> Ledger:
    """Return the ledger: a choice among the versions, and what is declared."""
    ledger = Ledger().choice("versions", versions, VERSIONS).declare("held out", HELD_OUT)
    if data is not None and data.repeats is not None:
        ledger = ledger.declare("repeats", repeats_sentence(data.repeats))
    if text is None:
        return ledger.declare("independent", INDEPENDENT)
    return ledger.declare("tokenizer", TOKENIZER_OF_TEXT) if text.alphabet.kind == "tokenizer" else ledger
