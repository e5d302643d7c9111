"""`pacbound simulate` prints what the public function returns, as a table or as JSON."""

import json

import pytest
from pacbound_cli.main import app, main
from typer.testing import CliRunner

from pacbound.measures.redundancy.simulating import simulate

TINY = ["simulate", "--form", "cp", "--sizes", "2,2", "--rank", "1", "--outputs", "2,4", "--places", "2"]


def test_json_is_the_record_and_the_table_has_a_line_for_each_point() -> None:
    expected = simulate("cp", (2, 2), 1, (2, 4), 2, repeats=1)
    document = CliRunner().invoke(app, [*TINY, "--repeats", "1", "--json"])
    assert document.exit_code == 0, document.output
    assert json.loads(document.stdout) == json.loads(expected.model_dump_json())
    lines = CliRunner().invoke(app, [*TINY, "--repeats", "1"]).stdout.splitlines()
    assert len(lines) == len(expected.points) + 2
    assert f"{expected.points[0].error:.5f}" in lines[1].split()
    assert f"{expected.slope:.3f}" in lines[-1]


@pytest.mark.parametrize("wrong", [["--sizes", "3,x"], ["--outputs", ""], ["--rank", "9"]])
def test_wrong_usage_prints_one_message_and_exits_with_2(
    wrong: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["pacbound", "simulate", *wrong])
    with pytest.raises(SystemExit) as end:
        main()
    printed = capsys.readouterr()
    assert (end.value.code, printed.out) == (2, "")
    assert printed.err.startswith("pacbound: simulate: ")
