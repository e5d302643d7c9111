"""The sentence of a certificate about versions of a network: what they lose at most, and what that is a mean over."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..specs.language import PredictionSpec
from .language_statement import bits_a_byte_up, bits_up, unit_name
from .schema import DataRecord
from .statement import confidence, describe_loss, rate_up

if TYPE_CHECKING:
    from .difference import VersionRow
    from .language import TextRecord


def version_name(name: str) -> str:
    """Return what a version is called in a sentence."""
    return "the network of the second file" if name == "file" else name


def write_difference_statement(
    versions: "Sequence[VersionRow]", delta: float, text: "TextRecord | None", prediction: PredictionSpec | None,
    data: DataRecord | None, loss: str | None,
) -> str:  # fmt: skip
    """Return the statement in words; verification writes it again and compares."""
    many = " All of this holds at once." if len(versions) > 1 else ""
    if text is not None and prediction is not None:
        unit = unit_name(text)
        figures = "; ".join(f"{version_name(row.name)} {_bits(row.value, unit, text)}" for row in versions)
        return (
            f"With probability at least {confidence(delta)} over the {text.symbols:,} symbols of this text, each given "
            f"those before it, a version loses more than the reference by at most: {figures}. This is after mixing the "
            f"predictions of both with alpha = {prediction.smoothing:g} of the uniform distribution, on average over "
            f"the pasts of this very text, where each next {unit} is drawn again after the same past.{many} It is not "
            "the loss on new text."
        )
    assert data is not None
    assert loss is not None
    figures = "; ".join(f"{version_name(row.name)} {rate_up(row.value)}" for row in versions)
    return (
        f"With probability at least {confidence(delta)} over the draw of n = {data.n:,} examples, the "
        f"{describe_loss(loss)} of a version on new examples from the same source exceeds that of the reference by at "
        f"most: {figures}.{many}"
    )


def _bits(value: float, unit: str, text: "TextRecord") -> str:
    figure = f"{bits_up(value)} bits a {unit}"
    if text.alphabet.kind != "tokenizer":
        return figure
    return f"{figure} ({bits_a_byte_up(value, text)} bits a byte)"
