"""Folders: x.npy beside y.npy, one folder of pictures a class, or one file of texts a class. Names are read sorted."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..errors import DataError
from ..request.reading import Reading
from .encodings import read_text
from .mapped import mapped_array
from .mixed import Raw, of_their_sizes
from .pictures import decoder, head_of_picture, read_picture
from .tokens import text_bytes

SUFFIXES_OF_TEXT = (".gz", ".txt")  # taken off the name of a class


def mapped_pair(folder: Path) -> tuple[np.ndarray, np.ndarray] | None:
    """Return x.npy, mapped into memory, and y.npy; None where the folder has no x.npy. Raises: DataError."""
    if not (folder / "x.npy").is_file():
        return None
    return mapped_array(folder / "x.npy"), mapped_array(folder / "y.npy")


def read_folder(folder: Path, reading: Reading) -> tuple[Raw, list[int], tuple[str, ...], str]:
    """Read a folder of pictures or of texts; its parts are the classes, in the order of their names.

    Returns: x (n, C, H, W) uint8 pixels or (n, L) uint8 texts, the number of the class of each, the names of the
    classes, and what a reader must know. Raises: DataError.
    """
    entries = sorted((path for path in folder.iterdir() if not path.name.startswith(".")), key=lambda path: path.name)
    parts = [path for path in entries if path.is_dir()]
    if len(entries) < 2 or parts not in ([], entries):
        raise DataError(
            f"load: a folder holds x.npy and y.npy, or one folder of pictures a class, or one file of texts a class, "
            f"got {len(parts)} folders and {len(entries) - len(parts)} files in {folder.name}."
        )
    return _pictures(parts) if parts else _texts(entries, reading.encoding)


def _texts(files: list[Path], encoding: str) -> tuple[Tensor, list[int], tuple[str, ...], str]:
    texts: list[str] = []
    labels: list[int] = []
    for label, file in enumerate(files):
        lines = [line for line in map(str.strip, read_text(file, encoding).split("\n")) if line]
        if not lines:
            raise DataError(f"load: each file of a folder holds texts of its class, {file.name} holds none. Remove it.")
        texts += lines
        labels += [label] * len(lines)
    return text_bytes(texts), labels, tuple(_class_of(file) for file in files), ""


def _class_of(file: Path) -> str:
    name = file.name
    for suffix in SUFFIXES_OF_TEXT:
        name = name.removesuffix(suffix)
    return name


def _hidden(path: Path) -> bool:
    """Whether a file, or a folder on the way to it, is none that its owner sees."""
    return any(part.startswith(".") for part in path.parts)


def _pictures(folders: list[Path]) -> tuple[Raw, list[int], tuple[str, ...], str]:
    """Decode everything, where all have one size; grey pictures among coloured ones are repeated to three channels."""
    note = f"pixels as decoded by {decoder()}"
    files = [
        sorted((f for f in folder.rglob("*") if f.is_file() and not _hidden(f.relative_to(folder))), key=str)
        for folder in folders
    ]
    empty = next((folder.name for folder, found in zip(folders, files, strict=True) if not found), None)
    if empty is not None:
        raise DataError(f"load: each folder holds pictures of its class, {empty} is empty. Remove it.")
    paths = [path for found in files for path in found]
    heads = [head_of_picture(path) for path in _counted(paths, "looking at pictures")]
    shapes, turned = [shape for shape, _ in heads], sum(rotated for _, rotated in heads)
    if turned:
        note += f"; EXIF names a rotation of {turned:,} of them, which is not applied"
    labels = [label for label, found in enumerate(files) for _ in found]
    names = tuple(folder.name for folder in folders)
    if len({shape[1:] for shape in shapes}) > 1:
        return of_their_sizes(lambda row: read_picture(paths[row]), shapes), labels, names, note
    x = torch.empty((len(paths), *max(shapes)), dtype=torch.uint8)
    for row, path in enumerate(_counted(paths, "decoding pictures")):
        x[row] = read_picture(path)  # grey ones in each channel
    return x, labels, names, note


def _counted(paths: list[Path], task: str) -> "list[Path]":
    from ..progress import hidden, tqdm

    return tqdm(paths, desc=task, disable=hidden(), leave=False, delay=1.0)
