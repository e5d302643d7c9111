"""`pacbound train`: stable-rank initialisation and training inside norm balls, without a certificate."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .files import sentence_lines
from .options import read_by, with_reading

if TYPE_CHECKING:
    from pacbound.methods.plain_training import Training


@with_reading
def train(
    output: Annotated[Path, typer.Argument(metavar="OUT.safetensors", help="Where the weights are written.")],
    model: Annotated[str, typer.Option(help="The network: a reference one such as lenet, or module:callable.")] = "mlp",
    data: Annotated[
        str, typer.Option(help="The sample: a name, a .npz or .safetensors file, or module:callable.")
    ] = "digits",
    data_dir: Annotated[
        Path | None, typer.Option(help="Folder with one folder per data set (or PACBOUND_DATA).")
    ] = None,
    stable_rank: Annotated[float | None, typer.Option(help="Stable rank of every layer at the start.")] = None,
    lipschitz: Annotated[float | None, typer.Option(help="Largest operator norm of a layer.")] = None,
    distance: Annotated[float | None, typer.Option(help="Largest (2,1) distance of a layer to its start.")] = None,
    epochs: Annotated[int, typer.Option(help="Passes over the sample; 0 initialises only.")] = 20,
    rate: Annotated[float, typer.Option(help="Learning rate of SGD.")] = 0.01,
    batch: Annotated[int, typer.Option(help="Examples of a step.")] = 100,
    seed: Annotated[int, typer.Option(help="Of the start and of the batches.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")] = False,
    **reading: object,
) -> None:
    """Train a network that starts at a stable rank or stays in norm balls, and print the ranks epoch by epoch.

    \b
    pacbound train start.safetensors --stable-rank 16 --epochs 0
    pacbound train small.safetensors --lipschitz 1.5 --distance 20 --epochs 3

    \b
      mlp on digits, n = 1,437
      epoch  training error  stable rank 1  stable rank 3
          0         89.56 %         30.703          7.397
          ...
          3         14.96 %         30.909          7.545
      written to small.safetensors; measured on the sample itself, no figure is a bound
    """
    from pacbound.methods.plain_training import train as trained

    found = trained(
        model, data, output, epochs=epochs, stable_rank=stable_rank, lipschitz=lipschitz, distance=distance, rate=rate,
        batch=batch, seed=seed, data_dir=data_dir, **read_by(reading, "train"),
    )  # fmt: skip
    typer.echo(found.model_dump_json(indent=1) if as_json else _in_words(found, output))


def _in_words(found: "Training", output: Path) -> str:
    names = list(found.curve[0].stable_rank)
    heads = [f"stable rank {name}" for name in names]
    lines = [f"{found.model} on {found.data}, n = {found.n:,}", "  ".join(["epoch", "training error", *heads])]
    for row in found.curve:
        ranks = [f"{row.stable_rank[name]:>{len(head)}.3f}" for name, head in zip(names, heads, strict=True)]
        lines.append("  ".join([f"{row.epoch:>5}", f"{100 * row.error:>12.2f} %", *ranks]))
    lines += sentence_lines(f"written to {output}; measured on the sample itself, no figure is a bound")
    return "\n".join(lines)
