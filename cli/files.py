"""Certificates that a command line names: files as they are, folders as the .json files in them."""

import shutil
from pathlib import Path


def certificate_files(paths: list[Path], verb: str) -> list[Path]:
    """Return the files. Raises: RequestError where there is none."""
    from pacbound.errors import RequestError

    files = [file for path in paths for file in (sorted(path.glob("*.json")) if path.is_dir() else [path])]
    if not files:
        raise RequestError(f"{verb}: there is no .json file in that folder. Name a certificate, or the folder of some.")
    return files


def columns() -> int:
    """Width of the terminal, or what COLUMNS says; 80 where nothing does."""
    return shutil.get_terminal_size((80, 24)).columns
