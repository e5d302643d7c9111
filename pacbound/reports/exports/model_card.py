"""A model card for the Hugging Face Hub: model-index metadata as YAML front matter, and a section of Markdown."""

import json
from collections.abc import Iterator

from ...certificate.canonical import Json
from ...certificate.schema import Certificate
from ..show import render
from ..words import checking
from .annex_iv import annex_iv
from .facts import Facts, Figure
from .subject import Exported


def model_card(exported: Exported) -> str:
    """Return front matter and section, to stand in a README.md or to be merged into one; without a final newline."""
    certificate = exported.certificate
    head = "\n".join(_yaml(metadata(exported)))
    lines = ["---", head, "---", "", "## Certified generalization bound", "", render(certificate, "markdown"), ""]
    check = checking(certificate, exported.name)
    lines += ["Check it:", "", "```sh", check.install, check.command, "```"]
    lines += ["", *(f"- {line}" for line in check.fill_in)] if check.fill_in else []
    return "\n".join([*lines, "", annex_iv(exported)] if isinstance(certificate, Certificate) else lines)


def metadata(exported: Exported) -> dict[str, Json]:
    """Return the metadata: tags and a model-index of the bound, the training error and the held-out error."""
    return {"tags": ["pacbound", "generalization-bound"], "model-index": [_index(exported)]}


def _index(exported: Exported) -> Json:
    certificate, facts = exported.certificate, exported.facts
    how: Json = {
        "delta": facts.delta,
        "theorem": facts.theorem,
        "bits": certificate.ledger.bits,
        **facts.counted,
        "certificate_digest": certificate.digest,
        "certificate_schema": facts.schema,
    }
    trained: list[Json] = [
        *({**_metric(one), "args": how} for one in facts.certified),
        *(_metric(one) for one in facts.measured),
    ]
    results = [_result(facts, "train", facts.data_digest, trained)]
    if facts.held_out is not None and facts.held_out.digest is not None:
        results.append(_result(facts, "test", facts.held_out.digest, [_metric(facts.held_out.figure)]))
    return {"name": facts.network, "results": results}


def _metric(figure: Figure) -> dict[str, Json]:
    return {"type": figure.type, "value": figure.value, "name": figure.name}


def _result(facts: Facts, split: str, digest: str, metrics: list[Json]) -> Json:
    return {
        "task": {"type": facts.task},
        "dataset": {"type": facts.data, "name": facts.data, "split": split, "args": {"sha256": digest}},
        "metrics": metrics,
    }


def _yaml(value: Json, indent: str = "") -> Iterator[str]:
    """Yield the lines of YAML in block style; scalars as JSON, which YAML reads as it is."""
    pairs = (
        value.items() if isinstance(value, dict) else ((None, one) for one in value) if isinstance(value, list) else ()
    )
    for key, one in pairs:
        head = f"{indent}- " if key is None else f"{indent}{key}:"
        if not isinstance(one, (dict, list)):
            yield f"{head}{'' if key is None else ' '}{json.dumps(one, ensure_ascii=False)}"
        elif key is None:  # the first line of what is listed stands behind the dash
            first, *rest = _yaml(one, f"{indent}  ")
            yield f"{indent}- {first.strip()}"
            yield from rest
        else:
            yield head
            yield from _yaml(one, f"{indent}  ")
