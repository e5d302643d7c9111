"""Check a certificate against itself, without torch: its arithmetic, then its message.

A check is a name and a function that returns a complaint, or None where there is nothing to complain about.
Levels run their checks in order and stop at the first complaint, which is the last finding.
"""

from ..bits.coder import Symbols
from ..bits.ledger import Ledger
from ..bits.message import unpack
from ..bits.units import orbit_saving
from ..bounds.table import COUNTS_ONLY, theorem
from ..errors import CertificateError, PacboundError
from ..specs.specs import DrawSpec, HypothesisSpec
from ..specs.tensors import DirectSpec
from .accounting import ORBIT_ITEM, RATIO_ITEM, Comparison, complete
from .checks import (
    Checks,
    Finding,
    check_counted,
    check_declarations,
    check_digest,
    check_repeats,
    compare_entries,
    compare_hypotheses,
    run_checks,
)
from .composed import recheck_parts
from .draw import Drawn, draw
from .picked import recheck_classical, recheck_order, recheck_picks, recheck_picks_value
from .schema import Baseline, Certificate, OtherBound
from .statement import write_statement
from .sweep import contradiction

# A theorem may stand as the headline of one decoded, deterministic network. occam_binomial (counts) and occam_kl
# (other losses) are the smallest of them for every outcome, so that naming another afterwards gains nothing.
HEADLINE_THEOREMS = ("occam_binomial", "occam_kl", "occam_hoeffding", "catoni_grid", "pac_bayes_kl")
COMPOSED_THEOREMS = ("disagreement",)  # about another network than the decoded one
DRAW_THEOREMS = ("single_draw",)  # a data-dependent Q breaks the others
PICKS_THEOREMS = ("picks",)  # about a learner's network, whatever its weights


class Decoded:
    """What the message holds, decoded: the hypothesis, the symbols of shape (d,) and the counted bits."""

    def __init__(self, spec: HypothesisSpec, symbols: Symbols, coded: Ledger) -> None:
        """Args: as returned by unpack()."""
        self.spec = spec
        self.symbols = symbols
        self.coded = coded


def recheck_arithmetic(certificate: Certificate) -> tuple[Finding, ...]:
    """Check digest, sums, bound, statement, declarations and the other bounds, from the document alone."""
    return run_checks(ARITHMETIC, certificate)


def recheck_message(certificate: Certificate) -> tuple[tuple[Finding, ...], Decoded | None]:
    """Decode the message, compare it to the hypothesis, and recompute the whole ledger entry by entry.

    Returns: the findings, and what was decoded where all of them passed.
    """
    try:
        payload = certificate.payload()
    except CertificateError as cause:
        return (Finding(check="payload", complaint=str(cause)),), None
    passed = Finding(check="payload")
    try:
        decoded = Decoded(*unpack(payload, certificate.hypothesis))
    except PacboundError as cause:
        return (passed, Finding(check="decode", complaint=str(cause))), None
    different = compare_hypotheses(certificate.hypothesis, decoded.spec)
    findings: tuple[Finding, ...] = (passed, Finding(check="decode"), Finding(check="hypothesis", complaint=different))
    if different is not None:
        return findings, None
    ratio_bits, saving_bits = None, None
    if isinstance(decoded.spec.quantizer, DirectSpec):
        try:
            saving_bits = orbit_saving(decoded.spec.quantizer, decoded.symbols)
        except PacboundError as cause:
            return (*findings, Finding(check="order", complaint=str(cause))), None
        findings += (Finding(check="order"),)
    if certificate.picks is not None:
        findings += (Finding(check="picks", complaint=recheck_order(certificate)),)
        if findings[-1].complaint is not None:
            return findings, None
    if _drawn(certificate):
        try:
            ratio_bits = _redraw(certificate).bits
        except PacboundError as cause:
            return (*findings, Finding(check="draw", complaint=str(cause))), None
        findings += (Finding(check="draw"),)
    wrong = _compare_ledger(certificate, decoded, ratio_bits, saving_bits)
    return (*findings, Finding(check="ledger", complaint=wrong)), decoded if wrong is None else None


