"""Forecast over real, and peak memory, of whole certificates and their verification at two sizes of a transformer.

Run: python -m pytest -m benchmark tests/benchmarks/test_large.py
For 124 million parameters, about an hour of one core: python tests/benchmarks/large.py 124M FOLDER
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.benchmark
SCRIPT = Path(__file__).with_name("large.py")
MOST_GB = {"11M": 2.0, "30M": 3.0}
FACTOR = 1.5


@pytest.mark.parametrize("size", MOST_GB)
def test_a_large_network_is_certified_and_verified_in_little_memory(
    size: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = [sys.executable, "-W", "ignore", str(SCRIPT), size, str(tmp_path)]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = json.loads(said.splitlines()[-1])
    with capsys.disabled():
        print(f"\n{said}")
    assert found["peak_gb"] <= MOST_GB[size]
    for what in ("seconds", "memory"):
        assert 1 / FACTOR <= found[f"forecast over real, {what}"] <= FACTOR
