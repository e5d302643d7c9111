"""Recheck a certificate: its arithmetic, its message, and the errors of the network it decodes to.

Nothing that a certificate names is imported or opened: data and model come from the caller, described networks from
the builder of their grammar, the embedded digits from a table, a sidecar by bare name from the certificate's folder.
"""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import computed_field

from ..bounds.claims import RiskEstimate
from ..certificate.accounting import FIXED_LEARNER
from ..certificate.difference import DifferenceCertificate
from ..certificate.documents import AnyCertificate, load_document
from ..certificate.language import LanguageCertificate
from ..certificate.recheck import Finding, recheck_arithmetic, recheck_message
from ..certificate.schema import Certificate
from ..errors import CertificateError, RequestError, VerificationError
from ..notebook import frame, html_table
from ..records import Record
from ..request.reading import Reading
from ..specs.grammar import OWN_NETWORK
from ..specs.tensors import DirectSpec
from .difference import difference_lacks, difference_unchecked, recheck_versions
from .language import language_lacks, language_unchecked, recheck_language
from .recount import (
    EMBEDDED_DATA,
    Given,
    known_loss,
    load_sample,
    recheck_comparison,
    recheck_held_out,
    recount_errors,
)  # fmt: skip
from .replay import Replay, replay
from .samples import check_data, check_sample, parts_of_split

if TYPE_CHECKING:
    from ..data.examples import Examples
    from ..networks.risk import LossFunction
    from ..notebook import Frame

Level = Literal["arithmetic", "message", "risk", "replay"]
COUNTING = ("risk", "replay")  # the levels that need the data

DESCRIBED_BY = ("config.json", "adapter_config.json")  # of a folder that says which network it holds
# argument of a file that inputs are read by -> name of the preprocessing, and what it is in words
READ_BY = {
    "tokenizer": ("tokens", "the tokenizer"),
    "standardise": ("columns", "the constants of the columns"),
}


