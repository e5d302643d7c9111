"""Texts as bytes, and as tokens of a tokenizer that is written out here by hand."""

import hashlib
import json
from pathlib import Path

import pytest
import torch

from pacbound.data.preprocess import preprocessed
from pacbound.data.tokens import CHUNK_TEXTS, cut_texts, load_tokenizer, text_bytes, texts_of
from pacbound.errors import DataError
from pacbound.specs.preprocess import PreprocessSpec, parse_preprocess

WORDS = {"[PAD]": 7, "[CLS]": 1, "[UNK]": 2, "good": 3, "film": 4, "bad": 5, "très": 6}
TEXTS = ["good film", "", "bad bad bad bad", "très good ☂"]
IDS = [[1, 3, 4, 7], [1, 7, 7, 7], [1, 5, 5, 5], [1, 6, 3, 2]]  # of four tokens, by the table above


@pytest.fixture
def tokenizer(tmp_path: Path) -> Path:
    pytest.importorskip("tokenizers", reason="tokenizers, of the extra transformers, is not installed")
    return write_tokenizer(tmp_path / "tokenizer.json")


def write_tokenizer(path: Path, words: dict[str, int] = WORDS, padding: object = None) -> Path:
    template = [{"SpecialToken": {"id": "[CLS]", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}]
    special = {"[CLS]": {"id": "[CLS]", "ids": [1], "tokens": ["[CLS]"]}}
    content = {
        "version": "1.0", "truncation": None, "padding": padding, "added_tokens": [], "normalizer": None,
        "pre_tokenizer": {"type": "WhitespaceSplit"},
        "post_processor": {
            "type": "TemplateProcessing", "single": template, "pair": template, "special_tokens": special,
        },
        "decoder": None, "model": {"type": "WordLevel", "vocab": words, "unk_token": "[UNK]"},
    }  # fmt: skip
    path.write_text(json.dumps(content), "utf-8")
    return path


def spec_of(path: Path, length: int = 4) -> PreprocessSpec:
    return parse_preprocess(f"tokens@{length}", load_tokenizer(path))


def test_texts_are_kept_as_their_bytes_padded_with_zeros() -> None:
    x = text_bytes(["é", "", "abc"])
    assert x.tolist() == [[0xC3, 0xA9, 0], [0, 0, 0], [97, 98, 99]]
    assert texts_of(x) == ["é", "", "abc"]


def test_tokens_are_those_of_the_table_cut_and_padded(tokenizer: Path) -> None:
    spec = spec_of(tokenizer)
    assert spec.sha256 == hashlib.sha256(tokenizer.read_bytes()).hexdigest()
    ids = preprocessed(text_bytes(TEXTS), spec)
    assert ids.dtype == torch.int64
    assert ids.tolist() == IDS
    assert cut_texts(text_bytes(TEXTS), spec) == 1
    assert preprocessed(text_bytes(TEXTS), spec_of(tokenizer, 6)).tolist()[2] == [1, 5, 5, 5, 5, 7]


def test_a_file_with_padding_of_its_own_pads_with_that(tokenizer: Path) -> None:
    own = {"strategy": "BatchLongest", "direction": "Left", "pad_to_multiple_of": 8, "pad_id": 2, "pad_type_id": 0}
    other = write_tokenizer(tokenizer.with_name("other.json"), padding={**own, "pad_token": "[UNK]"})
    assert preprocessed(text_bytes(["good"]), spec_of(other)).tolist() == [[1, 3, 2, 2]]


def test_every_text_is_read_by_itself_beyond_the_first_chunk(tokenizer: Path) -> None:
    texts = [TEXTS[k % len(TEXTS)] for k in range(CHUNK_TEXTS + 3)]
    assert preprocessed(text_bytes(texts), spec_of(tokenizer)).tolist() == [
        IDS[k % len(IDS)] for k in range(len(texts))
    ]


def test_a_folder_stands_for_the_file_in_it(tokenizer: Path) -> None:
    assert load_tokenizer(tokenizer.parent) == load_tokenizer(tokenizer)


def test_lengths_in_turn_do_not_disturb_each_other(tokenizer: Path) -> None:
    long, short = spec_of(tokenizer, 5), spec_of(tokenizer, 3)
    x = text_bytes(["bad bad bad bad"])
    assert [preprocessed(x, spec).tolist() for spec in (long, short, long)] == [
        [[1, 5, 5, 5, 5]], [[1, 5, 5]], [[1, 5, 5, 5, 5]],
    ]  # fmt: skip


def test_texts_that_cannot_be_kept_are_refused() -> None:
    with pytest.raises(DataError, match="no NUL character, text 1 does"):
        text_bytes(["a", "b\0c"])
    with pytest.raises(DataError, match="2 without a character"):
        text_bytes(["", ""])
    with pytest.raises(DataError, match="surrogates"):
        text_bytes(["\ud800"])


@pytest.mark.parametrize("row", [[97, 0, 98], [255, 97, 97]])
def test_rows_that_are_no_texts_are_refused(row: list[int]) -> None:
    with pytest.raises(DataError, match="row 1 holds"):
        texts_of(torch.tensor([[97, 98, 99], row], dtype=torch.uint8))
    with pytest.raises(DataError, match="rows of bytes"):
        texts_of(torch.zeros(2, 3))


def test_a_tokenizer_that_is_missing_broken_or_too_short_is_refused(tokenizer: Path) -> None:
    with pytest.raises(DataError, match=r"'nowhere.json' \(No such file"):
        load_tokenizer("nowhere.json")
    broken = tokenizer.with_name("broken.json")
    broken.write_text("{}")
    with pytest.raises(DataError, match=r"broken\.json is a file of the package tokenizers"):
        load_tokenizer(broken)
    unknown = write_tokenizer(tokenizer.with_name("unknown.json"), {"[CLS]": 1, "good": 0})
    with pytest.raises(DataError, match="the tokenizer reads every text, got: "):
        preprocessed(text_bytes(["bad"]), spec_of(unknown))
    random = json.loads(tokenizer.read_text())
    random["model"] = {"type": "BPE", "dropout": 0.5, "vocab": {"a": 0}, "merges": []}
    broken.write_text(json.dumps(random))
    with pytest.raises(DataError, match=r"drops merges at random \(dropout 0\.5"):
        load_tokenizer(broken)
    with pytest.raises(DataError, match="more tokens than the 1 that the tokenizer adds"):
        preprocessed(text_bytes(["good"]), spec_of(tokenizer, 1))
    with pytest.raises(DataError, match="tokenizer with SHA-256 abababababab"):
        preprocessed(text_bytes(["good"]), parse_preprocess("tokens", "ab" * 32))
