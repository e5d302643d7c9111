"""Method auto: run every method that applies, and keep the certificate of the smallest bound.

The list of m methods follows from the request alone and is fixed before the first of them runs; each pays log2 m bits,
rounded up, for being chosen from it. That is delta / m for each, or less, tried or not.
"""

import hashlib
import logging
import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from torch import nn

from ..certificate.schema import Certificate, MethodRow
from ..data.registry import load_any, load_inputs
from ..errors import PacboundError, RequestError
from ..networks.checkpoints import file_digest
from ..networks.frozen import freeze_network
from ..request.request import Request
from ..training.state import Checkpoint
from .direct.method import direct
from .picks import UNREAD, picks
from .subspace import subspace
from .surrogate import surrogate
from .work import Work, methods_folder

LOG = logging.getLogger("pacbound")
NO_CHECKPOINT = {
    "checkpoint": None, "disjoint": False, "new_head": False, "head_rows": (), "rename": (), "key": None,
    "base": "seeded",
}  # fmt: skip
NO_HEAD = {"disjoint": False, "new_head": False, "head_rows": ()}
NO_SURROGATE = {
    "surrogate": "auto",
    "surrogate_checkpoint": None,
    "surrogate_preprocess": "auto",
    "surrogate_by": "codes",
    "earlier_looks": None,
    "unlabelled": None,
}
NO_SPLIT = {"prior_share": None, "start_minutes": None}  # of these methods theta0 is trained on nothing
NO_SUBSPACE = {
    **NO_HEAD, "base": "seeded", "posterior": "point", "d": None, "budget": None, "train": "all",
    "encoder_seeds": 1, **NO_SPLIT,
}  # fmt: skip


NOT_CODED = {name: getattr(Request(), name) for name in UNREAD}
PICKED = {"method": "picks", **NOT_CODED, **NO_SURROGATE, **NO_SPLIT}


class Option(NamedTuple):
    """One method of the list: what it lacks, what it changes in the request, and how it runs.

    lacks: why it does not apply, empty where it does.
    """

    name: str
    lacks: Callable[[Work], str]
    changes: dict[str, object]
    run: Callable[[Work], Certificate]


class Outcome(NamedTuple):
    """What came of one method: its certificate, or why it was refused."""

    name: str
    certificate: Certificate | None
    refusal: str
    seconds: float


def _nothing(work: Work) -> str:
    return ""


def _share(work: Work) -> str:
    return "" if work.request.prior_share is not None else "no --prior-share is given"


def _file(work: Work) -> str:
    return "" if work.request.checkpoint is not None else "no --checkpoint is given"


def _disjoint_file(work: Work) -> str:
    unsaid = "" if work.request.disjoint else "nobody says that the checkpoint has not seen the sample (--disjoint)"
    return _file(work) or unsaid


def _file_and_inputs(work: Work) -> str:
    return _file(work) or ("" if work.unlabelled is not None else "no --unlabelled inputs are given")


def _other_loss(work: Work) -> str:
    zero_one = work.request.loss == "zero_one" and work.loss in (None, "zero_one")
    return "" if zero_one else "examples are picked by their errors, and the loss is another"


# a method joins by one line
OPTIONS = (
    Option("subspace", _nothing, {**NO_CHECKPOINT, **NO_SURROGATE, **NO_SPLIT}, subspace),
    Option("prior", _share, {**NO_CHECKPOINT, **NO_SURROGATE}, subspace),
    Option("transfer", _disjoint_file, {**NO_SURROGATE, **NO_SPLIT}, subspace),
    Option("direct", _file, {**NO_SUBSPACE, **NO_SURROGATE}, direct),
    Option("surrogate", _file_and_inputs, {**NO_HEAD, **NO_SPLIT}, surrogate),
    Option(
        "surrogate_prior",
        lambda work: _share(work) or _file_and_inputs(work),
        NO_HEAD,
        surrogate,
    ),
    Option("picks", _other_loss, {**NO_CHECKPOINT, **PICKED}, picks),
    Option("picks_transfer", lambda work: _other_loss(work) or _disjoint_file(work), PICKED, picks),
)


def listed(work: Work) -> list[Option]:
    """Return the methods that apply to a request."""
    return [option for option in OPTIONS if not option.lacks(work)]


def not_listed(work: Work) -> tuple[str, ...]:
    """Return in words why the others do not apply."""
    return tuple(f"method {option.name} does not apply: {why}" for option in OPTIONS if (why := option.lacks(work)))


def announced(work: Work) -> list[Option]:
    """Return the methods that apply to a request, and say which they are and why the others do not."""
    if work.request.surrogate_checkpoint is not None:
        raise RequestError(
            "auto: --disjoint is the word about one file, got --surrogate-checkpoint too. Choose --method surrogate."
        )
    options = listed(work)
    LOG.info("methods that will be tried: %s", ", ".join(option.name for option in options))
    for reason in not_listed(work):
        LOG.info(reason)
    return options


