"""Certificates side by side: one table, sorted by the bound, and what is set apart with the reason.

Reads certificates and nothing else. What the table means is said by `pacbound.reports.beside`.
"""

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..bounds.claims import Measure
from ..certificate.recheck import recheck_arithmetic
from ..certificate.schema import Certificate
from ..errors import CertificateError
from ..notebook import Cell, frame
from ..records import Record
from .divided import divide, formula
from .seeds import Contrast, Group, Named, contrast, group, seed_of

if TYPE_CHECKING:
    from ..notebook import Frame


class Row(Record):
    """One certificate.

    bound, error = errors / n: in [0, 1]. bits: of the whole ledger. picked: how many examples the network was made
    from, where it was. D: parameters of the network, None where the certificate does not say. d: dimensions of the
    subspace, 0 where w = 0, None where the network lies in none. prior: origin of theta0. measures: attached,
    name -> value. seed: as seed_of says.
    difference: the bound minus that of the first; by_errors and by_bits add up to it, and both are None where
    undivided says why.
    """

    name: str
    bound: float
    theorem: str
    errors: int | float
    n: int
    error: float
    bits: int
    picked: int | None
    d: int | None
    D: int | None
    model: str
    prior: str
    seed: str
    measures: dict[str, float]
    units: dict[str, str]
    counts: bool
    difference: float = 0.0
    by_errors: float | None = None
    by_bits: float | None = None
    undivided: str = ""

    @property
    def bits_per_parameter(self) -> float | None:
        """Bits of the ledger over parameters of the network."""
        return None if self.D is None else self.bits / self.D


class Apart(Record):
    """A certificate that is not compared with the others, and why; stands is False where it fails its own checks."""

    row: Row
    reason: str
    stands: bool = True


class Comparison(Record):
    """Rows about one sample, one loss and one delta, smallest bound first, and the certificates about something else.

    first: name of the row that differences are to. jointly: the smallest bound if each had been made at delta over
    the number of rows, so that it holds though it was picked afterwards; None where a row's bound is no function of
    errors, bits and delta alone.
    """

    data: str
    loss: str
    n: int
    delta: float
    first: str
    rows: tuple[Row, ...]
    groups: tuple[Group, ...]
    contrasts: tuple[Contrast, ...]
    jointly: float | None
    apart: tuple[Apart, ...]

    def frame(self) -> "Frame":
        """Return the table, a line for each certificate in its order, as a pandas frame.

        Raises: RequestError where pandas is not installed.
        """
        fields = [name for name in Row.model_fields if name not in ("measures", "units")]
        columns: dict[str, list[Cell]] = {name: [getattr(row, name) for row in self.rows] for name in fields}
        measured = dict.fromkeys(name for row in self.rows for name in row.measures)
        return frame({**columns, **{name: [row.measures.get(name) for row in self.rows] for name in measured}})

    def _repr_html_(self) -> str:
        from .beside import render_html

        return render_html(self)


def compare(certificates: Sequence[Named], first: str | None = None) -> Comparison:
    """Put certificates side by side.

    Two are comparable where the sample (by digest), the loss and delta are the same. The largest such group makes the
    table, the first given where two are as large; the others are set apart. So is what fails its own arithmetic,
    which is in no ranking, and what states of the same network what another one states.

    Args: certificates: names as they should appear, and certificates; at least one. first: the name of the one that
        differences are to; by default the one with the smallest bound.

    Raises: CertificateError where there is none, where a name stands twice, where none stands, or where `first` is
        not in the table.
    """
    names = [name for name, _ in certificates]
    if not names or len(set(names)) < len(names):
        raise CertificateError(f"compare: give at least one certificate, each under its own name, got {names}.")
    broken = _broken(certificates)
    sound = [(name, one) for name, one in certificates if name not in broken]
    if not sound:
        raise CertificateError(
            f"compare: none of {len(names)} certificates stands; {names[0]}: {broken[names[0]]}. Verify each of them."
        )
    chosen, reasons = _comparable(sound, first)
    ranked = sorted((one for one in sound if one[0] not in reasons), key=_rank)
    base = ranked[0] if first is None else next(((n, c) for n, c in ranked if n == first), None)
    if base is None:
        why = broken.get(first or "") or reasons.get(first or "") or "it is not among the certificates"
        raise CertificateError(f"compare: differences are to a certificate of the table, got {first!r}: {why}.")
    groups, contrasts = _over_seeds(base, ranked)
    return Comparison(
        data=describe_data(chosen),
        loss=chosen.stated_risk.loss,
        n=chosen.stated_risk.n,
        delta=chosen.stated_bound.delta,
        first=base[0],
        rows=tuple(_compared(base[1], name, one) for name, one in ranked),
        groups=groups,
        contrasts=contrasts,
        jointly=_jointly([one for _, one in ranked]),
        apart=tuple(
            Apart(row=_row(name, one), reason=broken.get(name) or reasons[name], stands=name not in broken)
            for name, one in certificates
            if name in broken or name in reasons
        ),
    )


