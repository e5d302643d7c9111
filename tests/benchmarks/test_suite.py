"""CPU seconds of the whole suite of tests in one process, over those of importing torch, and over what it may take.

Run: PACBOUND_DATA=FOLDER python -m pytest -m benchmark tests/benchmarks/test_suite.py
"""

import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = pytest.mark.benchmark
MOST = 200.0  # CPU seconds of the suite


def cpu_seconds(*arguments: str) -> float:
    """Of Python with such arguments on one thread, and of all processes that it starts and waits for."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run([sys.executable, *arguments], check=True, capture_output=True, env=environment)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def test_the_suite_takes_few_cpu_seconds(data_root: Path, figure: Callable[..., None]) -> None:
    torch = min(cpu_seconds("-c", "import torch") for _ in range(5))
    suite = cpu_seconds("-m", "pytest", "-q", "-n", "0", str(Path(__file__).parents[2]))
    figure("the suite of tests", suite, torch, "import torch", unit="CPU s", most=160)
    figure("the suite of tests", suite, MOST, "what it may take", unit="CPU s")
