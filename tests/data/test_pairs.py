"""Tables of prompts and answers: which symbols they become, their digest, and what is refused."""

import json
from pathlib import Path

import pytest

from pacbound.data.pairs import Pairs, check_pairs_apart, read_pairs
from pacbound.errors import DataError
from tests.data.test_llama2c import content

ROWS = [{"prompt": "ab", "answer": "c"}, {"prompt": "", "answer": "é☂"}, {"answer": "x", "prompt": "ab"}]


def written(folder: Path, rows: list[dict[str, object]], name: str = "pairs.jsonl") -> Path:
    path = folder / name
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def read(path: Path, alphabet: str = "bytes", end: bytes = b"\n", tokenizer: Path | None = None) -> Pairs:
    return read_pairs(path, alphabet, tokenizer, end, None)  # type: ignore[arg-type]


def test_pairs_are_their_bytes_one_after_the_other(tmp_path: Path) -> None:
    pairs = read(written(tmp_path, ROWS))
    assert bytes(pairs.source) == "abc\né☂\nabx\n".encode()
    assert pairs.spans.tolist() == [[0, 2, 4], [4, 4, 10], [10, 12, 14]]
    assert pairs.prompts() == [b"ab", b"", b"ab"]
    assert (pairs.n, pairs.bytes_in_all, pairs.name) == (14, 14, "pairs")
    table = tmp_path / "same.csv"
    table.write_text("prompt,answer\nab,c\n,é☂\nab,x\n")
    assert read(table).digest() == pairs.digest()


def test_the_digest_says_where_an_answer_begins(tmp_path: Path) -> None:
    one = read(written(tmp_path, [{"prompt": "ab", "answer": "c"}]))
    other = read(written(tmp_path, [{"prompt": "a", "answer": "bc"}]))
    assert bytes(one.source) == bytes(other.source)
    assert one.digest() != other.digest()


def test_prompt_answer_and_end_are_tokens_by_themselves(tmp_path: Path) -> None:
    tokenizer = tmp_path / "made.bin"
    tokenizer.write_bytes(content())  # ab is one piece
    pairs = read(
        written(tmp_path, [{"prompt": "a", "answer": "b"}, {"prompt": "ab", "answer": "ba"}]), "bytes", b"\n", tokenizer
    )
    assert pairs.spans.tolist() == [[0, 1, 3], [3, 4, 6]]
    assert pairs.source[2] == 3 + ord("\n")
    assert pairs.alphabet.sha256 is not None


@pytest.mark.parametrize(
    ("rows", "match"),
    [
        ([{"prompt": "a", "answer": ""}], "pair 1 of pairs.jsonl has the answer ''"),
        ([ROWS[0], {"prompt": "a", "answer": "b\nc"}], "answer of pair 2 of pairs.jsonl holds the end"),
        ([{"prompt": "a", "answer": 3}], "pair 1 of pairs.jsonl holds 3"),
        ([{"prompt": "a", "answer": "\ud800"}], "half a surrogate"),
        ([{"question": "a", "answer": "b"}], "the columns prompt and answer, got question, answer"),
        ([], "got none and 0 rows"),
    ],
)
def test_what_are_no_pairs_is_refused(tmp_path: Path, rows: list[dict[str, object]], match: str) -> None:
    with pytest.raises(DataError, match=match):
        read(written(tmp_path, rows))


def test_other_files_and_bytes_outside_the_alphabet_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"pairs are a table .*, got pairs.txt"):
        read(written(tmp_path, ROWS, "pairs.txt"))
    with pytest.raises(DataError, match="byte 0xc3, which is not in the alphabet ascii97"):
        read(written(tmp_path, ROWS), "ascii97")


def test_held_out_prompts_are_other_ones_unless_somebody_says_why(tmp_path: Path) -> None:
    pairs = read(written(tmp_path, ROWS))
    check_pairs_apart(pairs, read(written(tmp_path, [{"prompt": "b", "answer": "c"}])), None)
    same = read(written(tmp_path, [{"prompt": "ab", "answer": "d"}]))
    check_pairs_apart(pairs, same, "few prompts")
    with pytest.raises(DataError, match="got 1 that stand in both"):
        check_pairs_apart(pairs, same, None)
