"""Files of text, compressed or not, decoded strictly."""

import gzip
import zlib
from pathlib import Path

from ..errors import DataError, without_file


def read_text(path: Path, encoding: str) -> str:
    """Return the text of a file, of .gz unpacked. Raises: DataError that names the line which is no such text."""
    try:
        raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError, zlib.error) as cause:
        raise DataError(f"load: {path.name} is a readable file, got: {without_file(cause)}.") from None
    try:
        return raw.decode(encoding).removeprefix("\ufeff")
    except LookupError:
        raise DataError(f"load: an encoding is one that Python knows, got {encoding!r}, such as cp1252.") from None
    except UnicodeDecodeError as cause:
        line = raw.count(b"\n", 0, cause.start) + 1
        raise DataError(
            f"load: {path.name} is text in {encoding}, line {line} holds the byte 0x{raw[cause.start]:02x}. Name its "
            "encoding with --encoding, such as cp1252."
        ) from None
    except UnicodeError as cause:  # of codecs that decode no bytes, or not these
        raise DataError(
            f"load: {path.name} is text in {encoding}, got: {cause}. Name another with --encoding, such as cp1252."
        ) from None
