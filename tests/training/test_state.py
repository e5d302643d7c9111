"""Resumable state: whole at every moment, and of one request only."""

import os
from pathlib import Path

import pytest
import torch

from pacbound.errors import StateError
from pacbound.training import state
from pacbound.training.state import Checkpoint

TENSORS = {"now/w": torch.tensor([1.5, -2.0]), "epochs": torch.tensor(3)}


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "run.state"
    assert Checkpoint(path, "key").load() is None
    Checkpoint(path, "key").save(TENSORS)
    loaded = Checkpoint(path, "key").load()
    assert loaded is not None
    assert {name: value.tolist() for name, value in loaded.items()} == {"now/w": [1.5, -2.0], "epochs": 3}
    assert os.listdir(path.parent) == [path.name]


def test_no_path_keeps_nothing() -> None:
    checkpoint = Checkpoint(None, "key")
    checkpoint.save(TENSORS, force=True)
    assert checkpoint.load() is None
    assert checkpoint.note("epochs", lambda: [4]) == [4]


def test_a_state_of_another_request_is_refused_with_a_remedy(tmp_path: Path) -> None:
    Checkpoint(tmp_path / "run.state", "one").save(TENSORS)
    with pytest.raises(StateError, match=r"run\.state belongs to another request.*Repeat the options"):
        Checkpoint(tmp_path / "run.state", "two").load()
    with pytest.raises(StateError, match="another request"):
        Checkpoint(tmp_path / "run.state", "two").note("epochs", lambda: [1])


@pytest.mark.parametrize("content", [b"", b"not a state", b"PK\x03\x04" + b"\0" * 50])
def test_a_damaged_state_is_refused_with_a_remedy(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "run.state").write_bytes(content)
    with pytest.raises(StateError, match=r"run\.state is not a pacbound state.*Delete it"):
        Checkpoint(tmp_path / "run.state", "key").load()


@pytest.mark.parametrize("content", [[1, 2], {"other": 1}, {"key": "key"}, {"key": "key", "tensors": 3, "notes": {}}])
def test_a_file_of_torch_that_is_no_state_is_refused(tmp_path: Path, content: object) -> None:
    torch.save(content, tmp_path / "run.state")
    with pytest.raises(StateError, match="is not a pacbound state"):
        Checkpoint(tmp_path / "run.state", "key").load()


def test_a_truncated_state_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "run.state"
    Checkpoint(path, "key").save(TENSORS)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(StateError, match="is not a pacbound state"):
        Checkpoint(path, "key").load()


class Bomb:
    """Unpickled, it would write a file."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, ("exploded",)


def test_a_state_is_never_unpickled_into_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"key": "key", "tensors": Bomb(), "notes": {}}, tmp_path / "run.state")
    with pytest.raises(StateError, match="is not a pacbound state"):
        Checkpoint(tmp_path / "run.state", "key").load()
    assert not (tmp_path / "exploded").exists()


def test_a_note_is_made_once_and_found_again_after_an_interruption(tmp_path: Path) -> None:
    made: list[int] = []

    def plan() -> list[int]:
        made.append(1)
        return [7, 2]

    first = Checkpoint(tmp_path / "run.state", "key")
    assert first.note("epochs", plan) == [7, 2]
    assert first.note("epochs", plan) == [7, 2]
    first.save(TENSORS)
    again = Checkpoint(tmp_path / "run.state", "key")
    assert again.note("epochs", plan) == [7, 2]
    assert made == [1]
    again.save(TENSORS, force=True)
    assert Checkpoint(tmp_path / "run.state", "key").note("epochs", plan) == [7, 2]
    assert made == [1]


def test_saves_are_spaced_out_unless_forced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(state.time, "monotonic", lambda: now[0])
    checkpoint = Checkpoint(tmp_path / "run.state", "key")

    def epochs_on_disk_after(epochs: int, force: bool = False) -> int:
        checkpoint.save({"epochs": torch.tensor(epochs)}, force=force)
        loaded = Checkpoint(tmp_path / "run.state", "key").load()
        assert loaded is not None
        return int(loaded["epochs"])

    assert epochs_on_disk_after(1) == 1
    now[0] += 1.9
    assert epochs_on_disk_after(2) == 1
    assert epochs_on_disk_after(3, force=True) == 3
    now[0] += 2.1
    assert epochs_on_disk_after(4) == 4


def test_a_save_that_dies_half_way_leaves_the_old_state_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint = Checkpoint(tmp_path / "run.state", "key")
    checkpoint.save(TENSORS)

    def dies(content: object, path: Path) -> None:
        path.write_bytes(b"half of it")
        raise KeyboardInterrupt

    monkeypatch.setattr(state.torch, "save", dies)
    with pytest.raises(KeyboardInterrupt):
        checkpoint.save({"epochs": torch.tensor(9)}, force=True)
    monkeypatch.undo()
    loaded = Checkpoint(tmp_path / "run.state", "key").load()
    assert loaded is not None
    assert int(loaded["epochs"]) == 3


def test_a_place_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StateError, match=r"run\.state is written into a folder where files can be made"):
        Checkpoint(tmp_path / "file" / "run.state", "key").save(TENSORS)
