"""How records show themselves where HTML is shown, and as pandas frames where pandas is there."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING

from .errors import RequestError

if TYPE_CHECKING:
    from pandas import DataFrame as Frame

Cell = str | int | float | bool | None


def html_table(head: Sequence[str], rows: Sequence[Sequence[str]], caption: str = "", note: str = "") -> str:
    """Return an HTML table; every text is escaped. caption: above it. note: a sentence below.

    >>> html_table(["item", "bits"], [["model", "16"]])
    '<table><thead><tr><th>item</th><th>bits</th></tr></thead><tbody><tr><td>model</td><td>16</td></tr></tbody></table>'
    """
    over = f"<caption>{escape(caption)}</caption>" if caption else ""
    titles = "".join(f"<th>{escape(title)}</th>" for title in head)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    below = f"<p>{escape(note)}</p>" if note else ""
    return f"<table>{over}<thead><tr>{titles}</tr></thead><tbody>{body}</tbody></table>{below}"


def frame(columns: Mapping[str, Sequence[Cell]]) -> "Frame":
    """Return columns as a pandas frame. Raises: RequestError where pandas is not installed."""
    try:
        from pandas import DataFrame
    except ImportError:
        raise RequestError("frame: pandas is not installed, and nothing else needs it. Install pandas.") from None
    return DataFrame({name: list(cells) for name, cells in columns.items()})