def _drawn(certificate: Certificate) -> bool:
    return isinstance(certificate.hypothesis.quantizer, DrawSpec)


def _direct(certificate: Certificate) -> bool:
    return isinstance(certificate.hypothesis.quantizer, DirectSpec)


def _redraw(certificate: Certificate) -> Drawn:
    """Draw again what the certificate says was drawn. Raises: CertificateError where its file is not as declared."""
    spec = certificate.hypothesis
    if spec.projector is None or not isinstance(spec.quantizer, DrawSpec):
        raise CertificateError("draw: a draw has a projector and a posterior file, this certificate has not.")
    return draw(certificate.beside(), spec.quantizer, spec.projector.d)


def _check_sums(certificate: Certificate) -> str | None:
    derived = [entry.item for entry in certificate.entries if entry.kind == "derived"]
    known = [RATIO_ITEM] if _drawn(certificate) else [ORBIT_ITEM] if _direct(certificate) else []
    if derived != known:
        return (
            f"a draw has one derived entry, {RATIO_ITEM!r}, a direct code {ORBIT_ITEM!r}, and nothing else has any; "
            f"got {derived}"
        )
    return check_counted(certificate, certificate.message)


def _check_sample(certificate: Certificate) -> str | None:
    split = certificate.hypothesis.base.split
    if split is not None and split.rest != certificate.data.n:
        return f"a split leaves {split.rest:,} of {split.whole:,} examples and the data has {certificate.data.n:,}"
    if certificate.data.n == certificate.risk.n:
        return _check_repeats(certificate)
    return f"errors were counted on {certificate.risk.n:,} examples and the data has {certificate.data.n:,}"


def _check_repeats(certificate: Certificate) -> str | None:
    """Repeats beyond 1 % of any sample need the user's word why."""
    samples = [(certificate.data.n, certificate.data.distinct)]
    samples += [(o.n, o.held_out.distinct) for o in certificate.also if isinstance(o, OtherBound) and o.held_out]
    if certificate.comparison is not None:
        samples.append((certificate.comparison.inputs.m, certificate.comparison.inputs.distinct))
    found = (check_repeats(n, distinct, certificate.data.repeats) for n, distinct in samples)
    return next((complaint for complaint in found if complaint is not None), None)


def _check_theorem(certificate: Certificate) -> str | None:
    name = certificate.stated_bound.theorem
    kind, names = ("drawn", DRAW_THEOREMS) if _drawn(certificate) else ("decoded", HEADLINE_THEOREMS)
    if certificate.picks is not None:
        kind, names = "picked", PICKS_THEOREMS
    if certificate.comparison is not None:
        kind, names = "compared", COMPOSED_THEOREMS
    if name not in names:
        return f"{name} is no headline for a {kind} network; one of {', '.join(names)} is"
    if name in COUNTS_ONLY and not certificate.risk.counts:
        return f"{name} applies to counted errors, and the loss is {certificate.risk.loss}; occam_kl applies"
    return None


def _check_sweep(certificate: Certificate) -> str | None:
    """Of the run that the grid calls this one, what the hypothesis says too is the same."""
    if certificate.sweep is None:
        return None
    if _drawn(certificate) or certificate.comparison is not None:
        return "a draw or a comparison is another look at the data each time it is made, and no run of a grid"
    return contradiction(certificate.sweep, certificate.hypothesis)


def _check_bound(certificate: Certificate) -> str | None:
    stated, risk = certificate.stated_bound, certificate.risk
    if certificate.picks is not None and (complaint := recheck_picks(certificate)) is not None:
        return complaint
    if certificate.comparison is not None:
        return recheck_parts(certificate)
    if certificate.picks is not None:
        return recheck_picks_value(certificate)
    return _compare_value(stated.theorem, stated.value, risk.errors, risk.n, certificate.ledger.bits, stated.delta)


