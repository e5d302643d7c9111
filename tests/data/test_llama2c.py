"""Tokenizers of llama2.c: merges against the plain loop over a whole text, cuts that change nothing, damaged files."""

import hashlib
import itertools
import struct
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pacbound.data.llama2c import LONGEST, Llama2cTokenizer, read_llama2c_tokenizer
from pacbound.errors import DataError

PIECES = [
    (" a", -0.0), ("ab", -1.0), (" ab", -2.0), ("ba", -1.0), ("abab", -3.0), ("é", -9.0), ("éa", -4.0), ("a", -5.0),
    ("b", -6.0), (" ", -7.0), ("☂", -8.0), ("aa", -0.5),
]  # fmt: skip
BYTES = [f"<0x{byte:02X}>" for byte in range(256)]


def content(pieces: list[tuple[str, float]] = PIECES) -> bytes:
    entries = [("<unk>", 0.0), ("\n<s>\n", 0.0), ("\n</s>\n", 0.0), *((b, 0.0) for b in BYTES), *pieces]
    raw = struct.pack("<i", max(len(piece.encode()) for piece, _ in entries))
    for piece, score in entries:
        raw += struct.pack("<fi", score, len(piece.encode())) + piece.encode()
    return raw


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Llama2cTokenizer:
    path = tmp_path_factory.mktemp("tokens") / "made.bin"
    path.write_bytes(content())
    return read_llama2c_tokenizer(path)


def by_hand(text: str) -> list[int]:
    """The loop over the whole text: join the neighbours of the best score, the first of equals, while there are any."""
    known = {piece: (259 + k, score) for k, (piece, score) in enumerate(PIECES)}
    parts: list[tuple[int, str]] = []
    for character in text:
        if character in known:
            parts.append((known[character][0], character))
        else:
            parts += [(3 + byte, "\0") for byte in character.encode()]
    while True:
        pairs = [
            (-known[a + b][1], i) for i, ((_, a), (_, b)) in enumerate(itertools.pairwise(parts)) if a + b in known
        ]
        if not pairs:
            return [number for number, _ in parts]
        at = min(pairs)[1]
        joined = parts[at][1] + parts[at + 1][1]
        parts[at : at + 2] = [(known[joined][0], joined)]


TEXTS = st.text(alphabet="ab é☂\n<0x>s", max_size=40)


@given(text=TEXTS)
@settings(max_examples=300, deadline=None)
def test_tokens_are_those_of_the_loop_over_the_whole_text(tokenizer: Llama2cTokenizer, text: str) -> None:
    ids = tokenizer.encode(text)
    assert ids.tolist() == by_hand(text) == tokenizer.encode(text.encode()).tolist()
    assert tokenizer.decode(ids) == text.encode()


@given(text=TEXTS)
@settings(max_examples=300, deadline=None)
def test_a_text_may_be_cut_where_it_is_said_and_nowhere_else(tokenizer: Llama2cTokenizer, text: str) -> None:
    whole, cut = by_hand(text), tokenizer.safe_cut(text)
    assert 0 <= cut < max(len(text), 1)
    assert [*tokenizer.encode(text[:cut]), *tokenizer.encode(text[cut:])] == whole
    for at in range(1, len(text)):
        if not tokenizer.joins(text[at - 1], text[at]):
            assert at <= cut
            assert by_hand(text[:at]) + by_hand(text[at:]) == whole
    assert tokenizer.joins("a", "b")


def test_texts_that_spell_the_name_of_a_token_are_texts(tokenizer: Llama2cTokenizer) -> None:
    assert tokenizer.decode(tokenizer.encode("<0x0A><s>")) == b"<0x0A><s>"
    assert tokenizer.encode("\n").tolist() == [3 + 10]
    assert tokenizer.decode([0, 1, 2, 3 + 255, 259]) == b"\xff a"
    assert (tokenizer.start, tokenizer.vocabulary) == (1, 259 + len(PIECES))
    assert tokenizer.sha256 == hashlib.sha256(content()).hexdigest()


def test_the_published_tokenizer_reads_a_megabyte_in_seconds(data_root: Path) -> None:
    tokenizer = read_llama2c_tokenizer(data_root / "checkpoints" / "stories260K" / "tok512.bin")
    text = (data_root / "tinyshakespeare" / "input.txt").read_text("utf-8")[:300_000]
    began = time.process_time()
    ids = tokenizer.encode(text)
    assert time.process_time() - began < 5
    assert tokenizer.decode(ids) == text.encode()
    assert len(ids) == 187_276
    assert tokenizer.encode("Once upon a time, é").tolist()[:3] == [441, 416, 331]


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"", "0 tokens without the 256 bytes"),
        (content()[:-1], "token 270 of 2 bytes"),
        (content()[:-7], "half an entry"),
        (content([("a", 0.0), ("a", 1.0)]), "each once, token 260 is 'a'"),
        (content([("", 0.0)]), "token 259 is ''"),
        (content([("a", float("nan"))]), "token 259 of 1 bytes and score nan"),
        (content().replace(b"<0x41>", b"<0x42>"), "without the 256 bytes as tokens 3 to 258"),
        (content()[:4] + struct.pack("<fi", 0, 1 << 30), "token 0 of 1073741824 bytes"),
        (content() + struct.pack("<fi", 0, -1), "token 271 of -1 bytes"),
        (content() + struct.pack("<fi", 0, 1) + b"\xff", "UTF-8, token 271 is not"),
    ],
)
def test_files_that_are_none_are_refused(raw: bytes, said: str, tmp_path: Path) -> None:
    path = tmp_path / "made.bin"
    path.write_bytes(raw)
    with pytest.raises(DataError, match=said):
        read_llama2c_tokenizer(path)


def test_what_cannot_be_read_or_written_is_refused(tokenizer: Llama2cTokenizer, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="No such file"):
        read_llama2c_tokenizer(tmp_path / "none.bin")
    for text in (b"\xff\xfe", "\ud800"):
        with pytest.raises(DataError, match="UTF-8"):
            tokenizer.encode(text)
    for ids in ([271], [-1]):
        with pytest.raises(DataError, match="numbers below 271"):
            tokenizer.decode(ids)
    with pytest.raises(DataError, match="Break such lines"):
        tokenizer.encode("a" * (LONGEST + 1))
