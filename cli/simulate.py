"""`pacbound simulate`: how the error of a low-rank layer falls with the sample, in the model of Huang et al. 2021."""

from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from pacbound.measures.redundancy.simulating import Simulation


def simulate(
    form: Annotated[Literal["tucker", "cp"], typer.Option(help="Low-rank form of the kernels.")] = "tucker",
    sizes: Annotated[str, typer.Option(help="Sizes of a kernel, input channels last.")] = "3,3,4",
    rank: Annotated[int, typer.Option(help="R, along the output channels.")] = 2,
    outputs: Annotated[str, typer.Option(help="Output channels K, each simulated by itself.")] = "4,16",
    places: Annotated[int, typer.Option(help="P, weights behind one output channel.")] = 4,
    repeats: Annotated[int, typer.Option(help="Draws for each point.")] = 8,
    seed: Annotated[int, typer.Option(help="Of all draws.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")] = False,
) -> None:
    """Fit low-rank linear layers at growing n; the error follows d_M / n, not the number of parameters d#.

    \b
    pacbound simulate --form cp

    \b
         K     d#    d_M        n     d_M/n     error  error/rate
         4     44     28      224   0.12500   0.03277       0.927
        ...
      error ~ (d_M / n)^0.538; in theory ^0.5. rate = sigma sqrt(d_M / n).
    """
    from pacbound.measures.redundancy.simulating import simulate as simulated

    found = simulated(form, _numbers("sizes", sizes), rank, _numbers("outputs", outputs), places, repeats, seed)
    typer.echo(found.model_dump_json(indent=1) if as_json else _in_words(found))


def _numbers(option: str, text: str) -> tuple[int, ...]:
    from pacbound.errors import RequestError

    parts = [part.strip() for part in text.split(",")]
    if not all(part.isascii() and part.isdecimal() for part in parts):
        raise RequestError(f"simulate: --{option} is a list of whole numbers such as 4,16, got {text!r}.")
    return tuple(int(part) for part in parts)


def _in_words(found: "Simulation") -> str:
    lines = [f"{'K':>4} {'d#':>6} {'d_M':>6} {'n':>8} {'d_M/n':>9} {'error':>9} {'error/rate':>11}"]
    for one in found.points:
        counts = f"{one.outputs:>4} {one.naive:>6} {one.dimension:>6} {one.n:>8} {one.dimension / one.n:>9.5f}"
        lines.append(f"{counts} {one.error:>9.5f} {one.error / one.rate:>11.3f}")
    lines.append(f"error ~ (d_M / n)^{found.slope:.3f}; in theory ^0.5. rate = sigma sqrt(d_M / n).")
    return "\n".join(lines)
