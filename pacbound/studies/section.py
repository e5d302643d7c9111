"""What a report shows of a study: arm against arm on each sample, with the spread over seeds, and no winner."""

import statistics
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

from ..certificate.canonical import Json
from ..certificate.files import write_atomic
from ..certificate.statement import confidence, percent_up
from ..records import Record
from ..reports.beside import Section, markdown_of
from ..reports.drawn import COLOURS, FAINT, INK, MARKERS, Drawing, drawing, sheet
from ..reports.report import Lead, Report, report
from ..reports.seeds import Contrast, Group, contrast, seed_of
from ..reports.tables import Column, Table
from .catalogue import Across, Study
from .running import Results, Run

AXES: dict[Across, str] = {
    "parameters": "parameters of the network",
    "prior_share": "share of the sample that theta0 was trained on",
    "flatness": "trace of the Fisher information in the subspace; left is flat",
}
HEADS: dict[Across | None, str] = {"parameters": "parameters", "prior_share": "share", "flatness": "flatness"}
SPREAD = (
    "deviation: of the bounds of an arm over its seeds. to first: of mean bounds, in points, with a 95 % interval by "
    "Student's t over seeds; seeds are those of learners, so that it is about this sample and no other."
)
WIDE = 10  # axes that spread over this factor are logarithmic


class Arm(Record):
    """The runs of one arm on one sample, with means over them. held_out: of the error on held-out examples.

    across: in the unit of the second picture. held_out and across are None where a run has none.
    """

    name: str
    group: Group
    contrast: Contrast | None
    error: float
    bits: float
    held_out: float | None
    across: float | None


class Compared(Record):
    """The arms on one sample in the order of the study; the first is what others are held against."""

    sample: str
    arms: tuple[Arm, ...]


def compared(results: Results) -> tuple[Compared, ...]:
    """Return the comparison, sample by sample."""
    samples = dict.fromkeys(run.sample for run in results.runs)
    return tuple(_compared(sample, [run for run in results.runs if run.sample == sample]) for sample in samples)


def below_true_risk(runs: Sequence[Run]) -> tuple[int, int]:
    """Return how many bounds lie below the risk that their network is known to have, and of how many it is known."""
    known = [run for run in runs if run.true_risk is not None]
    return sum(run.certificate.stated_bound.value < (run.true_risk or 0.0) for run in known), len(known)


def sections(study: Study, results: Results) -> tuple[Section, ...]:
    """Return the tables of a study, and what they mean."""
    if not results.runs:
        return _unfinished(results)
    tables = [Section(one.sample, _table(one, study.across), ()) for one in compared(results)]
    about = (f"It shows {study.shows}.", *((study.note,) if study.note else ()), *_meaning(results), SPREAD)
    return (*tables, Section("What this means", None, about), *_unfinished(results))


def report_of(study: Study, results: Results) -> Report:
    """Return the page of a study: its tables and pictures, then every certificate."""
    named = [(run.name, run.certificate) for run in results.runs]
    lead = Lead(sections(study, results), lambda: _figures(study, results))
    return report(named, title=study.title, whole=False, lead=lead)


def check_pictures() -> None:
    """Refuse before any work where pages cannot be drawn. Raises: CertificateError where matplotlib is missing."""
    with sheet():
        pass


def write_page(study: Study, results: Results, folder: Path) -> None:
    """Write report.html and table.md into the folder of a study."""
    write_atomic(folder / "report.html", report_of(study, results).html().encode("utf-8"))
    table = f"# {study.title}\n\n{markdown_of(sections(study, results))}\n"
    write_atomic(folder / "table.md", table.encode("utf-8"))


def document(study: Study, results: Results) -> dict[str, Json]:
    """Return the comparison as JSON."""
    below, known = below_true_risk(results.runs)
    return {
        "title": study.title,
        "samples": [one.model_dump(mode="json") for one in compared(results)],
        "below_true_risk": below,
        "true_risk_known": known,
        "missing": results.missing,
        "refused": dict(results.refused),
    }


