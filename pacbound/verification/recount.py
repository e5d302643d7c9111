"""Rebuild the network that a certificate names and count its errors again; part of levels risk and replay."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..bounds.claims import RiskEstimate
from ..certificate.recheck import Finding
from ..certificate.schema import Certificate, OtherBound
from ..errors import ModelError, PacboundError, RequestError
from ..request.reading import Reading
from ..specs.head import HeadSpec
from ..specs.picks import PicksSpec
from ..specs.specs import DrawSpec, HypothesisSpec, PreprocessSpec
from ..specs.tensors import DirectSpec
from ..threads import one_thread
from .samples import check_held_out, check_inputs

if TYPE_CHECKING:
    from torch import Tensor, nn

    from ..data.examples import Examples
    from ..data.inputs import Inputs
    from ..networks.hypothesis import Base, Hypothesis
    from ..networks.original import Original
    from ..networks.risk import LossFunction

EMBEDDED_DATA = ("digits",)  # sets that this package carries, loaded without being asked for
AS_IT_SAYS = Reading()
KNOWN_FRACTIONAL = "error_probability"  # of the losses that this package counts itself, the one that is no count


@dataclass(frozen=True)
class Given:
    """What the caller brings for counting errors again."""

    data: object
    model: object
    checkpoint: str | Path | None
    rename: tuple[str, ...]
    data_dir: str | Path | None
    loss: "str | LossFunction | None"
    unlabelled: object
    test: object
    key: str | None
    tokenizer: str | Path | None
    surrogate: object
    surrogate_checkpoint: str | Path | None
    standardise: str | Path | None
    reading: Reading


def load_sample(
    certificate: Certificate, data: object, data_dir: str | Path | None, reading: Reading = AS_IT_SAYS
) -> "Examples":
    """Return the sample that the caller brings, or the embedded one that the certificate is about."""
    from ..data.registry import load_any, reading_for

    embedded = (name for name in EMBEDDED_DATA if name == certificate.data.name)
    data = next(embedded) if data is None else data
    found = load_any(data, data_dir, reading=reading_for(data, reading))
    if found.classes >= certificate.data.classes:
        return found
    more = reading_for(data, reading, certificate.data.classes)  # its author declared some that do not occur
    return load_any(data, data_dir, reading=more)


@one_thread()
def recount_errors(
    certificate: Certificate, examples: "Examples", given: Given
) -> tuple[tuple[Finding, ...], RiskEstimate | None, "Hypothesis | None"]:
    """Rebuild the network from the message and count its errors; fewer than certified stand, more do not."""
    from ..models.others import failures
    from ..networks.hypothesis import Hypothesis
    from ..networks.rebuilt import check_promise
    from ..networks.risk import evaluate, evaluate_apart

    stated, part, outside = certificate.risk, certificate.picks, 0
    try:
        base = rebuild(certificate, examples, given)
        with failures("verify"):
            check_promise(base, examples, certificate.hypothesis.preprocess)
        has_file = isinstance(certificate.hypothesis.quantizer, DrawSpec | PicksSpec)
        beside = certificate.beside() if has_file else None
        if isinstance(certificate.hypothesis.quantizer, DirectSpec):
            complaint = _compare_units(certificate.hypothesis, base, examples)
            if complaint is not None:
                return (Finding(check="units", complaint=complaint),), None, None
        hypothesis = Hypothesis.unpack(certificate.payload(), certificate.hypothesis, base, beside)
        with failures("verify"):
            if part is None:
                recount = evaluate(hypothesis, examples, _loss(stated, given))
            else:
                recount, outside = evaluate_apart(hypothesis, examples, part.order(examples.n))
    except PacboundError as cause:
        return (Finding(check="network", complaint=str(cause).rstrip(".")),), None, None
    more = f"the decoded network makes {recount.errors:,} errors, the certificate says {stated.errors:,}"
    complaint = more if recount.errors > stated.errors else None
    if part is not None and complaint is None and outside > part.errors:
        complaint = f"the network makes {outside:,} errors outside the picks, the certificate says {part.errors:,}"
    return (Finding(check="network"), Finding(check="errors", complaint=complaint)), recount, hypothesis


def rebuild(certificate: Certificate, examples: "Examples", given: Given) -> "Base":
    """Return theta0 in the network that the certificate names. Raises: ModelError where what was given is another."""
    from ..networks.checkpoints import rebuild_base
    from ..networks.trained import train_only

    origin, stated = certificate.hypothesis.base, certificate.hypothesis.model
    theta0 = None if origin.split is None else certificate.theta0()
    if certificate.comparison is not None:  # model, checkpoint, rename and key are those of the original
        _check_start(given)
        given = replace(given, model=given.surrogate, checkpoint=given.surrogate_checkpoint, rename=(), key=None)
    preprocess = certificate.hypothesis.preprocess
    built = build_network(stated, given.model, examples, certificate.data.classes, preprocess)
    built = train_only(built, certificate.hypothesis.train)
    if origin.head is not None and origin.head.named and given.checkpoint is not None:
        _check_names(origin.head, given.checkpoint, examples)
    return rebuild_base(built, origin, given.checkpoint, given.rename, theta0, given.key)


def _check_start(given: Given) -> None:
    """Refuse a surrogate that starts from the original, whatever form that was saved in. Raises: ModelError."""
    from ..networks.checkpoints import contents_digest

    original, start = given.checkpoint, given.surrogate_checkpoint
    if original is None or start is None:
        return
    if contents_digest(start) == contents_digest(original, given.key):
        raise ModelError("surrogate: theta0 has the numbers of the original, which may have seen the sample")


def _check_names(head: HeadSpec, checkpoint: str | Path, examples: "Examples") -> None:
    """Refuse rows of a head that are not those of the rule, whose code is free. Raises: ModelError."""
    from ..data.class_names import names_of
    from ..models.own_head import by_names, names_in

    if by_names(names_in(checkpoint), names_of(examples)) != head:
        raise ModelError(
            "head: the rows of the checkpoint that belong to the classes by their names are other ones than the "
            "certificate says, at no bits. Give the data with the names of its classes, as they were certified."
        )


def _compare_units(spec: HypothesisSpec, base: "Base", examples: "Examples") -> str | None:
    """Whether the groups of units are those of this network, in the order in which they are always taken."""
    from ..data.preprocess import preprocessed
    from ..models.units import unit_groups

    assert isinstance(spec.quantizer, DirectSpec)
    found = unit_groups(base.module, base.layout, preprocessed(examples.x[:2], spec.preprocess))
    stated = tuple(group.model_copy(update={"kept": group.size}) for group in spec.quantizer.groups)
    if found == stated:
        return None
    return f"the network has {len(found)} groups of units that may change places, the certificate others"


def known_loss(stated: RiskEstimate) -> bool:
    """Whether this package knows the loss by its name; whoever names it is not asked what it is."""
    return stated.counts or stated.loss == KNOWN_FRACTIONAL


def _loss(stated: RiskEstimate, given: Given) -> "str | LossFunction":
    """The loss of that name, or the caller's where it is none that this package knows."""
    return stated.loss if known_loss(stated) or given.loss is None else given.loss


