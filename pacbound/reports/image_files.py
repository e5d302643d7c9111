"""Write a figure to a file, the same bytes from the same numbers; matplotlib is the report extra."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import RequestError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# file type -> what to leave out of the file, because it says when it was written
UNDATED: dict[str, dict[str, None]] = {".svg": {"Date": None}, ".png": {}, ".pdf": {"CreationDate": None}}
DPI = 160


def check_figure_path(path: Path) -> None:
    """Raise RequestError unless the name ends as one of UNDATED and its folder exists, before anything is computed."""
    if path.suffix.lower() not in UNDATED:
        raise RequestError(f"plot: a file ends in {', '.join(UNDATED)}, got {path.name!r}. Choose one of these.")
    if path.is_dir() or not path.parent.is_dir():
        raise RequestError(f"plot: a file in a folder that exists, got {str(path)!r}. Create the folder first.")


def save_figure(draw: "Callable[[Figure], None]", size: tuple[float, float], path: Path) -> None:
    """Draw on a fresh figure and write it.

    Args: draw: puts everything on the figure. size: width and height in inches. path: .svg, .png or .pdf.
    Raises: RequestError where matplotlib is missing or the file cannot be written; what `draw` raises.
    """
    check_figure_path(path)
    try:
        import matplotlib
        from matplotlib.figure import Figure
    except ImportError:
        raise RequestError("plot: matplotlib is not installed. Install pacbound[report].") from None
    suffix = path.suffix.lower()
    with matplotlib.rc_context({"svg.hashsalt": "pacbound", "font.size": 9, "text.parse_math": False}):
        figure = Figure(figsize=size, layout="constrained", dpi=DPI)
        draw(figure)
        try:
            figure.savefig(path, format=suffix[1:], metadata=UNDATED[suffix])
        except OSError as why:
            raise RequestError(f"plot: {path.name!r} could not be written ({why.strerror}).") from None
