"""Texts from files: symbols, digests, documents over the edges of chunks, and what is refused."""

import hashlib

import numpy as np
import pytest
from pydantic import ValidationError

from pacbound.data import texts
from pacbound.data.texts import byte_range, check_text_apart, map_text
from pacbound.errors import DataError
from pacbound.specs.language import ASCII97, AlphabetSpec, mask_of


def written(tmp_path, raw: bytes, name: str = "My Text.txt"):
    path = tmp_path / name
    path.write_bytes(raw)
    return path


def test_symbols_are_places_in_the_alphabet_and_those_that_the_network_does_not_know_come_last(tmp_path):
    text = map_text(written(tmp_path, b"banana\n"), "bytes").listing()
    assert (text.name, text.n, text.alphabet.listed) == ("my-text", 7, b"\nabn")
    assert text.symbols(0, 7).tolist() == [2, 1, 3, 1, 3, 1, 0]
    other = map_text(written(tmp_path, b"cab", "other.txt"), "bytes").over(text.alphabet)
    assert other.symbols(0, 9).tolist() == [4, 1, 2]


def test_ascii97_is_tab_newline_and_what_prints(tmp_path):
    assert len(ASCII97) == 97
    assert map_text(written(tmp_path, ASCII97), "ascii97").symbols(0, 97).tolist() == list(range(97))
    with pytest.raises(DataError, match=r"byte 0x0d at 2, which is not in the alphabet ascii97"):
        map_text(written(tmp_path, b"ab\r\n"), "ascii97")


@pytest.mark.parametrize("chunk", [1, 2, 3, 5, 1 << 22])
def test_documents_and_digests_do_not_depend_on_chunks(tmp_path, monkeypatch, chunk):
    raw = b"one--two-three--4--five"
    text = map_text(written(tmp_path, raw), "bytes", None, 0, None)
    monkeypatch.setattr(texts, "CHUNK", chunk)
    monkeypatch.setattr(texts.Text.chunks, "__defaults__", (chunk,))
    pieces = [raw[a:b] for a, b in text.documents(b"--").tolist()]
    assert pieces == raw.split(b"--")
    assert text.digest() == hashlib.sha256(b"bytes \n" + raw).hexdigest()


def test_an_empty_document_is_named(tmp_path):
    text = map_text(written(tmp_path, b"one\n\n\n\ntwo"), "bytes", None, 0, None)
    with pytest.raises(DataError, match="number 1 at byte 5 of the text is empty"):
        text.documents(b"\n\n")


def test_a_share_of_a_text_cuts_no_character_in_two(tmp_path):
    path = written(tmp_path, "äöüß".encode())  # two bytes each
    assert byte_range(path, None, (0.0, 0.4)) == (0, 2)
    assert byte_range(path, None, (0.4, 1.0)) == (2, 6)
    with pytest.raises(DataError, match="at least one symbol"):
        map_text(path, "bytes", None, *byte_range(path, None, (0.0, 0.1)))


@pytest.mark.parametrize(("raw", "match"), [(b"", "is empty"), (None, "a text is a file, or one of tinyshakespeare")])
def test_files_without_a_text_are_refused(tmp_path, raw, match):
    path = tmp_path / "none.txt" if raw is None else written(tmp_path, raw)
    with pytest.raises(DataError, match=match):
        map_text(path, "bytes")


@pytest.mark.parametrize(
    "fields",
    [
        {"kind": "bytes", "size": 255},
        {"kind": "ascii97", "size": 97, "occurring": mask_of(b"\r")},
        {"kind": "bytes", "size": 256, "occurring": "0" * 64},
        {"kind": "tokenizer", "size": 512},
        {"kind": "bytes", "size": 256, "sha256": "0" * 64},
        {"kind": "bytes", "size": 256, "occurring": mask_of(b"ab"), "start": 2},
    ],
)
def test_an_alphabet_is_what_its_kind_says(fields):
    with pytest.raises(ValidationError):
        AlphabetSpec(**fields)


def test_a_text_is_mapped_and_never_held(tmp_path):
    path = written(tmp_path, b"x" * 1000)
    assert isinstance(map_text(path, "bytes", None, 0, None).source, np.memmap)


@pytest.mark.parametrize("chunk", [50, 1 << 22])
def test_held_out_text_that_stands_in_the_text_is_refused(tmp_path, monkeypatch, chunk):
    monkeypatch.setattr(texts.Text.chunks, "__defaults__", (chunk,))
    rng = np.random.default_rng(0)
    raw, other = (rng.integers(0, 256, 4000, np.uint8).tobytes() for _ in range(2))
    text = map_text(written(tmp_path, raw), "bytes", None, 0, None)
    apart = map_text(written(tmp_path, other, "other.txt"), "bytes", None, 0, None)
    check_text_apart(text, apart)
    quoted = map_text(
        written(tmp_path, other[:2000] + raw[100:170] + other[2000:], "quoted.txt"), "bytes", None, 0, None
    )
    check_text_apart(text, quoted)  # a line that both have
    for copied in (raw, raw[1500:2500], other[:1000] + raw[500:1500]):
        held = map_text(written(tmp_path, copied, "held.txt"), "bytes", None, 0, None)
        with pytest.raises(DataError, match="as well"):
            check_text_apart(text, held)
