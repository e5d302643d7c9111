"""The same bits in another process, after an interruption anywhere, and after a process was killed."""

import json
import os
import signal
from pathlib import Path

import pytest
import torch
from pacbound_cli.main import app
from torch import Tensor
from typer.testing import CliRunner

from pacbound.picking.selection import END, Selection
from pacbound.pipeline.picked import select
from pacbound.training.state import Checkpoint
from tests.picking.task import PLAIN, network, noisy, normalised, recipe
from tests.picking.task import select as rounds
from tests.several import forked, pacbound


def last_rounds(threads: int) -> tuple[int, list[tuple[list[int], bytes]]]:
    """How this process mixes strings, and what both orders end with."""
    torch.set_num_threads(threads)
    ends = [rounds(noisy(40), normalised(), order=order)[-1] for order in ("priority", "worst")]
    return hash("picks"), [(end.picked.tolist(), end.network) for end in ends]


@pytest.mark.one_worker
def test_another_process_with_other_threads_makes_the_same_bits(tmp_path: Path) -> None:
    threads = torch.get_num_threads()
    mixed, here = last_rounds(threads)
    ended = forked(last_rounds, threads + 1, folder=tmp_path).end()
    assert ended.code == 0, ended.err
    differently, there = ended.returned  # type: ignore[misc]
    assert mixed != differently or "PYTHONHASHSEED" in os.environ
    assert there == here


class Killed(Checkpoint):
    """Saves every time, and is killed after so many."""

    left = 0

    def save(self, tensors: dict[str, Tensor], force: bool = False) -> None:
        super().save(tensors, force=True)
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt


@pytest.mark.parametrize("order", ["priority", "worst"])
def test_a_run_killed_after_any_round_ends_with_the_same_rounds_and_networks(order: str, tmp_path: Path) -> None:
    def selection() -> Selection:
        return Selection(network(), noisy(80, 0.05), PLAIN, recipe(order=order))

    whole = select(selection(), END, Checkpoint(None, "key"), progress=False)
    assert len(whole.rounds) > 5
    for number in range(1, len(whole.rounds)):
        state = tmp_path / f"{number}.state"
        first = Killed(state, "key")
        first.left = number
        with pytest.raises(KeyboardInterrupt):
            select(selection(), END, first, progress=False)
        again = select(selection(), END, Checkpoint(state, "key"), progress=False)
        assert again.rounds == whole.rounds
        assert [one.picked.tolist() for one in again.best] == [one.picked.tolist() for one in whole.best]
        assert [one.network for one in again.best] == [one.network for one in whole.best]


ARGUMENTS = [
    "certify", "--method", "picks", "--model", "h8-R-L", "--pick-steps", "25", "--pick-epochs", "0", "--max-picks",
    "31", "--augmentation", "none",
]  # fmt: skip


def killed_after_one_round(*arguments: str) -> None:
    """`pacbound ARGUMENTS` in a process that is killed as soon as a state is written."""
    plain = Checkpoint.save

    def save(checkpoint: Checkpoint, tensors: dict[str, Tensor], force: bool = False) -> None:
        plain(checkpoint, tensors, force=True)
        os.kill(os.getpid(), signal.SIGKILL)

    Checkpoint.save = save  # type: ignore[method-assign]
    pacbound(*arguments)


def certificate(path: Path) -> tuple[dict[str, object], bytes]:
    """What a run says, but for times and digest; and the network that it made."""
    document = json.loads(path.read_text())
    file = path.parent / f"{document['hypothesis']['quantizer']['sha256'][:16]}.safetensors"
    return {key: value for key, value in document.items() if key not in ("environment", "digest")}, file.read_bytes()


@pytest.mark.one_worker
def test_kill_9_and_resume_end_with_the_same_certificate(tmp_path: Path) -> None:
    output, state = tmp_path / "killed.json", tmp_path / "killed.json.state"
    ended = forked(killed_after_one_round, *ARGUMENTS, "--output", str(output), folder=tmp_path).end()
    assert ended.code == -signal.SIGKILL, ended.err
    assert (state.exists(), output.exists()) == (True, False)
    again = CliRunner().invoke(app, [*ARGUMENTS, "--output", str(output), "--resume"])
    assert again.exit_code == 0, again.output
    assert not state.exists()
    straight = CliRunner().invoke(app, [*ARGUMENTS, "--output", str(tmp_path / "straight.json")])
    assert straight.exit_code == 0, straight.output
    assert certificate(output) == certificate(tmp_path / "straight.json")
