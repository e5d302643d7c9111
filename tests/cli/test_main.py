"""What the command line does to its process before any command runs."""

import os
import platform
import subprocess
import sys

import pytest

FAULTS = """
import resource
from pacbound_cli.main import keep_large_buffers
if {keep}:
    keep_large_buffers()
for _ in range(3):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    buffer = bytearray(100 << 20)
    del buffer
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def _faults(keep: bool, environment: dict[str, str]) -> int:
    command = [sys.executable, "-c", FAULTS.format(keep=keep)]
    return int(subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout)


def test_large_buffers_are_used_again_unless_the_environment_speaks_of_malloc() -> None:
    if platform.libc_ver()[0] != "glibc":
        pytest.skip("needs glibc")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    fresh = _faults(keep=False, environment=environment)
    assert _faults(keep=True, environment=environment) < fresh / 4
    assert _faults(keep=True, environment={**environment, "MALLOC_ARENA_MAX": "2"}) > fresh / 2
