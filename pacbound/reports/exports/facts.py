"""What every format says of a certificate of any kind: the network, the data, and figures with their limits."""

import hashlib
from typing import NamedTuple

from ...certificate.difference import DIFFERENCE_ID, DifferenceCertificate
from ...certificate.document import SidecarMessage
from ...certificate.documents import AnyCertificate
from ...certificate.language import LANGUAGE_ID, LanguageCertificate
from ...certificate.language_statement import unit_name
from ...certificate.schema import SCHEMA_ID, Certificate
from ...certificate.statement import confidence, describe_loss
from ..words import ALTERED, NAMED_DATA

VISION_DATA = (*NAMED_DATA, *ALTERED)  # all that have a name so far are of images
NEW_DATA = "new data from the source of the sample"
PLACES = {  # of language models: where the certified mean is taken
    "stream": "the pasts of this very text, each next symbol drawn again",
    "positions": "all positions of the corpus",
    "documents": "beginnings of new documents from the same source",
    "answers": "new prompts from the same source",
}
UNCHECKED = "not rechecked"


class Figure(NamedTuple):
    """One number of a certificate.

    key: its name for programs. type: the metric of a model card. loss: what it is a mean of, in words. place: where
    it is taken. name: the whole in words. upper: what it is certified to lie below, where that is said.
    """

    key: str
    type: str
    loss: str
    place: str
    name: str
    value: float
    upper: float | None = None


class HeldOut(NamedTuple):
    """A figure on data that nobody looked at, and what these are: SHA-256 digest, number, and of errors how many."""

    figure: Figure
    digest: str | None
    n: int
    errors: int | float | None


class Facts(NamedTuple):
    """Everything that the formats say of a certificate.

    certified, measured: one of each, or one for each version of a network. counted: what the Hub is told beside the
    bound. parameters: of a coded network, D. kept: keys of the document that a claim repeats.
    """

    schema: str
    task: str
    network: str
    network_file: str
    network_sha256: str
    data: str
    data_digest: str
    theorem: str
    delta: float
    loss: str
    n: int
    certified: tuple[Figure, ...]
    measured: tuple[Figure, ...]
    held_out: HeldOut | None
    counted: dict[str, int | float]
    parameters: int | None
    params: dict[str, str]
    kept: tuple[str, ...]


def facts_of(certificate: AnyCertificate) -> Facts:
    """Return the facts of a certificate."""
    if isinstance(certificate, LanguageCertificate):
        return _of_language_model(certificate)
    return _of_versions(certificate) if isinstance(certificate, DifferenceCertificate) else _of_classifier(certificate)


def _of_classifier(certificate: Certificate) -> Facts:
    stated, risk, data, spec = certificate.stated_bound, certificate.risk, certificate.data, certificate.hypothesis
    compared, loss, sure = certificate.comparison, describe_loss(risk.loss), confidence(stated.delta)
    made = spec.quantizer if spec.quantizer is not None and spec.quantizer.kind == "picks" else None
    file, sha256 = ("network", compared.original.sha256) if compared is not None else ("message", "")
    if compared is None:
        file, sha256 = ("message", _message_sha256(certificate)) if made is None else (made.file, made.sha256)
    held = certificate.held_out
    return Facts(
        schema=SCHEMA_ID,
        task="image-classification" if data.name in VISION_DATA else "classification",
        network=spec.model if compared is None else compared.original.model,
        network_file=file,
        network_sha256=sha256,
        data=data.name,
        data_digest=data.digest,
        theorem=stated.theorem,
        delta=stated.delta,
        loss=risk.loss,
        n=risk.n,
        certified=(
            Figure(
                "risk_upper_bound", "risk_upper_bound", loss, NEW_DATA,
                f"{loss} on new data, at most, with confidence {sure}", stated.value, stated.value,
            ),
        ),
        measured=(
            Figure("training_error", risk.loss, loss, f"{data.name}, training sample", f"training {loss}", risk.rate),
        ),
        held_out=None
        if held is None
        else HeldOut(
            Figure(
                "held_out_error", risk.loss, loss, f"held-out examples, {UNCHECKED}",
                f"held-out {loss}, {UNCHECKED}", held.errors / held.n, held.value,
            ),
            None if held.held_out is None else held.held_out.digest,
            held.n,
            held.errors,
        ),
        counted={"errors": risk.errors, "n": risk.n},
        parameters=spec.parameters,
        params=_network_params(certificate),
        kept=("statement", "bound", "risk", "ledger", "data", "declarations", "parts", "also"),
    )  # fmt: skip


