"""Check a certificate about versions of a network against itself, without torch."""

from ..bounds.language import LOSS_THEOREMS
from ..bounds.losses import LAMBDAS, LossSums
from ..specs.language import TOLERANCE_BITS, difference_range
from .checks import Checks, Finding, check_declarations, check_digest, check_repeats, run_checks
from .difference import DifferenceCertificate, difference_ledger
from .difference_statement import write_difference_statement

NOISE = 1e-9  # of a logarithm on another machine


def recheck_difference(certificate: DifferenceCertificate) -> tuple[Finding, ...]:
    """Check digest, ledger, sample, losses, bounds, statement and declarations, from the document alone."""
    return run_checks(CHECKS, certificate)


def _check_ledger(certificate: DifferenceCertificate) -> str | None:
    right = difference_ledger(len(certificate.versions), certificate.text, certificate.data)
    if right.entries == certificate.entries:
        return None
    wanted = ", ".join(f"{entry.item} ({entry.bits} bits)" for entry in right.entries)
    return f"the ledger of {len(certificate.versions)} versions holds {wanted}, each with its reason"


def _check_sample(certificate: DifferenceCertificate) -> str | None:
    data = certificate.data
    return None if data is None else check_repeats(data.n, data.distinct, data.repeats)


def _check_losses(certificate: DifferenceCertificate) -> str | None:
    for row in certificate.versions:
        complaint = check_differences(row.losses, certificate)
        if complaint is not None:
            return f"{row.name}: {complaint}"
    return None


def check_differences(sums: LossSums, certificate: DifferenceCertificate) -> str | None:
    """Return which sum does not go with the range of the differences and the number of units, or None."""
    if sums.lambdas != LAMBDAS:
        return "the lambdas are those of the grid that the theorem pays"
    if sums.centre != 0:
        return f"differences have the centre 0, got {sums.centre}"
    text, prediction, data = certificate.text, certificate.prediction, certificate.data
    if text is not None and prediction is not None:
        n, reach = text.symbols, difference_range(prediction.smoothing, text.alphabet.size)
        most = reach + 3 * TOLERANCE_BITS
    else:
        assert data is not None
        n, reach, most = data.n, 1.0, 1.0
        if sums.ceiling != 1 or sums.ceilings < n:
            return "a difference of two losses in [0, 1] has the ceiling 1"
    if sums.n != n:
        return f"there is one difference for each unit, got {sums.n:,} for {n:,}"
    if abs(sums.lowest + reach) > NOISE or sums.reach > most + NOISE:
        return f"differences lie in an interval of {reach:.6f} on both sides of 0"
    return None


def _check_bounds(certificate: DifferenceCertificate) -> str | None:
    bits = certificate.ledger.bits
    for row in certificate.versions:
        value = LOSS_THEOREMS[certificate.theorem](row.losses, bits, certificate.delta).value
        if row.value < value:
            return f"{certificate.theorem} gives {value!r} for {row.name} at {bits:,} bits; stated is {row.value!r}"
    return None


def _check_statement(certificate: DifferenceCertificate) -> str | None:
    right = write_difference_statement(
        certificate.versions, certificate.delta, certificate.text, certificate.prediction, certificate.data,
        certificate.loss,
    )  # fmt: skip
    return None if right == certificate.statement else f"the statement should read {right!r}"


CHECKS: Checks[DifferenceCertificate] = (
    ("digest", check_digest),
    ("ledger", _check_ledger),
    ("sample", _check_sample),
    ("losses", _check_losses),
    ("bounds", _check_bounds),
    ("statement", _check_statement),
    ("declarations", check_declarations),
)
