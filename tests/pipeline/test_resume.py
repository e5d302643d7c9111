"""Killed at any moment, a run leaves whole files or none, and ends with --resume as if nothing had happened."""

import os
import shutil
import signal
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import pacbound as pb
from pacbound import stages
from pacbound.methods.table import certify
from pacbound.pipeline import encoding
from pacbound.training.settings import PosteriorSettings, posterior_settings
from pacbound.training.state import Checkpoint
from tests.several import brief, forked
from tests.tiny import clouds, network, save_clouds

REQUESTS = {
    "posterior": pb.Request(d=16, epochs=12, batch=60),
    "draw": pb.Request(posterior="draw", earlier_draws=0, d=16, epochs=6, batch=60),
    "two seeds": pb.Request(d=16, epochs=4, batch=60, encoder_seeds=2),
    "plain": pb.Request(encoder="plain", d=12, epochs=6, batch=60, rate=0.1),
    "codebook": pb.Request(encoder="codebook", d=12, epochs=6, batch=60, rate=0.1, levels=3, code=("adaptive",)),
    "weights": pb.Request(encoder="weights", epochs=4, batch=60, rate=0.05, beta=0.5),
}


def run(request: pb.Request, state: Path | None) -> pb.Certificate:
    return certify(network(), clouds(360), request=request, state=state, progress=False)


def few_examples(*arguments: Any) -> PosteriorSettings:
    """The default but for them, with every round of refinement, by which a lost beta shows in the message."""
    return posterior_settings(*arguments).model_copy(update={"fisher_examples": 300, "refine_rounds": 8})


SAVE = Checkpoint.save


