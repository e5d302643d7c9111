"""`pacbound verify`: recheck certificates; exit 0 where they stand, 1 where one does not, 2 on wrong usage."""

import json
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from pacbound.verification.verification import Verification


class Level(StrEnum):
    """How far to check."""

    arithmetic = "arithmetic"
    message = "message"
    risk = "risk"


def verify(
    certificates: Annotated[list[Path], typer.Argument(metavar="CERT...", help="Certificate files, or folders.")],
    data: Annotated[
        str | None, typer.Option(help="Training data: a name, a .npz or .safetensors file, or module:callable.")
    ] = None,
    data_dir: Annotated[
        Path | None, typer.Option(help="Folder with one folder per data set (or PACBOUND_DATA).")
    ] = None,
    model: Annotated[str | None, typer.Option(help="The network, as module:callable, where it is your own.")] = None,
    checkpoint: Annotated[
        Path | None,
        typer.Option(help="The file or folder of theta0 or of the original network, where the certificate names one."),
    ] = None,
    rename: Annotated[
        str, typer.Option(help="REGEX=REPLACEMENT for names in the checkpoint, separated by commas, as for certify.")
    ] = "",
    key: Annotated[
        str | None, typer.Option(help="Which of several state dicts in the checkpoint, as for certify.")
    ] = None,
    loss: Annotated[
        str | None, typer.Option(help="The loss, as module:function of (logits, y), where it is its author's own.")
    ] = None,
    unlabelled: Annotated[
        str | None, typer.Option(help="The inputs that an original network was compared on, as for certify.")
    ] = None,
    test: Annotated[
        str | None, typer.Option(help="The held-out examples that the certificate names, to count their errors again.")
    ] = None,
    level: Annotated[
        Level | None, typer.Option(help="How far to check; by default the highest that the arguments allow.")
    ] = None,
    attest: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Also write what was found as an in-toto statement, to be signed."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")] = False,
) -> None:
    """Check certificates, and say what was not checked. Nothing that a certificate names is opened or imported.

    arithmetic: the document. message: decode it and recompute every bit. risk: count the errors again.

    \b
    pacbound verify certificate.json --data mnist

    \b
      certificate.json stands, at level risk (17 checks)
      With probability at least 95 % ...
      Not checked:
        - that the data are independent draws from the source that matters to you
        ...
    """
    from pacbound.errors import PacboundError
    from pacbound.verification.verification import verify as recheck

    files, asked = _files(certificates), None if level is None else level.value
    before = None if attest is None else _digest_to_attest(files)
    rules = tuple(rule for rule in rename.split(",") if rule)
    results, unusable = [], []
    for file in files:
        try:
            result = recheck(file, data, model, asked, data_dir, checkpoint, rules, loss, unlabelled, test, key)
            results.append(result if len(files) == 1 else result.model_copy(update={"name": str(file)}))
        except PacboundError as refusal:
            if len(files) == 1:
                raise
            unusable.append(f"{file.name}: {refusal}")
    if attest is not None and before is not None:
        from pacbound.certificate.files import write_atomic
        from pacbound.verification.attest import attest as attested

        write_atomic(attest, (attested(results[0], files[0], before) + "\n").encode("utf-8"))
    if as_json:
        records = [result.model_dump(mode="json") for result in results]
        typer.echo(json.dumps(records[0] if len(files) == 1 else records, indent=1))
    else:
        typer.echo(_in_words(results[0]) if len(files) == 1 else _as_table(results))
    for line in unusable:
        typer.echo(f"pacbound: {line}", err=True)
    raise typer.Exit(2 if unusable else int(not all(result.stands for result in results)))


def _files(paths: list[Path]) -> list[Path]:
    """Files as they are, a folder as the .json files in it. Raises: RequestError where there is none."""
    from pacbound.errors import RequestError

    files = [file for path in paths for file in (sorted(path.glob("*.json")) if path.is_dir() else [path])]
    if not files:
        raise RequestError("verify: there is no .json file in that folder. Name a certificate, or the folder of some.")
    return files


def _digest_to_attest(files: list[Path]) -> str:
    """SHA-256 of the one certificate. Raises: RequestError where there are several."""
    from pacbound.errors import RequestError
    from pacbound.verification.attest import file_sha256

    if len(files) != 1:
        raise RequestError(f"verify: --attest is about one certificate, got {len(files)}. Verify them one by one.")
    return file_sha256(files[0])


def _in_words(result: "Verification") -> str:
    if not result.stands:
        return f"{result.name} DOES NOT STAND, at level {result.level}\ncheck {result.failed!r} failed: {result.reason}"
    lines = [f"{result.name} stands, at level {result.level} ({len(result.passed)} checks)", result.statement]
    if result.recount is not None:
        lines.append(
            f"Counted again: {result.recount.errors:,} errors of {result.recount.n:,}; {result.distinct:,} of the "
            "inputs are distinct."
        )
    if result.held_out is not None:
        lines.append(f"Held-out examples, counted again: {result.held_out.errors:,} errors of {result.held_out.n:,}.")
    return "\n".join([*lines, "Not checked:", *(f"  - {sentence}" for sentence in result.unchecked)])


def _as_table(results: "Sequence[Verification]") -> str:
    width = max((len(result.name) for result in results), default=0)
    rows = [
        f"{result.name:<{width}}  {'stands' if result.stands else 'FAILS '}  {result.level:<10}  {result.failed or ''}"
        for result in results
    ]
    failing = [f"{result.name}: {result.failed}: {result.reason}" for result in results if not result.stands]
    unchecked = sorted({sentence for result in results if result.stands for sentence in result.unchecked})
    notes = ["Not checked:", *(f"  - {sentence}" for sentence in unchecked)] if unchecked else []
    return "\n".join([*(row.rstrip() for row in rows), *failing, *notes])
