"""Certificates as CSV: a line each, with whether it stands."""

import csv
import io
from collections.abc import Sequence

from ...certificate.schema import Certificate
from .subject import Exported

FIELDS = (
    "name", "stands", "why_not", "bound", "theorem", "delta", "errors", "n", "loss", "error", "bits", "model", "d", "D",
    "base", "data", "data_sha256", "held_out_errors", "held_out_n", "held_out_bound", "core_digest", "digest", "sha256",
)  # fmt: skip


def rows(exported: Sequence[Exported]) -> str:
    """Return a head and a line for each, without a final newline. Of what does not stand the bound is left empty."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(FIELDS)
    writer.writerows([_cells(one) for one in exported])
    return stream.getvalue().rstrip("\n")


def _cells(one: Exported) -> tuple[str | int | float | None, ...]:
    found: Certificate = one.certificate
    stated, risk, spec, held_out = found.stated_bound, found.risk, found.hypothesis, one.certificate.held_out
    return (
        one.name, "no" if one.complaint else "yes", one.complaint, "" if one.complaint else stated.value,
        stated.theorem, stated.delta, risk.errors, risk.n, risk.loss, risk.rate, found.ledger.bits, one.network,
        None if spec.projector is None else spec.projector.d, spec.parameters, spec.base.kind, found.data.name,
        found.data.digest, *((None, None, None) if held_out is None else (held_out.errors, held_out.n, held_out.value)),
        found.core_digest, found.digest, one.sha256,
    )  # fmt: skip
