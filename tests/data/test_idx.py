"""idx and CIFAR-10 files: written by struct here, read by the module."""

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest

from pacbound.data.idx import read_cifar10, read_idx
from pacbound.errors import DataError

IMAGES = struct.pack(">HBBIII", 0, 8, 3, 2, 2, 3) + bytes(range(12))


def written(folder: Path, raw: bytes, squeezed: bool = True) -> Path:
    path = folder / "images.gz"
    path.write_bytes(gzip.compress(raw) if squeezed else raw)
    return path


def test_idx_values_come_out_in_c_order(tmp_path):
    array = read_idx(written(tmp_path, IMAGES), dimensions=3)
    assert array.dtype == np.uint8
    assert array.tolist() == [[[0, 1, 2], [3, 4, 5]], [[6, 7, 8], [9, 10, 11]]]


BROKEN = {
    "last value missing": (IMAGES[:-1], "28 bytes, got 27"),
    "one value too many": (IMAGES + b"x", "28 bytes, got 29"),
    "header cut": (IMAGES[:10], "10 bytes"),
    "empty": (b"", "nothing"),
    "float type": (b"\0\0\x0d\x03" + IMAGES[4:], "00 00 0d 03"),
    "labels for images": (struct.pack(">HBBI", 0, 8, 1, 2) + b"ab", "00 00 08 01"),
    "sizes that overflow 64 bits": (struct.pack(">HBBIII", 0, 8, 3, 2**32 - 1, 2**32 - 1, 2**32 - 1), "got 16"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_malformed_idx_is_refused(case, tmp_path):
    raw, message = BROKEN[case]
    with pytest.raises(DataError, match=message):
        read_idx(written(tmp_path, raw), dimensions=3)


def test_a_truncated_or_foreign_gzip_file_is_refused(tmp_path):
    squeezed = gzip.compress(IMAGES)
    for raw in (squeezed[:-9], squeezed[:12], IMAGES, squeezed[:-8] + b"\0" * 8):
        with pytest.raises(DataError, match="whole gzip file"):
            read_idx(written(tmp_path, raw, squeezed=False), dimensions=3)


def test_cifar10_records_split_into_label_and_planes(tmp_path):
    path = tmp_path / "batch.bin"
    planes = [[10] * 1024 + [20] * 1024 + [30] * 1024, list(range(256)) * 12]
    path.write_bytes(bytes([7, *planes[0], 2, *planes[1]]))
    images, labels = read_cifar10(path)
    assert labels.tolist() == [7, 2]
    assert images.shape == (2, 3, 32, 32)
    assert images[0, :, 31, 31].tolist() == [10, 20, 30]
    assert images[1, 2, 1].tolist() == list(range(32, 64))


@pytest.mark.parametrize("size", [0, 3072, 3074])
def test_cifar10_refuses_a_broken_record(size, tmp_path):
    path = tmp_path / "batch.bin"
    path.write_bytes(bytes(size))
    with pytest.raises(DataError, match=f"got {size} bytes"):
        read_cifar10(path)
