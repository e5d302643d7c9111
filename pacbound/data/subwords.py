"""Tokenizers of language models, by file: a tokenizer.json of the package tokenizers, or one of llama2.c. No torch.

Both have the same interface: vocabulary, start, sha256, encode, decode, safe_cut.
"""

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError, first_line
from .llama2c import Llama2cTokenizer, read_llama2c_tokenizer

if TYPE_CHECKING:
    from tokenizers import Tokenizer

FILE = "tokenizer.json"
LLAMA2C = ".bin"
STARTS = ("<s>", "<|begin_of_text|>", "<bos>", "<|endoftext|>")  # tokens that stand before a text; the first there is


class JsonTokenizer:
    """A tokenizer.json as a map from texts to tokens, nothing added, cut off or filled up."""

    def __init__(self, tokenizer: "Tokenizer", sha256: str) -> None:
        """Args: tokenizer: as the file says. sha256: of the file."""
        self._tokenizer, self.sha256 = tokenizer, sha256
        tokenizer.no_truncation()
        tokenizer.no_padding()
        known = (tokenizer.token_to_id(token) for token in STARTS)
        self.start: int | None = next((number for number in known if number is not None), None)

    @property
    def vocabulary(self) -> int:
        """Number of tokens, added ones among them: all numbers are below it."""
        return 1 + max(self._tokenizer.get_vocab(with_added_tokens=True).values())

    def safe_cut(self, text: str) -> int:
        """Return the place after the last line end within a text, 0 where there is none: a chunk ends there.

        What tokens are is said by the rule: lines are gathered into chunks, and each chunk is encoded by itself.
        """
        return text.rfind("\n", 0, len(text) - 1) + 1

    def encode(self, text: str | bytes) -> NDArray[np.int64]:
        """Return the tokens of a text, or of its UTF-8. Raises: DataError where it is none, or nobody can read it."""
        try:
            text = (text if isinstance(text, bytes) else text.encode("utf-8")).decode("utf-8")  # no half of a pair
            return np.array(self._tokenizer.encode(text, add_special_tokens=False).ids, np.int64)
        except UnicodeError as why:
            raise DataError(f"tokens: a text is UTF-8, got {first_line(why)}. Convert it.") from None
        except (
            Exception
        ) as why:  # the package raises plain exceptions, for instance where no token is for unknown words
            raise DataError(f"tokens: the tokenizer reads every text, got: {first_line(why)}.") from None

    def decode(self, ids: Sequence[int] | NDArray[np.int64]) -> bytes:
        """Return the text of tokens in UTF-8; that of `encode` where the tokenizer loses nothing."""
        try:
            return self._tokenizer.decode([int(number) for number in ids], skip_special_tokens=False).encode("utf-8")
        except Exception as why:
            raise DataError(f"tokens: numbers below {self.vocabulary}, got: {first_line(why)}.") from None


def whole_tokens(reader: JsonTokenizer | Llama2cTokenizer, text: str | bytes) -> NDArray[np.int64]:
    """Return the tokens of a text that they give back: bits of tokens that do not are no bits of the text.

    Blanks before it do not count: some tokenizers put one there, which others take off.
    Raises: DataError where something is lost, such as a word that has no token or the case of letters.
    """
    ids = reader.encode(text)
    raw = text.encode("utf-8") if isinstance(text, str) else text
    back = reader.decode(ids)
    if back.lstrip(b" ") != raw.lstrip(b" "):
        at = next((k for k, (one, other) in enumerate(zip(back, raw, strict=False)) if one != other), 0)
        raise DataError(
            f"tokens: a tokenizer loses nothing of a text that is predicted, got {back[at : at + 20]!r} back of "
            f"{raw[at : at + 20]!r}. Give one of bytes or with all characters, whose file has its decoder."
        )
    return ids


def read_tokenizer(path: str | Path) -> JsonTokenizer | Llama2cTokenizer:
    """Read a tokenizer.json, the folder that holds one, or a tokenizer of llama2.c (FILE.bin).

    Raises: DataError where there is none, or the package tokenizers is missing.
    """
    file = Path(path) / FILE if Path(path).is_dir() else Path(path)
    if file.suffix == LLAMA2C:
        return read_llama2c_tokenizer(file)
    raw = tokenizer_bytes(file)
    return JsonTokenizer(parsed_tokenizer(raw, file.name), hashlib.sha256(raw).hexdigest())


def tokenizer_bytes(file: Path) -> bytes:
    """Return the bytes of a tokenizer file. Raises: DataError where it cannot be read."""
    try:
        return file.read_bytes()
    except OSError as cause:
        raise DataError(
            f"load: a tokenizer is a file {FILE} or the folder that holds one, got {file.name!r} "
            f"({cause.strerror}). Check the path."
        ) from None


def parsed_tokenizer(raw: bytes, name: str) -> "Tokenizer":
    """Parse a tokenizer.json, called `name`. Raises: DataError where it is none, or the package is missing."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # its threads do not survive a fork
    try:
        from tokenizers import Tokenizer
    except ImportError as why:
        raise DataError(
            f"load: texts need the package tokenizers, which cannot be imported ({first_line(why)}). "
            "Install the extra: pip install 'pacbound[transformers]'"
        ) from None
    try:
        found = Tokenizer.from_buffer(raw)
    except Exception as why:  # the package raises plain exceptions
        raise DataError(f"load: {name} is a file of the package tokenizers, got: {first_line(why)}.") from None
    if getattr(found.model, "dropout", None):
        raise DataError(
            f"load: a tokenizer gives one answer to one text, {name} drops merges at random (dropout "
            f"{found.model.dropout}). Set its dropout to null."
        )
    return found