class Verification(Record):
    """What was checked, up to which level, and what was not.

    name: of the file, or of the data where a record was checked. failed, reason: the first check that failed, and
    why. distinct: how many distinct inputs the sample was seen to have, recount: the errors counted again, at level
    risk. held_out: the errors on held-out examples counted again, where these were at hand. replay: of picks, what came
    of the selection run again, at level replay.
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
    replay: Replay | None = None

    @computed_field  # type: ignore[prop-decorator]
    @property
    def stands(self) -> bool:
        """Whether every check of this level passed, and a selection run again made the same network."""
        return self.failed is None and (self.replay is None or self.replay.reproduced)

    def require(self) -> "Verification":
        """Return itself where the certificate stands. Raises: VerificationError that says why it does not."""
        if self.failed is not None:
            raise VerificationError(f"{self.name}: check {self.failed!r} failed: {self.reason}.")
        if not self.stands:
            raise VerificationError(f"{self.name}: not reproduced here: the selection run again made another network.")
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

    def __repr__(self) -> str:
        """One line: the verdict, and how many checks passed or which one failed."""
        checks = f"{len(self.passed)} checks passed" if self.failed is None else f"check {self.failed!r} failed"
        return f"Verification({self._verdict}; {checks})"

    @property
    def _verdict(self) -> str:
        return f"{self.name} {'stands' if self.stands else 'DOES NOT STAND'}, at level {self.level}"

    def _repr_html_(self) -> str:
        return html_table(("check", "outcome"), self.rows, self._verdict, self.statement)


def verify(
    certificate: AnyCertificate | str | Path,
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
    tokenizer: str | Path | None = None,
    surrogate: object = None,
    surrogate_checkpoint: str | Path | None = None,
    reading: Reading | None = None,
    standardise: str | Path | None = None,
    reference: str | Path | None = None,
) -> Verification:
    """Check a certificate and say what was not checked.

    arithmetic: schema, digest, sums, bound, statement, from the document alone. message: the payload decodes to the
    hypothesis and to the whole ledger. risk: the network is rebuilt and its errors on the data counted again. replay:
    of picks, the whole selection is run again besides, which takes as long as it took its author; where this machine
    makes another network, nothing is refuted, and nothing confirmed.

    Args: certificate: a record or a file. data: Examples, tensors, a data set, or what `--data` takes. model: an
        nn.Module or what `--model` takes, needed where the network is the user's own and `checkpoint` is no folder.
        level: by default the highest that the arguments allow, but for replay. data_dir: the folder of named data sets.
        checkpoint: the file or folder that theta0 or the original network comes from, needed where the certificate
        names one. rename: rules for its names, as certify was given them. loss: a function (logits, y) -> (batch,) in
        [0, 1], or module:function, needed where the loss is its author's own. unlabelled: the inputs that an original
        network was compared on, as certify was given them. test: the held-out examples that the certificate names, to
        count their errors again too; the embedded digits are taken without being asked for. key: of the state dict in a
        file of several, as certify was given it. tokenizer: the file that texts are read by, or the folder that holds
        it, needed where the certificate names one. surrogate, surrogate_checkpoint: of an original network's
        certificate, the network of the surrogate where it is the user's own, and the file that its theta0 is, where it
        is one. reading: how the caller's own data are read, as for certify. standardise: the file with the constants of
        columns, needed where the certificate names one. reference: of a certificate about quantized versions, the file
        or folder of the network that they are compared with; `checkpoint` is the second file.
    Returns: a record; a certificate that does not hold is a result, not an exception.
    Raises: RequestError where there is no such file or the arguments do not reach the level asked for;
        DataError, ModelError where the caller's data or model cannot be loaded.
    """
    name = Path(certificate).name if isinstance(certificate, (str, Path)) else _name(certificate)
    if isinstance(certificate, (str, Path)):
        if not os.path.isfile(certificate):
            raise RequestError(f"verify: there is no file {str(certificate)!r}. Give the path of a certificate.")
        try:
            certificate = load_document(certificate)
        except CertificateError as cause:
            return Verification(
                name=name, level=level or "arithmetic", passed=(), failed="schema", reason=str(cause).rstrip(".")
            )
    if isinstance(certificate, LanguageCertificate):
        return _verify_language(certificate, name, level, data, data_dir, checkpoint, tokenizer, test)
    given = Given(
        data, model, checkpoint, tuple(rename), data_dir, loss, unlabelled, test, key, tokenizer, surrogate,
        surrogate_checkpoint, standardise, reading or Reading(),
    )  # fmt: skip
    if isinstance(certificate, DifferenceCertificate):
        return _verify_versions(certificate, name, level, given, reference)
    own = certificate.hypothesis.model == OWN_NETWORK
    folder = "" if checkpoint is None else str(checkpoint)
    if model is None and own and any(os.path.isfile(os.path.join(folder, name)) for name in DESCRIBED_BY if folder):
        given = replace(given, model=f"hf:{checkpoint}")  # the caller's folder says which network it holds
    reached = _level(certificate, given, level)
    findings, counted = _findings(certificate, reached, given)
    found = _found(name, reached, findings, _unchecked(certificate, reached, counted), certificate.statement)
    seen = {"distinct": counted.distinct, "recount": counted.risk, "held_out": counted.held_out}
    return found.model_copy(update={**seen, "replay": counted.replay})


def _found(
    name: str, level: Level, findings: tuple[Finding, ...], unchecked: tuple[str, ...], statement: str
) -> Verification:
    failure = next((finding for finding in findings if finding.complaint is not None), None)
    return Verification(
        name=name,
        level=level,
        passed=("schema", *(finding.check for finding in findings if finding.complaint is None)),
        failed=None if failure is None else failure.check,
        reason=None if failure is None else failure.complaint,
        unchecked=unchecked,
        statement=statement,
    )


def _name(certificate: AnyCertificate) -> str:
    if isinstance(certificate, DifferenceCertificate):
        return certificate.about
    return certificate.data.name if isinstance(certificate, Certificate) else certificate.text.name


def _verify_language(
    certificate: LanguageCertificate, name: str, level: Level | None, data: object, data_dir: str | Path | None,
    checkpoint: str | Path | None, tokenizer: str | Path | None, test: object,
) -> Verification:  # fmt: skip
    """Check a language model's certificate. Raises: RequestError where the level asked for is out of reach."""
    lacking = language_lacks(certificate, data, checkpoint, tokenizer)
    _refuse_replay(level)
    beside = [*(one.name for one in certificate.predictors), *(one.name for one in certificate.beside_answers)]
    if test is not None and "held_out" not in beside:
        raise RequestError("verify: this certificate names no held-out text. Leave --test out.")
    reached = _reached(level, lacking, (data, checkpoint, tokenizer, test), "message")
    findings, held = recheck_language(certificate, reached, data, data_dir, checkpoint, tokenizer, test)
    return _found(name, reached, findings, language_unchecked(certificate, reached, held), certificate.statement)


