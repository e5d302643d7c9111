"""A part of a network is trained and the rest frozen: what is certified, what it costs, and what verify rebuilds."""

from collections import OrderedDict
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load
from torch import Tensor, nn

import pacbound as pb
from pacbound.errors import ModelError, RequestError
from pacbound.measures.measuring import measure
from pacbound.methods.table import certify
from pacbound.pipeline import capturing
from pacbound.pipeline.forecast import forecast
from pacbound.pipeline.preparation import prepare
from pacbound.reports.show import render
from tests.forge import Document, forge
from tests.networks.test_captured import Backbone
from tests.tiny import CLASSES, clouds, quick

N = 300
HEAD = 4 * 4 + 4 + 4 * CLASSES + CLASSES


def net(seed: int = 3) -> nn.Module:
    """The same as `plain`, one part behind the other by torch's own Sequential."""
    parts = plain(seed)
    return nn.Sequential(OrderedDict(body=parts.body, head=parts.head))


def plain(seed: int = 3) -> "Plain":
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return Plain()


class Plain(Backbone):
    """A backbone that can be traced, with a forward of its author's own."""

    def __init__(self) -> None:
        super().__init__()
        del self.after, self.uses, self.asked

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(x))


REQUEST = quick(base="values", train="head.*", d=8, epochs=4, batch=50, rate=0.4, beta=1.0)
SPLIT = REQUEST.model_copy(update={"prior_share": 0.5, "epochs": 3})


@pytest.fixture(scope="module")
def certificate() -> pb.Certificate:
    return certify(net(), clouds(N), request=REQUEST, progress=False)


def test_only_the_part_is_trained_and_the_whole_is_what_verify_counts(
    certificate: pb.Certificate, tmp_path: Path
) -> None:
    assert certificate.hypothesis.train == "head.*"
    assert certificate.hypothesis.parameters == HEAD
    assert certificate.risk.errors < N / 2  # guessing makes two thirds
    certificate.save(tmp_path / "c.json")
    assert pb.verify(tmp_path / "c.json", data=clouds(N), model=net()).stands
    assert "head.*, all else is frozen" in " ".join(render(certificate).split())


def test_measures_read_a_network_of_which_a_part_was_trained(certificate: pb.Certificate, tmp_path: Path) -> None:
    certificate.save(tmp_path / "c.json")
    found = measure(tmp_path / "c.json", net(), data=clouds(N), measures=("stable_rank",)).measures
    assert next(one.value for one in found) > 0


def test_it_costs_its_word_and_says_so(certificate: pb.Certificate) -> None:
    entry = next(entry for entry in certificate.ledger.entries if entry.item == "trained part")
    assert entry.bits == 3 + 5 + 7 * len("head.*")  # kind, gamma code of 5, characters
    base = next(entry for entry in certificate.ledger.entries if entry.item == "base")
    assert base.bits == 5 + 3 + 1  # the number that says that a word follows; values handed over; no seed


def test_the_certificate_is_that_of_a_network_frozen_by_hand_but_for_the_word(certificate: pb.Certificate) -> None:
    by_hand = net()
    for name, parameter in by_hand.named_parameters():
        parameter.requires_grad_(name.startswith("head."))
    request = REQUEST.model_copy(update={"train": "all"})
    other = certify(by_hand, clouds(N), request=request, progress=False)
    assert other.hypothesis.layout_digest == certificate.hypothesis.layout_digest
    assert other.risk == certificate.risk
    assert certificate.ledger.bits - other.ledger.bits == 5 + 3 + 5 + 7 * len("head.*")


@pytest.mark.parametrize("word", ["head", None])
def test_another_word_than_the_message_carries_is_refused(
    certificate: pb.Certificate, tmp_path: Path, word: str | None
) -> None:
    def change(document: Document) -> None:
        document["hypothesis"].pop("train")
        if word is not None:
            document["hypothesis"]["train"] = word

    forged = forge(certificate, change, tmp_path / "forged.json")
    assert not pb.verify(forged, level="message").stands


def test_candidates_are_ranked_by_the_part_and_counted_on_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    real = capturing.with_captured

    def lying(*given: object) -> object:
        setup = real(*given)  # type: ignore[arg-type]
        setup.captured.x.zero_()  # every example looks the same to the part
        return setup

    monkeypatch.setattr("pacbound.methods.subspace.with_captured", lying)
    made = certify(plain(), clouds(N), request=REQUEST, progress=False)
    assert made.risk.errors >= 0.65 * N  # nothing was learned, and nothing is claimed


