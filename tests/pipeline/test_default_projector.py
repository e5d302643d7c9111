"""The projector where nobody asks for one: leading directions behind features of images, random ones elsewhere."""

from pathlib import Path

import numpy as np
import pytest
import torch
from pacbound_cli.main import app
from safetensors.torch import save_file
from torch import nn
from typer.testing import CliRunner

import pacbound as pb
from pacbound.errors import SubspaceError
from pacbound.models.reference import build
from pacbound.pipeline import preparation
from pacbound.pipeline.preparation import Setup, prepare
from pacbound.subspace import ekfac
from pacbound.sweeps import driver
from pacbound.sweeps.driver import sweep
from pacbound.sweeps.folder import Folder
from pacbound.sweeps.plan import Search, make_plan
from pacbound.verification.verification import Level
from tests.sweeps.test_driver import InThisProcess
from tests.tiny import quick

GREY, COLOUR = (8, 8), (3, 8, 8)
LEVELS: tuple[Level, ...] = ("arithmetic", "message", "risk")
BEHIND = "edges2-A3-L"  # D is 82 for each class at 8 x 8; of two classes 64 directions move the outputs
QUICK = ["--encoder", "plain", "--d", "64", "--epochs", "3", "--batch", "30", "--rate", "0.05", "--beta", "1"]


@pytest.fixture(autouse=True)
def little_noise(monkeypatch: pytest.MonkeyPatch) -> None:
    """Directions are found on few inputs: here it matters which there are, not how good they are."""
    monkeypatch.setattr(ekfac, "EXAMPLES", 72)


def pictures(shape: tuple[int, ...] = GREY, classes: int = 10, seed: int = 0) -> pb.Examples:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randint(0, 256, (60, *shape), generator=generator).to(torch.uint8)
    y = torch.randint(0, classes, (60,), generator=generator)
    return pb.Examples("pictures", x, y, classes=classes)


def bright(classes: int = 4, n: int = 240) -> pb.Examples:
    """Pictures of 8 x 8 whose bright quarter is their class: a few dozen steps beat w = 0."""
    x = torch.randint(0, 128, (n, 2, 4, 2, 4), generator=torch.Generator().manual_seed(0))
    y = torch.arange(n) % classes
    x[torch.arange(n), y // 2, :, y % 2] += 127
    return pb.Examples("pictures", x.reshape(n, 1, 8, 8).to(torch.uint8), y, classes=classes)


def save_bright(folder: Path) -> None:
    """Write them as folder/pictures.npz."""
    sample = bright()
    np.savez(folder / "pictures.npz", x=sample.x.numpy(), y=sample.y.numpy())


def prepared(model: nn.Module | str = BEHIND, sample: pb.Examples | None = None, **options: object) -> Setup:
    return prepare(model, pictures() if sample is None else sample, None, quick(**options), "zero_one")


@pytest.mark.parametrize(
    ("model", "shape", "kind"),
    [
        (BEHIND, GREY, "ekfac"), (BEHIND, (1, 8, 8), "ekfac"), ("moments-L", GREY, "ekfac"),
        ("flip-moments-edges1-A3-L", GREY, "ekfac"), ("unit-edges1-A3-L", GREY, "ekfac"),
        ("opponent-A3-h8-L", COLOUR, "ekfac"), ("flip-bars1-A3-h8-L", COLOUR, "ekfac"),
        ("c4k3-R-A3-L", GREY, "fastfood"), ("flip-c4k3-R-A3-L", COLOUR, "fastfood"), ("L", GREY, "fastfood"),
        ("mlp", GREY, "fastfood"), ("auto", GREY, "fastfood"), ("auto", (1, 16, 16), "ekfac"),
    ],
)  # fmt: skip
def test_directions_lead_behind_features_of_images_and_are_random_elsewhere(
    model: str, shape: tuple[int, ...], kind: str
) -> None:
    setup = prepared(model, pictures(shape))
    assert setup.projector.kind == kind
    assert setup.projector.shape == (shape if kind == "ekfac" else None)
    assert (setup.projector.d, setup.projector.seed) == (16, 0)


def test_a_network_of_ones_own_has_random_directions_whatever_it_computes() -> None:
    assert prepared(build(BEHIND, GREY, 10)).projector.kind == "fastfood"


@pytest.mark.parametrize(("d", "kind"), [(410, "ekfac"), (411, "fastfood"), (820, "fastfood"), (9999, "fastfood")])
def test_at_most_half_of_all_directions_are_leading_ones(d: int, kind: str) -> None:
    setup = prepared(d=d)
    assert (setup.base.layout.D, setup.projector.kind, setup.projector.d) == (820, kind, min(d, 820))


@pytest.mark.parametrize(
    ("options", "kind"),
    [
        ({"encoder": "posterior"}, "ekfac"), ({"encoder": "codebook"}, "ekfac"), ({"train": "head"}, "ekfac"),
        ({"posterior": "draw", "earlier_draws": 0, "encoder": "posterior"}, "ekfac"),
        ({"projector": "fastfood"}, "fastfood"), ({"projector": "sparse"}, "sparse"),
        ({"projector": "identity"}, "identity"), ({"projector": "ekfac", "d": 500}, "ekfac"),
        ({"encoder": "weights", "d": None}, "identity"),
        ({"prior_share": 0.5}, "fastfood"),  # theta0 will be another one
        ({"method": "direct"}, "fastfood"), ({"method": "picks"}, "fastfood"),  # which have no use for it
    ],
)  # fmt: skip
def test_encoders_are_alike_and_what_is_named_is_taken(options: dict[str, object], kind: str) -> None:
    assert prepared(**options).projector.kind == kind


def test_directions_are_random_around_a_checkpoint(tmp_path: Path) -> None:
    save_file(build(BEHIND, GREY, 10).state_dict(), tmp_path / "w.safetensors")
    asked: dict[str, object] = {"checkpoint": str(tmp_path / "w.safetensors"), "disjoint": True}
    assert prepared(**asked).projector.kind == "fastfood"
    assert prepared(**asked, projector="ekfac").projector.kind == "ekfac"


def test_nobody_waits_for_the_directions_of_a_large_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preparation, "MAX_LED", 820)
    assert prepared().projector.kind == "ekfac"
    monkeypatch.setattr(preparation, "MAX_LED", 819)
    assert prepared().projector.kind == "fastfood"


