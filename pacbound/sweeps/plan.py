"""The plan of a sweep: a TOML file makes a finite grid of requests, all of them valid, before the first one runs.

data = "digits"                      # options of every run, as in the TOML file of `pacbound certify`
encoder = "plain"                    # which reads rate

[sweep]                              # how the grid is drawn and searched; all of it may be left out
engine = "grid"                      # grid: in its order; random: in a drawn order; optuna: as TPE asks
draws = 24                           # so many runs are drawn from the grid; by default the whole product
seed = 0                             # of what is drawn
earlier_sweeps = 0                   # I say: so many sweeps with a price went before on this sample

[grid]                               # options of the request, each with its values
d = [128, 256]
rate = {low = 0.001, high = 0.1, log = true}   # a range, of whole numbers too; needs draws
"""

import hashlib
import itertools
import math
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field, ValidationError

from ..certificate.sweep import FREE, MAX_RUNS, MAX_SWEEPS, SweepOption, SweepRecord, Way, way_of
from ..errors import RequestError, without_file
from ..networks.checkpoints import file_digest
from ..records import Record
from ..request.reading import Reading
from ..request.request import Request, free_options, make_request
from ..specs.grammar import MAX_DESCRIPTION, is_described

Value = bool | int | float | str | tuple[str, ...]
Engine = Literal["grid", "random", "optuna"]
# What no grid may vary, and why.
NEVER = {
    **dict.fromkeys(("data", "test", "unlabelled"), "says which sample the statement is about"),
    **dict.fromkeys(
        ("delta", "loss", "repeats", *Reading.model_fields),
        "says what is stated, and is fixed before the sample is seen",
    ),
    "model_name": "is a label, and one for all",
    **dict.fromkeys(("tokenizer", "standardise"), "is a file that was fixed before the sample is seen"),
    **dict.fromkeys(("disjoint", "earlier_draws", "earlier_looks"), "is somebody's word, and no choice"),
    "posterior": "would make every run another draw, which draws count one by one",
}
MAX_PRODUCT = 1 << 22  # combinations of a grid from which some are drawn


class Search(Record):
    """The table [sweep]: how the grid is drawn and searched."""

    engine: Engine = "grid"
    draws: int | None = Field(default=None, ge=1, le=MAX_RUNS)
    seed: int = Field(default=0, ge=0, lt=1 << 31)
    earlier_sweeps: int | None = Field(default=None, ge=0, lt=MAX_SWEEPS)


class Range(Record):
    """The values of an option between low and high, both included; log: spread evenly over orders of magnitude."""

    low: int | float
    high: int | float
    log: bool = False

    def draw(self, generator: np.random.Generator) -> int | float:
        """Return one value: a whole number where both ends are, else a number of four digits."""
        whole = isinstance(self.low, int) and isinstance(self.high, int)
        low, high = (self.low, self.high + 1) if whole else (self.low, self.high)
        ends = (math.log(low), math.log(high)) if self.log else (low, high)
        found = math.exp(generator.uniform(*ends)) if self.log else generator.uniform(*ends)
        return min(math.floor(found), int(self.high)) if whole else float(f"{found:.4g}")


