"""Certificates side by side: what can be compared in one table, and what is set apart with the reason.

Reads certificates and nothing else; every printed risk is rounded up.
"""

import json
from collections import Counter
from collections.abc import Sequence
from decimal import Decimal

from ..bounds.claims import Measure
from ..certificate.canonical import Json
from ..certificate.recheck import recheck_arithmetic
from ..certificate.schema import Certificate
from ..certificate.statement import confidence, percent_up, rate_up, share_up
from ..errors import CertificateError
from ..records import Record

HEAD = ("certificate", "bound", "error", "bits", "bits/parameter", "d", "model", "prior")


class Row(Record):
    """One certificate.

    bound, error = errors / n: in [0, 1]. bits: of the whole ledger. D: parameters of the network, None where the
    projector is none and the certificate does not say. d: dimensions of the subspace, 0 where w = 0. prior: origin of
    theta0. measures: attached, name -> value. warning: why the certificate does not stand by its own arithmetic, or "".
    """

    name: str
    bound: float
    theorem: str
    errors: int | float
    n: int
    error: float
    bits: int
    d: int
    D: int | None
    model: str
    prior: str
    measures: dict[str, float]
    units: dict[str, str]
    counts: bool
    warning: str

    @property
    def bits_per_parameter(self) -> float | None:
        """Bits of the ledger over parameters of the network."""
        return None if self.D is None else self.bits / self.D


class Apart(Record):
    """A certificate that the others are not comparable with, and why."""

    row: Row
    reason: str


class Comparison(Record):
    """Rows about one sample, one loss and one delta, and the certificates about something else."""

    data: str
    loss: str
    delta: float
    rows: tuple[Row, ...]
    apart: tuple[Apart, ...]


def compare(certificates: Sequence[tuple[str, Certificate]]) -> Comparison:
    """Put certificates side by side.

    Two are comparable where the sample (by digest), the loss and delta are the same. The largest such group makes the
    table, the first given where two are as large; the others are set apart. Bounds of several certificates hold with
    probability 1 - delta each, not jointly: the smallest of them was not chosen beforehand.

    Args: certificates: names as they should appear, and certificates; at least one.
    Raises: CertificateError where there is none, or where a name stands twice.
    """
    names = [name for name, _ in certificates]
    if not names or len(set(names)) < len(names):
        raise CertificateError(f"compare: give at least one certificate, each under its own name, got {names}.")
    groups = Counter(_key(certificate) for _, certificate in certificates)
    chosen = max(groups, key=lambda key: groups[key])  # the first of the largest: Counter keeps the order given
    first = next(certificate for _, certificate in certificates if _key(certificate) == chosen)
    return Comparison(
        data=_data(first),
        loss=first.risk.loss,
        delta=first.stated_bound.delta,
        rows=tuple(_row(name, c) for name, c in certificates if _key(c) == chosen),
        apart=tuple(
            Apart(row=_row(name, c), reason=_reason(c, first)) for name, c in certificates if _key(c) != chosen
        ),
    )


def render(comparison: Comparison) -> str:
    """Return the comparison as text, without a final newline; a column for each attached measure."""
    rows = comparison.rows
    lines = [f"{comparison.data}, {comparison.loss}, confidence {confidence(comparison.delta)} each, not jointly", ""]
    lines += _table(rows)
    if comparison.apart:
        lines += ["", "Not comparable with these"]
        for apart in comparison.apart:
            lines += ["", *(f"  {line}" for line in _table((apart.row,))), f"  because of {apart.reason}"]
    if len(comparison.rows) > 1:
        lines += ["", "Each bound holds alone: the best of J statements holds at J delta."]
    broken = [row for row in (*rows, *(apart.row for apart in comparison.apart)) if row.warning]
    if broken:
        lines += ["", *(f"WARNING. {row.name} does not stand: {row.warning}." for row in broken)]
    return "\n".join(lines)


