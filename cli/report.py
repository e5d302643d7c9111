"""`pacbound report`: certificates as one page that needs nothing else."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from .files import certificate_files


class Format(StrEnum):
    """What a report is written as."""

    html = "html"
    md = "md"


def report(
    certificates: Annotated[
        list[Path], typer.Argument(metavar="CERT|DIR", help="Certificate files, or folders.", show_default=False)
    ],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help=escape("Where to write it [standard output]."))
    ] = None,
    format: Annotated[
        Format | None,
        typer.Option("--format", help=escape("[the ending of --output, else html]; html needs pacbound[report].")),
    ] = None,
    title: Annotated[str, typer.Option(help=escape("Of the page [network and data]."))] = "",
) -> None:
    """Write one page: the statement in plain words, where bits go, who declared what, the frontier, how to verify.

    Of a folder also the bounds side by side, against d and size, and transfer against scratch. No script, nothing
    from outside; the same certificates give the same bytes. Arithmetic and messages are checked on the way: what does
    not stand is marked, in no ranking, and makes the exit status 1. Files of a folder that are no certificates are
    listed.

    \b
    pacbound report results/mnist -o report.html
    pacbound report certificate.json --format md
    """
    from pacbound.certificate import Certificate
    from pacbound.certificate.files import write_atomic
    from pacbound.errors import CertificateError
    from pacbound.reports.report import report as made_of

    loaded, unread = [], []
    for file in certificate_files(certificates, "report"):
        try:
            loaded.append((file, Certificate.load(file)))
        except CertificateError as why:
            if file in certificates:
                raise CertificateError(f"{file}: {why}") from None
            unread.append((file.name, str(why)))
    if not loaded:
        raise CertificateError(f"report: none of the files is a certificate; {unread[0][0]}: {unread[0][1]}")
    whole = len(loaded) > 1 or certificates[0].is_dir()
    found = made_of([(_name(file, certificates), one) for file, one in loaded], unread, title, whole)
    chosen = format or (Format.md if output is not None and output.suffix == ".md" else Format.html)
    text = found.html() if chosen is Format.html else found.markdown() + "\n"
    if output is None:
        typer.echo(text, nl=False)
    else:
        write_atomic(output, text.encode("utf-8"))
    broken = [one for one in found.subjects if not one.stands]
    for one in broken:
        typer.echo(f"pacbound: {one.name} does not stand: {one.complaint}", err=True)
    if broken:
        raise typer.Exit(1)


def _name(file: Path, given: list[Path]) -> str:
    """Of a single folder the bare name, else the path as it was given."""
    return file.stem if len(given) == 1 else str(file.with_suffix(""))
