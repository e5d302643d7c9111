"""`pacbound verify`: recheck certificates.

Exit 0 where they stand, 1 where one does not, 2 on wrong usage, 3 where one is not reproduced here (level replay).
"""

import json
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .files import certificate_files, columns, named, refuse_to_lose

if TYPE_CHECKING:
    from pacbound.verification.replay import Replay
    from pacbound.verification.verification import Verification


NOT_REPRODUCED = 3


class Level(StrEnum):
    """How far to check."""

    arithmetic = "arithmetic"
    message = "message"
    risk = "risk"
    replay = "replay"


class Axes(StrEnum):
    """The order of axes in stored pictures."""

    auto = "auto"
    chw = "chw"
    hwc = "hwc"


def verify(
    certificates: Annotated[list[Path], typer.Argument(metavar="CERT...", help="Certificate files, or folders.")],
    data: Annotated[
        str | None, typer.Option(help="Training data: a name, a file, a folder, or module:callable.")
    ] = None,
    data_dir: Annotated[
        Path | None, typer.Option(help="Folder with one folder per data set (or PACBOUND_DATA).")
    ] = None,
    model: Annotated[str | None, typer.Option(help="The network, as module:callable, where it is your own.")] = None,
    checkpoint: Annotated[
        Path | None,
        typer.Option(help="The file or folder of theta0 or of the original network, where the certificate names one."),
    ] = None,
    reference: Annotated[
        Path | None,
        typer.Option(help="The file or folder of the network that quantized versions are compared with."),
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
    tokenizer: Annotated[
        Path | None,
        typer.Option(help="The tokenizer.json that texts are read by, or its folder, where the certificate names one."),
    ] = None,
    surrogate: Annotated[
        str | None, typer.Option(help="The network of a surrogate, as module:callable, where it is your own.")
    ] = None,
    surrogate_checkpoint: Annotated[
        Path | None, typer.Option(help="The file that the theta0 of a surrogate is, where it is one.")
    ] = None,
    standardise: Annotated[
        Path | None,
        typer.Option(help="The JSON with mean and std of the columns, where the certificate names one."),
    ] = None,
    text_column: Annotated[str | None, typer.Option(help="Column of the texts in a table, as for certify.")] = None,
    label_column: Annotated[str | None, typer.Option(help="Column of the labels in a table, as for certify.")] = None,
    encoding: Annotated[str, typer.Option(help="Of files of text, as for certify.")] = "utf-8",
    layout: Annotated[Axes, typer.Option(metavar="LAYOUT", help="auto, chw or hwc, as for certify.")] = Axes.auto,
    level: Annotated[
        Level | None,
        typer.Option(metavar="LEVEL", help=f"{', '.join(Level)}; by default the highest that the arguments allow."),
    ] = None,
    attest: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Also write what was found as an in-toto statement, to be signed."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")] = False,
) -> None:
    """Check certificates, and say what was not checked. Nothing that a certificate names is opened or imported.

    arithmetic: the document. message: decode it and recompute every bit. risk: count the errors again. replay: run a
    selection of examples again.

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
    from pacbound.request.reading import Reading
    from pacbound.verification.verification import verify as recheck

    files, asked = certificate_files(certificates, "verify"), None if level is None else level.value
    refuse_to_lose(attest, "verify")
    before = None if attest is None else _digest_to_attest(files)
    rules = tuple(rule for rule in rename.split(",") if rule)
    reading = Reading(text_column=text_column, label_column=label_column, encoding=encoding, layout=layout.value)
    results, unusable = [], []
    for file in files:
        try:
            result = recheck(
                file, data, model, asked, data_dir, checkpoint, rules, loss, unlabelled, test, key, tokenizer,
                surrogate, surrogate_checkpoint, reading, standardise,
                reference,
            )  # fmt: skip
            results.append(result if len(files) == 1 else result.model_copy(update={"name": str(file)}))
        except PacboundError as refusal:
            if len(files) == 1:
                raise
            unusable.append(named(file, refusal))
    if attest is not None and before is not None:
        from pacbound.certificate.files import write_atomic
        from pacbound.verification.attest import attest as attested

        write_atomic(attest, (attested(results[0], files[0], before) + "\n").encode("utf-8"))
    if as_json:
        records = [result.model_dump(mode="json") for result in results]
        typer.echo(json.dumps(records[0] if len(files) == 1 else records, indent=1))
    elif results:
        typer.echo(_in_words(results[0], columns()) if len(files) == 1 else _as_table(results, columns()))
    for line in unusable:
        typer.echo(f"pacbound: {line}", err=True)
    failing = any(result.failed is not None for result in results)
    other = 0 if all(result.stands for result in results) else NOT_REPRODUCED
    raise typer.Exit(2 if unusable else 1 if failing else other)


def _digest_to_attest(files: list[Path]) -> str:
    """SHA-256 of the one certificate. Raises: RequestError where there are several."""
    from pacbound.errors import RequestError
    from pacbound.verification.attest import file_sha256

    if len(files) != 1:
        raise RequestError(f"verify: --attest is about one certificate, got {len(files)}. Verify them one by one.")
    return file_sha256(files[0])


def _in_words(result: "Verification", width: int) -> str:
    from pacbound.reports.tables import wrapped

    if result.failed is not None:
        head = f"{result.name} DOES NOT STAND, at level {result.level}"
        return "\n".join([head, *wrapped(f"check {result.failed!r} failed: {result.reason}", width)])
    lines = [f"{result.name} stands, at level {result.level} ({len(result.passed)} checks)"]
    lines += wrapped(result.statement, width)
    if result.replay is not None and not result.stands:
        lines = [f"{result.name} is NOT REPRODUCED here, at level {result.level}"]
        lines += wrapped(_otherwise(result.replay), width)
    elif result.replay is not None:
        same = "The selection, run again here, made the same picks and the same network, bit for bit."
        lines += wrapped(same, width)
    if result.recount is not None:
        counted = f"Counted again: {result.recount.errors:,} errors of {result.recount.n:,}; {result.distinct:,}"
        lines += wrapped(f"{counted} of the inputs are distinct.", width)
    if result.held_out is not None:
        lines.append(f"Held-out examples, counted again: {result.held_out.errors:,} errors of {result.held_out.n:,}.")
    return "\n".join([*lines, *_not_checked(result.unchecked, width)])


def _outcome(result: "Verification") -> str:
    return "FAILS" if result.failed is not None else "stands" if result.stands else "differs"


def _otherwise(replay: "Replay") -> str:
    from pacbound.certificate.statement import percent_up

    return (
        "The selection, run again here, made another network: it rounds otherwise on this machine, or its author did "
        f"not run it. The network made here has {replay.picked:,} picks, {replay.errors:,} errors outside them and a "
        f"bound of {percent_up(replay.value)}, which says nothing about the network in the file."
    )


def _as_table(results: "Sequence[Verification]", width: int) -> str:
    from pacbound.reports.tables import Column, shortest_names, text_table, wrapped

    folder, names = shortest_names([result.name for result in results])
    table = (
        Column("certificate", names, True),
        Column("verdict", tuple(_outcome(result) for result in results), True),
        Column("level", tuple(result.level for result in results), True),
        Column("failed check", tuple(result.failed or "" for result in results), True),
    )
    lines = [f"in {folder}"] if folder else []
    lines += text_table(table, width)
    for name, result in zip(names, results, strict=True):
        if result.failed is not None:
            lines += wrapped(f"{name}: {result.failed}: {result.reason}", width, "", "  ")
        elif result.replay is not None and not result.stands:
            lines += wrapped(f"{name}: {_otherwise(result.replay)}", width, "", "  ")
    unchecked = sorted({sentence for result in results if result.stands for sentence in result.unchecked})
    return "\n".join([*lines, *(_not_checked(unchecked, width) if unchecked else [])])


def _not_checked(sentences: "Sequence[str]", width: int) -> list[str]:
    from pacbound.reports.tables import wrapped

    return ["Not checked:", *(line for one in sentences for line in wrapped(one, width, "  - ", "    "))]
