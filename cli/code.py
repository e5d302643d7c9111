"""`pacbound code`: code a weight file of any size, and say how many bits every layer takes."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from .files import columns


def code(
    file: Annotated[Path, typer.Argument(help="weights, .safetensors")],
    output: Annotated[Path | None, typer.Option("--output", "-o", help="coded file [FILE.coded]")] = None,
    quantizer: Annotated[str, typer.Option("--quantizer", help="int8, nf4, fp4 or lattice")] = "nf4",
    as_json: Annotated[bool, typer.Option("--json", help="print the table on standard output as JSON")] = False,
) -> None:
    """Quantize and entropy-code a weight file piece by piece; there are no data here, hence no bound.

    \b
    pacbound code model.safetensors --quantizer nf4

    \b
      layer               parameters   bits before    coded   bits each
      conv1.weight               288         9,216    1,730        6.01
      all                    648,226    20,743,232  ...            4.11
    """
    from pacbound.methods.direct.files import code_file
    from pacbound.reports.tables import Column, text_table

    target = output or file.with_name(f"{file.name}.coded")
    coded = code_file(file, target, quantizer)  # type: ignore[arg-type]
    if as_json:
        typer.echo(coded.model_dump_json(indent=1))
    rows = [(t.name, t.count, t.bits_before, t.bits) for t in coded.tensors]
    rows.append(("all", coded.parameters, coded.bits_before, coded.bits))
    table = (
        Column("layer", tuple(name for name, *_ in rows), True),
        Column("parameters", tuple(f"{count:,}" for _, count, *_ in rows)),
        Column("bits before", tuple(f"{before:,}" for *_, before, _ in rows)),
        Column("coded", tuple(f"{bits:,}" for *_, bits in rows)),
        Column("bits each", tuple(f"{bits / max(1, count):.2f}" for _, count, _, bits in rows)),
    )
    typer.echo("\n".join(text_table(table, columns(sys.stderr if as_json else None), "  ")), err=as_json)
    typer.echo(f"written to {target}", err=True)
