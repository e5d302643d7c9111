"""Rows of a checkpoint's own last layer as a start for other classes: which belong to which, by names, and their means.

The rule is fixed and looks at no example: a name is split at commas and slashes into what it says in several ways, each
of these into words of letters and digits, whatever their case. A row belongs to a class where one way of its name ends
in one way of the class's: `fire engine, fire truck` is a truck, `horse cart` no horse. A class to which no row belongs
has the mean over all of them.
"""

import json
import re
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from ..errors import ModelError, first_line
from ..specs.head import MAX_ROWS, HeadSpec
from .foreign import CONFIG

WAYS = re.compile(r"[,/]")
WORDS = re.compile(r"[^\W_]+")

Way = tuple[str, ...]


def names_in(checkpoint: str | Path) -> tuple[str, ...]:
    """Return what a folder calls the rows of its last layer, `id2label` of its config.json.

    Raises: ModelError where it says nothing.
    """
    file = Path(checkpoint) / CONFIG
    try:
        named = json.loads(file.read_text("utf-8"))["id2label"]
        names = tuple(named[str(row)] for row in range(len(named)))
        if not names or not all(isinstance(name, str) for name in names):
            raise TypeError("other than names")
    except (OSError, ValueError, KeyError, TypeError) as why:
        raise ModelError(
            f"own_head: rows are found by the names of a folder's {CONFIG}, id2label with every number from 0, got "
            f"{first_line(why) if isinstance(why, ValueError) else repr(why)[:80]}. Name the rows themselves, as "
            "--head-rows 404+895,10-24 (a class each); these are coded."
        ) from None
    return names


def by_names(rows: Sequence[str], classes: Sequence[str]) -> HeadSpec:
    """Return the rows that belong to each class by the rule of this module.

    Args: rows: names of the rows. classes: names of the classes.
    Raises: ModelError where no row belongs to any class, or more to one than a head may have.
    """
    ends = [{way[place:] for way in _ways(row) for place in range(len(way))} for row in rows]
    found = []
    for name in classes:
        own = tuple(row for row, said in enumerate(ends) if said & _ways(name))
        found.append(() if len(own) == len(rows) else own)
    if not any(found) or max(map(len, found)) > MAX_ROWS:
        raise ModelError(
            f"own_head: names of rows end in names of classes, for up to {MAX_ROWS} rows a class, got "
            f"{', '.join(map(repr, rows[:3]))} and {', '.join(map(repr, classes[:3]))}. Name the rows, or --new-head."
        )
    return HeadSpec(of=len(rows), named=True, rows=tuple(found))


def means(values: Tensor, head: HeadSpec) -> Tensor:
    """Return for each output the mean over its rows of values (of, ...), as (outputs, ...) float32.

    Rows are added in float64 in their order, one after the other, so that every machine gets the same numbers.
    """
    double = values.to(torch.float64)
    made = []
    for rows in head.rows:
        total = torch.zeros_like(double[0])
        for row in rows or range(head.of):
            total = total + double[row]
        made.append((total / (len(rows) or head.of)).to(torch.float32))
    return torch.stack(made)


def _ways(name: str) -> set[Way]:
    return {way for part in WAYS.split(name) if (way := tuple(WORDS.findall(part.casefold())))}
