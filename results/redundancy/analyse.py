"""Does K/R predict compressibility in bits, beyond what the number of parameters predicts?

Reads the certificates beside it, prints a report and draws ratio_and_bits.svg. Bits are compared at one training error
for each data set: that which three quarters of the designs reach, read off between the certificates of different d.
Intervals are percentile bootstraps over designs.
"""

import functools
import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parents[1]), str(HERE)]
import designs  # noqa: E402

from pacbound.certificate.schema import Certificate  # noqa: E402
from pacbound.measures.layers.layers import layers_of  # noqa: E402
from pacbound.measures.redundancy.designs import designs_of  # noqa: E402

RESAMPLES = 2000
LEVEL = 0.95
REACHED_BY = 0.75
FIGURE = "ratio_and_bits.svg"
IMAGE = torch.zeros(1, 1, 28, 28)


@dataclass(frozen=True)
class Shape:
    """What follows from a design alone: K/R of its blocks, d#, d_M and all parameters."""

    ratio: float
    naive: float
    dimension: float
    D: int


Associations = dict[str, dict[str, float]]
Floats = NDArray[np.float64]
Statistic = Callable[[Floats], Floats]  # of how often each design is there


@dataclass(frozen=True)
class Outcome:
    """One design on one data set.

    bits: at the common training error, infinite where it is not reached. bound: the best of all d, in [0, 1].
    minutes: of all d together, on whatever else the machine did.
    """

    design: str
    ratio: float
    naive: float
    dimension: float
    D: int
    bits: float
    bound: float
    reached: bool  # False where even the shortest message errs less, so that bits are too many
    minutes: float = 0.0

    @property
    def family(self) -> str:
        return self.design.rsplit("_", 1)[0]


def report(folder: Path) -> str:
    """Tables of every data set that has certificates, Markdown for the README of the folder."""
    certificates = _certificates(folder)
    if not certificates:
        return f"No runs yet: `python results/{folder.name}/run.py`.\n"
    outcomes = {name: outcomes_of(name, certificates) for name in _data(certificates)}
    parts = []
    for name, rows in outcomes.items():
        parts += [name, table(rows, target_error(name, certificates)), association_table(associations(rows))]
    return "\n\n".join([*parts, f"![K/R against bits at equal training error]({FIGURE})"]) + "\n"


def draw(folder: Path) -> None:
    """Make the plot anew, where there are certificates."""
    certificates = _certificates(folder)
    if certificates:
        plot({name: outcomes_of(name, certificates) for name in _data(certificates)}, folder / FIGURE)


def summary(folder: Path) -> str:
    """One paragraph for each data set."""
    certificates, path = _certificates(folder), f"results/{folder.name}"
    if not certificates:
        return f"No runs yet: `python {path}/run.py`.\n"
    parts = []
    for name in _data(certificates):
        rows = outcomes_of(name, certificates)
        parts.append(paragraph(name, rows, target_error(name, certificates), associations(rows)))
    return "\n\n".join([*parts, f"Tables and plot: [{path}]({path}/README.md)."]) + "\n"


def outcomes_of(data: str, certificates: dict[str, Certificate]) -> list[Outcome]:
    """One outcome for each design that has a certificate on this data set."""
    target = target_error(data, certificates)
    rows = []
    for name in designs.NAMES:
        own = _own(data, name, certificates)
        if not own:
            continue
        shape = shape_of(name)
        projector = own[0].hypothesis.projector
        points = [(c.ledger.bits, c.risk.rate) for c in own]
        rows.append(
            Outcome(
                design=name,
                ratio=shape.ratio,
                naive=shape.naive,
                dimension=shape.dimension,
                D=shape.D if projector is None else projector.D,
                bits=bits_at(points, target),
                bound=min(c.bound.value for c in own),
                reached=max(error for _, error in points) >= target,
                minutes=sum(sum(c.environment.seconds.values()) for c in own) / 60,
            )
        )
    return rows


@functools.cache
def shape_of(name: str) -> Shape:
    """Build the network once and count."""
    module: torch.nn.Module = getattr(designs, name)()
    blocks = designs_of(module, IMAGE)
    naive = sum(record.weight.numel() for record in layers_of(module, IMAGE).records)
    dimension = naive - sum(block.redundancy for block in blocks)
    return Shape(blocks[-1].ratio, float(naive), float(dimension), sum(p.numel() for p in module.parameters()))


def target_error(data: str, certificates: dict[str, Certificate]) -> float:
    """The smallest training error that three quarters of the designs reach."""
    own = [_own(data, name, certificates) for name in designs.NAMES]
    least = sorted(min(c.risk.rate for c in group) for group in own if group)
    return least[math.ceil(REACHED_BY * len(least)) - 1]


