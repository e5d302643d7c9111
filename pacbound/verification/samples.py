"""Whether the samples at hand are those that a certificate names, and what it says of them; part of level risk."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..certificate.parts import InputsRecord
from ..certificate.recheck import Finding
from ..certificate.schema import Baseline, Certificate, OtherBound
from ..certificate.tuned import named_after, tuned_on

if TYPE_CHECKING:
    from torch import Tensor

    from ..data.examples import Examples
    from ..data.inputs import Inputs


def check_data(certificate: Certificate, examples: "Examples") -> tuple[Finding, ...]:
    """Whether these are the examples that the certificate names."""
    stated, split = certificate.data, certificate.hypothesis.base.split
    n, digest = (stated.n, stated.digest) if split is None else (split.whole, split.digest)
    complaint = None
    if examples.n != n:
        complaint = f"the certificate is about {n:,} examples, got {examples.n:,}"
    elif examples.digest() != digest:
        complaint = f"the certificate is about data with digest {digest[:12]}, got {examples.digest()[:12]}"
    elif examples.classes != stated.classes:
        complaint = f"the certificate is about {stated.classes:,} classes, got examples of {examples.classes:,}"
    elif examples.labels and stated.labels is not None and examples.labels != stated.labels:
        complaint = "the classes have other names than the certificate says, or stand in another order"
    elif named_after(examples.name) and tuned_on(stated.name, digest) is None:
        complaint = (
            f"these are {examples.name}, on which defaults were tuned, and the certificate calls them {stated.name}"
        )
    return (Finding(check="data", complaint=complaint),)


def parts_of_split(certificate: Certificate, whole: "Examples") -> "tuple[Examples, Examples, Finding]":
    """The examples that theta0 was trained on, the others, and whether these are those that the certificate names."""
    from ..data.split import split_examples

    stated, split = certificate.data, certificate.hypothesis.base.split
    assert split is not None
    parts = split_examples(whole, split.seed, split.parts)
    found = parts.rest.digest()
    differ = f"the rest of the split has digest {found[:12]}, the certificate is about {stated.digest[:12]}"
    return parts.first, parts.rest, Finding(check="split", complaint=differ if found != stated.digest else None)


def check_sample(
    certificate: Certificate, examples: "Examples", first: "Examples | None"
) -> tuple[tuple[Finding, ...], int]:
    """Whether repeats, likeness to tuned data and the majority class are as stated; how many inputs are distinct."""
    from ..data.inputs import distinct_inputs
    from ..data.likeness import recognise

    stated = certificate.data
    distinct = distinct_inputs(examples.x, None if first is None else first.x)
    repeats = f"the sample has {distinct:,} distinct inputs, the certificate says {stated.distinct:,}"
    findings = [Finding(check="distinct", complaint=repeats if distinct != stated.distinct else None)]
    if not named_after(stated.name):
        like = recognise(examples.x)
        tuned = f"the inputs are like those of {like}, on which defaults were tuned, stated is {stated.like}"
        findings.append(Finding(check="tuned data", complaint=tuned if like != stated.like else None))
    errors = examples.n - int(examples.y.bincount().max())
    wrong = [other.errors for other in certificate.also if isinstance(other, Baseline) and other.errors != errors]
    majority = f"always answering the most frequent class errs on {errors:,}, stated is {wrong[0]:,}" if wrong else None
    return (*findings, Finding(check="majority class", complaint=majority)), distinct


def check_inputs(stated: InputsRecord, inputs: "Inputs") -> str | None:
    """Say in what these unlabelled inputs are not those that a certificate names; None where they are."""
    from ..data.inputs import distinct_inputs
    from ..data.likeness import recognise

    if (inputs.m, inputs.digest()) != (stated.m, stated.digest):
        return f"the certificate is about {stated.m:,} other inputs than these {inputs.m:,}, or in other order"
    if named_after(inputs.name) and not named_after(stated.name):
        return f"these are {inputs.name}, on which defaults were tuned, and they are called {stated.name}"
    if (distinct := distinct_inputs(inputs.x)) != stated.distinct:
        return f"{distinct:,} of the unlabelled inputs are distinct, the certificate says {stated.distinct:,}"
    if not named_after(stated.name) and (like := recognise(inputs.x)) != stated.like:
        return f"the inputs are like those of {like}, on which defaults were tuned, stated is {stated.like}"
    return None


def check_held_out(stated: OtherBound, examples: "Examples", seen: "Sequence[tuple[str, Tensor]]") -> Finding:
    """Whether these are the held-out examples that a bound names, none of which is among the inputs that were seen.

    seen: what the inputs stand apart from, (m, ...) each, with its name.
    """
    from ..data.inputs import distinct_inputs, overlap

    named, complaint = stated.held_out, None
    assert named is not None
    distinct = distinct_inputs(examples.x)
    if (examples.n, examples.digest()) != (stated.n, named.digest):
        complaint = f"the certificate is about {stated.n:,} other held-out examples than these {examples.n:,}"
    elif distinct != named.distinct:
        complaint = f"{distinct:,} of the held-out inputs are distinct, the certificate says {named.distinct:,}"
    elif common := next((pair for name, x in seen if (pair := (overlap(x, examples.x), name))[0]), None):
        complaint = f"{common[0]:,} of the held-out inputs stand among the {common[1]}"
    return Finding(check="held-out examples", complaint=complaint)
