"""The single-draw bound: about ONE network, drawn from a posterior Q chosen on the sample."""

from flint import arb

from .balls import DRAWN, IID, UNIT_LOSS, check, claim, empirical_risk, log_inverse, nats_of, working
from .claims import Bound
from .inversion import kl_inverse_upper

_ASSUMES = (IID, UNIT_LOSS, DRAWN)


def single_draw(errors: float, n: int, bits: float, delta: float) -> Bound:
    """Bound the risk of h ~ Q by sup { p : kl(r || p) <= (ln dQ/dP(h) + ln(2 sqrt(n) / delta)) / n }, r = errors/n.

    With probability 1 - delta over the sample and the draw. The log density ratio is taken at h and may be negative;
    a negative right-hand side is replaced by 0. The j-th draw ever evaluated has delta / (j (j + 1)), which sums to
    delta: its log2(j (j + 1)) belongs to `bits`. It must never take the place of a message's bits in an Occam bound,
    whose p-values do not survive a Q that depends on the sample.

    Reference: Rivasplata, Kuzborskij, Szepesvari and Shawe-Taylor 2020, "PAC-Bayes analysis beyond the usual bounds"
    (arXiv 2006.13057), Theorem 1, with Maurer 2004, Theorem 5.

    Args: errors: count or sum of losses of h. n: examples. bits: ln dQ/dP(h) / ln 2 and what choices cost.
        delta: in (0, 1).

    Raises: BoundError outside the ranges.

    Assumes: i.i.d. examples; loss in [0, 1]; the prior was fixed before the sample; the noise of the draw is
        independent of the sample and of Q.
    Rounds: up; the upper end of the inversion is proved outside by a ball.
    """
    check("single_draw", errors, n, bits, delta, signed=True)
    with working():
        nats = nats_of(bits) + (2 * arb(n).sqrt()).log() + log_inverse(delta)
        value = kl_inverse_upper(empirical_risk(errors, n), nats.max(0) / n)
        return claim("single_draw", value, delta, "Rivasplata et al. 2020, Theorem 1; Maurer 2004", _ASSUMES)
