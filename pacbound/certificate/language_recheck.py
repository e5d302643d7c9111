"""Check a language model's certificate against itself, without torch; and the ledger that it must have."""

import math

import numpy as np

from ..bits.ledger import Ledger
from ..bits.message import pack, unpack
from ..bounds.language import LOSS_THEOREMS
from ..bounds.losses import LAMBDAS, LossSums
from ..bounds.occam import occam_binomial, test_set
from ..errors import CertificateError, PacboundError
from ..specs.grammar import OWN_NETWORK
from ..specs.language import ALPHAS, CENTRES, CONTEXTS, KAPPAS, STRIDES, AlphabetSpec, PredictionSpec, UnitsSpec
from ..specs.repeats import repeats_sentence
from ..specs.specs import CHECKPOINT_KINDS, HypothesisSpec, SplitSpec
from ..specs.tensors import DirectSpec
from .accounting import FORMAT, TOKENIZER_OF_TEXT, TUNING_OPTIONS
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
from .language import FORMS, LanguageCertificate, OtherAnswers, OtherForm, OtherPredictor, headline
from .language_statement import write_language_statement

TASK = "the text, its alphabet, what the loss is a mean over, and delta were fixed before the text was seen"
POSITIONS = "the text was fixed before its positions were drawn, and the words of a seed are independent draws"
DOCUMENTS = "the documents are independent draws from one source, and the separator tells them apart, says the user"
PAIRS = "the pairs are independent draws from one source, and what ends an answer was fixed before, says the user"
ARCHITECTURE = "the network was fixed before the text was seen, says the user"
CONSTANTS = "the buffers of the network were fixed before the text was seen, says the user"
START = "theta0 was trained from a checkpoint of data disjoint from this text, fixed before it was seen, says the user"
CHARACTER = 3  # bytes that a split may lie before its 64th, since no character is cut in two
CHECKPOINT = "theta0 was trained on data disjoint from this text and fixed before the text was seen, says the user"


def complete_language(
    coded: Ledger, hypothesis: HypothesisSpec, alphabet: AlphabetSpec, prediction: PredictionSpec, units: UnitsSpec
) -> Ledger:
    """Return the ledger of the message followed by the choices and declarations that the certificate rests on."""
    ledger = coded
    if alphabet.occurring is not None:
        ledger = ledger.choice("alphabet", 1 << len(alphabet.declared), "which declared symbols the network predicts")
    ledger = ledger.choice("smoothing", len(ALPHAS), f"alpha, one of {', '.join(f'{a:g}' for a in ALPHAS)}")
    if prediction.kappa is not None:
        kappas = " or ".join(f"{k:g}" for k in KAPPAS)
        ledger = ledger.choice("centre", len(KAPPAS), f"kappa, {kappas}: the centre is kappa times the entropy")
        ledger = ledger.choice(
            "windows", CONTEXTS * STRIDES, "2^3 to 2^12 symbols, and the next starts 1 to 4 quarters on"
        )
    else:
        ledger = ledger.choice("centre", CENTRES, "one centre for all units, a multiple of 1/16 bit below 16")
        ledger = ledger.choice("windows", CONTEXTS, "2^3 to 2^12 symbols")
    if units.seed is not None:
        bits = 2 * (units.seed + 1).bit_length() - 1
        ledger = ledger.choice("seed of the positions", 1 << bits, "a gamma code: which of the draws was looked at")
    ledger = ledger.choice(
        "package defaults",
        TUNING_OPTIONS,
        "a charge by convention: defaults were chosen while looking at tinyshakespeare and WikiText-2",
    )
    ledger = ledger.declare("task", TASK).declare("format", FORMAT)
    if units.statement == "positions":
        ledger = ledger.declare("positions", POSITIONS)
    if units.statement == "documents":
        ledger = ledger.declare("documents", DOCUMENTS)
    if units.statement == "answers":
        ledger = ledger.declare("pairs", PAIRS)
    if units.repeats is not None:
        ledger = ledger.declare("repeats", repeats_sentence(units.repeats))
    if alphabet.kind == "tokenizer":
        ledger = ledger.declare("tokenizer", TOKENIZER_OF_TEXT)
    if hypothesis.model == OWN_NETWORK:
        ledger = ledger.declare("architecture", ARCHITECTURE)
    if hypothesis.base.constants is not None:
        ledger = ledger.declare("constants", CONSTANTS)
    if hypothesis.base.kind in CHECKPOINT_KINDS:
        ledger = ledger.declare("checkpoint", CHECKPOINT)
    if (split := hypothesis.base.split) is not None:
        ledger = ledger.declare(
            "theta0",
            f"theta0 was trained on the first {split.first} bytes of the text, or up to {CHARACTER} fewer, and on "
            "nothing of the rest, by a recipe fixed before the text was seen, says the user",
        )
        if split.start is not None:
            ledger = ledger.declare("start", START)
    return ledger


