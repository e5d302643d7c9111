"""Sample compression in a certificate: which examples were picked, and the recheck of what follows from them. No torch.

k = |T| + the errors outside T is what the theorem charges. That the network is what the learner makes from T, and that
T is what the selection picks, is seen by running it again (level replay), and by nothing else.
"""

from bisect import bisect_right
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from ..bits.picks import decode_indices, encode_indices, index_bits
from ..bounds.preference import picks, picks_classical
from ..errors import PacboundError
from ..records import Record
from ..specs.picks import PicksSpec, sizes
from ..specs.specs import MAX_EXAMPLES
from .canonical import read_base64, write_base64

if TYPE_CHECKING:
    from .schema import Certificate, OtherBound

MAX_INDEX_CHARACTERS = 4_000_000
MAX_ROUNDS = 1 << 10


class RoundRecord(Record):
    """One round of a selection: `wrong` of `asked` examples outside the `picked` ones were misclassified.

    Where these are not all of them, they are the last of the order of picking, so that their share is a fair estimate.
    """

    picked: int = Field(ge=0, le=MAX_EXAMPLES)
    asked: int = Field(ge=0, le=MAX_EXAMPLES)
    wrong: int = Field(ge=0, le=MAX_EXAMPLES)

    def left(self, n: int) -> float:
        """Errors outside T of n examples: counted where all others were asked, else estimated from those that were."""
        return self.wrong * (n - self.picked) / max(1, self.asked)


class PicksPart(Record):
    """The examples T that the learner makes the network from, and how many of the others it misclassifies.

    picked: |T|. errors: outside T, counted like those of `risk`. bits, indices: T in order, which no theorem charges.
    rounds: how the selection went at the sizes of the list, those after the stop included; replay sees those before.
    """

    picked: int = Field(ge=0, le=MAX_EXAMPLES)
    errors: int = Field(ge=0, le=MAX_EXAMPLES)
    bits: int = Field(ge=0, le=1 << 40)
    indices: str = Field(max_length=MAX_INDEX_CHARACTERS)
    rounds: tuple[RoundRecord, ...] = Field(default=(), max_length=MAX_ROUNDS)

    @classmethod
    def of(cls, picked: NDArray[np.int64], errors: int, n: int, rounds: tuple[RoundRecord, ...] = ()) -> "PicksPart":
        """Write down the examples picked, (t,) in order, of n."""
        code = write_base64(encode_indices(picked, n))
        return cls(picked=len(picked), errors=errors, bits=len(picked) * index_bits(n), indices=code, rounds=rounds)

    def order(self, n: int) -> NDArray[np.int64]:
        """Return T, (picked,), in order. Raises: CertificateError, MessageError where it is no list of examples."""
        return decode_indices(read_base64(self.indices, "the picked examples"), self.picked, n)


def recheck_picks(certificate: "Certificate") -> str | None:
    """Return which counts of a sample compression do not go together, or None."""
    part, spec, risk = certificate.picks, certificate.hypothesis.quantizer, certificate.risk
    assert part is not None
    assert isinstance(spec, PicksSpec)
    if risk.loss != "zero_one":
        return f"picks are about errors, and the loss is {risk.loss}"
    if not part.errors <= risk.errors <= part.errors + part.picked:
        return (
            f"{part.errors:,} errors outside {part.picked:,} picks do not go with {risk.errors:,} errors on all "
            f"{risk.n:,} examples"
        )
    listed = sizes(spec.recipe, risk.n)
    if not spec.ended and (spec.stop >= len(listed) or part.picked < listed[spec.stop]):
        return f"{part.picked:,} picks are not the size number {spec.stop} of those that were written down"
    if part.bits != part.picked * index_bits(risk.n):
        return (
            f"{part.picked:,} of {risk.n:,} examples take {part.picked * index_bits(risk.n):,} bits, got {part.bits:,}"
        )
    return _check_rounds(part, risk.n)


def recheck_picks_value(certificate: "Certificate") -> str | None:
    """Return what is wrong with the value of a sample compression, or None; it may be larger, never smaller."""
    part, stated = certificate.picks, certificate.stated_bound
    assert part is not None
    value = picks(part.picked, part.errors, certificate.risk.n, certificate.ledger.bits, stated.delta).value
    if stated.value >= value:
        return None
    return f"picks gives {value!r} for {part.picked:,} picks and {part.errors:,} errors; stated is {stated.value!r}"


def _check_rounds(part: PicksPart, n: int) -> str | None:
    """Whether T grows from round to round, no round speaks of more examples than there are, and one ends with T."""
    sizes_of_rounds = [one.picked for one in part.rounds]
    if sizes_of_rounds != sorted(set(sizes_of_rounds)) or (sizes_of_rounds and part.picked not in sizes_of_rounds):
        return f"the rounds are listed by growing picks, and one of them has the {part.picked:,} of the network"
    if any(not one.wrong <= one.asked <= n - one.picked for one in part.rounds):
        return (
            f"a round asks no more than those of the {n:,} examples that were not picked, and no fewer than are wrong"
        )
    return None


def recheck_order(certificate: "Certificate") -> str | None:
    """Return what is wrong with the list of picked examples, or None."""
    part, spec = certificate.picks, certificate.hypothesis.quantizer
    assert part is not None
    assert isinstance(spec, PicksSpec)
    try:
        part.order(certificate.risk.n)
        certificate.beside()
    except PacboundError as cause:
        return str(cause)
    exact = sizes(spec.recipe, certificate.risk.n)[spec.stop] if not spec.ended else part.picked
    if spec.recipe.order == "priority" and part.picked != exact:
        return f"examples picked by priority are exactly {exact:,} at this stop, got {part.picked:,}"
    return None


def listed_rounds(certificate: "Certificate") -> tuple[bool, ...]:
    """Say of each round whether the selection could have stopped there: at a size of the list, or with none wrong."""
    part, spec = certificate.picks, certificate.hypothesis.quantizer
    assert part is not None
    assert isinstance(spec, PicksSpec)
    listed = sizes(spec.recipe, certificate.risk.n)
    reached = [bisect_right(listed, one.picked) for one in part.rounds]
    before = [0, *reached]
    return tuple(
        now > last or (one.wrong == 0 and one.asked + one.picked == certificate.risk.n)
        for one, now, last in zip(part.rounds, reached, before, strict=False)
    )


def recheck_classical(certificate: "Certificate", other: "OtherBound") -> str | None:
    """Return what is wrong with another bound of the training sample, or None: only `picks_classical` is one."""
    part, total = certificate.picks, certificate.ledger.bits
    assert part is not None
    if other.theorem != "picks_classical" or (other.errors, other.n, other.bits) != (
        part.errors,
        certificate.risk.n,
        total,
    ):
        return f"beside picks stands picks_classical, of the same picks, errors and bits; got {other.theorem}"
    value = picks_classical(part.picked, part.errors, certificate.risk.n, total, other.delta).value
    return None if other.value >= value else f"picks_classical gives {value!r}; stated is {other.value!r}"
