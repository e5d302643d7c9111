"""Recheck a certificate: its arithmetic, its message, and the errors of the network it decodes to.

Nothing that a certificate names is imported or opened: data and model come from the caller, described networks from
the builder of their grammar, the embedded digits from a table, a sidecar by bare name from the certificate's folder.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import computed_field

from ..bounds.claims import RiskEstimate
from ..certificate.recheck import Finding, recheck_arithmetic, recheck_message
from ..certificate.schema import Certificate, OtherBound
from ..errors import CertificateError, PacboundError, RequestError, VerificationError
from ..notebook import frame, html_table
from ..records import Record
from ..specs.grammar import OWN_NETWORK
from ..specs.specs import CHECKPOINT_KINDS, DrawSpec, HypothesisSpec
from ..specs.tensors import DirectSpec
from .samples import check_data, check_held_out, check_inputs, check_sample, parts_of_split, stated_held_out

if TYPE_CHECKING:
    from torch import Tensor, nn

    from ..data.examples import Examples
    from ..data.inputs import Inputs
    from ..networks.hypothesis import Base, Hypothesis
    from ..networks.original import Original
    from ..networks.risk import LossFunction
    from ..notebook import Frame

Level = Literal["arithmetic", "message", "risk"]
EMBEDDED_DATA = ("digits",)  # sets that this package carries, loaded without being asked for
KNOWN_FRACTIONAL = "error_probability"  # of the losses that this package counts itself, the one that is no count


class Verification(Record):
    """What was checked, up to which level, and what was not.

    name: of the file, or of the data where a record was checked. failed, reason: the first check that failed, and
    why. distinct: how many distinct inputs the sample was seen to have, recount: the errors counted again, at level
    risk. held_out: the errors on held-out examples counted again, where these were at hand.
    """

    name: str
    level: Level
    passed: tuple[str, ...]
    failed: str | None = None
    reason: str | None = None
    unchecked: tuple[str, ...] = ()
    statement: str = ""
    distinct: int | None = None
    recount: RiskEstimate | None = None
    held_out: RiskEstimate | None = None

    @computed_field  # type: ignore[prop-decorator]
    @property
    def stands(self) -> bool:
        """Whether every check of this level passed."""
        return self.failed is None

    def require(self) -> "Verification":
        """Return itself where the certificate stands. Raises: VerificationError that names the check."""
        if self.failed is not None:
            raise VerificationError(f"{self.name}: check {self.failed!r} failed: {self.reason}.")
        return self

    @property
    def rows(self) -> tuple[tuple[str, str], ...]:
        """Check -> what came of it, in order; then what was not checked."""
        failed = () if self.failed is None else ((self.failed, f"FAILED: {self.reason}"),)
        return (
            *((check, "passed") for check in self.passed),
            *failed,
            *((sentence, "not checked") for sentence in self.unchecked),
        )

    def frame(self) -> "Frame":
        """Return `rows` as a pandas frame. Raises: RequestError where pandas is not installed."""
        checks, outcomes = zip(*self.rows, strict=True)
        return frame({"check": checks, "outcome": outcomes})

    def _repr_html_(self) -> str:
        verdict = "stands" if self.stands else "DOES NOT STAND"
        caption = f"{self.name} {verdict}, at level {self.level}"
        return html_table(("check", "outcome"), self.rows, caption, self.statement)


def verify(
    certificate: Certificate | str | Path,
    data: object = None,
    model: object = None,
    level: Level | None = None,
    data_dir: str | Path | None = None,
    checkpoint: str | Path | None = None,
    rename: Sequence[str] = (),
    loss: "str | LossFunction | None" = None,
    unlabelled: object = None,
    test: object = None,
    key: str | None = None,
) -> Verification:
    """Check a certificate and say what was not checked.

    arithmetic: schema, digest, sums, bound, statement, from the document alone. message: the payload decodes to the
    hypothesis and to the whole ledger. risk: the network is rebuilt and its errors on the data counted again.

    Args: certificate: a record or a file. data: Examples, tensors, a data set, or what `--data` takes. model: an
        nn.Module or what `--model` takes, needed where the network is the user's own and `checkpoint` is no folder.
        level: by default the highest that the arguments allow. data_dir: the folder of named data sets. checkpoint: the
        file or folder that theta0 or the original network comes from, needed where the certificate names one. rename:
        rules for its names, as certify was given them. loss: a function (logits, y) -> (batch,) in [0, 1], or
        module:function, needed where the loss is its author's own. unlabelled: the inputs that an original network was
        compared on, as certify was given them. test: the held-out examples that the certificate names, to count their
        errors again too; the embedded digits are taken without being asked for. key: of the state dict in a file of
        several, as certify was given it.
    Returns: a record; a certificate that does not hold is a result, not an exception.
    Raises: RequestError where there is no such file or the arguments do not reach the level asked for;
        DataError, ModelError where the caller's data or model cannot be loaded.
    """
    name = certificate.data.name if isinstance(certificate, Certificate) else Path(certificate).name
    if isinstance(certificate, (str, Path)):
        if not os.path.isfile(certificate):
            raise RequestError(f"verify: there is no file {str(certificate)!r}. Give the path of a certificate.")
        try:
            certificate = Certificate.load(certificate)
        except CertificateError as cause:
            return Verification(
                name=name, level=level or "arithmetic", passed=(), failed="schema", reason=str(cause).rstrip(".")
            )
    own = certificate.hypothesis.model == OWN_NETWORK
    if model is None and own and checkpoint is not None and os.path.isfile(os.path.join(checkpoint, "config.json")):
        model = f"hf:{checkpoint}"  # the caller's folder says which network it holds
    given = Given(data, model, checkpoint, tuple(rename), data_dir, loss, unlabelled, test, key)
    reached = _level(certificate, given, level)
    findings, counted = _findings(certificate, reached, given)
    failure = next((finding for finding in findings if finding.complaint is not None), None)
    return Verification(
        name=name,
        level=reached,
        passed=("schema", *(finding.check for finding in findings if finding.complaint is None)),
        failed=None if failure is None else failure.check,
        reason=None if failure is None else failure.complaint,
        unchecked=_unchecked(certificate, reached, counted),
        statement=certificate.statement,
        distinct=counted.distinct,
        recount=counted.risk,
        held_out=counted.held_out,
    )


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


@dataclass(frozen=True)
class Counted:
    """What was counted again: distinct inputs, errors on the sample, errors on the held-out examples."""

    distinct: int | None = None
    risk: RiskEstimate | None = None
    held_out: RiskEstimate | None = None


def _level(certificate: Certificate, given: Given, level: Level | None) -> Level:
    """The level asked for, or the highest one possible. Raises: RequestError where it is out of reach."""
    lacking = []
    if given.data is None and certificate.data.name not in EMBEDDED_DATA:
        lacking.append("the data (--data)")
    comparison = certificate.comparison
    network = certificate.hypothesis.model if comparison is None else comparison.original.model
    if given.model is None and network == OWN_NETWORK:
        lacking.append("the network (--model)")
    if given.checkpoint is None and (certificate.hypothesis.base.kind in CHECKPOINT_KINDS or comparison is not None):
        lacking.append("the checkpoint (--checkpoint)")
    if given.unlabelled is None and comparison is not None:
        lacking.append("the unlabelled inputs (--unlabelled)")
    if not _known_loss(certificate.risk) and given.loss is None:
        lacking.append(f"the loss {certificate.risk.loss!r}, a function of its author's (--loss)")
    if given.test is not None and stated_held_out(certificate) is None:
        raise RequestError("verify: this certificate names no held-out examples. Leave --test out.")
    arguments = (given.data, given.model, given.checkpoint, given.loss, given.unlabelled, given.test)
    brought = any(argument is not None for argument in arguments)
    if lacking and (level == "risk" or (level is None and brought)):
        raise RequestError(
            f"verify: level risk needs {' and '.join(lacking)}, which this certificate does not bring along. "
            "Give them, or ask for --level message."
        )
    return level or ("message" if lacking else "risk")


def _findings(certificate: Certificate, level: Level, given: Given) -> tuple[tuple[Finding, ...], Counted]:
    findings = recheck_arithmetic(certificate)
    if level == "arithmetic" or findings[-1].complaint is not None:
        return findings, Counted()
    decoding, decoded = recheck_message(certificate)
    findings += decoding
    if level == "message" or decoded is None:
        return findings, Counted()
    whole = _examples(certificate, given.data, given.data_dir)
    findings += check_data(certificate, whole) + _check_checkpoint(certificate, given)
    if any(finding.complaint is not None for finding in findings):
        return findings, Counted()
    first, examples = None, whole
    if certificate.hypothesis.base.split is not None:
        first, examples, finding = parts_of_split(certificate, whole)
        findings += (finding,)
        if finding.complaint is not None:
            return findings, Counted()
    checked, distinct = check_sample(certificate, examples, first)
    findings += checked
    if any(finding.complaint is not None for finding in checked):
        return findings, Counted(distinct)
    counting, recount, hypothesis = _recount(certificate, examples, given)
    findings += counting
    if hypothesis is None:
        return findings, Counted(distinct, recount)
    original, inputs = None, None
    if certificate.comparison is not None:
        compared, original, inputs = recheck_comparison(certificate, hypothesis, examples, given)
        findings += compared
        if original is None:
            return findings, Counted(distinct, recount)
    seen = (("training examples", whole.x), *((("unlabelled inputs", inputs.x),) if inputs is not None else ()))
    held_out, counted = recheck_held_out(certificate, original or hypothesis, seen, given)
    return findings + held_out, Counted(distinct, recount, counted)


def _examples(certificate: Certificate, data: object, data_dir: str | Path | None) -> "Examples":
    from ..data.registry import load_any

    embedded = (name for name in EMBEDDED_DATA if name == certificate.data.name)
    return load_any(next(embedded) if data is None else data, data_dir)


def _check_checkpoint(certificate: Certificate, given: Given) -> tuple[Finding, ...]:
    """Whether theta0 or the original comes from this file, if from one. Raises: ModelError where there is none."""
    from ..networks.checkpoints import file_digest

    origin, comparison = certificate.hypothesis.base, certificate.comparison
    if given.checkpoint is None or (origin.kind not in CHECKPOINT_KINDS and comparison is None):
        return ()
    stated = origin.sha256 if comparison is None else comparison.original.sha256
    found = file_digest(given.checkpoint)
    differ = f"the certificate names the file with SHA-256 {(stated or '')[:12]}, got {found[:12]}"
    return (Finding(check="checkpoint", complaint=differ if found != stated else None),)


def _recount(
    certificate: Certificate, examples: "Examples", given: Given
) -> tuple[tuple[Finding, ...], RiskEstimate | None, "Hypothesis | None"]:
    """Rebuild the network from the message and count its errors; fewer than certified stand, more do not."""
    from ..models.others import failures
    from ..networks.checkpoints import rebuild_base
    from ..networks.hypothesis import Hypothesis
    from ..networks.rebuilt import check_promise
    from ..networks.risk import evaluate

    stated = certificate.risk
    model = given.model if certificate.comparison is None else certificate.hypothesis.model
    module = build_network(certificate.hypothesis.model, model, examples.shape, certificate.data.classes)
    try:
        origin = certificate.hypothesis.base
        theta0 = None if origin.split is None else certificate.theta0()
        base = rebuild_base(module, origin, given.checkpoint, given.rename, theta0, given.key)
        with failures("verify"):
            check_promise(base, examples, certificate.hypothesis.preprocess)
        drawn = isinstance(certificate.hypothesis.quantizer, DrawSpec)
        posterior = certificate.posterior() if drawn else None
        if isinstance(certificate.hypothesis.quantizer, DirectSpec):
            complaint = _compare_units(certificate.hypothesis, base, examples)
            if complaint is not None:
                return (Finding(check="units", complaint=complaint),), None, None
        hypothesis = Hypothesis.unpack(certificate.payload(), certificate.hypothesis, base, posterior)
        with failures("verify"):
            recount = evaluate(hypothesis, examples, _loss(stated, given))
    except PacboundError as cause:
        return (Finding(check="network", complaint=str(cause).rstrip(".")),), None, None
    more = f"the decoded network makes {recount.errors:,} errors, the certificate says {stated.errors:,}"
    complaint = more if recount.errors > stated.errors else None
    return (Finding(check="network"), Finding(check="errors", complaint=complaint)), recount, hypothesis


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


def _known_loss(stated: RiskEstimate) -> bool:
    """Whether this package knows the loss by its name; whoever names it is not asked what it is."""
    return stated.counts or stated.loss == KNOWN_FRACTIONAL


def _loss(stated: RiskEstimate, given: Given) -> "str | LossFunction":
    """The loss of that name, or the caller's where it is none that this package knows."""
    return stated.loss if _known_loss(stated) or given.loss is None else given.loss


