"""What the command line does to its process before any command runs."""

import os
import platform
import resource
from pathlib import Path

import pytest
from pacbound_cli.main import keep_large_buffers

from tests.several import forked


def faults() -> int:
    """Pages that the system has to find for the third of three large buffers, one after another."""
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        buffer = bytearray(100 << 20)
        del buffer
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


def before_and_after(said: dict[str, str]) -> tuple[int, int]:
    """Faults as Python is, and as the command line makes it where the environment says this alone of malloc."""
    for name in [name for name in os.environ if name.startswith("MALLOC_")]:
        del os.environ[name]
    os.environ.update(said)
    fresh = faults()
    keep_large_buffers()
    return fresh, faults()


@pytest.mark.one_worker
def test_large_buffers_are_used_again_unless_the_environment_speaks_of_malloc(tmp_path: Path) -> None:
    if platform.libc_ver()[0] != "glibc":
        pytest.skip("needs glibc")
    silent = forked(before_and_after, {}, folder=tmp_path / "silent").end().returned
    spoken = forked(before_and_after, {"MALLOC_ARENA_MAX": "2"}, folder=tmp_path / "spoken").end().returned
    assert isinstance(silent, tuple)
    assert isinstance(spoken, tuple)
    assert silent[1] < silent[0] / 4
    assert spoken[1] > spoken[0] / 2
