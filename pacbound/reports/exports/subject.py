"""What is exported: a certificate, the file it stands in, and whether it stands."""

import hashlib
from pathlib import Path
from typing import NamedTuple, Self

from ...certificate.canonical import MAX_JSON_BYTES
from ...certificate.documents import AnyCertificate, load_document
from ...certificate.files import read_capped
from ...errors import VerificationError
from ..complaint import complaint
from .facts import Facts, facts_of


class Exported(NamedTuple):
    """A certificate with the name and the SHA-256 of its file; complaint: why it does not stand, or empty."""

    name: str
    sha256: str
    certificate: AnyCertificate
    complaint: str

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a certificate file and check its arithmetic and message. Raises: CertificateError where malformed."""
        raw = read_capped(Path(path), MAX_JSON_BYTES)
        certificate = load_document(path)
        return cls(Path(path).name, hashlib.sha256(raw).hexdigest(), certificate, complaint(certificate))

    def require(self) -> Self:
        """Return itself where the certificate stands. Raises: VerificationError, since nothing else may be claimed."""
        if self.complaint:
            raise VerificationError(f"export: {self.name} does not stand: {self.complaint}. Nothing was written.")
        return self

    @property
    def facts(self) -> Facts:
        """What every format says of it."""
        return facts_of(self.certificate)
