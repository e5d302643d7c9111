"""A mean loss over very many units, of which a few were drawn with replacement and evaluated: the published forms."""

from flint import arb

from ..errors import BoundError
from .balls import check, log_inverse, nats_of, working
from .inversion import kl_inverse_upper
from .language import positions
from .loss_claims import (
    CODED,
    IID_UNITS,
    LATE_DRAW,
    ONE_CEILING,
    SUBSAMPLED,
    LossBound,
    check_range,
    claim_loss,
    rescaled_mean,
)
from .losses import LossSums

CODE_SHARE = 0.1  # of delta, to the code; the rest to the subsample


def subsampled_hoeffding(sums: LossSums, units: int, bits: float, choice_bits: float, delta: float) -> LossBound:
    """Bound the mean over the source of `units` units, of which n were drawn with replacement and evaluated.

        mean X + (M - lowest) { sqrt((bits ln 2 + ln(1/(r delta))) / (2 units))
                                + sqrt((choice_bits ln 2 + ln(1/((1-r) delta))) / (2n)) },   r = n / (n + units)

    The published form. Never the headline.

    Reference: Lotfi et al. 2024, "Non-vacuous generalization bounds for large language models" (ICML 2024).

    Args: sums: of the n drawn units. units: all units that the predictor could depend on. bits: message and choices.
        choice_bits: those of them that looked at the subsample, paid in both terms. delta: in (0, 1).

    Raises: BoundError outside the ranges, or where the ceiling varies.

    Assumes: i.i.d. units (or the tokens of one stream, about its pasts); losses between `lowest` and one ceiling;
        the subsample was drawn with a declared seed when all that `choice_bits` does not pay was fixed.
    Rounds: up, in ball arithmetic.
    """
    width = _check_subsample("subsampled_hoeffding", sums, units, bits, choice_bits, delta)
    with working():
        share = arb(sums.n) / (sums.n + units)
        code = (nats_of(bits) + log_inverse(delta) - share.log()) / (2 * units)
        drawn = (nats_of(choice_bits) + log_inverse(delta) - (1 - share).log()) / (2 * sums.n)
        value = arb(sums.losses) / sums.n + width * (code.sqrt() + drawn.sqrt())
        reference = "Lotfi et al. 2024 (ICML)"
        return claim_loss(
            "subsampled_hoeffding", value, sums, delta, SUBSAMPLED, reference, (ONE_CEILING, LATE_DRAW, CODED)
        )


def subsampled_kl(
    sums: LossSums, units: int, bits: float, choice_bits: float, delta: float, code_share: float = CODE_SHARE
) -> LossBound:
    """Bound the same mean by two kl inversions: from the subsample to all units, and from these to their source.

    Reference: Langford 2005, Theorem 4.1 in relative-entropy form, twice.

    Args: sums, units, bits, choice_bits, delta: as subsampled_hoeffding. code_share: of delta, to the second
        inversion; fixed before the data.

    Raises: BoundError outside the ranges, or where the ceiling varies.

    Assumes: i.i.d. units, never the tokens of one stream; losses between `lowest` and one ceiling; the subsample was
        drawn with a declared seed when all that `choice_bits` does not pay was fixed.
    Rounds: up; both upper ends are proved outside by balls.
    """
    width = _check_subsample("subsampled_kl", sums, units, bits, choice_bits, delta)
    if not 0 < code_share < 1:
        raise BoundError(f"subsampled_kl: code_share is a share of delta in (0, 1), got {code_share!r}. 0.1 will do.")
    with working():
        drawn = (nats_of(choice_bits) + log_inverse(delta) - (1 - arb(code_share)).log()) / sums.n
        code = (nats_of(bits) + log_inverse(delta) - arb(code_share).log()) / units
        all_units = kl_inverse_upper(rescaled_mean(sums, width), drawn)
        value = sums.lowest + width * arb(kl_inverse_upper(all_units, code))
        reference = "Langford 2005, Theorem 4.1 in relative-entropy form, twice"
        assumes = (IID_UNITS, ONE_CEILING, LATE_DRAW, CODED)
        return claim_loss("subsampled_kl", value, sums, delta, SUBSAMPLED, reference, assumes)


def subsampled_bounds(
    sums: LossSums, units: int, bits: float, choice_bits: float, delta: float
) -> tuple[LossBound, ...]:
    """Return the bounds from units drawn with replacement out of `units`: `positions` where it applies, about all of
    them, and the two subsampled forms, about their source.

    Raises: BoundError outside the ranges, or where the ceiling varies.
    """
    frozen = () if sums.centre is None else (positions(sums, bits, delta),)
    both = (subsampled_kl, subsampled_hoeffding)
    return (*frozen, *(form(sums, units, bits, choice_bits, delta) for form in both))


def _check_subsample(name: str, sums: LossSums, units: int, bits: float, choice_bits: float, delta: float) -> arb:
    width = check_range(name, sums, bits, delta, one_ceiling=True)
    check(name, 0, units, choice_bits, delta)
    if choice_bits > bits:
        raise BoundError(
            f"{name}: the choices that looked at the subsample stand in the ledger of {bits} bits, got "
            f"choice_bits = {choice_bits}. Take both from one ledger."
        )
    return width