def keep_what_every_save_leaves(folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Take every offer to save, and copy the folder after each: what a run that died there would have left."""
    left: list[Path] = []

    def copied(self: Checkpoint, tensors: dict[str, torch.Tensor], force: bool = False) -> None:
        SAVE(self, tensors, force=True)
        left.append(shutil.copytree(folder, folder.with_name(str(len(left) + 1))))

    monkeypatch.setattr(Checkpoint, "save", copied)
    return left


@pytest.mark.parametrize("encoder", REQUESTS)
def test_a_run_that_dies_after_any_save_resumes_to_the_same_core(
    encoder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encoding, "posterior_settings", brief if encoder == "two seeds" else few_examples)
    (tmp_path / "whole").mkdir()
    left = keep_what_every_save_leaves(tmp_path / "whole", monkeypatch)
    whole = run(REQUESTS[encoder], tmp_path / "whole" / "a.state")
    monkeypatch.setattr(Checkpoint, "save", SAVE)
    assert whole.hypothesis.projector is not None
    total = len(left)
    assert total >= 2
    for at in sorted({1, total // 3, (2 * total) // 3, total - 1, total} - {0}):
        assert run(REQUESTS[encoder], left[at - 1] / "a.state").core_digest == whole.core_digest, at


class Killed(BaseException):
    """What ends a run where nothing can catch it."""


def resumed_after(request: pb.Request, state: Path, saves: int, monkeypatch: pytest.MonkeyPatch) -> pb.Certificate:
    """Run with a state that is written at every offer, end after so many of these, and go on."""
    left = iter(range(saves - 1, -1, -1))

    def save(self: Checkpoint, tensors: dict[str, torch.Tensor], force: bool = False) -> None:
        SAVE(self, tensors, force=True)
        if next(left) == 0:
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(Checkpoint, "save", save)
        with pytest.raises(Killed):
            run(request, state)
    return run(request, state)


@pytest.fixture
def second_a_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let time pass in the steps of Adam alone, a second in each."""
    now, step = [0.0], torch.optim.Adam.step

    def counted(self: torch.optim.Adam) -> None:
        step(self)
        now[0] += 1

    monkeypatch.setattr(stages, "clock", lambda: now[0])
    monkeypatch.setattr(torch.optim.Adam, "step", counted)


@pytest.mark.usefixtures("second_a_step")
@pytest.mark.parametrize("encoder", REQUESTS)
def test_a_resumed_run_states_the_seconds_of_all_its_processes(
    encoder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encoding, "posterior_settings", brief if encoder == "two seeds" else few_examples)
    whole = run(REQUESTS[encoder], None)
    (tmp_path / "whole").mkdir()
    left = keep_what_every_save_leaves(tmp_path / "whole", monkeypatch)
    run(REQUESTS[encoder], tmp_path / "whole" / "a.state")
    monkeypatch.setattr(Checkpoint, "save", SAVE)
    for at in (1, len(left) // 2, len(left)):
        made = resumed_after(REQUESTS[encoder], tmp_path / f"{at}.state", at, monkeypatch)
        assert made.environment.seconds["training"] == whole.environment.seconds["training"] > 10, at


def test_a_state_that_knows_no_seconds_goes_on_as_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoding, "posterior_settings", few_examples)
    (tmp_path / "whole").mkdir()
    left = keep_what_every_save_leaves(tmp_path / "whole", monkeypatch)
    whole = run(REQUESTS["posterior"], tmp_path / "whole" / "a.state")
    monkeypatch.setattr(Checkpoint, "save", SAVE)
    state = left[len(left) // 2] / "a.state"
    content = torch.load(state, weights_only=True)
    assert sum(content.pop("seconds").values()) > 0
    torch.save(content, state)
    assert run(REQUESTS["posterior"], state).core_digest == whole.core_digest


def fork_certify(output: str) -> int:
    """Start `pacbound certify --resume` in a fork that has everything imported; return its process id."""
    child = os.fork()
    if child:
        return child
    from pacbound_cli.main import main

    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    encoding.posterior_settings = brief
    sys.argv = ["pacbound", "certify", "--data", "clouds.npz", "--d", "16", "--epochs", "10", "--batch", "60"]
    sys.argv += ["--output", output, "--resume"]
    try:
        main()
    except SystemExit as end:
        os._exit(int(end.code or 0))
    os._exit(0)


def check_files() -> float:
    """Every certificate loads and carries its own digest; a state is whole. Returns the seconds that it has kept."""
    kept = 0.0
    for path in Path.cwd().glob("*.json"):
        certificate = pb.Certificate.load(path)
        assert certificate.expected_digest() == certificate.digest
    for path in Path.cwd().glob("*.state"):
        content = torch.load(path, weights_only=True)
        assert set(content) == {"key", "tensors", "notes", "seconds"}
        kept = sum(content["seconds"].values())
    return kept


def kill_at_random_times(kills: int, seed: int) -> None:
    """Run once in peace, then kill at moments spread over such a run, then finish; in a process of its own."""
    torch.set_num_threads(1)  # nothing may have run in parallel before a fork
    started = time.monotonic()
    assert os.waitpid(fork_certify("whole.json"), 0)[1] == 0
    duration = time.monotonic() - started
    killed, kept = 0, 0.0
    for fraction in np.random.default_rng(seed).uniform(0, 0.9, kills):
        child = fork_certify("killed.json")
        time.sleep(fraction * duration)
        os.kill(child, signal.SIGKILL)
        killed += os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
        if Path("killed.json").exists():  # what was left took less time than that, and no state is left
            break
        before, kept = kept, check_files()
        assert kept >= before
    if not Path("killed.json").exists():
        assert os.waitpid(fork_certify("killed.json"), 0)[1] == 0
    check_files()
    assert killed > 0
    assert list(Path.cwd().glob("*.state")) == []
    whole, resumed = (pb.Certificate.load(name) for name in ("whole.json", "killed.json"))
    assert resumed.core_digest == whole.core_digest
    assert resumed.hypothesis.projector is not None
    assert sum(resumed.environment.seconds.values()) > kept


@pytest.mark.one_worker
@pytest.mark.parametrize("kills", [3, pytest.param(20, marks=pytest.mark.slow)])
def test_kill_9_at_random_times_loses_nothing_but_time(kills: int, tmp_path: Path) -> None:
    save_clouds(tmp_path, 600)
    ended = forked(kill_at_random_times, kills, kills, folder=tmp_path, environment={"OMP_NUM_THREADS": "1"}).end()
    assert ended.code == 0, ended.err