def _of_language_model(certificate: LanguageCertificate) -> Facts:
    stated, text, spec = certificate.stated_bound, certificate.text, certificate.hypothesis
    asked, n, place = certificate.errors, certificate.losses.n, PLACES[certificate.units.statement]
    loss = f"loss in bits a {unit_name(text)}" if asked is None else "share of prompts not answered exactly"
    word = "loss" if asked is None else "error"
    type_ = "bits_per_symbol" if asked is None else "error_of_answers"
    sure = confidence(stated.delta)
    return Facts(
        schema=LANGUAGE_ID,
        task="text-generation",
        network=spec.model,
        network_file="message",
        network_sha256=_message_sha256(certificate),
        data=text.name,
        data_digest=text.digest,
        theorem=stated.theorem,
        delta=stated.delta,
        loss=loss,
        n=n,
        certified=(
            Figure(
                f"{word}_upper_bound", f"{word}_upper_bound", loss, place,
                f"{loss}, on {place}, at most, with confidence {sure}", stated.value, stated.value,
            ),
        ),
        measured=(
            Figure(
                f"training_{word}", type_, loss, f"{text.name}, training text", f"training {loss}",
                certificate.mean if asked is None else asked / n,
            ),
        ),
        held_out=_held_out(certificate, word, type_, loss),
        counted={"mean": certificate.mean, "n": n} if asked is None else {"errors": asked, "n": n},
        parameters=spec.parameters,
        params={**_network_params(certificate), "statement": certificate.units.statement},
        kept=(
            "statement", "bound", "losses", "errors", "ledger", "text", "units", "prediction", "declarations", "also",
        ),
    )  # fmt: skip


def _held_out(certificate: LanguageCertificate, word: str, type_: str, loss: str) -> HeldOut | None:
    place, name = f"held-out text, {UNCHECKED}", f"held-out {loss}, {UNCHECKED}"
    for one in certificate.predictors:
        if one.text is not None:
            figure = Figure(f"held_out_{word}", type_, loss, place, name, one.mean, one.value)
            return HeldOut(figure, one.text.digest, one.n, None)
    for other in certificate.beside_answers:
        if other.text is not None:
            figure = Figure(f"held_out_{word}", type_, loss, place, name, other.errors / other.n, other.value)
            return HeldOut(figure, other.text.digest, other.n, other.errors)
    return None


def _of_versions(certificate: DifferenceCertificate) -> Facts:
    text, data, reference = certificate.text, certificate.data, certificate.reference
    sure = confidence(certificate.delta)
    certified, measured = [], []
    if text is not None:
        loss, digest = f"loss beyond the reference's in bits a {unit_name(text)}, after mixing", text.digest
    else:
        assert data is not None
        loss, digest = f"{describe_loss(certificate.loss or '')} beyond the reference's", data.digest
    place = NEW_DATA if text is None else PLACES["stream"]
    for row in certificate.versions:
        name = f"{loss}, of {row.name}"
        key, type_ = f"loss_increase_upper_bound.{row.name}", "loss_increase_upper_bound"
        said = f"{name}, on {place}, at most, with confidence {sure} of all versions at once"
        certified.append(Figure(key, type_, name, place, said, row.value, row.value))
        counted = f"{certificate.about}, data that nobody looked at"
        measured.append(
            Figure(f"loss_increase.{row.name}", "loss_increase", name, counted, f"measured {name}", row.mean)
        )
    return Facts(
        schema=DIFFERENCE_ID,
        task="text-generation" if data is None else "classification",
        network=reference.model,
        network_file="reference",
        network_sha256=reference.sha256,
        data=certificate.about,
        data_digest=digest,
        theorem=certificate.theorem,
        delta=certificate.delta,
        loss=loss,
        n=certificate.n,
        certified=tuple(certified),
        measured=tuple(measured),
        held_out=None,
        counted={"n": certificate.n},
        parameters=None,
        params={"versions": ", ".join(row.name for row in certificate.versions)},
        kept=("statement", "delta", "reference", "versions", "ledger", "text", "prediction", "data", "declarations"),
    )


def _network_params(certificate: Certificate | LanguageCertificate) -> dict[str, str]:
    spec = certificate.hypothesis
    return {"d": "" if spec.projector is None else str(spec.projector.d), "base": spec.base.kind}


def _message_sha256(certificate: Certificate | LanguageCertificate) -> str:
    message = certificate.message
    if isinstance(message, SidecarMessage):
        return message.sha256
    return hashlib.sha256(certificate.payload()).hexdigest()
