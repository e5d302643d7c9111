"""`pacbound search` from outside: what it prints, and what it hands on."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from pacbound_cli.main import app
from typer.testing import CliRunner

from pacbound.errors import RequestError
from pacbound.request.request import Request
from pacbound.sweeps import search
from pacbound.sweeps.folder import Line

LONG = "c8k5p2-R-A3-" * 8 + "L"
TRIED = (
    Line(run=1, options={"model": "h8-R-L"}, bound=0.12341, file="final/certificates/0001.json"),
    Line(run=2, options={"model": LONG}, bound=0.5, file="round-1/certificates/0002.json"),
)


def test_it_prints_the_best_runs_at_80_columns_and_what_the_best_certificate_says(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: dict[str, Any] = {}

    def found(request: Request, output: Path, **options: object) -> search.Found:
        asked.update(request=request, output=output, **options)
        return search.Found(best=TRIED[0], tried=TRIED, refused={"L": "too slow"})

    monkeypatch.setattr(search, "search", found)
    arguments = ["search", "--data", "some.csv", "--minutes", "3", "--label-column", "kind", "-o", "here", "--json"]
    done = CliRunner().invoke(app, arguments, env={"COLUMNS": "80"})
    assert done.exit_code == 0, done.output
    assert asked["request"] == Request(data="some.csv", label_column="kind")
    assert (asked["output"], asked["minutes"], asked["jobs"]) == (Path("here"), 3.0, 1)
    assert json.loads(done.stdout)["tried"][0]["bound"] == 0.12341
    assert re.search(r"12\.35 %  h8-R-L +final", done.stderr)  # rounded up
    assert "c8k5p2-R-A3-" in done.stderr
    assert LONG not in done.stderr
    assert "2 runs of 2 networks" in done.stderr
    assert "refused  L: too slow" in done.stderr
    assert "here/best.json: with probability 95 % at most 12.35 %" in done.stderr
    assert max(map(len, done.stderr.splitlines())) <= 80


def test_what_is_refused_ends_with_2_and_no_traceback(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, ["search", "--data", "digits", "--minutes", "0"])
    assert isinstance(done.exception, RequestError)  # which main() prints, as every verb's
    assert not (tmp_path / "search").exists()
