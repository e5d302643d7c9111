"""`pacbound measure`: capacity measures of a checkpoint or of the network that a certificate decodes to."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from .files import load_certificate, refuse_to_overwrite, sentence_lines
from .options import read_by, with_reading

if TYPE_CHECKING:
    from pacbound.measures.measuring import Measured


@with_reading
def measure(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="CHECKPOINT|CERT", help="Weights (.safetensors, .pt, a folder) or a certificate (.json)."
        ),
    ],
    model: Annotated[
        str | None, typer.Option(help="The network: a reference one such as lenet, or module:callable.")
    ] = None,
    data: Annotated[
        str | None, typer.Option(help="The sample: a name, a .npz or .safetensors file, or module:callable.")
    ] = None,
    data_dir: Annotated[
        Path | None, typer.Option(help="Folder with one folder per data set (or PACBOUND_DATA).")
    ] = None,
    input_shape: Annotated[
        str | None, typer.Option(help="Of one example, such as 3,32,32, where no data set tells it.")
    ] = None,
    checkpoint: Annotated[
        Path | None, typer.Option(help="The weights that a certificate's theta0 comes from, where it names a file.")
    ] = None,
    rename: Annotated[
        str, typer.Option(help="REGEX=REPLACEMENT for names in the checkpoint, separated by commas.")
    ] = "",
    key: Annotated[
        str | None, typer.Option(help="Which of several state dicts in the checkpoint, NAME or NAME.NAME.")
    ] = None,
    measures: Annotated[
        str,
        typer.Option(help="Some of stable_rank, redundancy, rademacher, covering, ntk, flatness; by commas."),
    ] = "",
    per_layer: Annotated[bool, typer.Option("--per-layer", help="Print a line for each layer too.")] = False,
    bounds: Annotated[
        bool, typer.Option("--bounds", help="With --data, the sample trained on: bounds by counting functions too.")
    ] = False,
    plot: Annotated[
        Path | None,
        typer.Option(metavar="FILE.svg", help=escape("Draw the values per layer (needs pacbound[report]).")),
    ] = None,
    attach: Annotated[
        Path | None, typer.Option(metavar="OUT.json", help="Write the certificate again, with these measures.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite the file of --attach.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")] = False,
    **reading: object,
) -> None:
    """Measure a network. Measures carry no probability; * marks those that rest on a formula proved here.

    \b
    pacbound measure lenet.pt --model lenet --data mnist --measures stable_rank,covering

    \b
      lenet
      * stable_rank_reshaped      6.283  rank, mean over layers
      * covering_symmetry           457  bits
        ...

    --bounds adds, apart from them, what holds with probability 1 - delta: theorem, delta and what it assumes.
    """
    from pacbound.errors import RequestError
    from pacbound.measures.measuring import attach as attached
    from pacbound.measures.measuring import measure as measured_of
    from pacbound.measures.measuring import plot as draw

    if attach is not None and source.suffix != ".json":
        raise RequestError("measure: --attach adds measures to a certificate, got a checkpoint. Give a .json file.")
    if attach is not None:
        refuse_to_overwrite(attach, force, "measure")
    names = tuple(name for name in measures.split(",") if name)
    rules = tuple(rule for rule in rename.split(",") if rule)
    weights = source.suffix != ".json" or source.name.endswith(".index.json") or not source.is_file()
    subject = source if weights else load_certificate(source)
    measured = measured_of(
        subject, model, data, names, _shape(input_shape), data_dir, checkpoint, rules, key, bounds,
        **read_by(reading, "measure"),
    )  # fmt: skip
    if plot is not None:
        draw(measured, plot)
    if attach is not None:
        attached(load_certificate(source), measured).save(attach)
    typer.echo(measured.model_dump_json(indent=1) if as_json else _in_words(measured, per_layer))
    for name, why in measured.refused.items():
        typer.echo(f"pacbound: {name} does not apply: {why}", err=True)
    for name, why in measured.skipped.items():
        typer.echo(f"pacbound: {name} is in no measure of layers: {why}", err=True)


def _shape(text: str | None) -> tuple[int, ...] | None:
    from pacbound.errors import RequestError

    if text is None:
        return None
    parts = text.split(",")
    if not all(part.strip().isdecimal() for part in parts):
        raise RequestError(f"measure: --input-shape is a list of sizes such as 3,32,32, got {text!r}.")
    return tuple(int(part) for part in parts)


def _in_words(measured: "Measured", per_layer: bool) -> str:
    from pacbound.bounds.table import rounded_up
    from pacbound.certificate.statement import confidence

    width = max(len(one.name) for one in measured.measures)
    lines = [measured.model]
    for one in measured.measures:
        head = f"{'*' if one.verified else ' '} {one.name:<{width}}  {one.value:>12,.6g}  "
        lines += sentence_lines(one.unit, head, " " * len(head))
        if per_layer:
            lines += [f"    {name:<{width - 2}}  {value:>12,.6g}" for name, value in one.per_layer.items()]
    lines += sentence_lines("Measures carry no probability; * rests on a formula proved in pacbound.")
    for bound in measured.bounds:
        limit = "1 (vacuous: it says nothing)" if bound.value == 1 else rounded_up(bound.value)
        lines += ["", f"{bound.theorem}: risk <= {limit}"]
        sure = f"with probability {confidence(bound.delta)} (delta {bound.delta!r}), by itself; {bound.reference}"
        lines += sentence_lines(sure, "  ", "  ")
        lines += [line for one in bound.assumes for line in sentence_lines(one, "  assumes: ", "    ")]
    return "\n".join(lines)