def render_json(comparison: Comparison) -> str:
    """Return the comparison as a JSON object: the fields of the records, and bits_per_parameter in every row."""
    document: dict[str, Json] = {
        "data": comparison.data,
        "loss": comparison.loss,
        "delta": comparison.delta,
        "rows": [_document(row) for row in comparison.rows],
        "apart": [{**_document(apart.row), "reason": apart.reason} for apart in comparison.apart],
    }
    return json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False)


def _key(certificate: Certificate) -> tuple[str, str, float]:
    return certificate.data.digest, certificate.stated_risk.loss, certificate.stated_bound.delta


def _reason(certificate: Certificate, first: Certificate) -> str:
    reasons = []
    if certificate.data.digest != first.data.digest:
        reasons.append(f"other data: {_data(certificate)}, not {_data(first)}")
    if certificate.stated_risk.loss != first.stated_risk.loss:
        reasons.append(f"another loss: {certificate.stated_risk.loss}, not {first.stated_risk.loss}")
    if certificate.stated_bound.delta != first.stated_bound.delta:
        reasons.append(f"another delta: {certificate.stated_bound.delta!r}, not {first.stated_bound.delta!r}")
    return "; ".join(reasons)


def _data(certificate: Certificate) -> str:
    data, split = certificate.data, certificate.hypothesis.base.split
    apart = "" if split is None else f" apart from {split.first:,} that theta0 saw"
    return f"{data.name} ({data.n:,} examples{apart}, sha256 {data.digest[:8]})"


def _row(name: str, certificate: Certificate) -> Row:
    spec, risk = certificate.hypothesis, certificate.risk
    last, part = recheck_arithmetic(certificate)[-1], certificate.comparison
    return Row(
        name=name,
        bound=certificate.stated_bound.value,
        theorem=certificate.stated_bound.theorem,
        errors=risk.errors,
        n=risk.n,
        error=risk.rate,
        bits=certificate.ledger.bits,
        d=0 if spec.projector is None else spec.projector.d,
        D=spec.parameters,
        model=spec.model if part is None else f"{part.original.model} by {spec.model}",
        prior=_prior(certificate),
        measures={m.name: m.value for m in certificate.measures},
        units={m.name: _unit(m) for m in certificate.measures},
        counts=risk.counts,
        warning="" if last.complaint is None else f"{last.check}: {last.complaint}",
    )


def _prior(certificate: Certificate) -> str:
    base = certificate.hypothesis.base
    return f"seeded {base.seed}" if base.sha256 is None else f"{base.kind} {base.sha256[:8]}"


def _unit(measure: Measure) -> str:
    return measure.unit if measure.verified else f"{measure.unit}, unverified"


def _table(rows: Sequence[Row]) -> list[str]:
    names = list(dict.fromkeys(name for row in rows for name in row.measures))
    head = [*HEAD, *names]
    units = ["" for _ in HEAD] + [next(row.units[n] for row in rows if n in row.units) for n in names]
    cells = [[*_cells(row), *(_figure(row.measures.get(name)) for name in names)] for row in rows]
    body = [head, units, *cells] if names else [head, *cells]
    widths = [max(len(line[column]) for line in body) for column in range(len(head))]
    text = ("certificate", "model", "prior")
    return [
        "  ".join(
            f"{cell:<{width}}" if title in text else f"{cell:>{width}}"
            for cell, width, title in zip(line, widths, head, strict=True)
        ).rstrip()
        for line in body
    ]


def _cells(row: Row) -> list[str]:
    per_parameter = row.bits_per_parameter
    return [
        row.name, _risk(row.bound, row.counts), _risk(share_up(row.errors, row.n), row.counts), f"{row.bits:,}",
        "" if per_parameter is None else f"{per_parameter:.4f}", f"{row.d:,}", row.model, row.prior,
    ]  # fmt: skip


def _risk(risk: float | Decimal, counts: bool) -> str:
    return percent_up(risk) if counts else rate_up(risk)


def _figure(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if value.is_integer() and abs(value) < 1e15 else f"{value:.4g}"


def _document(row: Row) -> dict[str, Json]:
    return {**row.model_dump(mode="json"), "bits_per_parameter": row.bits_per_parameter}
