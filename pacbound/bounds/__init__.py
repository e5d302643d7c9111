"""Theorems: from (errors, n, bits, delta) to a bound, rounded outward. No torch.

claims holds the records, inversion the three certified inversions, occam and pac_bayes one function per
theorem, table their names, planning the questions asked beforehand. preference is about networks of few examples;
losses, language and subsampled are about means of bounded losses, such as bits a token. arrays has the theorems for
arrays: `pacbound.bounds.NAME` is the theorem of that name, for numbers and for arrays, computed by together and walks
in the arithmetic of doubled.
"""

from collections.abc import Callable


def __getattr__(name: str) -> object:
    """Return a theorem of the table, `picks` or `picks_classical`, for numbers and arrays of any kind."""
    if name.startswith("_"):
        raise AttributeError(name)
    from .arrays import on_arrays
    from .claims import Bound
    from .preference import picks, picks_classical
    from .table import THEOREMS

    theorems: dict[str, Callable[..., Bound]] = {**THEOREMS, "picks": picks, "picks_classical": picks_classical}
    if name not in theorems:
        raise AttributeError(f"module 'pacbound.bounds' has no theorem {name!r}; it has {', '.join(theorems)}")
    return on_arrays(theorems[name])
