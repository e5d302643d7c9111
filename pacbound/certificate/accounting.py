"""The whole ledger of a coded network: what the message counts, and what stands beside it.

One function, used by certify to write the ledger and by verify to recompute it from the certificate.
"""

from ..bits.ledger import Ledger
from ..errors import LedgerError
from ..specs import CHECKPOINT_KINDS, DrawSpec, HypothesisSpec
from .tuned import tuned_on

TUNING_OPTIONS = 256  # 8 bits pay for the look at the data sets of tuned.py
RATIO_ITEM = "log density ratio"
HONEST_SAMPLING = (
    "the draw is honest, says the user: the posterior was frozen before its noise was known, and every draw evaluated "
    "on this sample, discarded trainings included, is counted"
)


def complete(
    coded: Ledger, hypothesis: HypothesisSpec, data_name: str, data_digest: str, ratio_bits: int | None = None
) -> Ledger:
    """Return the ledger of the message followed by the choices and declarations that the certificate rests on.

    data_name, data_digest: of the sample; where it is the rest of a split, the whole counts instead of its digest.
    ratio_bits: of a draw, ln dQ/dP over ln 2, rounded up (certificate/draw.py).
    """
    ledger = coded
    drawn = isinstance(hypothesis.quantizer, DrawSpec)
    if drawn != (ratio_bits is not None):
        raise LedgerError(f"complete: a log density ratio goes with a draw and with nothing else, got {ratio_bits}.")
    if isinstance(hypothesis.quantizer, DrawSpec) and ratio_bits is not None:
        index = hypothesis.quantizer.index
        ledger = ledger.charge(RATIO_ITEM, ratio_bits, "log2 dQ/dP at the draw, posterior over prior", kind="derived")
        ledger = ledger.choice("draws", index * (index + 1), "draw j has delta / (j (j + 1)), so that all share delta")
    split = hypothesis.base.split
    looked_at = tuned_on(data_name, data_digest if split is None else split.digest)
    if looked_at is not None:
        ledger = ledger.choice(
            "package defaults",
            TUNING_OPTIONS,
            f"defaults of this package were chosen while looking at {looked_at}",
        )
    ledger = ledger.declare(
        "task", "the data source with its classes, the loss and delta were fixed before the sample was seen"
    )
    ledger = ledger.declare("format", "the message format and its symbol tables are those of this schema version")
    if hypothesis.model == "user":
        ledger = ledger.declare("architecture", "the user's network was fixed before the sample was seen")
    if drawn:
        ledger = ledger.declare("sampling", HONEST_SAMPLING)
    if hypothesis.base.kind in CHECKPOINT_KINDS:
        ledger = ledger.declare(
            "checkpoint",
            "theta0 was trained on data disjoint from this sample and fixed before the sample was seen, says the user",
        )
    if split is not None:
        ledger = ledger.declare(
            "theta0",
            f"theta0 was trained on {split.first} examples of the split and on nothing of the rest, "
            "from a start and by a recipe fixed before the sample was seen, says the user",
        )
    if hypothesis.base.kind == "values":
        ledger = ledger.declare("theta0", "theta0 was handed over, fixed before the sample was seen, says the user")
    return ledger
