"""README.md and docs/: commands exist, public names are documented, examples are true, and no figure is typed."""

import doctest
import re
import shlex
from pathlib import Path

import click
import pytest
import typer
from pacbound_cli.main import app

import pacbound as pb

ROOT = Path(__file__).parents[1]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
FENCE = re.compile(r"^```([^\n]*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
MADE = re.compile(r"<!-- (?:table|show|study|summary|report) \S+ -->.*?<!-- end -->", re.DOTALL)
FIGURE = re.compile(r"\d+\.\d+ ?%")
DRAWN = re.compile(r"<!-- drawn by (pacbound .+ --plot (\S+)) -->")


def commands(text: str) -> list[list[str]]:
    """Words behind `pacbound` of every command in the fenced blocks of a page, and of those that draw its pictures."""
    blocks = [body for _, body in FENCE.findall(MADE.sub("", text))] + [command for command, _ in DRAWN.findall(text)]
    lines = [part for block in blocks for line in block.replace("\\\n", " ").splitlines() for part in line.split("&&")]
    named = [line for line in lines if re.match(r"\s*(\S*/)?pacbound\s", line)]
    return [shlex.split(line, comments=True)[1:] for line in named]


def complaint(words: list[str]) -> str:
    """What the command line says of verbs and options; empty where it knows them. Values are not looked at."""
    command: click.Command = typer.main.get_command(app)
    while hasattr(command, "commands") and words and words[0] in command.commands:
        command, words = command.commands[words[0]], words[1:]
    try:
        _, left, _ = command.make_parser(typer.Context(command)).parse_args(list(words))
    except Exception as refusal:  # of click, or of typer's own copy of it
        return str(refusal)
    return f"there is no verb {left[0]}" if left and hasattr(command, "commands") else ""


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_of_a_page_has_a_verb_and_options_that_exist(page: Path) -> None:
    found = {shlex.join(words): complaint(words) for words in commands(page.read_text("utf-8"))}
    assert {command: why for command, why in found.items() if why} == {}


def test_there_are_commands_in_the_pages() -> None:
    assert sum(len(commands(page.read_text("utf-8"))) for page in PAGES) > 50


@pytest.mark.parametrize(
    "line",
    [
        "pacbound certifi",
        "pacbound certify --dta mnist",
        "cd x && .venv/bin/pacbound bound ml --bits 3",
        "pacbound show a -q",
    ],
)
def test_an_unknown_verb_or_option_is_seen(line: str) -> None:
    assert all(complaint(words) for words in commands(f"```\n{line}  # why\n```\n"))
    assert commands(f"```\n{line}  # why\n```\n") != []


@pytest.mark.parametrize("name", pb.__all__)
def test_every_public_name_is_in_the_reference(name: str) -> None:
    page = (ROOT / "docs" / "api.md").read_text("utf-8")
    assert re.search(rf"^\.\. auto(class|function):: pacbound\.{name}\b", page, re.MULTILINE)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_no_figure_is_typed(page: Path) -> None:
    assert FIGURE.findall(MADE.sub("", page.read_text("utf-8"))) == []


def test_a_typed_figure_is_seen() -> None:
    assert FIGURE.findall(MADE.sub("", "a 6.09 % b\n<!-- table mnist -->\n| 7.1 % |\n<!-- end -->\n")) == ["6.09 %"]


@pytest.mark.parametrize("name", ["api", "theorems"])
def test_the_examples_of_a_page_are_true(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    done = doctest.testfile(str(ROOT / "docs" / f"{name}.md"), module_relative=False, encoding="utf-8")
    assert done.failed == 0
    assert done.attempted > 1


def test_every_picture_is_there_and_no_other() -> None:
    drawn = {ROOT / file for page in PAGES for _, file in DRAWN.findall(page.read_text("utf-8"))}
    assert drawn == set((ROOT / "docs" / "figures").iterdir())


def test_what_the_readme_links_to_is_there() -> None:
    ways = re.findall(r"\]\(([^)#:]+)\)", (ROOT / "README.md").read_text("utf-8"))
    assert len(ways) > 10
    assert [way for way in ways if not (ROOT / way).exists()] == []
