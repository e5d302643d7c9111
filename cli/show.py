"""`pacbound show`: one certificate for a paper, a model card or the terminal."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from .files import columns, load_either


class Format(StrEnum):
    """Output formats."""

    text = "text"
    markdown = "markdown"
    latex = "latex"
    json = "json"


def show(
    certificate: Annotated[Path, typer.Argument(help="A certificate file.")],
    format: Annotated[Format, typer.Option("--format", help="What to print.")] = Format.text,
    plot: Annotated[
        Path | None,
        typer.Option(help="Of picks: errors left and the bound against picks, into this .svg, .png or .pdf."),
    ] = None,
    picked: Annotated[
        Path | None,
        typer.Option(help="Of picks: the first and last 40 of them as pictures, into this .png, .svg or .pdf."),
    ] = None,
    data: Annotated[
        str | None, typer.Option(help="The examples for --picked, as for verify; digits need none.")
    ] = None,
    data_dir: Annotated[
        Path | None, typer.Option(help="Folder with one folder per data set (or PACBOUND_DATA).")
    ] = None,
) -> None:
    """Render a certificate: statement, bound, errors, ledger line by line, and what it does not say.

    \b
    pacbound show certificate.json --format latex > certificate.tex
    pacbound show picks.json --plot picks.svg --picked sheet.png --data mnist

    \b
      bound             ... % (picks, confidence 95 %)
      picked            833 of 60,000 examples; 553 errors on the others;
                        k = 1,386
      order of picking  misclassified examples in a random order ...
      indices           13,328 bits, not charged ...
    """
    from pacbound.certificate import Certificate
    from pacbound.errors import RequestError
    from pacbound.reports.show import render

    if picked is None and (data is not None or data_dir is not None):
        raise RequestError("show: --data and --data-dir are for the pictures of --picked. Add it, or leave them out.")
    shown = load_either(certificate)
    typer.echo(render(shown, format.value, columns()))
    if not isinstance(shown, Certificate) and (plot is not None or picked is not None):
        raise RequestError("show: --plot and --picked are for picks. pacbound report draws the figures of others.")
    if plot is not None:
        from pacbound.reports.picks_plot import plot_picks

        plot_picks(shown, plot)
        typer.echo(f"curves written to {plot}", err=True)
    if picked is not None:
        from pacbound.verification.sheet import draw_sheet

        draw_sheet(shown, picked, data, data_dir)
        typer.echo(f"pictures written to {picked}", err=True)
