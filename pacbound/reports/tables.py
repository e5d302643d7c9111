"""Tables and sentences as text of a given width, as Markdown and as LaTeX: what every report is printed with."""

import re
import textwrap
from collections.abc import Sequence
from typing import NamedTuple

GAP = "  "
NARROW = 20  # columns: a table or a sentence in fewer cannot be read
MARKDOWN_SPECIAL = frozenset("\\`*_{}[]<>#|&~$")
LATEX_SPECIAL = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "_": r"\_", "%": r"\%",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", '"': r"\textquotedbl{}",
}  # fmt: skip


class Column(NamedTuple):
    """A heading with the cells under it; text stands left, figures right."""

    head: str
    cells: tuple[str, ...]
    text: bool = False


Table = tuple[Column, ...]  # the first column names the rows; all have as many cells


def markdown_text(text: str) -> str:
    """Escape what Markdown and HTML would read as markup."""
    return "".join(f"\\{c}" if c in MARKDOWN_SPECIAL else c for c in text)


def latex_text(text: str) -> str:
    """Escape what TeX would read as a command; percentages get a thin space."""
    escaped = "".join(LATEX_SPECIAL.get(c, c) for c in text)
    return escaped.replace(r" \%", r"\,\%")


def wrapped(text: str, width: int, first: str = "", rest: str = "") -> list[str]:
    """Break text at its spaces into lines of at most `width` columns, but between no figure and its percent sign.

    A word that is longer than a line is broken after its own punctuation only, and sticks out where it has none.

    Args: first, rest: what the first line and the others start with.

    >>> wrapped("the error is at most 6 %.", 23, "- ", "  ")
    ['- the error is at most', '  6 %.']
    """
    room = max(NARROW, width) - max(len(first), len(rest))
    words = [
        part for word in PERCENT.sub(TIE, text).split(" ") for part in (_pieces(word) if len(word) > room else [word])
    ]
    lines = textwrap.wrap(
        " ".join(words), max(NARROW, width), initial_indent=first, subsequent_indent=rest, break_long_words=False,
        break_on_hyphens=False,
    )  # fmt: skip
    return [_joined(line) for line in lines] or [first.rstrip()]


def text_table(table: Table, width: int, indent: str = "") -> list[str]:
    """Return the lines of a table; columns that do not fit beside the others make a second one below, and so on."""
    lines: list[str] = []
    for block in _blocks(table, max(NARROW, width) - len(indent)):
        widths = [max(len(cell) for cell in (column.head, *column.cells)) for column in block]
        for cells in zip(*((column.head, *column.cells) for column in block), strict=True):
            padded = [
                f"{cell:<{wide}}" if column.text else f"{cell:>{wide}}"
                for cell, wide, column in zip(cells, widths, block, strict=True)
            ]
            lines.append((indent + GAP.join(padded)).rstrip())
        lines.append("")
    return lines[:-1]


def markdown_table(table: Table) -> list[str]:
    """Return the lines of a Markdown table."""
    rule = "|".join("---" if column.text else "---:" for column in table)
    rows = zip(*((column.head, *column.cells) for column in table), strict=True)
    head, *body = ["| " + " | ".join(markdown_text(cell) for cell in row) + " |" for row in rows]
    return [head, f"|{rule}|", *body]


def latex_table(table: Table) -> list[str]:
    """Return the lines of a LaTeX tabular."""
    rows = zip(*((column.head, *column.cells) for column in table), strict=True)
    head, *body = [" & ".join(latex_text(cell) for cell in row) + r" \\" for row in rows]
    align = "".join("l" if column.text else "r" for column in table)
    return [rf"\begin{{tabular}}{{{align}}}", r"\hline", head, r"\hline", *body, r"\hline", r"\end{tabular}"]


def _blocks(table: Table, room: int) -> list[Table]:
    """Columns in turn, as many as fit, each block after the first one that names the rows."""
    names, *others = table
    width = _width(names)
    blocks: list[list[Column]] = [[names]]
    taken = width
    for column in others:
        if taken + len(GAP) + _width(column) > room and len(blocks[-1]) > 1:
            blocks.append([names])
            taken = width
        blocks[-1].append(column)
        taken += len(GAP) + _width(column)
    return [tuple(block) for block in blocks]


def _width(column: Column) -> int:
    return max(len(cell) for cell in (column.head, *column.cells))


GLUE = "\x00"  # ends a piece of a word that goes on
TIE = "\x01"  # stands for the space before a percent sign
PERCENT = re.compile(r"(?<=\d) (?=%)")


def _pieces(word: str) -> list[str]:
    """Cut a long word after its punctuation."""
    pieces = [piece for piece in re.split(r"(?<=[-,;:/_=+.])", word) if piece]
    return [piece + GLUE for piece in pieces[:-1]] + pieces[-1:]


def _joined(line: str) -> str:
    return line.replace(GLUE + " ", "").replace(GLUE, "").replace(TIE, " ")


def shortest_names(names: Sequence[str]) -> tuple[str, tuple[str, ...]]:
    """Return the folder that all names lie in, with its slash or empty, and the names without it and without .json.

    >>> shortest_names(["runs/a.json", "runs/b.json"])
    ('runs/', ('a', 'b'))
    """
    stems = tuple(name.removesuffix(".json") for name in names)
    stems = stems if len(set(stems)) == len(set(names)) else tuple(names)
    folders = {name.rpartition("/")[0] for name in names}
    if len(folders) != 1 or not (folder := folders.pop()):
        return "", stems
    return f"{folder}/", tuple(stem[len(folder) + 1 :] for stem in stems)
