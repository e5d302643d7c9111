"""Sample compression: a network that a fixed learner makes from a few of the n examples, and from nothing else.

Two theorems about two events. `picks` is the headline wherever the preference property holds; taking the smaller
of the two values after both are known needs delta / 2 for each.
"""

from flint import arb

from ..errors import BoundError
from .balls import IID, check, check_count, claim, rounded_up, working
from .claims import Bound
from .inversion import binomial_tail_inverse, log_binomial, preference_inverse

SIZE_BITS = 6  # of stopping at any of at most 64 sizes of T that were written down before the sample

_PICKED = "deterministic predictor: the one that the learner makes from the picked examples, and from nothing else"
_ZERO_ONE = "loss of one example is 0 or 1"
_PREFERENCE = (
    "preference: taking away an example that was neither picked nor misclassified changes neither picks nor predictor"
)
_SET = "the predictor is a function of the set of picks, or their order is recovered by the selection run on them alone"
_LIST = "the predictor is a function of the ordered picks"


def picks(picked: int, errors: int, n: int, bits: float, delta: float) -> Bound:
    """Bound the risk by the e in (k/n, 1] with n e P[Bin(n, e) = k] = delta 2^-bits P[Bin(n, e) >= k + 1].

    k = picked + errors: the examples that were picked and those among the others that the predictor misclassifies.
    Together they are a compression with the preference property, and a new example that the predictor misclassifies
    would have changed it. It is nearly what a test set of n examples with k errors would give: no ln C(n, k) is lost.

    `bits` pays every choice made after a look at the sample: learner, rate, steps, seed, augmentation, architecture,
    and SIZE_BITS where T stopped at a size from a list of 64; runs that were thrown away are paid by the code
    of the recipe, never by their number. A learner, stop and recipe fixed before the sample cost 0.

    Reference: Campi and Garatti 2023, "Compression, generalization and learning", JMLR 24 (339); Paccagnan, Campi and
    Garatti 2023, "The pick-to-learn algorithm"; this form: Paccagnan et al. 2025 (arXiv 2512.04781).

    Args: picked: |T|. errors: misclassified examples outside T. n: examples, those of T included. bits: of the choices.
        delta: in (0, 1).

    Raises: BoundError outside the ranges, or where picked + errors exceeds n.

    Assumes: i.i.d. examples; loss 0 or 1; a deterministic learner that sees the picked examples alone: no validation
        on the rest and no statistics of the whole sample; examples are picked by an order that depends on the predictor
        and the example, never on its place in the sample; the group size depends on |T| alone.
    Rounds: up; at the value returned the left side is proved to be below the right.

    >>> picks(10, 0, 60000, 0, 0.05).value < 0.000364
    True
    """
    _check_picks("picks", picked, errors, n, bits, delta)
    value = preference_inverse(picked + errors, n, bits, delta)
    reference = "Campi and Garatti 2023; Paccagnan et al. 2025 (arXiv 2512.04781)"
    return claim("picks", value, delta, reference, (IID, _ZERO_ONE, _PICKED, _PREFERENCE))


def picks_classical(picked: int, errors: int, n: int, bits: float, delta: float, ordered: bool = False) -> Bound:
    """Bound the risk by sup { p : P[Bin(n - t, p) <= errors] >= delta 2^-bits / (n C(n, t)) }, t = picked.

    The set of picks costs log2 C(n, t) bits, its size log2 n (t = 0, ..., n - 1 alike; t = n leaves nothing to count
    on and gives 1), and the others are a test set of n - t examples. Any reconstruction will do, and it may be told
    more by a message, whose bits belong to `bits` like those of all choices. An order carries free bits: with 300 of
    2000 picks it can tell the other 1700 coin labels. It costs log2 t! unless the selection run on the picks alone
    recovers it, as pick-to-learn does.

    Reference: Littlestone and Warmuth 1986, "Relating data compression and learnability"; Floyd and Warmuth 1995,
    Theorem 5; Langford 2005, Theorem 3.3 for the test set.

    Args: picked: t. errors: misclassified examples among the n - t others. n: examples, those picked included.
        bits: of side information and choices. delta: in (0, 1). ordered: the order of the picks is used and not
        recovered; pays log2 t!.

    Raises: BoundError outside the ranges, or where picked + errors exceeds n.

    Assumes: i.i.d. examples; loss 0 or 1; the reconstruction, fixed before the sample, sees the picks and the message.
    Rounds: up; the bits of the set as well, and at the value returned the tail is proved to be below the level.

    >>> picks_classical(10, 0, 60000, 0, 0.05).value < 0.00198
    True
    """
    _check_picks("picks_classical", picked, errors, n, bits, delta)
    if picked == n:
        value = 1.0
    else:
        with working():
            nats = log_binomial(n, picked) + arb(n).log()
            if ordered:
                nats += arb(picked + 1).lgamma()
            paid = rounded_up(arb(bits) + nats / arb(2).log())
        value = binomial_tail_inverse(errors, n - picked, paid, delta)
    reference = "Littlestone and Warmuth 1986; Langford 2005, Theorem 3.3"
    return claim("picks_classical", value, delta, reference, (IID, _ZERO_ONE, _PICKED, _LIST if ordered else _SET))


def _check_picks(theorem: str, picked: int, errors: int, n: int, bits: float, delta: float) -> None:
    check(theorem, errors, n, bits, delta)
    check_count(theorem, errors)
    if not isinstance(picked, int) or isinstance(picked, bool) or picked < 0:
        raise BoundError(f"{theorem}: picks counts the picked examples and is an integer >= 0, got {picked!r}.")
    if picked + errors > n:
        raise BoundError(
            f"{theorem}: picks and errors are different examples of the n = {n}, got {picked} and {errors}. "
            "Count the errors outside the picks only, and n with the picks."
        )
