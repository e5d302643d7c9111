"""The folder of a sweep: what is to be run, the certificates, the states of unfinished runs, and an index of results.

    sweep.json              the plan, fixed before the first run
    index.jsonl             one line a result, appended; a line that is not whole says nothing
    certificates/0001.json  of run 1
    runs/                   states, logs and locks of runs

A certificate is the result, the index a view of it: a line that a kill swallowed is written again.
"""

import fcntl
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from pydantic import ValidationError

from ..certificate.files import write_atomic
from ..certificate.schema import Certificate
from ..certificate.sweep import SweepRecord
from ..errors import StateError
from ..records import Record, SparseRecord
from ..request.request import Request
from .plan import Plan


class Sweep(Record):
    """What sweep.json holds. grid: as certificates embed it, of run 0. sample: SHA-256 of the whole sample."""

    plan: Plan
    grid: SweepRecord
    sample: str
    data_dir: str | None = None

    def record(self, run: int) -> SweepRecord:
        """Return what the certificate of a run says of the sweep."""
        return self.grid.model_copy(update={"chosen": run})

    def request(self, run: int) -> Request:
        """Return the whole request of a run."""
        return self.plan.request_of(run)


class Line(SparseRecord):
    """One line of the index: a run by its number from 1, its values, and its figures or why it was refused."""

    LEFT_OUT = ("bound", "errors", "n", "bits", "core_digest", "file", "seconds", "refusal")

    run: int
    options: dict[str, str]
    bound: float | None = None
    errors: int | float | None = None
    n: int | None = None
    bits: int | None = None
    core_digest: str | None = None
    file: str | None = None
    seconds: float | None = None
    refusal: str | None = None


class Folder:
    """Where a sweep lies."""

    def __init__(self, path: Path) -> None:
        """Bind a path; touches no file."""
        self.path = path
        self.index = path / "index.jsonl"
        self.plan = path / "sweep.json"

    def certificate(self, run: int) -> Path:
        """Return the file of a run's certificate, run from 0."""
        return self.path / "certificates" / f"{run + 1:04d}.json"

    def state(self, run: int) -> Path:
        """Return the file of a run's unfinished state."""
        return self.path / "runs" / f"{run + 1:04d}.state"

    def log(self, name: str) -> Path:
        """Return the file of what a worker says."""
        return self.path / "runs" / f"{name}.log"

    def read(self) -> Sweep:
        """Return what is to be run. Raises: StateError where the file is missing or damaged."""
        try:
            return Sweep.model_validate_json(self.plan.read_bytes())
        except (OSError, ValidationError) as cause:
            raise StateError(
                f"sweep: {self.plan.name} in {self.path.name!r} is no plan of a sweep ({type(cause).__name__}). "
                "Choose another folder for --output."
            ) from None

    def write(self, sweep: Sweep) -> None:
        """Write the plan, or see that the one that lies here is the same. Raises: StateError where it is another."""
        if self.plan.exists():
            if self.read() != sweep:
                raise StateError(
                    f"sweep: the folder {self.path.name!r} holds another sweep: its grid, options, sample or number "
                    "differ. Repeat its configuration to go on with it, or choose another folder for --output."
                )
            return
        try:
            for part in ("certificates", "runs"):
                (self.path / part).mkdir(parents=True, exist_ok=True)
        except OSError as cause:
            raise StateError(f"sweep: --output is a folder that can be made, got: {cause.strerror}.") from None
        write_atomic(self.plan, (sweep.model_dump_json(indent=1) + "\n").encode())

    def lines(self) -> dict[int, Line]:
        """Return run from 0 -> its last line; what is torn or foreign is passed over."""
        found = {}
        text = self.index.read_text("utf-8", errors="replace") if self.index.exists() else ""
        for line in text.splitlines():
            try:
                entry = Line.model_validate_json(line)
            except ValidationError:
                continue
            found[entry.run - 1] = entry
        return found

    def append(self, line: Line) -> None:
        """Add a line, on a line of its own also where a kill left the last one torn."""
        with self.index.open("ab+") as file:
            file.seek(0, 2)
            torn = file.tell() > 0 and not _ends_a_line(self.index)
            file.write(b"\n" * torn + json.dumps(line.model_dump(mode="json")).encode() + b"\n")

    def finished(self, sweep: Sweep, run: int) -> Certificate | None:
        """Return the certificate of a run, or None. Raises: StateError where it is of another sweep."""
        path = self.certificate(run)
        if not path.exists():
            return None
        certificate = Certificate.load(path)
        if certificate.sweep != sweep.record(run):
            raise StateError(f"sweep: {path.name} in {self.path.name!r} is of another sweep. Move it away.")
        return certificate

    def result(self, sweep: Sweep, run: int, certificate: Certificate) -> Line:
        """Return the line of a certificate."""
        return Line(
            run=run + 1,
            options=sweep.grid.values_of(run),
            bound=certificate.stated_bound.value,
            errors=certificate.risk.errors,
            n=certificate.risk.n,
            bits=certificate.ledger.bits,
            core_digest=certificate.core_digest,
            file=str(self.certificate(run).relative_to(self.path)),
            seconds=round(sum(certificate.environment.seconds.values()), 3),
        )

    @contextmanager
    def locked(self, name: str, wait: bool) -> Iterator[Self]:
        """Hold the lock of a run, or of the sweep, while the program lives. Raises: StateError where it is held."""
        path = self.path / "runs" / f"{name}.lock"
        with path.open("a") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            except BlockingIOError:
                raise StateError(
                    f"sweep: the folder {self.path.name!r} is searched by another process. Wait for it, or stop it."
                ) from None
            yield self


def _ends_a_line(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(-1, 2)
        return file.read(1) == b"\n"
