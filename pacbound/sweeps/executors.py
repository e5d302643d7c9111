"""Where the runs of a sweep run: worker processes on this machine, or jobs that submitit hands to Slurm."""

import json
import os
import queue
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Literal, NamedTuple, Protocol

from ..errors import RequestError, first_line
from .folder import Folder
from .worker import run_one

Where = Literal["processes", "slurm", "local"]
POLL_SECONDS = 0.2


class Outcome(NamedTuple):
    """What came of a run, from 0: neither where it has a certificate. broken: the process ended without an answer."""

    run: int
    refusal: str | None = None
    broken: str | None = None


class Executor(Protocol):
    """What runs of a sweep need: to be started, waited for, and stopped, whereupon they can be resumed."""

    def start(self, run: int) -> None:
        """Start a run."""

    def wait(self, seconds: float) -> Outcome | None:
        """Return the next outcome; None where there is none within so many seconds."""

    def stop(self) -> None:
        """Stop what runs."""


class _Worker:
    """One worker process and what it is doing."""

    def __init__(self, folder: Folder, name: str, answers: "queue.Queue[tuple[_Worker, str | None]]") -> None:
        self.log = folder.log(name)
        self.run: int | None = None
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "pacbound.sweeps.worker", str(folder.path.resolve())],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True,
                env={**os.environ, "OMP_NUM_THREADS": "1"}, start_new_session=True,
            )  # fmt: skip
        self._answers = answers
        threading.Thread(target=self._listen, daemon=True).start()

    def ask(self, run: int) -> None:
        """Hand over a run."""
        self.run = run
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(f"{run}\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass  # its end is told by _listen

    def stop(self) -> None:
        """End the process, whatever it does."""
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None:
                stream.close()

    def _listen(self) -> None:
        assert self.process.stdout is not None
        try:
            for line in self.process.stdout:
                self._answers.put((self, line))
        except ValueError:
            return  # closed by stop()
        self._answers.put((self, None))


class Processes:
    """Worker processes on this machine, started when they are needed and used again; one thread each."""

    def __init__(self, folder: Folder) -> None:
        """Args: folder of the sweep."""
        self._folder = folder
        self._workers: list[_Worker] = []
        self._started = 0
        self._answers: queue.Queue[tuple[_Worker, str | None]] = queue.Queue()

    def start(self, run: int) -> None:
        """Hand a run to an idle worker, or to a new one."""
        idle = next((worker for worker in self._workers if worker.run is None), None)
        if idle is None:
            self._started += 1
            idle = _Worker(self._folder, f"worker-{self._started}", self._answers)
            self._workers.append(idle)
        idle.ask(run)

    def wait(self, seconds: float) -> Outcome | None:
        """Return the next outcome, also that of a worker that ended without an answer."""
        try:
            worker, line = self._answers.get(timeout=seconds)
        except queue.Empty:
            return None
        run, worker.run = worker.run, None
        if line is None:
            self._workers.remove(worker)
            worker.stop()
            if run is None:
                return None
            return Outcome(run, broken=f"its process ended with {worker.process.returncode}: {_last(worker.log)}")
        answer = json.loads(line)
        return Outcome(int(answer["run"]), refusal=answer["refusal"])

    def stop(self) -> None:
        """End all workers."""
        for worker in self._workers:
            worker.stop()
        self._workers.clear()


class Jobs:
    """Jobs of submitit: on Slurm, or, to try it out, on this machine. A job that was stopped is resumed as any run."""

    def __init__(self, folder: Folder, where: Literal["slurm", "local"], minutes: int) -> None:
        """Args: minutes: time limit of a job. Raises: RequestError where submitit is missing or does not start."""
        try:
            import submitit
        except ImportError:
            raise RequestError(
                "sweep: runs on Slurm need submitit, found none. Install pacbound[sweep], or leave --where out."
            ) from None
        self._folder = folder.path.resolve()
        self._jobs: dict[int, submitit.Job[str | None]] = {}
        try:
            self._executor = submitit.AutoExecutor(folder=self._folder / "runs" / "jobs", cluster=where)
        except RuntimeError as cause:  # of a cluster that is not there
            raise RequestError(f"sweep: --where {where} does not work here: {first_line(cause)}.") from None
        self._executor.update_parameters(timeout_min=minutes, name="pacbound", cpus_per_task=1)

    def start(self, run: int) -> None:
        """Submit a run."""
        self._jobs[run] = self._executor.submit(run_one, Path(self._folder), run)

    def wait(self, seconds: float) -> Outcome | None:
        """Return the outcome of a job that ended."""
        until = time.monotonic() + seconds
        while True:
            for run, job in self._jobs.items():
                if job.done():
                    del self._jobs[run]
                    error = job.exception()
                    if error is None:
                        return Outcome(run, refusal=job.result())
                    return Outcome(run, broken=f"its job ended: {(str(error).strip().splitlines() or ['?'])[-1][:200]}")
            if time.monotonic() >= until:
                return None
            time.sleep(POLL_SECONDS)

    def stop(self) -> None:
        """Cancel all jobs."""
        for job in self._jobs.values():
            job.cancel()
        self._jobs.clear()


def executor_of(folder: Folder, where: Where, minutes: int) -> Executor:
    """Return the executor of a name. Raises: RequestError where it is not there."""
    return Processes(folder) if where == "processes" else Jobs(folder, where, minutes)


def _last(log: Path) -> str:
    lines = log.read_text("utf-8", errors="replace").strip().splitlines()
    return lines[-1][:200] if lines else "it said nothing"