@pytest.mark.usefixtures("brief_start")
def test_theta0_of_a_split_learns_the_head_alone_and_what_reached_it_is_kept(tmp_path: Path) -> None:
    made = certify(net(), clouds(120), request=SPLIT, state=tmp_path / "c.state", progress=False)
    before, theta0 = net().state_dict(), load(made.theta0())
    assert all(torch.equal(theta0[name], before[name]) for name in before if name.startswith("body."))
    assert not torch.equal(theta0["head.2.weight"], before["head.2.weight"])
    assert len(list(tmp_path.glob("frozen-*.npy"))) == 2  # of the first examples, and of the rest
    made.save(tmp_path / "c.json")
    assert pb.verify(tmp_path / "c.json", data=clouds(120), model=net()).stands


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, brief_start: None) -> tuple[Path, Path]:
    """A certificate whose head learned from a share of the sample, and the checkpoint under it."""
    folder = tmp_path_factory.mktemp("shared")
    torch.save(net().state_dict(), folder / "net.pt")
    fields = {"base": "seeded", "checkpoint": str(folder / "net.pt"), "disjoint": True, "new_head": True}
    certify(net(), clouds(120), request=SPLIT.model_copy(update=fields), progress=False).save(folder / "c.json")
    return folder / "c.json", folder / "net.pt"


def test_a_file_beside_holds_what_was_trained_and_the_checkpoint_all_else(shared: tuple[Path, Path]) -> None:
    certificate, file = shared
    made = pb.Certificate.load(certificate)
    beside = load(made.theta0())
    assert {name for name in beside if "running" not in name and "num_batches" not in name} == {
        "head.0.weight", "head.0.bias", "head.2.weight", "head.2.bias",
    }  # fmt: skip
    verdict = pb.verify(certificate, data=clouds(120), model=net(), checkpoint=file)
    assert verdict.stands
    assert verdict.level == "risk"


@pytest.mark.one_worker
@pytest.mark.usefixtures("brief_start")
def test_adapters_learned_from_a_share_stand_on_a_checkpoint_that_knows_nothing_of_them(tmp_path: Path) -> None:
    pytest.importorskip("peft", reason="the extra peft is not installed")
    torch.save(net().state_dict(), tmp_path / "net.pt")
    fields = {"base": "seeded", "checkpoint": str(tmp_path / "net.pt"), "disjoint": True, "train": "lora:2"}
    certify(net(), clouds(120), request=SPLIT.model_copy(update=fields), progress=False).save(tmp_path / "c.json")
    verdict = pb.verify(tmp_path / "c.json", data=clouds(120), model=net(), checkpoint=tmp_path / "net.pt")
    assert (verdict.reason, verdict.level) == (None, "risk")


def test_without_the_checkpoint_under_a_head_or_with_another_nothing_is_counted(
    shared: tuple[Path, Path], tmp_path: Path
) -> None:
    certificate, _ = shared
    with pytest.raises(RequestError, match="the checkpoint"):
        pb.verify(certificate, data=clouds(120), model=net(), level="risk")
    torch.save(net(4).state_dict(), tmp_path / "other.pt")
    assert not pb.verify(certificate, data=clouds(120), model=net(), checkpoint=tmp_path / "other.pt").stands


def test_a_rule_that_swaps_two_frozen_tensors_of_the_same_file_is_seen(shared: tuple[Path, Path]) -> None:
    certificate, file = shared
    swapped = ("^body.1.weight$=mid", "^body.1.bias$=body.1.weight", "^mid$=body.1.bias")
    verdict = pb.verify(certificate, data=clouds(120), model=net(), checkpoint=file, rename=swapped)
    assert not verdict.stands
    assert "values with SHA-256" in str(verdict)


def test_a_dry_run_counts_the_pass_over_what_is_frozen(monkeypatch: pytest.MonkeyPatch) -> None:
    setup = prepare(net(), clouds(N), None, REQUEST, "zero_one")
    monkeypatch.setattr("pacbound.pipeline.forecast.timed", lambda setup, rows: capturing.Reached(setup))
    without = forecast(setup)
    slow = replace(capturing.timed(setup, 60), each=1.0)
    monkeypatch.setattr("pacbound.pipeline.forecast.timed", lambda *_: slow)
    found = forecast(setup)
    assert (found.D, found.d) == (HEAD, 8)
    assert found.stages["features"] == N
    assert found.seconds > 3 * N > without.seconds  # a second an example, two more times in counting


def test_a_seeded_network_with_a_trained_head_and_one_with_a_typing_error(tmp_path: Path) -> None:
    request = quick(train="head", model="h8-R-L")
    made = certify("h8-R-L", clouds(120), request=request, progress=False)
    made.save(tmp_path / "c.json")
    assert pb.verify(tmp_path / "c.json", data=clouds(120)).stands
    with pytest.raises(ModelError, match="no name of"):
        certify("h8-R-L", clouds(120), request=quick(train="haed"), progress=False)
