"""Code a weight file of any size tensor by tensor, in pieces: no data, hence no bound, but the bits of every layer.

A coded file holds, one after the other, the messages of the pieces, then an index in JSON, its length as 8 bytes little
endian, and the mark `pacbound-coded-1`. A piece is at most 2^20 elements of one tensor in flat order; tensors of other
than floating-point numbers are kept as they are.
"""

import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, ValidationError

from ...errors import ModelError, PacboundError, QuantizeError, without_file
from ...progress import hidden, tqdm
from ...quantize.pieces import code_piece, decode_piece
from ...records import Record

FileQuantizer = Literal["int8", "nf4", "fp4", "lattice"]
FILE_QUANTIZERS: tuple[FileQuantizer, ...] = FileQuantizer.__args__  # type: ignore[attr-defined]
PIECE = 1 << 20
MARK = b"pacbound-coded-1"
MAX_INDEX_BYTES = 1 << 26
FLOATS = {"BF16": 2, "F16": 2, "F32": 4}
Array = NDArray[np.float32]


class CodedTensor(Record):
    """One tensor of a coded file: bits as it stood in the weight file, bits coded, SHA-256 of its float32 values.

    pieces: bytes of each message. raw: kept as it was.
    """

    name: str
    dtype: str = Field(pattern="^[A-Z0-9_]{2,12}$")
    shape: tuple[int, ...]
    bits_before: int = Field(ge=0)
    bits: int = Field(ge=0)
    sha256: str
    pieces: tuple[int, ...]
    raw: bool = False

    @property
    def count(self) -> int:
        """Number of elements."""
        return int(np.prod(self.shape, dtype=object))


class CodedFile(Record):
    """What a coded file holds."""

    quantizer: str
    tensors: tuple[CodedTensor, ...]

    @property
    def parameters(self) -> int:
        """Elements of all tensors."""
        return sum(tensor.count for tensor in self.tensors)

    @property
    def bits(self) -> int:
        """Bits of all messages."""
        return sum(tensor.bits for tensor in self.tensors)

    @property
    def bits_before(self) -> int:
        """Bits of all tensors in the weight file."""
        return sum(tensor.bits_before for tensor in self.tensors)


