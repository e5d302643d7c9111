"""What certificates of every kind share: one JSON object with its digests, read strictly and written whole, and the
message that it carries where anything is coded.

A kind is a final record: schema.py, language.py, difference.py.
"""

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Self

from pydantic import Field, PrivateAttr, ValidationError

from ..bits.ledger import Ledger
from ..bits.message import Message
from ..errors import CertificateError
from ..records import Record, SparseRecord
from ..specs.specs import BaseOrigin
from .canonical import MAX_JSON_BYTES, Json, canonical_bytes, digest, read_base64, read_strict, write_base64
from .files import MAX_SIDECAR_BYTES, SIDECAR_NAME, read_capped, read_sidecar, write_atomic

if TYPE_CHECKING:
    from ..bits.ledger import Entry

MAX_INLINE_CHARACTERS = 1_000_000
MAX_LEDGER_BITS = 1 << 40
OUTSIDE_CORE = ("digest", "environment")

Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
Token = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9.+!_-]{0,63}$")]  # has no room for a path


class InlineMessage(Record):
    """A message that stands in the certificate: payload in standard base64."""

    bits: int = Field(ge=1, le=MAX_LEDGER_BITS)
    payload: str = Field(max_length=MAX_INLINE_CHARACTERS)


class SidecarMessage(Record):
    """A message in a file beside the certificate, by bare name; size in bytes."""

    bits: int = Field(ge=1, le=MAX_LEDGER_BITS)
    file: str = Field(pattern=f"^{SIDECAR_NAME}$")
    sha256: Sha256
    size: int = Field(ge=0, le=MAX_SIDECAR_BYTES)


