"""`pacbound bound lm`: every bound on a mean loss, such as bits a token, that follows from a file of losses."""

import json
from pathlib import Path
from typing import Annotated

import typer

from .files import sentence_lines, theorem_lines


def lm(
    losses: Annotated[
        Path,
        typer.Option(
            help="A .npz file: X losses, c centres, M ceilings (one for each position, or c and M single numbers), "
            "and lowest where a loss may be negative."
        ),
    ],
    bits: Annotated[
        int, typer.Option(help="Sum of the ledger: the message and every choice (alpha, kappa, alphabet), in bits.")
    ],
    delta: Annotated[float, typer.Option(help="Probability that the statement fails.")] = 0.05,
    drawn_from: Annotated[
        int | None, typer.Option(help="The losses are those of units drawn with replacement from this many.")
    ] = None,
    choice_bits: Annotated[
        int, typer.Option(help="With --drawn-from: those of the bits that pay choices which looked at the drawn units.")
    ] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of the text.")] = False,
) -> None:
    """Print every bound on the mean loss that follows from the losses, each with what it is about.

    \b
    pacbound bound lm --losses losses.npz --bits 20

    \b
      1000 losses, mean 1.112421, 20 bits, delta 0.05
      * stream                1.297348  Ville 1939; ...
          about the average, over the pasts of this very stream, ...
          if every position once, each predicted from its past alone; ...
        positions             1.297348  ...
    """
    from pacbound.bounds.language import loss_bounds
    from pacbound.bounds.losses import read_losses
    from pacbound.bounds.subsampled import subsampled_bounds
    from pacbound.errors import RequestError

    sums = read_losses(losses)
    if drawn_from is None:
        if choice_bits:
            raise RequestError(
                "bound: --choice-bits is about a subsample, got no --drawn-from. Say how many units there are."
            )
        made = loss_bounds(sums, bits, delta)
    else:
        made = subsampled_bounds(sums, drawn_from, bits, choice_bits, delta)
    if as_json:
        report = {"n": sums.n, "mean": sums.losses / sums.n, "bits": bits, "delta": delta, "drawn_from": drawn_from}
        rows = [one.model_dump(exclude={"delta"}) for one in made]
        typer.echo(json.dumps({**report, "bounds": rows}, indent=2))
        return
    from pacbound.bounds.table import rounded_up

    lines = [f"{sums.n} losses, mean {rounded_up(sums.losses / sums.n)}, {bits} bits, delta {delta!r}"]
    for one in made:
        lines += theorem_lines(one is made[0], one.theorem, rounded_up(one.value), one.reference)
        lines += _wrapped(f"about {one.about};") + _wrapped(f"if {'; '.join(one.assumes)}.")
    lines += sentence_lines(
        f"Each holds by itself, for draws of its own kind, with probability at least 1 - {delta!r}."
    )
    if sums.ceiling is None or sums.centre is None:
        lines += sentence_lines("Centres or ceilings vary: what needs one for the whole population is left out.")
    typer.echo("\n".join(lines))


def _wrapped(sentence: str) -> list[str]:
    return sentence_lines(sentence, "      ", "      ")
