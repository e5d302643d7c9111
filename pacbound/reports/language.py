"""What every format prints of a language model's certificate. Reads the certificate and nothing else."""

from ..certificate.language import LanguageCertificate, OtherAnswers, OtherForm, OtherPredictor
from ..certificate.language_recheck import recheck_language_arithmetic
from ..certificate.language_statement import bits_a_byte_up, bits_up, unit_name
from ..certificate.statement import confidence, percent_up, share_up
from .shared import DECODED, INTEGRITY, UNPAID, added_to_theta0, theta0_words, unseen

ABOUT = {
    "stream": "It is about the pasts of this very text: on new text, whose pasts differ, the loss may be larger.",
    "positions": "It is about this corpus: nothing is said of other text.",
    "documents": "It is about the beginnings of new documents from the same source, as long as a window.",
    "answers": (
        "It is about new pairs from the same source: an answer is one sequence of symbols up to its end, another "
        "wording counts as an error, and so does a pair longer than a window."
    ),
}
LEARNS = "an algorithm that goes on learning, not a frozen network"
NAMES = {
    "uniform": ("no network", "log2 of the declared vocabulary"),
    "unigram": ("unigram table", "one coded table of frequencies"),
    "bigram": ("bigram table", "a coded table of frequencies after each symbol"),
    "n-gram": ("adaptive n-gram", LEARNS),
    "theta0": ("theta0", "the network before anything was added to it"),
    "held_out": ("held-out text", "the same network at 0 bits on text that nobody looked at, by the same theorem"),
}
HELD_OUT_PAIRS = ("held-out pairs", "the same network at 0 bits on pairs that nobody looked at, by test_set")


def language_facts(certificate: LanguageCertificate) -> tuple[tuple[str, str], ...]:
    """Return (name, value) of everything that a reader asks about."""
    stated, unit, text = certificate.stated_bound, unit_name(certificate.text), certificate.text
    prediction, spec = certificate.prediction, certificate.hypothesis
    facts = [
        ("bound", f"{bound_words(certificate)} ({stated.theorem}, confidence {confidence(stated.delta)})"),
        ("mean loss", f"{bits_up(certificate.mean)} bits a {unit} on {certificate.losses.n:,} {_units(certificate)}"),
    ]
    if certificate.errors is not None:
        facts.insert(1, ("errors", _wrong(certificate.errors, certificate.losses.n)))
    elif text.alphabet.kind == "tokenizer":
        facts.insert(1, ("bits a byte", f"{bits_a_byte_up(stated.value, text)}, at {text.symbols:,} tokens"))
    facts += [_beside(other, unit, unseen(certificate)) for other in certificate.also]
    every = "" if prediction.stride is None else f", every {prediction.step:,}"
    facts += [
        ("text", f"{text.name}, {text.symbols:,} symbols, {text.bytes:,} bytes, sha256 {text.digest[:16]}"),
        ("alphabet", _alphabet(certificate)),
        ("network", _network(certificate)),
        ("theta0", theta0_words(certificate)),
    ]
    if spec.train is not None:
        facts.append(("trained part", f"{spec.train}, all else is frozen in theta0"))
    facts += [
        ("smoothing", f"alpha {prediction.smoothing:g} over {text.alphabet.size:,} symbols, {prediction.centre_words}"),
        ("windows", f"{prediction.window:,} symbols{every}"),
        ("message", f"{certificate.message.bits:,} bits"),
        *(("note", note) for note in certificate.environment.notes or ()),
        ("digest", certificate.digest),
        ("core digest", certificate.core_digest),
    ]
    return tuple(facts)


def language_warning(certificate: LanguageCertificate) -> str:
    """Return what is wrong with the arithmetic, empty where nothing is."""
    last = recheck_language_arithmetic(certificate)[-1]
    return "" if last.complaint is None else f"This certificate does not stand: {last.check}: {last.complaint}."


def language_not_said(certificate: LanguageCertificate) -> tuple[str, ...]:
    """Return what the certificate is not about."""
    return (ABOUT[certificate.units.statement], DECODED, UNPAID, INTEGRITY)


def bound_words(certificate: LanguageCertificate) -> str:
    """Return the figure of the headline with its unit."""
    value = certificate.stated_bound.value
    if certificate.errors is not None:
        return f"{percent_up(value)} of prompts not answered exactly"
    return f"{bits_up(value)} bits a {unit_name(certificate.text)}"


def _wrong(errors: int, n: int) -> str:
    return f"{errors:,} of {n:,} ({percent_up(share_up(errors, n))})"


def _units(certificate: LanguageCertificate) -> str:
    return {"stream": "symbols", "positions": "drawn positions", "documents": "documents", "answers": "answers"}[
        certificate.units.statement
    ]


def _beside(other: OtherForm | OtherPredictor | OtherAnswers, unit: str, condition: str) -> tuple[str, str]:
    if isinstance(other, OtherForm):
        return f"by {other.theorem}", f"{bits_up(other.value)} bits a {unit}"
    if isinstance(other, OtherAnswers):
        name, what = NAMES["theta0"] if other.text is None else HELD_OUT_PAIRS
        bits = f" at {other.bits:,} bits" if other.bits else ""
        seen = "" if other.text is None else condition
        return name, f"{percent_up(other.value)} (wrong {_wrong(other.errors, other.n)}{bits}): {what}{seen}"
    name, what = NAMES[other.name]
    order = "" if other.order is None else f" of order {other.order}"
    if other.name == "uniform":
        return name, f"{bits_up(other.value)} bits a {unit}: {what}"
    loss = f"mean {bits_up(other.mean)}" + (f" at {other.bits:,} bits" if other.bits else "")
    seen = "" if other.text is None else condition
    return name + order, f"{bits_up(other.value)} bits a {unit} ({loss}): {what}{seen}"


def _alphabet(certificate: LanguageCertificate) -> str:
    alphabet = certificate.text.alphabet
    if alphabet.kind == "tokenizer":
        return f"{alphabet.size:,} tokens, tokenizer sha256 {(alphabet.sha256 or '')[:16]}"
    known = "" if alphabet.occurring is None else f"; the network predicts the {alphabet.predicted} that occur"
    return f"{alphabet.kind}, {alphabet.size} symbols{known}"


def _network(certificate: LanguageCertificate) -> str:
    spec = certificate.hypothesis
    called = certificate.environment.network
    model = f"a checkpoint's, layout {spec.layout_digest[:8]}" if spec.model == "user" else spec.model
    model += "" if called is None else f"; its author calls it {called}"
    if spec.quantizer is not None and spec.quantizer.kind == "direct":
        return f"{model}, all {spec.parameters:,} parameters coded"
    return added_to_theta0(model, certificate)
