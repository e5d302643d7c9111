"""The price of a last layer made of rows of the checkpoint's own: which rows, coded for both directions."""

from math import comb

from ..errors import MessageError
from ..specs.head import MAX_LISTED, MAX_ROWS, HeadSpec
from .coder import Stream

ITEM = "head"
WHY = "rows of the checkpoint's own last layer, a mean for each class: by names at 1 bit, or which of how many"


def code_head(stream: Stream, declared: HeadSpec | None, sent: HeadSpec | None) -> HeadSpec:
    """Carry the rows of every output: one bit where names decide, else their number r and log2 C(of, r), rounded up.

    declared: how many rows and outputs there are, which checkpoint and task say, and the rows that names lead to.
    Raises: MessageError where the payload holds no such rows.
    """
    if declared is None:
        raise MessageError("unpack: the payload has a head of rows of a checkpoint and the certificate declares none.")
    if stream.integer(ITEM, 1, WHY, None if sent is None else not sent.named) == 0:
        return declared.model_copy(update={"named": True})
    rows: list[tuple[int, ...]] = []
    for output in range(len(declared.rows)):
        rows.append(_subset(stream, declared.of, None if sent is None else sent.rows[output]))
        if sum(map(len, rows)) > MAX_LISTED:  # before more of them are read
            raise MessageError(f"unpack: a head has at most {MAX_LISTED} rows in all.")
    return HeadSpec(of=declared.of, rows=tuple(rows))


def _subset(stream: Stream, of: int, rows: tuple[int, ...] | None) -> tuple[int, ...]:
    """Carry a subset of 0 .. of - 1: its size, and its number among those of that size."""
    size = stream.gamma(ITEM, WHY, None if rows is None else len(rows))
    if size > min(MAX_ROWS, of - 1):
        raise MessageError(f"unpack: an output has up to {MAX_ROWS} of {of} rows, got {size}.")
    subsets = comb(of, size)
    number = stream.integer(ITEM, (subsets - 1).bit_length(), WHY, None if rows is None else subset_number(rows))
    if number >= subsets:
        raise MessageError(f"unpack: {size} of {of} rows are one of {subsets} subsets, got number {number}.")
    return subset_at(number, size, of)


def subset_number(rows: tuple[int, ...]) -> int:
    """Return the place of a set of numbers, ascending, among all of its size, ordered by the largest that differs.

    >>> [subset_number(rows) for rows in ((0, 1), (0, 2), (1, 2), (0, 3))]
    [0, 1, 2, 3]
    """
    return sum(comb(row, place) for place, row in enumerate(rows, 1))


def subset_at(number: int, size: int, of: int) -> tuple[int, ...]:
    """Return the set at a place; the inverse of `subset_number`.

    >>> subset_at(2, 2, 4)
    (1, 2)
    """
    rows: list[int] = []
    above = of
    for place in range(size, 0, -1):
        low, high = place - 1, above - 1  # the largest row with comb(row, place) <= number lies there
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if comb(middle, place) <= number else (low, middle - 1)
        rows.append(low)
        number -= comb(low, place)
        above = low
    return tuple(reversed(rows))
