"""The grid of a sweep, as its certificates embed it, and what searching it costs.

The certificate that stands is the best of a grid of requests, which was drawn before the first of them ran. Its bound
must hold for all of them at once, so it is asked of every option how it reaches the statement:

- free: it only helps the encoder to find a message (rate, epochs, encoder, code, step ...). There is one prior over
  messages, and the bound holds for all of them at once, found or not.
- message: the decoded header says it by a universal prefix code (a described model by the grammar, d and the seed by
  gamma codes, projector, layer scale, preprocessing; the share of a split; the kind of the base, and with it subspace,
  new head or direct code). Message m has delta 2^-bits(m), over all headers together at most delta, also where
  headers lead to another sample: of a split, given its first part, the rest has its share by the same code. Charging
  a grid on top would pay twice, so the grid's price is never the smaller one here and is not asked for.
- outcome: the theorem. For every outcome that of the rule `auto` is the smallest (certificate/recheck.py), so that
  where another fails this one failed before: one event, nothing to share delta with.
- grid: all else reaches the statement and no code pays it: networks and files of their author's (checkpoint, rules for
  its names, key), constants, base, and every option of a method that is not in the tables below (surrogate, and
  those to come). Of the N different combinations of these values each has delta / N, searched or not.

Both sides of this rule look at names and values alone, never at what came of a run. The union over N combinations needs
N of them that the sample did not choose; so does j, the sweep's number among those with a price on one sample, whose
grid has delta / (j (j + 1)): that all of them were fixed before the sample was seen is declared, since no reader sees
it. Sweeps with N = 1 need neither a number nor a word: they may follow each other as adaptively as anybody likes.

delta, the loss, the sample and what is held out are never options: they say what is stated, not how it was found.
"""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from ..records import Record, SparseRecord
from ..specs.grammar import MAX_DESCRIPTION, is_described
from ..specs.specs import HypothesisSpec

MAX_RUNS = 4096
MAX_SWEEPS = 1 << 16
Way = Literal["free", "message", "outcome", "grid"]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,31}$")]
Text = Annotated[str, Field(max_length=MAX_DESCRIPTION)]

_TRAINED = (
    "budget", "encoder", "step", "levels", "codebook_init", "code", "epochs", "device", "batch", "rate", "optimizer",
    "beta", "encoder_seed", "encoder_seeds",
)  # fmt: skip
# method -> its options that steer the encoder; `free_options` of the request says the same (tests/certificate)
FREE: dict[str, tuple[str, ...]] = {
    "subspace": _TRAINED,
    "direct": ("epochs", "device", "batch", "rate", "beta", "encoder_seed"),
    "auto": _TRAINED,
}
_HEADER = ("d", "projector", "layer_scale", "seed", "preprocess", "prior_share", "new_head", "method")
# method -> its options that the header says; a direct code reads neither projector nor seed, so they change nothing
MESSAGE: dict[str, tuple[str, ...]] = {
    "subspace": _HEADER,
    "direct": ("preprocess", "method", "projector", "layer_scale", "seed"),
    "auto": _HEADER,
}
GRID_WHY = (
    "the grid of this sweep, and of every sweep with a price before it on this sample, was fixed before the sample was "
    "seen, and all of them are counted, says the user"
)


def way_of(option: str, value: str, method: str) -> Way:
    """Return how a value of an option reaches the statement under a method.

    >>> way_of("rate", "0.01", "subspace"), way_of("d", "128", "subspace"), way_of("model", "nets:mine", "subspace")
    ('free', 'message', 'grid')
    """
    if method not in FREE:
        return "grid"
    if option in FREE[method]:
        return "free"
    if option == "theorem":
        return "outcome"
    if option == "model":
        return "message" if value == "auto" or is_described(value) else "grid"
    return "message" if option in MESSAGE[method] else "grid"


class SweepOption(Record):
    """An option of the request and its values in the grid, as text; files by their SHA-256."""

    name: Name
    values: tuple[Text, ...] = Field(min_length=1, max_length=MAX_RUNS)

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        if len(set(self.values)) != len(self.values):
            raise ValueError(f"the values of option {self.name} are distinct")
        return self


class SweepRecord(SparseRecord):
    """The grid, and which of its runs this certificate is.

    method: of the runs that no option gives another. options: names with their values. runs: of each run the place of
    its value in every option. chosen: place of this run. number: which sweep with a price this is on the sample; left
    out where the grid has none.
    """

    LEFT_OUT = ("number",)

    method: Name
    options: tuple[SweepOption, ...] = Field(max_length=64)
    runs: tuple[tuple[int, ...], ...] = Field(min_length=1, max_length=MAX_RUNS)
    chosen: int = Field(ge=0, lt=MAX_RUNS)
    number: int | None = Field(default=None, ge=1, le=MAX_SWEEPS)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        names = [option.name for option in self.options]
        if len(set(names)) != len(names):
            raise ValueError("the options of a sweep have distinct names")
        sizes = [len(option.values) for option in self.options]
        for run in self.runs:
            if len(run) != len(sizes) or any(not 0 <= at < size for at, size in zip(run, sizes, strict=False)):
                raise ValueError("a run has the place of one value of every option")
        if len(set(self.runs)) != len(self.runs):
            raise ValueError("the runs of a sweep are distinct")
        if self.chosen >= len(self.runs):
            raise ValueError(f"the chosen run is one of {len(self.runs)}, got number {self.chosen}")
        if (self.number is not None) != (self.combinations > 1):
            raise ValueError("a sweep has a number where its grid has a price, and only there")
        return self

    def values_of(self, run: int) -> dict[str, str]:
        """Return option -> value of a run."""
        places = zip(self.options, self.runs[run], strict=True)
        return {option.name: option.values[at] for option, at in places}

    @property
    def combinations(self) -> int:
        """N: how many different combinations of priced values the runs have."""
        return len({self._priced(run) for run in range(len(self.runs))})

    @property
    def choices(self) -> int:
        """Over what the share of delta is spread: N j (j + 1), or 1 where nothing has a price."""
        return 1 if self.number is None else self.combinations * self.number * (self.number + 1)

    @property
    def why(self) -> str:
        """The reason of the entry in the ledger."""
        searched = f"the best of {len(self.runs)} runs of a grid drawn before the first"
        if self.number is None:
            return f"{searched}; each of their options is free, or paid in the message"
        return (
            f"{searched}: {self.combinations} combinations of what no message pays, in sweep {self.number}, which has "
            "delta / (j (j + 1))"
        )

    def _priced(self, run: int) -> tuple[tuple[str, str], ...]:
        values = self.values_of(run)
        method = values.get("method", self.method)
        return tuple((name, value) for name, value in values.items() if way_of(name, value, method) == "grid")


def contradiction(sweep: SweepRecord, spec: HypothesisSpec) -> str | None:
    """Return which option of the chosen run the network contradicts: seed, d or the file of its checkpoint."""
    values, projector = sweep.values_of(sweep.chosen), spec.projector
    found: dict[str, str] = {}
    if spec.base.kind == "seeded":
        found["seed"] = str(spec.base.seed)
    if spec.base.checkpoint is not None:
        found["checkpoint"] = spec.base.checkpoint
    if projector is not None:
        found["seed"] = str(projector.seed)
        if projector.kind != "identity" and projector.d < projector.D:  # larger ones are cut to D
            found["d"] = str(projector.d)
    for name, value in found.items():
        if values.get(name, value) != value:
            return f"the run of the grid has {name} {values[name]}, the network has {value}"
    return None