def recheck_language_arithmetic(certificate: LanguageCertificate) -> tuple[Finding, ...]:
    """Check digest, sums, losses, bound, statement, declarations and other bounds, from the document alone."""
    return run_checks(ARITHMETIC, certificate)


def recheck_language_message(certificate: LanguageCertificate) -> tuple[Finding, ...]:
    """Decode the message, compare it to the hypothesis, and recompute the whole ledger entry by entry."""
    try:
        payload = certificate.payload()
    except CertificateError as cause:
        return (Finding(check="payload", complaint=str(cause)),)
    passed = Finding(check="payload")
    try:
        spec, _, coded = unpack(payload, certificate.hypothesis)
    except PacboundError as cause:
        return (passed, Finding(check="decode", complaint=str(cause)))
    wrong = compare_hypotheses(certificate.hypothesis, spec)
    findings = (passed, Finding(check="decode"), Finding(check="hypothesis", complaint=wrong))
    if wrong is not None:
        return findings
    expected = complete_language(coded, spec, certificate.text.alphabet, certificate.prediction, certificate.units)
    wrong = compare_entries(expected.entries, certificate.entries)
    return (*findings, Finding(check="ledger", complaint=wrong))


def _check_sums(certificate: LanguageCertificate) -> str | None:
    return check_counted(certificate, certificate.message)


def _check_hypothesis(certificate: LanguageCertificate) -> str | None:
    """Only what a union over messages covers: a decoded network, of a theta0 that is fixed before the text."""
    spec = certificate.hypothesis
    if spec.base.kind not in ("seeded", "zero", "split", *CHECKPOINT_KINDS):
        return f"a language model starts from a seed, zeros, a checkpoint or a split, got {spec.base.kind}"
    if spec.base.split is not None and (wrong := _wrong_split(certificate, spec.base.split)) is not None:
        return wrong
    kind = "w = 0" if spec.quantizer is None else spec.quantizer.kind
    if kind not in ("w = 0", "lattice", "profile", "trellis", "codebook", "tensors", "direct"):
        return f"a language model is decoded from symbols, got the quantizer {kind}"
    if isinstance(spec.quantizer, DirectSpec) and spec.quantizer.groups:
        return "the order of the units of a sequence network is paid"
    if spec.preprocess.name != type(spec.preprocess)().name:
        return f"symbols reach a network as they are, got the preprocessing {spec.preprocess.name}"
    return None


def _wrong_split(certificate: LanguageCertificate, split: SplitSpec) -> str | None:
    """Whether the text is the rest of the whole: all bytes after the first, which stand in their order."""
    if certificate.units.statement != "stream" or split.seed:
        return "a split is of the text of a stream, whose beginning trains theta0"
    begin, last = certificate.text.begin, certificate.text.begin + certificate.text.bytes
    if not split.first - CHARACTER <= begin <= split.first or last != split.whole:
        return f"a split leaves bytes {split.first:,} to {split.whole:,}, and the text is {begin:,} to {last:,}"
    return None


