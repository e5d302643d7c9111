"""`pacbound report`: certificates as one page that needs nothing else."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from .files import certificate_files, named, refuse_to_lose

if TYPE_CHECKING:
    from pacbound.certificate import Certificate
    from pacbound.reports.picked import Strip


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
    data: Annotated[
        str | None, typer.Option(help="Of picks: show the picked examples, taken from this; as for verify.")
    ] = None,
    data_dir: Annotated[Path | None, typer.Option(help="Folder of data sets (or PACBOUND_DATA).")] = None,
) -> None:
    """Write one page: the statement in plain words, where bits go, who declared what, the frontier, how to verify.

    Of a folder also the bounds side by side, against d and size, and transfer against scratch. No script, nothing
    from outside; the same certificates give the same bytes. Arithmetic and messages are checked on the way: what does
    not stand is marked, in no ranking, and makes the exit status 1. Files of a folder that are no certificates are
    listed.

    \b
    pacbound report results/mnist -o report.html
    pacbound report certificate.json --format md
    pacbound report picks.json --data mnist -o report.html
    """
    from pacbound.certificate import Certificate
    from pacbound.certificate.difference import DifferenceCertificate
    from pacbound.certificate.documents import load_document
    from pacbound.certificate.files import write_atomic
    from pacbound.certificate.language import LanguageCertificate
    from pacbound.errors import CertificateError
    from pacbound.reports.complaint import complaint
    from pacbound.reports.difference import difference_report
    from pacbound.reports.language_pages import language_report
    from pacbound.reports.report import report as made_of

    refuse_to_lose(output, "report")
    loaded: list[tuple[Path, Certificate]] = []
    texts: list[tuple[Path, LanguageCertificate]] = []
    versions: list[tuple[Path, DifferenceCertificate]] = []
    unread = []
    for file in certificate_files(certificates, "report"):
        try:
            one = load_document(file)
            if isinstance(one, Certificate):
                loaded.append((file, one))
            elif isinstance(one, LanguageCertificate):
                texts.append((file, one))
            else:
                versions.append((file, one))
        except CertificateError as why:
            if file in certificates:
                raise CertificateError(named(file, why)) from None
            unread.append((file.name, str(why)))
    if not loaded and not texts and not versions:
        raise CertificateError(f"report: none of the files is a certificate; {unread[0][0]}: {unread[0][1]}")
    if loaded or texts:
        unread += [(file.name, "it is about versions of a network; report those apart") for file, _ in versions]
    if loaded:
        unread += [(file.name, "it is about a language model; report those apart") for file, _ in texts]
        whole = len(loaded) > 1 or certificates[0].is_dir()
        subjects = [(_name(file, certificates), one) for file, one in loaded]
        found = made_of(subjects, unread, title, whole, pictures=_pictures(subjects, data, data_dir))
        broken = [(one.name, one.complaint) for one in found.subjects if not one.stands]
    elif texts:
        models = [(_name(file, certificates), one) for file, one in texts]
        found = language_report(models, unread, title)
        broken = [(name, why) for name, one in models if (why := complaint(one))]
    else:
        pairs = [(_name(file, certificates), one) for file, one in versions]
        found = difference_report(pairs, unread, title)
        broken = [(name, why) for name, one in pairs if (why := complaint(one))]
    chosen = format or (Format.md if output is not None and output.suffix == ".md" else Format.html)
    text = found.html() if chosen is Format.html else found.markdown() + "\n"
    if output is None:
        typer.echo(text, nl=False)
    else:
        write_atomic(output, text.encode("utf-8"))
    for name, why in broken:
        typer.echo(f"pacbound: {name} does not stand: {why}", err=True)
    if broken:
        raise typer.Exit(1)


def _pictures(
    named: "list[tuple[str, Certificate]]", data: str | None, data_dir: Path | None
) -> "dict[str, tuple[Strip, ...]]":
    """The picked examples of each certificate that these data are of. Raises: RequestError where they are of none."""
    from pacbound.errors import PacboundError, RequestError
    from pacbound.reports.picked import Strip

    if data is None:
        return {}
    from pacbound.verification.sheet import thumbnails

    found, why = {}, "none of them is of picks"
    for name, certificate in named:
        if certificate.picks is None:
            continue
        try:
            found[name] = thumbnails(certificate, data, data_dir)
        except PacboundError as refusal:
            why = str(refusal)
            found[name] = (Strip(f"Not shown: {why}"),)
    if not any(strip.pictures for strips in found.values() for strip in strips):
        raise RequestError(f"report: --data shows picked examples, and here are none to show: {why}")
    return found


def _name(file: Path, given: list[Path]) -> str:
    """Of a single folder the bare name, else the path as it was given."""
    return file.stem if len(given) == 1 else str(file.with_suffix(""))
