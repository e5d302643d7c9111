"""`pacbound study`: questions that people ask of bounds, run and shown; people read standard error."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from .files import columns, sentence_lines

if TYPE_CHECKING:
    from pacbound.studies.catalogue import Part, Study


def study(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="A study; without it all are listed.")] = None,
    full: Annotated[bool, typer.Option("--full", help="The whole study instead of the small one.")] = False,
    folder: Annotated[
        Path | None, typer.Option("--dir", metavar="DIR", help=escape("Folder of the study [NAME, or NAME-full]."))
    ] = None,
    seeds: Annotated[str, typer.Option(metavar="N,N,...", help=escape("Other seeds [those of the study]."))] = "",
    jobs: Annotated[int, typer.Option(min=1, max=1024, help="Runs at a time, one thread each.")] = 1,
    budget: Annotated[
        float | None, typer.Option(min=0.0, help="Minutes; the same command goes on with what is left.")
    ] = None,
    data_dir: Annotated[Path | None, typer.Option(help="Folder of data sets (or PACBOUND_DATA).")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the runs and their options, and stop.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON: the comparison, the plan or the list.")] = False,
) -> None:
    """Run a study: a question, the runs that answer it, and a page on which all of them stand.

    Writes into DIR a certificate for each run, report.html (needs pacbound\\[report]) and table.md. The same command
    goes on after a kill, Ctrl-C or --budget.

    \b
    pacbound study
    pacbound study shuffle --dry-run
    pacbound study shuffle --jobs 2
    pacbound study equivariance --full --dir runs/equivariance
    """
    import json

    from pacbound.reports.beside import text_of
    from pacbound.studies.catalogue import names, parts_of, read_study
    from pacbound.studies.running import run_study
    from pacbound.studies.section import check_pictures, document, sections, write_page

    if name is None:
        studies = {one: read_study(one) for one in names()}
        if as_json:
            typer.echo(json.dumps({one: each.model_dump(mode="json") for one, each in studies.items()}, indent=1))
        else:
            typer.echo("\n".join(line for one, each in studies.items() for line in _listed(one, each)))
        return
    found, output = read_study(name), folder or Path(f"{name}-full" if full else name)
    chosen = _seeds(seeds)
    if dry_run:
        parts = parts_of(found, full, chosen, data_dir)
        typer.echo(json.dumps(_plan_json(parts), indent=1) if as_json else "\n".join(_planned(parts)))
        return
    check_pictures()
    try:
        results = run_study(
            found, output, full=full, seeds=chosen, jobs=jobs, budget=budget, data_dir=data_dir
        )  # fmt: skip
    except KeyboardInterrupt:
        typer.echo(f"\npacbound: interrupted; the same command goes on with {output}.", err=True)
        raise typer.Exit(130) from None
    if results.runs:
        write_page(found, results, output)
    if as_json:
        typer.echo(json.dumps(document(found, results), indent=1))
    else:
        typer.echo(text_of(sections(found, results), columns()))
    if results.runs:
        typer.echo(f"pacbound: {output / 'report.html'} shows it.", err=True)
    if results.refused:
        raise typer.Exit(1)


def _listed(name: str, found: "Study") -> list[str]:
    """A study with what it shows and how long it takes."""
    minutes = f"about {found.small.minutes:,} minutes on 2 cores, {found.full.minutes:,} with --full"
    return [name, *sentence_lines(f"{found.shows}; {minutes}", "  ", "  ")]


def _planned(parts: "list[Part]") -> list[str]:
    """What would be run, sweep by sweep."""
    lines = []
    for part in parts:
        options = [f"{name} {value}" for name, value in part.plan.request if name in _changed(part)]
        seeds = ", ".join(map(str, _seeds_of(part)))
        lines += sentence_lines(f"{part.sample}, {part.arm}: {'; '.join(options)}; seeds {seeds}", "  ", "    ")
    runs = sum(len(part.plan.runs) for part in parts)
    return [f"{runs:,} runs", *lines, "nothing was trained or written (--dry-run)"]


def _plan_json(parts: "list[Part]") -> list[dict[str, object]]:
    return [
        {
            "sample": part.sample,
            "arm": part.arm,
            "options": part.plan.request.model_dump(mode="json", include=_changed(part)),
            "seeds": _seeds_of(part),
        }
        for part in parts
    ]


def _changed(part: "Part") -> set[str]:
    """Names of the options that are no defaults."""
    from pacbound.request.request import Request

    default = Request()
    return {name for name, value in part.plan.request if value != getattr(default, name)}


def _seeds_of(part: "Part") -> list[int]:
    return [part.plan.request_of(run).seed for run in range(len(part.plan.runs))]


def _seeds(text: str) -> tuple[int, ...] | None:
    from pacbound.errors import RequestError

    parts = text.split(",") if text else []
    if not all(part.strip().isdecimal() for part in parts) or len({int(part) for part in parts}) != len(parts):
        raise RequestError(f"study: --seeds are different whole numbers such as 0,1,2, got {text!r}.")
    return tuple(int(part) for part in parts) or None
