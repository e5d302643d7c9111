"""A sample in a file is passed over batch by batch, and no more of it is held than a batch."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from pacbound.data import mapped
from pacbound.data.examples import Examples
from pacbound.data.inputs import distinct_inputs
from pacbound.data.likeness import recognise
from pacbound.data.preprocess import Treated, preprocessed
from pacbound.data.registry import load, load_inputs
from pacbound.networks.passes import readings
from pacbound.specs.specs import PreprocessSpec

N, SIDE = 1200, 64  # 15 MB
ALLOWED = 6 << 20


def _saved(folder: Path, kind: str) -> tuple[str, Tensor]:
    """A sample of noise as folder/x.npy with y.npy, or as one safetensors file; and its x in memory."""
    numbers = np.random.default_rng(0)
    x, y = numbers.integers(0, 256, (N, 3, SIDE, SIDE), dtype=np.uint8), np.arange(N) % 3
    if kind == "npy":
        np.save(folder / "x.npy", x)
        np.save(folder / "y.npy", y)
        return str(folder), torch.from_numpy(x)
    save_file({"y": torch.from_numpy(y), "x": torch.from_numpy(x)}, folder / "sample.safetensors", {"made": "here"})
    return str(folder / "sample.safetensors"), torch.from_numpy(x)


def _of_files() -> int:
    """Bytes of pages of files that this process holds."""
    return _of_status("RssFile")


def _of_status(what: str) -> int:
    """Bytes that the system says of this process."""
    try:
        lines = Path("/proc/self/status").read_text("ascii").splitlines()
    except OSError:
        pytest.skip("needs /proc, where the system says what a process holds")
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(what))


def _means(x: Tensor) -> Tensor:
    return x.float().flatten(2).mean(2)


def _trained_on(sample: Examples) -> None:
    treated = Treated(sample.x, PreprocessSpec(name="photo"), torch.device("cpu"))
    for rows in torch.randperm(sample.n, generator=torch.Generator().manual_seed(0)).split(200):
        treated[rows]


STEPS: dict[str, Callable[[Examples], object]] = {
    "digest": Examples.digest,
    "repeats": lambda sample: distinct_inputs(sample.x),
    "likeness": lambda sample: recognise(sample.x),
    "training": _trained_on,
    "counting": lambda sample: list(readings(_means, sample.x, progress=False)),
}


@pytest.mark.parametrize("kind", ["npy", "safetensors"])
def test_a_mapped_sample_is_passed_over_without_staying_in_memory(kind: str, tmp_path: Path) -> None:
    source, held = _saved(tmp_path, kind)
    sample = load(source)
    in_memory = Examples("user", held, sample.y, 3, "photo")
    few = in_memory.subset(range(0, N, 10))
    for name, act in STEPS.items():
        act(few)  # loads pages of the program
        before = _of_files()
        act(sample)
        assert _of_files() < before + ALLOWED, name
    assert sample.digest() == in_memory.digest()
    assert torch.equal(sample.x, held)
    assert torch.equal(load_inputs(source).x, held)


def test_pages_that_are_not_given_back_would_be_seen(tmp_path: Path) -> None:
    sample = load(_saved(tmp_path, "safetensors")[0])
    before = _of_files()
    assert int(sample.x.sum()) > 0
    assert _of_files() > before + 2 * ALLOWED


LARGE_STEPS: dict[str, Callable[[Tensor], object]] = {
    "likeness": recognise,
    "repeats": distinct_inputs,
    "treated": lambda x: preprocessed(x[:16], PreprocessSpec(name="photo")),  # which makes 64 MB
}


@pytest.mark.parametrize("name", LARGE_STEPS)
def test_few_of_large_examples_are_looked_at_together(name: str) -> None:
    x = torch.arange(24, dtype=torch.uint8)[:, None].expand(24, 1 << 20).contiguous()
    LARGE_STEPS[name](x[:4])  # loads pages of the program
    try:
        Path("/proc/self/clear_refs").write_text("5", "ascii")  # the highest is that from now on
    except OSError:
        pytest.skip("needs /proc, where the system says what a process holds")
    before = _of_status("VmRSS")
    LARGE_STEPS[name](x)
    assert _of_status("VmHWM") < before + (128 << 20)


def test_numbers_that_are_no_bytes_are_read(tmp_path: Path) -> None:
    x = torch.randn(4, 3)
    save_file({"x": x, "y": torch.arange(4) % 2}, tmp_path / "floats.safetensors")
    assert mapped.mapped_bytes(tmp_path / "floats.safetensors", "x") is None
    assert torch.equal(load(str(tmp_path / "floats.safetensors")).x, x)
