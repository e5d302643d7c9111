"""A checkpoint bounded as it is, from the command line: certify, show, compare, verify."""

from pathlib import Path

import numpy as np
import pytest
from pacbound_cli.main import app
from typer.testing import CliRunner

from tests.methods.task import N, save_original, unlabelled
from tests.tiny import clouds

OPTIONS = (
    "--method surrogate --model tinynet:build --checkpoint original.safetensors --data sample.npz "
    "--unlabelled inputs.npz:1/2 --earlier-looks 0 --surrogate mlp --encoder plain --d 16 --epochs 3 --batch 30 "
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
    told = " ".join(done.stderr.split())
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
