"""A checkpoint bounded as it is, from the command line: certify, show, compare, verify."""

from pathlib import Path

import numpy as np
import pytest
import torch
from pacbound_cli.main import app
from typer.testing import CliRunner

import pacbound as pb
from pacbound.networks.checkpoints import file_digest
from tests.methods.task import N, save_original, unlabelled
from tests.tiny import clouds

OPTIONS = (
    "--method surrogate --model tinynet:build --checkpoint original.safetensors --data sample.npz "
    "--unlabelled inputs.npz:1/2 --earlier-looks 0 --surrogate mlp --encoder plain --d 16 --epochs 3 --batch 120 "
    "--rate 0.05 -o c.json"
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "tinynet.py").write_text("from tests.tiny import network\n\n\ndef build():\n    return network()\n")
    save_original(tmp_path)
    x, y = clouds(N)
    np.savez("sample.npz", x=x.numpy(), y=y.numpy())
    np.savez("inputs.npz", x=unlabelled().numpy())
    return tmp_path


def test_the_whole_way(folder: Path) -> None:
    run = CliRunner()
    done = run.invoke(app, ["certify", *OPTIONS.split()])
    assert done.exit_code == 0, done.output
    told = " ".join((done.stdout + done.stderr).split())
    assert "the original network, whose file has SHA-256" in told
    hint = (
        "pacbound verify c.json --data sample.npz --model tinynet:build --checkpoint original.safetensors "
        "--unlabelled inputs.npz:1/2"
    )
    assert hint in told
    done = run.invoke(app, hint.split()[1:])
    assert (done.exit_code, "stands, at level risk" in done.stdout) == (0, True), done.output
    other_half = hint.replace("1/2", "2/2").split()[1:]
    assert run.invoke(app, other_half).exit_code == 1
    assert "surrogate's risk" in run.invoke(app, ["show", "c.json"]).stdout
    assert "user by mlp" in run.invoke(app, ["compare", "c.json"]).stdout


def test_a_dry_run_plans_the_surrogate_and_writes_nothing(folder: Path) -> None:
    done = CliRunner().invoke(app, ["certify", *OPTIONS.split(), "--dry-run"])
    assert done.exit_code == 0, done.output
    assert "network  mlp" in done.stdout
    assert "choice of a surrogate" in done.stdout or "inputs" in done.stdout
    assert "nothing was trained or written" in done.stdout
    assert not (folder / "c.json").exists()


def test_a_dry_run_of_auto_plans_every_method_of_the_list_and_says_why_not_the_others(folder: Path) -> None:
    options = OPTIONS.replace("--method surrogate", "--method auto")
    done = CliRunner().invoke(app, ["certify", *options.split(), "--prior-share", "0.5", "--dry-run"])
    assert done.exit_code == 0, done.output
    titles = [line.split()[1] for line in done.stdout.splitlines() if line.startswith("method")]
    assert titles == ["subspace", "prior", "direct", "surrogate", "surrogate_prior", "picks"]
    assert "parameters, which are coded themselves" in done.stdout
    assert (
        "pacbound: methods that will be tried: subspace, prior, direct, surrogate, surrogate_prior, picks"
        in done.stderr
    )
    assert "pacbound: method transfer does not apply: nobody says" in done.stderr
    assert list(folder.glob("c.json*")) == []


BACKBONE = """
from torch import nn


def small():
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 3))


def backbone(outputs=3):
    body = (nn.Conv2d(3, 6, 3, stride=2), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten())
    return nn.Sequential(*body, nn.Linear(24, outputs))
"""


def bars(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Grey images (n, 8, 8) of a bright row, column or corner, and which of these (n,)."""
    generator = np.random.default_rng(seed)
    x, y = generator.integers(0, 90, (n, 8, 8), dtype=np.uint8), np.arange(n) % 3
    for image, kind, place in zip(x, y, generator.integers(1, 7, n), strict=True):
        image[(slice(place, place + 1), slice(None), slice(0, 4))[kind], (slice(None), place, slice(0, 4))[kind]] = 250
    return x, y


def test_a_backbone_with_another_head_learns_a_share_and_its_surrogate_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pictures resized for a network by others, whose head alone learns from half of the labels, frozen before it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr("pacbound.training.start.EPOCHS", 2)
    Path("tinybackbone.py").write_text(BACKBONE)
    import tinybackbone

    with torch.random.fork_rng():
        torch.manual_seed(0)
        torch.save(tinybackbone.backbone(7).state_dict(), "backbone.pt")
        torch.save(tinybackbone.small().state_dict(), "original.pt")
    x, y = bars(240, 0)
    np.savez("sample.npz", x=x[:, None], y=y)
    np.savez("inputs.npz", x=bars(150, 1)[0][:, None])
    options = (
        "--method surrogate --model tinybackbone:small --checkpoint original.pt --data sample.npz --unlabelled "
        "inputs.npz --earlier-looks 0 --surrogate tinybackbone:backbone --surrogate-checkpoint backbone.pt "
        "--surrogate-preprocess lite@12 --disjoint --new-head --train head --prior-share 0.5 --encoder plain --d 8 "
        "--epochs 1 -o c.json"
    )
    done = CliRunner().invoke(app, ["certify", *options.split()])
    assert done.exit_code == 0, done.output
    made = pb.Certificate.load("c.json")
    base = made.hypothesis.base
    assert base.split is not None
    assert (base.kind, base.split.checkpoint) == ("split", file_digest("backbone.pt"))
    assert (made.hypothesis.train, made.hypothesis.preprocess.text, made.risk.n) == ("head", "lite@12", 120)
    assert (tmp_path / base.file).stat().st_size < 2000  # of the head alone
    hint = next(line for line in done.stderr.splitlines() if "pacbound verify" in line)
    done = CliRunner().invoke(app, hint.split()[hint.split().index("verify") :])
    assert (done.exit_code, "stands, at level risk" in done.stdout) == (0, True), done.output
