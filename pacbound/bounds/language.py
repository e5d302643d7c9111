"""Theorems about losses of any bounded scale, such as bits a token: what the mean loss is a mean over differs from one
to the next, and every value comes with the sentence that says it. A token of a stream is not an i.i.d. example.
"""

from collections.abc import Callable

from flint import arb

from ..errors import BoundError
from .balls import log_inverse, nats_of, rounded_up, working
from .inversion import kl_inverse_upper
from .loss_claims import (
    CODED,
    CONSTANTS,
    DOCUMENTS,
    DRAWN_POSITIONS,
    IID_UNITS,
    ONE_CEILING,
    ONE_PASS,
    POSITIONS,
    PREDICTABLE,
    STREAM,
    UNITS,
    LossBound,
    check_range,
    claim_loss,
    rescaled_mean,
)
from .losses import LossSums, quarter_powers

CATONI_RATES = quarter_powers(-40, 23)  # 64 values, paid by ln 64


def stream(sums: LossSums, bits: float, delta: float) -> LossBound:
    """Bound the mean of b_i = E[X_i | past] along one stream, for dependent symbols.

        mean b <= mean[c_i - ln(1 - lambda (X_i - c_i)) / lambda] + (bits ln 2 + ln(J / delta)) / (lambda n)

    for the best of the J lambda of the grid with lambda (M_i - c_i) < 1 everywhere; ln J is paid here. With
    u = lambda (b_i - c_i), E[e^u (1 - lambda (X_i - c_i)) | past] = e^u (1 - u) <= 1, so the product over i is a
    non-negative supermartingale that starts at 1; Ville's inequality, and a union over the code and the grid. Only the
    upper end of the range matters. Where no lambda is allowed the value is the mean ceiling.

    Reference: Ville 1939; the supermartingale is that of betting, Waudby-Smith and Ramdas 2024, "Estimating means of
    bounded random variables by betting", with a bet against a mean that moves.

    Args: sums: of the stream. bits: message and choices (alpha, kappa, alphabet, tokenizer). delta: in (0, 1).

    Raises: BoundError outside the ranges.

    Assumes: centre and ceiling of a position are functions of the predictor and the past; the ceiling covers every
        symbol of the declared vocabulary; each position once, predicted from its past alone.
    Rounds: up; the sums as well.
    """
    reference = "Ville 1939; Waudby-Smith and Ramdas 2024, betting with a moving mean"
    return _betting("stream", sums, bits, delta, STREAM, reference, (ONE_PASS, PREDICTABLE, CODED))


def positions(sums: LossSums, bits: float, delta: float) -> LossBound:
    """Bound the average loss over a frozen corpus from positions drawn of it: `stream` with one centre, one ceiling.

    Without replacement the product is no larger on average: an elementary symmetric mean of positive numbers is
    at most the power of their mean (Maclaurin).

    Reference: as `stream`; Maclaurin 1729.

    Args: sums: of the drawn positions. bits: message and choices. delta: in (0, 1).

    Raises: BoundError outside the ranges, or where centre or ceiling varies.

    Assumes: positions drawn uniformly, with or without replacement; one centre, fixed before or told by the code; one
        ceiling that holds for every position of the corpus, such as log2(V / alpha), never a maximum over those drawn.
    Rounds: up; the sums as well.
    """
    _check_constant("positions", sums)
    reference = "as stream; Maclaurin 1729 for draws without replacement"
    return _betting("positions", sums, bits, delta, POSITIONS, reference, (DRAWN_POSITIONS, CONSTANTS, CODED))


def documents(sums: LossSums, bits: float, delta: float) -> LossBound:
    """Bound the expected loss of a new document, X_i being the mean loss of document i: `stream` with constants.

    Reference: as `stream`.

    Args: sums: of the documents, or of one block of each. bits: message and choices. delta: in (0, 1).

    Raises: BoundError outside the ranges, or where centre or ceiling varies.

    Assumes: i.i.d. documents; one centre and one ceiling for all that there could be, fixed before or told by the code.
    Rounds: up; the sums as well.
    """
    _check_constant("documents", sums)
    return _betting("documents", sums, bits, delta, DOCUMENTS, "as stream", (IID_UNITS, CONSTANTS, CODED))


def stream_catoni(sums: LossSums, bits: float, delta: float) -> LossBound:
    """Bound the same mean as `stream`, on losses rescaled to [0, 1], by Catoni's form for dependent losses.

        mean b <= (1 - exp(-lambda mean X - (bits ln 2 + ln(J / delta)) / n)) / (1 - e^-lambda)

    for the best of J = 64 lambda.

    No centre is needed; with a bad one it may be below `stream`.

    Reference: Catoni 2007, Theorem 1.2.6; the supermartingale by convexity, Jensen for the mean.

    Args: sums: of the stream. bits: message and choices. delta: in (0, 1).

    Raises: BoundError outside the ranges, or where the ceiling varies.

    Assumes: losses between `lowest` and one ceiling for all positions; each position once, predicted from its past.
    Rounds: up, in ball arithmetic.
    """
    width = check_range("stream_catoni", sums, bits, delta, one_ceiling=True)
    with working():
        mean = rescaled_mean(sums, width)
        nats = (nats_of(bits) + arb(len(CATONI_RATES)).log() + log_inverse(delta)) / sums.n
        made = [
            (rounded_up((1 - (-rate * mean - nats).exp()) / (1 - (-arb(rate)).exp())), rate) for rate in CATONI_RATES
        ]
        share, rate = min(made)
        value = sums.lowest + width * arb(share)
        return claim_loss(
            "stream_catoni", value, sums, delta, STREAM, "Catoni 2007", (ONE_PASS, ONE_CEILING, CODED), rate
        )


