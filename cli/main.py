"""Entry point of the `pacbound` command; each verb lives in a file of its own."""

import sys

import typer

from pacbound.errors import PacboundError, VerificationError

from . import bound, data
from .certify import certify
from .code import code
from .compare import compare
from .measure import measure
from .show import show
from .verify import verify

app = typer.Typer(add_completion=False, no_args_is_help=True, rich_markup_mode="rich", pretty_exceptions_enable=False)
app.command("certify")(certify)
app.command("verify")(verify)
app.command("show")(show)
app.command("compare")(compare)
app.command("measure")(measure)
app.command("code")(code)
app.add_typer(bound.app, name="bound")
app.add_typer(data.app, name="data")


def main() -> None:
    """Run the command line; refusals print one message and exit with 2."""
    try:
        app()
    except PacboundError as refusal:
        print(f"pacbound: {refusal}", file=sys.stderr)
        sys.exit(1 if isinstance(refusal, VerificationError) else 2)
