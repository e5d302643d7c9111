"""`pacbound search`: a network for a sample, found among the strings of the grammar; people read standard error."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .files import columns
from .options import given, with_reading

if TYPE_CHECKING:
    from pacbound.sweeps.search import Found

SHOWN = 10


@with_reading
def search(
    data: Annotated[str, typer.Option(help="data set by name, or a file or folder of your own")] = "digits",
    minutes: Annotated[float, typer.Option(help="of the whole search")] = 30.0,
    output: Annotated[Path, typer.Option("--output", "-o", help="folder of the search")] = Path("search"),
    jobs: Annotated[int, typer.Option(min=1, max=1024, help="runs at a time, one thread each")] = 1,
    seed: Annotated[int, typer.Option(min=0, help="of what is proposed")] = 0,
    data_dir: Annotated[Path | None, typer.Option(help="folder of data sets [PACBOUND_DATA]")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print all results in JSON on standard output")] = False,
    **reading: object,
) -> None:
    """Look for the network of the smallest bound, and certify it: short runs of many, longer ones of the best.

    A network is paid by its own description in every certificate, so that searching costs nothing else. The same
    command goes on after a kill or Ctrl-C.

    \b
    pacbound search --data digits --minutes 10 --jobs 2
      21 runs of 17 networks
      28.91 %  h24-R-L                                    final
      29.40 %  h24-R-L                                    round-3
      31.02 %  c8k5-R-A3-L                                round-1
      search/best.json: with probability 95 % at most 28.91 %
    """
    from pacbound.request.request import make_request
    from pacbound.sweeps.search import search as run

    request = make_request({**given(reading), "data": data}, "search")
    try:
        found = run(request, output, minutes=minutes, jobs=jobs, seed=seed, data_dir=data_dir)
    except KeyboardInterrupt:
        typer.echo(f"\npacbound: interrupted; the same command goes on with {output}.", err=True)
        raise typer.Exit(130) from None
    if as_json:
        typer.echo(found.model_dump_json(indent=1))
    typer.echo("\n".join(_in_words(found, output, request.delta)), err=as_json)


def _in_words(found: "Found", output: Path, delta: float) -> list[str]:
    from pacbound.certificate.statement import confidence, percent_up

    lines = [f"{len(found.tried)} runs of {len({line.options['model'] for line in found.tried})} networks"]
    lines += [f"  refused  {name}: {why}" for name, why in found.refused.items()]
    width = max(20, min(columns(), 80) - 24)
    for line in found.tried[:SHOWN]:
        assert line.bound is not None
        name = line.options["model"]
        shown = name if len(name) <= width else f"{name[: width - 3]}..."
        lines.append(f"  {percent_up(line.bound):>8}  {shown:<{width}}  {Path(str(line.file)).parts[0]}")
    if found.best is None or found.best.bound is None:
        return [*lines, f"  runs are left; the same command goes on with {output}"]
    said = f"with probability {confidence(delta)} at most {percent_up(found.best.bound)}"
    return [*lines, f"  {output / 'best.json'}: {said}"]
