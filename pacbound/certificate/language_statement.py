"""The sentence of a language model's certificate: what its mean is a mean over, and what it is not."""

import math
from decimal import ROUND_CEILING, Decimal, localcontext
from typing import TYPE_CHECKING

from flint import arb

from ..bounds.balls import rounded_up, working
from ..specs.language import UnitsSpec
from ..specs.specs import SplitSpec
from .statement import EXACT, confidence, percent_up, stepped_up

if TYPE_CHECKING:
    from .language import TextRecord

BITS_STEP = Decimal("0.0001")


def bits_up(value: float | Decimal) -> str:
    """Print bits a symbol, rounded up to four decimals.

    >>> bits_up(3.09451)
    '3.0946'
    """
    return str(stepped_up(Decimal(value), BITS_STEP))


def bits_a_byte(value: float, text: "TextRecord") -> float:
    """Return bits a symbol as bits a byte of the text, rounded up."""
    with working():
        return rounded_up(arb(value) * text.symbols / text.bytes)


def bits_a_byte_up(value: float, text: "TextRecord") -> str:
    """Print bits a symbol as bits a byte of the text, rounded up to four decimals."""
    with localcontext(EXACT, rounding=ROUND_CEILING):
        return bits_up(Decimal(value) * text.symbols / text.bytes)


def _after(split: SplitSpec | None) -> str:
    return "" if split is None else f" that follow the first {split.first:,} bytes, on which theta0 was trained"


def unit_name(text: "TextRecord") -> str:
    """Return what a symbol of the text is called."""
    return {"bytes": "byte", "ascii97": "character", "tokenizer": "token"}[text.alphabet.kind]


def write_language_statement(
    value: float, delta: float, n: int, text: "TextRecord", units: UnitsSpec, split: SplitSpec | None = None
) -> str:
    """Return the statement in words; verification writes it again and compares. split: where theta0 saw a text."""
    unit, sure = unit_name(text), confidence(delta)
    if units.statement == "answers":
        sentence = (
            f"With probability at least {sure} over the draw of n = {n:,} pairs of a prompt and its answer, the share "
            "of new prompts from the same source that the decoded network does not answer exactly, by greedy decoding, "
            f"is at most {percent_up(value)}."
        )
        return f"{sentence} This is vacuous." if value >= 1 else sentence
    figure = f"at most {bits_up(value)} bits a {unit}"
    if text.alphabet.kind == "tokenizer":
        figure += f" ({bits_a_byte_up(value, text)} bits a byte, at {text.symbols:,} tokens for {text.bytes:,} bytes)"
    if units.statement == "stream":
        sentence = (
            f"With probability at least {sure} over the {n:,} symbols of this text{_after(split)}, each given those "
            f"before it, the decoded network loses {figure}, on average over the pasts of this very text, where each "
            f"next {unit} is drawn again after the same past. This is not the loss on new text."
        )
    elif units.statement == "positions":
        sentence = (
            f"With probability at least {sure} over the draw of {n:,} positions, the decoded network loses {figure}, "
            f"on average over all {text.symbols:,} positions of this corpus. This is not the loss on other text."
        )
    else:
        sentence = (
            f"With probability at least {sure} over the draw of n = {n:,} documents, the expected loss of the decoded "
            f"network on the beginning of a new document from the same source is {figure}."
        )
    if value >= math.log2(text.alphabet.size):
        return f"{sentence} This is vacuous: no better than guessing."
    return sentence
