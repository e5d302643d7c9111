"""Figures as SVG that stands inside a page: the same bytes from the same numbers, no script, nothing from outside.

Ink follows the text of the page and colours are names of its style sheet, so that a figure is as readable in the dark.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from typing import TYPE_CHECKING, NamedTuple

from ..errors import CertificateError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's colours, which the colour-blind tell apart, each with a marker of its own
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
MARKERS = "osD^vP"
INK, FAINT = "#010101", "#8c8c8c"  # of axes and text, and of lines behind; both are replaced
NAMES = {colour: f"var(--c{index})" for index, colour in enumerate(COLOURS)} | {
    INK: "currentColor",
    FAINT: "var(--faint)",
}
WIDTH, HEIGHT = 5.2, 3.6  # inches, of 72 points


class Drawing(NamedTuple):
    """An SVG element, and what it shows in words for whoever does not see it."""

    svg: str
    caption: str


@contextmanager
def sheet(height: float = HEIGHT) -> "Iterator[tuple[Figure, Axes]]":
    """Open a figure of one panel in the look of reports. height: in inches.

    Raises: CertificateError where matplotlib is missing.
    """
    try:
        import matplotlib
        from matplotlib.figure import Figure
    except ImportError:
        raise CertificateError("report: matplotlib is not installed. Install pacbound[report].") from None
    look = matplotlib.rc_context(
        {
            "svg.fonttype": "none", "svg.hashsalt": "pacbound", "font.size": 10, "font.family": "sans-serif",
            "axes.edgecolor": INK, "axes.labelcolor": INK, "text.color": INK, "xtick.color": INK, "ytick.color": INK,
            "axes.spines.top": False, "axes.spines.right": False, "legend.frameon": False, "text.parse_math": False,
        }
    )  # fmt: skip
    with look:
        figure = Figure(figsize=(WIDTH, height), layout="constrained", facecolor="none")
        axes = figure.subplots()
        axes.set_facecolor("none")
        yield figure, axes


def drawing(figure: "Figure", name: str, title: str, caption: str) -> Drawing:
    """Return a figure as an element. name: distinct within a page, of letters, digits and dashes."""
    text = StringIO()
    figure.savefig(text, format="svg", metadata={"Date": None})
    body = re.sub(r"<metadata>.*?</metadata>|<defs>\s*<style.*?</defs>", "", text.getvalue(), flags=re.DOTALL)
    body = body[body.index("<svg") :]
    body = re.sub(r'\b(id="|url\(#|href="#)', rf"\g<1>{name}-", body)
    for colour, variable in NAMES.items():
        body = re.sub(re.escape(colour), variable, body, flags=re.IGNORECASE)
    size = re.search(r'viewBox="0 0 ([0-9.]+) ([0-9.]+)"', body)
    assert size is not None
    head = (
        f'<svg class="figure" viewBox="0 0 {size[1]} {size[2]}" role="img" aria-labelledby="{name}-t" '
        f'xmlns:xlink="http://www.w3.org/1999/xlink" xmlns="http://www.w3.org/2000/svg">'
        f'<title id="{name}-t">{_escaped(title)}</title>'
    )
    return Drawing(head + body[body.index(">", body.index("<svg")) + 1 :].strip(), caption)


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
