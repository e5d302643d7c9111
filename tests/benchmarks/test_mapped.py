"""Peak memory of certifying and verifying a sample of 6 GB that stays in its file, over the sample.

Run, three gigabytes of memory and 200 MB of disk (the file is sparse): python -m pytest -m benchmark
tests/benchmarks/test_mapped.py
"""

import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from torch import Tensor, nn

pytestmark = pytest.mark.benchmark
N, SHAPE, TOLD = 30_600, (3, 256, 256), 64  # bytes of an example that are not 0
MOST_GB = 3.0


class Corner(nn.Module):
    """The first numbers of the first row."""

    def forward(self, x: Tensor) -> Tensor:
        return x[:, 0, 0, :TOLD]


def network() -> nn.Module:
    return nn.Sequential(Corner(), nn.Linear(TOLD, 2))


def write(folder: Path) -> None:
    """Write random bytes, which say their class by their mean, at the head of examples that are 0 elsewhere."""
    told = np.random.default_rng(0).integers(0, 256, (N, TOLD), np.uint8)
    x = np.lib.format.open_memmap(folder / "x.npy", "w+", np.uint8, (N, *SHAPE))
    x[:, 0, 0, :TOLD] = told
    x.flush()
    np.save(folder / "y.npy", (told.mean(1) > 127.5).astype(np.int64))


def main(folder: str) -> None:
    """Certify and verify; print seconds and peak memory as JSON."""
    import pacbound as pb

    where, file = Path(folder), Path(folder) / "made.json"
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    made = pb.certify(network(), where, request=pb.Request(encoder="plain", epochs=3, d=32), progress=False)
    made.save(file)
    pb.verify(file, data=where, model=network(), level="risk").require()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found = {"peak_gb": peak * 1024 / 1e9, "before_gb": before * 1024 / 1e9, "bound": made.bound.value}
    print(json.dumps({**found, "cpu_seconds": time.process_time()}))


def test_a_sample_of_six_gigabytes_is_certified_in_three(tmp_path: Path, figure: Callable[..., None]) -> None:
    write(tmp_path)
    size_gb = (tmp_path / "x.npy").stat().st_size / 1e9
    assert size_gb > 6
    done = subprocess.run(
        [sys.executable, "-W", "ignore", __file__, str(tmp_path)], capture_output=True, text=True, check=False
    )
    (tmp_path / "x.npy").unlink()
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    print(f"\n{found}")
    assert found["bound"] < 0.5
    figure(
        "peak memory of certify and verify, mapped",
        found["peak_gb"],
        size_gb,
        "the sample",
        unit="GB",
        most=MOST_GB / size_gb,
    )


if __name__ == "__main__":
    main(sys.argv[1])
