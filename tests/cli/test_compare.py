import json
import os
from pathlib import Path

import pytest
from pacbound_cli.main import app, main
from typer.testing import CliRunner

from pacbound.certificate import Certificate
from pacbound.errors import CertificateError, RequestError
from pacbound.reports.beside import render
from pacbound.reports.compare import compare
from tests.forge import honest


@pytest.fixture
def paths(tmp_path: Path) -> list[str]:
    made = {"a.json": honest(), "b.json": honest(count=100), "other.json": honest(name="digits", digest="c" * 64)}
    for name, certificate in made.items():
        certificate.save(tmp_path / name)
    return [str(tmp_path / name) for name in made]


def loaded(paths: list[str]) -> list[tuple[str, Certificate]]:
    return [(path, Certificate.load(path)) for path in paths]


@pytest.mark.parametrize("flag", ["", "--json", "--csv", "--markdown", "--latex"])
def test_compare_prints_what_render_gives(paths: list[str], flag: str) -> None:
    result = CliRunner().invoke(app, ["compare", *paths, *([flag] if flag else [])], env={"COLUMNS": "70"})
    assert result.exit_code == 0, result.output
    expected = render(compare(loaded(paths)), flag.removeprefix("--") or "text", 70)  # type: ignore[arg-type]
    assert result.output == expected + "\n"


def test_a_folder_stands_for_the_certificates_in_it(paths: list[str]) -> None:
    one = CliRunner().invoke(app, ["compare", os.path.dirname(paths[0]), "--json"])
    other = CliRunner().invoke(app, ["compare", *paths, "--json"])
    assert one.stdout == other.stdout


def test_differences_are_to_the_one_that_is_asked_for(paths: list[str]) -> None:
    document = json.loads(CliRunner().invoke(app, ["compare", *paths, "--to", paths[1], "--json"]).stdout)
    assert document["first"] == paths[1]


def test_what_does_not_stand_makes_the_exit_status_1_and_is_not_ranked(paths: list[str], tmp_path: Path) -> None:
    document = json.loads(Path(paths[0]).read_text())
    document["bound"]["value"] = 0.001
    (tmp_path / "forged.json").write_text(json.dumps(document))
    result = CliRunner().invoke(app, ["compare", str(tmp_path)])
    assert result.exit_code == 1
    assert "WARNING. forged is in no ranking" in result.stdout
    assert "forged" not in result.stdout.split("\n\n")[1]


def test_what_cannot_be_read_of_a_folder_is_named_once_and_makes_the_exit_status_2(
    paths: list[str], tmp_path: Path
) -> None:
    (tmp_path / "runs.json").write_text("[1, 2]")
    result = CliRunner().invoke(app, ["compare", str(tmp_path)])
    assert result.exit_code == 2
    assert result.stderr.count("runs.json") == 1
    assert "certificate" in result.stdout


@pytest.mark.parametrize("arguments", [[], ["none.json"]])
def test_wrong_usage_prints_no_table(arguments: list[str]) -> None:
    result = CliRunner().invoke(app, ["compare", *arguments])
    assert result.exit_code != 0
    assert "bits/param" not in result.stdout


def test_one_output_at_a_time(paths: list[str]) -> None:
    result = CliRunner().invoke(app, ["compare", *paths, "--csv", "--latex"])
    assert isinstance(result.exception, RequestError)
    assert "got --csv and --latex" in str(result.exception)


@pytest.mark.parametrize("content", ["[1, 2]", None])
def test_the_file_that_is_no_certificate_is_named_once(
    paths: list[str], tmp_path: Path, content: str | None, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    if content is not None:
        (tmp_path / "runs.json").write_text(content)
    monkeypatch.setattr("sys.argv", ["pacbound", "compare", *paths, str(tmp_path / "runs.json")])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 2
    assert capsys.readouterr().err.count("runs.json") == 1


def test_a_folder_without_certificates_is_refused(tmp_path: Path) -> None:
    assert isinstance(CliRunner().invoke(app, ["compare", str(tmp_path)]).exception, RequestError)
    (tmp_path / "a.json").write_text("{}")
    refusal = CliRunner().invoke(app, ["compare", str(tmp_path)]).exception
    assert isinstance(refusal, CertificateError)
    assert "none of the files is a certificate" in str(refusal)


def test_the_plot_is_written_beside_the_table(paths: list[str], tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="the report extra is not installed")
    result = CliRunner().invoke(app, ["compare", *paths, "--plot", str(tmp_path / "a.svg")])
    assert result.exit_code == 0, result.output
    assert "<svg" in (tmp_path / "a.svg").read_text()
    assert "bound" in result.stdout
