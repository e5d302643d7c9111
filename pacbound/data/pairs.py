"""Pairs of a prompt and its answer, as symbols one after the other: what a language model answers exactly, or not."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError
from ..request.reading import Reading
from ..specs.language import ALPHABET_SIZES, AlphabetKind, AlphabetSpec
from .subwords import read_tokenizer, whole_tokens
from .tables import TABLES, read_table
from .texts import Text, find_text

PROMPT, ANSWER = "prompt", "answer"


@dataclass(frozen=True)
class Pairs(Text):
    """A text of prompts and answers; spans: where each prompt, its answer and the end of both stand, (pairs, 3)."""

    spans: NDArray[np.int64]

    def digest(self) -> str:
        """Return the SHA-256 of the word pairs, of the spans (int64, little-endian) and of the digest of the text."""
        found = hashlib.sha256(b"pairs\n" + np.ascontiguousarray(self.spans, "<i8").tobytes())
        found.update(super().digest().encode())
        return found.hexdigest()

    def prompts(self) -> list[bytes]:
        """Return the stored symbols of each prompt."""
        return [np.asarray(self.source[begin:answer]).tobytes() for begin, answer, _ in self.spans.tolist()]

    def check_fit(self, window: int) -> None:
        """Refuse a pair of more symbols than a window. Raises: DataError that names it."""
        lengths = self.spans[:, 2] - self.spans[:, 0]
        row = int(np.argmax(lengths))
        if lengths[row] > window:
            raise DataError(
                f"load: a prompt, its answer and its end stand in one window of {window} symbols, pair {row + 1} of "
                f"{self.name} has {lengths[row]}. Give a longer --context, if the network knows so many positions, or "
                "shorten the pair."
            )


def read_pairs(
    source: str | Path, alphabet: AlphabetKind, tokenizer: str | Path | None, end: bytes, root: str | Path | None
) -> Pairs:
    """Read a table with the columns prompt and answer.

    Prompt, answer and end are turned into symbols each by itself, so that no token of one depends on another.

    Args: source: .jsonl, .csv, .tsv or .parquet. alphabet: bytes or ascii97, where there is no tokenizer. end: what
        stands after every answer, where decoding stops.
    Raises: DataError where the table or the tokenizer cannot be read, an answer is empty or holds the end, or a byte
        stands outside the alphabet.
    """
    name, path = find_text(source, root)
    if path.suffix not in TABLES:
        raise DataError(f"load: pairs are a table ({', '.join(TABLES)}), got {path.name}. Write one.")
    table = read_table(path, Reading())
    if not {PROMPT, ANSWER} <= set(table) or not len(table[PROMPT]):
        raise DataError(
            f"load: pairs stand in the columns {PROMPT} and {ANSWER}, got {', '.join(list(table)[:20]) or 'none'} and "
            f"{max(map(len, table.values()), default=0)} rows in {path.name}. Rename them."
        )
    reader = None if tokenizer is None else read_tokenizer(tokenizer)

    def symbols(raw: bytes) -> NDArray[np.unsignedinteger]:
        return np.frombuffer(raw, np.uint8) if reader is None else whole_tokens(reader, raw).astype("<u4")

    parts, edges, place, size, after = [], [], 0, 0, symbols(end)
    for row, (prompt, answer) in enumerate(zip(table[PROMPT], table[ANSWER], strict=True), 1):
        asked, told = _utf8(prompt, row, path.name), _utf8(answer, row, path.name)
        before, whole = symbols(asked), np.concatenate([symbols(told), after])
        if len(whole) == len(after) or not len(after):
            raise DataError(
                f"load: an answer and what ends it hold at least one symbol each, pair {row} of {path.name} has the "
                f"answer {answer!r} before {end!r}. Clean the pairs, or give another --separator."
            )
        if _first(whole, after) < len(whole) - len(after):
            raise DataError(
                f"load: decoding stops where an answer ends, the answer of pair {row} of {path.name} holds the end "
                f"{end!r} itself. Give another --separator."
            )
        parts += [before, whole]
        edges.append((place, place + len(before), place + len(before) + len(whole)))
        place, size = edges[-1][2], size + len(asked) + len(told) + len(end)
    stored = np.concatenate(parts)
    if reader is not None:
        spec = AlphabetSpec(
            kind="tokenizer", size=reader.vocabulary, sha256=reader.sha256, start=reader.start or 0
        )  # fmt: skip
    else:
        spec = AlphabetSpec(kind=alphabet, size=ALPHABET_SIZES[alphabet])
        _check_bytes(stored, spec, path.name)
    return Pairs(name, stored, spec, 0, place, 0, size, np.array(edges, np.int64))


def check_pairs_apart(pairs: Pairs, held_out: Pairs, repeats: str | None) -> None:
    """Refuse held-out prompts that stand among the others, unless somebody says why. Raises: DataError."""
    common = len(set(pairs.prompts()) & set(held_out.prompts()))
    if common and repeats is None:
        raise DataError(
            f"certify: held-out prompts are other ones than those trained on, got {common:,} that stand in both. Hold "
            "others out, or say with --repeats 'REASON' why the source itself repeats its prompts."
        )


def _utf8(value: object, row: int, file: str) -> bytes:
    if not isinstance(value, str):
        raise DataError(f"load: prompts and answers are texts, pair {row} of {file} holds {value!r}.")
    try:
        return value.encode("utf-8")
    except UnicodeEncodeError:
        raise DataError(
            f"load: prompts and answers are Unicode, pair {row} of {file} holds half a surrogate."
        ) from None


def _first(whole: NDArray[np.unsignedinteger], part: NDArray[np.unsignedinteger]) -> int:
    """Where a part that stands at the end stands first."""
    return next(k for k in range(len(whole)) if np.array_equal(whole[k : k + len(part)], part))


def _check_bytes(stored: NDArray[np.unsignedinteger], spec: AlphabetSpec, file: str) -> None:
    bad = stored[~np.isin(stored, np.frombuffer(spec.declared, np.uint8))]
    if bad.size:
        raise DataError(
            f"load: {file} holds the byte 0x{bad[0]:02x}, which is not in the alphabet {spec.kind} (tab, newline and "
            "printable ASCII). Use --alphabet bytes."
        )
