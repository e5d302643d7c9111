"""Checkpoints: every common layout is read, nothing in a file is run, and a wrong file says what is wrong."""

import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from pacbound.checkpoints import load_checkpoint, read_checkpoint
from pacbound.errors import ModelError
from tests.tiny import network


@pytest.mark.parametrize("wrap", ["plain", "state_dict", "module", "safetensors"])
def test_every_layout_gives_the_same_weights(tmp_path: Path, wrap: str) -> None:
    saved, own = network(seed=1), network(seed=2)
    state: dict[str, object] = dict(saved.state_dict())
    if wrap == "safetensors":
        path = tmp_path / "a.safetensors"
        save_file(saved.state_dict(), path)
    else:
        path = tmp_path / "a.pt"
        if wrap == "module":
            state = {f"module.{name}": value for name, value in state.items()}
        torch.save({"state_dict": state, "epoch": 3} if wrap != "plain" else state, path)
    load_checkpoint(own, path)
    assert all(torch.equal(a, b) for a, b in zip(own.parameters(), saved.parameters(), strict=True))


def test_a_prefix_that_only_some_names_share_stays(tmp_path: Path) -> None:
    torch.save({"module.a": torch.ones(1), "b": torch.ones(1)}, tmp_path / "a.pt")
    assert set(read_checkpoint(tmp_path / "a.pt")) == {"module.a", "b"}


class Bomb:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (Path.touch, (Path("exploded"),))  # type: ignore[return-value]


def test_nothing_in_a_file_is_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.pt").write_bytes(pickle.dumps({"w": Bomb()}, protocol=2))
    torch.save({"w": Bomb()}, tmp_path / "b.pt")
    for name in ("a.pt", "b.pt"):
        with pytest.raises(ModelError, match="plain tensors"):
            read_checkpoint(tmp_path / name)
    assert not (tmp_path / "exploded").exists()


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("none.pt", None, "found none"),
        ("text.pt", b"hello", "torch file"),
        ("empty.pt", b"", "torch file"),
        ("text.safetensors", b"hello", "no safetensors file"),
    ],
)
def test_what_is_no_checkpoint_is_refused(tmp_path: Path, name: str, content: bytes | None, reason: str) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(ModelError, match=reason):
        read_checkpoint(tmp_path / name)


def test_a_file_of_other_things_is_refused(tmp_path: Path) -> None:
    for number, content in enumerate(({"epoch": 3}, [torch.ones(1)], {})):
        torch.save(content, tmp_path / f"{number}.pt")
        with pytest.raises(ModelError, match="tensors by name"):
            read_checkpoint(tmp_path / f"{number}.pt")


def test_another_network_is_refused_by_name_and_by_shape(tmp_path: Path) -> None:
    torch.save(network().state_dict(), tmp_path / "a.pt")
    with pytest.raises(ModelError, match=r"missing: x.bias, x.weight; unknown: 0.bias, 0.weight"):
        load_checkpoint(nn.ModuleDict({"x": nn.Linear(6, 8)}), tmp_path / "a.pt")
    with pytest.raises(ModelError, match=r"0.weight has shape \(8, 5\)"):
        load_checkpoint(nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Linear(8, 3)), tmp_path / "a.pt")
