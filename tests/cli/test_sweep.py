"""`pacbound sweep` from outside: what it prints, its exit codes, and what a dry run says about prices."""

import json
import re
from pathlib import Path

import pytest
from pacbound_cli.main import app
from typer.testing import CliRunner, Result

import pacbound as pb
from tests.several import forked
from tests.sweeps.test_processes import sweeping
from tests.tiny import save_clouds

ANSI = re.compile(r"\x1b\[[0-9;]*m")
TINY = 'data = "clouds.npz"\nmodel = "h4-R-L"\nencoder = "plain"\nepochs = 3\nbatch = 60\nrate = 0.05\n'


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    save_clouds(tmp_path, 240)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(folder: Path, text: str, *arguments: str) -> Result:
    (folder / "s.toml").write_text(text)
    return CliRunner().invoke(app, ["sweep", "s.toml", *arguments])


def test_a_dry_run_says_what_is_free_what_is_paid_and_what_the_grid_costs(folder: Path) -> None:
    grid = (
        '[sweep]\nearlier_sweeps = 2\n[grid]\nrate = [0.1, 0.2]\nd = [4, 8]\nmodel = ["nets:a", "nets:b", "h4-R-L"]\n'
    )
    done = run(folder, TINY + grid, "--dry-run")
    assert done.exit_code == 0
    assert "12 runs, in the order of engine grid" in done.stdout
    assert re.search(r"rate: 0.1, 0.2\n +free", done.stdout)
    assert re.search(r"d: 4, 8\n +paid in the message", done.stdout)
    assert re.search(r"model: nets:a, nets:b, h4-R-L\n +paid by the grid", done.stdout)
    assert "the grid costs 6 bits" in done.stdout  # 3 combinations, 3 * 4 for the third sweep: 36
    assert "0012" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert sorted(path.name for path in folder.iterdir()) == ["clouds.npz", "s.toml"]
    found = json.loads(run(folder, TINY + grid, "--dry-run", "--json").stdout)
    assert (found["bits"], found["combinations"], found["number"], len(found["runs"])) == (6, 3, 3, 12)
    assert found["ways"] == {"rate": "free", "d": "message", "model": "grid"}


@pytest.mark.one_worker
def test_it_runs_says_which_is_best_and_the_best_verifies(folder: Path) -> None:
    (folder / "s.toml").write_text(TINY + "[grid]\nd = [4, 8]\n")
    done = forked(sweeping, "s.toml", "--json", folder=folder).end()
    err = ANSI.sub("", done.err)
    assert done.code == 0, err
    summary = json.loads(done.out)
    assert (summary["runs"], summary["finished"]) == (2, 2)
    best = folder / "s" / summary["best"]["file"]
    assert "2 of 2 runs finished" in err
    assert f"s/{summary['best']['file']}" in err
    assert pb.Certificate.load(best).bound.value == summary["best"]["bound"]
    shown = CliRunner().invoke(app, ["show", str(best)]).stdout
    assert re.search(rf"sweep +run {summary['best']['run']} of 2: d {summary['best']['options']['d']}", shown)
    verified = CliRunner().invoke(app, ["verify", str(best), "--data", "clouds.npz"])
    assert verified.exit_code == 0
    assert "the grid of the sweep is the one that was searched" in verified.stdout


def test_a_budget_that_is_spent_leaves_runs_for_the_next_call(folder: Path) -> None:
    done = run(folder, TINY + "[grid]\nd = [4, 8]\n", "--budget", "0", "--json")
    assert done.exit_code == 0
    assert json.loads(done.stdout)["finished"] == 0
    assert "2 runs are left; the same command goes on with them" in done.stderr


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("d = 3\n", "has a table [grid]"),
        ("[grid]\ndelta = [0.05, 0.01]\n", "delta is no option of a grid"),
        ('[grid]\ndata = ["digits", "mnist"]\n', "data is no option of a grid"),
        ("[grid]\nratio = [1, 2]\n", "there is no option 'ratio'"),
        ('[grid]\nmodel = ["nets:a", "nets:b"]\n', "Write earlier_sweeps = N"),
        ("not toml", "not a readable TOML file"),
    ],
)
def test_a_wrong_configuration_is_one_message(folder: Path, text: str, complaint: str) -> None:
    done = run(folder, text)
    assert isinstance(done.exception, pb.PacboundError)
    assert complaint in str(done.exception)
    assert not (folder / "s").exists()


def test_help_shows_the_tables_of_a_configuration() -> None:
    done = CliRunner().invoke(app, ["sweep", "--help"], env={"COLUMNS": "80", "TERM": "dumb"})
    text = ANSI.sub("", done.stdout)
    assert "Options, [grid] and [sweep]." in text
    assert re.search(r"^ \[sweep\]", text, re.MULTILINE)
    assert re.search(r"^ \[grid\]", text, re.MULTILINE)