class Plan(Record):
    """The grid as it will be run: request is what all runs share, runs the values of `options` in each of them."""

    request: Request
    search: Search
    options: tuple[str, ...]
    runs: tuple[tuple[Value, ...], ...]

    def values_of(self, run: int) -> dict[str, Value]:
        """Return option -> value of a run."""
        return dict(zip(self.options, self.runs[run], strict=True))

    def request_of(self, run: int) -> Request:
        """Return the whole request of a run."""
        return make_request(self.values_of(run), "sweep", self.request)

    def record(self, run: int, number: int | None, texts: Mapping[str, Mapping[Value, str]]) -> SweepRecord:
        """Return what the certificate of a run says of the sweep. texts: what `texts_of` returns."""
        values = {name: list(dict.fromkeys(text.values())) for name, text in texts.items()}
        runs = tuple(
            tuple(values[name].index(texts[name][value]) for name, value in self.values_of(at).items())
            for at in range(len(self.runs))
        )
        options = tuple(SweepOption(name=name, values=tuple(values[name])) for name in self.options)
        try:
            return SweepRecord(method=self.request.method, options=options, runs=runs, chosen=run, number=number)
        except ValidationError as cause:
            raise RequestError(f"sweep: {cause.errors()[0]['msg'].removeprefix('Value error, ')}.") from None

    def texts_of(self) -> dict[str, dict[Value, str]]:
        """Return of every option value -> what certificates show of it: no paths; files by their SHA-256.

        Raises: ModelError where a checkpoint cannot be read; RequestError where two values are one file.
        """
        texts: dict[str, dict[Value, str]] = {name: {} for name in self.options}
        for run in self.runs:
            for name, value in zip(self.options, run, strict=True):
                if value not in texts[name]:
                    texts[name][value] = _text(name, value)
        for name, text in texts.items():
            if len(set(text.values())) != len(text):
                raise RequestError(f"sweep: the values of {name} are different ones, got one twice. Leave one out.")
        return texts

    @property
    def priced(self) -> bool:
        """Whether any two runs differ in what has a price."""
        keys = set()
        for run in range(len(self.runs)):
            values, method = self.values_of(run), self.request_of(run).method
            keys.add(tuple((n, v) for n, v in values.items() if way_of(n, str(v), method) == "grid"))
        return len(keys) > 1

    def ways(self) -> dict[str, Way]:
        """Return how each option reaches the statement; that of its most expensive value."""
        found: dict[str, Way] = {}
        for run in range(len(self.runs)):
            method = self.request_of(run).method
            for name, value in self.values_of(run).items():
                way = way_of(name, str(value), method)
                found[name] = max(found.get(name, "free"), way, key=("free", "outcome", "message", "grid").index)
        return found


def read_plan(path: Path, base: Request | None = None) -> Plan:
    """Read a plan and check every request in it. base: a preset.

    Raises: RequestError with the reason, above all for an option that no grid may vary.
    """
    try:
        document = tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as cause:
        raise RequestError(f"sweep: {path.name!r} is not a readable TOML file ({without_file(cause)}).") from None
    search, grid = document.pop("sweep", {}), document.pop("grid", {})
    if not isinstance(search, dict) or not isinstance(grid, dict) or not grid:
        raise RequestError(
            f"sweep: {path.name} has a table [grid] of options with their values, got none. "
            "Write such as d = [128, 256] under [grid]."
        )
    request = make_request(document, f"config {path.name}", base)
    return make_plan(request, _search(search), grid)


def make_plan(request: Request, search: Search, grid: Mapping[str, object]) -> Plan:
    """Draw the runs of a grid, and check each. Raises: RequestError."""
    for name, values in grid.items():
        if name in NEVER:
            raise RequestError(f"sweep: {name} is no option of a grid: it {NEVER[name]}. Set it above [grid].")
        _check_values(name, values)
    axes = {name: _axis(name, values) for name, values in grid.items()}
    plan = Plan(request=request, search=search, options=tuple(axes), runs=tuple(_runs(axes, search)))
    for run in range(len(plan.runs)):
        _check_run(plan.request_of(run))
        if "device" in axes and plan.request_of(run).prior_share is not None:
            raise RequestError(
                "sweep: theta0 is trained on --device too, where there is a --prior-share, and each rounds otherwise: "
                "nothing pays for keeping the best. Set device above [grid]."
            )
    if plan.priced and search.earlier_sweeps is None:
        raise RequestError(
            "sweep: sweep j on a sample has delta / (j (j + 1)) where its grid has a price, so that somebody must say "
            "how many such sweeps went before, got nobody's word. Write earlier_sweeps = N under [sweep], 0 where "
            "there were none."
        )
    return plan


def _search(table: Mapping[str, object]) -> Search:
    try:
        return Search.model_validate(table)
    except ValidationError as cause:
        first = cause.errors()[0]
        raise RequestError(
            f"sweep: option {first['loc'][0]!r} under [sweep]: {first['msg']}, got {first['input']!r}."
        ) from None


def _check_values(name: str, values: object) -> None:
    if isinstance(values, dict):
        return
    if not isinstance(values, list) or not values:
        raise RequestError(f"sweep: option {name!r} under [grid] is a list of values or a range, got {values!r}.")


