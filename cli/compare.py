"""`pacbound compare`: certificates side by side."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from pacbound.certificate import Certificate


def compare(
    certificates: Annotated[list[Path], typer.Argument(help="Certificate files.", show_default=False)],
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Print certificates side by side: bound, error, bits, bits per parameter, and the attached measures.

    Certificates about other data, another loss or another delta are set apart, with the reason.

    \b
    pacbound compare bottleneck_1.json bottleneck_8.json
    """
    from pacbound.reports.compare import compare as beside
    from pacbound.reports.compare import render, render_json

    comparison = beside([(str(path), _loaded(path)) for path in certificates])
    typer.echo(render_json(comparison) if json else render(comparison))


def _loaded(path: Path) -> "Certificate":
    from pacbound.certificate import Certificate
    from pacbound.errors import CertificateError

    try:
        return Certificate.load(path)
    except CertificateError as why:  # of many files the one at fault is named
        raise CertificateError(f"{path}: {why}") from None
