"""When repeats in a sample need a word of the user: a copy of an example is no independent draw."""

from typing import Annotated

from pydantic import AfterValidator, Field


def _readable(reason: str) -> str:
    if not reason.isprintable() or reason != reason.strip():
        raise ValueError("a reason is one line of printable text, without blanks around it")
    return reason


Reason = Annotated[str, Field(min_length=1, max_length=300), AfterValidator(_readable)]  # in the user's words
MOST_REPEATS = 100  # one in so many


def too_many_repeats(n: int, distinct: int) -> bool:
    """Whether more than 1 % of n examples are repeats of others, `distinct` being the number of distinct inputs.

    >>> too_many_repeats(1000, 990), too_many_repeats(1000, 989)
    (False, True)
    """
    return MOST_REPEATS * (n - distinct) > n


def repeats_sentence(reason: str) -> str:
    """What the ledger declares where somebody says why inputs come back."""
    return f"repeated inputs are independent draws all the same, says the user: {reason}"