def describe_data(certificate: Certificate) -> str:
    """Name the sample with its size and the head of its digest."""
    data, split = certificate.data, certificate.hypothesis.base.split
    apart = "" if split is None else f" apart from {split.first:,} that theta0 saw"
    return f"{data.name} ({data.n:,} examples{apart}, sha256 {data.digest[:8]})"


def describe_model(certificate: Certificate) -> str:
    """Name the network; one that its user wrote has no name in a certificate, but the digest of its layout."""
    spec, part = certificate.hypothesis, certificate.comparison
    own = f"own {spec.layout_digest[:8]}" if spec.model == "user" else spec.model
    if (called := certificate.environment.network) is not None:
        own = f"{called} ({own})"
    return own if part is None else f"{part.original.model} by {own}"


def _broken(certificates: Sequence[Named]) -> dict[str, str]:
    """The certificates that do not stand by their own arithmetic, and why."""
    last = {name: recheck_arithmetic(certificate)[-1] for name, certificate in certificates}
    return {name: f"it does not stand: {one.check}: {one.complaint}" for name, one in last.items() if one.complaint}


def _comparable(sound: Sequence[Named], first: str | None) -> tuple[Certificate, dict[str, str]]:
    """A certificate of the group that makes the table, and why each of the others is set apart."""
    groups = Counter(_key(one) for _, one in sound)
    key = max(groups, key=lambda key: groups[key])  # the first of the largest: Counter keeps the order given
    key = next((_key(one) for name, one in sound if name == first), key)
    chosen = next(one for _, one in sound if _key(one) == key)
    reasons = {name: _reason(one, chosen) for name, one in sound if _key(one) != key}
    seen: dict[tuple[object, ...], str] = {}
    for name, one in sorted(sound, key=lambda named: named[0] != first):
        same = seen.setdefault((one.data.digest, one.stated_bound, one.stated_risk, one.message, one.hypothesis), name)
        if name not in reasons and same != name:
            reasons[name] = f"the same statement about the same network as {same}"
    return chosen, reasons


def _rank(named: Named) -> tuple[float, int]:
    return named[1].stated_bound.value, named[1].ledger.bits


def _over_seeds(base: Named, ranked: Sequence[Named]) -> tuple[tuple[Group, ...], tuple[Contrast, ...]]:
    groups = group(ranked)
    own = next(found for found in groups if base[0] in found.runs)
    others = [found for found in groups if found is not own]
    return groups, tuple(contrast(own, other, dict(ranked)) for other in others)


def _jointly(certificates: Sequence[Certificate]) -> float | None:
    """The smallest bound at delta over the number of certificates."""
    share, values = certificates[0].stated_bound.delta / len(certificates), []
    for one in certificates:
        bound = formula(one)
        if isinstance(bound, str):
            return None
        values.append(bound(one.stated_risk.errors, one.ledger.bits, share))
    return min(values)


def _key(certificate: Certificate) -> tuple[str, str, float]:
    return certificate.data.digest, certificate.stated_risk.loss, certificate.stated_bound.delta


def _reason(certificate: Certificate, first: Certificate) -> str:
    reasons = []
    if certificate.data.digest != first.data.digest:
        reasons.append(f"other data: {describe_data(certificate)}, not {describe_data(first)}")
    if certificate.stated_risk.loss != first.stated_risk.loss:
        reasons.append(f"another loss: {certificate.stated_risk.loss}, not {first.stated_risk.loss}")
    if certificate.stated_bound.delta != first.stated_bound.delta:
        reasons.append(f"another delta: {certificate.stated_bound.delta!r}, not {first.stated_bound.delta!r}")
    return "; ".join(reasons)


def _row(name: str, certificate: Certificate) -> Row:
    spec, risk = certificate.hypothesis, certificate.risk
    return Row(
        name=name,
        bound=certificate.stated_bound.value,
        theorem=certificate.stated_bound.theorem,
        errors=risk.errors,
        n=risk.n,
        error=risk.rate,
        bits=certificate.ledger.bits,
        picked=None if certificate.picks is None else certificate.picks.picked,
        d=spec.projector.d if spec.projector is not None else 0 if spec.quantizer is None else None,
        D=spec.parameters,
        model=describe_model(certificate),
        prior=_prior(certificate),
        seed=seed_of(name, certificate),
        measures={m.name: m.value for m in certificate.measures},
        units={m.name: _unit(m) for m in certificate.measures},
        counts=risk.counts,
    )


def _compared(first: Certificate, name: str, certificate: Certificate) -> Row:
    """A row with its difference to the first, in parts where there are any."""
    parts = divide(first, certificate)
    return _row(name, certificate).model_copy(
        update={
            "difference": certificate.stated_bound.value - first.stated_bound.value,
            "by_errors": parts.by_errors,
            "by_bits": parts.by_bits,
            "undivided": parts.why_not,
        }
    )


def _prior(certificate: Certificate) -> str:
    base = certificate.hypothesis.base
    if base.kind == "zero":
        return "zeros"
    return f"seeded {base.seed}" if base.sha256 is None else f"{base.kind} {base.sha256[:8]}"


def _unit(measure: Measure) -> str:
    return measure.unit if measure.verified else f"{measure.unit}, unverified"
