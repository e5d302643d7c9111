"""Runs that differ in the seed alone: their mean and spread, and whether two sets of runs differ by more than that.

What a certificate holds decides: architecture, theta0, subspace, quantizer, theorem and choices. Training options are
free and stand in no certificate, so that a seed that occurs twice says that the runs differ in more than the seed.
"""

import re
import statistics
from collections.abc import Sequence

from flint import arb

from ..certificate.schema import Certificate
from ..records import Record
from .divided import divide

SEED_IN_NAME = re.compile(r"(?i)(?<![a-z])seed[-_=]?(\d+)")
COVERED = 0.95
MOST_PAIRS = 100  # of unpaired runs: more divisions would take longer than they are worth

Named = tuple[str, Certificate]


class Group(Record):
    """Runs that differ in the seed alone, as far as their names and certificates say.

    mean, deviation: of the bounds; deviation is None of one run. unclear: a seed occurs twice, so that they differ in
    something else: they are kept apart, each a group of one.
    """

    name: str
    runs: tuple[str, ...]
    seeds: tuple[str, ...]
    mean: float
    deviation: float | None
    unclear: bool = False


class Contrast(Record):
    """The bounds of a group minus those of the first group.

    paired: the same seeds on both sides, run by run; runs: how many pairs, or runs of both groups. difference: of the
    means. deviation: of the difference between one run and one of the first group. low, high: 95 % interval of the
    mean difference, by Student's t over seeds (Welch's where unpaired). by_errors, by_bits: parts of the difference.
    """

    name: str
    paired: bool
    runs: int
    difference: float
    deviation: float | None
    low: float | None
    high: float | None
    by_errors: float | None
    by_bits: float | None

    @property
    def verdict(self) -> str:
        """Whether the difference is larger than the spread over seeds, in words."""
        if self.deviation is None or self.low is None or self.high is None:
            return "unknown: one run each"
        clear = not self.low <= 0 <= self.high
        if abs(self.difference) > self.deviation:
            return "larger than the spread" if clear else "larger, but of too few seeds to tell"
        return "within the spread, clear on average" if clear else "within the spread"


def seed_of(name: str, certificate: Certificate) -> str:
    """Return the seed of a run: that in its name (seed_3), else those that the certificate draws from, else ''."""
    found = SEED_IN_NAME.search(name)
    if found:
        return str(int(found[1]))
    spec = certificate.hypothesis
    seeds = set() if spec.projector is None else {spec.projector.seed}
    if spec.base.kind in ("seeded", "checkpoint_new_head", "split"):
        seeds.add(spec.base.seed)
    if spec.base.split is not None:
        seeds.add(spec.base.split.seed)
    if spec.quantizer is not None and spec.quantizer.kind == "picks":
        seeds.add(spec.quantizer.recipe.seed)
    return ",".join(str(seed) for seed in sorted(seeds))


def group(runs: Sequence[Named]) -> tuple[Group, ...]:
    """Put runs that differ in the seed alone together; the smallest mean bound stands first.

    A run at w = 0, which says nothing of a subspace, belongs to the one group that agrees with it in all else.
    """
    heads: dict[str, dict[str, list[Named]]] = {}
    for name, certificate in runs:
        head, tail = _settings(name, certificate)
        heads.setdefault(head, {}).setdefault(tail, []).append((name, certificate))
    groups = []
    for tails in heads.values():
        at_start = tails.pop("", [])
        if len(tails) == 1:
            next(iter(tails.values())).extend(at_start)
        elif at_start:
            tails[""] = at_start
        groups += [found for members in tails.values() for found in _groups(members)]
    return tuple(sorted(groups, key=lambda found: found.mean))


def contrast(first: Group, other: Group, certificates: dict[str, Certificate]) -> Contrast:
    """Compare two groups: seed by seed where at least two seeds are common, else as independent runs."""
    deviation: float | None
    error: float | None
    common = [seed for seed in other.seeds if seed and seed in first.seeds]
    if len(common) > 1:
        pairs = [(first.runs[first.seeds.index(s)], other.runs[other.seeds.index(s)]) for s in common]
        gaps = [_value(certificates[b]) - _value(certificates[a]) for a, b in pairs]
        deviation, error, freedom = statistics.stdev(gaps), statistics.stdev(gaps) / len(gaps) ** 0.5, len(gaps) - 1.0
        difference, runs = statistics.mean(gaps), len(gaps)
    else:
        pairs = [(a, b) for a in first.runs for b in other.runs]
        deviation, error, freedom = _unpaired(first, other)
        difference, runs = other.mean - first.mean, len(first.runs) + len(other.runs)
    half = None if error is None else error * student(COVERED, freedom)
    by_errors, by_bits = _parts(pairs, certificates)
    return Contrast(
        name=other.name,
        paired=len(common) > 1,
        runs=runs,
        difference=difference,
        deviation=deviation,
        low=None if half is None else difference - half,
        high=None if half is None else difference + half,
        by_errors=by_errors,
        by_bits=by_bits,
    )


