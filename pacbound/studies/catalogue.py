"""What a study is: a TOML file in this folder that says what is run and what is looked at.

title, shows     of the page; what it lets see, in one sentence
note             what a reader must know to read it right, or left out
across           parameters, prior_share or flatness: a second picture has the bounds against it; or left out
options          of every run, as `pacbound certify` takes them
samples.NAME     options of the runs on one sample; certificates of one sample are held against each other
arms.NAME        one arm of what is compared: options; alteration of the sample (data/altered.py), where {seed} makes
                 each seed a sample of its own; true_risk where every classifier has it there; seeds where more are run
small, full      minutes on 2 cores, seeds, and options; samples and arms where not all of them are run

A checkpoint below {data} lies in the folder of data sets. Arms are sweeps of their own, over seeds: nothing is chosen
between them, all of it is shown.
"""

import json
import tomllib
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError

from ..data.roots import data_root
from ..errors import RequestError
from ..records import Record
from ..request.request import Request, make_request
from ..sweeps.plan import Plan, Search, make_plan

FOLDER = Path(__file__).parent
SEED, DATA = "{seed}", "{data}"
Across = Literal["parameters", "prior_share", "flatness"]
Options = dict[str, bool | int | float | str]


class Arm(Record):
    """One arm. seeds: how many, from 0, where not those of the study. true_risk: of every classifier on its source."""

    options: Options = Field(default={})
    alteration: str = ""
    seeds: int | None = Field(default=None, ge=1)
    true_risk: float | None = Field(default=None, ge=0, le=1)


class Extent(Record):
    """How much is run. minutes: about so many on 2 cores. seeds: how many, from 0."""

    minutes: int
    seeds: int = Field(ge=1)
    options: Options = Field(default={})
    samples: tuple[str, ...] = ()
    arms: tuple[str, ...] = ()


class Study(Record):
    """A study as its file says it."""

    title: str
    shows: str
    note: str = ""
    across: Across | None = None
    options: Options = Field(default={})
    samples: dict[str, Options]
    arms: dict[str, Arm]
    small: Extent
    full: Extent

    def extent(self, full: bool) -> Extent:
        """Return how much is run."""
        return self.full if full else self.small


class Part(Record):
    """One sweep of a study: runs of one arm on one sample that differ in their seed."""

    sample: str
    arm: str
    folder: str
    plan: Plan
    true_risk: float | None

    def name(self, run: int) -> str:
        """Return the name of a run's certificate; names that differ in seed_N alone are one group."""
        return f"{_slug(self.sample)}-{_slug(self.arm)}-seed_{self.plan.request_of(run).seed}"


def names() -> tuple[str, ...]:
    """Return the names of all studies."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.toml")))


def read_study(name: str) -> Study:
    """Read a study by its name. Raises: RequestError where there is none."""
    if name not in names():
        raise RequestError(f"study: it is one of {', '.join(names())}, got {name!r}.")
    try:
        return Study.model_validate_json(json.dumps(tomllib.loads((FOLDER / f"{name}.toml").read_text("utf-8"))))
    except ValidationError as cause:
        raise RequestError(f"study: {name} is not well written ({cause.errors()[0]}). Please report it.") from None


def parts_of(
    study: Study, full: bool, seeds: tuple[int, ...] | None = None, data_dir: str | Path | None = None
) -> list[Part]:
    """Return the sweeps of a study, sample by sample and arm by arm.

    Args: seeds: others than the study's own. data_dir: folder of data sets, for files that lie there.
    Raises: RequestError where an option is unknown or a request is none.
    """
    extent, parts = study.extent(full), []
    for sample in extent.samples or tuple(study.samples):
        for name in extent.arms or tuple(study.arms):
            arm = study.arms[name]
            options = {**study.options, **extent.options, **study.samples[sample], **arm.options}
            if (file := options.get("checkpoint")) is not None:
                options["checkpoint"] = str(file).replace(DATA, str(data_root(data_dir)))
            chosen = seeds or tuple(range(arm.seeds or extent.seeds))
            apart = SEED in arm.alteration
            for group in [(seed,) for seed in chosen] if apart else [chosen]:
                request = _altered(make_request(options, "study"), arm.alteration.replace(SEED, str(group[0])))
                folder = f"{_slug(sample)}-{_slug(name)}" + (f"-{group[0]}" if apart else "")
                plan = make_plan(request, Search(), {"seed": list(group)})
                parts.append(Part(sample=sample, arm=name, folder=folder, plan=plan, true_risk=arm.true_risk))
    return parts


def _altered(request: Request, alteration: str) -> Request:
    """The request about the altered sample, held-out examples being altered alike."""
    if not alteration:
        return request
    changed = {name: f"{value}+{alteration}" for name in ("data", "test") if (value := getattr(request, name))}
    return make_request(changed, "study", request)


def _slug(text: str) -> str:
    return "_".join("".join(c if c.isalnum() else " " for c in text.lower()).split())
