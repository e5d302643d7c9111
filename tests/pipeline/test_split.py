"""A data-dependent prior: theta0 from the first examples of a permutation, the statement about the rest."""

import hashlib
from pathlib import Path

import pytest
import torch
from pacbound_cli.main import app
from typer.testing import CliRunner

import pacbound as pb
from pacbound.certificate import Certificate
from pacbound.errors import ModelError, RequestError
from pacbound.measures.measuring import measure
from pacbound.methods.table import certify
from pacbound.networks.checkpoints import start_base
from pacbound.networks.frozen import freeze_network
from pacbound.pipeline.preparation import prepare, with_start
from pacbound.reports.beside import render as render_comparison
from pacbound.reports.compare import compare
from pacbound.reports.show import render
from pacbound.specs.specs import BaseOrigin, SplitSpec
from tests.tiny import FEATURES, clouds, network, quick

N = 320


def asked(**options: object) -> pb.Request:
    return quick(d=8, epochs=2, batch=60, prior_share=0.5, **options)


@pytest.fixture(scope="module")
def certificate() -> Certificate:
    return certify(network(), clouds(N), request=asked(seed=3), progress=False)


def test_a_split_is_certified_on_its_rest_and_says_so(certificate: Certificate) -> None:
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
    plain = certify(network(), clouds(N), request=quick(d=8, epochs=2, batch=60), progress=False)
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


def test_a_split_and_a_checkpoint_are_not_both_theta0() -> None:
    request = asked(checkpoint="w.pt", disjoint=True)
    with pytest.raises(RequestError, match="Leave one out"):
        prepare(network(), clouds(N), None, request, "zero_one")


def test_a_split_belongs_to_the_method_subspace() -> None:
    with pytest.raises(RequestError, match="for the methods subspace and picks, got 'surrogate'"):
        prepare(network(), clouds(N), None, asked(method="surrogate"), "zero_one")


def test_people_read_of_the_split_and_tables_set_it_apart(certificate: Certificate) -> None:
    text = render(certificate)
    assert "theta0 saw the first 160 of 320 examples, permuted by seed 3" in text
    plain = certify(network(), clouds(N), request=quick(d=8, epochs=1, batch=60), progress=False)
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
    options = ["--prior-share", "0.25", "--encoder", "plain", "--d", "4", "--epochs", "1", "-o", "c.json"]
    done = CliRunner().invoke(app, ["certify", *options])
    assert done.exit_code == 0, done.output
    done = CliRunner().invoke(app, ["verify", "c.json"])
    assert (done.exit_code, "stands, at level risk" in done.stdout) == (0, True)
