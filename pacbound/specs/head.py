"""A last layer made of rows of a checkpoint's own last layer: which of them stand for which output."""

import re
from collections.abc import Sequence
from typing import Self

from pydantic import Field, ValidationError, model_validator

from ..errors import RequestError
from ..records import Record

NAMES = "names"  # asks for the rows that a rule finds by the names of the classes
ALL_ROWS = "all"
MAX_HEAD = 1 << 17  # rows of a last layer
MAX_ROWS, MAX_LISTED = 1 << 8, 1 << 12  # of one output; of all together
RANGE = re.compile(r"([0-9]{1,6})(?:-([0-9]{1,6}))?")


class HeadSpec(Record):
    """For each output the mean over some rows of the checkpoint's own last layer, of weights and bias alike.

    of: how many rows that has. rows: of each output, ascending; none stands for all of them. named: they are those that
    the rule of models/own_head.py finds by names, and need no code.
    """

    of: int = Field(ge=1, le=MAX_HEAD)
    named: bool = False
    rows: tuple[tuple[int, ...], ...] = Field(min_length=1, max_length=MAX_LISTED)

    @model_validator(mode="after")
    def _within(self) -> Self:
        for rows in self.rows:
            if any(a >= b for a, b in zip((-1, *rows), (*rows, self.of), strict=True)):
                raise ValueError(f"the rows of an output are ascending numbers below {self.of}")
            if len(rows) == self.of or len(rows) > MAX_ROWS:
                raise ValueError(f"an output has up to {MAX_ROWS} rows, or all of them, for which none stands")
        if sum(map(len, self.rows)) > MAX_LISTED:
            raise ValueError(f"all outputs together have at most {MAX_LISTED} rows")
        return self


def parse_head(words: Sequence[str], of: int) -> HeadSpec:
    """Return what somebody asks for, an expression for each class: numbers and ranges joined by +, or `all`.

    of: how many rows there are.

    >>> parse_head(["404+895", "10-12", "all"], 1000).rows
    ((404, 895), (10, 11, 12), ())

    Raises: RequestError.
    """
    try:
        return HeadSpec(of=of, rows=tuple(_rows(word, of) for word in words))
    except ValidationError as cause:
        why = cause.errors()[0]["msg"].removeprefix("Value error, ")
        raise RequestError(f"certify: rows of a head of {of:,}: {why}. Change --head-rows.") from None


def _rows(word: str, of: int) -> tuple[int, ...]:
    if word == ALL_ROWS:
        return ()
    found = [RANGE.fullmatch(part) for part in word.split("+")]
    ranges = [(int(match[1]), int(match[2] or match[1])) for match in found if match]
    if not all(found) or any(first > last for first, last in ranges):
        raise RequestError(
            f"certify: the rows of a class are numbers and ranges joined by +, as 404+895 or 10-24, or {ALL_ROWS}, got "
            f"{word!r}."
        )
    chosen = sorted({row for first, last in ranges for row in range(first, min(last, of) + 1)})
    return () if chosen == list(range(of)) else tuple(chosen)
