"""The whole ledger of a coded network: what the message counts, and what stands beside it.

One function, used by certify to write the ledger and by verify to recompute it from the certificate.
"""

from typing import NamedTuple

from ..bits.ledger import Ledger
from ..bounds.disagreement import SPLITS
from ..errors import LedgerError
from ..specs.grammar import OWN_NETWORK
from ..specs.picks import PicksSpec
from ..specs.repeats import repeats_sentence
from ..specs.specs import CHECKPOINT_KINDS, DrawSpec, HypothesisSpec
from ..specs.tensors import DirectSpec
from .parts import InputsRecord
from .sweep import GRID_WHY, SweepRecord
from .tuned import tuned_on

TUNING_OPTIONS = 256  # 8 bits, by convention, for the look at the data sets of tuned.py
UNTOUCHED_INPUTS = (
    "the unlabelled inputs are independent draws from the source of the sample, and had no part in training, choosing "
    "or calibrating the original network, says the user; every surrogate compared with it on them is counted"
)
RATIO_ITEM = "log density ratio"
OWN_LABELS = (
    "theta0 was trained on the labels of these examples and not on answers of the original network, which may have "
    "seen the rest, says the user"
)
APART = "the checkpoint of theta0 was trained on data disjoint from the unlabelled inputs too, says the user"
SHIPPED_NAMES = "the classes have the names that the data set shipped with before the sample was seen, says the user"
ORBIT_ITEM = "orbit saving"
ORBIT_WHY = "units in any order are one function: log2 of the distinct orders, rounded down"
FORMAT = "the message format and its symbol tables are those of this schema version"
TOKENIZER_OF_TEXT = "the file of the tokenizer was fixed before the text was seen, says the user"
FIXED_LEARNER = (
    "the network is what the learner of the recipe makes from the picked examples, and these are what the selection "
    "picks, says the author; verify --level replay runs it again"
)
FIXED_FILES = {
    "tokens": ("tokenizer", "the file of the tokenizer was fixed before the sample was seen, says the user"),
    "columns": (
        "standardisation",
        "the constants of the columns were fixed before the sample was seen and are no statistics of it, says the user",
    ),
}
HONEST_SAMPLING = (
    "the draw is honest, says the user: the posterior was frozen before its noise was known, and every draw evaluated "
    "on this sample, discarded trainings included, is counted"
)


class Comparison(NamedTuple):
    """What a surrogate's ledger depends on: name and number of the unlabelled inputs, and the looks at them.

    like: what the inputs were recognised as.
    """

    inputs_name: str
    m: int
    looks: int
    like: str | None = None

    @classmethod
    def on(cls, inputs: InputsRecord, looks: int) -> "Comparison":
        """Return what a ledger depends on where these inputs are looked at for the `looks`-th time."""
        return cls(inputs.name, inputs.m, looks, inputs.like)

    @property
    def options(self) -> int:
        """Over what the last look's share of delta is spread.

        Look j has delta / (j (j + 1)). A surrogate may have been chosen knowing the j - 1 counts before
        it, which have (m + 1)^(j - 1) outcomes: a union over all surrogates that could have followed.
        """
        return self.looks * (self.looks + 1) * (self.m + 1) ** (self.looks - 1)


def complete(
    coded: Ledger,
    hypothesis: HypothesisSpec,
    data_name: str,
    data_digest: str,
    ratio_bits: int | None = None,
    saving_bits: int | None = None,
    compared: Comparison | None = None,
    methods: int = 1,
    like: str | None = None,
    repeats: str | None = None,
    sweep: SweepRecord | None = None,
) -> Ledger:
    """Return the ledger of the message followed by the choices and declarations that the certificate rests on.

    data_name, data_digest: of the sample; where it is the rest of a split, the whole counts instead of its digest.
    ratio_bits: of a draw, ln dQ/dP over ln 2, rounded up (certificate/draw.py). saving_bits: of a direct code, what
    the order of its units is worth, rounded down (bits/units.py). compared: of a surrogate. methods: how many were to
    be tried, by a list fixed beforehand. like: what the inputs were recognised as. repeats: why some stand twice.
    sweep: the grid that this run is of.
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
    split = hypothesis.base.split
    looked_at = [tuned_on(data_name, data_digest if split is None else split.digest, like)]
    if compared is not None:
        looked_at.append(tuned_on(compared.inputs_name, "", compared.like))
    tuned = [name for name in dict.fromkeys(looked_at) if name is not None]
    if tuned:
        ledger = ledger.choice(
            "package defaults",
            TUNING_OPTIONS,
            f"a charge by convention: header defaults (dimension, quantizer grids) were chosen while looking at "
            f"{' and '.join(tuned)}",
        )
    if methods > 1:
        ledger = ledger.choice("methods", methods, "the best of a list of methods fixed beforehand, tried or not")
    if sweep is not None:
        ledger = ledger.choice("sweep", sweep.choices, sweep.why)
    if compared is not None:
        ledger = ledger.choice("split of delta", SPLITS, "the best of 16 splits; both parts pay every choice")
        ledger = ledger.choice("looks", compared.options, "look j has delta / (j (j + 1)), over all earlier counts")
    ledger = ledger.declare(
        "task", "the data source with its classes, the loss and delta were fixed before the sample was seen"
    )
    ledger = ledger.declare("format", FORMAT)
    if repeats is not None:
        ledger = ledger.declare("repeats", repeats_sentence(repeats))
    if sweep is not None and sweep.number is not None:
        ledger = ledger.declare("grid", GRID_WHY)
    if hypothesis.model == OWN_NETWORK:
        ledger = ledger.declare("architecture", "the network was fixed before the sample was seen, says the user")
    if hypothesis.base.constants is not None:
        why = "the buffers of the network were fixed before the sample was seen, says the user"
        ledger = ledger.declare("constants", why)
    if hypothesis.preprocess.name in FIXED_FILES:
        item, why = FIXED_FILES[hypothesis.preprocess.name]
        ledger = ledger.declare(item, why)
    if drawn:
        ledger = ledger.declare("sampling", HONEST_SAMPLING)
    if isinstance(hypothesis.quantizer, PicksSpec):
        ledger = ledger.declare("learner", FIXED_LEARNER)
    if hypothesis.base.kind in CHECKPOINT_KINDS:
        ledger = ledger.declare(
            "checkpoint",
            "theta0 was trained on data disjoint from this sample and fixed before the sample was seen, says the user",
        )
    if hypothesis.base.head is not None and hypothesis.base.head.named:
        ledger = ledger.declare("class names", SHIPPED_NAMES)
    if split is not None:
        ledger = ledger.declare(
            "theta0",
            f"theta0 was trained on {split.first} examples of the split and on nothing of the rest, "
            "by a recipe fixed before the sample was seen, says the user",
        )
        if split.start is not None:
            values = (
                "values handed over" if split.checkpoint is None else "a checkpoint of data disjoint from this sample"
            )
            why = f"theta0 was trained from {values}, fixed before the sample was seen, says the user"
            ledger = ledger.declare("start", why)
    if compared is not None:
        ledger = ledger.declare("inputs", UNTOUCHED_INPUTS)
        if split is not None:
            ledger = ledger.declare("labels", OWN_LABELS)
        if hypothesis.base.checkpoint is not None:
            ledger = ledger.declare("apart", APART)
    if hypothesis.base.kind == "values":
        ledger = ledger.declare("theta0", "theta0 was handed over, fixed before the sample was seen, says the user")
    return ledger
