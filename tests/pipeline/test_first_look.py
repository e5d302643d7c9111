"""The first count: what is said of a checkpoint before the work, and that nothing follows from it."""

import logging
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import pacbound as pb
from pacbound.data.examples import Examples
from pacbound.pipeline.first_look import EXAMPLES, first_look
from pacbound.specs.preprocess import PREPROCESS, PreprocessSpec
from tests.logged import Logged
from tests.methods.task import N, original
from tests.tiny import clouds, network, quick

RAW = PreprocessSpec(name="none")


def answering(classes: Tensor) -> nn.Module:
    """Class of an example: what `classes` (256,) holds at its first pixel."""

    class Fixed(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return nn.functional.one_hot(classes[x[:, 0].long()], 10).float()

    return Fixed()


def pixels(n: int) -> Examples:
    generator = torch.Generator().manual_seed(0)
    y = torch.randint(0, 10, (n,), generator=generator)
    return Examples("pixels", y[:, None].to(torch.uint8), y, classes=10)


def test_a_network_that_does_well_is_counted_and_not_doubted(logged: Logged) -> None:
    wrong = torch.arange(10)
    wrong[3] = 4  # every 3 is answered by 4
    sample = pixels(500)
    with logged.at_level("INFO", "pacbound"):
        notes = first_look(answering(wrong), sample, RAW)
    share = 100 * int((sample.y == 3).sum()) / 500
    assert len(notes) == 1
    assert f"errs on {share:.2f} % of 500 examples" in notes[0]
    assert [record.levelno for record in logged.records] == [logging.INFO]


def test_at_most_two_thousand_random_examples_are_looked_at_and_always_the_same() -> None:
    seen: list[Tensor] = []

    def network(x: Tensor) -> Tensor:
        seen.append(x[:, 0])
        return torch.eye(10)[x[:, 0].long()]

    x = torch.arange(5000) % 10
    sample = Examples("ordered", x[:, None].float(), x, classes=10)
    first_look(network, sample, RAW)
    before = torch.cat(seen)
    seen.clear()
    torch.manual_seed(7)
    first_look(network, sample, RAW)
    assert torch.equal(torch.cat(seen), before)
    assert len(before) - 3 == EXAMPLES == 2000  # one and two are asked about first, to size the batches
    assert 100 < int((before == 3).sum()) < 300


def test_one_that_guesses_is_doubted(logged: Logged) -> None:
    notes = first_look(answering(torch.arange(1, 11) % 10), pixels(300), RAW)
    assert "errs on 100.00 % of 300" in notes[0]
    assert "little better than guessing" in notes[1]
    assert "--preprocess" in notes[1]
    assert [record.levelno for record in logged.records if record.levelno > logging.INFO] == [logging.WARNING]


def test_the_constants_with_which_it_does_well_are_named() -> None:
    """A network made for standardised pixels, given bytes."""
    scale, (mean,), (std,) = PREPROCESS["digits"]

    class Scaled(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return -(((x * std + mean) * scale - torch.arange(10)) ** 2)

    sample = pixels(300)
    notes = first_look(Scaled(), sample, RAW)
    doing_well = first_look(Scaled(), sample, PreprocessSpec(name="digits"))
    assert len(doing_well) == 1, doing_well
    assert "without its preprocessing: with --preprocess digits it errs on 0.00 %" in notes[1]


def test_it_stands_in_the_certificate_and_changes_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, logged: Logged
) -> None:
    torch.save({"model": original().state_dict(), "ema": network().state_dict()}, tmp_path / "a.pt")
    asked = quick(checkpoint=str(tmp_path / "a.pt"), disjoint=True, key="model")
    with logged.at_level("INFO", "pacbound"):
        made = pb.certify(network(), clouds(N), request=asked, progress=False)
    notes = made.environment.notes or ()
    assert [note[:24] for note in notes] == ["read under the key model", "as it is, the checkpoint"]
    assert all(any(note in message for message in logged.messages) for note in notes)
    monkeypatch.setattr("pacbound.methods.work.first_look", lambda *_: ())
    silent = pb.certify(network(), clouds(N), request=asked, progress=False)
    assert silent.core_digest == made.core_digest
    given = {"data": clouds(N), "model": network(), "checkpoint": tmp_path / "a.pt"}
    assert pb.verify(made, **given, key="model").stands
    assert pb.verify(made, **given).stands, "what is read without a key is the same state dict"
    assert pb.verify(made, **given, key="ema").failed == "network"


def test_a_new_head_is_not_counted(tmp_path: Path) -> None:
    torch.save(original().state_dict(), tmp_path / "a.pt")
    asked = quick(checkpoint=str(tmp_path / "a.pt"), disjoint=True, new_head=True)
    assert pb.certify(network(), clouds(N), request=asked, progress=False).environment.notes is None
