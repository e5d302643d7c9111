"""A data-dependent prior: theta0 from the first examples of a permutation, the statement about the rest."""

import hashlib
from pathlib import Path

import pytest
import torch
from pacbound_cli.main import app
from safetensors.torch import save_file
from torch import nn
from typer.testing import CliRunner

import pacbound as pb
from pacbound.certificate import Certificate
from pacbound.errors import ModelError, RequestError, StateError
from pacbound.measures.measuring import measure
from pacbound.methods.table import certify
from pacbound.networks.checkpoints import file_digest, start_base
from pacbound.networks.frozen import freeze_network
from pacbound.networks.hypothesis import values_digest
from pacbound.pipeline.preparation import prepare
from pacbound.pipeline.starting import with_start
from pacbound.reports.beside import render as render_comparison
from pacbound.reports.compare import compare
from pacbound.reports.show import render
from pacbound.specs.specs import BaseOrigin, SplitSpec
from pacbound.subspace.layout import Layout
from tests.tiny import FEATURES, clouds, network, quick, save_clouds

N = 320
pytestmark = pytest.mark.usefixtures("brief_start")


def asked(**options: object) -> pb.Request:
    return quick(d=8, epochs=2, batch=60, prior_share=0.5, **options)


@pytest.fixture(scope="module")
def certificate(brief_start: None) -> Certificate:
    return certify(network(), clouds(N), request=asked(seed=3), progress=False)


@pytest.fixture(scope="module")
def plain() -> Certificate:
    """The same without a split."""
    return certify(network(), clouds(N), request=quick(d=8, epochs=2, batch=60), progress=False)


def test_a_split_is_certified_on_its_rest_and_says_so(certificate: Certificate, plain: Certificate) -> None:
    split = certificate.hypothesis.base.split
    assert split is not None
    assert (split.seed, split.parts, split.first, split.whole) == (3, 32, 160, N)
    assert (certificate.data.n, certificate.risk.n) == (160, 160)
    assert "n = 160 training examples, apart from 160 others that theta0 was trained on, the error" in (
        certificate.statement
    )
    assert any("theta0 was trained on 160 examples of the split" in line for line in certificate.declarations)
    bits = {entry.item: (entry.kind, entry.bits) for entry in certificate.entries}
    assert bits["split"] == ("counted", 5 + 6)  # gamma(3) takes 5
    assert certificate.bound.value < plain.bound.value


def test_verification_splits_the_whole_sample_again(certificate: Certificate, tmp_path: Path) -> None:
    certificate.save(tmp_path / "c.json")
    result = pb.verify(tmp_path / "c.json", data=clouds(N), model=network(seed=9))
    assert (result.stands, result.level, result.reason) == (True, "risk", None)
    assert result.recount == certificate.risk
    assert "split" in result.passed
    other = pb.verify(tmp_path / "c.json", data=clouds(N, seed=1), model=network())
    assert other.failed == "data"
    next(tmp_path.glob("*.safetensors")).unlink()
    assert pb.verify(tmp_path / "c.json", data=clouds(N), model=network()).failed == "network"


def test_theta0_sees_the_first_examples_only() -> None:
    setup = prepare(network(), clouds(N), None, asked(), "zero_one")
    assert setup.split is not None
    x, y = clouds(N)
    held = {tuple(row) for row in setup.train.x.tolist()}
    changed = torch.tensor([tuple(row) in held for row in x.tolist()])
    spoilt = torch.where(changed[:, None], 50 + x, x)
    theta0 = with_start(setup, progress=False).theta0
    assert theta0 is not None
    assert theta0 == with_start(prepare(network(), (spoilt, y), None, asked(), "zero_one"), progress=False).theta0


def test_other_bases_are_written_as_they_were() -> None:
    assert BaseOrigin(seed=3).model_dump(mode="json") == {
        "kind": "seeded", "seed": 3, "sha256": None, "disjoint": False,
    }  # fmt: skip


@pytest.mark.parametrize("share", [0.0001, 0.9999])
def test_a_share_is_rounded_to_64ths_and_leaves_both_sides_some(share: float) -> None:
    setup = prepare(network(), clouds(N), None, asked().model_copy(update={"prior_share": share}), "zero_one")
    assert setup.split is not None
    assert setup.split.parts in (1, 63)


def test_a_file_of_theta0_must_be_the_one_named_and_fit_the_network() -> None:
    raw = freeze_network(network())
    split = SplitSpec(parts=32, whole=N, digest="0" * 64, size=len(raw))
    origin = BaseOrigin(kind="split", sha256="1" * 64, split=split)
    with pytest.raises(ModelError, match="another SHA-256"):
        start_base(network(), raw, origin)
    other = torch.nn.Sequential(torch.nn.Linear(FEATURES, 3))
    named = origin.model_copy(update={"sha256": hashlib.sha256(raw).hexdigest()})
    with pytest.raises(ModelError, match="has the parameters of Sequential"):
        start_base(other, raw, named)
    junk = b"\x08\0\0\0\0\0\0\0garbage!"
    named = origin.model_copy(update={"sha256": hashlib.sha256(junk).hexdigest()})
    with pytest.raises(ModelError, match="no safetensors file"):
        start_base(network(), junk, named)


