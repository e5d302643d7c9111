"""JSON with one meaning: strict reading, one canonical form, one digest.

Python's reader accepts NaN, repeated keys and any depth; two programs may then disagree on what a file says.
"""

import base64
import binascii
import hashlib
import json
import math
import re
from typing import NoReturn

from ..errors import CertificateError

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]

MAX_JSON_BYTES = 8 << 20
MAX_DEPTH = 16
NO_BRACKETS = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"?|[^"\[\]{}]+', re.DOTALL)  # strings, an open one too, and the rest
MAX_INTEGER = 1 << 63


def canonical_bytes(value: Json) -> bytes:
    """Return the canonical form: keys sorted, no spaces, ASCII, floats by their shortest repr.

    >>> canonical_bytes({"b": 1.0, "a": [True, "é"]})
    b'{"a":[true,"\\\\u00e9"],"b":1.0}'
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False).encode("ascii")


def digest(value: Json) -> str:
    """Return the SHA-256 of the canonical form, as 64 hex digits."""
    return hashlib.sha256(canonical_bytes(value)).hexdigest()


def write_base64(raw: bytes) -> str:
    """Return standard base64, which `read_base64` reads back."""
    return base64.b64encode(raw).decode("ascii")


def read_base64(text: str, what: str) -> bytes:
    """Return what stands in base64. Raises: CertificateError where it is none, or not in its one canonical form."""
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise CertificateError(f"Certificate: {what} is not standard base64.") from None
    if write_base64(raw) != text:
        raise CertificateError(f"Certificate: {what} is not base64 in its one canonical form.")
    return raw


def read_strict(raw: bytes) -> dict[str, Json]:
    """Parse one JSON object and refuse whatever has two readings.

    Raises: CertificateError for a file that is too large or too deep, not UTF-8 JSON or not an object; for a
    repeated key, NaN, an infinity, an integer outside 64 bits, and text that does not print as itself.
    """
    if len(raw) > MAX_JSON_BYTES:
        _refuse(f"a certificate has at most {MAX_JSON_BYTES:,} bytes, got {len(raw):,}")
    try:
        text = raw.decode("utf-8")
        _check_depth(text)
        value: Json = json.loads(
            text,
            object_pairs_hook=_distinct,
            parse_constant=_no_constant,
            parse_int=_bounded_integer,
            parse_float=_finite_float,
        )
    except UnicodeDecodeError as cause:
        _refuse(f"a certificate is UTF-8 text, byte {cause.start} is not")
    except json.JSONDecodeError as cause:
        _refuse(f"a certificate is JSON, line {cause.lineno} column {cause.colno}: {cause.msg}")
    if not isinstance(value, dict):
        _refuse(f"a certificate is one JSON object, got a {type(value).__name__}")
    if "\\" in text or not text.replace("\n", "").isprintable():  # else no string of it holds what does not print
        _check_text(value)
    return value


def _refuse(rule: str) -> NoReturn:
    raise CertificateError(f"Certificate: {rule}. The file is damaged or was not written by pacbound.")


def _check_depth(text: str) -> None:
    """Count brackets outside strings, before the recursive parser sees them."""
    depth = 0
    for bracket in NO_BRACKETS.sub("", text):
        depth += 1 if bracket in "[{" else -1
        if depth > MAX_DEPTH:
            _refuse(f"a certificate nests at most {MAX_DEPTH} deep")


def _distinct(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    found: dict[str, Json] = {}
    for key, value in pairs:
        if key in found:
            _refuse(f"each key stands once, {key[:60]!r} stands twice")
        found[key] = value
    return found


def _no_constant(name: str) -> NoReturn:
    _refuse(f"numbers are finite, got {name}")


def _bounded_integer(digits: str) -> int:
    if len(digits) > 20 or not -MAX_INTEGER < (value := int(digits)) < MAX_INTEGER:
        _refuse(f"integers lie within 64 bits, got one of {len(digits)} digits")
    return value


def _finite_float(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        _refuse(f"numbers are finite, got {digits[:40]}")
    return value


def _check_text(value: Json) -> None:
    """Refuse control characters and invisible ones: a certificate must not steer the terminal that shows it."""
    if isinstance(value, str) and not value.isprintable():
        _refuse(f"text is printable, got {value[:60]!r}")
    if isinstance(value, dict):
        for key, part in value.items():
            _check_text(key)
            _check_text(part)
    if isinstance(value, list):
        for part in value:
            _check_text(part)
