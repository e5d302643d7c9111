"""Tables (.csv, .jsonl, .parquet, data frames): a column of labels, beside one of texts or others of numbers."""

import csv
import io
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from ..errors import DataError, first_line
from ..request.reading import Reading
from .encodings import read_text
from .tokens import text_bytes

TABLES = (".csv", ".tsv", ".jsonl", ".parquet")
TEXT, LABEL = "text", "label"

Column = Sequence[object]
Table = Mapping[str, Column]


@runtime_checkable
class Frame(Protocol):
    """A data frame, as far as it is read here."""

    @property
    def columns(self) -> Sequence[object]:
        """Names of the columns."""
        ...

    def __getitem__(self, name: object) -> Column:
        """Return a column."""
        ...

    def itertuples(self) -> object:
        """What data frames have and other tables have not."""
        ...


def read_table(path: Path, reading: Reading) -> Table:
    """Read a file into columns, in its order. Raises: DataError that names the line where it breaks."""
    if path.suffix == ".parquet":
        return _read_parquet(path)
    text = read_text(path, reading.encoding)
    return _read_jsonl(path, text) if path.suffix == ".jsonl" else _read_csv(path, text)


def frame_columns(frame: Frame) -> Table:
    """Return the columns of a data frame. Raises: DataError where two of them have one name."""
    names = [str(name) for name in frame.columns]
    if len(set(names)) != len(names):
        raise DataError(f"load: the columns of a data frame have names, each once, got {', '.join(names[:20])}.")
    return {name: list(frame[column]) for name, column in zip(names, frame.columns, strict=True)}


def from_table(table: Table, reading: Reading, where: str) -> tuple[Tensor, Column, bool]:
    """Take a table apart: a column of labels, and either one of texts or all others, which hold numbers.

    Returns: x (n, L) uint8 texts or (n, features) float64, the labels as they are, and whether x holds texts.
    Raises: DataError.
    """
    label = LABEL if reading.label_column is None else reading.label_column
    _present(table, label, where, "--label-column")
    labels = _numbers_or_words(table[label], label, where)
    text = reading.text_column
    if text is None and TEXT in table and label != TEXT:
        text = TEXT
    if text is not None:
        _present(table, text, where, "--text-column")
        for row, value in enumerate(table[text]):
            if not isinstance(value, str):
                raise DataError(f"load: {where} has texts in column {text!r}, row {row + 1} holds {value!r}.")
        return text_bytes([str(value) for value in table[text]]), labels, True
    features = [name for name in table if name != label]
    if not features or not len(labels):
        raise DataError(
            f"load: {where} has rows, and columns beside the labels, got {len(labels)} rows and "
            f"{len(features)} other columns."
        )
    return torch.from_numpy(np.column_stack([_numbers(table[name], name, where) for name in features])), labels, False


def _present(table: Table, name: str, where: str, option: str) -> None:
    if name not in table:
        raise DataError(
            f"load: {where} has a column {name!r}, got {', '.join(list(table)[:20]) or 'none'}. Name it with {option}."
        )


def _numbers_or_words(column: Column, name: str, where: str) -> Column:
    """Labels as they are, whole numbers where all of them read so; refuse missing ones."""
    values = [value.item() if isinstance(value, np.generic) else value for value in column]
    for row, value in enumerate(values):
        if value is None or value == "" or (isinstance(value, float) and math.isnan(value)):
            raise DataError(f"load: {where} has a label in every row, row {row + 1} of column {name!r} has none.")
    if not all(isinstance(value, str) for value in values):
        return values
    words = [str(value) for value in values]
    try:
        whole = [int(word) for word in words]
        if [str(number) for number in whole] == words:  # 01 and 1 are two words
            return whole
    except ValueError:
        pass
    try:
        return [float(word) for word in words]  # which are refused where labels are numbered
    except ValueError:
        return words


def _numbers(column: Column, name: str, where: str) -> np.ndarray:
    numbers = np.empty(len(column), np.float64)
    for row, value in enumerate(column):
        try:
            number = float(value)  # type: ignore[arg-type]
        except (TypeError, ValueError, OverflowError):  # the last of whole numbers beyond all floats
            number = math.nan
        if not math.isfinite(number):
            raise DataError(
                f"load: {where} has numbers in all columns but the labels, row {row + 1} of column {name!r} holds "
                f"{value!r}. Drop or encode such columns and rows; a column of texts is named with --text-column."
            )
        numbers[row] = number
    return numbers


def _read_csv(path: Path, text: str) -> Table:
    separator = "\t" if path.suffix == ".tsv" else ","
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    try:
        head = next(rows, [])
        if len(set(head)) != len(head) or not head:
            raise DataError(f"load: {path.name} begins with the names of its columns, each once, got {head[:20]}.")
        table: dict[str, list[object]] = {name: [] for name in head}
        for row in rows:
            if not row:
                continue
            if len(row) != len(head):
                raise DataError(
                    f"load: every row of {path.name} has {len(head)} fields, line {rows.line_num} has {len(row)}."
                )
            for name, value in zip(head, row, strict=True):
                table[name].append(value)
    except csv.Error as cause:
        raise DataError(
            f"load: {path.name} is a table of {separator!r}-separated fields, got in line "
            f"{rows.line_num}: {first_line(cause)}."
        ) from None
    return table


def _read_jsonl(path: Path, text: str) -> Table:
    table: dict[str, list[object]] = {}
    count = 0
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except ValueError as cause:
            raise DataError(
                f"load: {path.name} has one JSON object a line, line {number}: {first_line(cause)}."
            ) from None
        if not isinstance(record, dict) or (count and record.keys() != table.keys()):
            raise DataError(
                f"load: all lines of {path.name} are JSON objects with the same keys, line {number} is not."
            )
        for name, value in record.items():
            table.setdefault(name, []).append(value)
        count += 1
    return table


def _read_parquet(path: Path) -> Table:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as why:
        raise DataError(
            f"load: {path.name} needs pyarrow, which cannot be imported ({first_line(why)}). Install the extra: "
            "pip install 'pacbound[data]'"
        ) from None
    try:
        found = pyarrow.parquet.read_table(path)
    except (OSError, pyarrow.ArrowException) as cause:
        raise DataError(f"load: {path.name} is a parquet file, got: {first_line(cause)}. Write it again.") from None
    return {name: found.column(name).to_pylist() for name in found.column_names}
