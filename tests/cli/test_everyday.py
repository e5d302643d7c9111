"""What everybody meets: help and tables of 80 columns, the version, files that are not overwritten or named twice."""

import importlib.metadata
import re
from pathlib import Path

import pytest
from pacbound_cli.main import app
from typer.testing import CliRunner

from pacbound.request.request import Request, help_of
from tests.command import pacbound
from tests.forge import honest
from tests.tiny import save_clouds

ANSI = re.compile(r"\x1b\[[0-9;]*m")
COMMANDS = [
    [], ["certify"], ["verify"], ["show"], ["compare"], ["measure"], ["simulate"], ["train"], ["code"], ["bound"],
    ["bound", "lm"], ["data"], ["data", "fetch"], ["data", "list"], ["report"], ["export"], ["sweep"], ["search"],
    ["study"],
]  # fmt: skip


def words(text: str) -> set[str]:
    return set(ANSI.sub("", text).replace("│", " ").replace("─", " ").split())


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_help_at_80_columns_breaks_no_word(command: list[str]) -> None:
    narrow, wide = (
        CliRunner().invoke(app, [*command, "--help"], env={"COLUMNS": columns, "TERM": "dumb"}).stdout
        for columns in ("80", "400")
    )
    assert max(len(line) for line in ANSI.sub("", narrow).splitlines()) <= 80
    assert words(narrow) - words(wide) == set()


def test_no_option_says_its_default_twice() -> None:
    assert [name for name in Request.model_fields if help_of(name).endswith("]") and _default(name)] == []


def _default(name: str) -> object:
    return Request.model_fields[name].default


@pytest.mark.parametrize(
    "command",
    [
        ["certify", "--model", "h64-R-L"],
        ["certify", "--method", "picks", "--model", "h64-R-L"],
        ["sweep", "docs/examples/seeds.toml"],
        ["study", "shuffle"],
    ],
    ids=" ".join,
)
def test_plans_fit_a_narrow_terminal(command: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(Path(__file__).parents[2])
    done = CliRunner().invoke(app, [*command, "--dry-run"], env={"COLUMNS": "50"})
    assert done.exit_code == 0
    assert [line for line in done.stdout.splitlines() if len(line) > 50] == []


def test_the_version_is_printed() -> None:
    code, out, _ = pacbound("--version")
    assert (code, out) == (0, f"pacbound {importlib.metadata.version('pacbound')}\n")


@pytest.mark.parametrize("verb", ["show", "verify", "compare"])
def test_what_is_printed_of_certificates_fits_80_columns_word_by_word(
    verb: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    honest(note="a note " * 40).save(tmp_path / "a.json")
    honest(count=100, note="a note " * 40).save(tmp_path / "b.json")
    _, narrow, _ = pacbound(verb, "a.json", *(["b.json"] if verb != "show" else []))
    assert max(len(line) for line in narrow.splitlines()) <= 80
    wide = (
        CliRunner()
        .invoke(app, [verb, "a.json", *(["b.json"] if verb != "show" else [])], env={"COLUMNS": "2000"})
        .output
    )
    assert words(narrow) - words(wide) == set()
    assert words(wide) - words(narrow) == set()


@pytest.mark.parametrize(
    "arguments",
    [
        ["show", "FILE.json"], ["verify", "FILE.json"], ["compare", "FILE.json"],
        ["certify", "--config", "FILE.toml"], ["certify", "--data", "FILE.npz"], ["code", "FILE.safetensors"],
        ["certify", "--data", "FILE.safetensors"], ["measure", "FILE.json"],
        ["bound", "lm", "--losses", "FILE.npz", "--bits", "3"],
        ["measure", "FILE.pt", "--model", "mlp", "--data", "digits"],
        ["report", "FILE.json"], ["export", "FILE.json", "--format", "csv"], ["sweep", "FILE.toml"],
    ],
    ids=" ".join,
)  # fmt: skip
@pytest.mark.parametrize("content", [None, b"junk"])
def test_a_file_that_is_missing_or_broken_is_named_once(
    arguments: list[str], content: bytes | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    honest().save(tmp_path / "good.json")
    given = [argument.replace("FILE", "qzx") for argument in arguments]
    (name,) = (argument for argument in given if argument.startswith("qzx"))
    if content is not None:
        (tmp_path / name).write_bytes(content)
    code, out, err = pacbound(*given)
    assert code != 0
    assert "Traceback" not in err
    text = err if err else out  # verify says of a malformed file that it does not stand
    assert text.count("qzx") == 1


def test_of_several_files_the_one_that_is_missing_is_named_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    honest().save(tmp_path / "good.json")
    code, out, err = pacbound("verify", "qzx.json", "good.json")
    assert (code, (out + err).count("qzx")) == (2, 1)
    assert "stands" in out


def test_a_certificate_is_not_overwritten_before_any_work_is_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    honest().save(tmp_path / "c.json")
    before = (tmp_path / "c.json").read_bytes()

    def work(**options: object) -> None:
        pytest.fail("the work began")

    monkeypatch.setattr("pacbound.methods.table.certify", work)
    for more in ([], ["--resume"]):
        code, _, err = pacbound("certify", "-o", "c.json", *more)
        assert code == 2
        assert "certify: 'c.json' exists" in err
        assert "--force" in err
    code, _, err = pacbound("measure", "c.json", "--model", "lenet", "--attach", "c.json")
    assert code == 2
    assert "measure: 'c.json' exists" in err
    assert (tmp_path / "c.json").read_bytes() == before


def test_force_overwrites(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    save_clouds(tmp_path)
    honest().save(tmp_path / "clouds.json")
    before = (tmp_path / "clouds.json").read_bytes()
    quick = ["--encoder", "plain", "--d", "4", "--epochs", "1", "--batch", "120"]
    result = CliRunner().invoke(app, ["certify", "--data", "clouds.npz", *quick, "--force"])
    assert result.exit_code == 0, result.output
    assert (tmp_path / "clouds.json").read_bytes() != before
