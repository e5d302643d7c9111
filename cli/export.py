"""`pacbound export`: a certificate in the formats that other tools read."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from .files import certificate_files, read_named, refuse_to_lose


class Format(StrEnum):
    """Output formats."""

    model_card = "model-card"
    in_toto = "in-toto"
    cyclonedx = "cyclonedx"
    mlflow = "mlflow"
    csv = "csv"
    annex_iv = "annex-iv"


def export(
    certificates: Annotated[
        list[Path], typer.Argument(metavar="CERT", help="A certificate; for csv several, or folders.")
    ],
    format: Annotated[
        Format, typer.Option("--format", metavar="NAME", help="What to write: one of these.", show_default=False)
    ],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help=escape("Where to write it [standard output]."))
    ] = None,
) -> None:
    """Write a certificate for other tools. What does not stand is refused; csv says so in its line.

    \b
    model-card  front matter and a section for the Hugging Face Hub
    in-toto     a statement about the network, to be signed
    cyclonedx   a bill of materials 1.7 with a model card
    mlflow      metrics, params and tags, as log-batch takes them
    csv         a line for each certificate
    annex-iv    accuracy and robustness, for technical documentation

    \b
    pacbound export certificate.json --format model-card -o card.md
    pacbound export results/mnist --format csv
    pacbound export certificate.json --format in-toto -o claim.json
    cosign attest-blob --statement claim.json --bundle b.json certificate.json
    """
    from pacbound.certificate.files import write_atomic
    from pacbound.reports.exports.subject import Exported
    from pacbound.reports.exports.table import export as exported

    refuse_to_lose(output, "export")
    found = [read_named(file, Exported.load) for file in certificate_files(certificates, "export")]
    text = exported(found, format.value) + "\n"
    if output is None:
        typer.echo(text, nl=False)
    else:
        write_atomic(output, text.encode("utf-8"))
    broken = [one for one in found if one.complaint]
    for one in broken:
        typer.echo(f"pacbound: {one.name} does not stand: {one.complaint}", err=True)
    if broken:
        raise typer.Exit(1)
