"""Certificates as CSV: a line each, with whether it stands; of versions of a network a line each."""

import csv
import io
from collections.abc import Iterator, Sequence

from ...certificate.difference import DifferenceCertificate
from .subject import Exported

FIELDS = (
    "name", "stands", "why_not", "bound", "theorem", "delta", "errors", "n", "loss", "error", "bits", "model", "d", "D",
    "base", "data", "data_sha256", "held_out_errors", "held_out_n", "held_out_bound", "core_digest", "digest", "sha256",
)  # fmt: skip
Cell = str | int | float | None


def rows(exported: Sequence[Exported]) -> str:
    """Return a head and the lines of each, without a final newline. Of what does not stand the bound is left empty."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(FIELDS)
    for one in exported:
        writer.writerows(_lines(one))
    return stream.getvalue().rstrip("\n")


def _lines(one: Exported) -> Iterator[tuple[Cell, ...]]:
    found, facts = one.certificate, one.facts
    held = facts.held_out
    for certified, measured in zip(facts.certified, facts.measured, strict=True):
        loss = certified.loss if isinstance(found, DifferenceCertificate) else facts.loss
        yield (
            one.name, "no" if one.complaint else "yes", one.complaint, "" if one.complaint else certified.value,
            facts.theorem, facts.delta, facts.counted.get("errors"), facts.n, loss, measured.value, found.ledger.bits,
            facts.network, facts.params.get("d"), facts.parameters, facts.params.get("base"), facts.data,
            facts.data_digest,
            *((None, None, None) if held is None else (held.errors, held.n, held.figure.upper)),
            found.core_digest, found.digest, one.sha256,
        )  # fmt: skip
