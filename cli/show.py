"""`pacbound show`: one certificate for a paper, a model card or the terminal."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from .files import columns, load_certificate


class Format(StrEnum):
    """Output formats."""

    text = "text"
    markdown = "markdown"
    latex = "latex"
    json = "json"


def show(
    certificate: Annotated[Path, typer.Argument(help="A certificate file.")],
    format: Annotated[Format, typer.Option("--format", help="What to print.")] = Format.text,
) -> None:
    """Render a certificate: statement, bound, errors, ledger line by line, and what it does not say.

    \b
    pacbound show certificate.json --format latex > certificate.tex
    """
    from pacbound.reports.show import render

    typer.echo(render(load_certificate(certificate), format.value, columns()))
