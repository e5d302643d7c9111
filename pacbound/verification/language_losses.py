"""Count the losses of a language model again; part of level risk."""

from pathlib import Path
from typing import TYPE_CHECKING

from ..bounds.losses import LossSums
from ..certificate.language import LanguageCertificate, OtherPredictor, TextRecord
from ..certificate.recheck import Finding
from ..errors import DataError, ModelError, PacboundError, RequestError
from ..specs.grammar import OWN_NETWORK
from ..specs.language import UnitsSpec
from ..specs.specs import CHECKPOINT_KINDS, SplitSpec
from ..threads import one_thread

if TYPE_CHECKING:
    from torch import nn

    from ..data.pairs import Pairs
    from ..data.texts import Text
    from ..networks.hypothesis import Base
    from ..networks.ngrams import Beside

SLACK = 1e-6  # between machines, of a bound in bits a symbol


@one_thread()
def recount_losses(
    certificate: LanguageCertificate, data: object, root: str | Path | None, checkpoint: str | Path | None,
    tokenizer: str | Path | None, test: object,
) -> tuple[tuple[Finding, ...], bool]:  # fmt: skip
    """Rebuild the network and sum up its losses; larger sums than stated do not stand.

    Returns: the findings, and whether held-out text was counted again.
    Raises: DataError, RequestError where the caller's text cannot be read.
    """
    from ..data.pairs import Pairs
    from ..data.texts import check_text_apart
    from ..networks.causality import check_causal, length_asked
    from ..networks.hypothesis import Hypothesis
    from ..networks.ngrams import predictors
    from ..networks.predictions import answers_of, sum_losses, units_of

    text = stated_text(certificate.text, data, root, tokenizer, certificate.units)
    wrong = text_differs(certificate.text, text) or _other_distinct(certificate, text)
    if wrong is None and (split := certificate.hypothesis.base.split) is not None:
        wrong = _other_whole(split, data, root)
    findings: tuple[Finding, ...] = (Finding(check="text", complaint=wrong),)
    if wrong is not None:
        return findings, False
    try:
        base = rebuild_language_base(certificate, checkpoint)
        hypothesis = Hypothesis.unpack(certificate.payload(), certificate.hypothesis, base)
        network = hypothesis.network()
        asked = length_asked(certificate.hypothesis.model, certificate.prediction.window)
        check_causal(network, text.alphabet.predicted, asked)
        units = (
            answers_of(text, certificate.prediction) if isinstance(text, Pairs) else units_of(text, certificate.units)
        )
        sums, _ = sum_losses(network, text, certificate.prediction, units, tolerance=0.0)
    except PacboundError as cause:
        return (*findings, Finding(check="network", complaint=str(cause).rstrip("."))), False
    wrong = smaller(certificate.losses, sums)
    findings = (*findings, Finding(check="network"), Finding(check="losses again", complaint=wrong))
    if wrong is not None:
        return findings, False
    if isinstance(text, Pairs):
        again, held_out = _recount_answers(certificate, base, network, text, test, root, tokenizer)
        return findings + again, held_out
    if certificate.units.statement != "stream":
        return findings, False
    wrong = _others(certificate, predictors(text))
    findings = (*findings, Finding(check="other predictors", complaint=wrong))
    start = next((one for one in certificate.predictors if one.name == "theta0"), None)
    if wrong is None and start is not None and start.sums is not None:
        sums, _ = sum_losses(base.module.eval(), text, certificate.prediction, None, tolerance=0.0)
        wrong = smaller(start.sums, sums)
        findings = (*findings, Finding(check="theta0", complaint=wrong))
    stated = next((one for one in certificate.predictors if one.name == "held_out"), None)
    if wrong is not None or stated is None:
        return findings, False
    assert stated.text is not None
    assert stated.sums is not None
    held = _held_out(stated.text, certificate.units, data if test is None else test, root, tokenizer)
    if held is None:
        return (*findings, *_not_held_out(test)), False
    try:
        for seen in (text, *_before(certificate, data, root, tokenizer)):
            check_text_apart(seen, held)
    except DataError as cause:
        return (*findings, Finding(check="held-out text", complaint=str(cause).rstrip("."))), False
    wrong = smaller(stated.sums, sum_losses(network, held, certificate.prediction, None, tolerance=0.0)[0])
    return (*findings, Finding(check="held-out losses", complaint=wrong)), True