def _verify_versions(
    certificate: DifferenceCertificate, name: str, level: Level | None, given: Given, reference: str | Path | None
) -> Verification:
    """Check what versions of a network lose. Raises: RequestError where the level asked for is out of reach."""
    _refuse_replay(level)
    lacking = difference_lacks(certificate, given, reference)
    brought = (given.data, reference, given.checkpoint, given.tokenizer, given.model)
    reached = _reached(level, lacking, brought, "arithmetic")
    findings = recheck_versions(certificate, reached, given, reference)
    return _found(name, reached, findings, difference_unchecked(certificate, reached), certificate.statement)


def _reached(level: Level | None, lacking: Sequence[str], brought: Iterable[object], otherwise: Level) -> Level:
    """The level asked for, or the highest one possible, which is `otherwise` where something is lacking.

    brought: what the caller gave, None where nothing; whoever gave something wants it to be used.
    Raises: RequestError where the level is out of reach.
    """
    if lacking and (level in COUNTING or (level is None and any(one is not None for one in brought))):
        raise RequestError(
            f"verify: level {level or 'risk'} needs {' and '.join(lacking)}, which this certificate does not bring "
            f"along. Give them, or ask for --level {otherwise}."
        )
    return level or (otherwise if lacking else "risk")


def _refuse_replay(level: Level | None) -> None:
    """Refuse to run again what was no selection. Raises: RequestError."""
    if level == "replay":
        raise RequestError("verify: level replay runs a selection of examples again, and here is none. Ask for risk.")


@dataclass(frozen=True)
class Counted:
    """What was counted again: distinct inputs, errors on the sample and on the held-out examples; and the replay."""

    distinct: int | None = None
    risk: RiskEstimate | None = None
    held_out: RiskEstimate | None = None
    replay: Replay | None = None


def _level(certificate: Certificate, given: Given, level: Level | None) -> Level:
    """The level asked for, or the highest one possible. Raises: RequestError where it is out of reach."""
    lacking = []
    if given.data is None and certificate.data.name not in EMBEDDED_DATA:
        lacking.append("the data (--data)")
    comparison, hypothesis = certificate.comparison, certificate.hypothesis
    from_file = hypothesis.base.needed is not None
    network = hypothesis.model if comparison is None else comparison.original.model
    if given.model is None and network == OWN_NETWORK:
        lacking.append("the network (--model)")
    if given.checkpoint is None and (from_file or comparison is not None):
        lacking.append("the checkpoint (--checkpoint)")
    if comparison is not None and hypothesis.model == OWN_NETWORK and given.surrogate is None:
        lacking.append("the network of the surrogate (--surrogate)")
    if comparison is not None and from_file and given.surrogate_checkpoint is None:
        lacking.append("the checkpoint of the surrogate (--surrogate-checkpoint)")
    if given.unlabelled is None and comparison is not None:
        lacking.append("the unlabelled inputs (--unlabelled)")
    files = _files(certificate)
    lacking += [f"{READ_BY[kind][1]} (--{kind})" for kind in files if getattr(given, kind) is None]
    if not known_loss(certificate.risk) and given.loss is None:
        lacking.append(f"the loss {certificate.risk.loss!r}, a function of its author's (--loss)")
    if given.test is not None and certificate.held_out is None:
        raise RequestError("verify: this certificate names no held-out examples. Leave --test out.")
    if certificate.picks is None:
        _refuse_replay(level)
    brought = (
        given.data, given.model, given.checkpoint, given.loss, given.unlabelled, given.test, given.tokenizer,
        given.standardise,
    )  # fmt: skip
    return _reached(level, lacking, brought, "message")


