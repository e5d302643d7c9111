"""Examples: validation, subset, and the digest against a byte string assembled by struct."""

import hashlib
import struct

import numpy as np
import pytest
import torch

from pacbound.data import mapped
from pacbound.data.examples import Examples
from pacbound.data.mapped import CHUNK_NUMBERS
from pacbound.errors import DataError

STRUCT_CODES = {torch.uint8: "B", torch.float16: "e", torch.float32: "f", torch.float64: "d"}


def sample(dtype: torch.dtype = torch.uint8, n: int = 6) -> Examples:
    x = (torch.arange(n * 4) % 251).reshape(n, 2, 2).to(dtype)
    return Examples(name="tiny", x=x, y=torch.arange(n) % 3, classes=3)


def digest_by_struct(x: torch.Tensor, y: torch.Tensor) -> str:
    name = {torch.uint8: b"uint8", torch.float16: b"float16", torch.float32: b"float32", torch.float64: b"float64"}
    raw = struct.pack("<q", x.shape[0]) + struct.pack("<q", x.ndim - 1)
    raw += b"".join(struct.pack("<q", side) for side in x.shape[1:])
    raw += struct.pack("<q", len(name[x.dtype])) + name[x.dtype]
    values = x.flatten().tolist()
    raw += struct.pack(f"<{len(values)}{STRUCT_CODES[x.dtype]}", *values)
    raw += struct.pack(f"<{len(y)}q", *y.tolist())
    return hashlib.sha256(raw).hexdigest()


@pytest.mark.parametrize("dtype", STRUCT_CODES)
def test_digest_is_sha256_of_the_documented_bytes(dtype):
    examples = sample(dtype)
    assert examples.digest() == digest_by_struct(examples.x, examples.y)


def test_digest_does_not_depend_on_chunks_or_memory_layout(monkeypatch):
    monkeypatch.setattr(mapped, "CHUNK_NUMBERS", 1 << 12)
    n = 5  # of which four are a chunk
    x = torch.arange(n * mapped.CHUNK_NUMBERS // 4, dtype=torch.float32).reshape(2, n, -1).transpose(0, 1)
    y = torch.zeros(n, dtype=torch.int64)
    assert not x.is_contiguous()
    assert Examples("long", x, y, 2).digest() == digest_by_struct(x, y)


def test_digest_changes_with_everything_it_covers_and_nothing_else():
    base = sample()
    x, y = base.x.clone(), base.y.clone()
    x[5, 1, 1] += 1
    y[5] = 0
    others = [
        Examples("tiny", x, base.y, 3),
        Examples("tiny", base.x, y, 3),
        Examples("tiny", base.x.reshape(6, 4), base.y, 3),
        Examples("tiny", base.x.to(torch.float32), base.y, 3),
        base.subset([1, 0, 2, 3, 4, 5]),
        base.subset([0, 1, 2, 3, 4]),
    ]
    digests = {examples.digest() for examples in (base, *others)}
    assert len(digests) == 7
    assert Examples("other", base.x, base.y, 4, "ink", "note").digest() == base.digest()


def test_digest_is_stable_across_releases():
    assert sample().digest() == "b23815593168647429df28284a5ab3a3be419f8cfc3e118bffc331084462a14d"


def test_subset_keeps_the_order_asked_for_and_every_other_field():
    base = Examples("tiny", sample().x, sample().y, 3, "photo", "a note")
    part = base.subset(torch.tensor([4, 1]))
    assert part.n == 2
    assert part.y.tolist() == [1, 1]
    assert torch.equal(part.x[0], base.x[4])
    assert (part.name, part.classes, part.preprocess, part.note) == ("tiny", 3, "photo", "a note")


@pytest.mark.parametrize("indices", [[6], [-1], [], [[0, 1]]])
def test_subset_refuses_indices_outside_the_sample(indices):
    with pytest.raises(DataError, match=r"0\.\.5"):
        sample().subset(torch.tensor(indices, dtype=torch.int64))


X, Y = torch.zeros(4, 2), torch.tensor([0, 1, 2, 1])
BROKEN = {
    "labels fewer than rows": ({"y": Y[:3]}, "one int64 label"),
    "labels of another type": ({"y": Y.to(torch.int32)}, "int64"),
    "label too large": ({"classes": 2}, r"0\.\.1"),
    "label negative": ({"y": torch.tensor([0, -1, 1, 1])}, "from -1 to 1"),
    "NaN": ({"x": torch.tensor([[0.0, 1.0], [0, 0], [0, float("nan")], [0, 0]])}, "example 2"),
    "infinity": ({"x": torch.tensor([[0.0, 1.0], [0, 0], [0, 0], [0, float("-inf")]])}, "example 3"),
    "integer x": ({"x": torch.zeros(4, 2, dtype=torch.int32)}, "torch.int32"),
    "integer pixels": ({"x": torch.zeros(4, 1, 2, dtype=torch.int64)}, "numbers of tokens"),
    "complex x": ({"x": torch.zeros(4, 2, dtype=torch.complex64)}, "complex64"),
    "flat x": ({"x": torch.zeros(4)}, r"\(4,\)"),
    "empty": ({"x": torch.zeros(0, 2), "y": torch.zeros(0, dtype=torch.int64)}, "at least one example"),
    "one class": ({"y": torch.zeros(4, dtype=torch.int64), "classes": 1}, "at least 2 classes"),
    "path as name": ({"name": "/home/someone/train"}, "paths stay out"),
    "unknown preprocess": ({"preprocess": "whiten"}, "whiten"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_malformed_samples_are_refused_by_the_rule_they_break(case):
    fields, message = BROKEN[case]
    sound = {"name": "tiny", "x": X, "y": Y, "classes": 3}
    assert Examples(**sound).n == 4
    with pytest.raises(DataError, match=message):
        Examples(**{**sound, **fields})


def test_nan_is_found_beyond_the_first_chunk():
    x = torch.zeros(9, CHUNK_NUMBERS // 4)
    x[6, 1] = float("nan")
    with pytest.raises(DataError, match="example 6 "):
        Examples("long", x, torch.zeros(9, dtype=torch.int64), 2)


def test_float_bytes_survive_numpy_in_either_byte_order():
    values = np.array([[1.5, -2.0]], dtype=">f4")
    swapped = torch.from_numpy(values.astype("=f4"))
    assert Examples("a", swapped, torch.tensor([0]), 2).digest() == digest_by_struct(swapped, torch.tensor([0]))
