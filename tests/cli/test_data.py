"""`pacbound data`: what people see, and exit codes."""

import json
import subprocess
import sys

import pytest
from pacbound_cli.main import app
from typer.testing import CliRunner

from pacbound.data.fetch import PINS, Pin
from tests.command import pacbound


def test_cifar10_names_the_layout_and_exits_2(tmp_path):
    done = pacbound("data", "fetch", "cifar10", "--root", tmp_path)
    assert (done.code, done.out) == (2, "")
    assert "cifar10/cifar-10-batches-bin/data_batch_5.bin" in done.err
    assert "Traceback" not in done.err


def test_fetch_hands_root_and_mirrors_on_in_order(tmp_path, monkeypatch):
    calls = []
    monkeypatch.setattr(
        "pacbound.data.fetch.fetch_file", lambda pin, folder, mirrors: calls.append((pin, folder, mirrors))
    )
    arguments = ["--root", str(tmp_path), "--mirror", "http://a/", "--mirror", "https://b/"]
    done = CliRunner().invoke(app, ["data", "fetch", "mnist", *arguments])
    assert done.exit_code == 0, done.output
    assert calls == [(pin, tmp_path / "mnist", ("http://a/", "https://b/")) for pin in PINS["mnist"]]
    assert all(isinstance(pin, Pin) for pin, _, _ in calls)
    assert str(tmp_path / "mnist") in done.stderr


def test_list_says_what_is_there(tmp_path):
    folder = tmp_path / "cifar10" / "cifar-10-batches-bin"
    folder.mkdir(parents=True)
    (folder / "test_batch.bin").touch()
    (tmp_path / "mnist").mkdir()
    for pin in PINS["mnist"]:
        (tmp_path / "mnist" / pin.file).touch()
    done = CliRunner().invoke(app, ["data", "list", "--root", str(tmp_path)])
    states = dict(line.split(maxsplit=1) for line in done.stdout.splitlines()[1:])
    assert states == {
        "digits": "embedded",
        "mnist": "complete",
        "fashion-mnist": "4 of 4 files missing",
        "cifar10": "5 of 6 files missing",
    }
    asked = CliRunner().invoke(app, ["data", "list", "--root", str(tmp_path), "--json"])
    found = json.loads(asked.stdout)["data"]
    assert {name: (one["files"], len(one["missing"])) for name, one in found.items()} == {
        "digits": (0, 0), "mnist": (4, 0), "fashion-mnist": (4, 4), "cifar10": (6, 5),
    }  # fmt: skip
    assert all("test_batch.bin" not in file for file in found["cifar10"]["missing"])


@pytest.mark.parametrize("verb", ["fetch", "list"])
def test_help_shows_an_example(verb):
    done = CliRunner().invoke(app, ["data", verb, "--help"])
    assert done.exit_code == 0
    assert "Example" in done.output


def test_the_verbs_do_not_import_torch():
    command = "import sys, pacbound_cli.main, pacbound_cli.data, pacbound.data.fetch; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", command], check=False).returncode == 0
