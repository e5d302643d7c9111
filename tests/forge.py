"""Honest certificates without any training, and what a forger does to them: edit, make it consistent, digest again."""

import base64
import copy
import functools
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from pacbound.bits.codes import fit_code
from pacbound.bits.message import pack
from pacbound.bounds.claims import Bound, RiskEstimate
from pacbound.bounds.table import theorem
from pacbound.certificate import Baseline, Certificate, DataRecord, Environment, HeldOut, OtherBound
from pacbound.certificate.accounting import complete
from pacbound.certificate.documents import AnyCertificate
from pacbound.certificate.statement import write_statement
from pacbound.specs.specs import BaseOrigin, HypothesisSpec, LatticeSpec, ProjectorSpec, SplitSpec
from pacbound.verification.verification import Level, verify

Document = dict[str, Any]
Edit = Callable[[Document], None]
LEVELS: tuple[Level, ...] = ("arithmetic", "message", "risk")


def symbols_of(count: int, seed: int = 0) -> np.ndarray:
    """Centred symbols in [0, 9)."""
    return np.clip(np.random.default_rng(seed).normal(4, 1.5, count).round(), 0, 8).astype(np.int32)


def spec_of(count: int, seed: int = 0, **fields: Any) -> HypothesisSpec:
    """A LeNet in a subspace of `count` dimensions, coded by the cheapest model of its symbols."""
    rest = {"model": "lenet", "layout_digest": "1" * 64, "base": BaseOrigin(seed=3), **fields}
    return HypothesisSpec(
        projector=ProjectorSpec(kind="fastfood", D=rest.pop("D", 1 << 22), d=count, seed=seed),
        quantizer=LatticeSpec(step_index=40),
        code=fit_code(symbols_of(count, seed), 9),
        **rest,
    )


@functools.lru_cache(maxsize=64)
def honest(
    count: int = 64, seed: int = 0, errors: int | float = 900, loss: str = "zero_one", **data: Any
) -> Certificate:
    """A certificate whose every number is right, about data that do not exist."""
    return honest_of(spec_of(count, seed), symbols_of(count, seed), errors, loss, **data)


def honest_of(
    spec: HypothesisSpec, symbols: np.ndarray, errors: int | float = 900, loss: str = "zero_one", **data: Any
) -> Certificate:
    """The same of a network and symbols at hand."""
    n = data.get("n", 60000)
    record = DataRecord(**{"name": "mnist", "digest": "a" * 64, "n": n, "classes": 10, "distinct": n, **data})
    message, coded = pack(spec, symbols)
    ledger = complete(coded, spec, record.name, record.digest, like=record.like, repeats=record.repeats)
    risk = RiskEstimate(errors=errors, n=record.n, loss=loss, data_digest=record.digest)
    name = "occam_binomial" if risk.counts else "occam_kl"
    test = theorem("test_set")(100, 10000, 0, 0.05)
    return Certificate.issue(
        bound=theorem(name)(errors, record.n, ledger.bits, 0.05),
        risk=risk,
        ledger=ledger,
        message=message,
        data=record,
        hypothesis=spec,
        also=(
            OtherBound(
                sample="test",
                value=test.value,
                theorem="test_set",
                delta=0.05,
                errors=100,
                n=10000,
                bits=0,
                held_out=HeldOut(name="mnist", digest="c" * 64, distinct=10000),
            ),
            Baseline(sample="train", errors=50000, n=60000),
        )
        if risk.counts
        else (),
        environment=Environment(versions={"numpy": "2.1.0"}, seconds={"fit": 1.5}),
    )


def digest_of(document: Document) -> str:
    """The digest as FORMAT.md says, written without the package."""
    rest = {key: document[key] for key in sorted(document) if key != "digest"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def make_consistent(document: Document) -> None:
    """Recompute bound, statement and declarations from what the document now says."""
    risk, bound = document["risk"], document["bound"]
    bits = sum(entry["bits"] for entry in document["ledger"])
    value = theorem(bound["theorem"])(risk["errors"], risk["n"], bits, bound["delta"]).value
    bound["value"] = value
    document["message"]["bits"] = sum(e["bits"] for e in document["ledger"] if e["kind"] == "counted")
    document["declarations"] = [e["why"] for e in document["ledger"] if e["kind"] == "declared"]
    claim = Bound(value=value, theorem=bound["theorem"], reference="", delta=bound["delta"])
    split = document["hypothesis"]["base"].get("split")
    split = None if split is None else SplitSpec.model_validate(split)
    document["statement"] = write_statement(claim, RiskEstimate(**risk), document["data"]["classes"], split)


def forge(certificate: AnyCertificate, edit: Edit, path: Path, consistent: bool = False) -> Path:
    """Write an edited copy with a digest that is right."""
    document = copy.deepcopy(certificate.document())
    edit(document)
    if consistent:
        make_consistent(document)
    document["digest"] = digest_of(document)
    path.write_text(json.dumps(document))
    return path


def caught(path: Path, upto: Level = "message", **arguments: Any) -> tuple[str, str] | None:
    """The first level that refuses the file, with the check that does; None where all levels pass."""
    for level in LEVELS[: LEVELS.index(upto) + 1]:
        result = verify(path, level=level, **(arguments if level == "risk" else {}))
        if result.failed is not None:
            assert not result.stands
            assert result.reason
            return level, result.failed
        assert result.stands
    return None


def payload_of(certificate: Certificate) -> str:
    """The payload as it stands in the document."""
    return base64.b64encode(certificate.payload()).decode()
