"""The theorems by name: one explicit table, read by certificates, the command line and the Python API."""

from collections.abc import Callable

from ..errors import BoundError
from .claims import Bound
from .draw import single_draw
from .occam import occam_binomial, occam_hoeffding, occam_kl, test_set
from .pac_bayes import (
    catoni_fixed,
    catoni_grid,
    mcallester,
    pac_bayes_kl,
    pac_bayes_kl_xi,
    rivasplata_quadratic,
    thiemann_lambda,
    tolstikhin_seldin,
)

Theorem = Callable[[float, int, float, float], Bound]

THEOREMS: dict[str, Theorem] = {
    "occam_binomial": occam_binomial,
    "occam_kl": occam_kl,
    "occam_hoeffding": occam_hoeffding,
    "pac_bayes_kl_xi": pac_bayes_kl_xi,
    "pac_bayes_kl": pac_bayes_kl,
    "catoni_grid": catoni_grid,
    "catoni_fixed": catoni_fixed,
    "thiemann_lambda": thiemann_lambda,
    "rivasplata_quadratic": rivasplata_quadratic,
    "tolstikhin_seldin": tolstikhin_seldin,
    "mcallester": mcallester,
    "single_draw": single_draw,
    "test_set": test_set,
}

COUNTS_ONLY = ("occam_binomial", "test_set")


def theorem(name: str) -> Theorem:
    """Return the theorem of that name. Raises: BoundError that lists the names."""
    if name not in THEOREMS:
        raise BoundError(f"theorem: there is none called {name!r}. There are {', '.join(THEOREMS)}.")
    return THEOREMS[name]


def headline_theorem(loss_counts: bool) -> str:
    """Return the default theorem of a coded network.

    Args: loss_counts: True where the loss of one example is 0 or 1.
    """
    return "occam_binomial" if loss_counts else "occam_kl"


def all_bounds(errors: float, n: int, bits: float, delta: float, loss_counts: bool = True) -> tuple[Bound, ...]:
    """Return every bound of a message that applies, in the order of THEOREMS.

    `single_draw` is about no message; `test_set` applies to no message only; binomial theorems apply to counts only.
    Each bound holds with probability 1 - delta by itself: reporting the smallest is a choice, unless it was named
    beforehand.

    Args: errors: count, or sum of losses in [0, 1]. n: examples. bits: message length. delta: in (0, 1).
        loss_counts: True where the loss of one example is 0 or 1.

    Raises: BoundError outside the ranges.

    >>> [bound.theorem for bound in all_bounds(1, 10, 0, 0.05)][-1]
    'test_set'
    """
    skipped = {"single_draw"} if loss_counts else {"single_draw", *COUNTS_ONLY}
    if bits != 0:
        skipped.add("test_set")
    return tuple(function(errors, n, bits, delta) for name, function in THEOREMS.items() if name not in skipped)
