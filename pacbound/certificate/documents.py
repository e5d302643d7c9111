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
    version = read_strict(read_capped(Path(path), MAX_JSON_BYTES)).get("schema_version")
    if version == DIFFERENCE_VERSION:
        return DifferenceCertificate.load(path)
    return LanguageCertificate.load(path) if version == LANGUAGE_VERSION else Certificate.load(path)
