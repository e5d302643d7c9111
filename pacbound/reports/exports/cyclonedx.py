"""A CycloneDX 1.7 bill of materials of one component, the network, with its model card."""

import uuid

from ...certificate.canonical import Json
from ...certificate.statement import confidence
from ..show import sheet
from ..words import declared
from .facts import Facts, Figure
from .subject import Exported

VERSION = "1.7"


def bill_of_materials(exported: Exported) -> dict[str, Json]:
    """Return the bill; its component is a fragment to merge into another. The same bill of the same certificate."""
    certificate, facts = exported.certificate, exported.facts
    serial = uuid.uuid5(uuid.NAMESPACE_URL, f"{facts.schema}:{certificate.digest}")
    return {
        "$schema": f"http://cyclonedx.org/schema/bom-{VERSION}.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": VERSION,
        "serialNumber": f"urn:uuid:{serial}",
        "version": 1,
        "components": [
            {
                "type": "machine-learning-model",
                "bom-ref": f"pacbound:{certificate.digest}",
                "name": facts.network,
                "hashes": [{"alg": "SHA-256", "content": facts.network_sha256}],
                "modelCard": _model_card(exported),
            }
        ],
    }


def _model_card(exported: Exported) -> Json:
    certificate, facts = exported.certificate, exported.facts
    properties = {
        "statement": certificate.statement,
        "theorem": facts.theorem,
        "delta": repr(facts.delta),
        "confidence": confidence(facts.delta),
        "bits": str(certificate.ledger.bits),
        "certificate": exported.name,
        "certificate-file-sha256": exported.sha256,
        "certificate-digest": certificate.digest,
        "certificate-schema": facts.schema,
        "data-sha256": facts.data_digest,
        **{f"declared-{one.item}".replace(" ", "-"): one.sentence for one in declared(certificate)},
    }
    return {
        "modelParameters": {
            "approach": {"type": "supervised"},
            "task": facts.task,
            "modelArchitecture": facts.network,
            "datasets": [{"type": "dataset", "name": facts.data}],
        },
        "quantitativeAnalysis": {"performanceMetrics": _metrics(facts)},
        "considerations": {"technicalLimitations": list(sheet(certificate).not_said)},
        "properties": [{"name": f"pacbound:{name}", "value": value} for name, value in properties.items()],
    }


def _metrics(facts: Facts) -> list[Json]:
    """What is certified, whose interval is one-sided where a loss is no difference, then what was counted."""
    sure = confidence(facts.delta)
    metrics: list[Json] = [
        {
            "type": f"{one.loss}, certified to be at most this with confidence {sure}",
            "value": repr(one.value),
            "slice": one.place,
            "confidenceInterval": _below(one, signed="increase" in one.type),
        }
        for one in facts.certified
    ]
    metrics += [{"type": one.loss, "value": repr(one.value), "slice": one.place} for one in facts.measured]
    if facts.held_out is not None:
        one = facts.held_out.figure
        metrics.append(
            {"type": one.loss, "value": repr(one.value), "slice": one.place, "confidenceInterval": _below(one)}
        )
    return metrics


def _below(figure: Figure, signed: bool = False) -> Json:
    """An interval up to what is certified; from 0 where the figure cannot be negative."""
    return {**({} if signed else {"lowerBound": "0"}), "upperBound": repr(figure.upper)}
