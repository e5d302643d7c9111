"""Weight files of any size: coded in pieces, decoded to exactly what was quantized, in little memory."""

import json
import resource
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from pacbound.errors import ModelError, PacboundError, QuantizeError
from pacbound.methods.direct.files import (
    FILE_QUANTIZERS,
    PIECE,
    code_file,
    decode_file,
    read_index,
    safetensors_entries,
)
from pacbound.quantize.pieces import code_piece, decode_piece
from tests.methods.direct.synthetic import write_normal
from tests.several import forked

MIB_ABOVE_IMPORTS = 55  # 40, and 63 where the weights of all pieces are kept


def written(path: Path, **tensors: torch.Tensor) -> Path:
    save_file(tensors, path)
    return path


def tensors() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {
        "a.weight": (0.02 * torch.randn(300, 70, generator=generator)).bfloat16(),
        "b.weight": torch.randn(40, generator=generator).half(),
        "c.bias": torch.randn(7, 3, generator=generator),
        "d.steps": torch.arange(5),
        "e.zero": torch.zeros(100, dtype=torch.bfloat16),
        "f.scalar": torch.tensor(2.0),
    }


@pytest.mark.parametrize("quantizer", FILE_QUANTIZERS)
def test_a_file_decodes_to_the_quantized_tensors(quantizer: str, tmp_path: Path) -> None:
    given = tensors()
    path = written(tmp_path / "w.safetensors", **given)
    coded = code_file(path, tmp_path / "w.coded", quantizer, progress=False)  # type: ignore[arg-type]
    assert read_index(tmp_path / "w.coded") == coded
    found = {tensor.name: value for tensor, value in decode_file(tmp_path / "w.coded", progress=False)}
    assert found.keys() == given.keys()
    for name, tensor in given.items():
        value = found[name]
        if isinstance(value, bytes):
            assert np.array_equal(np.frombuffer(value, np.int64), tensor.numpy())
            continue
        flat = tensor.float().numpy().reshape(-1)
        assert np.array_equal(value, code_piece(flat, quantizer)[2])
        assert np.abs(value - flat).max() <= 0.3 * np.abs(flat).max() + 1e-30


def test_bits_of_layers_are_those_of_their_messages(tmp_path: Path) -> None:
    coded = code_file(written(tmp_path / "w.safetensors", **tensors()), tmp_path / "w.coded", progress=False)
    by_name = {tensor.name: tensor for tensor in coded.tensors}
    weight = by_name["a.weight"]
    assert weight.bits_before == 16 * 21000
    assert 3.5 < weight.bits / 21000 < 4.6
    assert weight.bits <= 8 * sum(weight.pieces) <= weight.bits + 64 * len(weight.pieces)
    assert by_name["d.steps"].bits == 5 * 64
    assert coded.bits == sum(tensor.bits for tensor in coded.tensors)


def test_long_tensors_are_cut_into_pieces(tmp_path: Path) -> None:
    path = written(tmp_path / "w.safetensors", long=torch.ones(PIECE + 5, dtype=torch.bfloat16))
    coded = code_file(path, tmp_path / "w.coded", "lattice", progress=False)
    assert len(coded.tensors[0].pieces) == 2
    values = [value for _, value in decode_file(tmp_path / "w.coded", progress=False)]
    assert [len(value) for value in values] == [PIECE, 5]


def test_weights_that_are_not_finite_are_refused_by_name(tmp_path: Path) -> None:
    path = written(tmp_path / "w.safetensors", good=torch.ones(3), bad=torch.tensor([1.0, float("nan")]))
    for quantizer in FILE_QUANTIZERS:
        with pytest.raises(QuantizeError, match="bad"):
            code_file(path, tmp_path / "w.coded", quantizer, progress=False)
    assert not (tmp_path / "w.coded").exists()


def test_a_damaged_piece_is_noticed(tmp_path: Path) -> None:
    code_file(written(tmp_path / "w.safetensors", **tensors()), tmp_path / "w.coded", progress=False)
    raw = bytearray((tmp_path / "w.coded").read_bytes())
    raw[2000] ^= 0x55
    (tmp_path / "w.coded").write_bytes(raw)
    with pytest.raises(PacboundError):
        list(decode_file(tmp_path / "w.coded", progress=False))