def _compare_value(name: str, value: float, errors: float, n: int, bits: int, delta: float) -> str | None:
    """A stated value may be larger than the theorem's, which is a weaker true statement, never smaller."""
    try:
        recomputed = theorem(name)(errors, n, bits, delta).value
    except PacboundError as cause:
        return str(cause)
    if value >= recomputed:
        return None
    return f"{name} gives {recomputed!r} for {errors} of {n:,}, {bits:,} bits, delta {delta}; stated is {value!r}"


def _check_statement(certificate: Certificate) -> str | None:
    split = certificate.hypothesis.base.split
    expected = write_statement(
        certificate.bound, certificate.risk, certificate.data.classes, split, certificate.comparison,
        None if certificate.picks is None else certificate.picks.picked,
    )  # fmt: skip
    return None if certificate.statement == expected else f"the numbers say {expected!r}"


def _check_others(certificate: Certificate) -> str | None:
    """Each stands once, so that what is counted again is what is shown, and with the confidence of the headline."""
    theorems = [one.theorem if isinstance(one, OtherBound) else one.kind for one in certificate.also]
    kinds = [f"{name} on {one.sample}" for name, one in zip(theorems, certificate.also, strict=True)]
    if len(set(kinds)) < len(kinds):
        return f"each stands once beside the headline, got {', '.join(kinds)}"
    for other in certificate.also:
        complaint = _baseline(certificate, other) if isinstance(other, Baseline) else _other(certificate, other)
        if complaint is not None:
            return complaint
    return None


def _other(certificate: Certificate, other: OtherBound) -> str | None:
    risk, total = certificate.risk, certificate.ledger.bits
    if other.delta != certificate.stated_bound.delta:
        return f"{other.theorem} has the delta of the headline, {certificate.stated_bound.delta!r}, got {other.delta!r}"
    held_out = "test_set" if risk.counts else "occam_kl"
    if other.sample == "test" and other.theorem != held_out:
        return f"held-out examples go with {held_out} and with nothing else, got {other.theorem}"
    if other.sample == "train" and (_drawn(certificate) or other.theorem == "single_draw"):
        return f"single_draw is the one theorem of a draw, and of nothing else; got {other.theorem} on train"
    if other.sample == "train" and certificate.comparison is not None:
        return "the headline is about the original network, and a bound of the training sample about another"
    if other.sample == "train" and certificate.picks is not None:
        return recheck_classical(certificate, other)
    if other.sample == "train" and other.theorem == "test_set":
        return "test_set is about held-out examples, got it on train"
    if other.sample == "train" and (other.errors, other.n, other.bits) != (risk.errors, risk.n, total):
        return f"{other.theorem} is about other errors, examples or bits than the headline"
    if other.theorem in COUNTS_ONLY and not risk.counts:
        return f"{other.theorem} applies to counted errors, and the loss is {risk.loss}"
    return _compare_value(other.theorem, other.value, other.errors, other.n, other.bits, other.delta)


def _baseline(certificate: Certificate, other: Baseline) -> str | None:
    most = other.n - -(-other.n // certificate.data.classes)
    if other.errors <= most and other.n == certificate.data.n:
        return None
    return f"the most frequent of {certificate.data.classes} classes errs on at most {most:,}, got {other.errors:,}"


def _compare_ledger(
    certificate: Certificate, decoded: Decoded, ratio_bits: int | None, saving_bits: int | None
) -> str | None:
    part = certificate.comparison
    methods = 1 if certificate.methods is None else len(certificate.methods)
    compared = None if part is None else Comparison.on(part.inputs, part.looks)
    data = certificate.data
    try:
        expected = complete(
            decoded.coded, decoded.spec, data.name, data.digest, ratio_bits, saving_bits, compared, methods,
            data.like, data.repeats, certificate.sweep,
        ).entries  # fmt: skip
    except PacboundError as cause:
        return str(cause)
    return compare_entries(expected, certificate.entries)


ARITHMETIC: Checks[Certificate] = (
    ("digest", check_digest),
    ("sums", _check_sums),
    ("sample", _check_sample),
    ("theorem", _check_theorem),
    ("sweep", _check_sweep),
    ("bound", _check_bound),
    ("statement", _check_statement),
    ("declarations", check_declarations),
    ("other bounds", _check_others),
)