def build_network(stated: str, model: object, shape: tuple[int, ...], classes: int) -> "nn.Module":
    """Return the caller's network, or the one that the stated name describes."""
    from torch import nn

    from ..models.loading import load_model
    from ..models.reference import build

    if isinstance(model, nn.Module):
        return model
    if model is not None and not isinstance(model, str):
        raise RequestError(f"verify: model is an nn.Module or a name, got {type(model).__name__}.")
    if model is None:
        return build(stated, shape, classes)  # never an import: a certificate's name is a description or "user"
    return load_model(model, shape, classes)[0]


def recheck_comparison(
    certificate: Certificate, hypothesis: "Hypothesis", examples: "Examples", given: Given
) -> "tuple[tuple[Finding, ...], Original | None, Inputs]":
    """Whether the inputs are those named, none is in the sample, and the networks differ on no more than stated.

    Returns: the findings, the original network where nothing is wrong, and the inputs.
    """
    from ..data.inputs import overlap
    from ..data.registry import load_inputs
    from ..models.others import failures
    from ..networks.original import check_answers, count_differing, load_original

    part = certificate.comparison
    assert part is not None
    inputs = load_inputs(given.unlabelled, given.data_dir)
    complaint = check_inputs(part.inputs, inputs)
    if complaint is not None:
        return (Finding(check="inputs", complaint=complaint),), None, inputs
    common = overlap(examples.x, inputs.x)
    both = f"{common:,} of the unlabelled inputs stand in the labelled sample"
    findings = (Finding(check="inputs"), Finding(check="overlap", complaint=both if common else None))
    if common:
        return findings, None, inputs
    module = build_network(part.original.model, given.model, examples.shape, examples.classes)
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


