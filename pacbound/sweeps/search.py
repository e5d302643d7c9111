"""A search for a network: rounds of short runs over strings of the grammar, and a long one of the best.

Each round is a sweep over `model` (driver.py), resumable as any sweep: in a folder of its own, with as many minutes for
every run as its share. A string is paid by its own code in the message, whatever led to it, so that the search may be
as adaptive as it likes and costs nothing; every run is a certificate that holds alone, ranked by its bound, and the
best of them all is what the search ends in.

    search.json         what is searched, fixed before the first run
    round-1/ ...        sweeps, then final/
    best.json           the certificate
"""

from pathlib import Path

import numpy as np
from pydantic import ValidationError

from ..certificate.files import write_atomic
from ..certificate.schema import Certificate
from ..data.registry import load_any
from ..errors import RequestError, StateError
from ..records import Record
from ..request.request import Request
from .driver import rank, sweep
from .folder import Folder, Line
from .plan import Plan, Search, make_plan
from .proposals import beginnings, children

BEST = "best.json"
# Networks of each round, and how many shares of the time every one has; those of a round with more are the best so far.
ROUNDS = ((8, 1), (8, 1), (4, 2))
LAST = 16  # shares of the final run
SHARES = sum(count * shares for count, shares in ROUNDS) + LAST


class Searched(Record):
    """What search.json holds. sample: SHA-256 of the whole sample."""

    request: Request
    minutes: float
    jobs: int
    seed: int
    sample: str


class Found(Record):
    """What a search came to. best: result of the certificate it ends in, None where runs are left; its file and that of
    every other lie in the folder of the search. tried: the results of all runs, best first. refused: network -> why."""

    best: Line | None
    tried: tuple[Line, ...]
    refused: dict[str, str]


def search(
    request: Request,
    output: Path,
    *,
    minutes: float,
    jobs: int = 1,
    seed: int = 0,
    data_dir: str | Path | None = None,
    progress: bool = True,
) -> Found:
    """Search for the network of the smallest bound, and certify it.

    Args: request: of every run, but for model and budget. output: folder; the same call goes on with what lies there.
        minutes: of all runs, the rounds on `jobs` processes of one thread each, the final one on one. seed: of the
        proposals.
    Raises: PacboundError, above all where the folder holds another search or no run has a certificate.
    """
    if not minutes > 0:
        raise RequestError(f"search: --minutes is positive, got {minutes:g}.")
    for name in ("model", "budget", "epochs"):
        if getattr(request, name) != Request.model_fields[name].default:
            raise RequestError(
                f"search: it is the search that chooses {name}, got {getattr(request, name)!r}. Leave it out."
            )
    sample = load_any(request.data, data_dir, reading=request.reading)
    _begin(output, Searched(request=request, minutes=minutes, jobs=jobs, seed=seed, sample=sample.digest()))
    shape, classes = tuple(sample.x.shape[1:]), sample.classes
    tried: list[tuple[str, Line]] = []
    refused: dict[str, str] = {}

    def run(part: str, names: list[str], budget: float) -> bool:
        """Run a round, and return whether all of it is done."""
        folder = Folder(output / part)
        plan = folder.read().plan if folder.plan.exists() else _plan(request, names, budget)
        summary = sweep(plan, folder.path, jobs=jobs, data_dir=data_dir, progress=progress)
        why = summary.refused | summary.broken
        refused.update({str(plan.values_of(number - 1)["model"]): reason for number, reason in why.items()})
        for line in folder.lines().values():
            if line.bound is not None:
                tried.append((line.options["model"], line.model_copy(update={"file": f"{part}/{line.file}"})))
        tried.sort(key=lambda one: rank(one[1]))
        return summary.left == 0

    for number, (count, shares) in enumerate(ROUNDS):
        best = list(dict.fromkeys(name for name, _ in tried))
        if not number:
            names = beginnings(shape, classes, count)
        elif shares > 1:
            names = best[:count]
        else:
            generator = np.random.default_rng((seed, number))
            names = children(best, {*best, *refused}, shape, classes, count, generator)
        if names and not run(f"round-{number + 1}", names, minutes * jobs * shares / SHARES):
            return _found(None, tried, refused)
        if not tried:
            reason = next(iter(refused.values()), "none reads examples of this shape")
            raise RequestError(f"search: no network has a certificate within its share of the time: {reason}")
    if not run("final", [tried[0][0]], minutes * LAST / SHARES):
        return _found(None, tried, refused)
    best_file = output / str(tried[0][1].file)
    Certificate.load(best_file).save(output / BEST)
    return _found(tried[0][1], tried, refused)


def _begin(output: Path, wanted: Searched) -> None:
    """Write down what is searched, or see that the same lies here. Raises: StateError where it is another."""
    path = output / "search.json"
    try:
        if path.exists():
            if Searched.model_validate_json(path.read_bytes()) != wanted:
                raise StateError(
                    f"search: the folder {output.name!r} holds another search: its options, minutes or sample differ. "
                    "Repeat the command to go on with it, or choose another folder for --output."
                )
            return
        output.mkdir(parents=True, exist_ok=True)
        write_atomic(path, (wanted.model_dump_json(indent=1) + "\n").encode())
    except (OSError, ValidationError) as cause:
        raise StateError(
            f"search: --output is a folder of a search or none yet, got {output.name!r} ({type(cause).__name__}). "
            "Choose another folder."
        ) from None


def _plan(request: Request, names: list[str], budget: float) -> Plan:
    return make_plan(request.model_copy(update={"budget": budget}), Search(), {"model": names})


def _found(best: Line | None, tried: list[tuple[str, Line]], refused: dict[str, str]) -> Found:
    return Found(best=best, tried=tuple(line for _, line in tried), refused=refused)