def test_the_sample_has_no_say_in_it() -> None:
    one, other = prepared(sample=pictures(seed=1)), prepared(sample=pictures(seed=2))
    assert one.projector == other.projector
    assert one.digest != other.digest


@pytest.mark.parametrize("why", ["few directions", "large matrix", "large image"])
def test_where_leading_directions_are_refused_the_default_takes_random_ones_and_says_so(
    why: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    sample, options = pictures(classes=2), {"d": 82 if why == "few directions" else 64}
    assert prepared(sample=sample, d=64).projector.kind == "ekfac"
    if why == "large matrix":
        monkeypatch.setattr(ekfac, "LARGEST_SIDE", 80)
    if why == "large image":
        monkeypatch.setattr("pacbound.specs.specs.MAX_INPUT", 63)
    with caplog.at_level("INFO", "pacbound"):
        setup = prepared(sample=sample, **options)
    assert setup.projector.kind == "fastfood"
    assert [record.getMessage() for record in caplog.records if "random" in record.getMessage()] != []
    with pytest.raises(pb.PacboundError, match=r"ekfac"):
        prepared(sample=sample, projector="ekfac", **options).subspace()


def test_a_default_that_falls_back_is_certified_as_what_it_fell_back_to() -> None:
    sample, asked = bright(2, 160), {"d": 82, "beta": 1.0}
    made, named = (
        pb.certify(BEHIND, sample, request=quick(**asked, **more), progress=False)
        for more in ({}, {"projector": "fastfood"})
    )
    assert made.hypothesis.projector is not None
    assert made.core_digest == named.core_digest
    assert pb.verify(made, data=sample).stands
    with pytest.raises(SubspaceError, match="64 directions move the outputs"):
        pb.certify(BEHIND, sample, request=quick(**asked, projector="ekfac"), progress=False)


def test_a_state_goes_on_under_its_own_directions_only(monkeypatch: pytest.MonkeyPatch) -> None:
    leading, random = (prepared(projector=projector).key for projector in ("ekfac", "fastfood"))
    assert prepared().key == leading != random
    monkeypatch.setattr(preparation, "MAX_LED", 0)
    assert prepared().key == random


@pytest.mark.parametrize(("named", "kind", "paid"), [([], "ekfac", 25), (["--projector", "fastfood"], "fastfood", 2)])
def test_the_command_pays_for_the_default_and_verify_counts_it_again_at_every_level(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: list[str], kind: str, paid: int
) -> None:
    monkeypatch.chdir(tmp_path)
    save_bright(tmp_path)
    done = CliRunner().invoke(app, ["certify", "--data", "pictures.npz", "--model", BEHIND, *QUICK, *named])
    assert done.exit_code == 0, done.output
    made = pb.Certificate.load("pictures.json")
    assert made.hypothesis.projector is not None
    assert made.hypothesis.projector.kind == kind
    assert {entry.item: entry.bits for entry in made.ledger.entries}["projector"] == paid
    for level in LEVELS:
        found = pb.verify("pictures.json", data="pictures.npz", level=level)
        assert (found.stands, found.level) == (True, level), found.reason
    assert found.recount == made.risk


def test_the_default_is_what_its_word_asks_for() -> None:
    made, named = (
        pb.certify(BEHIND, bright(n=160), request=quick(d=64, beta=1.0, **more), progress=False)
        for more in ({}, {"projector": "ekfac"})
    )
    assert made.hypothesis.projector is not None
    assert made.core_digest == named.core_digest


def test_a_sweep_over_networks_has_the_directions_of_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(driver, "executor_of", lambda folder, where, minutes: InThisProcess(folder))
    save_bright(tmp_path)
    request = quick(data="pictures.npz", d=64, beta=1.0)
    plan = make_plan(request, Search(), {"model": [BEHIND, "c4k3-R-A3-L"]})
    assert sweep(plan, tmp_path / "s", progress=False).finished == 2
    kinds = {}
    for run in range(2):
        made = pb.Certificate.load(Folder(tmp_path / "s").certificate(run))
        assert made.hypothesis.projector is not None
        kinds[made.hypothesis.model] = made.hypothesis.projector.kind
        assert made.sweep is not None
        assert made.sweep.choices == 1
    assert kinds == {BEHIND: "ekfac", "c4k3-R-A3-L": "fastfood"}
