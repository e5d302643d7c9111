"""What a verification found, as a statement that can be signed: a verification summary about one certificate file."""

import datetime
import hashlib
import json
import os
from importlib.metadata import version
from pathlib import Path

from ..certificate.canonical import MAX_JSON_BYTES
from ..certificate.document import schema_id
from ..certificate.documents import load_document
from ..certificate.files import read_capped
from ..certificate.schema import SCHEMA_ID
from ..errors import CertificateError, RequestError
from ..reports.exports.in_toto import verification_summary
from .verification import Verification

EPOCH = "SOURCE_DATE_EPOCH"  # seconds since 1970: the time to state, for builds that are to be repeatable


def file_sha256(path: str | Path) -> str:
    """Return the SHA-256 of a certificate's file. Raises: CertificateError where it cannot be read."""
    return hashlib.sha256(read_capped(Path(path), MAX_JSON_BYTES)).hexdigest()


def attest(found: Verification, path: str | Path, sha256: str) -> str:
    """Return the statement as JSON, without a final newline.

    Args: found: what verify returned. path: of the file that it read. sha256: of that file before it was read.
    Raises: RequestError where the file is another one by now.
    """
    if file_sha256(path) != sha256:
        raise RequestError(f"attest: {Path(path).name} changed while it was verified. Verify it again.")
    statement = verification_summary(
        Path(path).name, sha256, version("pacbound"), _now(), found.level, found.passed, *_failure(found),
        found.unchecked, found.statement, _schema(path),
    )  # fmt: skip
    return json.dumps(statement, indent=1, ensure_ascii=False, allow_nan=False)


def _failure(found: Verification) -> tuple[str | None, str | None]:
    """The check that failed and why; a selection that was not reproduced is no failed check and does not stand."""
    if found.failed is None and not found.stands:
        return "replay", "the selection run again here made another network"
    return found.failed, found.reason


def _schema(path: str | Path) -> str:
    """The schema that a file claims to follow; that of classifiers where it is malformed."""
    try:
        return schema_id(load_document(path).schema_version)
    except CertificateError:
        return SCHEMA_ID


def _now() -> str:
    stated = os.environ.get(EPOCH, "")
    zone = datetime.UTC
    now = datetime.datetime.fromtimestamp(int(stated), zone) if stated.isdigit() else datetime.datetime.now(zone)
    return now.strftime("%Y-%m-%dT%H:%M:%SZ")
