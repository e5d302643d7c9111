"""A trained part and all that is frozen before it: which part it is, what reaches it, and what a cut-off pass keeps."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from pacbound import stages
from pacbound.data.preprocess import Treated
from pacbound.errors import ModelError, StateError
from pacbound.networks.captured import BATCH, STAGE, Frozen, capture, frozen_before
from pacbound.networks.trained import train_only, training_mode
from pacbound.progress import tqdm
from pacbound.specs.specs import PreprocessSpec
from pacbound.stages import clocked, counted
from tests.tiny import CLASSES, FEATURES, clouds

PLAIN = PreprocessSpec()


class Backbone(nn.Module):
    """6 -> 8 -> 4 with a normalisation, and a head 4 -> 3; `after` is what happens to the logits."""

    def __init__(self, after: Callable[[Tensor], Tensor] = lambda z: z, uses: int = 1) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Linear(FEATURES, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 4), nn.Dropout(0.5)
        )
        self.head = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, CLASSES))
        self.after, self.uses, self.asked = after, uses, 0

    def forward(self, x: Tensor) -> Tensor:
        z = self.body(x)
        for _ in range(self.uses - 1):
            self.head(z)
        return self.after(self.head(z))


def names(module: nn.Module) -> set[str]:
    return {name for name, parameter in module.named_parameters() if parameter.requires_grad}


@pytest.mark.parametrize(
    ("word", "trained"),
    [
        ("head", {"head.2.weight", "head.2.bias"}),
        ("head.*", {"head.0.weight", "head.0.bias", "head.2.weight", "head.2.bias"}),
        ("*.3.bias", {"body.3.bias"}),
        ("head.?.weight", {"head.0.weight", "head.2.weight"}),
    ],
)
def test_a_word_names_what_is_trained_and_the_callers_network_keeps_its_own(word: str, trained: set[str]) -> None:
    net = Backbone()
    everything = names(net)
    assert names(train_only(net, word)) == trained
    assert names(net) == everything
    assert train_only(net, None) is net


def test_a_pattern_that_matches_nothing_is_told_the_nearest_names() -> None:
    with pytest.raises(ModelError, match=r"no name of 10 does. The nearest are head\.\d\.weight"):
        train_only(Backbone(), "haed.*.weight")


def test_frozen_parts_stay_in_evaluation_mode_while_others_train() -> None:
    net = train_only(Backbone(), "head.*")
    training_mode(net)
    assert not any(part.training for part in net.body.modules())
    assert net.head.training
    training_mode(whole := Backbone())
    assert all(part.training for part in whole.modules())


def cut(net: nn.Module, word: str) -> Frozen | str:
    return frozen_before(train_only(net, word), clouds(8)[0], PLAIN)


@pytest.mark.parametrize(("word", "path"), [("head", "head.2"), ("head.*", "head"), ("head.2.bias", "head.2")])
def test_the_smallest_part_that_ends_in_the_logits_is_found(word: str, path: str) -> None:
    found = cut(Backbone(), word)
    assert isinstance(found, Frozen)
    assert found.path == path


@pytest.mark.parametrize(
    ("net", "word", "why"),
    [
        (Backbone(), "*", "every parameter is trained"),
        (Backbone(), "body.*", "processed afterwards"),
        (Backbone(), "*.weight", "no module of their own"),
        (Backbone(after=torch.tanh), "head.*", "processed afterwards"),
        (Backbone(after=lambda z: z + (z.sum() == 0)), "head.*", ""),
        (Backbone(uses=2), "head.*", "used 2 times"),
    ],
)
def test_where_the_part_cannot_stand_for_the_whole_the_reason_is_said(net: nn.Module, word: str, why: str) -> None:
    found = cut(net, word)
    assert why in found if why else isinstance(found, Frozen)


def test_a_last_layer_of_zeros_hides_nothing_that_follows_it() -> None:
    net = Backbone(after=lambda z: z * 2)
    nn.init.zeros_(net.head[2].weight)
    nn.init.zeros_(net.head[2].bias)
    assert "processed afterwards" in cut(net, "head")


def test_captured_inputs_are_what_reaches_the_part_and_the_part_answers_as_the_whole() -> None:
    net, (x, _) = Backbone().eval(), clouds(BATCH + 20)
    found = cut(net, "head.*")
    assert isinstance(found, Frozen)
    captured = capture(found, x, progress=False)
    with torch.no_grad():
        assert torch.allclose(captured.x, net.body(x), atol=1e-6)
        assert torch.allclose(captured.part(captured.x), net(x), atol=1e-6)
    assert names(captured.part) == {"head.0.weight", "head.0.bias", "head.2.weight", "head.2.bias"}


def test_halves_are_near_and_what_is_beyond_their_range_is_cut() -> None:
    net = train_only(Backbone(), "head.*")
    with torch.no_grad():
        net.body[3].bias += torch.tensor([1e6, -1e6, 0, 0])
    x, _ = clouds(2 * BATCH + 1)
    found = frozen_before(net, x, PLAIN)
    assert isinstance(found, Frozen)
    kept, exact = capture(found, x, progress=False, dtype=torch.float16), capture(found, x, progress=False)
    assert kept.x.dtype == torch.float16
    assert torch.isfinite(kept.x).all()
    asked = kept.read()
    assert isinstance(asked, Treated)  # few as they are: as where they are many
    near = asked[slice(None)]
    assert near.dtype == torch.float32
    assert torch.allclose(near[:, 2:], exact.x[:, 2:], rtol=2**-10, atol=1e-6)
    assert near[0, :2].tolist() == [65504, -65504]


class Counting:
    """A frozen network that counts its questions, and fails at one of them."""

    def __init__(self, frozen: Frozen, fails_at: int | None = None) -> None:
        self.frozen, self.fails_at, self.asked = frozen, fails_at, 0

    def inputs(self, x: Tensor) -> Tensor:
        self.asked += 1
        if self.asked == self.fails_at:
            raise KeyboardInterrupt
        return self.frozen.inputs(x)

    def part(self) -> nn.Module:
        return self.frozen.part()


def test_a_pass_that_was_cut_off_goes_on_and_a_whole_one_is_read(tmp_path: Path) -> None:
    found, (x, _) = cut(Backbone(), "head.*"), clouds(BATCH * 12 + 7)
    assert isinstance(found, Frozen)
    store, whole = tmp_path / "frozen.npy", capture(found, x, progress=False).x
    killed = Counting(found, fails_at=11)
    with pytest.raises(KeyboardInterrupt):
        capture(killed, x, store, "key", progress=False)  # type: ignore[arg-type]
    killed = Counting(found, fails_at=5)  # and again, before anything more is there
    with pytest.raises(KeyboardInterrupt):
        capture(killed, x, store, "key", progress=False)  # type: ignore[arg-type]
    resumed = Counting(found)
    kept = capture(resumed, x, store, "key", progress=False)  # type: ignore[arg-type]
    assert resumed.asked == 2 + 1 + 5  # one input and two, the first batch again; 8 of 13 are there
    assert torch.equal(kept.x, whole)
    again = Counting(found)
    assert torch.equal(capture(again, x, store, "key", progress=False).x, whole)  # type: ignore[arg-type]
    assert again.asked == 3


def test_a_pass_that_was_cut_off_keeps_the_seconds_that_it_took_until_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found, (x, _) = cut(Backbone(), "head.*"), clouds(BATCH * 12 + 7)
    assert isinstance(found, Frozen)
    store, ask, now = tmp_path / "frozen.npy", Counting.inputs, [0.0]

    def late(self: Counting, x: Tensor) -> Tensor:
        now[0] += 1
        return ask(self, x)

    monkeypatch.setattr(Counting, "inputs", late)
    monkeypatch.setattr(stages, "clock", lambda: now[0])
    with counted(), clocked(STAGE), pytest.raises(KeyboardInterrupt):
        capture(Counting(found, fails_at=11), x, store, "key", progress=False)  # type: ignore[arg-type]
    for seconds in (10 + 8, 3):  # 10 of the killed one, when its first 8 batches were kept; a whole pass is anybody's
        with counted() as run, clocked(STAGE):
            capture(Counting(found), x, store, "key", progress=False)  # type: ignore[arg-type]
        assert run.seconds() == {STAGE: seconds}


@pytest.mark.parametrize("change", ["key", "network", "size", "file"])
def test_what_another_run_captured_is_not_taken_for_ones_own(tmp_path: Path, change: str) -> None:
    found, (x, _) = cut(Backbone(), "head.*"), clouds(BATCH + 5)
    assert isinstance(found, Frozen)
    store = tmp_path / "frozen.npy"
    capture(found, x, store, "key", progress=False)
    other, rows, key = found, x, "key"
    if change == "network":
        torch.manual_seed(1)
        other = cut(Backbone(), "head.*")  # type: ignore[assignment]
    if change == "size":
        rows = x[:BATCH]
    if change == "key":
        key, rows = "other", torch.cat([x[:BATCH], 2 * x[BATCH:]])  # the first batch tells nothing
    if change == "file":
        store.write_bytes(b"no array")
    expected = capture(other, rows, progress=False).x
    assert torch.equal(capture(other, rows, store, key, progress=False).x, expected)


def test_a_folder_that_cannot_be_written_is_an_error_of_one_line(tmp_path: Path) -> None:
    found = cut(Backbone(), "head.*")
    assert isinstance(found, Frozen)
    with pytest.raises(StateError, match=r"Choose another folder for --output"):
        capture(found, clouds(10)[0], tmp_path / "absent" / "frozen.npy", "key", progress=False)


def test_pixels_are_treated_before_they_reach_the_network() -> None:
    net, x = Backbone().eval(), torch.from_numpy(np.arange(8 * FEATURES, dtype=np.uint8).reshape(8, FEATURES))
    found = frozen_before(train_only(net, "head.*"), x, PreprocessSpec(name="photo"))
    assert isinstance(found, Frozen)
    with torch.no_grad():
        assert torch.allclose(found.inputs(x), net.body((x.float() / 255 - 0.5) / 0.25), atol=1e-6)


def test_the_bar_counts_every_example_once(monkeypatch: pytest.MonkeyPatch) -> None:
    found, (x, _) = cut(Backbone(), "head.*"), clouds(BATCH + 20)
    assert isinstance(found, Frozen)
    shown: list[int] = []
    monkeypatch.setattr(tqdm, "update", lambda bar, more: shown.append(more))
    capture(found, x)
    assert shown == [BATCH, 20]
