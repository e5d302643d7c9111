"""The two parts of a composed certificate: a bound for a coded surrogate, and how often the original differs from it.

The document's message, risk, data and hypothesis are the surrogate's; its headline is about the original network.
"""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from ..records import Record, SparseRecord
from ..specs.specs import ModelName, PreprocessSpec
from .tuned import TunedName, check_like

MAX_INPUTS = 1 << 40
Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class OriginalNetwork(Record):
    """The network that the headline is about: the file of its weights, its architecture, what is done to pixels.

    values: SHA-256 of its parameters and buffers as they were read, which a key and rules for names decide too.
    """

    sha256: Sha256
    values: Sha256
    model: ModelName
    preprocess: PreprocessSpec = PreprocessSpec()


class InputsRecord(SparseRecord):
    """m inputs whose labels were never read: name of their data set, SHA-256 digest, and what a reader must know.

    distinct, like: as of the sample (schema.py).
    """

    LEFT_OUT = ("like",)

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")
    digest: Sha256
    m: int = Field(ge=1, le=MAX_INPUTS)
    note: str = Field(default="", max_length=1000)
    distinct: int = Field(ge=1, le=MAX_INPUTS)
    like: TunedName | None = None

    @model_validator(mode="after")
    def _range(self) -> Self:
        if self.distinct > self.m:
            raise ValueError(f"distinct is at most m, got {self.distinct} of {self.m}")
        check_like(self.name, self.like)
        return self


class SurrogatePart(Record):
    """The surrogate's risk is at most `value`, but for probability delta; by occam_binomial, of the whole ledger."""

    kind: Literal["surrogate"] = "surrogate"
    value: float = Field(ge=0, le=1)
    delta: float = Field(gt=0, lt=1)


class DisagreementPart(Record):
    """Both networks answer differently with probability at most `value`, but for probability delta.

    differing: of the m inputs. bits: the choices in the ledger, which this part pays too. looks: how many surrogates
    were compared with the original network on these inputs, this one included.
    """

    kind: Literal["disagreement"] = "disagreement"
    value: float = Field(ge=0, le=1)
    delta: float = Field(gt=0, lt=1)
    differing: int = Field(ge=0)
    bits: int = Field(ge=0, le=1 << 40)
    looks: int = Field(ge=1, le=1 << 10)
    inputs: InputsRecord
    original: OriginalNetwork

    @model_validator(mode="after")
    def _range(self) -> Self:
        if self.differing > self.inputs.m:
            raise ValueError(f"differing is at most m, got {self.differing} of {self.inputs.m}")
        return self