def student(covered: float, freedom: float) -> float:
    """Return t with P[|T| <= t] = covered for Student's T, to nine digits.

    P[|T| > t] = I_x(freedom / 2, 1 / 2) with x = freedom / (freedom + t^2), the regularised incomplete beta function.

    >>> round(student(0.95, 4), 4)
    2.7764
    """
    low, high = 0.0, 1e6
    while high - low > 1e-9 * max(1.0, low):
        middle = (low + high) / 2
        outside = arb(freedom / (freedom + middle**2)).beta_lower(freedom / 2, 0.5, regularized=True)
        low, high = (middle, high) if float(outside.mid()) > 1 - covered else (low, middle)
    return high


def _value(certificate: Certificate) -> float:
    return certificate.stated_bound.value


def _settings(name: str, certificate: Certificate) -> tuple[str, str]:
    """All but the seed and what was fitted: what every run has, and what a run at w = 0 has not ('')."""
    spec = certificate.hypothesis
    choices = [entry.item for entry in certificate.entries if entry.kind == "choice"]
    checkpoint = None if spec.base.split is not None else spec.base.sha256
    split = None if spec.base.split is None else (spec.base.split.parts, spec.base.split.start)
    head = (
        SEED_IN_NAME.sub("seed", name) if SEED_IN_NAME.search(name) else "",
        spec.model, spec.layout_digest, spec.base.kind, checkpoint, split, spec.preprocess.name,
        certificate.stated_bound.theorem, choices,
        None if certificate.comparison is None else certificate.comparison.original,
    )  # fmt: skip
    if spec.quantizer is None:
        return repr(head), ""
    projector = spec.projector
    kinds = None if projector is None else (projector.kind, projector.d, [part.kind for part in projector.parts])
    recipe = spec.quantizer.recipe.model_dump(exclude={"seed"}) if spec.quantizer.kind == "picks" else None
    return repr(head), repr((kinds, spec.layer_scale, spec.quantizer.kind, recipe))


def _groups(members: list[Named]) -> list[Group]:
    """One group, or each run by itself where a seed occurs twice."""
    seeds = [seed_of(name, certificate) for name, certificate in members]
    if len(set(seeds)) == len(seeds):
        return [_group(members, seeds)]
    return [_group([one], [seed], unclear=True) for one, seed in zip(members, seeds, strict=True)]


def _group(members: list[Named], seeds: list[str], unclear: bool = False) -> Group:
    values = [_value(certificate) for _, certificate in members]
    names = tuple(name for name, _ in members)
    return Group(
        name=names[0] if len(names) == 1 else _common_name(names),
        runs=names,
        seeds=tuple(seeds),
        mean=statistics.mean(values),
        deviation=statistics.stdev(values) if len(values) > 1 else None,
        unclear=unclear,
    )


def _common_name(names: tuple[str, ...]) -> str:
    """seed_* of seed_0 and seed_1; the first and how many more where no name bears a seed."""
    found = SEED_IN_NAME.search(names[0])
    if found:
        return names[0][: found.start(1)] + "*" + names[0][found.end(1) :]
    return f"{names[0]} + {len(names) - 1}"


def _unpaired(first: Group, other: Group) -> tuple[float | None, float | None, float]:
    """Deviation of one difference, standard error of the mean one, degrees of freedom; a single run is taken to
    spread as the other group does."""
    a, b = first.deviation, other.deviation
    if a is None and b is None:
        return None, None, 0.0
    one, two = (a if a is not None else b), (b if b is not None else a)
    assert one is not None
    assert two is not None
    parts = [one**2 / len(first.runs), two**2 / len(other.runs)]
    if a is None or b is None:  # one estimate serves both
        freedom = len(other.runs if a is None else first.runs) - 1.0
    else:
        sizes = (len(first.runs), len(other.runs))
        below = sum(part**2 / (size - 1) for part, size in zip(parts, sizes, strict=True))
        freedom = sum(parts) ** 2 / below if below else float(sum(sizes) - 2)
    return (one**2 + two**2) ** 0.5, sum(parts) ** 0.5, freedom


def _parts(pairs: Sequence[tuple[str, str]], certificates: dict[str, Certificate]) -> tuple[float | None, float | None]:
    """Mean parts of the differences; they add up to the difference of the means."""
    if len(pairs) > MOST_PAIRS:
        return None, None
    found = [divide(certificates[a], certificates[b]) for a, b in pairs]
    errors = [one.by_errors for one in found if one.by_errors is not None]
    bits = [one.by_bits for one in found if one.by_bits is not None]
    if len(errors) < len(pairs) or len(bits) < len(pairs):
        return None, None
    return statistics.mean(errors), statistics.mean(bits)
