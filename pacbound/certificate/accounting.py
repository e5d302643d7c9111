"""The whole ledger of a coded network: what the message counts, and what stands beside it.

One function, used by certify to write the ledger and by verify to recompute it from the certificate.
"""

from ..bits.ledger import Ledger
from ..specs import CHECKPOINT_KINDS, HypothesisSpec

# Data sets on which this package's default settings were chosen; 8 bits pay for that look.
TUNED_ON = ("digits", "mnist", "fashion-mnist", "cifar10", "cifar10-86jpeg")
TUNING_OPTIONS = 256


def complete(coded: Ledger, hypothesis: HypothesisSpec, data_name: str) -> Ledger:
    """Return the ledger of the message followed by the choices and declarations that the certificate rests on."""
    ledger = coded
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
    if hypothesis.base.kind in CHECKPOINT_KINDS:
        ledger = ledger.declare(
            "checkpoint",
            "theta0 was trained on data disjoint from this sample and fixed before the sample was seen, says the user",
        )
    if hypothesis.base.kind == "values":
        ledger = ledger.declare("theta0", "theta0 was handed over, fixed before the sample was seen, says the user")
    return ledger