def bits_at(points: Sequence[tuple[int, float]], target: float) -> float:
    """Bits at which the error first falls to the target, linearly between (bits, error) points in order of bits."""
    before: tuple[int, float] | None = None
    for bits, error in sorted(points):
        if error <= target:
            if before is None or before[1] == error:
                return float(bits)
            share = (before[1] - target) / (before[1] - error)
            return before[0] + share * (bits - before[0])
        before = (bits, error)
    return math.inf


def associations(rows: Sequence[Outcome]) -> Associations:
    """Kendall's tau of K/R, and of D, with bits, bits per parameter and bound; partial ones given D."""
    ratios, sizes, bits = [o.ratio for o in rows], [o.D for o in rows], [o.bits for o in rows]
    dense, bounds = [o.bits / o.D for o in rows], [o.bound for o in rows]
    statistics: dict[str, Statistic] = {
        "tau(K/R, bits)": lambda counts: kendall(ratios, bits, counts),
        "tau(D, bits)": lambda counts: kendall(sizes, bits, counts),
        "tau(K/R, bits | D)": lambda counts: partial(rows, bits, counts),
        "tau(K/R, bits within families)": lambda counts: within(rows, counts),
        "tau(K/R, bits per parameter)": lambda counts: kendall(ratios, dense, counts),
        "tau(K/R, bits per parameter | D)": lambda counts: partial(rows, dense, counts),
        "tau(K/R, bound)": lambda counts: kendall(ratios, bounds, counts),
        "tau(K/R, bound | D)": lambda counts: partial(rows, bounds, counts),
    }
    found = {}
    for name, statistic in statistics.items():
        low, high = bootstrap(len(rows), statistic)
        values = {"value": float(statistic(np.ones(len(rows)))), "low": low, "high": high}
        found[name] = {key: round(value, 4) for key, value in values.items() if math.isfinite(value)}
    return found


def kendall(x: Sequence[float], y: Sequence[float], counts: Floats | None = None) -> Floats:
    """Kendall's tau-b, each design being there as often as `counts` (..., len(x)) says; NaN where one does not vary."""
    return _tau(_orders(x), _orders(y), np.ones(len(x)) if counts is None else counts)


def partial(rows: Sequence[Outcome], y: Sequence[float], counts: Floats | None = None) -> Floats:
    """Kendall's partial tau of K/R and y given D (Kendall 1942, Biometrika 32)."""
    x, z = [o.ratio for o in rows], [o.D for o in rows]
    xy, xz, yz = kendall(x, y, counts), kendall(x, z, counts), kendall(y, z, counts)
    return _over(xy - xz * yz, np.maximum(0.0, (1 - xz**2) * (1 - yz**2)))


def within(rows: Sequence[Outcome], counts: Floats | None = None) -> Floats:
    """Kendall's tau-b of K/R and bits over pairs of designs of the same family only."""
    families = [o.family for o in rows]
    x, y = (np.equal.outer(families, families) * _orders(z) for z in ([o.ratio for o in rows], [o.bits for o in rows]))
    return _tau(x, y, np.ones(len(rows)) if counts is None else counts)


