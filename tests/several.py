"""Run a function in a process of its own, or in several that work together as torchrun would start them.

A server that has imported torch and the package forks each process anew, so that none of them has threads, and none
takes the seconds that importing takes.
"""

import contextlib
import gc
import multiprocessing
import os
import pickle
import signal
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from pacbound.distributed import together
from pacbound.networks import passes
from pacbound.training.settings import PosteriorSettings, posterior_settings

CONTEXT = multiprocessing.get_context("forkserver")
PRELOADED = ["tests.kept", "torch._dynamo", "pacbound.methods.table", "pacbound.verification.verification"]
PRELOADED += ["pacbound_cli.main", "typer.rich_utils", "tests.several", "tests.tiny"]
PRELOADED += ["sklearn.datasets", "pacbound.methods.plans", "pacbound.reports.show", "pacbound.sweeps.driver"]
CONTEXT.set_forkserver_preload(PRELOADED)
FEW_ALONE = 8  # inputs of a sample that are asked one by one, in place of 1,000
PATIENCE = 900.0  # seconds, of a busy machine


@dataclass(frozen=True)
class Ended:
    """What a process returned, None where it did not, how it ended, and what it said on standard output and error."""

    returned: object
    code: int
    out: str
    err: str


def several(size: int, act: Callable[..., object], *arguments: object, folder: Path, restarts: int = 0) -> list[Ended]:
    """Run act(*arguments) in so many processes, each in folder/RANK; `act` is a function of a module."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    begun = []
    for rank in range(size):
        environment = {
            "RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(size), "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": str(port), "TORCHELASTIC_MAX_RESTARTS": str(restarts),
        }  # fmt: skip
        begun.append(forked(act, *arguments, folder=folder / str(rank), environment=environment))
    return [one.end() for one in begun]


@dataclass(frozen=True)
class Begun:
    """A process at work in a folder."""

    process: BaseProcess
    answer: Connection
    folder: Path

    def kill(self, number: int = signal.SIGKILL) -> None:
        """Send it a signal."""
        assert self.process.pid is not None
        os.kill(self.process.pid, number)

    def end(self) -> Ended:
        """Wait until it ends."""
        returned = None
        with contextlib.suppress(EOFError):  # it ended without an answer
            returned = pickle.loads(self.answer.recv_bytes()) if self.answer.poll(PATIENCE) else None
        self.process.join(PATIENCE)
        if self.process.exitcode is None:
            self.process.kill()
            self.process.join()
        assert self.process.exitcode is not None
        out, err = (
            (self.folder / name).read_text() if (self.folder / name).exists() else "" for name in ("out", "err")
        )
        return Ended(returned, self.process.exitcode, out, err)


def forked(
    act: Callable[..., object], *arguments: object, folder: Path, environment: Mapping[str, str] | None = None
) -> Begun:
    """Start act(*arguments) in a folder, where its streams are the files out and err; `act` is one of a module."""
    folder.mkdir(parents=True, exist_ok=True)
    here, there = CONTEXT.Pipe()
    given = dict(environment or {})
    process = CONTEXT.Process(target=_run, args=(folder, given, there, act, arguments))
    process.start()
    there.close()
    return Begun(process, here, folder)


def brief(*arguments: Any) -> PosteriorSettings:
    """What the posterior encoder is asked for, but for the examples and moves that cost most of a second."""
    little = {"fisher_examples": 100, "refine_rounds": 1, "refine_trials": 6}
    return posterior_settings(*arguments).model_copy(update=little)


def _run(
    folder: Path, environment: dict[str, str], answer: Connection, act: Callable[..., object], arguments: Sequence
) -> None:
    gc.freeze()  # what the server has imported stays, see tests.kept
    gc.enable()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # the server, and a job in the background, ignore Ctrl-C
    passes.ALONE = FEW_ALONE
    os.environ.update(environment)
    os.chdir(folder)
    for number, name in ((1, "out"), (2, "err")):
        os.dup2(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
    sys.stdout, sys.stderr = open(1, "w", buffering=1), open(2, "w", buffering=1)  # noqa: SIM115
    answer.send_bytes(pickle.dumps(act(*arguments)))  # whole, where `send` would leave tensors in shared memory


def joined(act: Callable[..., object], *arguments: object) -> object:
    """act(*arguments) of processes that have joined."""
    with together():
        return act(*arguments)


def pacbound(*arguments: str) -> None:
    """`pacbound ARGUMENTS`."""
    from pacbound_cli.main import main

    sys.argv = ["pacbound", *arguments]
    main()


def command(*arguments: str) -> None:
    """`pacbound ARGUMENTS`, which joins them by itself; curvature and refinement are brief."""
    from pacbound.pipeline import encoding

    encoding.posterior_settings = brief
    pacbound(*arguments)
