"""Wall time of comparing a folder of 200 certificates, 40 settings of five seeds each, in a fresh process."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.forge import honest

LIMIT_SECONDS = 3.0


@pytest.mark.benchmark
def test_two_hundred_certificates_are_compared_within_the_limit(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    for setting in range(40):
        for seed in range(5):
            certificate = honest(count=64 + 8 * setting, seed=seed, errors=900 - 10 * setting + 3 * seed)
            certificate.save(tmp_path / f"d{64 + 8 * setting}_seed_{seed}.json")
    command = [sys.executable, "-m", "pacbound_cli", "compare", str(tmp_path)]
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        seconds.append(time.perf_counter() - start)
    assert done.stdout.count("5 pairs") == 39
    with capsys.disabled():
        print(f"\npacbound compare, 200 certificates: best of 3 {min(seconds):.2f} s (limit {LIMIT_SECONDS:.0f} s)")
    assert min(seconds) <= LIMIT_SECONDS
