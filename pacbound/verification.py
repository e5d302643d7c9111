"""Recheck a certificate: its arithmetic, its message, and the errors of the network it decodes to.

Nothing that a certificate names is imported or opened: data and model come from the caller, reference networks
and the embedded digits from explicit tables, a sidecar by bare name from the certificate's own folder.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import computed_field

from .bounds.claims import RiskEstimate
from .certificate.accounting import TUNED_ON
from .certificate.recheck import Finding, recheck_arithmetic, recheck_message
from .certificate.schema import Certificate
from .errors import CertificateError, PacboundError, RequestError, VerificationError
from .records import Record
from .specs import CHECKPOINT_KINDS, REFERENCE_MODELS, DrawSpec, HypothesisSpec
from .tensors import DirectSpec

if TYPE_CHECKING:
    from torch import nn

    from .data.examples import Examples
    from .hypothesis import Base

Level = Literal["arithmetic", "message", "risk"]
EMBEDDED_DATA = ("digits",)  # sets that this package carries, loaded without being asked for
KNOWN_LOSSES = ("zero_one", "top_5", "error_probability")


class Verification(Record):
    """What was checked, up to which level, and what was not.

    name: of the file, or of the data where a record was checked. failed, reason: the first check that failed, and
    why. recount: the errors counted again, at level risk.
    """

    name: str
    level: Level
    passed: tuple[str, ...]
    failed: str | None = None
    reason: str | None = None
    unchecked: tuple[str, ...] = ()
    statement: str = ""
    recount: RiskEstimate | None = None

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


def verify(
    certificate: Certificate | str | Path,
    data: object = None,
    model: object = None,
    level: Level | None = None,
    data_dir: str | Path | None = None,
    checkpoint: str | Path | None = None,
    rename: Sequence[str] = (),
) -> Verification:
    """Check a certificate and say what was not checked.

    arithmetic: schema, digest, sums, bound, statement, from the document alone. message: the payload decodes to the
    hypothesis and to the whole ledger. risk: the network is rebuilt and its errors on the data counted again.

    Args: certificate: a record or a file. data: Examples, tensors, a data set, or what `--data` takes. model: an
        nn.Module or what `--model` takes, needed where the network is the user's own. level: by default the highest
        that the arguments allow. data_dir: the folder of named data sets. checkpoint: the file that theta0 comes
        from, needed where the certificate names one. rename: rules for its names, as certify was given them.
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
    given = _Given(data, model, checkpoint, tuple(rename), data_dir)
    reached = _level(certificate, given, level)
    findings, recount = _findings(certificate, reached, given)
    failure = next((finding for finding in findings if finding.complaint is not None), None)
    return Verification(
        name=name,
        level=reached,
        passed=("schema", *(finding.check for finding in findings if finding.complaint is None)),
        failed=None if failure is None else failure.check,
        reason=None if failure is None else failure.complaint,
        unchecked=_unchecked(certificate, reached),
        statement=certificate.statement,
        recount=recount,
    )


@dataclass(frozen=True)
class _Given:
    """What the caller brings for counting errors again."""

    data: object
    model: object
    checkpoint: str | Path | None
    rename: tuple[str, ...]
    data_dir: str | Path | None


def _level(certificate: Certificate, given: _Given, level: Level | None) -> Level:
    """The level asked for, or the highest one possible. Raises: RequestError where it is out of reach."""
    lacking = []
    if given.data is None and certificate.data.name not in EMBEDDED_DATA:
        lacking.append("the data (--data)")
    if given.model is None and certificate.hypothesis.model not in REFERENCE_MODELS:
        lacking.append("the network (--model)")
    if given.checkpoint is None and certificate.hypothesis.base.kind in CHECKPOINT_KINDS:
        lacking.append("the checkpoint (--checkpoint)")
    if certificate.risk.loss not in KNOWN_LOSSES:
        lacking.append(f"the loss {certificate.risk.loss!r} (a function of its author's)")
    brought = not (given.data is None and given.model is None and given.checkpoint is None)
    if lacking and (level == "risk" or (level is None and brought)):
        raise RequestError(
            f"verify: level risk needs {' and '.join(lacking)}, which this certificate does not bring along. "
            "Give them, or ask for --level message."
        )
    return level or ("message" if lacking else "risk")


def _findings(certificate: Certificate, level: Level, given: _Given) -> tuple[tuple[Finding, ...], RiskEstimate | None]:
    findings = recheck_arithmetic(certificate)
    if level == "arithmetic" or findings[-1].complaint is not None:
        return findings, None
    decoding, decoded = recheck_message(certificate)
    findings += decoding
    if level == "message" or decoded is None:
        return findings, None
    examples = _examples(certificate, given.data, given.data_dir)
    findings += _check_data(certificate, examples) + _check_checkpoint(certificate, given)
    if any(finding.complaint is not None for finding in findings):
        return findings, None
    counting, recount = _recount(certificate, examples, given)
    return findings + counting, recount


