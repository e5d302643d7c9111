"""What every theorem about a mean loss shares: the record of a claim, the sentences that it carries, and its checks."""

from flint import arb
from pydantic import Field

from ..errors import BoundError
from ..records import Record
from .balls import check, rounded_up
from .losses import LossSums

STREAM = (
    "the average, over the pasts of this very stream, of the loss to expect if each next symbol were drawn again after "
    "the same past; not the loss on new text"
)
POSITIONS = (
    "the average loss over all positions of the frozen corpus from which these were drawn; not the loss on other text"
)
DOCUMENTS = "the expected loss of a new document (or of one block of it) from the source of these"
UNITS = "the average loss of the population from which these i.i.d. units were drawn (positions of a corpus, documents)"
SUBSAMPLED = (
    "the expected loss of a new unit from the source of all the units, of which these were drawn with replacement; "
    "where the units are the tokens of one stream, the average over its pasts and not the loss on new text"
)

CODED = "deterministic predictor: the one decoded from the message; the code was fixed before the data"
PREDICTABLE = (
    "centre and ceiling of a position depend on the predictor and the past alone; every symbol of the declared "
    "vocabulary has a loss below the ceiling"
)
ONE_CEILING = (
    "one ceiling for the losses of the whole population, and one lower end, both fixed before or told by the code"
)
CONSTANTS = "one centre and one ceiling for the whole population, both fixed before or told by the code"
ONE_PASS = "every position once, each predicted from its past alone"
DRAWN_POSITIONS = "positions drawn uniformly and independently (or without replacement) from the corpus"
IID_UNITS = (
    "i.i.d. units: documents, at most one block of each, or positions drawn from a frozen corpus; never the tokens or "
    "chunks of one stream"
)
LATE_DRAW = (
    "the subsample was drawn, with replacement, when the predictor was fixed; choices that looked at it are paid"
)


class LossBound(Record):
    """`mean loss <= value` with probability at least 1 - delta, in the unit of the losses, rounded up.

    about: what the mean is a mean over. rate: the lambda at which the value is attained, where there is one.
    """

    value: float
    theorem: str
    about: str
    reference: str
    delta: float = Field(gt=0, lt=1)
    rate: float | None = None
    assumes: tuple[str, ...]


def claim_loss(
    name: str,
    value: arb,
    sums: LossSums,
    delta: float,
    about: str,
    reference: str,
    assumes: tuple[str, ...],
    rate: float | None = None,
) -> LossBound:
    """Make the record; no mean loss exceeds the mean ceiling, which always holds."""
    outer = min(rounded_up(value), rounded_up(arb(sums.ceilings) / sums.n))
    return LossBound(
        value=outer, theorem=name, about=about, reference=reference, delta=delta, rate=rate, assumes=assumes
    )


def rescaled_mean(sums: LossSums, width: arb) -> arb:
    """Return (mean X - lowest) / width in [0, 1], where a width of 0 leaves 0."""
    if width == 0:
        return arb(0)
    return ((arb(sums.losses) / sums.n - sums.lowest) / width).max(0).min(1)


def check_range(name: str, sums: LossSums, bits: float, delta: float, one_ceiling: bool = False) -> arb:
    """Refuse what lies outside the conditions; return M - lowest where there is one M."""
    check(name, 0, sums.n, bits, delta)
    if sums.ceiling is None:
        if one_ceiling:
            raise BoundError(
                f"{name}: the range of the losses is one interval fixed beforehand, but the ceilings M vary. "
                "Give one M for all positions, such as log2(V / alpha), or use stream."
            )
        return arb(0)
    return arb(sums.ceiling) - arb(sums.lowest)
