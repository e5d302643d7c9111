"""Text as a sequence of symbols, read from files of any size without holding them: bytes are mapped, tokens are
written to a file of their own and mapped."""

import codecs
import hashlib
import re
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError, without_file
from ..progress import hidden, tqdm
from ..specs.language import ALPHABET_SIZES, AlphabetKind, AlphabetSpec, mask_of
from .roots import data_root
from .subwords import read_tokenizer, whole_tokens

CHUNK = 1 << 22  # symbols at a time
WINDOWS, WINDOW = 64, 64  # of held-out text, looked for in the text itself
TOKENIZED = 1 << 20  # bytes of a text that are tokenized at a time, up to a place where that changes nothing
NAMED = {
    "tinyshakespeare": "tinyshakespeare/input.txt",
    "wikitext-2:valid": "wikitext-2/valid.txt",
    "wikitext-2:test": "wikitext-2/test.txt",
}

Symbols = NDArray[np.int64]


@dataclass(frozen=True)
class Text:
    """Symbols [first, last) of a source.

    source: bytes as they are, or ids of tokens; (m,) uint8 or uint32, mapped from a file. alphabet: what they are
    symbols of. bytes_in_all: of the text that they stand for, from byte `begin` of its file on.
    """

    name: str
    source: NDArray[np.unsignedinteger]
    alphabet: AlphabetSpec
    first: int
    last: int
    begin: int
    bytes_in_all: int

    @property
    def n(self) -> int:
        """Number of symbols."""
        return self.last - self.first

    def symbols(self, start: int, stop: int) -> Symbols:
        """Return symbols [start, stop) as the network numbers them; those it does not know are `predicted`."""
        raw = np.asarray(self.source[self.first + start : min(self.first + stop, self.last)])
        if self.alphabet.kind == "tokenizer":
            return raw.astype(np.int64)
        return _numbers(self.alphabet)[raw]

    def chunks(self, size: int = CHUNK) -> Iterator[NDArray[np.unsignedinteger]]:
        """Yield the stored symbols in order, some at a time."""
        for start in range(self.first, self.last, size):
            yield np.asarray(self.source[start : min(start + size, self.last)])

    def digest(self) -> str:
        """Return the SHA-256 of the alphabet's kind and of the symbols as they are stored, 64 hex digits."""
        found = hashlib.sha256(f"{self.alphabet.kind} {self.alphabet.sha256 or ''}\n".encode())
        width = "<u1" if self.source.dtype.itemsize == 1 else "<u4"
        for chunk in self.chunks():
            found.update(np.ascontiguousarray(chunk, dtype=width).tobytes())
        return found.hexdigest()

    def listing(self) -> "Text":
        """Return the same text with an alphabet that lists the bytes that occur in it."""
        seen = np.zeros(256, bool)
        for chunk in self.chunks():
            seen[chunk] = True
        mask = mask_of(bytes(np.flatnonzero(seen).tolist()))
        return self.over(self.alphabet.model_copy(update={"occurring": mask}))

    def over(self, alphabet: AlphabetSpec) -> "Text":
        """Return the same text for a network that knows the symbols of an alphabet of the same kind."""
        return replace(self, alphabet=AlphabetSpec.model_validate(alphabet.model_dump()))

    def documents(self, separator: bytes) -> NDArray[np.int64]:
        """Return where documents begin and end, (m, 2), counted from the start of the text.

        Raises: DataError where one is empty, or where the symbols are no bytes.
        """
        if self.alphabet.kind == "tokenizer":
            raise DataError("load: documents are told apart by bytes, which tokens are not. Use --alphabet bytes.")
        bounds, begin, kept, place = [], 0, b"", 0
        for chunk in self.chunks():
            window = kept + chunk.tobytes()
            offset = place - len(kept)
            for found in re.finditer(re.escape(separator), window):
                bounds.append((begin, offset + found.start()))
                begin = offset + found.end()
            place += len(chunk)
            kept = window[max(len(window) - len(separator) + 1, begin - offset) :] if len(separator) > 1 else b""
        if begin < self.n:
            bounds.append((begin, self.n))
        made = np.array(bounds, np.int64).reshape(-1, 2)
        empty = np.flatnonzero(made[:, 0] == made[:, 1])
        if empty.size:
            raise DataError(
                f"load: a document holds at least one symbol, number {empty[0]} at byte {made[empty[0], 0]:,} of the "
                f"text is empty. Clean the text, or give a longer --separator, got {separator!r}."
            )
        return made


