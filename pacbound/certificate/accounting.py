"""The whole ledger of a coded network: what the message counts, and what stands beside it.

One function, used by certify to write the ledger and by verify to recompute it from the certificate.
"""

from ..bits.ledger import Ledger
from ..errors import LedgerError
from ..specs import CHECKPOINT_KINDS, DrawSpec, HypothesisSpec
from ..tensors import DirectSpec

# Data sets on which this package's default settings were chosen; 8 bits pay for that look.
TUNED_ON = ("digits", "mnist", "fashion-mnist", "cifar10", "cifar10-86jpeg")
TUNING_OPTIONS = 256
RATIO_ITEM = "log density ratio"
ORBIT_ITEM = "orbit saving"
ORBIT_WHY = "units in any order are one function: log2 of the distinct orders, rounded down"
HONEST_SAMPLING = (
    "the draw is honest, says the user: the posterior was frozen before its noise was known, and every draw evaluated "
    "on this sample, discarded trainings included, is counted"
)


def complete(
    coded: Ledger,
    hypothesis: HypothesisSpec,
    data_name: str,
    ratio_bits: int | None = None,
    saving_bits: int | None = None,
) -> Ledger:
    """Return the ledger of the message followed by the choices and declarations that the certificate rests on.

    ratio_bits: of a draw, ln dQ/dP over ln 2, rounded up (certificate/draw.py). saving_bits: of a direct code, what
    the order of its units is worth, rounded down (bits/units.py).
    """
    ledger = coded
    if isinstance(hypothesis.quantizer, DirectSpec) != (saving_bits is not None) or (saving_bits or 0) < 0:
        raise LedgerError(f"complete: an orbit saving >= 0 goes with a direct code alone, got {saving_bits}.")
    if saving_bits is not None:
        ledger = ledger.charge(ORBIT_ITEM, -saving_bits, ORBIT_WHY, kind="derived")
    drawn = isinstance(hypothesis.quantizer, DrawSpec)
    if drawn != (ratio_bits is not None):
        raise LedgerError(f"complete: a log density ratio goes with a draw and with nothing else, got {ratio_bits}.")
    if isinstance(hypothesis.quantizer, DrawSpec) and ratio_bits is not None:
        index = hypothesis.quantizer.index
        ledger = ledger.charge(RATIO_ITEM, ratio_bits, "log2 dQ/dP at the draw, posterior over prior", kind="derived")
        ledger = ledger.choice("draws", index * (index + 1), "draw j has delta / (j (j + 1)), so that all share delta")
    if data_name in TUNED_ON:
        ledger = ledger.choice(
            "package defaults",
            TUNING_OPTIONS,
            f"defaults of this package were chosen while looking at {data_name}",
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
    if hypothesis.base.kind == "values":
        ledger = ledger.declare("theta0", "theta0 was handed over, fixed before the sample was seen, says the user")
    return ledger
