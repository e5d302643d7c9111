"""The theorems by name: one explicit table, read by certificates, the command line and the Python API."""

from collections.abc import Callable
from decimal import ROUND_CEILING, Decimal
from typing import TYPE_CHECKING

from ..errors import BoundError
from ..notebook import frame, html_table
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

if TYPE_CHECKING:
    from ..notebook import Frame

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


class BoundTable(tuple[Bound, ...]):
    """Bounds by several theorems of the same errors, examples, bits and delta; each holds by itself."""

    __slots__ = ()

    def frame(self) -> "Frame":
        """Return a line for each bound as a pandas frame. Raises: RequestError where pandas is not installed."""
        return frame(
            {
                "theorem": [one.theorem for one in self],
                "value": [one.value for one in self],
                "delta": [one.delta for one in self],
                "reference": [one.reference for one in self],
            }
        )

    def _repr_html_(self) -> str:
        rows = [(one.theorem, rounded_up(one.value), one.reference) for one in self]
        return html_table(("theorem", "risk at most", "reference"), rows, note=EACH_ALONE)


EACH_ALONE = "Each holds by itself, not all jointly: reporting the smallest is a choice, unless named beforehand."


def rounded_up(value: float) -> str:
    """Print a risk or a mean loss with six decimals, rounded up.

    >>> rounded_up(0.12345601), rounded_up(1.0)
    ('0.123457', '1.000000')
    """
    return str(Decimal(value).quantize(Decimal("0.000001"), ROUND_CEILING))


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


def all_bounds(errors: float, n: int, bits: float, delta: float, loss_counts: bool = True) -> BoundTable:
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
    return BoundTable(function(errors, n, bits, delta) for name, function in THEOREMS.items() if name not in skipped)