def _findings(certificate: Certificate, level: Level, given: Given) -> tuple[tuple[Finding, ...], Counted]:
    findings = recheck_arithmetic(certificate)
    if level == "arithmetic" or findings[-1].complaint is not None:
        return findings, Counted()
    decoding, decoded = recheck_message(certificate)
    findings += decoding
    if level == "message" or decoded is None:
        return findings, Counted()
    whole = load_sample(certificate, given.data, given.data_dir, given.reading)
    findings += check_data(certificate, whole) + _check_checkpoint(certificate, given)
    findings += _check_files(certificate, given)
    if any(finding.complaint is not None for finding in findings):
        return findings, Counted()
    first, examples = None, whole
    if certificate.hypothesis.base.split is not None:
        first, examples, finding = parts_of_split(certificate, whole)
        findings += (finding,)
        if finding.complaint is not None:
            return findings, Counted()
        findings += _check_learned(certificate, first)
        if findings[-1].complaint is not None:
            return findings, Counted()
    checked, distinct = check_sample(certificate, examples, first)
    findings += checked
    if any(finding.complaint is not None for finding in checked):
        return findings, Counted(distinct)
    counting, recount, hypothesis = recount_errors(certificate, examples, given)
    findings += counting
    counted = Counted(distinct, recount)
    if hypothesis is None:
        return findings, counted
    if level == "replay" and not any(finding.complaint is not None for finding in findings):
        outcome, rounds = replay(certificate, examples, given)
        findings, counted = (*findings, rounds), replace(counted, replay=outcome)
    original, inputs = None, None
    if certificate.comparison is not None:
        compared, original, inputs = recheck_comparison(certificate, hypothesis, whole, given)
        findings += compared
        if original is None:
            return findings, counted
    seen = (("training examples", whole.x), *((("unlabelled inputs", inputs.x),) if inputs is not None else ()))
    held_out, again = recheck_held_out(certificate, original or hypothesis, seen, given)
    return findings + held_out, replace(counted, held_out=again)


def _check_checkpoint(certificate: Certificate, given: Given) -> tuple[Finding, ...]:
    """Whether theta0 or the original comes from this file, if from one. Raises: ModelError where there is none."""
    from ..networks.checkpoints import file_digest

    origin, comparison = certificate.hypothesis.base, certificate.comparison
    theta0 = origin.needed
    files = [("checkpoint", theta0, given.checkpoint)]
    if comparison is not None:
        files = [
            ("checkpoint", comparison.original.sha256, given.checkpoint),
            ("surrogate's checkpoint", theta0, given.surrogate_checkpoint),
        ]
    findings = []
    for check, stated, file in files:
        if stated is not None and file is not None:
            found = file_digest(file)
            differ = f"the certificate names the file with SHA-256 {stated[:12]}, got {found[:12]}"
            findings.append(Finding(check=check, complaint=differ if found != stated else None))
    return tuple(findings)


