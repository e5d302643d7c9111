"""Runs in processes of their own: killed at random moments, a sweep ends with the certificates of one left alone."""

import dataclasses
import json
import os
import runpy
import signal
import subprocess
import sys
import time
import traceback
from pathlib import Path
from typing import IO, NoReturn

import numpy as np
import pytest
import torch

from pacbound.request.request import Request
from pacbound.sweeps import executors
from pacbound.sweeps.driver import begin
from pacbound.sweeps.executors import Processes
from pacbound.sweeps.folder import Folder
from pacbound.sweeps.plan import Search, make_plan
from tests.several import Begun, forked, pacbound
from tests.tiny import save_clouds

pytestmark = pytest.mark.one_worker

DIGITS = 'data = "digits"\nencoder = "plain"\nmodel = "h16-R-L"\nepochs = {epochs}\n[sweep]\nengine = "random"\n'
GRIDS = {
    4: "[grid]\nd = [16, 32]\nrate = [0.02, 0.05]\n",
    24: "[grid]\nd = [16, 32]\nrate = [0.02, 0.05]\nseed = [0, 1, 2]\nbeta = [1.0, 3.0]\n",
}


class Fork:
    """`python -m MODULE WORD` as subprocess.Popen would start it, but without the seconds that importing takes."""

    returncode: int | None = None

    def __init__(
        self, command: list[str], stdin: int | None = None, stdout: IO[str] | int | None = None,
        stderr: IO[bytes] | None = None, env: dict[str, str] | None = None, **_: object,
    ) -> None:  # fmt: skip
        python, *options, module, word = command
        assert (python, options[-1]) == (sys.executable, "-m")
        (asked, self._stdin), (self._stdout, answers) = os.pipe(), os.pipe()
        self.pid = os.fork()
        if not self.pid:
            os.setsid()
            out = answers if stdout is None or isinstance(stdout, int) else stdout.fileno()
            for number, end in enumerate((asked, out, 2 if stderr is None else stderr.fileno())):
                os.dup2(end, number)
            os.closerange(3, 1024)  # above all the end that tells a worker that its owner is gone
            os.environ.update(env or {})
            sys.argv, sys.stdin = [module, word], open(0)  # noqa: SIM115
            run_as_main(module)
        os.close(asked)
        os.close(answers)
        self.stdin, self.stdout = open(self._stdin, "w"), open(self._stdout)  # noqa: SIM115

    def send_signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def poll(self, options: int = os.WNOHANG) -> int | None:
        if self.returncode is None:
            ended, status = os.waitpid(self.pid, options)
            self.returncode = os.waitstatus_to_exitcode(status) if ended else None
        return self.returncode

    def wait(self) -> None:
        self.poll(0)


def run_as_main(module: str) -> NoReturn:
    """What `python -m` does, up to the end of the process."""
    code = 0
    try:
        runpy.run_module(module, run_name="__main__")
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def sweeping(*words: str) -> None:
    """`pacbound sweep WORDS`, whose workers and jobs are forks of it."""
    torch.set_num_threads(1)  # nothing may have run in parallel before a fork
    executors.subprocess.Popen = Fork  # type: ignore[assignment, misc]
    pacbound("sweep", *words)


def start(folder: Path, output: str, jobs: int, *words: str) -> Begun:
    words = ("s.toml", "--json", "--output", output, "--jobs", str(jobs), *words)
    return forked(sweeping, *words, folder=folder, environment={"OMP_NUM_THREADS": "1"})


def ends(folder: Path, output: str, jobs: int, *words: str) -> dict[str, object]:
    return said(start(folder, output, jobs, *words))


def said(begun: Begun) -> dict[str, object]:
    ended = begun.end()
    assert ended.code == 0, ended.err
    return dict(json.loads(ended.out))


def digests(folder: Path) -> dict[int, str | None]:
    return {run: line.core_digest for run, line in Folder(folder).lines().items()}


