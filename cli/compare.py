"""`pacbound compare`: certificates side by side, and what their differences mean."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from .files import certificate_files, columns, load_either

if TYPE_CHECKING:
    from pacbound.certificate import Certificate
    from pacbound.reports.beside import Format
    from pacbound.reports.language_pages import NamedLanguage


def compare(
    certificates: Annotated[
        list[Path], typer.Argument(metavar="CERT...", help="Certificate files, or folders.", show_default=False)
    ],
    to: Annotated[
        str | None,
        typer.Option("--to", metavar="CERT", help=escape("Differences are to this one [the smallest bound].")),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    csv: Annotated[bool, typer.Option("--csv", help="Print a line for each certificate.")] = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print Markdown.")] = False,
    latex: Annotated[bool, typer.Option("--latex", help="Print LaTeX.")] = False,
    plot: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.svg",
            help=escape("Draw error against bits, with lines of equal bound (needs pacbound[report])."),
        ),
    ] = None,
) -> None:
    """Print certificates side by side, smallest bound first: how far apart, by errors or bits, and beyond seeds or not.

    Other data, another loss or another delta is set apart, with the reason. What does not stand is in no ranking.

    Exit status: 1 where a certificate does not stand, 2 where a file of a folder cannot be read, else 0.

    \b
    pacbound compare results/mnist --plot mnist.svg

    \b
      certificate   bound   error   bits  to first  by errors  by bits
      seed_1          6 %  1.62 %  2,048
      seed_4       6.03 %  1.58 %  2,112     +0.03      -0.07    +0.09
      ...
      Each bound holds alone, with confidence 95 %. The best of J ...
    """
    from pacbound.reports.beside import render
    from pacbound.reports.compare import compare as beside

    chosen = _format({"json": json, "csv": csv, "markdown": markdown, "latex": latex})
    loaded, texts, unusable = _loaded(certificates)
    if texts and not loaded:
        _language(texts, chosen, to is not None or plot is not None, unusable)
        return
    unusable += [f"{name} is about a language model, in bits a symbol. Compare it with others." for name, _ in texts]
    comparison = beside(loaded, to)
    if plot is not None:
        from pacbound.reports.plane import draw

        draw(comparison, dict(loaded), plot)
    typer.echo(render(comparison, chosen, columns()))
    for line in unusable:
        typer.echo(f"pacbound: {line}", err=True)
    if unusable or not all(apart.stands for apart in comparison.apart):
        raise typer.Exit(2 if unusable else 1)


def _format(asked: dict[str, bool]) -> "Format":
    from pacbound.errors import RequestError

    chosen = [name for name, wanted in asked.items() if wanted]
    if len(chosen) > 1:
        flags = " and ".join(f"--{name}" for name in chosen)
        raise RequestError(f"compare: one output at a time, got {flags}. Leave all but one out.")
    return chosen[0] if chosen else "text"  # type: ignore[return-value]  # the keys are formats


def _language(texts: "list[NamedLanguage]", chosen: "Format", drawn: bool, unusable: list[str]) -> None:
    """Print language models side by side."""
    from pacbound.errors import RequestError
    from pacbound.reports.complaint import complaint
    from pacbound.reports.language_pages import render_compared

    if drawn:
        raise RequestError("compare: --to and --plot are about errors, got language models. See pacbound report.")
    typer.echo(render_compared(texts, chosen, columns()))
    for line in unusable:
        typer.echo(f"pacbound: {line}", err=True)
    if unusable or any(complaint(one) for _, one in texts):
        raise typer.Exit(2 if unusable else 1)


def _loaded(paths: list[Path]) -> "tuple[list[tuple[str, Certificate]], list[NamedLanguage], list[str]]":
    """Certificates by their files, those of language models apart, and what could not be read of a folder.

    Raises: CertificateError for a file.
    """
    from pacbound.certificate import Certificate
    from pacbound.certificate.language import LanguageCertificate
    from pacbound.errors import CertificateError

    loaded: list[tuple[str, Certificate]] = []
    texts: list[NamedLanguage] = []
    unusable = []
    for file in certificate_files(paths, "compare"):
        try:
            found = load_either(file)
            if isinstance(found, Certificate):
                loaded.append((str(file), found))
            elif isinstance(found, LanguageCertificate):
                texts.append((str(file), found))
            else:
                raise CertificateError(f"{file} says what versions of a network lose, each beside the others: show it.")
        except CertificateError as why:
            if file in paths:
                raise
            unusable.append(str(why))
    if not loaded and not texts:
        raise CertificateError(f"compare: none of the files is a certificate; {unusable[0]}")
    return loaded, texts, unusable
