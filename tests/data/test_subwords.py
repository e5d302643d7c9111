"""Tokenizers of language models by file: tokens of a table written here, nothing added, and what is none."""

import hashlib
import json
from pathlib import Path

import pytest

from pacbound.data.llama2c import Llama2cTokenizer
from pacbound.data.pairs import read_pairs
from pacbound.data.subwords import JsonTokenizer, read_tokenizer, whole_tokens
from pacbound.data.texts import map_tokens
from pacbound.errors import DataError
from tests.data.test_llama2c import content
from tests.data.test_tokens import WORDS, write_tokenizer

# a byte-level file: 256 characters stand for the bytes, and two merges
MERGES = [("a", "b"), ("Ġ", "ab")]


@pytest.fixture
def byte_level(tmp_path: Path) -> Path:
    pytest.importorskip("tokenizers", reason="tokenizers, of the extra transformers, is not installed")
    from tokenizers.pre_tokenizers import ByteLevel

    words = {piece: k for k, piece in enumerate([*sorted(ByteLevel.alphabet()), "ab", "Ġab"])}
    steps = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    added = {"id": 258, "content": "<|endoftext|>", "special": True, "single_word": False, "lstrip": False,
             "rstrip": False, "normalized": False}  # fmt: skip
    model = {
        "type": "BPE", "vocab": words, "merges": [" ".join(pair) for pair in MERGES], "dropout": None,
        "unk_token": None, "continuing_subword_prefix": None, "end_of_word_suffix": None, "fuse_unk": False,
    }  # fmt: skip
    made = {"version": "1.0", "truncation": {"direction": "Right", "max_length": 4, "strategy": "LongestFirst",
            "stride": 0}, "padding": None, "added_tokens": [added], "normalizer": None, "pre_tokenizer": steps,
            "post_processor": None, "decoder": steps, "model": model}  # fmt: skip
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps(made), "utf-8")
    return path


def test_a_text_is_its_tokens_uncut_and_back(byte_level: Path) -> None:
    tokenizer = read_tokenizer(byte_level.parent)
    assert isinstance(tokenizer, JsonTokenizer)
    assert (tokenizer.vocabulary, tokenizer.start) == (259, 258)
    assert tokenizer.sha256 == hashlib.sha256(byte_level.read_bytes()).hexdigest()
    text = "ab ab cab\né☂\n"
    ids = tokenizer.encode(text)
    assert ids.tolist()[:2] == [256, 257]
    assert len(ids) == len(text.encode()) - 1 - 2 - 1  # "ab", " ab" and "ab" are one token each
    assert tokenizer.decode(ids) == text.encode()
    assert tokenizer.encode(text.encode()).tolist() == ids.tolist()


def test_lines_are_chunks(byte_level: Path) -> None:
    tokenizer = read_tokenizer(byte_level)
    assert [tokenizer.safe_cut(text) for text in ("ab\nab\nab", "ab\n", "ab", "")] == [6, 0, 0, 0]


def test_what_a_file_adds_to_texts_is_left_out(tmp_path: Path) -> None:
    pytest.importorskip("tokenizers", reason="tokenizers, of the extra transformers, is not installed")
    tokenizer = read_tokenizer(write_tokenizer(tmp_path / "tokenizer.json"))
    assert tokenizer.encode("good film ☂ bad").tolist() == [3, 4, 2, 5]
    assert (tokenizer.vocabulary, tokenizer.start) == (1 + max(WORDS.values()), None)


@pytest.mark.parametrize("text", ["good Film", "good film ☂ bad", "good  film"])
def test_tokens_that_do_not_give_a_text_back_are_not_its_tokens(tmp_path: Path, text: str) -> None:
    """Bits of tokens are no bits of the bytes of a text that they lose, and no exact answer is one of its words."""
    pytest.importorskip("tokenizers", reason="tokenizers, of the extra transformers, is not installed")
    tokenizer = read_tokenizer(write_tokenizer(tmp_path / "tokenizer.json"))
    assert whole_tokens(tokenizer, "good film bad").tolist() == tokenizer.encode("good film bad").tolist()
    with pytest.raises(DataError, match="a tokenizer loses nothing"):
        whole_tokens(tokenizer, text)
    (tmp_path / "text.txt").write_text(text, "utf-8")
    with pytest.raises(DataError, match="a tokenizer loses nothing"):
        map_tokens(tmp_path / "text.txt", tmp_path / "tokenizer.json", None, 0, None)
    (tmp_path / "pairs.jsonl").write_text(json.dumps({"prompt": "good", "answer": text}) + "\n", "utf-8")
    with pytest.raises(DataError, match="a tokenizer loses nothing"):
        read_pairs(tmp_path / "pairs.jsonl", "bytes", tmp_path / "tokenizer.json", b"bad", None)


def test_a_blank_before_a_text_is_not_of_it(byte_level: Path) -> None:
    made = json.loads(byte_level.read_text("utf-8"))
    made["pre_tokenizer"]["add_prefix_space"] = True
    byte_level.write_text(json.dumps(made), "utf-8")
    tokenizer = read_tokenizer(byte_level)
    assert tokenizer.decode(tokenizer.encode("ab")) == b" ab"
    assert whole_tokens(tokenizer, "ab").tolist() == [257]


def test_a_file_of_llama2c_is_known_by_its_name(tmp_path: Path) -> None:
    (tmp_path / "made.bin").write_bytes(content())
    assert isinstance(read_tokenizer(tmp_path / "made.bin"), Llama2cTokenizer)


def test_what_is_no_tokenizer_or_no_text_is_refused(byte_level: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="a tokenizer is a file"):
        read_tokenizer(tmp_path / "none.json")
    (tmp_path / "odd.json").write_text("{}", "utf-8")
    with pytest.raises(DataError, match="is a file of the package tokenizers"):
        read_tokenizer(tmp_path / "odd.json")
    tokenizer = read_tokenizer(byte_level)
    for text in (b"\xff", "\ud800"):
        with pytest.raises(DataError, match="UTF-8"):
            tokenizer.encode(text)
    with pytest.raises(DataError, match="numbers below 259"):
        tokenizer.decode([-1])
