"""A bfloat16 safetensors file of any size, written in pieces."""

import json
from pathlib import Path

import numpy as np

ROWS = 1000
PIECE = 1 << 20


def write_normal(path: Path, count: int, tensors: int = 4) -> None:
    """Write `tensors` tensors of normal numbers, `count` in all, in rows of 1000."""
    each = count // tensors
    header = {
        f"layer{k}.weight": {
            "dtype": "BF16", "shape": [each // ROWS, ROWS], "data_offsets": [2 * each * k, 2 * each * (k + 1)],
        }
        for k in range(tensors)
    }  # fmt: skip
    raw = json.dumps(header).encode()
    piece = 0.02 * np.random.default_rng(0).standard_normal(PIECE, dtype=np.float32)
    bits = (piece.view(np.uint32) >> 16).astype("<u2").tobytes()
    with path.open("wb") as file:
        file.write(len(raw).to_bytes(8, "little") + raw)
        for start in range(0, 2 * count, len(bits)):
            file.write(bits[: 2 * count - start])
