"""Certificate files of every kind, told apart by their schema_version."""

from pathlib import Path

from .canonical import MAX_JSON_BYTES, read_strict
from .difference import DIFFERENCE_VERSION, DifferenceCertificate
from .files import read_capped
from .language import LANGUAGE_VERSION, LanguageCertificate
from .schema import Certificate

AnyCertificate = Certificate | LanguageCertificate | DifferenceCertificate


def load_document(path: str | Path) -> AnyCertificate:
    """Read a certificate file of any kind. Raises: CertificateError where it is missing or malformed."""
    document = read_strict(read_capped(Path(path), MAX_JSON_BYTES))
    version, folder = document.get("schema_version"), Path(path).parent
    if version == DIFFERENCE_VERSION:
        return DifferenceCertificate.read(document, folder)
    return (LanguageCertificate if version == LANGUAGE_VERSION else Certificate).read(document, folder)
