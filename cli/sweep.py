"""`pacbound sweep`: a grid of requests, drawn and paid beforehand, run and resumed; people read standard error."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .files import sentence_lines

if TYPE_CHECKING:
    from pacbound.sweeps.driver import Summary
    from pacbound.sweeps.plan import Plan

SHOWN = 20  # runs of a dry run; values of an option are cut at the width of a terminal
WIDTH = 78
WAYS = {
    "free": "free: it only helps to find a message",
    "message": "paid in the message, by a universal prefix code",
    "outcome": "nothing to pay: the default theorem is the smallest for every outcome",
    "grid": "paid by the grid: no message says it",
}


class Where(StrEnum):
    """Where runs run."""

    processes = "processes"
    slurm = "slurm"
    local = "local"


def sweep(
    config: Annotated[Path, typer.Argument(metavar="CONFIG.toml", help=r"Options, \[grid] and \[sweep].")],
    output: Annotated[Path | None, typer.Option("--output", "-o", help="folder of the sweep [CONFIG]")] = None,
    jobs: Annotated[int, typer.Option(min=1, max=1024, help="runs at a time, one thread each")] = 1,
    budget: Annotated[float | None, typer.Option(min=0.0, help="minutes; what is unfinished then is kept")] = None,
    where: Annotated[Where, typer.Option(help="processes; slurm: jobs by submitit; local: submitit here")] = (
        Where.processes
    ),
    preset: Annotated[str, typer.Option(help="default or lotfi2022")] = "default",
    data_dir: Annotated[Path | None, typer.Option(help="folder of data sets [PACBOUND_DATA]")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="print the grid and what it costs, and stop")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="print a summary in JSON on standard output")] = False,
) -> None:
    """Run a grid of requests, each resumable, and keep every certificate; the best pays for the whole grid.

    The same command goes on after a kill, Ctrl-C or --budget. In CONFIG.toml, beside options of `pacbound certify`:

    \b
    data = "digits"
    encoder = "plain"        # which reads rate
    \\[sweep]
    engine = "grid"          # or random, optuna
    draws = 24               # from the grid; by default all of it
    \\[grid]
    d = [64, 128, 256]
    projector = ["fastfood", "kron"]
    rate = {low = 0.001, high = 0.1, log = true}

    \b
    pacbound sweep digits.toml --jobs 2
      24 of 24 runs finished
      best  0007  bound at most 11.44 %  d 128, projector fastfood, rate 0.0052
    """
    from pacbound.request.presets import preset as named
    from pacbound.sweeps.driver import sweep as run
    from pacbound.sweeps.plan import read_plan

    plan = read_plan(config, named(preset))
    if dry_run:
        typer.echo(_plan_json(plan) if as_json else _plan_in_words(plan))
        return
    folder = output or Path(config.stem)
    try:
        summary = run(plan, folder, jobs=jobs, where=where.value, budget=budget, data_dir=data_dir)
    except KeyboardInterrupt:
        typer.echo(f"\npacbound: interrupted; the same command goes on with {folder}.", err=True)
        raise typer.Exit(130) from None
    if as_json:
        typer.echo(summary.model_dump_json(indent=1))
    typer.echo(_in_words(summary, folder), err=as_json)
    if summary.finished == 0 and summary.left == 0:
        raise typer.Exit(2)
    if summary.broken:
        raise typer.Exit(1)


def _plan_in_words(plan: "Plan") -> str:
    ways = plan.ways()
    lines = [f"{len(plan.runs):,} runs, in the order of engine {plan.search.engine}"]
    for name in plan.options:
        values = ", ".join(dict.fromkeys(_shown(plan.values_of(run)[name]) for run in range(len(plan.runs))))
        lines += [_cut(f"  {name}: {values}"), *sentence_lines(WAYS[ways[name]], "    ", "    ")]
    record = plan.record(0, _number(plan), plan.texts_of())
    bits = (record.choices - 1).bit_length()
    lines += sentence_lines(f"the grid costs {bits} bits in every certificate of it, whatever of it is searched")
    if record.number is not None:
        price = f"log2 of {record.combinations} combinations, times j (j + 1) for sweep j = {record.number} or later"
        lines += sentence_lines(price, "  ", "  ")
    for run in range(min(len(plan.runs), SHOWN)):
        values = ", ".join(f"{name} {_shown(value)}" for name, value in plan.values_of(run).items())
        lines.append(_cut(f"  {run + 1:04d}  {values}"))
    if len(plan.runs) > SHOWN:
        lines.append(f"  ... and {len(plan.runs) - SHOWN:,} more")
    return "\n".join([*lines, "nothing was trained or written (--dry-run)"])


def _plan_json(plan: "Plan") -> str:
    import json

    record = plan.record(0, _number(plan), plan.texts_of())
    found = {
        "runs": [record.values_of(run) for run in range(len(record.runs))],
        "ways": plan.ways(),
        "combinations": record.combinations,
        "number": record.number,
        "bits": (record.choices - 1).bit_length(),
    }
    return json.dumps(found, indent=1)


def _number(plan: "Plan") -> int | None:
    """Which sweep with a price this is at least; the record beside its folder may know of more."""
    return 1 + (plan.search.earlier_sweeps or 0) if plan.priced else None


def _in_words(summary: "Summary", folder: Path) -> str:
    from pacbound.certificate.statement import percent_up

    lines = [f"{summary.finished:,} of {summary.runs:,} runs finished, in {summary.seconds:,.0f} s"]
    lines += [f"  refused  {run:04d}  {why}" for run, why in summary.refused.items()]
    lines += [f"  broken   {run:04d}  {why}" for run, why in summary.broken.items()]
    if summary.left:
        lines.append(f"  {summary.left:,} runs are left; the same command goes on with them")
    if summary.best is not None and summary.best.bound is not None:
        values = ", ".join(f"{name} {value}" for name, value in summary.best.options.items())
        lines.append(_cut(f"  best  {summary.best.run:04d}  bound at most {percent_up(summary.best.bound)}  {values}"))
        lines.append(f"  it pays {summary.bits} bits for the grid, and holds for whichever of its runs was chosen")
        lines.append(f"  {folder / str(summary.best.file)}")
    return "\n".join(lines)


def _shown(value: object) -> str:
    return "+".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _cut(line: str) -> str:
    return line if len(line) <= WIDTH else f"{line[: WIDTH - 3]}..."