def distinct_beginnings(text: Text, spans: NDArray[np.int64], window: int) -> int:
    """Number of distinct first windows of documents, (m, 2): what follows them is not read.

    A copy with another end is a copy; two that differ by one symbol are distinct.
    """
    raw = text.source[text.first : text.last]
    found = {
        hashlib.blake2b(np.asarray(raw[begin : min(end, begin + window)]).tobytes(), digest_size=16).digest()
        for begin, end in spans.tolist()
    }
    return len(found)


def check_text_apart(text: Text, held_out: Text) -> None:
    """Refuse held-out text that stands in the text itself: of 64 windows of 64 symbols more than one.

    Raises: DataError.
    """
    asked = np.linspace(held_out.first, max(held_out.first, held_out.last - WINDOW), WINDOWS).astype(int)
    windows = {np.asarray(held_out.source[start : min(start + WINDOW, held_out.last)]).tobytes() for start in asked}
    found: set[bytes] = set()
    kept = b""
    for chunk in text.chunks():
        here = kept + chunk.tobytes()
        found |= {one for one in windows - found if one in here}
        kept = here[-WINDOW * text.source.dtype.itemsize :]
    if len(found) > 1 or len(found) == len(windows):
        raise DataError(
            f"load: held-out text was not looked at, and {len(found)} of {len(windows)} windows of {held_out.name} "
            f"stand in {text.name} as well. Give another text, or --held-out SHARE."
        )


def byte_range(source: str | Path, root: str | Path | None, part: tuple[float, float]) -> tuple[int, int]:
    """Return at which byte a part of a text begins and how many it has; no character is cut in two.

    Raises: DataError.
    """
    raw = _mapped(find_text(source, root)[1])
    edges = [int(share * len(raw)) for share in part]
    first, last = (_character_start(raw, edge) for edge in edges)
    return first, last - first


def character_start(source: str | Path, root: str | Path | None, place: int) -> int:
    """Return a place in a text, or the nearest before it where a character of UTF-8 begins. Raises: DataError."""
    return _character_start(_mapped(find_text(source, root)[1]), place)


def _character_start(raw: NDArray[np.uint8], place: int) -> int:
    """The place, or the nearest before it where a character of UTF-8 begins."""
    for back in range(4):
        if place - back <= 0 or place == len(raw) or raw[place - back] & 0xC0 != 0x80:
            return max(0, place - back)
    return place


def map_symbols(
    source: str | Path, alphabet: AlphabetKind, tokenizer: str | Path | None, root: str | Path | None, begin: int = 0,
    count: int | None = None, progress: bool = True,
) -> Text:  # fmt: skip
    """Map `count` bytes of a text from one on, as symbols of an alphabet, or as tokens where there is a tokenizer.

    Raises: as `map_text` and `map_tokens`.
    """
    if tokenizer is not None:
        return map_tokens(source, tokenizer, root, begin, count, progress)
    return map_text(source, alphabet, root, begin, count)


def map_text(
    source: str | Path, alphabet: AlphabetKind, root: str | Path | None = None, begin: int = 0,
    count: int | None = None,
) -> Text:  # fmt: skip
    """Map `count` bytes of a text from one on; all of them by default.

    Args: source: a file, or a name of NAMED below the data root. alphabet: bytes or ascii97.
    Raises: DataError where the file cannot be read, the part is empty, or a byte stands outside the alphabet.
    """
    name, path = find_text(source, root)
    raw = _mapped(path)
    first, last = begin, len(raw) if count is None else begin + count
    _check_range(first, last, len(raw), path.name)
    spec = AlphabetSpec(kind=alphabet, size=ALPHABET_SIZES[alphabet])
    text = Text(name, raw, spec, first, last, first, last - first)
    known = np.isin(np.arange(256, dtype=np.uint8), np.frombuffer(text.alphabet.declared, np.uint8))
    place = first
    for chunk in text.chunks():
        bad = np.flatnonzero(~known[chunk])
        if bad.size:
            raise DataError(
                f"load: {path.name} holds the byte 0x{chunk[bad[0]]:02x} at {place + bad[0]:,}, which is not in the "
                f"alphabet {alphabet} (tab, newline and printable ASCII). Use --alphabet bytes."
            )
        place += len(chunk)
    return text


