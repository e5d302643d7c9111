"""A network by its description, without anybody's code: certified, decoded, verified at level risk, and forged."""

from pathlib import Path

import pytest
import torch
from pacbound_cli.main import app
from typer.testing import CliRunner

import pacbound as pb
from pacbound.pipeline.preparation import prepare
from tests.forge import Document, caught, forge
from tests.tiny import quick

QUICK = ["--encoder", "plain", "--d", "16", "--epochs", "3", "--batch", "300", "--rate", "0.05", "--beta", "1"]


@pytest.mark.parametrize(
    ("shape", "name"),
    [
        ((1, 28, 28), "bars2-c8k5-R-A4s3-L"), ((1, 40, 24), "bars2-c8k5-R-A4s3-L"),
        ((1, 16, 16), "edges2-c12k3-R-A2-L"), ((1, 8, 8), "c16k3-R-A2-L"), ((1, 7, 9), "mlp"),
        ((8, 4), "mlp"), ((1, 3, 9), "mlp"),
        ((3, 32, 32), "flip-bars2-c12k3p1-R-A3-c32k3p1-R-A3-L"), ((1, 32, 32), "pooled"), ((4, 33, 32), "pooled"),
        ((3, 16, 31), "lenet1"), ((3, 8, 8), "mlp"), ((7,), "mlp"),
    ],
)  # fmt: skip
def test_auto_goes_by_the_shape_of_an_example(shape: tuple[int, ...], name: str) -> None:
    x = torch.randint(0, 256, (8, *shape), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    setup = prepare(
        "auto", pb.Examples("pictures", x, torch.arange(8) % 2, 2), None, quick(projector="fastfood"), "zero_one"
    )
    assert (setup.model, setup.base.module(x.float()).shape) == (name, (8, 2))


@pytest.mark.parametrize(
    ("given", "name", "bits"), [("h64-R-L", "h64-R-L", 16), ("w2/c2k3s1-R-A3-r2-G-L", "c4k3-R-A3-r4-G-L", 34)]
)
def test_the_command_certifies_and_verifies_a_description(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: str, name: str, bits: int
) -> None:
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, ["certify", "--data", "digits", "--model", given, *QUICK])
    assert done.exit_code == 0, done.output
    assert done.stderr.rstrip().endswith("verify digits.json")  # nobody has to bring the network
    certificate = pb.Certificate.load("digits.json")
    assert certificate.hypothesis.model == name
    model = next(entry for entry in certificate.ledger.entries if entry.item == "model")
    assert (model.bits, model.kind) == (bits, "counted")
    assert "its own description" in model.why
    assert "architecture" not in {entry.item for entry in certificate.ledger.entries}
    by_convention = next(entry for entry in certificate.ledger.entries if entry.item == "package defaults")
    assert "by convention" in by_convention.why
    found = pb.verify("digits.json", level="risk")
    assert (found.stands, found.level) == (True, "risk"), found.reason
    for edit, level in ((another_network, ("message", "hypothesis")), (cheaper_network, ("message", "ledger"))):
        forged = forge(certificate, edit, tmp_path / "forged.json", consistent=True)
        assert caught(forged, "risk") == level
    assert caught(forge(certificate, second_name, tmp_path / "forged.json"), "risk") == ("arithmetic", "schema")


def another_network(document: Document) -> None:
    document["hypothesis"]["model"] = "lenet1"


def cheaper_network(document: Document) -> None:
    """Bits move from the architecture to the symbols, so that all sums stay right."""
    entries = {entry["item"]: entry for entry in document["ledger"]}
    entries["model"]["bits"] -= 10
    entries["symbols"]["bits"] += 10


def second_name(document: Document) -> None:
    document["hypothesis"]["model"] = "w1/" + document["hypothesis"]["model"]


def test_a_description_that_does_not_fit_the_data_is_refused_by_its_layer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for more in ([], ["--dry-run"]):
        done = CliRunner().invoke(app, ["certify", "--data", "digits", "--model", "c4k3p0-c4k7p0-L", *more])
        assert isinstance(done.exception, pb.PacboundError)
        assert "layer 2 (c4k7p0) of c4k3p0-c4k7p0-L" in str(done.exception)


def test_a_plan_shows_the_price_of_a_description() -> None:
    done = CliRunner().invoke(app, ["certify", "--data", "digits", "--model", "c4k3-R-A3-L", "--dry-run", *QUICK])
    assert "c4k3-R-A3-L, D = " in done.stdout
    assert "the architecture is paid by its own description" in done.stdout