def _check_losses(certificate: LanguageCertificate) -> str | None:
    """Whether centre, ceiling and number of the losses are those of the smoothing and of the units."""
    if (distinct := certificate.units.distinct) is not None:
        wrong = _repeated(certificate.losses.n, distinct, certificate.units)
        if wrong is not None:
            return wrong
    return check_sums(
        certificate.losses,
        certificate.prediction,
        certificate.text.alphabet,
        certificate.units,
        certificate.text.symbols,
    )


def _repeated(n: int, distinct: int, units: UnitsSpec) -> str | None:
    if distinct > n:
        return f"there are no more {units.apart} than units, got {distinct:,} and {n:,}"
    return check_repeats(n, distinct, units.repeats, units.apart)


def check_sums(
    sums: LossSums, prediction: PredictionSpec, alphabet: AlphabetSpec, units: UnitsSpec, symbols: int
) -> str | None:
    """Return which sum does not go with smoothing and units, or None."""
    if sums.lambdas != LAMBDAS:
        return "the lambdas are those of the grid that the theorem pays"
    least, ceiling = math.log2(alphabet.size / prediction.smoothing), prediction.ceiling(alphabet.size)
    if sums.ceiling is None or not least <= sums.ceiling <= ceiling + 1e-9 or sums.lowest != 0:
        return f"losses lie between 0 and the ceiling log2(V / alpha), tolerance included, {ceiling:.6f}"
    if sums.ceilings < sums.n * sums.ceiling:
        return "the ceilings add up to their number times the one of them"
    if prediction.constant is not None and sums.centre != prediction.constant:
        return f"the losses have the centre {prediction.constant}, got {sums.centre}"
    expected = {"stream": symbols, "positions": units.count}.get(units.statement)
    if (expected is not None and sums.n != expected) or sums.n > max(symbols, units.count or 0):
        return f"there is one loss for each unit, got {sums.n:,} for {expected or symbols:,}"
    return None


def _check_theorem(certificate: LanguageCertificate) -> str | None:
    theorem, statement = certificate.stated_bound.theorem, certificate.units.statement
    return (
        None
        if theorem == FORMS[statement][0]
        else f"the theorem of a certificate about {statement} is another, got {theorem}"
    )


def _check_bound(certificate: LanguageCertificate) -> str | None:
    stated, bits = certificate.stated_bound, certificate.ledger.bits
    value = headline(certificate.losses, certificate.errors, bits, stated.delta, certificate.units).value
    if stated.value >= value:
        return None
    return f"{stated.theorem} gives {value!r} for these losses and {bits:,} bits; stated is {stated.value!r}"


def _check_statement(certificate: LanguageCertificate) -> str | None:
    stated = certificate.stated_bound
    right = write_language_statement(
        stated.value, stated.delta, certificate.losses.n, certificate.text, certificate.units,
        certificate.hypothesis.base.split,
    )  # fmt: skip
    return None if right == certificate.statement else f"the statement should read {right!r}"


def _check_others(certificate: LanguageCertificate) -> str | None:
    bits, delta = certificate.ledger.bits, certificate.stated_bound.delta
    names = [one.theorem if isinstance(one, OtherForm) else one.name for one in certificate.also]
    if len(set(names)) < len(names):
        return f"each stands once beside the headline, got {', '.join(names)}"
    for other in certificate.also:
        if isinstance(other, OtherForm):
            if other.theorem not in FORMS[certificate.units.statement][1:]:
                return f"{other.theorem} says nothing of {certificate.units.statement}"
            value = LOSS_THEOREMS[other.theorem](certificate.losses, bits, delta).value
            if other.value < value:
                return f"{other.theorem} gives {value!r}; stated is {other.value!r}"
        elif (complaint := _check_beside(certificate, other)) is not None:
            return complaint
    return None


