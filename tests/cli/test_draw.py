"""`--posterior draw` from the command line: the posterior lands beside the certificate, and verify reads it."""

from pathlib import Path

import pytest
from pacbound_cli.main import app
from typer.testing import CliRunner

from tests.tiny import save_clouds

pytestmark = pytest.mark.usefixtures("brief_posterior")


def test_a_draw_is_written_with_its_posterior_and_verified(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_clouds(tmp_path, 600)
    monkeypatch.chdir(tmp_path)
    options = ["--posterior", "draw", "--earlier-draws", "0", "--d", "8", "--epochs", "5", "--batch", "60"]
    done = CliRunner().invoke(app, ["certify", "--data", "clouds.npz", *options])
    assert done.exit_code == 0, done.stderr
    assert "single_draw" in done.stdout
    assert len(list(tmp_path.glob("*.safetensors"))) == 1
    checked = CliRunner().invoke(app, ["verify", "clouds.json", "--data", "clouds.npz"])
    assert checked.exit_code == 0, checked.stderr
    assert "the draw is honest" in " ".join((checked.stdout + checked.stderr).split())
    next(tmp_path.glob("*.safetensors")).unlink()
    assert CliRunner().invoke(app, ["verify", "clouds.json", "--data", "clouds.npz"]).exit_code == 1
