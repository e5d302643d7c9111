"""Entry point of the `pacbound` command; each verb lives in a file of its own."""

import contextlib
import ctypes
import logging
import os
import platform
import sys
from typing import Annotated

import typer

from pacbound import __version__
from pacbound.errors import PacboundError, VerificationError

from . import bound, data
from .certify import certify
from .code import code
from .compare import compare
from .export import export
from .measure import measure
from .report import report
from .search import search
from .show import show
from .simulate import simulate
from .study import study
from .sweep import sweep
from .train import train
from .verify import verify

_MMAP_THRESHOLD, _TRIM_THRESHOLD = -3, -1  # numbers of malloc.h of glibc
_KEPT_BYTES, _IDLE_BYTES = 1 << 28, 1 << 30

app = typer.Typer(add_completion=False, no_args_is_help=True, rich_markup_mode="rich", pretty_exceptions_enable=False)
app.command("certify")(certify)
app.command("verify")(verify)
app.command("show")(show)
app.command("compare")(compare)
app.command("report")(report)
app.command("export")(export)
app.command("measure")(measure)
app.command("search")(search)
app.command("sweep")(sweep)
app.command("study")(study)
app.command("simulate")(simulate)
app.command("train")(train)
app.command("code")(code)
app.add_typer(bound.app, name="bound")
app.add_typer(data.app, name="data")


DIVIDED = ("certify", "verify")  # the verbs whose work the processes of torchrun divide


class _Said(logging.Handler):
    """What the package says of its own accord goes to people, on standard error as it is at that moment."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print a line."""
        print(f"pacbound: {record.getMessage()}", file=sys.stderr)


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"pacbound {__version__}")
        raise typer.Exit


@app.callback()
def _listen(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and stop.")
    ] = False,
) -> None:
    """Certificates of generalization by compression."""
    log = logging.getLogger("pacbound")
    log.setLevel(logging.INFO)
    log.handlers = [_Said()]


def keep_large_buffers() -> None:
    """Let glibc use buffers of up to 256 MiB again, of which it may hold 1 GiB, instead of giving each back at once.

    The system clears the pages of a new buffer, which takes as long as the arithmetic of a step of a large network. No
    number changes. What the environment says of malloc stands, and another C library is left alone.
    """
    if platform.libc_ver()[0] == "glibc" and not any(name.startswith("MALLOC_") for name in os.environ):
        malloc = ctypes.CDLL(None)
        malloc.mallopt(_MMAP_THRESHOLD, _KEPT_BYTES)
        malloc.mallopt(_TRIM_THRESHOLD, _IDLE_BYTES)


def _processes() -> contextlib.AbstractContextManager[None]:
    """What joins several processes, where RANK and WORLD_SIZE say that this is one of them."""
    several = "RANK" in os.environ and os.environ.get("WORLD_SIZE", "1") != "1"
    if not several or next((word for word in sys.argv[1:] if not word.startswith("-")), "") not in DIVIDED:
        return contextlib.nullcontext()
    from pacbound.distributed import together

    return together()


def main() -> None:
    """Run the command line; refusals print one message and exit with 2, of several processes the first to refuse."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # read as torch is loaded: threads that wait do not spin
    keep_large_buffers()
    try:
        with _processes():
            app()
    except PacboundError as refusal:
        print(f"pacbound: {refusal}", file=sys.stderr)
        sys.exit(1 if isinstance(refusal, VerificationError) else 2)