def auto(work: Work) -> Certificate:
    """Run the methods that apply, each with its share of the budget, and return the best certificate, with a table.

    Which these are, and why others are not among them, is said before the first of them runs.

    Direct coding has no budget: its epochs are the request's. What the methods finished stays beside the state, for the
    caller to remove with it: it holds the files of the certificate, and how many draws were looked at.

    Raises: RequestError where every one of them is refused.
    """
    options = announced(work)
    names = tuple(option.name for option in options)
    work = (
        replace(work, train=load_any(work.train, work.data_dir, reading=work.request.reading))
        if work.unlabelled is not None
        else work
    )
    folder = _begin(work, names)
    outcomes = [_outcome(option, work, names, folder) for option in options]
    made = [outcome.certificate for outcome in outcomes if outcome.certificate is not None]
    if not made:
        raise RequestError(f"auto: every method was refused. {' '.join(f'{o.name}: {o.refusal}' for o in outcomes)}")
    best = min(made, key=lambda certificate: certificate.stated_bound.value)
    seconds = {f"method-{outcome.name}": round(outcome.seconds, 3) for outcome in outcomes}
    rows = tuple(_row(outcome) for outcome in outcomes) if len(names) > 1 else ()
    return best.with_methods(rows, seconds, not_listed(work))


def part_of(option: Option, work: Work, names: tuple[str, ...], state: Path | None) -> Work:
    """Return what one of the methods is asked for: its own request, an equal share of the budget, and the list."""
    budget = None if work.request.budget is None else work.request.budget / len(names)
    request = work.request.model_copy(update={"method": "subspace", "budget": budget, **option.changes})
    unlabelled = None if "unlabelled" in option.changes else work.unlabelled
    methods = names if len(names) > 1 else ()
    return replace(work, request=request, unlabelled=unlabelled, state=state, methods=methods)


def _begin(work: Work, names: tuple[str, ...]) -> Path | None:
    """Return the folder of finished and unfinished methods; a mark at work.state binds it to this request."""
    if work.state is None:
        return None
    key = hashlib.sha256(
        f"{work.request.model_dump_json()} {names} {_contents(work)} {work.sweep}".encode()
    ).hexdigest()
    mark, folder = Checkpoint(work.state, key), methods_folder(work.state)
    if mark.load() is None:
        shutil.rmtree(folder, ignore_errors=True)
        mark.save({}, force=True)
    folder.mkdir(exist_ok=True)
    return folder


def _contents(work: Work) -> list[str]:
    """Digests of the sample, network, file and inputs: a request names them, and what it names may change."""
    reading = work.request.reading
    readers: list[Callable[[], str]] = [lambda: load_any(work.train, work.data_dir, reading=reading).digest()]
    if isinstance(work.model, nn.Module):
        network = work.model
        readers.append(lambda: hashlib.sha256(freeze_network(network)).hexdigest())
    if work.request.checkpoint is not None:
        readers.append(lambda: file_digest(str(work.request.checkpoint)))
    if work.test is not None:
        readers.append(lambda: load_any(work.test, work.data_dir, "test", reading).digest())
    if work.unlabelled is not None:
        readers.append(lambda: load_inputs(work.unlabelled, work.data_dir, reading=reading).digest())
    loss = work.loss if isinstance(work.loss, str) else getattr(work.loss, "__qualname__", "")
    return [*(_read(reader) for reader in readers), loss]


def _read(reader: Callable[[], str]) -> str:
    """What a reader returns; nothing where it is refused, which each method will say for itself."""
    try:
        return reader()
    except PacboundError:
        return ""


def _outcome(option: Option, work: Work, names: tuple[str, ...], folder: Path | None) -> Outcome:
    """Run one method, or read what an interrupted run finished."""
    done = None if folder is None else folder / f"{option.name}.json"
    if done is not None and done.exists():
        return _made(option, Certificate.load(done))
    state = None if folder is None else folder / f"{option.name}.state"
    started = time.monotonic()
    try:
        certificate = option.run(part_of(option, work, names, state))
    except PacboundError as refusal:
        LOG.warning("method %s is left out: %s", option.name, refusal)
        return Outcome(option.name, None, str(refusal), time.monotonic() - started)
    if done is not None:
        certificate.save(done)
    return _made(option, certificate)


def _made(option: Option, certificate: Certificate) -> Outcome:
    """What came of a method that was not refused: its seconds are those of all processes that it took."""
    return Outcome(option.name, certificate, "", sum(certificate.environment.seconds.values()))


def _row(outcome: Outcome) -> MethodRow:
    certificate = outcome.certificate
    if certificate is None:
        return MethodRow(name=outcome.name)
    risk = certificate.risk
    return MethodRow(
        name=outcome.name,
        value=certificate.stated_bound.value,
        errors=risk.errors,
        n=risk.n,
        bits=certificate.ledger.bits,
    )
