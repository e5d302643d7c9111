"""Level replay: run the selection of a sample compression again, and see whether it makes the same network.

A certificate of picks stands in full only where the same T and the same network come out, bit for bit. Where they do
not, nothing is refuted: another machine rounds otherwise. What this machine makes has a bound of its own, which says
nothing about the network in the file.
"""

from typing import TYPE_CHECKING

import numpy as np

from ..bounds.preference import picks
from ..certificate.recheck import Finding
from ..records import Record
from ..specs.picks import PicksSpec

if TYPE_CHECKING:
    from ..certificate.schema import Certificate
    from ..data.examples import Examples
    from .recount import Given


class Replay(Record):
    """What came of running a selection again, here.

    reproduced: the same T in order and the same network, bit for bit. picked, errors, value: of the network made here,
    |T|, errors outside it, and its own bound.
    """

    reproduced: bool
    picked: int
    errors: int
    value: float


def replay(certificate: "Certificate", examples: "Examples", given: "Given") -> tuple[Replay, Finding]:
    """Run a selection again up to its stop, on the sample and from the theta0 that were found to be those named.

    Returns: what came of it, and whether the rounds were those stated, which is asked where it was reproduced.
    Raises: PacboundError where it cannot run here.
    """
    from ..models.others import failures
    from ..picking.selection import Selection
    from .recount import rebuild

    spec, part = certificate.hypothesis, certificate.picks
    assert isinstance(spec.quantizer, PicksSpec)
    assert part is not None
    bits, delta = certificate.ledger.bits, certificate.stated_bound.delta

    def bound(picked: int, errors: int) -> float:
        return picks(picked, errors, examples.n, bits, delta).value

    with failures("verify"):
        base = rebuild(certificate, examples, given)
        selection = Selection(base.module, examples, spec.preprocess, spec.quantizer.recipe)
        rounds = list(selection.rounds(spec.quantizer.stop, bound=bound))
        last = rounds[-1]
        errors = selection.wrong_outside(last)
    same_picks = np.array_equal(last.picked, part.order(examples.n))
    reproduced = same_picks and selection.file_of(last) == certificate.beside()
    made = tuple(one.record for one in rounds if one.stop is not None)
    others = f"the {len(made):,} rounds up to the stop at which it may stop are others than those stated"
    different = reproduced and part.rounds != () and part.rounds[: len(made)] != made
    value = bound(len(last.picked), errors)
    outcome = Replay(reproduced=reproduced, picked=len(last.picked), errors=errors, value=value)
    return outcome, Finding(check="rounds", complaint=others if different else None)