def _examples(certificate: Certificate, data: object, data_dir: str | Path | None) -> "Examples":
    from .data.registry import load
    from .data.user import as_examples

    if data is None:
        return load(next(name for name in EMBEDDED_DATA if name == certificate.data.name))
    return load(str(data), data_dir) if isinstance(data, (str, Path)) else as_examples(data)


def _check_data(certificate: Certificate, examples: "Examples") -> tuple[Finding, ...]:
    """Whether these are the examples that the certificate names."""
    stated = certificate.data
    complaint = None
    if examples.n != stated.n:
        complaint = f"the certificate is about {stated.n:,} examples, got {examples.n:,}"
    elif examples.digest() != stated.digest:
        complaint = f"the certificate is about data with digest {stated.digest[:12]}, got {examples.digest()[:12]}"
    elif examples.name in TUNED_ON and stated.name not in TUNED_ON:
        complaint = (
            f"these are {examples.name}, on which defaults were tuned, and the certificate calls them {stated.name}"
        )
    return (Finding(check="data", complaint=complaint),)


def _check_checkpoint(certificate: Certificate, given: _Given) -> tuple[Finding, ...]:
    """Whether theta0 comes from this file, where it comes from one. Raises: ModelError where there is no such file."""
    from .checkpoints import file_digest

    origin = certificate.hypothesis.base
    if origin.kind not in CHECKPOINT_KINDS or given.checkpoint is None:
        return ()
    found = file_digest(given.checkpoint)
    differ = f"the certificate starts from the file with SHA-256 {(origin.sha256 or '')[:12]}, got {found[:12]}"
    return (Finding(check="checkpoint", complaint=differ if found != origin.sha256 else None),)


def _recount(
    certificate: Certificate, examples: "Examples", given: _Given
) -> tuple[tuple[Finding, ...], RiskEstimate | None]:
    """Rebuild the network from the message and count its errors; fewer than certified stand, more do not."""
    from .checkpoints import rebuild_base
    from .hypothesis import Hypothesis
    from .risk import evaluate

    stated = certificate.risk
    module = _module(certificate, examples, given.model)
    try:
        base = rebuild_base(module, certificate.hypothesis.base, given.checkpoint, given.rename)
        drawn = isinstance(certificate.hypothesis.quantizer, DrawSpec)
        posterior = certificate.posterior() if drawn else None
        if isinstance(certificate.hypothesis.quantizer, DirectSpec):
            complaint = _compare_units(certificate.hypothesis, base, examples)
            if complaint is not None:
                return (Finding(check="units", complaint=complaint),), None
        hypothesis = Hypothesis.unpack(certificate.payload(), certificate.hypothesis, base, posterior)
        recount = evaluate(hypothesis, examples, stated.loss)
    except PacboundError as cause:
        return (Finding(check="network", complaint=str(cause).rstrip(".")),), None
    more = f"the decoded network makes {recount.errors:,} errors, the certificate says {stated.errors:,}"
    complaint = more if recount.errors > stated.errors else None
    return (Finding(check="network"), Finding(check="errors", complaint=complaint)), recount


def _compare_units(spec: HypothesisSpec, base: "Base", examples: "Examples") -> str | None:
    """Whether the groups of units are those of this network, in the order in which they are always taken."""
    from .data.preprocess import preprocessed
    from .direct.units import unit_groups

    assert isinstance(spec.quantizer, DirectSpec)
    found = unit_groups(base.module, base.layout, preprocessed(examples.x[:2], spec.preprocess))
    stated = tuple(group.model_copy(update={"kept": group.size}) for group in spec.quantizer.groups)
    if found == stated:
        return None
    return f"the network has {len(found)} groups of units that may change places, the certificate others"


def _module(certificate: Certificate, examples: "Examples", model: object) -> "nn.Module":
    """The caller's network, or the reference network of that name in the explicit table."""
    from torch import nn

    from .models.loading import load_model

    if isinstance(model, nn.Module):
        return model
    if model is not None and not isinstance(model, str):
        raise RequestError(f"verify: model is an nn.Module or a name, got {type(model).__name__}.")
    if model is None:
        model = next(name for name in REFERENCE_MODELS if name == certificate.hypothesis.model)
    return load_model(model, examples.shape, certificate.data.classes)[0]


def _unchecked(certificate: Certificate, level: Level) -> tuple[str, ...]:
    """What this verification did not look at, whatever its outcome."""
    unchecked = []
    if level == "arithmetic":
        unchecked.append("that the message decodes to this network and this ledger (level message)")
    if level != "risk":
        unchecked.append(f"that the network makes {certificate.risk.errors:,} errors on the data (level risk)")
    if level != "risk" and isinstance(certificate.hypothesis.quantizer, DirectSpec):
        unchecked.append("that the units whose order is not paid for may change places in the network (level risk)")
    if certificate.also:
        unchecked.append("errors on held-out data and of the majority class")
    if certificate.measures:
        unchecked.append("the measures, which carry no probability")
    unchecked.append("that the data are independent draws from the source that matters to you")
    unchecked.append("what is declared: " + "; ".join(certificate.declarations))
    unchecked.append("who wrote it: the digest shows integrity, not authorship")
    return tuple(unchecked)