def _check_beside(certificate: LanguageCertificate, other: OtherPredictor | OtherAnswers) -> str | None:
    if isinstance(other, OtherPredictor):
        return _check_predictor(certificate, other)
    return _check_answers(certificate, other)


def _check_answers(certificate: LanguageCertificate, other: OtherAnswers) -> str | None:
    """Whether the errors of theta0, or on held-out pairs, give what is stated."""
    if certificate.units.statement != "answers":
        return f"counts of answers stand beside the certificate of answers, got {other.name}"
    delta, alphabet = certificate.stated_bound.delta, certificate.text.alphabet
    if other.text is not None and other.distinct is not None:
        if other.text.alphabet != alphabet or other.n > other.text.symbols:
            return "the same network reads held-out pairs, of a symbol each at least"
        bits, theorem = 0, test_set
        wrong = _repeated(other.n, other.distinct, certificate.units)
        if wrong is not None:
            return f"{other.name}: {wrong}"
    else:
        bits = theta0_bits(certificate.hypothesis, alphabet, certificate.prediction, certificate.units)
        theorem = occam_binomial
        if other.n != certificate.losses.n:
            return f"{other.name} is counted on {certificate.losses.n:,} pairs, got {other.n:,}"
    if other.bits != bits:
        return f"{other.name} pays {bits:,} bits, got {other.bits:,}"
    value = theorem(other.errors, other.n, bits, delta).value
    return None if other.value >= value else f"{other.name} gives {value!r}; stated is {other.value!r}"


def _check_predictor(certificate: LanguageCertificate, other: OtherPredictor) -> str | None:
    if certificate.units.statement != "stream":
        return f"other predictors stand beside the certificate of a stream, got {other.name}"
    if other.sums is None:
        return None  # counted again where the text is at hand
    text = other.text or certificate.text
    if text.alphabet != certificate.text.alphabet:
        return "the same network reads held-out text"
    bits = (
        0
        if other.text is not None
        else theta0_bits(certificate.hypothesis, text.alphabet, certificate.prediction, certificate.units)
    )
    if other.bits != bits or other.n != other.sums.n:
        return f"{other.name} pays {bits:,} bits for {other.sums.n:,} losses, got {other.bits:,} for {other.n:,}"
    wrong = check_sums(other.sums, certificate.prediction, text.alphabet, certificate.units, text.symbols)
    if wrong is not None:
        return f"{other.name}: {wrong}"
    if other.mean < other.sums.losses / other.sums.n:
        return f"{other.name} has a mean loss of {other.sums.losses / other.sums.n!r}; stated is {other.mean!r}"
    value = LOSS_THEOREMS["stream"](other.sums, bits, certificate.stated_bound.delta).value
    return None if other.value >= value else f"{other.name} gives {value!r}; stated is {other.value!r}"


def theta0_bits(
    hypothesis: HypothesisSpec, alphabet: AlphabetSpec, prediction: PredictionSpec, units: UnitsSpec
) -> int:
    """Return the bits of w = 0 in the same network, under the same choices."""
    start = without_symbols(hypothesis)
    return complete_language(pack(start, np.zeros(0, np.int32))[1], start, alphabet, prediction, units).bits


def without_symbols(hypothesis: HypothesisSpec) -> HypothesisSpec:
    """Return w = 0 in the same network."""
    nothing = {"projector": None, "quantizer": None, "code": None, "layer_scale": False}
    return HypothesisSpec.model_validate({**dict(hypothesis), **nothing})


ARITHMETIC: Checks[LanguageCertificate] = (
    ("digest", check_digest),
    ("sums", _check_sums),
    ("hypothesis", _check_hypothesis),
    ("losses", _check_losses),
    ("theorem", _check_theorem),
    ("bound", _check_bound),
    ("statement", _check_statement),
    ("declarations", check_declarations),
    ("other bounds", _check_others),
)
