"""`pacbound study`: a list for people, and refusals before any work."""

import json
from pathlib import Path

import pytest
from pacbound_cli.main import app
from typer.testing import CliRunner

from pacbound.errors import PacboundError
from pacbound.request.request import make_request
from pacbound.studies import running
from pacbound.studies.catalogue import names, parts_of, read_study
from pacbound.studies.running import Results, Run
from tests.forge import honest


def test_without_a_name_all_are_listed_with_what_they_show_and_how_long_they_take() -> None:
    result = CliRunner().invoke(app, ["study"], env={"COLUMNS": "80"})
    assert result.exit_code == 0
    said = " ".join(result.stdout.split())
    for name in names():
        study = read_study(name)
        assert f"{name} {study.shows}; about {study.small.minutes:,} minutes on 2 cores" in said
    assert max(len(line) for line in result.stdout.splitlines()) <= 80


def test_lists_and_plans_are_json_where_that_is_asked_for() -> None:
    listed = json.loads(CliRunner().invoke(app, ["study", "--json"]).stdout)
    assert {name: one["shows"] for name, one in listed.items()} == {name: read_study(name).shows for name in names()}
    planned = json.loads(CliRunner().invoke(app, ["study", "shuffle", "--dry-run", "--json", "--seeds", "7,8"]).stdout)
    assert {(one["sample"], one["arm"]) for one in planned} == {
        (part.sample, part.arm) for part in parts_of(read_study("shuffle"), False)
    }
    assert all(one["seeds"] in ([7], [8], [7, 8]) for one in planned)
    assert all(make_request({**one["options"], "seed": 7}, "study").model == "lenet1" for one in planned)


def test_a_study_writes_its_page_and_its_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("matplotlib", reason="the report extra is not installed")
    asked = {}

    def run_study(study: object, output: Path, **options: object) -> Results:
        asked.update(options)
        output.mkdir(parents=True)
        runs = [Run(f"a-x-seed_{seed}", "A", "x", honest(seed=seed), None, None) for seed in (0, 1)]
        return Results(tuple(runs), 0, {})

    monkeypatch.setattr(running, "run_study", run_study)
    arguments = ["study", "shuffle", "--dir", str(tmp_path / "s"), "--seeds", "3,4", "--full"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0
    assert (asked["seeds"], asked["full"]) == ((3, 4), True)
    assert "All 2 runs are shown" in result.stdout
    assert "All 2 runs are shown" in (tmp_path / "s" / "report.html").read_text()
    assert "All 2 runs are shown" in (tmp_path / "s" / "table.md").read_text()


@pytest.mark.parametrize("name", names())
@pytest.mark.parametrize("full", [[], ["--full"]])
def test_a_dry_run_says_what_would_be_run_and_writes_nothing(name: str, full: list[str], tmp_path: Path) -> None:
    arguments = ["study", name, "--dry-run", "--dir", str(tmp_path / "s"), "--seeds", "7,8", *full]
    result = CliRunner().invoke(app, arguments, env={"COLUMNS": "2000"})
    assert result.exit_code == 0
    count, *runs, last = result.stdout.splitlines()
    study = read_study(name)
    extent = study.full if full else study.small
    pairs = len(extent.samples or study.samples) * len(extent.arms or study.arms)
    assert count == f"{2 * pairs} runs"
    assert all(line.endswith(("seeds 7", "seeds 8", "seeds 7, 8")) for line in runs)
    assert {line.split(":")[0].strip() for line in runs} == {
        f"{sample}, {arm}" for sample in extent.samples or study.samples for arm in extent.arms or study.arms
    }
    assert "nothing was trained" in last
    assert not (tmp_path / "s").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["study", "shuffles"], "one of data-dependent"),
        (["study", "shuffle", "--seeds", "1,1"], "different whole numbers"),
        (["study", "shuffle", "--seeds", "a"], "different whole numbers"),
    ],
)
def test_what_cannot_be_run_is_refused_before_any_work(arguments: list[str], said: str, tmp_path: Path) -> None:
    result = CliRunner().invoke(app, [*arguments, "--dir", str(tmp_path / "s")])
    assert isinstance(result.exception, PacboundError)
    assert said in str(result.exception)
    assert not (tmp_path / "s").exists()


def test_the_small_equivariance_is_about_an_altered_sample() -> None:
    sources = {part.plan.request.data for part in parts_of(read_study("equivariance"), False)}
    assert sources == {"mnist:1/6", "mnist:1/6+rotated"}
