"""A model card for the Hugging Face Hub: model-index metadata as YAML front matter, and a section of Markdown."""

import json
from collections.abc import Iterator

from ...certificate.canonical import Json
from ...certificate.statement import confidence, describe_loss
from ..show import render
from ..words import checking
from .annex_iv import annex_iv
from .subject import SCHEMA, Exported


def model_card(exported: Exported) -> str:
    """Return front matter and section, to stand in a README.md or to be merged into one; without a final newline."""
    certificate = exported.certificate
    head = "\n".join(_yaml(metadata(exported)))
    lines = [
        "---",
        head,
        "---",
        "",
        "## Certified generalization bound",
        "",
        render(certificate, "markdown"),
        "",
        "Check it:",
        "",
        "```sh",
        checking(certificate, exported.name).install,
        checking(certificate, exported.name).command,
        "```",
        "",
        annex_iv(exported),
    ]
    return "\n".join(lines)


def metadata(exported: Exported) -> dict[str, Json]:
    """Return the metadata: tags and a model-index of the bound, the training error and the held-out error."""
    return {"tags": ["pacbound", "generalization-bound"], "model-index": [_index(exported)]}


def _index(exported: Exported) -> Json:
    certificate = exported.certificate
    stated, risk, data, held_out = (
        certificate.stated_bound,
        certificate.risk,
        certificate.data,
        exported.certificate.held_out,
    )
    loss = describe_loss(risk.loss)
    how: Json = {
        "delta": stated.delta,
        "theorem": stated.theorem,
        "bits": certificate.ledger.bits,
        "errors": risk.errors,
        "n": risk.n,
        "certificate_digest": certificate.digest,
        "certificate_schema": SCHEMA,
    }
    trained: list[Json] = [
        {
            "type": "risk_upper_bound",
            "value": stated.value,
            "name": f"{loss} on new data, at most, with confidence {confidence(stated.delta)}",
            "args": how,
        },
        {"type": risk.loss, "value": risk.rate, "name": f"training {loss}"},
    ]
    results = [_result(exported, "train", data.digest, trained)]
    if held_out is not None and held_out.held_out is not None:
        value = held_out.errors / held_out.n
        tested: list[Json] = [{"type": risk.loss, "value": value, "name": f"held-out {loss}, not rechecked"}]
        results.append(_result(exported, "test", held_out.held_out.digest, tested))
    return {"name": exported.network, "results": results}


def _result(exported: Exported, split: str, digest: str, metrics: list[Json]) -> Json:
    name = exported.certificate.data.name
    return {
        "task": {"type": exported.task},
        "dataset": {"type": name, "name": name, "split": split, "args": {"sha256": digest}},
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