class Environment(SparseRecord):
    """Where it was made, without host, user or path. versions: package -> version. seconds: stage -> wall time.

    epochs: passes of the encoder over the sample; left out where nothing was trained, and of older files. notes: what
    was read of a checkpoint and how it did as it was, and which methods did not apply; left out where there are none.
    network: what its author calls the network, left out where nobody said.
    """

    LEFT_OUT = ("epochs", "notes", "network")

    versions: dict[Token, Token] = Field(default={}, max_length=100)
    seconds: dict[Token, float] = Field(default={}, max_length=100)
    epochs: float | None = Field(default=None, ge=0)
    notes: tuple[Annotated[str, Field(max_length=1000)], ...] | None = Field(default=None, max_length=100)
    network: str | None = Field(default=None, pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")


class Document(SparseRecord):
    """One certificate of any kind. Fields carry the names of the JSON keys; `digest` is that of all the others."""

    if TYPE_CHECKING:  # each kind has these, in the order of its own document
        statement: str
        entries: tuple[Entry, ...]
        declarations: tuple[str, ...]
        environment: Environment
        digest: str

    _folder: Path | None = PrivateAttr(default=None)

    def __eq__(self, other: object) -> bool:
        """Certificates are equal when their documents are, wherever the files lie."""
        return type(self) is type(other) and self.__dict__ == other.__dict__

    def __hash__(self) -> int:
        """Hash of the digest."""
        return hash(self.digest)

    def __str__(self) -> str:
        """As `repr`."""
        return repr(self)

    @classmethod
    def of(cls, document: dict[str, Json]) -> Self:
        """Return the record of a JSON object. Raises: CertificateError that names the field which breaks the schema."""
        try:
            return cls.model_validate_json(canonical_bytes(document))
        except ValidationError as cause:
            first = cause.errors()[0]
            place = ".".join(str(step)[:40] for step in first["loc"][:6]) or "the whole"
            raise CertificateError(
                f"Certificate: {place[:120]} breaks the schema: {first['msg'][:200]}. FORMAT.md lists every field."
            ) from None

    @classmethod
    def digested(cls, document: dict[str, Json]) -> Self:
        """Return the record of a JSON object without its digest, which is added. Raises: as `of`."""
        return cls.of({**document, "digest": digest(document)})

    @classmethod
    def from_json(cls, raw: bytes) -> Self:
        """Read a document; a file beside it stays unreachable. Raises: CertificateError where malformed."""
        return cls.read(read_strict(raw))

    @classmethod
    def read(cls, document: dict[str, Json], folder: Path | None = None) -> Self:
        """Return the record of a JSON object that was read from a file in a folder. Raises: as `from_json`."""
        cls._check_version(str(document.get("schema_version")))
        made = cls.of(document)
        if canonical_bytes(made.document()) != canonical_bytes(document):
            raise CertificateError(
                "Certificate: the file writes out every field, each as pacbound writes it; here a field is left out "
                "or a number has another form (1 for 1.0). Save it with pacbound."
            )
        made._folder = folder
        return made

    @classmethod
    def _check_version(cls, version: str) -> None:
        """Refuse a document of another version or kind. Raises: CertificateError."""

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a certificate file. Raises: CertificateError where it is missing or malformed."""
        return cls.read(read_strict(read_capped(Path(path), MAX_JSON_BYTES)), Path(path).parent)

    def save(self, path: str | Path) -> tuple[str, ...]:
        """Write the file, and before it those beside it if there are any; each appears whole or not at all.

        Returns: the bare names of those beside it, without which nobody can verify it.
        """
        target, beside = Path(path), self._beside_it()
        for name, content in beside.items():
            write_atomic(target.parent / name, content)
        write_atomic(target, self.to_json())
        return tuple(beside)

    def _beside_it(self) -> dict[str, bytes]:
        """Bare name -> content of every file that belongs to the certificate."""
        return {}

    def rewritten(self, **changed: Json) -> Self:
        """Return the certificate with other keys of its document; the files beside it stay what they are."""
        document = {key: value for key, value in self.document().items() if key != "digest"}
        made = self.digested({**document, **changed})
        for name in self.__private_attributes__:
            setattr(made, name, getattr(self, name))
        return made

    def with_network(self, name: str) -> Self:
        """Write the document again with what its author calls the network: a label, on which nothing rests."""
        return self.rewritten(environment=self.environment.model_copy(update={"network": name}).model_dump(mode="json"))

    def to_json(self) -> bytes:
        """Return the document as indented JSON, which people can read and compare."""
        return (json.dumps(self.document(), indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode("utf-8")

    def document(self) -> dict[str, Json]:
        """Return the JSON object."""
        return self.model_dump(mode="json", by_alias=True)

    def expected_digest(self) -> str:
        """Return the digest of everything but the digest itself."""
        return digest({key: value for key, value in self.document().items() if key != "digest"})

    @property
    def core_digest(self) -> str:
        """Digest of all but environment and digest: what two runs of the same request share."""
        return digest({key: value for key, value in self.document().items() if key not in OUTSIDE_CORE})

    @property
    def ledger(self) -> Ledger:
        """Every bit, and why."""
        return Ledger(self.entries)


def declared_sentences(ledger: Ledger) -> tuple[str, ...]:
    """Return what the certificate takes on somebody's word: the reasons of the declared entries, in order."""
    return tuple(entry.why for entry in ledger.entries if entry.kind == "declared")


def message_document(message: Message) -> dict[str, Json]:
    """Return a message as it stands in a document: inline, or where it is long the name and digest of a sidecar."""
    encoded = write_base64(message.payload)
    if len(encoded) <= MAX_INLINE_CHARACTERS:
        return {"bits": message.bits, "payload": encoded}
    sha256 = hashlib.sha256(message.payload).hexdigest()
    return {"bits": message.bits, "file": f"{sha256[:16]}.message", "sha256": sha256, "size": len(message.payload)}


def schema_id(version: str) -> str:
    """Return the $id of the schema that documents of a version follow."""
    return f"urn:pacbound:certificate:{version}"


def read_theta0(base: BaseOrigin, folder: Path | None) -> bytes:
    """Return the bytes of the theta0 of a split. Raises: CertificateError where absent or not the declared."""
    if base.split is None or base.sha256 is None or folder is None:
        raise CertificateError(
            "Certificate: the theta0 of a split lies in a file beside it; load the certificate by its path."
        )
    return read_sidecar(folder, base.file, base.split.size, base.sha256)


def read_message(message: InlineMessage | SidecarMessage, folder: Path | None) -> bytes:
    """Return the bytes of a message that stands in a document, or in a file of its folder.

    Raises: CertificateError where they are absent or not those declared.
    """
    if isinstance(message, InlineMessage):
        return read_base64(message.payload, "the payload")
    if folder is None:
        raise CertificateError("Certificate: its message is a sidecar file; load the certificate by its path.")
    return read_sidecar(folder, message.file, message.size, message.sha256)