def recheck_held_out(
    certificate: Certificate, network: "Hypothesis | Original", seen: "Sequence[tuple[str, Tensor]]", given: Given
) -> tuple[tuple[Finding, ...], RiskEstimate | None]:
    """Count the errors of the network that the headline is about on the held-out examples, where these are at hand.

    seen: what these stand apart from, inputs (m, ...) with their name.
    """
    from ..networks.original import Original, count_errors
    from ..networks.risk import evaluate

    stated = stated_held_out(certificate)
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
        return load_held_out(given.test, certificate.data.classes, given.data_dir)
    for name in EMBEDDED_DATA:
        if name == stated.held_out.name and (examples := load(name, split="test")).digest() == stated.held_out.digest:
            return examples
    return None


def _unchecked(certificate: Certificate, level: Level, counted: Counted) -> tuple[str, ...]:
    """What this verification did not look at, whatever its outcome."""
    unchecked = []
    if level == "arithmetic":
        unchecked.append("that the message decodes to this network and this ledger (level message)")
    if level != "risk":
        unchecked.append(f"that the network makes {certificate.risk.errors:,} errors on the data (level risk)")
        if certificate.comparison is not None:
            differing, m = certificate.comparison.differing, certificate.comparison.inputs.m
            unchecked.append(
                f"that it differs from the original on {differing:,} of {m:,} inputs, none of them in the sample "
                "(level risk)"
            )
    if level != "risk" and isinstance(certificate.hypothesis.quantizer, DirectSpec):
        unchecked.append("that the units whose order is not paid for may change places in the network (level risk)")
    if certificate.methods:
        unchecked.append("what came of the other methods of the list")
    stated = stated_held_out(certificate)
    if stated is not None and stated.held_out is not None and counted.held_out is None:
        unchecked.append(
            f"the {stated.errors:,} errors on {stated.n:,} held-out examples, as their author counted them; not "
            "rechecked (give the examples with --test)"
        )
    if level != "risk":
        unchecked.append(
            f"that {certificate.data.distinct:,} of the {certificate.data.n:,} examples are distinct inputs, that they"
            " are no data on which defaults were tuned, and the errors of the majority class (level risk)"
        )
    else:
        unchecked.append("that no input is a near copy of another, or of tuned data: noise, crops and resizing hide it")
    if certificate.measures:
        unchecked.append("the measures, which carry no probability")
    unchecked.append("that the data are independent draws from the source that matters to you")
    unchecked.append("what is declared: " + "; ".join(certificate.declarations))
    unchecked.append("who wrote it: the digest shows integrity, not authorship")
    return tuple(unchecked)
