"""Killed at any moment, a run leaves whole files or none, and ends with --resume as if nothing had happened."""

import os
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import pacbound as pb
from pacbound import stages
from pacbound.methods.table import certify
from pacbound.pipeline import encoding
from pacbound.training import posterior, weights
from pacbound.training.settings import PosteriorSettings
from pacbound.training.state import Checkpoint
from tests.several import brief, forked
from tests.tiny import clouds, network, save_clouds

REQUESTS = {
    "posterior": pb.Request(d=16, epochs=3, batch=40),
    "draw": pb.Request(posterior="draw", earlier_draws=0, d=32, epochs=5, batch=40),
    "two seeds": pb.Request(d=16, epochs=2, batch=40, encoder_seeds=2),
    "plain": pb.Request(encoder="plain", d=12, epochs=3, batch=40, rate=0.3),
    "codebook": pb.Request(encoder="codebook", d=12, epochs=3, batch=40, rate=0.1, levels=3, code=("adaptive",)),
    "weights": pb.Request(encoder="weights", epochs=3, batch=40, rate=0.2, beta=1.0),
}


def run(request: pb.Request, state: Path | None) -> pb.Certificate:
    return certify(network(), clouds(240), request=request, state=state, progress=False)


def three_blocks(*arguments: Any) -> PosteriorSettings:
    """A posterior that is rounded in two parts and the rest, but for a draw, so that it trains in 5 stages, and no
    refinement, which starts from the last state."""
    settings = brief(*arguments)
    return settings.model_copy(update={"blocks": min(3, settings.blocks), "refine_rounds": 0})


def tensors_in(folder: Path) -> dict[str, torch.Tensor]:
    """What the states in a folder hold: all bits of it, of which a message has few."""
    states = {path.name: torch.load(path, weights_only=True)["tensors"] for path in folder.rglob("*.state")}
    return {f"{state}: {name}": value for state, tensors in states.items() for name, value in tensors.items()}


@dataclass(frozen=True)
class Saving:
    """A run without a state, its steps of Adam, and the folders that each save of the same with one left: those of a
    run that died there."""

    request: pb.Request
    whole: pb.Certificate
    steps: float
    left: list[Path]
    _resumed: dict[int, tuple[pb.Certificate, Path]] = field(default_factory=dict)

    def resumed(self, at: int) -> tuple[pb.Certificate, Path]:
        """The run that goes on after a save, from 1, once for all tests, and its folder."""
        if at not in self._resumed:
            folder = shutil.copytree(self.left[at - 1], self.left[at - 1].with_name(f"resumed-{at}"))
            self._resumed[at] = run(self.request, folder / "a.state"), folder
        return self._resumed[at]


@pytest.fixture(scope="module", params=REQUESTS)
def saving(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Saving]:
    """Every offer to save is taken, and time passes in the steps of Adam alone, a second in each."""
    asked = REQUESTS[request.param]
    folder = tmp_path_factory.mktemp("saving") / "whole"
    folder.mkdir()
    now, left, save, step = [0.0], [], Checkpoint.save, torch.optim.Adam.step

    def copied(self: Checkpoint, tensors: dict[str, torch.Tensor], force: bool = False) -> None:
        save(self, tensors, force=True)
        left.append(shutil.copytree(folder, folder.with_name(str(len(left) + 1))))

    def counted(self: torch.optim.Adam) -> None:
        step(self)
        now[0] += 1

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(encoding, "posterior_settings", three_blocks)
        patch.setattr(posterior, "ROUND_STEPS", 1)  # whole passes over the sample, after each of which it may save
        patch.setattr(weights, "SETTINGS", three_blocks(40, None))
        patch.setattr(stages, "clock", lambda: now[0])
        patch.setattr(torch.optim.Adam, "step", counted)
        whole, steps = run(asked, None), now[0]
        with pytest.MonkeyPatch.context() as saves:
            saves.setattr(Checkpoint, "save", copied)
            run(asked, folder / "a.state")
        yield Saving(asked, whole, steps, left)


def test_a_run_that_dies_after_any_save_resumes_to_the_same_core(saving: Saving) -> None:
    assert saving.whole.hypothesis.projector is not None
    total, ended = len(saving.left), tensors_in(saving.left[-1])
    assert total >= 2
    for at in sorted({1, total // 3, (2 * total) // 3, total - 1, total} - {0}):
        certificate, folder = saving.resumed(at)
        assert certificate.core_digest == saving.whole.core_digest, at
        found = tensors_in(folder)
        assert found.keys() == ended.keys()
        assert all(torch.equal(value, ended[name]) for name, value in found.items()), at


def test_a_resumed_run_states_the_seconds_of_all_its_processes(saving: Saving) -> None:
    assert saving.whole.environment.seconds["training"] == saving.steps > 10
    total = len(saving.left)
    for at in sorted({1, total // 3, (2 * total) // 3, total} - {0}):
        assert saving.resumed(at)[0].environment.seconds["training"] == saving.steps, at


@pytest.mark.parametrize("saving", ["posterior"], indirect=True)
def test_a_state_that_knows_no_seconds_goes_on_as_ever(saving: Saving, tmp_path: Path) -> None:
    content = torch.load(saving.left[len(saving.left) // 2] / "a.state", weights_only=True)
    assert sum(content.pop("seconds").values()) > 0
    torch.save(content, tmp_path / "a.state")
    assert run(saving.request, tmp_path / "a.state").core_digest == saving.whole.core_digest


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