@pytest.mark.parametrize(("runs", "jobs"), [(4, 1), pytest.param(24, 2, marks=pytest.mark.slow)])
def test_killed_three_times_at_random_moments_it_ends_as_if_left_alone(runs: int, jobs: int, tmp_path: Path) -> None:
    (tmp_path / "s.toml").write_text(DIGITS.format(epochs=8) + GRIDS[runs])
    whole = ends(tmp_path, "whole", jobs)
    generator, unfinished = np.random.default_rng(runs), 0
    for lines in np.sort(generator.permutation(runs - 1)[:3]):  # how far it is, and a moment later, whatever it does
        begun = start(tmp_path, "killed", jobs)
        while begun.process.is_alive() and len(digests(tmp_path / "killed")) < lines:
            time.sleep(0.02)
        time.sleep(generator.uniform(0, 0.3))
        begun.kill()
        unfinished += begun.end().code == -signal.SIGKILL and len(digests(tmp_path / "killed")) < runs
    killed = ends(tmp_path, "killed", jobs)
    assert unfinished == 3
    assert len(digests(tmp_path / "whole")) == runs
    assert digests(tmp_path / "killed") == digests(tmp_path / "whole")
    assert (killed["finished"], killed["refused"], killed["broken"]) == (runs, {}, {})
    assert dict(killed["best"])["run"] == dict(whole["best"])["run"]  # type: ignore[call-overload]
    assert list((tmp_path / "killed" / "runs").glob("*.state")) == []


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Folder:
    """A plan of two runs of some seconds, written down."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    data = save_clouds(tmp_path)  # in place of the digits, for which a process imports scikit-learn
    request = Request(data=str(data), encoder="plain", model="h16-R-L", epochs=400)
    folder = Folder(tmp_path / "s")
    begin(make_plan(request, Search(), {"d": [16, 32]}), folder, None)
    return folder


def test_a_worker_goes_when_the_one_that_asked_it_is_gone_and_keeps_its_state(folder: Folder) -> None:
    program = [sys.executable, "-m", "pacbound.sweeps.worker", str(folder.path)]
    with subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as worker:
        assert worker.stdin is not None
        worker.stdin.write("0\n")
        worker.stdin.flush()
        until = time.monotonic() + 120
        while not folder.state(0).exists() and time.monotonic() < until:
            time.sleep(0.05)
        worker.stdin.close()  # as the kernel does when its owner is killed
        assert worker.wait(timeout=60) == 75
    assert folder.state(0).exists()
    assert not folder.certificate(0).exists()


def killed_and_another(path: Path) -> tuple[executors.Outcome | None, executors.Outcome | None, int]:
    """Start a run, kill its worker once there is a state, and start another: what is told, and who is left at the end.

    Workers are forks, so that this runs in a process of its own.
    """
    executors.subprocess.Popen = Fork  # type: ignore[assignment, misc]
    folder = Folder(path)
    executor = Processes(folder)
    try:
        executor.start(0)
        until = time.monotonic() + 120
        while not folder.state(0).exists() and time.monotonic() < until:
            time.sleep(0.05)
        (worker,) = executor._workers
        worker.process.kill()
        told = None
        while told is None and time.monotonic() < until:
            told = executor.wait(1.0)
        executor.start(1)
        return told, executor.wait(0.2), len(executor._workers)
    finally:
        executor.stop()
        assert executor._workers == []


def test_a_worker_that_is_killed_is_told_and_another_goes_on(folder: Folder) -> None:
    ended = forked(killed_and_another, folder.path, folder=folder.path.parent, environment={"OMP_NUM_THREADS": "1"})
    returned, code, _, err = dataclasses.astuple(ended.end())
    assert code == 0, err
    outcome, later, workers = returned
    assert (outcome.run, outcome.refusal) == (0, None)
    assert "ended with -9" in str(outcome.broken)
    assert (later, workers) == (None, 1)  # at work


def test_jobs_of_submitit_end_with_the_same_certificates(tmp_path: Path) -> None:
    pytest.importorskip("submitit", reason="runs on Slurm are optional")
    (tmp_path / "s.toml").write_text(DIGITS.format(epochs=4) + "[grid]\nd = [16, 32]\n")
    by_jobs, by_processes = ends(tmp_path, "jobs", 2, "--where", "local"), ends(tmp_path, "processes", 1)
    assert (by_jobs["finished"], by_jobs["broken"]) == (2, {})
    assert digests(tmp_path / "jobs") == digests(tmp_path / "processes")
    best, other = (dict(one["best"]) for one in (by_jobs, by_processes))  # type: ignore[call-overload]
    assert best["core_digest"] == other["core_digest"] is not None