def bootstrap(size: int, statistic: Statistic) -> tuple[float, float]:
    """Percentile interval over resampled designs; resamples in which it is not defined are left out."""
    generator = np.random.default_rng(0)
    drawn = [np.bincount(generator.integers(0, size, size), minlength=size) for _ in range(RESAMPLES)]
    found = statistic(np.array(drawn, np.float64))
    defined = found[np.isfinite(found)]
    if not len(defined):
        return math.nan, math.nan
    low, high = np.quantile(defined, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def paragraph(data: str, rows: Sequence[Outcome], target: float, found: Associations) -> str:
    """What the figures say of the question, in words that follow from them."""
    alone, given_size, size = (found[f"tau({name})"] for name in ("K/R, bits", "K/R, bits | D", "D, bits"))
    never = sum(not math.isfinite(o.bits) for o in rows)
    behind = f" Those that do not reach it, {never}, are tied behind all others." if never else ""
    return (
        f"**{data}**, {len(rows)} designs, bits at {100 * target:.2f} % training error.{behind} Kendall's tau with "
        f"bits is {_interval(alone)} for K/R, {_interval(size)} for D, and {_interval(given_size)} for K/R given D; "
        f"above 0 where more goes with more bits, while redundancy as compressibility would be below. "
        f"{_verdict(given_size)} One seed and {len({o.family for o in rows})} families of designs: a weak test."
    )


def table(rows: Sequence[Outcome], target: float) -> str:
    """Markdown, one row for each design."""
    head = ("design", "K/R", "d#", "d_M", "D", f"bits at {100 * target:.2f} % error", "bits/D", "best bound", "minutes")
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for o in rows:
        bits = f"{'' if o.reached else '<= '}{o.bits:,.0f}" if math.isfinite(o.bits) else "not reached"
        cells = (
            o.design, f"{o.ratio:.3g}", f"{o.naive:,.0f}", f"{o.dimension:,.0f}", f"{o.D:,}", bits,
            f"{o.bits / o.D:.3f}" if math.isfinite(o.bits) else "", f"{math.ceil(10000 * o.bound) / 100:.2f} %",
            f"{o.minutes:.1f}",
        )  # fmt: skip
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def association_table(found: Associations) -> str:
    """Markdown, one row for each statistic."""
    lines = [f"| Kendall's tau | value | {100 * LEVEL:.0f} % interval |", "|---|---|---|"]
    for name, values in found.items():
        low, high = (f"{values[key]:.2f}" if key in values else "-" for key in ("low", "high"))
        value = f"{values['value']:.2f}" if "value" in values else "-"
        lines.append(
            f"| {name.removeprefix('tau(').removesuffix(')').replace('|', 'given')} | {value} | {low} to {high} |"
        )
    return "\n".join(lines)


def _interval(values: dict[str, float]) -> str:
    if set(values) < {"value", "low", "high"}:
        return "not defined"
    return f"{values['value']:.2f} [{values['low']:.2f}, {values['high']:.2f}]"


def _verdict(values: dict[str, float]) -> str:
    if set(values) < {"value", "low", "high"}:
        return "Nothing can be said."
    if values["low"] <= 0 <= values["high"]:
        return (
            "The interval holds 0: beyond the number of parameters, K/R is not shown to predict compressibility here."
        )
    fewer = values["high"] < 0
    return f"Beyond the number of parameters, designs of larger K/R take {'fewer' if fewer else 'more'} bits here."


def plot(outcomes: dict[str, list[Outcome]], path: Path) -> None:
    """K/R against bits at equal error, one panel for each data set, one marker for each family."""
    import matplotlib

    matplotlib.use("Agg")
    matplotlib.rcParams["svg.hashsalt"] = "redundancy"  # the same file from the same numbers
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(
        1, len(outcomes), figsize=(4 * len(outcomes) + 1.5, 3.5), squeeze=False, layout="constrained"
    )
    for axis, (data, rows) in zip(axes[0], outcomes.items(), strict=True):
        for family, marker in zip(designs.RATIOS, "osD^", strict=True):
            own = [o for o in rows if o.family == family and math.isfinite(o.bits)]
            axis.plot([o.ratio for o in own], [o.bits for o in own], marker, label=family)
        axis.set_xscale("log", base=2)
        axis.set_xlabel("K/R")
        axis.set_ylabel("bits at equal training error")
        axis.set_title(data)
    figure.legend(*axes[0][0].get_legend_handles_labels(), loc="outside right upper")
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def _orders(values: Sequence[float]) -> Floats:
    """1 where one is larger than another, -1 where it is smaller, for every two of them in either order."""
    return np.greater.outer(values, values) - 1.0 * np.less.outer(values, values)  # inf - inf would be NaN


def _tau(x: Floats, y: Floats, counts: Floats) -> Floats:
    """Tau-b of two orders (m, m) of designs that are there so many times, counts (..., m)."""

    def pairs(of: Floats) -> Floats:
        return ((counts @ of) * counts).sum(-1)

    return _over(pairs(x * y), pairs(abs(x)) * pairs(abs(y)))


def _over(value: Floats, square: Floats) -> Floats:
    """Value over the root of a square, NaN where that is 0."""
    return np.divide(value, np.sqrt(square), out=np.full(np.shape(square), np.nan), where=square > 0)


def _certificates(folder: Path) -> dict[str, Certificate]:
    return {path.stem: Certificate.load(path) for path in sorted(folder.glob("*_d*.json"))}


def _data(certificates: dict[str, Certificate]) -> list[str]:
    return sorted({stem.split("_")[0] for stem in certificates}, reverse=True)


def _own(data: str, name: str, certificates: dict[str, Certificate]) -> list[Certificate]:
    return [c for stem, c in certificates.items() if stem.startswith(f"{data}_{name}_d")]


if __name__ == "__main__":
    draw(HERE)
    print(summary(HERE), report(HERE), sep="\n")
