"""A checkpoint as theta0: declared, pinned by its digest, and rebuilt by whoever verifies."""

import shutil
from pathlib import Path

import pytest
import torch
from pacbound_cli.main import app
from torch import nn
from typer.testing import CliRunner

import pacbound as pb
from pacbound.bits.message import pack
from pacbound.errors import ModelError, RequestError
from pacbound.measures.measuring import measure
from pacbound.methods.table import certify
from pacbound.models.reference import build, initialise
from pacbound.networks.checkpoints import file_digest
from pacbound.pipeline.preparation import prepare
from pacbound.reports.show import render
from pacbound.request.request import Request
from pacbound.specs.specs import BaseOrigin, HypothesisSpec
from tests.forge import Document, forge
from tests.tiny import CLASSES, FEATURES, clouds, quick, save_clouds


def normalised(classes: int = CLASSES) -> nn.Sequential:
    with torch.random.fork_rng():
        torch.manual_seed(classes)
        return nn.Sequential(nn.Linear(FEATURES, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, classes))


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network trained on other clouds, with running statistics, in a file."""
    net, file = normalised(), tmp_path_factory.mktemp("trained") / "w.pt"
    x, y = clouds(200, seed=9)
    optimiser = torch.optim.Adam(net.parameters(), 0.02)
    for _ in range(60):
        loss = nn.functional.cross_entropy(net(x), y)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    torch.save({"state_dict": net.state_dict()}, file)
    return file


@pytest.fixture
def weights(trained: Path, tmp_path: Path) -> Path:
    """A copy of the file."""
    return shutil.copy(trained, tmp_path / "w.pt")


@pytest.fixture(scope="module")
def transferred(trained: Path) -> pb.Certificate:
    """A certificate around it."""
    return certify(normalised(), clouds(), request=asked(trained), progress=False)


def asked(weights: Path, **options: object) -> Request:
    return quick(d=8, epochs=2, batch=60, checkpoint=str(weights), disjoint=True, **options)


def test_a_checkpoint_is_declared_and_its_certificate_stands_with_the_file(weights: Path) -> None:
    certificate = certify(normalised(), clouds(300), request=asked(weights), progress=False)
    base = certificate.hypothesis.base
    assert base == BaseOrigin(kind="checkpoint", sha256=file_digest(weights), disjoint=True, values=base.values)
    assert any("trained on data disjoint from this sample" in sentence for sentence in certificate.declarations)
    assert certificate.risk.errors < 30  # theta0 knows the clouds already
    result = pb.verify(certificate, data=clouds(300), model=normalised(), checkpoint=weights)
    assert (result.stands, result.level, result.reason) == (True, "risk", None)
    assert "checkpoint" in result.passed
    assert result.recount == certificate.risk


def test_another_file_does_not_stand_and_a_missing_one_is_the_callers_mistake(
    transferred: pb.Certificate, weights: Path
) -> None:
    other = weights.with_name("other.pt")
    torch.save(normalised().state_dict(), other)
    result = pb.verify(transferred, data=clouds(), model=normalised(), checkpoint=other)
    assert (result.stands, result.failed) == (False, "checkpoint")
    assert file_digest(other)[:12] in str(result.reason)
    with pytest.raises(ModelError, match="readable file"):
        pb.verify(transferred, data=clouds(), model=normalised(), checkpoint=weights.with_name("none.pt"))
    with pytest.raises(RequestError, match="--checkpoint"):
        pb.verify(transferred, data=clouds(), model=normalised())
    assert pb.verify(transferred).level == "message"


def test_running_statistics_come_from_the_file_and_not_from_the_module(weights: Path) -> None:
    base = prepare(normalised(), clouds(), None, asked(weights), "zero_one").base
    saved = torch.load(weights, weights_only=True)["state_dict"]
    assert torch.equal(dict(base.module.named_buffers())["1.running_mean"], saved["1.running_mean"])
    assert float(saved["1.running_mean"].abs().sum()) > 0.1


def test_a_new_head_is_coded_with_its_seed_and_stands(weights: Path) -> None:
    x, y = clouds(120)
    request = asked(weights, new_head=True, seed=2)
    with pytest.raises(ModelError, match="--new-head"):
        certify(normalised(4), (x, y), request=asked(weights), progress=False)
    certificate = certify(normalised(4), (x, y), request=request, progress=False)
    assert (certificate.hypothesis.base.kind, certificate.hypothesis.base.seed) == ("checkpoint_new_head", 2)
    assert pb.verify(certificate, data=(x, y), model=normalised(4), checkpoint=weights).stands
    assert f"sha256 {file_digest(weights)[:16]}, its last layer drawn from seed 2" in render(certificate)
    bits = {entry.item: entry.bits for entry in certificate.ledger.entries}
    assert bits["base"] == 5 + 3  # gamma codes of kind 3 and of seed 2


def test_where_theta0_comes_from_costs_its_gamma_code_and_old_kinds_cost_what_they_did() -> None:
    sha256, found = "0f" * 32, {}
    for kind in ("seeded", "checkpoint", "values", "checkpoint_new_head"):
        pinned = {} if kind == "seeded" else {"sha256": sha256}
        pinned |= {"disjoint": True, "values": sha256} if kind.startswith("checkpoint") else {}
        base = BaseOrigin.model_validate({"kind": kind, **pinned})
        spec = HypothesisSpec(model="user", layout_digest="ab" * 32, base=base, layer_scale=False)
        found[kind] = {e.item: e.bits for e in pack(spec, torch.zeros(0, dtype=torch.int32).numpy())[1].entries}["base"]
    assert found == {"seeded": 2, "checkpoint": 4, "values": 4, "checkpoint_new_head": 6}


def test_renamed_weights_stand_with_the_same_rules_only(weights: Path) -> None:
    state = torch.load(weights, weights_only=True)["state_dict"]
    torch.save({f"net.{name}": value for name, value in state.items()}, weights)
    rules = (r"^net\.=",)
    certificate = certify(normalised(), clouds(), request=asked(weights, rename=rules), progress=False)
    verified = {"data": clouds(), "model": normalised(), "checkpoint": weights}
    assert pb.verify(certificate, **verified, rename=rules).stands  # type: ignore[arg-type]
    result = pb.verify(certificate, **verified)  # type: ignore[arg-type]
    assert (result.failed, "missing" in str(result.reason)) == ("network", True)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"disjoint": False}, "say it with --disjoint"),
        ({"base": "values"}, "theta0 itself"),
        ({"checkpoint": None}, "--disjoint is about a checkpoint"),
        ({"checkpoint": None, "disjoint": False, "new_head": True}, "--new-head is about a checkpoint"),
        ({"checkpoint": None, "disjoint": False, "rename": ("a=b",)}, "--rename is about a checkpoint"),
    ],
)
def test_options_that_contradict_each_other_are_refused(
    weights: Path, options: dict[str, object], complaint: str
) -> None:
    request = Request.model_validate({**asked(weights).model_dump(), **options})
    with pytest.raises(RequestError, match=complaint):
        prepare(normalised(), clouds(), None, request, "zero_one")


def test_a_checkpoint_needs_the_name_of_its_network_and_raw_pixels_where_it_scales_them(tmp_path: Path) -> None:
    net = build("lenet-mnist", (1, 8, 8), 10)
    initialise(net, 0)
    torch.save(net.state_dict(), tmp_path / "w.pt")
    request = Request(checkpoint=str(tmp_path / "w.pt"), disjoint=True)
    with pytest.raises(RequestError, match="--model"):
        prepare("auto", "digits", None, request, "zero_one")
    x = torch.randint(0, 256, (40, 1, 8, 8), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    sample = pb.Examples("dots", x, torch.arange(40) % 10, classes=10, preprocess="ink")
    setup = prepare("lenet-mnist", sample, None, request, "zero_one")
    assert (setup.preprocess.name, setup.model) == ("none", "lenet-mnist")
    with pytest.raises(RequestError, match="standardises raw pixels itself"):
        prepare("lenet-mnist", sample, None, request.model_copy(update={"preprocess": "ink"}), "zero_one")


def test_a_certified_transfer_is_measured_with_its_file(transferred: pb.Certificate, weights: Path) -> None:
    found = measure(transferred, normalised(), measures=("stable_rank",), input_shape=(FEATURES,), checkpoint=weights)
    assert found.measures
    with pytest.raises(ModelError, match="Give --checkpoint"):
        measure(transferred, normalised(), measures=("stable_rank",), input_shape=(FEATURES,))


def test_the_command_line_certifies_and_verifies_a_transfer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    save_clouds(tmp_path)
    net = build("h4-R-L", (FEATURES,), CLASSES)
    initialise(net, 4)
    torch.save({f"backbone.{name}": value for name, value in net.state_dict().items()}, "w.th")
    options = [
        "--data",
        "clouds.npz",
        "--model",
        "h4-R-L",
        "--checkpoint",
        "w.th",
        "--rename",
        r"^backbone\.=",
        "--new-head",
        "-o",
        "c.json",
    ]
    quickly = ["--encoder", "plain", "--d", "4", "--epochs", "1"]
    refused = CliRunner().invoke(app, ["certify", *options, *quickly])
    assert isinstance(refused.exception, RequestError)
    done = CliRunner().invoke(app, ["certify", *options, *quickly, "--disjoint"])
    assert done.exit_code == 0, done.output
    assert "trained on data disjoint from this sample" in " ".join(done.stdout.split())
    assert r"pacbound verify c.json --data clouds.npz --checkpoint w.th --rename '^backbone\.='" in " ".join(
        done.stderr.split()
    )
    arguments = ["verify", "c.json", "--data", "clouds.npz", "--checkpoint", "w.th", "--rename", r"^backbone\.="]
    done = CliRunner().invoke(app, arguments)
    assert (done.exit_code, "stands, at level risk" in done.stdout) == (0, True)


def test_rules_that_give_another_theta0_from_the_same_file_do_not_stand(tmp_path: Path) -> None:
    """Two layers of one shape: a rule that swaps them reads the same file into another network."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = nn.Sequential(nn.Linear(FEATURES, 6), nn.ReLU(), nn.Linear(6, 6), nn.ReLU(), nn.Linear(6, CLASSES))
    torch.save({f"x{name}": value for name, value in net.state_dict().items()}, tmp_path / "w.pt")
    rules, swapped = ("^x=",), ("^x0=y2", "^x2=y0", "^x=", "^y=")
    request = asked(tmp_path / "w.pt", rename=rules)
    certificate = certify(net, clouds(), request=request, progress=False)
    given = {"data": clouds(), "model": net, "checkpoint": tmp_path / "w.pt"}
    assert pb.verify(certificate, **given, rename=rules).stands
    result = pb.verify(certificate, **given, rename=swapped)
    assert (result.failed, "--rename" in str(result.reason)) == ("network", True)


def test_a_certificate_that_does_not_pin_the_values_of_its_checkpoint_is_malformed(
    transferred: pb.Certificate, tmp_path: Path
) -> None:
    def unpinned(document: Document) -> None:
        del document["hypothesis"]["base"]["values"]

    result = pb.verify(forge(transferred, unpinned, tmp_path / "old.json"))
    assert (result.failed, "has values, got none" in str(result.reason)) == ("schema", True)
