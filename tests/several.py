"""Run a function in several processes that work together, as torchrun would start them, without its seconds.

A server that has imported torch and the package forks each process anew, so that none of them has threads.
"""

import contextlib
import multiprocessing
import os
import pickle
import socket
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from pacbound.distributed import together
from pacbound.training.settings import PosteriorSettings, posterior_settings

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["torch._dynamo", "pacbound.methods.table", "tests.several", "tests.tiny"])
PATIENCE = 120.0  # seconds, of a busy machine


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
        own = folder / str(rank)
        own.mkdir(parents=True, exist_ok=True)
        here, there = CONTEXT.Pipe()
        environment = {
            "RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(size), "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": str(port), "TORCHELASTIC_MAX_RESTARTS": str(restarts),
        }  # fmt: skip
        process = CONTEXT.Process(target=_run, args=(own, environment, there, act, arguments))
        process.start()
        there.close()
        begun.append((process, here, own))
    ended = []
    for process, here, own in begun:
        returned = None
        with contextlib.suppress(EOFError):  # it ended without an answer
            returned = pickle.loads(here.recv_bytes()) if here.poll(PATIENCE) else None
        process.join(PATIENCE)
        if process.exitcode is None:
            process.kill()
            process.join()
        assert process.exitcode is not None
        ended.append(Ended(returned, process.exitcode, (own / "out").read_text(), (own / "err").read_text()))
    return ended


def few_examples(*arguments: Any) -> PosteriorSettings:
    """What the posterior encoder is asked for, but for the examples that cost most of a second."""
    return posterior_settings(*arguments).model_copy(update={"fisher_examples": 300})


def _run(
    folder: Path, environment: dict[str, str], answer: Connection, act: Callable[..., object], arguments: Sequence
) -> None:
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


def command(*arguments: str) -> None:
    """`pacbound ARGUMENTS`, which joins them by itself; the curvature is of few examples."""
    from pacbound_cli.main import main

    from pacbound.pipeline import encoding

    encoding.posterior_settings = few_examples
    sys.argv = ["pacbound", *arguments]
    main()
