"""The three kinds of number: observed (RiskEstimate), computed (Measure), and true w.p. 1 - delta (Bound)."""

import re
from typing import Self

from pydantic import Field, model_validator

from ..records import Record

TOP_K = re.compile(r"top_([1-9][0-9]{0,3})")  # the losses that forgive k - 1 better labels


class RiskEstimate(Record):
    """Errors counted once over n examples.

    errors: a count for `zero_one` and `top_<k>` losses; for another loss in [0, 1] the sum over the
    examples, rounded up.
    """

    errors: int | float = Field(ge=0)
    n: int = Field(ge=1)
    loss: str = "zero_one"
    data_digest: str = ""

    @model_validator(mode="after")
    def _range(self) -> Self:
        if self.errors > self.n:
            raise ValueError(f"errors is at most n, got {self.errors} of {self.n}")
        return self

    @property
    def counts(self) -> bool:
        """True where the loss of one example is 0 or 1, so that binomial theorems apply."""
        return self.loss == "zero_one" or self.loss.startswith("top_")

    @property
    def rate(self) -> float:
        """Mean loss in [0, 1]."""
        return self.errors / self.n


class Measure(Record):
    """A computed quantity beside the bound; it never carries a probability."""

    name: str
    value: float
    unit: str
    per_layer: dict[str, float] = Field(default_factory=dict)
    reference: str
    verified: bool


class Bound(Record):
    """`risk <= value` with probability at least 1 - delta over the sample.

    value: in [0, 1], rounded up. theorem: the name of the function that made it.
    """

    value: float = Field(ge=0, le=1)
    theorem: str
    reference: str
    delta: float = Field(gt=0, lt=1)
    assumes: tuple[str, ...] = ()