@dataclass(frozen=True)
class _Entry:
    """A tensor of a safetensors file: where its bytes lie."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    start: int
    stop: int


def code_file(
    path: str | Path, output: str | Path, quantizer: FileQuantizer = "nf4", progress: bool = True
) -> CodedFile:
    """Code a safetensors file piece by piece, in memory that does not depend on its size.

    Raises: ModelError where the file is malformed; QuantizeError where a weight is not finite, by the tensor's name, or
        where the code cannot be written beside the weights.
    """
    target_path = Path(output)
    if target_path.is_dir() or not target_path.parent.is_dir() or target_path.resolve() == Path(path).resolve():
        raise QuantizeError(
            f"code_file: the code goes into another file than the weights, in an existing folder, got {str(output)!r}. "
            "Name one such as net.coded."
        )
    if quantizer not in FILE_QUANTIZERS:
        raise QuantizeError(f"code_file: a quantizer is one of {', '.join(FILE_QUANTIZERS)}, got {quantizer!r}.")
    entries = safetensors_entries(Path(path))
    temporary = target_path.with_name(target_path.name + ".part")
    total = sum(entry.stop - entry.start for entry in entries)
    bar = tqdm(total=total, unit="B", unit_scale=True, desc="coding", disable=hidden(progress))
    try:
        with open(path, "rb") as source, open(temporary, "wb") as target, bar:
            tensors = tuple(_code_entry(source, target, entry, quantizer, bar) for entry in entries)
            coded = CodedFile(quantizer=quantizer, tensors=tensors)
            index = coded.model_dump_json().encode()
            target.write(index + len(index).to_bytes(8, "little") + MARK)
        os.replace(temporary, output)
    finally:
        temporary.unlink(missing_ok=True)
    return coded


def _code_entry(source: BinaryIO, target: BinaryIO, entry: _Entry, quantizer: str, bar: tqdm) -> CodedTensor:
    digest = hashlib.sha256()
    sizes, bits = [], 0
    raw = entry.dtype not in FLOATS
    for values in _pieces(source, entry):
        if isinstance(values, bytes):
            payload, count = values, 8 * len(values)
            digest.update(values)
        else:
            try:
                payload, count, decoded = code_piece(values, quantizer)
            except QuantizeError as cause:
                raise QuantizeError(f"code_file: {entry.name}: {cause}") from None
            digest.update(decoded.astype("<f4").tobytes())
        target.write(payload)
        sizes.append(len(payload))
        bits += count
        bar.update(len(values) if raw else len(values) * FLOATS[entry.dtype])
    return CodedTensor(
        name=entry.name, dtype=entry.dtype, shape=entry.shape, bits_before=8 * (entry.stop - entry.start), bits=bits,
        sha256=digest.hexdigest(), pieces=tuple(sizes), raw=raw,
    )  # fmt: skip


def read_index(path: str | Path) -> CodedFile:
    """Read what a coded file holds. Raises: ModelError where it is none."""
    try:
        with open(path, "rb") as file:
            size = file.seek(0, os.SEEK_END)
            tail = 8 + len(MARK)
            file.seek(max(0, size - tail))
            length, mark = int.from_bytes(file.read(8), "little"), file.read()
            if mark != MARK or not 0 < length <= min(MAX_INDEX_BYTES, size - tail):
                raise ModelError(f"read_index: {Path(path).name} is a file written by code_file, this is none.")
            file.seek(size - tail - length)
            coded = CodedFile.model_validate_json(file.read(length))
    except (OSError, ValidationError) as why:
        raise ModelError(f"read_index: {Path(path).name} is a coded file ({str(why).splitlines()[0]}).") from None
    if sum(sum(tensor.pieces) for tensor in coded.tensors) != size - tail - length:
        raise ModelError(f"read_index: {Path(path).name} holds the pieces of its index, got another size.")
    return coded


def decode_file(path: str | Path, progress: bool = True) -> Iterator[tuple[CodedTensor, Array | bytes]]:
    """Decode piece by piece: yield each tensor's record with the values of its next piece, raw bytes where it is raw.

    Raises: ModelError where a tensor decodes to something else than was coded; MessageError.
    """
    coded = read_index(path)
    pieces = sum(len(tensor.pieces) for tensor in coded.tensors)
    bar = tqdm(total=pieces, unit="piece", desc="decoding", disable=hidden(progress))
    with open(path, "rb") as file, bar:
        for tensor in coded.tensors:
            digest, left = hashlib.sha256(), tensor.count
            for size in tensor.pieces:
                payload = file.read(size)
                value: Array | bytes = payload
                if not tensor.raw:
                    value = decode_piece(payload, min(PIECE, left))
                    left -= len(value)
                digest.update(value if isinstance(value, bytes) else value.astype("<f4").tobytes())
                bar.update()
                yield tensor, value
            if digest.hexdigest() != tensor.sha256:
                raise ModelError(f"decode_file: {tensor.name} decodes to other values than were coded.")


def safetensors_entries(path: Path) -> tuple[_Entry, ...]:
    """Read the header of a safetensors file, in the order of its bytes. Raises: ModelError."""
    try:
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            length = int.from_bytes(file.read(8), "little")
            if not 2 <= length <= min(MAX_INDEX_BYTES, size - 8):
                raise ModelError(
                    f"code_file: {path.name} is a safetensors file, its header has no sensible length. Save a "
                    "state_dict by safetensors.torch.save_file."
                )
            header = json.loads(file.read(length))
            entries = [_entry(name, e, 8 + length) for name, e in header.items() if name != "__metadata__"]
    except PacboundError:
        raise
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as why:
        said = f"{type(why).__name__}: {without_file(why)}"
        raise ModelError(f"code_file: {path.name} is a safetensors file ({said}).") from None
    for entry in entries:
        count = int(np.prod(entry.shape, dtype=object))
        wrong = entry.dtype in FLOATS and entry.stop - entry.start != count * FLOATS[entry.dtype]
        if wrong or not 8 + length <= entry.start <= entry.stop <= size or min(entry.shape, default=0) < 0:
            raise ModelError(f"code_file: {entry.name} of {path.name} lies outside the file or has another size.")
    return tuple(sorted(entries, key=lambda entry: entry.start))


def _entry(name: str, stated: dict[str, object], origin: int) -> _Entry:
    shape, offsets = stated["shape"], stated["data_offsets"]
    if not isinstance(shape, list) or not isinstance(offsets, list) or len(offsets) != 2:
        raise ValueError(f"{name} has no shape or no offsets")
    return _Entry(
        name, str(stated["dtype"]), tuple(map(int, shape)), origin + int(offsets[0]), origin + int(offsets[1])
    )


def _pieces(source: BinaryIO, entry: _Entry) -> Iterator[Array | bytes]:
    """Values of a tensor as float32 vectors of at most `PIECE` elements, or raw bytes of as many."""
    width = FLOATS.get(entry.dtype, 1)
    source.seek(entry.start)
    for start in range(entry.start, entry.stop, PIECE * width):
        raw = source.read(min(PIECE * width, entry.stop - start))
        if entry.dtype == "BF16":
            yield (np.frombuffer(raw, "<u2").astype(np.uint32) << 16).view(np.float32)
        elif entry.dtype in FLOATS:
            yield np.frombuffer(raw, "<f2" if entry.dtype == "F16" else "<f4").astype(np.float32)
        else:
            yield raw