def test_training_on_a_share_may_start_from_a_disjoint_checkpoint(tmp_path: Path) -> None:
    save_file(network(5).state_dict(), tmp_path / "w.safetensors")
    weights = {"checkpoint": str(tmp_path / "w.safetensors"), "disjoint": True, "start_minutes": 1e-4}
    with pytest.raises(RequestError, match="Give a longer --start-minutes"):
        certify(network(), clouds(N), request=asked(**weights, new_head=True), progress=False)
    made = certify(network(), clouds(N), request=asked(**{**weights, "start_minutes": 0.004}), progress=False)
    split = made.hypothesis.base.split
    assert split is not None
    assert split.checkpoint == file_digest(tmp_path / "w.safetensors")
    assert split.start == values_digest(network(5), Layout.of(network(5)))
    assert f"part of the sample from a checkpoint, sha256 {split.checkpoint[:16]}" in " ".join(render(made).split())
    assert "from a checkpoint of data disjoint from this sample, fixed before" in " ".join(made.declarations)
    made.save(tmp_path / "c.json")
    assert pb.verify(tmp_path / "c.json", data=clouds(N), model=network()).require().level == "risk"


def test_a_finished_theta0_is_not_trained_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    setup = prepare(network(), clouds(N), None, asked(), "zero_one")
    first = with_start(setup, tmp_path / "theta0", progress=False)
    monkeypatch.setattr("pacbound.pipeline.starting.train_start", None)
    assert with_start(setup, tmp_path / "theta0", progress=False).theta0 == first.theta0
    other = prepare(network(), clouds(N, seed=1), None, asked(), "zero_one")
    with pytest.raises(StateError, match="belongs to another request"):
        with_start(other, tmp_path / "theta0", progress=False)


def test_an_augmentation_of_images_is_refused_for_other_examples() -> None:
    with pytest.raises(RequestError, match="is for images, got examples"):
        certify(network(), clouds(N), request=asked(augmentation="shift"), progress=False)


def test_an_unfinished_theta0_is_gone_on_with_where_that_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "c.json.state.methods").mkdir()
    done = CliRunner().invoke(app, ["certify", "--prior-share", "0.25", "-o", "c.json"])
    assert (done.exit_code, "--resume" in str(done.exception)) == (1, True)


def test_a_split_belongs_to_the_method_subspace() -> None:
    with pytest.raises(RequestError, match="for the methods subspace and picks, got 'surrogate'"):
        prepare(network(), clouds(N), None, asked(method="surrogate"), "zero_one")


def test_people_read_of_the_split_and_tables_set_it_apart(certificate: Certificate, plain: Certificate) -> None:
    text = render(certificate)
    assert "theta0 saw the first 160 of 320 examples, permuted by seed 3" in text
    table = render_comparison(compare([("whole", plain), ("split", certificate)]), width=200)
    assert "user (160 examples apart from 160 that theta0 saw" in table


def test_a_split_network_is_measured_on_the_part_that_it_is_certified_on(
    certificate: Certificate, tmp_path: Path
) -> None:
    certificate.save(tmp_path / "c.json")
    found = measure(Certificate.load(tmp_path / "c.json"), network(), data=clouds(N), measures=("stable_rank",))
    assert found.measures


def test_the_command_line_splits_and_verifies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    save_clouds(tmp_path)
    options = ["--data", "clouds.npz", "--model", "h4-R-L", "--prior-share", "0.25", "--encoder", "plain", "--d", "4"]
    done = CliRunner().invoke(app, ["certify", *options, "--epochs", "1", "-o", "c.json"])
    assert done.exit_code == 0, done.output
    done = CliRunner().invoke(app, ["verify", "c.json", "--data", "clouds.npz"])
    assert (done.exit_code, "stands, at level risk" in done.stdout) == (0, True)


class Scaled(nn.Module):
    """Multiplies its inputs by a buffer that no file of the network holds."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.inner = network(1)
        self.register_buffer("factor", torch.full((FEATURES,), factor), persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.inner(x * self.factor)


def test_a_buffer_that_the_file_of_theta0_does_not_hold_is_declared_and_bound(tmp_path: Path) -> None:
    request = quick(prior_share=0.5, frozen_buffers=("factor",))
    made = pb.certify(Scaled(1.0), clouds(), request=request, progress=False)
    assert "constants" in {entry.item for entry in made.entries if entry.kind == "declared"}
    made.save(tmp_path / "c.json")
    assert pb.verify(tmp_path / "c.json", data=clouds(), model=Scaled(1.0)).stands
    assert not pb.verify(tmp_path / "c.json", data=clouds(), model=Scaled(1.02)).stands
