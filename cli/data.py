"""`pacbound data`: fetch data sets and say which are there."""

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
def list_command(root: Root = None) -> None:
    """List the data sets known by name and whether their files are there.

    Example of the output:
      digits         embedded
      mnist          complete
      cifar10        5 of 6 files missing
    """
    where = data_root(root)
    typer.echo(f"data root: {where}")
    for name, splits in FILES.items():
        files = [file for split in splits.values() for file in split]
        missing = [file for split in splits for file in missing_files(name, where, split)]
        state = f"{len(missing)} of {len(files)} files missing" if missing else "complete" if files else "embedded"
        typer.echo(f"{name:14} {state}")
