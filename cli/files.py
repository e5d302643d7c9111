"""Certificate files on the command line (naming, reading, never losing one), and lines that fit the terminal."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, TextIO, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    from pacbound.certificate import Certificate
    from pacbound.certificate.documents import AnyCertificate

OfKind = TypeVar("OfKind")
UNBROKEN = 1 << 30  # columns


def certificate_files(paths: list[Path], verb: str) -> list[Path]:
    """Return files as they are, folders as the .json files in them. Raises: RequestError where there is none."""
    from pacbound.errors import RequestError

    files = [file for path in paths for file in (sorted(path.glob("*.json")) if path.is_dir() else [path])]
    if not files:
        raise RequestError(f"{verb}: there is no .json file in that folder. Name a certificate, or the folder of some.")
    return files


def load_certificate(file: Path) -> "Certificate":
    """Read a certificate. Raises: CertificateError that names the file once."""
    from pacbound.certificate import Certificate

    return read_named(file, Certificate.load)


def load_either(file: Path) -> "AnyCertificate":
    """Read a certificate of any kind. Raises: CertificateError that names the file once."""
    from pacbound.certificate.documents import load_document

    return read_named(file, load_document)


def read_named(file: Path, load: "Callable[[Path], OfKind]") -> "OfKind":
    """Return what `load` makes of a file. Raises: CertificateError that names the file once."""
    from pacbound.errors import CertificateError

    try:
        return load(file)
    except CertificateError as why:
        raise CertificateError(named(file, why)) from None


def named(file: Path, refusal: Exception) -> str:
    """Return a refusal that names the file it is about."""
    return str(refusal) if file.name in str(refusal) else f"{file}: {refusal}"


def refuse_to_overwrite(output: Path, force: bool, verb: str) -> None:
    """Refuse, before any work, to write over a file that is there. Raises: RequestError unless forced."""
    from pacbound.errors import RequestError

    if output.exists() and not force:
        raise RequestError(
            f"{verb}: {str(output)!r} exists, and a finished certificate is not overwritten. Name another file, or add "
            "--force."
        )


def refuse_to_lose(output: Path | None, verb: str) -> None:
    """Refuse, before any work, to write a page or a claim over a certificate. Raises: RequestError."""
    from pacbound.certificate.documents import load_document
    from pacbound.errors import CertificateError, RequestError

    if output is None or not output.is_file():
        return
    try:
        load_document(output)
    except CertificateError:
        return
    raise RequestError(f"{verb}: {str(output)!r} is a certificate, which would be lost. Name another file.")


def theorem_lines(best: bool, name: str, figure: str, reference: str) -> list[str]:
    """Return a row of a table of bounds, with its reference broken to the width of the terminal."""
    from pacbound.reports.tables import wrapped

    head = f"{'*' if best else ' '} {name:<21} {figure}  "
    return wrapped(reference, columns(), head, " " * len(head))


def sentence_lines(sentence: str, first: str = "", rest: str = "") -> list[str]:
    """Return a sentence broken to the width of the terminal; first and rest stand before its lines."""
    from pacbound.reports.tables import wrapped

    return wrapped(sentence, columns(), first, rest)


def columns(stream: TextIO | None = None) -> int:
    """Return what COLUMNS says, else the width of the terminal that a stream goes to (standard output by default).

    A pipe and a file get lines that are not broken, for the programs that read them.
    """
    if (said := os.environ.get("COLUMNS", "")).isdecimal() and int(said) > 0:
        return int(said)
    try:
        return os.get_terminal_size((stream or sys.stdout).fileno()).columns
    except (OSError, ValueError):
        return UNBROKEN