@pytest.mark.parametrize("damage", [b"", b"x" * 100])
def test_files_that_are_something_else_are_refused(damage: bytes, tmp_path: Path) -> None:
    (tmp_path / "w").write_bytes(damage)
    with pytest.raises(ModelError):
        read_index(tmp_path / "w")
    with pytest.raises(ModelError):
        safetensors_entries(tmp_path / "w")


@pytest.mark.parametrize(
    "header",
    [
        {"a": {"dtype": "F32", "shape": [4], "data_offsets": [0, 8]}},
        {"a": {"dtype": "F32", "shape": [1 << 40, 1 << 40], "data_offsets": [0, 1 << 62]}},
        {"a": {"dtype": "F32", "shape": [2], "data_offsets": [-8, 0]}},
        {"a": {"dtype": "F32", "shape": 2, "data_offsets": [0, 8]}},
        [1],
    ],
)
def test_headers_that_lie_about_sizes_are_refused(header: object, tmp_path: Path) -> None:
    raw = json.dumps(header).encode()
    (tmp_path / "w").write_bytes(len(raw).to_bytes(8, "little") + raw + bytes(16))
    with pytest.raises(ModelError):
        safetensors_entries(tmp_path / "w")


def test_a_piece_is_decoded_by_its_message_alone() -> None:
    w = (0.1 * np.random.default_rng(0).standard_normal(1000)).astype(np.float32)
    payload, bits, decoded = code_piece(w, "lattice")
    assert np.array_equal(decode_piece(payload, 1000), decoded)
    assert bits < 4 * 1000


def measure(folder: Path, count: int) -> tuple[float, float, float, float]:
    """MiB above the imports, MiB in all, seconds of coding, bits each; of a process of its own."""
    code_piece(np.ones(64, np.float32), "nf4")  # which imports bitsandbytes
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    write_normal(folder / "w.safetensors", count)
    written = time.monotonic()
    coded = code_file(folder / "w.safetensors", folder / "w.coded", "nf4", progress=count > 10**8)
    seconds = time.monotonic() - written
    decoded = (len(values) for _, values in decode_file(folder / "w.coded", progress=False))
    total = sum(decoded) if count <= 10**8 else count
    assert total == coded.parameters == count
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return (peak - before) / 1024, peak / 1024, seconds, coded.bits / count


def measured(folder: Path, count: int) -> tuple[float, float, float, float]:
    ended = forked(measure, folder, count, folder=folder).end()
    assert ended.code == 0, ended.err
    return ended.returned  # type: ignore[return-value]


@pytest.mark.one_worker
def test_eight_million_parameters_need_little_memory(tmp_path: Path) -> None:
    above, _, _, bits = measured(tmp_path, 8_000_000)
    assert above < MIB_ABOVE_IMPORTS
    assert 3.9 < bits < 4.4


@pytest.mark.slow
def test_a_billion_parameters_need_less_than_4_gib_and_10_minutes(tmp_path: Path) -> None:
    _, peak, seconds, _ = measured(tmp_path, 1_000_000_000)
    print(f"{peak:.0f} MiB, {seconds:.0f} s")
    assert peak < 4096
    assert seconds < 600


def test_nothing_is_overwritten_and_nothing_half_written_stays(tmp_path: Path) -> None:
    path, broken = tmp_path / "net.safetensors", tmp_path / "broken.safetensors"
    save_file({"w": torch.ones(100)}, path)
    save_file({"w": torch.tensor([1.0, float("nan")])}, broken)
    for output in (path, tmp_path, tmp_path / "none" / "net.coded", tmp_path / "x" / ".." / "net.safetensors"):
        with pytest.raises(QuantizeError, match="another file than the weights, in an existing folder"):
            code_file(path, output, progress=False)
    with pytest.raises(QuantizeError, match="w: "):
        code_file(broken, tmp_path / "broken.coded", progress=False)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["broken.safetensors", "net.safetensors"]
    assert torch.equal(load_file(path)["w"], torch.ones(100))
