"""The sentence that a certificate states, built from its numbers; every printed figure errs on the safe side."""

from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal, localcontext

from ..bounds.claims import Bound, RiskEstimate
from ..specs.specs import SplitSpec
from .parts import DisagreementPart

PERCENT_STEP = Decimal("0.01")
RATE_STEP = Decimal("0.0001")
CONFIDENCE_STEP = Decimal("0.000001")
EXACT = Context(prec=2000)  # of every float and its hundredfold


def stepped_up(number: Decimal, step: Decimal) -> Decimal:
    """Round up to a multiple of a step, however large the number and however small what lies above the multiple."""
    return number.quantize(step, ROUND_CEILING, EXACT)


def percent_up(risk: float | Decimal) -> str:
    """Print a number in [0, 1] as a percentage, rounded up to two decimals.

    >>> percent_up(0.09571), percent_up(1.0), percent_up(0.0)
    ('9.58 %', '100 %', '0 %')
    """
    return f"{_plain(stepped_up(Decimal(risk).scaleb(2, EXACT), PERCENT_STEP))} %"


def rate_up(risk: float | Decimal) -> str:
    """Print a number in [0, 1], rounded up to four decimals.

    >>> rate_up(0.09571)
    '0.0958'
    """
    return str(stepped_up(Decimal(risk), RATE_STEP))


def share_up(errors: float, n: int) -> Decimal:
    """Return errors / n, rounded up in its last of 28 digits: 100 of 10,000 is 1 %, where a float may print 1.01 %.

    >>> percent_up(share_up(100, 10_000))
    '1 %'
    """
    return Context(rounding=ROUND_CEILING).divide(Decimal(errors), Decimal(n))


def confidence(delta: float) -> str:
    """Print 1 - delta as a percentage, rounded down.

    >>> confidence(0.05), confidence(0.001), confidence(1e-30)
    ('95 %', '99.9 %', '99.999999 %')
    """
    with localcontext(EXACT):
        left = 100 * (1 - Decimal(repr(delta)))  # the decimal that was asked for, not its binary neighbour
    return f"{_plain(left.quantize(CONFIDENCE_STEP, ROUND_FLOOR))} %"


def guessing_risk(loss: str, classes: int) -> float:
    """Risk of a guess: 1 - 1/classes, 1 - k/classes for a top_<k> loss, 1 where the loss is the user's own."""
    if loss in ("zero_one", "error_probability"):
        return 1 - 1 / classes
    if loss.startswith("top_"):
        return max(0.0, 1 - int(loss.removeprefix("top_")) / classes)
    return 1.0


def vacuous(bound: Bound, loss: str, classes: int) -> bool:
    """Whether a guess would do as well as what the bound promises."""
    return bound.value >= guessing_risk(loss, classes)


def describe_loss(loss: str) -> str:
    """Name a loss in words."""
    if loss == "zero_one":
        return "error"
    if loss.startswith("top_"):
        return f"top-{loss.removeprefix('top_')} error"
    return f"mean {loss} loss"


def write_statement(
    bound: Bound,
    risk: RiskEstimate,
    classes: int,
    split: SplitSpec | None = None,
    compared: DisagreementPart | None = None,
    picked: int | None = None,
) -> str:
    """Return the statement in words; verification writes it again and compares.

    split: where theta0 saw examples. compared: of the original network with the decoded one, where the bound is about
    the original. picked: how many examples a fixed learner makes the network from, where it does.
    """
    drawn = bound.theorem == "single_draw"
    both, network = (" and of the network", "drawn network") if drawn else ("", "decoded network")
    if picked is not None:
        network = f"network that a fixed learner makes from {picked:,} picked ones of them"
    if compared is not None:
        both = f" and of m = {compared.inputs.m:,} unlabelled inputs"
        network = f"original network, whose file has SHA-256 {compared.original.sha256},"
    figure = percent_up(bound.value) if risk.counts else rate_up(bound.value)
    apart = "" if split is None else f", apart from {split.first:,} others that theta0 was trained on"
    sentence = (
        f"With probability at least {confidence(bound.delta)} over the draw of n = {risk.n:,} training examples{both}"
        f"{apart}, "
        f"the {describe_loss(risk.loss)} of the {network} on new data from the same source is at most {figure}."
    )
    if vacuous(bound, risk.loss, classes):
        return f"{sentence} This is vacuous: no better than guessing."
    return sentence


def _plain(figure: Decimal) -> str:
    """Print without trailing zeros and without an exponent."""
    text = f"{figure:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
