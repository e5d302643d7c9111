"""in-toto statements, version 1: what a certificate claims of a network, and what a verifier found of a certificate.

A statement is not signed. Whoever wants to be believed signs it: `cosign attest-blob --statement FILE --bundle FILE
CERT` wraps it as it stands.
"""

from collections.abc import Sequence

from ...certificate.canonical import Json
from ...certificate.schema import SCHEMA_ID
from ..show import sheet
from .subject import Exported

STATEMENT = "https://in-toto.io/Statement/v1"
CLAIM = "urn:pacbound:predicate:certificate:1"
SUMMARY = "https://slsa.dev/verification_summary/v1"
FOUND = "urn:pacbound:predicate:verification:1"  # a field of ours, which readers of summaries pass over
LEVELS = ("arithmetic", "message", "risk", "replay")


def claim(exported: Exported) -> dict[str, Json]:
    """Return the statement that the network has the risk certified; its subject is what the network is decoded from.

    Of an original network, and of a reference that versions are compared with, the subject is its file. The predicate
    holds the claim and names the certificate.
    """
    certificate, facts = exported.certificate, exported.facts
    document = certificate.document()
    predicate: dict[str, Json] = {
        "certificate": {
            "name": exported.name,
            "digest": {"sha256": exported.sha256},
            "annotations": {
                "digest": certificate.digest, "coreDigest": certificate.core_digest, "schema": facts.schema,
            },
        },
        "network": facts.network,
        **{key: document[key] for key in facts.kept if key in document},
        "notSaid": list(sheet(certificate).not_said),
    }  # fmt: skip
    return _statement(facts.network_file, facts.network_sha256, CLAIM, predicate)


def verification_summary(
    name: str,
    sha256: str,
    version: str,
    time: str,
    level: str,
    passed: Sequence[str],
    failed: str | None,
    reason: str | None,
    unchecked: Sequence[str],
    statement: str,
    schema: str = SCHEMA_ID,
) -> dict[str, Json]:
    """Return the statement that a certificate file was verified, a verification summary in SLSA's words.

    Args: name, sha256: of the certificate's file. version: of pacbound. time: of the verification, as RFC 3339 writes
        it. schema: of the certificate. The others: as of a Verification.
    """
    reached = LEVELS[: LEVELS.index(level) + 1]
    found: dict[str, Json] = {
        "statement": statement, "level": level, "passed": list(passed), "failed": failed, "reason": reason,
        "unchecked": list(unchecked),
    }  # fmt: skip
    predicate: dict[str, Json] = {
        "verifier": {"id": "urn:pacbound:verifier", "version": {"pacbound": version}},
        "timeVerified": time,
        "resourceUri": f"urn:pacbound:file:sha256:{sha256}",
        "policy": {"uri": schema},
        "verificationResult": "PASSED" if failed is None else "FAILED",
        "verifiedLevels": [f"PACBOUND_{one.upper()}" for one in reached] if failed is None else ["FAILED"],
        FOUND: found,
    }
    return _statement(name, sha256, SUMMARY, predicate)


def _statement(name: str, sha256: str, kind: str, predicate: dict[str, Json]) -> dict[str, Json]:
    return {
        "_type": STATEMENT,
        "subject": [{"name": name, "digest": {"sha256": sha256}}],
        "predicateType": kind,
        "predicate": predicate,
    }
