import hashlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacbound.certificate.canonical import MAX_DEPTH, MAX_JSON_BYTES, canonical_bytes, digest, read_strict
from pacbound.errors import CertificateError

printable = st.text(st.characters(exclude_categories=["C", "Z"]), max_size=10)
scalars = (
    st.none() | st.booleans() | st.integers(-(1 << 62), 1 << 62) | st.floats(allow_nan=False, allow_infinity=False)
)
documents = st.dictionaries(
    printable, st.recursive(scalars | printable, lambda part: st.lists(part, max_size=3), max_leaves=4), max_size=3
)


@given(documents)
def test_what_was_written_canonically_is_read_back_as_it_was(document: dict) -> None:
    assert read_strict(canonical_bytes(document)) == document
    assert read_strict(json.dumps(document, indent=3).encode()) == document


@given(documents)
def test_order_of_keys_and_white_space_do_not_change_the_canonical_form(document: dict) -> None:
    backwards = dict(reversed(document.items()))
    assert canonical_bytes(backwards) == canonical_bytes(document)
    assert b"\n" not in canonical_bytes(document)


def test_the_digest_is_sha256_of_a_form_written_by_hand() -> None:
    assert digest({"b": [1, 2.5], "a": "é"}) == hashlib.sha256(b'{"a":"\\u00e9","b":[1,2.5]}').hexdigest()


def test_a_float_and_an_integer_have_different_digests_since_readers_may_tell_them_apart() -> None:
    assert digest({"a": 1}) != digest({"a": 1.0})


@pytest.mark.parametrize(
    ("raw", "rule"),
    [
        (b'{"a": 1, "a": 1}', "stands once"),
        (b'{"a": {"b": 1, "b": 2}}', "stands once"),
        (b'{"a": NaN}', "finite"),
        (b'{"a": -Infinity}', "finite"),
        (b'{"a": 1e999}', "finite"),
        (b'{"a": 9223372036854775808}', "64 bits"),
        (b'{"a": ' + b"9" * 5000 + b"}", "64 bits"),
        (b'{"a": "\\u001b[2J"}', "printable"),
        (b'{"a\\u0000": 1}', "printable"),
        (b'{"a": ["\\ud800"]}', "printable"),
        ('{"a": ["\u202e"]}'.encode(), "printable"),
        (b'{"\x7f": 1}', "printable"),
        (b"[1]", "one JSON object"),
        (b"{'a': 1}", "is JSON"),
        (b'{"a": 1} {}', "is JSON"),
        (b"\xff", "UTF-8"),
        (b"\xef\xbb\xbf{}", "is JSON"),
        (b" " * (MAX_JSON_BYTES + 1), "bytes"),
        (b"[" * (MAX_DEPTH + 1), "deep"),
    ],
)
def test_each_file_with_two_readings_is_refused_by_its_rule(raw: bytes, rule: str) -> None:
    with pytest.raises(CertificateError, match=rule):
        read_strict(raw)


def test_brackets_inside_text_are_not_depth() -> None:
    text = '\\" [[[[[[[[[[[[[[[[[[[[[[[[[[[[['
    assert read_strict(json.dumps({"a": text}).encode()) == {"a": text}


def test_nesting_up_to_the_limit_is_read() -> None:
    inner = "[" * (MAX_DEPTH - 1) + "]" * (MAX_DEPTH - 1)
    assert "a" in read_strict(f'{{"a": {inner}}}'.encode())