def _files(certificate: Certificate) -> dict[str, set[str]]:
    """SHA-256 of the files that inputs are read by, of each kind: by the network, and by the original beside it."""
    comparison = certificate.comparison
    specs = [certificate.hypothesis.preprocess, *([comparison.original.preprocess] if comparison is not None else [])]
    named = {
        kind: {spec.sha256 for spec in specs if spec.name == name and spec.sha256}
        for kind, (name, _) in READ_BY.items()
    }
    return {kind: digests for kind, digests in named.items() if digests}


def _check_files(certificate: Certificate, given: Given) -> tuple[Finding, ...]:
    """Whether inputs are read by these files, if by any. Raises: DataError where there is none."""
    from ..data.columns import load_constants
    from ..data.tokens import load_tokenizer

    load = {"tokenizer": load_tokenizer, "standardise": load_constants}
    findings: tuple[Finding, ...] = ()
    for kind, named in _files(certificate).items():
        found = load[kind](getattr(given, kind))
        other = [sha256[:12] for sha256 in sorted(named) if sha256 != found]
        differ = f"the certificate names the file with SHA-256 {other[0]}, got {found[:12]}" if other else None
        findings += (Finding(check=kind, complaint=differ),)
    return findings


def _check_learned(certificate: Certificate, first: "Examples") -> tuple[Finding, ...]:
    """Whether constants that were learned are those of the examples that theta0 was trained on; loads them."""
    from ..data.columns import learn_constants

    spec = certificate.hypothesis.preprocess
    if spec.name != "learned":
        return ()
    other = learn_constants(first.x) != spec.sha256
    differ = "the constants of the columns are not those of the share that theta0 was trained on"
    return (Finding(check="standardise", complaint=differ if other else None),)


def _unchecked(certificate: Certificate, level: Level, counted: Counted) -> tuple[str, ...]:
    """What this verification did not look at, whatever its outcome."""
    unchecked = []
    if level == "arithmetic":
        unchecked.append("that the message decodes to this network and this ledger (level message)")
    if level not in COUNTING:
        unchecked.append(f"that the network makes {certificate.risk.errors:,} errors on the data (level risk)")
        if certificate.comparison is not None:
            differing, m = certificate.comparison.differing, certificate.comparison.inputs.m
            unchecked.append(
                f"that it differs from the original on {differing:,} of {m:,} inputs, none of them in the sample "
                "(level risk)"
            )
    if certificate.picks is not None and level != "replay":
        unchecked.append(
            f"that these {certificate.picks.picked:,} examples are what the selection picks, and the network what "
            "the learner makes from them: until then the bound holds for it on its author's word (level replay)"
        )
    if level not in COUNTING and isinstance(certificate.hypothesis.quantizer, DirectSpec):
        unchecked.append("that the units whose order is not paid for may change places in the network (level risk)")
    if certificate.methods:
        unchecked.append("what came of the other methods of the list")
    if certificate.sweep is not None:
        unchecked.append("that the grid of the sweep is the one that was searched")
    stated = certificate.held_out
    if stated is not None and stated.held_out is not None and counted.held_out is None:
        unchecked.append(
            f"the {stated.errors:,} errors on {stated.n:,} held-out examples, as their author counted them; not "
            "rechecked (give the examples with --test)"
        )
    if level not in COUNTING:
        unchecked.append(
            f"that {certificate.data.distinct:,} of the {certificate.data.n:,} examples are distinct inputs, that they"
            " are no data on which defaults were tuned, and the errors of the majority class (level risk)"
        )
    else:
        unchecked.append("that no input is a near copy of another, or of tuned data: noise, crops and resizing hide it")
    if certificate.measures:
        unchecked.append("the measures, which carry no probability")
    unchecked.append("that the data are independent draws from the source that matters to you")
    again = counted.replay is not None and counted.replay.reproduced
    declared = [one for one in certificate.declarations if not (again and one == FIXED_LEARNER)]
    unchecked.append("what is declared: " + "; ".join(declared))
    unchecked.append("who wrote it: the digest shows integrity, not authorship")
    return tuple(unchecked)