def build_network(
    stated: str, model: object, examples: "Examples", classes: int, preprocess: PreprocessSpec
) -> "nn.Module":
    """Return the caller's network, as a map to logits, or the one that the stated name describes."""
    from torch import nn

    from ..data.preprocess import shape_after
    from ..models.loading import network_for
    from ..models.reference import build

    if model is None:  # never an import: its name is a description or "user"
        return build(stated, shape_after(examples.x, preprocess), classes)
    if not isinstance(model, nn.Module | str):
        raise RequestError(f"verify: model is an nn.Module or a name, got {type(model).__name__}.")
    return network_for(model, examples.x, preprocess, classes)[0]


@one_thread()
def recheck_comparison(
    certificate: Certificate, hypothesis: "Hypothesis", examples: "Examples", given: Given
) -> "tuple[tuple[Finding, ...], Original | None, Inputs]":
    """Whether the inputs are those named, none is in the sample, and the networks differ on no more than stated.

    examples: the whole sample, the part that theta0 of a split was trained on too.
    Returns: the findings, the original network where nothing is wrong, and the inputs.
    """
    from ..data.inputs import overlap
    from ..data.registry import load_inputs
    from ..models.others import failures
    from ..networks.original import check_answers, count_differing, load_original

    part = certificate.comparison
    assert part is not None
    inputs = load_inputs(given.unlabelled, given.data_dir, reading=given.reading)
    complaint = check_inputs(part.inputs, inputs)
    if complaint is not None:
        return (Finding(check="inputs", complaint=complaint),), None, inputs
    common = overlap(examples.x, inputs.x)
    both = f"{common:,} of the unlabelled inputs stand in the labelled sample"
    findings = (Finding(check="inputs"), Finding(check="overlap", complaint=both if common else None))
    if common:
        return findings, None, inputs
    stated = part.original
    module = build_network(stated.model, given.model, examples, examples.classes, stated.preprocess)
    try:
        assert given.checkpoint is not None
        original = load_original(
            module, part.original.model, given.checkpoint, given.rename, part.original.preprocess, given.key
        )
        if original.record.values != part.original.values:
            complaint = (
                f"the original has values with SHA-256 {part.original.values[:12]}, got {original.record.values[:12]}; "
                "give the rules (--rename), the key (--key) and the network that were certified"
            )
            return (*findings, Finding(check="original", complaint=complaint)), None, inputs
        with failures("verify"):
            check_answers(original, inputs.x, examples.classes)
            differing = count_differing(hypothesis, original, inputs)
    except PacboundError as cause:
        return (*findings, Finding(check="original", complaint=str(cause).rstrip("."))), None, inputs
    more = f"both networks differ on {differing:,} inputs, the certificate says {part.differing:,}"
    complaint = more if differing > part.differing else None
    found = (*findings, Finding(check="original"), Finding(check="disagreement", complaint=complaint))
    return found, original if complaint is None else None, inputs


