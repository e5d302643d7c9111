"""Run a study: its sweeps one after the other, resumable as these are, and the certificates under readable names."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from ..certificate.schema import Certificate
from ..errors import RequestError, StateError
from ..measures.measuring import attach, measure
from ..specs.specs import SPLIT_PARTS
from ..sweeps.driver import sweep
from ..sweeps.folder import Folder
from .catalogue import Across, Part, Study, parts_of

SWEEPS, CERTIFICATES = "sweeps", "certificates"


class Run(NamedTuple):
    """One finished run of a study. across: where it stands in the second picture, None where there is none."""

    name: str
    sample: str
    arm: str
    certificate: Certificate
    across: float | None
    true_risk: float | None


class Results(NamedTuple):
    """What came of a study. missing: how many runs are left; refused: name of a run -> why."""

    runs: tuple[Run, ...]
    missing: int
    refused: dict[str, str]


def run_study(
    study: Study,
    output: Path,
    *,
    full: bool = False,
    seeds: tuple[int, ...] | None = None,
    jobs: int = 1,
    budget: float | None = None,
    data_dir: str | Path | None = None,
    progress: bool = True,
) -> Results:
    """Run what is left of a study in a folder, and return all of it.

    Args: output: holds sweeps/, a folder for each, and certificates/. full: the whole study instead of a small one.
        seeds: others than its own. jobs, data_dir: as of a sweep. budget: minutes, after which the same call goes on.
    Raises: PacboundError, above all where the folder holds another study.
    """
    until = None if budget is None else time.monotonic() + 60 * budget
    runs: list[Run] = []
    refused: dict[str, str] = {}
    missing = 0
    (output / CERTIFICATES).mkdir(parents=True, exist_ok=True)
    for part in parts_of(study, full, seeds, data_dir):
        left = None if until is None else max(0.0, until - time.monotonic()) / 60
        folder = output / SWEEPS / part.folder
        summary = sweep(part.plan, folder, jobs=jobs, budget=left, data_dir=data_dir, progress=progress)
        refused |= {part.name(run - 1): why for run, why in (summary.refused | summary.broken).items()}
        missing += summary.left
        runs += _named(part, folder, output / CERTIFICATES, study.across, data_dir)
    if not runs and refused:
        raise RequestError(f"study: none of its runs has a certificate; {next(iter(refused.values()))}")
    return Results(tuple(runs), missing, refused)


def results_of(study: Study, certificates: Path, data_dir: str | Path | None = None) -> Results:
    """Return what a folder holds of the small study: certificates under the names that it gave them."""
    runs = []
    for part in parts_of(study, False, None, data_dir):
        names = [part.name(run) for run in range(len(part.plan.runs))]
        found = {name: Certificate.load(path) for name in names if (path := certificates / f"{name}.json").exists()}
        runs += [_run(part, name, certificate, study.across) for name, certificate in found.items()]
    return Results(tuple(runs), 0, {})


def _run(part: Part, name: str, certificate: Certificate, across: Across | None) -> Run:
    return Run(name, part.sample, part.arm, certificate, _across(certificate, across), part.true_risk)


def _named(
    part: Part, folder: Path, certificates: Path, across: Across | None, data_dir: str | Path | None
) -> Sequence[Run]:
    """The finished runs of a sweep, each certificate also under its name."""
    runs, sweeps = [], Folder(folder)
    for run in range(len(part.plan.runs)):
        certificate = sweeps.finished(sweeps.read(), run)
        if certificate is None:
            continue
        path = certificates / f"{part.name(run)}.json"
        if not path.exists():
            if across == "flatness" and certificate.hypothesis.projector is not None:
                found = measure(certificate, data=part.plan.request.data, measures=("flatness",), data_dir=data_dir)
                certificate = attach(certificate, found)
            certificate.save(path)
        named = Certificate.load(path)
        if named.message != certificate.message or named.data != certificate.data:
            raise StateError(f"study: {path.name} in {certificates.name!r} is of another run. Move it away.")
        runs.append(_run(part, part.name(run), named, across))
    return runs


def _across(certificate: Certificate, across: Across | None) -> float | None:
    if across == "parameters":
        return certificate.hypothesis.parameters
    if across == "prior_share":
        split = certificate.hypothesis.base.split
        return 0.0 if split is None else split.parts / SPLIT_PARTS
    if across == "flatness":
        return next((measure.value for measure in certificate.measures if measure.name == "flatness"), None)
    return None