def _recount_answers(
    certificate: LanguageCertificate, base: "Base", network: "nn.Module", pairs: "Pairs", test: object,
    root: str | Path | None, tokenizer: str | Path | None,
) -> tuple[tuple[Finding, ...], bool]:  # fmt: skip
    """Count the answers that the network does not give, that theta0 does not give, and those on held-out pairs."""
    from ..data.pairs import Pairs, check_pairs_apart
    from ..networks.predictions import answers_of, count_wrong

    prediction, findings = certificate.prediction, []
    beside = {one.name: one for one in certificate.beside_answers}
    counts = [("errors", network, certificate.errors or 0)]
    if "theta0" in beside:
        counts.append(("theta0", base.module.eval(), beside["theta0"].errors))
    for check, asked, stated in counts:
        found = count_wrong(asked, pairs, prediction, answers_of(pairs, prediction), progress=False)
        wrong = f"{found:,} answers are not given exactly, the certificate says {stated:,}" if found > stated else None
        findings.append(Finding(check=check, complaint=wrong))
        if wrong is not None:
            return tuple(findings), False
    held = beside.get("held_out")
    if held is None or held.text is None or test is None:
        return tuple(findings), False
    other = _held_out(held.text, certificate.units, test, root, tokenizer)
    if not isinstance(other, Pairs):
        return (*findings, *_not_held_out(test)), False
    try:
        wrong = _other_prompts(held.distinct, other)
        check_pairs_apart(pairs, other, certificate.units.repeats)
        found = count_wrong(network, other, prediction, answers_of(other, prediction), progress=False)
    except PacboundError as cause:
        return (*findings, Finding(check="held-out errors", complaint=str(cause).rstrip("."))), False
    if wrong is None and found > held.errors:
        wrong = f"{found:,} held-out answers are not given exactly, the certificate says {held.errors:,}"
    return (*findings, Finding(check="held-out errors", complaint=wrong)), True


def _not_held_out(test: object) -> tuple[Finding, ...]:
    """Whoever gives a held-out text is told where it is not the one that the certificate names."""
    wrong = "what was given for it is not the held-out text that the certificate names"
    return () if test is None else (Finding(check="held-out text", complaint=wrong),)


def _before(
    certificate: LanguageCertificate, data: object, root: str | Path | None, tokenizer: str | Path | None
) -> "tuple[Text, ...]":
    """What theta0 of a split was trained on: held-out text stands apart from it too."""
    if certificate.hypothesis.base.split is None:
        return ()
    first = certificate.text.model_copy(update={"begin": 0, "bytes": certificate.text.begin})
    return (stated_text(first, data, root, tokenizer),)


def _other_distinct(certificate: LanguageCertificate, text: "Text") -> str | None:
    """Whether there are as many distinct prompts, or beginnings of documents, as stated."""
    from ..data.texts import distinct_beginnings
    from ..networks.predictions import units_of

    units, window = certificate.units, certificate.prediction.window
    spans = units_of(text, units) if units.statement == "documents" else None
    if spans is None:
        return _other_prompts(units.distinct, text)
    found = distinct_beginnings(text, spans.spans, window)
    return None if found == units.distinct else f"there are {found:,} distinct {units.apart}, not {units.distinct}"


def _other_prompts(stated: int | None, text: "Text") -> str | None:
    from ..data.pairs import Pairs

    found = len(set(text.prompts())) if isinstance(text, Pairs) else None
    return None if found == stated else f"there are {found} distinct prompts, the certificate says {stated}"


def rebuild_language_base(certificate: LanguageCertificate, checkpoint: str | Path | None) -> "Base":
    """Return theta0 in the network that the certificate names. Raises: ModelError where what was given is another."""
    from ..models.language import is_whole, load_language_model
    from ..networks.checkpoints import file_digest, rebuild_base, start_base
    from ..networks.hypothesis import Base, make_base, make_zero_base
    from ..networks.trained import train_only

    spec, size = certificate.hypothesis, certificate.text.alphabet.predicted
    origin = spec.base
    if spec.model == OWN_NETWORK and checkpoint is None:
        raise ModelError("verify: the network is a checkpoint's, got none. Give --checkpoint.")
    if spec.model == OWN_NETWORK and not is_whole(str(checkpoint)):
        raise ModelError(
            f"verify: the network is a checkpoint's, a .bin of llama2.c or a folder of transformers, got "
            f"{Path(str(checkpoint)).name}. Give the file that was certified."
        )
    module, _ = load_language_model(checkpoint if spec.model == OWN_NETWORK and checkpoint else spec.model, size)
    module = train_only(module, spec.train)
    buffers = tuple(name for name, _ in module.named_buffers())
    if origin.kind == "zero":
        return make_zero_base(module, buffers)
    if origin.kind == "seeded":
        return make_base(module, origin.seed, buffers)
    if origin.split is not None:
        if checkpoint is not None and file_digest(checkpoint) != origin.split.checkpoint:
            raise ModelError("verify: theta0 was trained from another checkpoint. Give the file that was certified.")
        return start_base(module, certificate.theta0(), origin.model_copy(update={"constants": None}), buffers)
    assert origin.kind in CHECKPOINT_KINDS
    if spec.model != OWN_NETWORK:
        return rebuild_base(module, origin, checkpoint)
    assert checkpoint is not None
    found = file_digest(checkpoint)
    base = make_base(module, None, buffers)
    if (found, base.origin.sha256) != (origin.sha256, origin.values):
        raise ModelError(
            f"verify: theta0 is the checkpoint with SHA-256 {(origin.sha256 or '')[:12]}, got {found[:12]} from "
            f"{Path(checkpoint).name}. Give the file that was certified."
        )
    return Base(base.module, base.layout, origin, base.notes)


