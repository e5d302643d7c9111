"""The documentation: `python -m sphinx -W --keep-going -E -b html docs docs/_build/html`, without a network.

What a page says of the code is taken from it when the page is built: docstrings, the options of every verb, and what
`pacbound` prints, by the directive {pacbound}. Tables and figures of results are written by results/table.py.
"""

import logging
import os
import re
from pathlib import Path

import typer
from docutils import nodes
from docutils.parsers.rst import Directive
from pacbound_cli.main import app as command_line
from sphinx.application import Sphinx
from typer.cli import get_docs_for_click
from typer.testing import CliRunner

import pacbound
from pacbound.request.request import Request, free_options

ROOT = Path(__file__).parents[1]

project = "pacbound"
author = "The pacbound developers"
copyright = author
version = release = pacbound.__version__
extensions = ["myst_parser", "sphinx.ext.autodoc"]
exclude_patterns = ["_build"]
nitpicky = True
nitpick_ignore_regex = [("py:.*", ".*")]  # types of other packages: their inventories lie on the network
autodoc_default_options = {"exclude-members": "model_config"}
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
smartquotes = False
highlight_language = "text"
myst_heading_anchors = 3
myst_enable_extensions = ["colon_fence"]
html_theme = "furo"
html_title = f"pacbound {release}"
html_copy_source = False
html_show_sphinx = False

BLOCK_OF_HELP = re.compile(r"\n\x08\n(.*?)(?=\n\n|\Z)", re.DOTALL)  # a paragraph that click leaves as it is
SECTION = re.compile(r"(?:Args|Returns|Raises|Assumes|Rounds|Reference|After fit):")  # of a docstring
MARKED = re.compile(r"`([^`]*)`|[\\*|_]")  # code, and what reStructuredText reads as markup


class Output(Directive):
    """Lines of a shell that begin with `pacbound`, run in the root of the repository, each with what it printed."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        """Run them. Raises: ValueError where one fails."""
        said = "\n".join(printed(line) for line in self.content)
        return [nodes.literal_block(said, said, language="text")]


def printed(line: str) -> str:
    """Return a command and what it prints."""
    words = line.split()
    if words[0] != "pacbound":
        raise ValueError(f"docs: a line of {{pacbound}} begins with pacbound, got {line!r}.")
    result = CliRunner().invoke(command_line, words[1:], env={"COLUMNS": "88"})
    if result.exit_code != 0:
        raise ValueError(
            f"docs: {line!r} ends with 0, got {result.exit_code} and {result.exception!r}.\n{result.output}"
        )
    return f"$ {line}\n{result.output}"


class FreeOptions(Directive):
    """The options that cost nothing under a method, by their flags."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        """List them."""
        free = free_options(Request.model_validate({"method": self.content[0]}))
        flags = ", ".join(f"--{name.replace('_', '-')}" for name in free)
        return [nodes.paragraph("", "", nodes.literal(text=flags))]


def add_command_line(app: Sphinx, docname: str, source: list[str]) -> None:
    """Put the help of every verb behind the page that is called cli."""
    if docname == "cli":
        command = typer.main.get_command(command_line)
        text = get_docs_for_click(obj=command, ctx=typer.Context(command, info_name="pacbound"), name="pacbound")
        _, _, verbs = BLOCK_OF_HELP.sub(r"\n```text\n\1\n```", text).partition("\n## ")
        source[0] += f"\n## {verbs}"


def keep_together(app: Sphinx, doctree: nodes.document) -> None:
    """Keep a figure and its per cent sign on one line, in prose and tables."""
    for text in list(doctree.findall(nodes.Text)):
        if not isinstance(text.parent, nodes.literal | nodes.FixedTextElement):
            text.parent.replace(text, nodes.Text(re.sub(r"(?<=\d) %", "\N{NO-BREAK SPACE}%", text)))


def as_rst(app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]) -> None:
    """Turn a docstring of plain text into reStructuredText: formulas and lists stand as they are written."""
    paragraphs = "\n".join(lines).split("\n\n")
    lines[:] = "\n\n".join(_paragraph(one) for one in paragraphs).split("\n")


def _paragraph(text: str) -> str:
    if text.startswith(">>>"):
        return text
    if SECTION.match(text):
        return "\n".join(_section(part) for part in re.split(rf"\s+(?={SECTION.pattern})", text))
    lines = text.splitlines()
    if any(line.startswith(" ") for line in lines):
        return "::\n\n" + "\n".join(f"    {line}" for line in lines)
    return _escaped(text)


def _section(text: str) -> str:
    """Arguments, what is returned and their like: a line each, and a line for each argument that has its own."""
    head, _, rest = text.partition(":")
    own_lines = [" ".join(one.split()) for one in re.split(r"\n {4}(?! )", rest)] if rest.startswith("\n") else []
    items = own_lines[1:] or [" ".join(rest.split())]
    said = [re.sub(r"^([\w\\]+):", r"*\1*:", _escaped(one)) if own_lines else _escaped(one) for one in items]
    return "\n".join([f"| **{head}:** {said[0]}", *(f"| {one}" for one in said[1:])])


def _escaped(text: str) -> str:
    return MARKED.sub(lambda found: f"``{found[1]}``" if found[1] else f"\\{found[0]}", text)


def setup(app: Sphinx) -> None:
    """Add what this file defines."""
    os.chdir(ROOT)
    logging.getLogger("pacbound").propagate = False  # what it says belongs to the output of a command
    app.add_directive("pacbound", Output)
    app.add_directive("pacbound-free", FreeOptions)
    app.connect("source-read", add_command_line)
    app.connect("doctree-read", keep_together)
    app.connect("autodoc-process-docstring", as_rst)