def _axis(name: str, values: object) -> Range | list[Value]:
    if isinstance(values, dict):
        try:
            found = Range.model_validate(values)
        except ValidationError as cause:
            raise RequestError(
                f"sweep: a range is {{low = A, high = B}} with log = true or without, got {name} = {values!r} "
                f"({cause.errors()[0]['msg']})."
            ) from None
        if found.low > found.high or (found.log and found.low <= 0):
            raise RequestError(f"sweep: a range goes up from low, which is positive with log, got {name} = {values!r}.")
        return found
    assert isinstance(values, list)
    listed: list[Value] = [tuple(v) if isinstance(v, list) else v for v in values]
    if len({(type(v), v) for v in listed}) != len(listed):
        raise RequestError(f"sweep: the values of {name} are different ones, got one twice in {values!r}.")
    return listed


def _runs(axes: Mapping[str, Range | list[Value]], search: Search) -> list[tuple[Value, ...]]:
    """The product of all lists, or so many different draws from it. Raises: RequestError where they are too many."""
    lists = [axis for axis in axes.values() if isinstance(axis, list)]
    size = math.prod(len(axis) for axis in lists)
    whole = len(lists) == len(axes)
    if search.draws is None or (whole and search.draws >= size):
        if not whole:
            raise RequestError("sweep: a range has no end of values. Write draws = N under [sweep], or list them.")
        if size > MAX_RUNS:
            raise RequestError(f"sweep: a grid has at most {MAX_RUNS:,} runs, got {size:,}. Write draws = N.")
        return list(itertools.product(*lists))
    generator = np.random.default_rng(search.seed)
    if whole:
        if size > MAX_PRODUCT:
            raise RequestError(f"sweep: runs are drawn from at most {MAX_PRODUCT:,}, got {size:,}. List fewer values.")
        chosen = np.sort(generator.permutation(size)[: search.draws])
        product = list(itertools.product(*lists))
        return [product[at] for at in chosen]
    drawn = (tuple(_draw(axis, generator) for axis in axes.values()) for _ in range(search.draws))
    return list(dict.fromkeys(drawn))


def _draw(axis: Range | Sequence[Value], generator: np.random.Generator) -> Value:
    return axis.draw(generator) if isinstance(axis, Range) else axis[int(generator.integers(len(axis)))]


def _check_run(request: Request) -> None:
    """Refuse what is no run of a grid, and tables that disagree. Raises: RequestError."""
    if request.task == "lm" or request.method == "quantization-loss":
        raise RequestError(
            "sweep: a grid is of classifiers, got a language model or --method quantization-loss. What a message "
            "codes, such as model, d and seeds, is paid in it: certify one after the other and keep the best."
        )
    looks = request.method == "surrogate" or (request.method == "auto" and request.unlabelled is not None)
    if looks or request.posterior == "draw":
        raise RequestError(
            "sweep: a surrogate and a draw look at the data anew each time they are made, which looks and draws count "
            f"one by one, got the method {request.method!r} with the posterior {request.posterior!r}. Certify them "
            "alone."
        )
    if request.start_minutes is not None:
        raise RequestError(
            "sweep: runs whose messages say the same start from the same theta0, got --start-minutes, which end by the "
            "clock: each run would have another, and nothing pays for keeping the best. Leave them out: then theta0 "
            "follows from its examples."
        )
    ours, theirs = FREE.get(request.method, ()), free_options(request)
    if not set(ours) <= set(theirs):
        raise RequestError(
            f"sweep: of the method {request.method} only {', '.join(theirs) or 'nothing'} is free, and a sweep takes "
            f"{', '.join(set(ours) - set(theirs))} for free. This is an error of pacbound; please report it."
        )


def _text(name: str, value: Value) -> str:
    """What a certificate shows of a value."""
    if name == "checkpoint":
        return file_digest(str(value))
    if isinstance(value, bool):
        return str(value).lower()
    text = ",".join(value) if isinstance(value, tuple) else str(value)
    hidden = name == "model" and not (text == "auto" or is_described(text))
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}" if hidden or len(text) > MAX_DESCRIPTION else text
