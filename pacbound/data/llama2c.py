"""The tokenizer file of llama2.c, such as tok512.bin: pieces of text with scores, without torch.

Layout: the longest piece, int32; then for each token its score, float32, its length, int32, and its bytes. Tokens 0, 1
and 2 are unknown, start and end; 3 to 258 are the 256 bytes; the others are pieces, UTF-8.
"""

import hashlib
import math
import struct
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError, first_line

START = 1  # stands before every text
FIRST_BYTE, FIRST_PIECE = 3, 259
MAX_FILE = 1 << 26  # bytes
REMEMBERED = 1 << 16  # stretches of text
LONGEST = 1 << 12  # characters that pieces join without a border; work grows with the square
_ENTRY = struct.Struct("<fi")


class Llama2cTokenizer:
    """Byte-pair merges by score, as llama2.c makes them: the pair of the best score first, of equals the first one.

    No blank is put before a text, so that the tokens of a text and of its parts are those of the whole:
    encode(a + b) is encode(a) then encode(b) wherever `joins` says that nothing reaches across.
    """

    start = START

    def __init__(self, pieces: Sequence[bytes], scores: Sequence[float], sha256: str) -> None:
        """Args: pieces, scores: of all tokens, by number. sha256: of the file. Raises: DataError for no such list."""
        self.sha256 = sha256
        self._bytes = [b""] * FIRST_BYTE + [bytes([byte]) for byte in range(256)] + list(pieces[FIRST_PIECE:])
        self._scores = list(scores)
        self._numbers: dict[str, int] = {}
        self._pairs: set[str] = set()
        for number, raw in enumerate(pieces[FIRST_PIECE:], FIRST_PIECE):
            try:
                piece = raw.decode("utf-8")
            except UnicodeDecodeError:
                raise DataError(f"load: pieces of a tokenizer are UTF-8, token {number} is not.") from None
            if not piece or piece in self._numbers:
                raise DataError(f"load: pieces of a tokenizer are texts, each once, token {number} is {piece!r}.")
            self._numbers[piece] = number
            self._pairs |= {piece[at : at + 2] for at in range(len(piece) - 1)}
        self._stretch = lru_cache(maxsize=REMEMBERED)(self._merged)

    @property
    def vocabulary(self) -> int:
        """Number of tokens."""
        return len(self._bytes)

    def joins(self, before: str, after: str) -> bool:
        """Whether a piece could reach across the border between two characters; elsewhere a text may be cut."""
        return before + after in self._pairs

    def safe_cut(self, text: str) -> int:
        """Return the last place within a text where it may be cut, 0 where there is none: a chunk ends there."""
        places = (at for at in range(len(text) - 1, 0, -1) if text[at - 1 : at + 1] not in self._pairs)
        return next(places, 0)

    def encode(self, text: str | bytes) -> NDArray[np.int64]:
        """Return the tokens of a text, or of its UTF-8. Raises: DataError where it is no Unicode."""
        try:
            text = text.decode("utf-8") if isinstance(text, bytes) else text
            text.encode("utf-8")
        except UnicodeError as why:
            raise DataError(f"tokens: a text is UTF-8, got {first_line(why)}. Convert it.") from None
        ids: list[int] = []
        start, pairs = 0, self._pairs
        for at in range(1, len(text)):
            if text[at - 1 : at + 1] not in pairs:
                ids += self._stretch(text[start:at])
                start = at
        ids += self._stretch(text[start:])
        return np.array(ids, np.int64)

    def decode(self, ids: Sequence[int] | NDArray[np.int64]) -> bytes:
        """Return the bytes of tokens; unknown, start and end have none. Raises: DataError for another number."""
        numbers = [int(number) for number in ids]
        if numbers and not 0 <= min(numbers) <= max(numbers) < self.vocabulary:
            raise DataError(f"tokens: numbers below {self.vocabulary}, got {min(numbers)} to {max(numbers)}.")
        return b"".join(map(self._bytes.__getitem__, numbers))

    def _merged(self, text: str) -> tuple[int, ...]:
        """Tokens of a stretch within which pieces may reach from each character to the next."""
        if len(text) > LONGEST:
            raise DataError(
                f"tokens: within {LONGEST:,} characters there is a border that no piece crosses, got {len(text):,} "
                f"from {text[:20]!r} on without one. Break such lines."
            )
        ids: list[int] = []
        for character in text:
            number = self._numbers.get(character)
            ids += [FIRST_BYTE + byte for byte in character.encode()] if number is None else [number]
        while True:
            best, place = -math.inf, None
            for at in range(len(ids) - 1):
                number = self._joined(ids[at], ids[at + 1])
                if number is not None and (place is None or self._scores[number] > best):
                    best, place, merged = self._scores[number], at, number
            if place is None:
                return tuple(ids)
            ids[place : place + 2] = [merged]

    def _joined(self, left: int, right: int) -> int | None:
        """The token of two pieces together; bytes that are no character join nothing."""
        if min(left, right) < FIRST_PIECE:
            return None
        return self._numbers.get((self._bytes[left] + self._bytes[right]).decode("utf-8"))


def read_llama2c_tokenizer(path: str | Path) -> Llama2cTokenizer:
    """Read a tokenizer file of llama2.c. Raises: DataError where it is none."""
    file = Path(path)
    try:
        size = file.stat().st_size
        if size > MAX_FILE:
            raise _refusal(file, f"{size:,} bytes")
        raw = file.read_bytes()
    except OSError as why:
        raise _refusal(file, str(why.strerror)) from None
    pieces: list[bytes] = []
    scores: list[float] = []
    at = 4
    longest = int.from_bytes(raw[:4], "little", signed=True)
    while at < len(raw):
        if at + _ENTRY.size > len(raw):
            raise _refusal(file, f"half an entry at byte {at}")
        score, length = _ENTRY.unpack_from(raw, at)
        at += _ENTRY.size
        if not 0 <= length <= max(longest, 16) or at + length > len(raw) or not math.isfinite(score):
            raise _refusal(file, f"token {len(pieces)} of {length} bytes and score {score}")
        pieces.append(raw[at : at + length])
        scores.append(score)
        at += length
    expected = [f"<0x{byte:02X}>".encode() for byte in range(256)]
    if pieces[FIRST_BYTE:FIRST_PIECE] != expected:
        raise _refusal(file, f"{len(pieces)} tokens without the 256 bytes as tokens {FIRST_BYTE} to {FIRST_PIECE - 1}")
    return Llama2cTokenizer(pieces, scores, hashlib.sha256(raw).hexdigest())


def _refusal(file: Path, found: str) -> DataError:
    return DataError(
        f"load: {file.name} is read as a tokenizer of llama2.c (scores, lengths and pieces, the 256 bytes among them), "
        f"got {found}. Give tok512.bin or the like, or a tokenizer.json."
    )
