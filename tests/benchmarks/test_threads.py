"""pacbound certify with as many threads as it likes, over OMP_NUM_THREADS=1, alone and beside busy processes.

Run: python -m pytest -m benchmark tests/benchmarks/test_threads.py
"""

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = pytest.mark.benchmark
COMMAND = (sys.executable, "-m", "pacbound_cli", "certify", "--epochs", "4", "--force", "--output")
BUSY = (sys.executable, "-c", "while True: pass")
TIMES = 3
LIMITS = ("OMP_NUM_THREADS", "OMP_WAIT_POLICY")


def _run(output: Path, **environment: str) -> tuple[float, float]:
    """Wall and CPU seconds of the command."""
    known = {name: value for name, value in os.environ.items() if name not in LIMITS}
    start = time.perf_counter()
    ran = subprocess.Popen([*COMMAND, str(output)], env=known | environment, stderr=subprocess.DEVNULL)
    _, status, used = os.wait4(ran.pid, 0)
    ran.returncode = os.waitstatus_to_exitcode(status)
    assert ran.returncode == 0
    return time.perf_counter() - start, used.ru_utime + used.ru_stime


@pytest.mark.parametrize("busy", [0, 1, 2])
def test_beside_busy_processes_no_variable_need_be_set(figure: Callable[..., None], tmp_path: Path, busy: int) -> None:
    others = [subprocess.Popen(BUSY) for _ in range(busy)]
    try:
        pairs = [(_run(tmp_path / "a.json"), _run(tmp_path / "b.json", OMP_NUM_THREADS="1")) for _ in range(TIMES)]
    finally:
        for one in others:
            one.kill()
            one.wait()
    for place, clock, most in ((1, "CPU", 1.5), (0, "wall", 2.0)):
        default, alone = (statistics.median(pair[which][place] for pair in pairs) for which in (0, 1))
        what = f"certify of digits beside {busy} busy processes, {clock} time"
        figure(what, default, alone, "OMP_NUM_THREADS=1", most=most)
