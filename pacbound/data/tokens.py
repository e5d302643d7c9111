"""Texts as rows of bytes, and their tokens, by a tokenizer that the SHA-256 of its file names.

A sample of texts is x (n, L), uint8: UTF-8, padded with zeros to the longest, so that its digest is that of the bytes.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from ..errors import DataError, first_line
from ..specs.preprocess import PreprocessSpec
from .subwords import FILE, parsed_tokenizer, tokenizer_bytes

if TYPE_CHECKING:
    from tokenizers import Encoding, Tokenizer

PADDING = ("[PAD]", "<pad>")  # tokens to pad with, where the file says nothing
CHUNK_TEXTS = 4096

_loaded: dict[str, "Tokenizer"] = {}  # SHA-256 of a file -> what it holds; a digest decides all of it


def text_bytes(texts: Sequence[str]) -> Tensor:
    """Return texts as x (n, L) uint8. Raises: DataError where one holds a NUL, or all of them are empty."""
    try:
        encoded = [text.encode("utf-8") for text in texts]
    except UnicodeEncodeError as cause:
        raise DataError(f"load: texts are Unicode, got half of a pair of surrogates ({cause.reason}).") from None
    longest = max(map(len, encoded), default=0)
    if longest == 0:
        raise DataError(f"load: a sample of texts holds some, got {len(texts)} without a character.")
    for index, raw in enumerate(encoded):
        if b"\0" in raw:
            raise DataError(f"load: a text holds no NUL character, text {index} does. Remove it.")
    rows = np.array(encoded, dtype=f"S{longest}")
    return torch.from_numpy(np.frombuffer(rows.tobytes(), np.uint8).reshape(len(texts), longest).copy())


def texts_of(x: Tensor) -> list[str]:
    """Return the texts of rows x (n, L) uint8. Raises: DataError where a row is no text."""
    if x.dtype != torch.uint8 or x.ndim != 2:
        raise DataError(
            f"preprocess: texts are rows of bytes, x (n, L) in uint8, got {x.dtype} in shape {tuple(x.shape)}."
        )
    rows = np.ascontiguousarray(x.cpu().numpy())
    texts = []
    for index, raw in enumerate(rows.view(f"S{rows.shape[1]}").ravel().tolist()):
        try:
            if b"\0" in raw:
                raise ValueError("a NUL before its end")
            texts.append(raw.decode("utf-8"))
        except ValueError as cause:
            raise DataError(f"preprocess: texts are UTF-8 without NUL, row {index} holds {cause}.") from None
    return texts


def load_tokenizer(path: str | Path) -> str:
    """Load a tokenizer.json, or that of a folder, and return the SHA-256 of the file, 64 hex digits.

    From then on `token_ids` knows it by this digest.
    Raises: DataError where there is none, or the package tokenizers is missing.
    """
    file = Path(path) / FILE if Path(path).is_dir() else Path(path)
    raw = tokenizer_bytes(file)
    sha256 = hashlib.sha256(raw).hexdigest()
    if sha256 not in _loaded:
        _loaded[sha256] = parsed_tokenizer(raw, file.name)
    return sha256


def token_ids(x: Tensor, spec: PreprocessSpec) -> Tensor:
    """Return the tokens of texts x (n, L) uint8, each cut off or padded to the length of the spec; (n, length) int64.

    What a tokenizer adds to every text stays; what is cut off is the end, and what is added to it the token that the
    file pads with, else [PAD] or <pad>, else the number 0.
    Raises: DataError where x holds no texts, or nobody loaded the tokenizer.
    """
    tokenizer = _known(spec)
    ids = torch.empty((len(x), spec.length or 0), dtype=torch.int64)
    for start in range(0, len(x), CHUNK_TEXTS):
        encoded = _encoded(tokenizer, x[start : start + CHUNK_TEXTS])
        ids[start : start + len(encoded)] = torch.tensor([one.ids for one in encoded], dtype=torch.int64)
    return ids.to(x.device)


def cut_texts(x: Tensor, spec: PreprocessSpec) -> int:
    """Number of texts x (n, L) of which the rule cuts something off. Raises: as `token_ids`."""
    tokenizer = _known(spec)
    chunks = (x[start : start + CHUNK_TEXTS] for start in range(0, len(x), CHUNK_TEXTS))
    return sum(bool(one.overflowing) for rows in chunks for one in _encoded(tokenizer, rows))


def padding_number(spec: PreprocessSpec) -> int:
    """Return the number that texts are filled up with. Raises: as `token_ids`."""
    return _padding(_known(spec))[0]


def _encoded(tokenizer: "Tokenizer", x: Tensor) -> "list[Encoding]":
    try:
        return tokenizer.encode_batch(texts_of(x))
    except DataError:
        raise
    except Exception as why:  # the package raises plain exceptions, for instance where no token is for unknown words
        raise DataError(f"preprocess: the tokenizer reads every text, got: {first_line(why)}.") from None


def package() -> str:
    """Name the package that makes tokens, with its version."""
    import tokenizers

    return f"tokenizers {tokenizers.__version__}"


def _known(spec: PreprocessSpec) -> "Tokenizer":
    """The loaded tokenizer, set to cut and to pad as the spec says."""
    tokenizer = _loaded.get(spec.sha256 or "")
    if tokenizer is None:
        raise DataError(
            f"preprocess: the tokenizer with SHA-256 {(spec.sha256 or '')[:12]} is at hand, got none. Give its file "
            "with --tokenizer."
        )
    added = tokenizer.num_special_tokens_to_add(is_pair=False)
    length = spec.length or 0
    if length <= added:
        raise DataError(
            f"preprocess: texts keep more tokens than the {added} that the tokenizer adds to each, got "
            f"{length}. Ask for more, as --preprocess tokens@64."
        )
    number, token = _padding(tokenizer)
    tokenizer.enable_truncation(max_length=length, stride=0, strategy="longest_first", direction="right")
    tokenizer.enable_padding(direction="right", pad_id=number, pad_type_id=0, pad_token=token, length=length)
    return tokenizer


def _padding(tokenizer: "Tokenizer") -> tuple[int, str]:
    stated = tokenizer.padding
    if stated is not None:
        return stated["pad_id"], stated["pad_token"]
    known = ((tokenizer.token_to_id(token), token) for token in PADDING)
    return next(((number, token) for number, token in known if number is not None), (0, PADDING[0]))
