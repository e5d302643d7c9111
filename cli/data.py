"""`pacbound data`: fetch data sets and say which are there."""

import json
from pathlib import Path
from typing import Annotated

import typer

from pacbound.data.roots import FILES, data_root, missing_files

app = typer.Typer(no_args_is_help=True, help="Fetch data sets and list those at hand.")

Root = Annotated[
    Path | None,
    typer.Option("--root", help="Folder with one folder per data set. Default: PACBOUND_DATA, else the user's cache."),
]


@app.command("fetch")
def fetch_command(
    name: Annotated[str, typer.Argument(help="mnist or fashion-mnist.")],
    root: Root = None,
    mirror: Annotated[
        list[str] | None,
        typer.Option("--mirror", help="Address of a folder with the files, instead of the built-in ones; repeatable."),
    ] = None,
) -> None:
    """Download a data set, checked against pinned SHA-256 digests; an interrupted download continues.

    Example: pacbound data fetch mnist
    """
    from pacbound.data.fetch import fetch  # networking takes 0.1 s to import, which other verbs need not pay

    folder = fetch(name, root, mirror or ())
    typer.echo(f"{name} is complete in {folder}", err=True)


@app.command("list")
def list_command(
    root: Root = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON: the root, and of each data set its files.")
    ] = False,
) -> None:
    """List the data sets known by name and whether their files are there.

    Example of the output:
      digits         embedded
      mnist          complete
      cifar10        5 of 6 files missing
    """
    where = data_root(root)
    files = {name: [file for split in splits.values() for file in split] for name, splits in FILES.items()}
    missing = {name: [file for split in FILES[name] for file in missing_files(name, where, split)] for name in files}
    if as_json:
        found = {name: {"files": len(every), "missing": missing[name]} for name, every in files.items()}
        typer.echo(json.dumps({"root": str(where), "data": found}, indent=2))
        return
    typer.echo(f"data root: {where}")
    for name, every in files.items():
        left = len(missing[name])
        state = f"{left} of {len(every)} files missing" if left else "complete" if every else "embedded"
        typer.echo(f"{name:14} {state}")
