"""Wall time of one `pacbound bound` in a fresh process."""

import statistics
import subprocess
import sys
import time

import pytest

LIMIT_SECONDS = 0.7
COMMAND = "from pacbound_cli.main import main; main()"


@pytest.mark.benchmark
def test_bound_command_answers_within_its_limit(capsys):
    arguments = ["bound", "--errors", "1200", "--n", "60000", "--bits", "5000"]
    seconds = []
    for _ in range(5):
        start = time.perf_counter()
        subprocess.run([sys.executable, "-c", COMMAND, *arguments], check=True, capture_output=True)
        seconds.append(time.perf_counter() - start)
    median = statistics.median(seconds)
    with capsys.disabled():
        print(f"\npacbound bound: median of 5 runs {median:.2f} s (limit {LIMIT_SECONDS} s)")
    assert median <= LIMIT_SECONDS