def stated_text(
    stated: TextRecord,
    data: object,
    root: str | Path | None,
    tokenizer: str | Path | None,
    units: UnitsSpec = UnitsSpec(),  # noqa: B008  # frozen
) -> "Text":
    """The stated bytes of the caller's text, as the network reads them. Raises: DataError, RequestError."""
    from ..data.pairs import read_pairs
    from ..data.texts import find_text, map_symbols

    if not isinstance(data, (str, Path)):
        raise RequestError(f"verify: a text is a file or a name, got {type(data).__name__}. Give its path.")
    kind = stated.alphabet.kind
    reader = tokenizer if kind == "tokenizer" else None
    found: Text
    if units.statement == "answers":
        found = read_pairs(data, kind, reader, bytes.fromhex(units.separator or ""), root)
    else:
        size = find_text(data, root)[1].stat().st_size
        begin = 0 if size == stated.bytes else stated.begin
        count = stated.bytes if begin + stated.bytes <= size else None
        found = map_symbols(data, kind, reader, root, begin if count else 0, count)
    return found if kind == "tokenizer" else found.over(stated.alphabet)


def _other_whole(split: SplitSpec, data: object, root: str | Path | None) -> str | None:
    """Whether the bytes of which the first trained theta0 are those stated."""
    from ..data.texts import find_text, map_text

    assert isinstance(data, (str, Path))
    size = find_text(data, root)[1].stat().st_size
    if size < split.whole:
        return f"the text of which the first part trained theta0 has {split.whole:,} bytes, got {size:,}"
    found = map_text(data, "bytes", root, 0, split.whole).digest()
    return None if found == split.digest else "the bytes of which the first trained theta0 are others than stated"


def text_differs(stated: TextRecord, text: "Text") -> str | None:
    """Say in what a text is not the one stated, None where it is."""
    if text.alphabet != stated.alphabet:
        return "the tokenizer is another file than the certificate names"
    found = text.digest()
    if (found, text.n, text.bytes_in_all) == (stated.digest, stated.symbols, stated.bytes):
        return None
    return (
        f"the text has SHA-256 {found[:12]}, {text.n:,} symbols and {text.bytes_in_all:,} bytes, the certificate names "
        f"{stated.digest[:12]}, {stated.symbols:,} and {stated.bytes:,}"
    )


def _held_out(
    stated: TextRecord, units: UnitsSpec, data: object, root: str | Path | None, tokenizer: str | Path | None
) -> "Text | None":
    """The held-out text where it is at hand: in the caller's own file, or the one given."""
    try:
        held = stated_text(stated, data, root, tokenizer, units)
    except PacboundError:
        return None
    return held if text_differs(stated, held) is None else None


def smaller(stated: LossSums, found: LossSums) -> str | None:
    """Whether no sum that was counted again, without the tolerance, exceeds the one stated with it."""
    if found.n != stated.n:
        return f"there are {found.n:,} losses, the certificate says {stated.n:,}"
    pairs = [("mean loss", found.losses, stated.losses), ("mean ceiling", found.ceilings, stated.ceilings)]
    for (rate, again), (_, said) in zip(found.log_terms, stated.log_terms, strict=True):
        if said is not None and again is None:
            return "a lambda that the certificate uses is not allowed for these losses"
        if said is not None and again is not None:
            pairs.append((f"log-sum at lambda {rate:.4g}", again, said))
    for name, again, said in pairs:
        if again > said:
            return f"the {name} is {again / found.n:.6f} a symbol, the certificate says {said / found.n:.6f}"
    return None


def _others(certificate: LanguageCertificate, found: "tuple[Beside, ...]") -> str | None:
    delta = certificate.stated_bound.delta
    stated: dict[str, OtherPredictor] = {one.name: one for one in certificate.predictors if one.sums is None}
    if set(stated) != {one.name for one in found}:
        return f"beside this text stand {', '.join(one.name for one in found)}, the certificate has {', '.join(stated)}"
    for one in found:
        said, value = stated[one.name], one.value(delta)
        mean = one.sums.losses / one.sums.n
        near = max(abs(said.value - value), abs(said.mean - mean)) <= SLACK
        if (said.bits, said.order, said.n) != (one.bits, one.order, one.sums.n) or not near:
            return (
                f"the {one.name} has a bound of {value:.6f} and a mean of {mean:.6f} at {one.bits:,} bits, the "
                f"certificate says {said.value:.6f} and {said.mean:.6f}"
            )
    return None