def _compared(sample: str, runs: list[Run]) -> Compared:
    arms = {arm: [run for run in runs if run.arm == arm] for arm in dict.fromkeys(run.arm for run in runs)}
    groups = {arm: _group(arm, members) for arm, members in arms.items()}
    certificates = {run.name: run.certificate for run in runs}
    first = next(iter(groups.values()))
    contrasts = {arm: None if one is first else contrast(first, one, certificates) for arm, one in groups.items()}
    return Compared(
        sample=sample, arms=tuple(_arm(groups[arm], contrasts[arm], members) for arm, members in arms.items())
    )


def _group(arm: str, members: Sequence[Run]) -> Group:
    values = [run.certificate.stated_bound.value for run in members]
    return Group(
        name=arm,
        runs=tuple(run.name for run in members),
        seeds=tuple(seed_of(run.name, run.certificate) for run in members),
        mean=statistics.mean(values),
        deviation=statistics.stdev(values) if len(values) > 1 else None,
    )


def _arm(group: Group, difference: Contrast | None, members: Sequence[Run]) -> Arm:
    certificates = [run.certificate for run in members]
    held_out = [one.errors / one.n for one in (certificate.held_out for certificate in certificates) if one]
    across = [run.across for run in members if run.across is not None]
    return Arm(
        name=group.name,
        group=group,
        contrast=difference,
        error=statistics.mean(certificate.risk.rate for certificate in certificates),
        bits=statistics.mean(certificate.ledger.bits for certificate in certificates),
        held_out=statistics.mean(held_out) if len(held_out) == len(members) else None,
        across=statistics.mean(across) if len(across) == len(members) else None,
    )


def _table(one: Compared, across: Across | None) -> Table:
    arms = one.arms
    columns = [
        Column("arm", tuple(arm.name for arm in arms), True),
        Column("seeds", tuple(str(len(arm.group.runs)) for arm in arms)),
        Column("mean bound", tuple(percent_up(arm.group.mean) for arm in arms)),
        Column("deviation", tuple(_points(arm.group.deviation) for arm in arms)),
        Column("error", tuple(percent_up(arm.error) for arm in arms)),
        Column("bits", tuple(f"{arm.bits:,.0f}" for arm in arms)),
        Column("held-out error", tuple("" if arm.held_out is None else percent_up(arm.held_out) for arm in arms)),
        Column(HEADS.get(across, ""), tuple(_figure(arm.across) for arm in arms)),
    ]
    found = [arm.contrast for arm in arms]
    columns += [
        Column("to first", tuple("" if gap is None else f"{100 * gap.difference:+.2f}" for gap in found)),
        Column("95 % interval", tuple("" if gap is None else _interval(gap) for gap in found)),
        Column("so the difference is", tuple("" if gap is None else gap.verdict for gap in found), True),
    ]
    return tuple(column for column in columns if any(column.cells))


def _interval(gap: Contrast) -> str:
    return "" if gap.low is None or gap.high is None else f"{100 * gap.low:+.2f} to {100 * gap.high:+.2f}"


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def _points(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.2f}"


def _meaning(results: Results) -> tuple[str, ...]:
    """What holds of all these bounds, and of those whose network's risk is known."""
    delta = max((run.certificate.stated_bound.delta for run in results.runs), default=0.0)
    paid = max(
        (1 if c.sweep is None else c.sweep.choices for c in (run.certificate for run in results.runs)), default=1
    )
    grid = (
        "no grid has to be paid for"
        if paid == 1
        else f"every certificate pays {(paid - 1).bit_length()} bits for the grid of its seeds"
    )
    together = percent_up(min(Decimal(1), len(results.runs) * Decimal(repr(delta))))
    said = [
        f"All {len(results.runs)} runs are shown and none is chosen, so that {grid}; each bound holds alone, with "
        f"confidence {confidence(delta)}. That all of them hold together is not said: picked afterwards, the best may "
        f"be wrong with a chance of up to {together}."
    ]
    below, known = below_true_risk(results.runs)
    if known:
        said.append(
            f"Of {known} networks the true risk is known, because labels were drawn without looking: {below} of their "
            f"bounds lie below it. Of each one the chance of that is at most {percent_up(Decimal(repr(delta)))}."
        )
    return tuple(said)


