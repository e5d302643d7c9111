"""Bars for whoever waits: in a terminal, in a notebook, and nowhere else."""

import sys

from tqdm.auto import tqdm

__all__ = ["hidden", "tqdm"]


def hidden(progress: bool = True) -> bool | None:
    """Return what tqdm takes as `disable`.

    True where no bar is wanted; False in a notebook, whose output is no terminal; None elsewhere, which shows bars in
    terminals only, so that logs and pipes stay clean.
    """
    if not progress:
        return True
    return False if in_notebook() else None


def in_notebook() -> bool:
    """Whether this runs in the kernel of a notebook."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return "IPKernelApp" in getattr(shell, "config", {})
