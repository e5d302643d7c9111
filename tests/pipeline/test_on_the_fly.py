"""Inputs that are larger as a network reads them than memory is meant to hold are made batch by batch, not at once."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import pacbound as pb
from pacbound.data import preprocess
from pacbound.data.preprocess import Treated, preprocessed, treated
from pacbound.methods.plain_training import train
from pacbound.specs.preprocess import PreprocessSpec
from tests.tiny import quick

N, SIDE = 60, 4
RESIZED = PreprocessSpec(name="photo", resize=8)


class Counting(torch.Tensor):
    """Raw pixels that keep how many rows were asked for at once."""

    asked: list[int] = []  # noqa: RUF012

    def __getitem__(self, rows: object) -> torch.Tensor:
        found = torch.Tensor.__getitem__(self.as_subclass(torch.Tensor), rows)
        Counting.asked.append(len(found) if found.ndim == self.ndim else 1)
        return found


def pixels(n: int = N) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (n, 1, SIDE, SIDE), generator=generator, dtype=torch.uint8)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preprocess, "WHOLE_BYTES", 100)


def test_what_is_made_batch_by_batch_is_what_would_be_made_at_once(small: None) -> None:
    x = pixels()
    for spec in (PreprocessSpec(name="photo"), RESIZED):
        lazy, whole = treated(x, spec), preprocessed(x, spec)
        rows = torch.tensor([5, 1, 59])
        assert isinstance(lazy, Treated)
        assert len(lazy) == N
        assert torch.equal(lazy[rows], whole[rows])
        assert torch.equal(lazy[:7], whole[:7])
        assert torch.equal(lazy.subset(rows)[:], whole[rows])
        assert torch.equal(torch.cat(list(lazy.split(16))), whole)


def test_what_needs_no_work_or_little_room_is_no_copy_and_whole() -> None:
    x = torch.rand(50, 6)
    assert treated(x, PreprocessSpec()) is x
    assert isinstance(treated(pixels(), RESIZED), torch.Tensor)


def test_no_more_rows_are_asked_for_at_once_than_a_batch_has(small: None) -> None:
    raw = pixels().as_subclass(Counting)
    lazy = treated(raw, RESIZED)
    Counting.asked.clear()
    for part in lazy.split(16):
        assert len(part) <= 16
    lazy[torch.arange(30)]
    assert max(Counting.asked) == 30


def pooled() -> nn.Sequential:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(72, 3))


@pytest.mark.usefixtures("brief_start")
def test_a_certificate_is_the_same_either_way(monkeypatch: pytest.MonkeyPatch) -> None:
    sample = (pixels(), torch.arange(N) % 3)
    asked = quick(preprocess="photo@8", d=4, epochs=3, batch=20, prior_share=0.5)
    one = pb.certify(pooled(), sample, request=asked, progress=False)
    seen: list[int] = []
    make = preprocess.preprocessed

    def counted(x: torch.Tensor, spec: PreprocessSpec) -> torch.Tensor:
        seen.append(len(x))
        return make(x, spec)

    monkeypatch.setattr(preprocess, "WHOLE_BYTES", 100)
    monkeypatch.setattr(preprocess, "preprocessed", counted)
    other = pb.certify(pooled(), sample, request=asked, progress=False)
    assert one.core_digest == other.core_digest
    assert 0 < max(seen) < N / 2  # of what training asks


def test_plain_training_asks_for_batches(small: None, tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=pixels().numpy(), y=np.arange(N) % 3)
    found = train(pooled_for_photos(), str(tmp_path / "a.npz"), tmp_path / "w.safetensors", epochs=1, batch=20)
    assert found.n == N


def pooled_for_photos() -> nn.Sequential:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(nn.Flatten(), nn.Linear(SIDE * SIDE, 3))
