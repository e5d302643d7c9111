"""Recheck a certificate about versions of a network: arithmetic, and the differences of their losses again."""

from pathlib import Path
from typing import TYPE_CHECKING

from ..bounds.losses import LossSums
from ..certificate.difference import FILE, DifferenceCertificate, VersionRow
from ..certificate.difference_recheck import recheck_difference
from ..certificate.recheck import Finding
from ..errors import PacboundError
from ..specs.grammar import OWN_NETWORK
from ..threads import one_thread
from .language_losses import smaller, stated_text, text_differs
from .recount import Given, build_network

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import nn

    from ..networks.original import Original


def difference_lacks(certificate: DifferenceCertificate, given: Given, reference: object) -> list[str]:
    """Return what level risk lacks."""
    text, lacking = certificate.text, []
    if given.data is None:
        lacking.append("the held-out data (--data)")
    if reference is None:
        lacking.append("the reference (--reference)")
    if any(row.name == FILE for row in certificate.versions) and given.checkpoint is None:
        lacking.append("the quantized network (--checkpoint)")
    if text is not None and text.alphabet.kind == "tokenizer" and given.tokenizer is None:
        lacking.append("the tokenizer (--tokenizer)")
    if text is None and certificate.reference.model == OWN_NETWORK and given.model is None:
        lacking.append("the architecture (--model)")
    return lacking


def recheck_versions(
    certificate: DifferenceCertificate, level: str, given: Given, reference: str | Path | None
) -> tuple[Finding, ...]:
    """Run the checks of a level in order, up to the first complaint; there is no message, and nothing to decode.

    Raises: DataError, RequestError where the caller's data cannot be read.
    """
    findings = recheck_difference(certificate)
    if level != "risk" or findings[-1].complaint is not None:
        return findings
    assert reference is not None
    count = _of_text if certificate.text is not None else _of_examples
    return findings + count(certificate, given, reference)


def difference_unchecked(certificate: DifferenceCertificate, level: str) -> tuple[str, ...]:
    """What a verification did not look at, whatever its outcome."""
    unchecked = []
    if level != "risk":
        unchecked.append("that the versions lose this much on the data, against this reference (level risk)")
        unchecked.append("that each quantizer makes this version of the reference, of so many bits (level risk)")
    elif certificate.text is not None:
        unchecked.append("that the networks see no symbol ahead, beyond texts whose future was changed")
    unchecked.append("what is declared: " + "; ".join(certificate.declarations))
    unchecked.append("who wrote it: the digest shows integrity, not authorship")
    return tuple(unchecked)


@one_thread()
def _of_text(certificate: DifferenceCertificate, given: Given, file: str | Path) -> tuple[Finding, ...]:
    from ..networks.differences import difference_sums
    from ..networks.versioned import check_language, read_language_file

    stated, prediction = certificate.text, certificate.prediction
    assert stated is not None
    assert prediction is not None
    text = stated_text(stated, given.data, given.data_dir, given.tokenizer)
    wrong = text_differs(stated, text)
    if wrong is not None:
        return (Finding(check="text", complaint=wrong),)
    try:
        reference, record = read_language_file(file, text)
        if record != certificate.reference:
            return (Finding(check="text"), _other("reference", certificate.reference.sha256, record.sha256))
        check_language([reference], text, prediction)

        def second() -> "tuple[nn.Module, str]":
            assert given.checkpoint is not None
            network, found = read_language_file(given.checkpoint, text)
            check_language([network], text, prediction)
            return network, found.sha256

        def count(network: "nn.Module") -> LossSums:
            return difference_sums(network, reference, text, prediction, tolerance=0.0)

        return (Finding(check="text"), Finding(check="reference"), *_rows(certificate, reference, second, count))
    except PacboundError as cause:
        return (Finding(check="text"), Finding(check="networks", complaint=str(cause).rstrip(".")))


@one_thread()
def _of_examples(certificate: DifferenceCertificate, given: Given, file: str | Path) -> tuple[Finding, ...]:
    from ..data.inputs import distinct_inputs
    from ..data.registry import load_any
    from ..models.others import failures
    from ..networks.differences import example_difference_sums
    from ..networks.original import Original, check_answers, load_original
    from ..networks.passes import BATCH

    stated, record, loss = certificate.data, certificate.reference, certificate.loss
    assert stated is not None
    assert loss is not None
    examples = load_any(given.data, given.data_dir, reading=given.reading)
    found = (examples.digest(), examples.n, examples.classes, distinct_inputs(examples.x))
    if found != (stated.digest, stated.n, stated.classes, stated.distinct):
        says = f"{stated.digest[:12]}, {stated.n:,} examples, {stated.classes} classes, {stated.distinct:,} distinct"
        return (Finding(check="data", complaint=f"the certificate names data with digest {says}; these are others"),)

    def read(path: str | Path) -> "Original":
        module = build_network(record.model, given.model, examples, examples.classes, record.preprocess)
        made = load_original(module, record.model, path, given.rename, record.preprocess, given.key)
        check_answers(made, examples.x[:BATCH], examples.classes)
        return made

    try:
        with failures("verify"):
            reference = read(file)
            if reference.record != record:
                return (Finding(check="data"), _other("reference", record.sha256, reference.record.sha256))

            def second() -> "tuple[nn.Module, str]":
                assert given.checkpoint is not None
                made = read(given.checkpoint)
                return made.module, made.record.sha256

            def count(network: "nn.Module") -> LossSums:
                return example_difference_sums(Original(network, record), reference, examples, loss)

            rows = _rows(certificate, reference.module, second, count)
            return (Finding(check="data"), Finding(check="reference"), *rows)
    except PacboundError as cause:
        return (Finding(check="data"), Finding(check="networks", complaint=str(cause).rstrip(".")))


def _rows(
    certificate: DifferenceCertificate, reference: "nn.Module", second: "Callable[[], tuple[nn.Module, str]]",
    count: "Callable[[nn.Module], LossSums]",
) -> tuple[Finding, ...]:  # fmt: skip
    """Rebuild each version and count its differences again, up to the first complaint."""
    findings: tuple[Finding, ...] = ()
    for row in certificate.versions:
        network, wrong = _rebuilt(row, reference, second)
        findings += (Finding(check=f"version {row.name}", complaint=wrong),)
        if wrong is None:
            wrong = smaller(row.losses, count(network))
            findings += (Finding(check=f"differences of {row.name}", complaint=wrong),)
        if wrong is not None:
            break
    return findings


def _rebuilt(
    row: VersionRow, reference: "nn.Module", second: "Callable[[], tuple[nn.Module, str]]"
) -> "tuple[nn.Module, str | None]":
    from ..networks.versioned import values_of
    from ..quantize.versions import quantized_version

    if row.name == FILE:
        network, found = second()
        wrong = _other(row.name, row.sha256 or "", found).complaint if found != row.sha256 else None
    else:
        version = quantized_version(reference, row.name)
        network, stated, made = version.network, (row.bits, row.parameters), (version.bits, version.parameters)
        wrong = f"it takes {made[0]:,} bits for {made[1]:,} parameters" if made != stated else None
    if wrong is None and values_of(network) != row.values:
        wrong = f"the version has values with SHA-256 {row.values[:12]}, got {values_of(network)[:12]}"
    return network, wrong


def _other(check: str, stated: str, found: str) -> Finding:
    return Finding(
        check=check,
        complaint=f"the certificate names the file with SHA-256 {stated[:12]}, got {found[:12]}, or other values of it",
    )
