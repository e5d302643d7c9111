"""A CycloneDX 1.7 bill of materials of one component, the network, with its model card."""

import uuid

from ...certificate.canonical import Json
from ...certificate.statement import confidence, describe_loss
from ..show import sheet
from ..words import declared
from .subject import SCHEMA, Exported

VERSION = "1.7"
NEW_DATA = "new data from the source of the sample"


def bill_of_materials(exported: Exported) -> dict[str, Json]:
    """Return the bill; its component is a fragment to merge into another. The same bill of the same certificate."""
    certificate = exported.certificate
    serial = uuid.uuid5(uuid.NAMESPACE_URL, f"{SCHEMA}:{certificate.digest}")
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
                "name": exported.network,
                "hashes": [{"alg": "SHA-256", "content": exported.network_sha256}],
                "modelCard": _model_card(exported),
            }
        ],
    }


def _model_card(exported: Exported) -> Json:
    certificate = exported.certificate
    stated = certificate.stated_bound
    properties = {
        "statement": certificate.statement,
        "theorem": stated.theorem,
        "delta": repr(stated.delta),
        "confidence": confidence(stated.delta),
        "bits": str(certificate.ledger.bits),
        "certificate": exported.name,
        "certificate-file-sha256": exported.sha256,
        "certificate-digest": certificate.digest,
        "certificate-schema": SCHEMA,
        "data-sha256": certificate.data.digest,
        **{f"declared-{one.item}".replace(" ", "-"): one.sentence for one in declared(certificate)},
    }
    return {
        "modelParameters": {
            "approach": {"type": "supervised"},
            "task": exported.task,
            "modelArchitecture": exported.network,
            "datasets": [{"type": "dataset", "name": certificate.data.name}],
        },
        "quantitativeAnalysis": {"performanceMetrics": _metrics(exported)},
        "considerations": {"technicalLimitations": list(sheet(certificate).not_said)},
        "properties": [{"name": f"pacbound:{name}", "value": value} for name, value in properties.items()],
    }


def _metrics(exported: Exported) -> list[Json]:
    """The certified risk, whose interval is one-sided, then the errors that were counted."""
    certificate = exported.certificate
    stated, risk, held_out = certificate.stated_bound, certificate.risk, certificate.held_out
    loss = describe_loss(risk.loss)
    metrics: list[Json] = [
        {
            "type": f"{loss}, certified to be at most this with confidence {confidence(stated.delta)}",
            "value": repr(stated.value),
            "slice": NEW_DATA,
            "confidenceInterval": {"lowerBound": "0", "upperBound": repr(stated.value)},
        },
        {"type": loss, "value": repr(risk.rate), "slice": f"{certificate.data.name}, training sample"},
    ]
    if held_out is not None:
        rate = repr(held_out.errors / held_out.n)
        interval: Json = {"lowerBound": "0", "upperBound": repr(held_out.value)}
        metrics.append(
            {"type": loss, "value": rate, "slice": "held-out examples, not rechecked", "confidenceInterval": interval}
        )
    return metrics
