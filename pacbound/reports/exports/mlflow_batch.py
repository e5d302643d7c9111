"""Metrics, params and tags of an MLflow run, as the request of log-batch has them, without the run's id.

A certificate has no time, so that metrics have timestamp 0 and step 0.
"""

from ...certificate.canonical import Json
from .subject import SCHEMA, Exported

MOST_VALUE = 6000  # characters of a parameter that every store keeps
PREFIX = "pacbound."


def log_batch(exported: Exported) -> dict[str, Json]:
    """Return `metrics`, `params` and `tags`, each a list of objects with key and value."""
    certificate, held_out = exported.certificate, exported.certificate.held_out
    stated, risk, spec = certificate.stated_bound, certificate.risk, certificate.hypothesis
    metrics: dict[str, float] = {
        "risk_upper_bound": stated.value,
        "training_error": risk.rate,
        "ledger_bits": float(certificate.ledger.bits),
        **{f"bits.{entry.item}": float(entry.bits) for entry in certificate.entries if entry.kind != "declared"},
    }
    if held_out is not None:
        metrics |= {"held_out_error": held_out.errors / held_out.n, "held_out_upper_bound": held_out.value}
    params = {
        "theorem": stated.theorem,
        "delta": repr(stated.delta),
        "loss": risk.loss,
        "n": str(risk.n),
        "data": certificate.data.name,
        "model": exported.network,
        "d": "" if spec.projector is None else str(spec.projector.d),
        "base": spec.base.kind,
    }
    tags = {
        "statement": certificate.statement,
        "certificate": exported.name,
        "certificate_sha256": exported.sha256,
        "certificate_digest": certificate.digest,
        "certificate_schema": SCHEMA,
        "data_sha256": certificate.data.digest,
    }
    return {
        "metrics": [
            {"key": PREFIX + _key(key), "value": value, "timestamp": 0, "step": 0} for key, value in metrics.items()
        ],
        "params": [{"key": PREFIX + key, "value": value[:MOST_VALUE]} for key, value in params.items() if value],
        "tags": [{"key": PREFIX + key, "value": value} for key, value in tags.items()],
    }


def _key(name: str) -> str:
    """A name in the letters that keys may have."""
    return "".join(letter if letter.isascii() and (letter.isalnum() or letter in "_-. /") else "_" for letter in name)
