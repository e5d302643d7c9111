"""What is exported: a certificate, the file it stands in, and whether it stands."""

import hashlib
from pathlib import Path
from typing import NamedTuple, Self

from ...certificate.canonical import MAX_JSON_BYTES
from ...certificate.files import read_capped
from ...certificate.schema import SCHEMA_ID, Certificate, SidecarMessage
from ...errors import VerificationError
from ..report import complaint
from ..words import ALTERED, NAMED_DATA

SCHEMA = SCHEMA_ID
VISION_DATA = (*NAMED_DATA, *ALTERED)  # all that have a name so far are of images


class Exported(NamedTuple):
    """A certificate with the name and the SHA-256 of its file; complaint: why it does not stand, or empty."""

    name: str
    sha256: str
    certificate: Certificate
    complaint: str

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a certificate file and check its arithmetic and message. Raises: CertificateError where malformed."""
        raw = read_capped(Path(path), MAX_JSON_BYTES)
        certificate = Certificate.load(path)
        return cls(Path(path).name, hashlib.sha256(raw).hexdigest(), certificate, complaint(certificate))

    def require(self) -> Self:
        """Return itself where the certificate stands. Raises: VerificationError, since nothing else may be claimed."""
        if self.complaint:
            raise VerificationError(f"export: {self.name} does not stand: {self.complaint}. Nothing was written.")
        return self

    @property
    def network(self) -> str:
        """The network that the headline is about."""
        spec, compared = self.certificate.hypothesis, self.certificate.comparison
        return spec.model if compared is None else compared.original.model

    @property
    def network_file(self) -> str:
        """What to call the thing that `network_sha256` is of."""
        made = self.certificate.hypothesis
        if self.certificate.comparison is not None:
            return "network"
        return made.quantizer.file if made.quantizer is not None and made.quantizer.kind == "picks" else "message"

    @property
    def network_sha256(self) -> str:
        """SHA-256 of the file of an original network or of one made from picks, else of the message."""
        compared, message, made = self.certificate.comparison, self.certificate.message, self.certificate.hypothesis
        if compared is not None:
            return compared.original.sha256
        if made.quantizer is not None and made.quantizer.kind == "picks":
            return made.quantizer.sha256
        if isinstance(message, SidecarMessage):
            return message.sha256
        return hashlib.sha256(self.certificate.payload()).hexdigest()

    @property
    def task(self) -> str:
        """What the network does, as far as the certificate says."""
        return "image-classification" if self.certificate.data.name in VISION_DATA else "classification"