def _unfinished(results: Results) -> tuple[Section, ...]:
    said = [f"{name} was refused: {why}" for name, why in results.refused.items()]
    if results.missing:
        said.append(f"{results.missing:,} runs are left; the same command goes on with them.")
    return (Section("Not finished", None, tuple(said)),) if said else ()


def _figures(study: Study, results: Results) -> tuple[Drawing, ...]:
    found = []
    for place, one in enumerate(compared(results)):
        runs = [run for run in results.runs if run.sample == one.sample]
        found.append(_dots(one, runs, f"study-{place}-dots"))
        if study.across is not None and len({run.across for run in runs} - {None}) > 1:
            found.append(_against(one, runs, study.across, f"study-{place}-across"))
    return tuple(found)


def _dots(one: Compared, runs: Sequence[Run], name: str) -> Drawing:
    """Draw every bound in the row of its arm, a line at the mean, and the true risk where it is known."""
    with sheet(1.0 + 0.42 * len(one.arms)) as (figure, axes):
        for place, arm in enumerate(one.arms):
            values = [100 * run.certificate.stated_bound.value for run in runs if run.arm == arm.name]
            axes.plot(values, [place] * len(values), MARKERS[0], color=COLOURS[0], markersize=6, alpha=0.7)
            axes.plot([100 * arm.group.mean] * 2, [place - 0.3, place + 0.3], color=INK, linewidth=1.6)
        for risk in sorted({run.true_risk for run in runs if run.true_risk is not None}):
            axes.axvline(
                100 * risk, color=COLOURS[1], linewidth=1.2, linestyle="--", label="true risk of random labels"
            )
            figure.legend(loc="outside upper right", fontsize=9)
        axes.set_yticks(range(len(one.arms)), [arm.name for arm in one.arms])
        axes.set_ylim(len(one.arms) - 0.5, -0.5)
        axes.grid(axis="x", color=FAINT, linewidth=0.4)
        axes.set_xlabel("bound in %")
        what = f"{one.sample}: bounds by arm"
        return drawing(figure, name, what, f"{what}. A dot is a seed, a line the mean; left is better.")


def _against(one: Compared, runs: Sequence[Run], across: Across, name: str) -> Drawing:
    """Draw every bound over the second axis, each arm with a marker of its own, means joined where that is an order."""
    points = [run for run in runs if run.across is not None]
    with sheet() as (figure, axes):
        if across != "flatness":
            means = sorted((arm.across, 100 * arm.group.mean) for arm in one.arms if arm.across is not None)
            axes.plot(*zip(*means, strict=True), color=FAINT, linewidth=1)
        for place, arm in enumerate(one.arms):
            own = [(run.across, 100 * run.certificate.stated_bound.value) for run in points if run.arm == arm.name]
            if own:
                style = place % len(COLOURS)
                axes.plot(
                    *zip(*own, strict=True), MARKERS[style], color=COLOURS[style], label=arm.name, markersize=6,
                    linestyle="none",
                )  # fmt: skip
        values = [run.across or 0.0 for run in points]
        if min(values) > 0 and max(values) > WIDE * min(values):
            axes.set_xscale("log")
        axes.set_xlabel(AXES[across])
        axes.set_ylabel("bound in %")
        figure.legend(loc="outside upper left", fontsize=9, ncols=2)
        what = f"{one.sample}: bounds against {AXES[across].partition(';')[0]}"
        return drawing(figure, name, what, f"{what}.")
