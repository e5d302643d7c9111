"""A worker: runs of a sweep in a process of its own, with one thread: `python -m pacbound.sweeps.worker FOLDER`.

It reads the number of a run a line on standard input and answers each by one line of JSON on standard output. Where its
input ends, the process that started it is gone and it goes too, whatever it is doing: what it was doing is resumable.
"""

import json
import os
import queue
import shutil
import sys
import threading
from pathlib import Path

import torch

from ..certificate.schema import Certificate
from ..certificate.sweep import contradiction
from ..errors import DataError, PacboundError
from ..methods.table import METHODS
from ..methods.work import Work, methods_folder
from .folder import Folder, Sweep

ORPHANED = 75


def run_one(path: Path, run: int) -> str | None:
    """Run one request of the sweep in a folder, go on with it, or leave it where it is finished; its certificate is
    written whole or not at all.

    Args: run: from 0.
    Returns: why it was refused; None where there is a certificate.
    """
    folder = Folder(path)
    try:
        with folder.locked(f"{run + 1:04d}", wait=True):  # of a process that is about to go
            sweep = folder.read()
            if folder.finished(sweep, run) is None:
                _certify(sweep, folder, run).save(folder.certificate(run))
                folder.state(run).unlink(missing_ok=True)
                shutil.rmtree(methods_folder(folder.state(run)), ignore_errors=True)
    except PacboundError as refusal:
        return str(refusal)
    return None


def _certify(sweep: Sweep, folder: Folder, run: int) -> Certificate:
    request = sweep.request(run)
    work = Work(
        request.model, request.data, request.test, request.unlabelled, request, None, sweep.data_dir,
        folder.state(run), progress=False, sweep=sweep.record(run),
    )  # fmt: skip
    certificate = METHODS[request.method](work)
    split = certificate.hypothesis.base.split
    if (certificate.data.digest if split is None else split.digest) != sweep.sample:
        raise DataError("sweep: the sample changed since the sweep began. Certify a sample that stays as it is.")
    wrong = contradiction(sweep.record(run), certificate.hypothesis)
    if wrong is not None:
        raise DataError(f"sweep: {wrong}. Leave the files of a sweep as they are until it ends.")
    return certificate


def main(path: Path) -> None:
    """Answer runs until the input ends."""
    torch.set_num_threads(1)
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a user's own code prints is no answer
    asked: queue.Queue[int] = queue.Queue()
    threading.Thread(target=_listen, args=(asked,), daemon=True).start()
    while True:
        run = asked.get()
        answers.write(json.dumps({"run": run, "refusal": run_one(path, run)}) + "\n")
        answers.flush()


def _listen(asked: "queue.Queue[int]") -> None:
    for line in sys.stdin:
        asked.put(int(line))
    os._exit(ORPHANED)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
