"""The command line in the process of the tests, without the seconds that starting Python and importing torch take.

What only a process of its own can show (signals, what is imported, a terminal) is tested by one, and nothing else is.
"""

import contextlib
import io
import sys
from typing import NamedTuple
from unittest import mock

import pytest
from pacbound_cli import main as entry


class Ended(NamedTuple):
    """Exit code and both streams of a command."""

    code: int
    out: str
    err: str


def pacbound(*arguments: object) -> Ended:
    """`pacbound ARGUMENTS` by main(), up to its sys.exit; anything else that it raises would be a traceback."""
    out, err = io.StringIO(), io.StringIO()
    words = mock.patch.object(sys, "argv", ["pacbound", *map(str, arguments)])
    malloc = mock.patch.object(entry, "keep_large_buffers")  # which would outlast the command
    streams = contextlib.redirect_stdout(out), contextlib.redirect_stderr(err)
    with words, malloc, streams[0], streams[1], pytest.raises(SystemExit) as end:
        entry.main()
    return Ended(int(end.value.code or 0), out.getvalue(), err.getvalue())
