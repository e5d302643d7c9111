"""Metrics, params and tags of an MLflow run, as the request of log-batch has them, without the run's id.

A certificate has no time, so that metrics have timestamp 0 and step 0.
"""

from ...certificate.canonical import Json
from .subject import Exported

MOST_VALUE = 6000  # characters of a parameter that every store keeps
MOST_TAG = 5000
PREFIX = "pacbound."


def log_batch(exported: Exported) -> dict[str, Json]:
    """Return `metrics`, `params` and `tags`, each a list of objects with key and value."""
    certificate, facts, held = exported.certificate, exported.facts, exported.facts.held_out
    metrics: dict[str, float] = {
        **{one.key: one.value for one in (*facts.certified, *facts.measured)},
        "ledger_bits": float(certificate.ledger.bits),
        **{f"bits.{entry.item}": float(entry.bits) for entry in certificate.entries if entry.kind != "declared"},
    }
    if held is not None and held.figure.upper is not None:
        metrics |= {held.figure.key: held.figure.value, "held_out_upper_bound": held.figure.upper}
    params = {
        "theorem": facts.theorem,
        "delta": repr(facts.delta),
        "loss": facts.loss,
        "n": str(facts.n),
        "data": facts.data,
        "model": facts.network,
        **facts.params,
    }
    tags = {
        "statement": certificate.statement[:MOST_TAG],
        "certificate": exported.name,
        "certificate_sha256": exported.sha256,
        "certificate_digest": certificate.digest,
        "certificate_schema": facts.schema,
        "data_sha256": facts.data_digest,
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