def stream_hoeffding(sums: LossSums, bits: float, delta: float) -> LossBound:
    """Bound the same mean as `stream` by mean X + (M - lowest) sqrt((bits ln 2 + ln(1 / delta)) / (2n)).

    The published form for tokens, without its subsampling. Never the headline.

    Reference: Lotfi et al. 2024, "Unlocking tokens as data points for generalization bounds on larger language models";
    Azuma 1967.

    Args: sums: of the stream. bits: message and choices. delta: in (0, 1).

    Raises: BoundError outside the ranges, or where the ceiling varies.

    Assumes: losses between `lowest` and one ceiling for all positions; each position once, predicted from its past.
    Rounds: up, in ball arithmetic.
    """
    width = check_range("stream_hoeffding", sums, bits, delta, one_ceiling=True)
    with working():
        value = arb(sums.losses) / sums.n + width * ((nats_of(bits) + log_inverse(delta)) / (2 * sums.n)).sqrt()
        reference = "Lotfi et al. 2024 (tokens as data points); Azuma 1967"
        return claim_loss("stream_hoeffding", value, sums, delta, STREAM, reference, (ONE_PASS, ONE_CEILING, CODED))


def units_kl(sums: LossSums, bits: float, delta: float) -> LossBound:
    """Bound the mean of i.i.d. units by the kl inversion of the losses rescaled to [0, 1].

    Reference: Langford 2005, Theorem 4.1 in relative-entropy form; Hoeffding 1963, Theorem 1.

    Args: sums: of the units. bits: message and choices. delta: in (0, 1).

    Raises: BoundError outside the ranges, or where the ceiling varies.

    Assumes: i.i.d. units, never the tokens of one stream; losses between `lowest` and one ceiling for all.
    Rounds: up; the upper end of the inversion is proved outside by a ball.
    """
    width = check_range("units_kl", sums, bits, delta, one_ceiling=True)
    with working():
        nats = (nats_of(bits) + log_inverse(delta)) / sums.n
        value = sums.lowest + width * arb(kl_inverse_upper(rescaled_mean(sums, width), nats))
        reference = "Langford 2005, Theorem 4.1 in relative-entropy form"
        return claim_loss("units_kl", value, sums, delta, UNITS, reference, (IID_UNITS, ONE_CEILING, CODED))


Form = Callable[[LossSums, float, float], LossBound]

LOSS_THEOREMS: dict[str, Form] = {
    "stream": stream,
    "positions": positions,
    "documents": documents,
    "stream_catoni": stream_catoni,
    "units_kl": units_kl,
    "stream_hoeffding": stream_hoeffding,
}


def loss_bounds(sums: LossSums, bits: float, delta: float) -> tuple[LossBound, ...]:
    """Return every bound whose arithmetic applies to the sums of all units, in the order of LOSS_THEOREMS.

    What the units are decides which of them is true: the others are about draws that did not take place. Each holds
    with probability 1 - delta by itself; the headline is the one named beforehand.

    Raises: BoundError outside the ranges.
    """
    varying = {"positions", "documents"} if sums.centre is None or sums.ceiling is None else set()
    if sums.ceiling is None:
        varying |= {"stream_catoni", "units_kl", "stream_hoeffding"}
    return tuple(form(sums, bits, delta) for name, form in LOSS_THEOREMS.items() if name not in varying)


def _betting(
    name: str, sums: LossSums, bits: float, delta: float, about: str, reference: str, assumes: tuple[str, ...]
) -> LossBound:
    check_range(name, sums, bits, delta)
    with working():
        nats = nats_of(bits) + arb(len(sums.lambdas)).log() + log_inverse(delta)
        made = [
            (rounded_up((arb(total) + nats / arb(rate)) / sums.n), rate)
            for rate, total in sums.log_terms
            if total is not None
        ]
        value, rate = min(made, default=(rounded_up(arb(sums.ceilings) / sums.n), None))
        return claim_loss(name, arb(value), sums, delta, about, reference, assumes, rate)


def _check_constant(name: str, sums: LossSums) -> None:
    if sums.centre is None or sums.ceiling is None:
        raise BoundError(
            f"{name}: has one centre c and one ceiling M for the whole population, but they vary. "
            "Give single numbers; M must hold for units that were not drawn, such as log2(V / alpha)."
        )
