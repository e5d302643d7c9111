"""The only code that touches files for a certificate: atomic writes, capped reads, sidecars by bare name."""

import hashlib
import os
import re
import stat
import tempfile
from pathlib import Path

from ..errors import CertificateError, without_file

MAX_SIDECAR_BYTES = 1 << 28
POSTERIOR_NAME = r"[0-9a-f]{16}\.safetensors"
SIDECAR_NAME = r"[a-z0-9][a-z0-9_-]{0,63}\.message"
READ_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


def write_atomic(path: Path, content: bytes) -> None:
    """Write a file so that, after a kill at any moment, it holds the old content or the new.

    Raises: CertificateError where the folder is missing or not writable.
    """
    try:
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".writing-", suffix=".tmp")
        try:
            with os.fdopen(handle, "wb") as stream:
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno())
            os.chmod(temporary, 0o644)
            os.replace(temporary, path)
        except BaseException:
            os.unlink(temporary)
            raise
    except OSError as cause:
        raise CertificateError(
            f"Certificate: {path.name!r} could not be written ({cause.strerror}). Choose a folder where files can "
            "be made."
        ) from None


def read_capped(path: Path, most_bytes: int, *, follow: bool = True) -> bytes:
    """Read a regular file of at most `most_bytes`; the size is checked on the open file, before reading.

    follow: whether `path` may be a symbolic link. Raises: CertificateError.
    """
    flags = READ_FLAGS if follow else READ_FLAGS | getattr(os, "O_NOFOLLOW", 0)
    if not follow and path.is_symlink():
        raise CertificateError(f"Certificate: {path.name!r} is a symbolic link, which is not followed. Copy the file.")
    try:
        handle = os.open(path, flags)
    except (OSError, ValueError) as cause:
        raise CertificateError(f"Certificate: {path.name!r} cannot be opened ({without_file(cause)}).") from None
    found = os.fstat(handle)
    if not stat.S_ISREG(found.st_mode):
        os.close(handle)
        raise CertificateError(f"Certificate: {path.name!r} is not a regular file.")
    with os.fdopen(handle, "rb") as stream:
        if found.st_size > most_bytes:
            raise CertificateError(
                f"Certificate: {path.name!r} may have {most_bytes:,} bytes at most, got {found.st_size:,}."
            )
        content = stream.read(most_bytes + 1)
    if len(content) > most_bytes:
        raise CertificateError(f"Certificate: {path.name!r} grew past {most_bytes:,} bytes while it was read.")
    return content


def read_sidecar(folder: Path, name: str, size: int, sha256: str) -> bytes:
    """Read the message or posterior beside a certificate: bare name, no link, size and digest as declared.

    Raises: CertificateError.
    """
    if re.fullmatch(f"{SIDECAR_NAME}|{POSTERIOR_NAME}", name) is None:
        raise CertificateError(
            f"Certificate: a sidecar has a bare file name ending in .message or .safetensors, got {name[:80]!r}."
        )
    if not 0 <= size <= MAX_SIDECAR_BYTES:
        raise CertificateError(f"Certificate: a sidecar has at most {MAX_SIDECAR_BYTES:,} bytes, got {size:,}.")
    if not os.path.lexists(folder / name):
        raise CertificateError(f"Certificate: sidecar {name!r} is missing. Put it beside the certificate it came with.")
    content = read_capped(folder / name, size, follow=False)
    if len(content) != size or hashlib.sha256(content).hexdigest() != sha256:
        raise CertificateError(
            f"Certificate: sidecar {name!r} is not the one declared (size or SHA-256 differ). "
            "Put the file that came with this certificate beside it."
        )
    return content
