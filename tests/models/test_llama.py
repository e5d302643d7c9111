"""Checkpoints of llama2.c: the published one token by token, others written here against numpy, and damaged files."""

import math
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from pacbound.data.llama2c import read_llama2c_tokenizer
from pacbound.errors import ModelError
from pacbound.models.llama import read_llama2c

BEGINNING = (
    "Once upon a time, there was a little girl named Lily. She loved to play outside in the park. "
    "One day, she saw a big, red ball."
)
HEADER = (8, 12, 2, 4, 2, 11, 16)  # width, inner, layers, heads, groups, vocabulary, context
Array = NDArray[np.float64]


def weights(header: tuple[int, ...]) -> list[Array]:
    """Arrays in the order of the file, drawn."""
    width, inner, layers, heads, groups, vocabulary, context = header
    shared = width // heads * groups
    shapes: list[tuple[int, ...]] = [(abs(vocabulary), width), (layers, width), (layers, width, width)]
    shapes += [(layers, shared, width), (layers, shared, width), (layers, width, width), (layers, width)]
    shapes += [(layers, inner, width), (layers, width, inner), (layers, inner, width), (width,)]
    shapes += [(context * (width // heads // 2),)] * 2 + ([(-vocabulary, width)] if vocabulary < 0 else [])
    rng = np.random.default_rng(0)
    return [rng.normal(size=shape).astype("<f4").astype(float) for shape in shapes]


def write(path: Path, header: tuple[int, ...] = HEADER) -> Path:
    path.write_bytes(struct.pack("<7i", *header) + b"".join(w.astype("<f4").tobytes() for w in weights(header)))
    return path


def by_hand(header: tuple[int, ...], w: list[Array], ids: list[int]) -> Array:
    """Logits (T, V), one position after another, as a program without matrices over positions has it."""
    width, _, layers, heads, groups, *_ = header
    size = width // heads
    emb, att_norm, wq, wk, wv, wo, ffn_norm, w1, w2, w3, last_norm = w[:11]
    head = w[13] if len(w) > 13 else emb

    def norm(x: Array, g: Array) -> Array:
        return x / math.sqrt((x**2).mean() + 1e-5) * g

    def turned(x: Array, t: int) -> Array:
        y = x.copy()
        for i in range(0, len(x), 2):
            angle = t / 10000 ** ((i % size) / size)
            y[i] = x[i] * math.cos(angle) - x[i + 1] * math.sin(angle)
            y[i + 1] = x[i] * math.sin(angle) + x[i + 1] * math.cos(angle)
        return y

    keys: list[list[Array]] = [[] for _ in range(layers)]
    values: list[list[Array]] = [[] for _ in range(layers)]
    logits = []
    for t, token in enumerate(ids):
        x = emb[token]
        for n in range(layers):
            y = norm(x, att_norm[n])
            q = turned(wq[n] @ y, t)
            keys[n].append(turned(wk[n] @ y, t))
            values[n].append(wv[n] @ y)
            answer = np.zeros(width)
            for h in range(heads):
                mine, shared = slice(h * size, (h + 1) * size), h // (heads // groups)
                theirs = slice(shared * size, (shared + 1) * size)
                scores = np.array([q[mine] @ k[theirs] / math.sqrt(size) for k in keys[n]])
                shares = np.exp(scores - scores.max())
                answer[mine] = (shares[:, None] * np.array([v[theirs] for v in values[n]])).sum(0) / shares.sum()
            x = x + wo[n] @ answer
            y = norm(x, ffn_norm[n])
            gate = w1[n] @ y
            x = x + w2[n] @ (gate / (1 + np.exp(-gate)) * (w3[n] @ y))
        logits.append(head @ norm(x, last_norm))
    return np.array(logits)


@pytest.mark.parametrize("header", [HEADER, (*HEADER[:5], -11, 16), (12, 5, 1, 3, 3, 4, 8), (4, 8, 3, 2, 1, 2, 1)])
def test_a_file_is_the_network_that_its_weights_say(header: tuple[int, ...], tmp_path: Path) -> None:
    network = read_llama2c(write(tmp_path / "made.bin", header))
    ids = np.random.default_rng(1).integers(0, abs(header[5]), (2, 12))
    with torch.no_grad():
        logits = network(torch.from_numpy(ids)).numpy()
    for row in range(2):
        assert np.allclose(logits[row], by_hand(header, weights(header), ids[row].tolist()), rtol=1e-3, atol=1e-3)
    assert (network.vocabulary, network.context, network.training) == (abs(header[5]), header[6], False)


def test_the_published_checkpoint_tells_its_story_token_by_token(data_root: Path) -> None:
    folder = data_root / "checkpoints" / "stories260K"
    network = read_llama2c(folder / "stories260K.bin")
    assert sum(p.numel() for p in network.parameters()) == 260_032
    tokenizer = read_llama2c_tokenizer(folder / "tok512.bin")
    assert tokenizer.vocabulary == network.vocabulary == 512
    told = tokenizer.encode(" " + BEGINNING).tolist()
    ids = [tokenizer.start]
    with torch.no_grad():
        for _ in told:
            ids.append(int(network(torch.tensor([ids]))[0, -1].argmax()))
    assert ids[1:] == told
    assert tokenizer.decode(ids) == (" " + BEGINNING).encode()


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ((8, 12, 2, 4, 2, 11, 17), "bytes where its header asks for"),
        ((8, 12, 2, 4, 2, -11, 16), "bytes where its header asks for"),
        ((8, 12, 0, 4, 2, 11, 16), "a header of 8, 12, 0"),
        ((8, 12, 2, 4, 2, 0, 16), "a header of"),
        ((8, 12, 2, 3, 2, 11, 16), "3 heads, of which 2 have keys, over 8 channels"),
        ((8, 12, 2, 4, 3, 11, 16), "4 heads, of which 3 have keys"),
        ((8, 12, 2, 8, 2, 11, 16), "8 heads"),  # of one channel, which nothing turns
        ((1 << 20, 1 << 20, 1 << 20, 4, 2, 1 << 20, 1 << 20), "where at most 268,435,456 are read"),
        ((-8, 12, 2, 4, 2, 11, 16), "a header of -8"),
        ((1 << 21, 12, 2, 4, 2, 11, 16), "a header of 2097152"),
    ],
)
def test_a_header_that_fits_no_file_is_refused_before_memory_is_asked_for(
    header: tuple[int, ...], said: str, tmp_path: Path
) -> None:
    path = write(tmp_path / "made.bin")
    path.write_bytes(struct.pack("<7i", *header) + path.read_bytes()[28:])
    with pytest.raises(ModelError, match=said):
        read_llama2c(path)


def test_damaged_files_are_refused(tmp_path: Path) -> None:
    whole = write(tmp_path / "made.bin").read_bytes()
    broken = whole[:-2000] + struct.pack("<f", math.nan) + whole[-1996:]
    for name, raw, said in (
        ("cut.bin", whole[:-4], "bytes where its header asks for"),
        ("long.bin", whole + b"\0", "bytes where its header asks for"),
        ("short.bin", whole[:27], "got 27 bytes"),
        ("empty.bin", b"", "got 0 bytes"),
        ("nan.bin", broken, "not finite in"),
    ):
        (tmp_path / name).write_bytes(raw)
        with pytest.raises(ModelError, match=said):
            read_llama2c(tmp_path / name)
    with pytest.raises(ModelError, match="No such file"):
        read_llama2c(tmp_path / "none.bin")
    with pytest.raises(ModelError, match="Is a directory"):
        read_llama2c(tmp_path)