def map_tokens(
    source: str | Path, tokenizer: str | Path, root: str | Path | None, begin: int, count: int | None,
    progress: bool = True,
) -> Text:  # fmt: skip
    """Tokenize `count` bytes of a text from one on, into a file that goes when nobody reads it any more.

    Raises: DataError where the text or the tokenizer cannot be read, a byte is no UTF-8, or tokens lose some of it.
    """
    name, path = find_text(source, root)
    raw, reader = _mapped(path), read_tokenizer(tokenizer)
    last = len(raw) if count is None else begin + count
    _check_range(begin, last, len(raw), path.name)
    tokens = 0
    with tempfile.TemporaryFile() as file:
        for piece in _pieces(raw, begin, last, path.name, reader.safe_cut, progress):
            ids = whole_tokens(reader, piece)
            file.write(ids.astype("<u4").tobytes())
            tokens += len(ids)
        file.flush()
        source_ids = np.memmap(file, "<u4", mode="r", shape=(tokens,))
    spec = AlphabetSpec(kind="tokenizer", size=reader.vocabulary, sha256=reader.sha256, start=reader.start or 0)
    return Text(name, source_ids, spec, 0, tokens, begin, last - begin)


def _pieces(
    raw: NDArray[np.uint8], begin: int, last: int, file: str, cut: Callable[[str], int], progress: bool
) -> Iterator[str]:
    """Yield the text in pieces that are tokenized one by one; a piece ends where its tokenizer says."""
    decoder, kept = codecs.getincrementaldecoder("utf-8")(), ""
    bar = tqdm(total=last - begin, desc="tokenizing", unit="B", unit_scale=True, disable=hidden(progress))
    with bar:
        for start in range(begin, last, TOKENIZED):
            stop = min(start + TOKENIZED, last)
            try:
                kept += decoder.decode(raw[start:stop].tobytes(), final=stop == last)
            except UnicodeDecodeError as cause:
                raise DataError(
                    f"load: {file} is UTF-8 where it is tokenized, near byte {start + cause.start:,} it is not. Use "
                    "--alphabet bytes, or convert it."
                ) from None
            place = len(kept) if stop == last else cut(kept)
            if place:
                yield kept[:place]
            kept = kept[place:]
            bar.update(stop - start)


def find_text(source: str | Path, root: str | Path | None) -> tuple[str, Path]:
    """Return what a text is called in a certificate, and its file. Raises: DataError where there is none."""
    known = NAMED.get(str(source))
    path = Path(source) if known is None else data_root(root) / known
    if not path.is_file():
        where = f"expected {known} below the data root (--data-dir, or PACBOUND_DATA)" if known else "there is no file"
        raise DataError(
            f"load: a text is a file, or one of {', '.join(NAMED)}, got {str(source)!r}: {where}. Check the path."
        )
    stem = re.sub(r"[^a-z0-9._-]+", "-", (path.stem if known is None else str(source)).lower()).strip("-._")
    return stem[:64] or "text", path


def _check_range(first: int, last: int, size: int, file: str) -> None:
    if not first < last <= size:
        raise DataError(
            f"load: a text holds at least one symbol, got bytes {first:,} to {last:,} of the {size:,} in {file}. Give "
            "the text itself, or a larger share of it."
        )


def _mapped(path: Path) -> NDArray[np.uint8]:
    try:
        if path.stat().st_size == 0:
            raise DataError(f"load: a text holds at least one symbol, {path.name} is empty.")
        return np.memmap(path, np.uint8, mode="r")
    except OSError as cause:
        raise DataError(f"load: {path.name} cannot be read ({without_file(cause)}).") from None


def _numbers(alphabet: AlphabetSpec) -> Symbols:
    """The number of each of the 256 bytes; `predicted` for those that the network does not know."""
    listed = alphabet.declared if alphabet.listed is None else alphabet.listed
    numbers = np.full(256, len(listed), np.int64)
    numbers[np.frombuffer(listed, np.uint8)] = np.arange(len(listed))
    return numbers
