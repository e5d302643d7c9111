"""Wall time of verifying the MNIST certificate at level risk in a fresh process."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

LIMIT_SECONDS = 15.0
CERTIFICATE = Path(__file__).parents[2] / "results" / "mnist" / "seed_0.json"


@pytest.mark.benchmark
def test_the_mnist_certificate_is_verified_within_its_limit(data_root, capsys):
    command = [sys.executable, "-m", "pacbound_cli", "verify", str(CERTIFICATE), "--data", "mnist", "--level", "risk"]
    start = time.perf_counter()
    subprocess.run([*command, "--data-dir", str(data_root)], check=True, capture_output=True)
    seconds = time.perf_counter() - start
    with capsys.disabled():
        print(f"\npacbound verify --level risk, MNIST: {seconds:.1f} s (limit {LIMIT_SECONDS:.0f} s)")
    assert seconds <= LIMIT_SECONDS