@one_thread()
def recheck_held_out(
    certificate: Certificate, network: "Hypothesis | Original", seen: "Sequence[tuple[str, Tensor]]", given: Given
) -> tuple[tuple[Finding, ...], RiskEstimate | None]:
    """Count the errors of the network that the headline is about on the held-out examples, where these are at hand.

    seen: what these stand apart from, inputs (m, ...) with their name.
    """
    from ..networks.original import Original, count_errors
    from ..networks.risk import evaluate

    stated = certificate.held_out
    examples = None if stated is None else _held_out_examples(certificate, stated, given)
    if stated is None or examples is None:
        return (), None
    apart = check_held_out(stated, examples, seen)
    if apart.complaint is not None:
        return (apart,), None
    try:
        if isinstance(network, Original):
            recount = count_errors(network, examples)
        else:
            recount = evaluate(network, examples, _loss(certificate.risk, given))
    except PacboundError as cause:
        return (apart, Finding(check="held-out errors", complaint=str(cause).rstrip("."))), None
    more = f"the network makes {recount.errors:,} errors on them, the certificate says {stated.errors:,}"
    counted = Finding(check="held-out errors", complaint=more if recount.errors > stated.errors else None)
    return (apart, counted), recount


def _held_out_examples(certificate: Certificate, stated: OtherBound, given: Given) -> "Examples | None":
    """Those given, else the test part of an embedded data set where these are meant; None where there are none."""
    from ..data.registry import load, load_held_out

    assert stated.held_out is not None
    if given.test is not None:
        data = certificate.data
        return load_held_out(given.test, data.classes, given.data_dir, given.reading, data.labels or ())
    for name in EMBEDDED_DATA:
        if name == stated.held_out.name and (examples := load(name, split="test")).digest() == stated.held_out.digest:
            return examples
    return None
