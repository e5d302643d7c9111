"""Does K/R predict compressibility in bits, beyond what the number of parameters predicts?

Reads the certificates of a folder (this one by default), writes table.md, summary.json and ratio_and_bits.svg there.
Bits are compared at one training error for each data set: that which three quarters of the designs reach, read off
between the certificates of different d. Intervals are percentile bootstraps over designs.
"""

import json
import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
import torch

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parents[1]), str(HERE)]
import designs  # noqa: E402

from pacbound.certificate.schema import Certificate  # noqa: E402
from pacbound.measures.designs import designs_of  # noqa: E402
from pacbound.measures.redundancy import measure  # noqa: E402

RESAMPLES = 2000
LEVEL = 0.95
REACHED_BY = 0.75
IMAGE = torch.zeros(1, 1, 28, 28)


@dataclass(frozen=True)
class Outcome:
    """One design on one data set.

    bits: at the common training error, infinite where it is not reached. bound: the best of all d, in [0, 1].
    """

    design: str
    ratio: float
    naive: float
    dimension: float
    D: int
    bits: float
    bound: float
    reached: bool  # False where even the shortest message errs less, so that bits are too many


def analyse(folder: Path) -> str:
    """Write table, summary and plot; return what they say."""
    certificates = {path.stem: Certificate.load(path) for path in sorted(folder.glob("*_d*.json"))}
    data = list(dict.fromkeys(stem.split("_")[0] for stem in certificates))
    if not data:
        return f"{folder.name}: no certificates yet; run.py makes them"
    outcomes = {name: outcomes_of(name, certificates) for name in data}
    summary = {name: associations(rows) for name, rows in outcomes.items()}
    text = "\n\n".join(table(name, rows, target_error(name, certificates)) for name, rows in outcomes.items())
    (folder / "table.md").write_text(text + "\n", "utf-8")
    (folder / "summary.json").write_text(json.dumps(summary, indent=1) + "\n", "utf-8")
    plot(outcomes, folder / "ratio_and_bits.svg")
    return f"{text}\n\n{json.dumps(summary, indent=1)}"


def outcomes_of(data: str, certificates: dict[str, Certificate]) -> list[Outcome]:
    """One outcome for each design that has a certificate on this data set."""
    target = target_error(data, certificates)
    rows = []
    for name in designs.NAMES:
        own = _own(data, name, certificates)
        if not own:
            continue
        torch.manual_seed(0)
        module: torch.nn.Module = getattr(designs, name)()
        found = {m.name: m.value for m in measure(module, IMAGE)}
        projector = own[0].hypothesis.projector
        points = [(c.ledger.bits, c.risk.rate) for c in own]
        rows.append(
            Outcome(
                design=name,
                ratio=designs_of(module, IMAGE)[-1].ratio,
                naive=found["redundancy.naive_parameters"],
                dimension=found["redundancy.sample_dimension"],
                D=sum(p.numel() for p in module.parameters()) if projector is None else projector.D,
                bits=bits_at(points, target),
                bound=min(c.bound.value for c in own),
                reached=max(error for _, error in points) >= target,
            )
        )
    return rows


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


def associations(rows: Sequence[Outcome]) -> dict[str, dict[str, float]]:
    """Kendall's tau of K/R, and of D, with bits, bits per parameter and bound; partial ones given D."""
    pairs: dict[str, Callable[[Sequence[Outcome]], float]] = {
        "tau(K/R, bits)": lambda r: kendall([o.ratio for o in r], [o.bits for o in r]),
        "tau(D, bits)": lambda r: kendall([o.D for o in r], [o.bits for o in r]),
        "tau(K/R, bits | D)": lambda r: partial(r, [o.bits for o in r]),
        "tau(K/R, bits per parameter)": lambda r: kendall([o.ratio for o in r], [o.bits / o.D for o in r]),
        "tau(K/R, bits per parameter | D)": lambda r: partial(r, [o.bits / o.D for o in r]),
        "tau(K/R, bound)": lambda r: kendall([o.ratio for o in r], [o.bound for o in r]),
        "tau(K/R, bound | D)": lambda r: partial(r, [o.bound for o in r]),
    }
    found = {}
    for name, statistic in pairs.items():
        low, high = bootstrap(rows, statistic)
        values = {"value": statistic(rows), "low": low, "high": high}
        found[name] = {key: round(value, 4) for key, value in values.items() if math.isfinite(value)}
    return found


def kendall(x: Sequence[float], y: Sequence[float]) -> float:
    """Kendall's tau-b; NaN where one of them does not vary."""
    pairs = list(combinations(range(len(x)), 2))
    a = [_order(x[i], x[j]) for i, j in pairs]
    b = [_order(y[i], y[j]) for i, j in pairs]
    scale = math.sqrt(sum(abs(s) for s in a) * sum(abs(s) for s in b))
    return sum(s * t for s, t in zip(a, b, strict=True)) / scale if scale else math.nan


def partial(rows: Sequence[Outcome], y: Sequence[float]) -> float:
    """Kendall's partial tau of K/R and y given D (Kendall 1942, Biometrika 32)."""
    x, z = [o.ratio for o in rows], [float(o.D) for o in rows]
    xy, xz, yz = kendall(x, y), kendall(x, z), kendall(y, z)
    scale = math.sqrt(max(0.0, (1 - xz**2) * (1 - yz**2)))
    return (xy - xz * yz) / scale if scale > 0 else math.nan


def bootstrap(rows: Sequence[Outcome], statistic: Callable[[Sequence[Outcome]], float]) -> tuple[float, float]:
    """Percentile interval over resampled designs; resamples in which it is not defined are left out."""
    generator = np.random.default_rng(0)
    draws = [statistic([rows[i] for i in generator.integers(0, len(rows), len(rows))]) for _ in range(RESAMPLES)]
    defined = [draw for draw in draws if math.isfinite(draw)]
    if not defined:
        return math.nan, math.nan
    low, high = np.quantile(defined, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def table(data: str, rows: Sequence[Outcome], target: float) -> str:
    """Markdown, one row for each design."""
    head = ("design", "K/R", "d#", "d_M", "D", f"bits at {100 * target:.2f} % error", "bits/D", "best bound")
    lines = [f"{data}", "", f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for o in rows:
        bits = f"{'' if o.reached else '<= '}{o.bits:,.0f}" if math.isfinite(o.bits) else "not reached"
        cells = (
            o.design, f"{o.ratio:.3g}", f"{o.naive:,.0f}", f"{o.dimension:,.0f}", f"{o.D:,}", bits,
            f"{o.bits / o.D:.3f}" if math.isfinite(o.bits) else "", f"{math.ceil(10000 * o.bound) / 100:.2f} %",
        )  # fmt: skip
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def plot(outcomes: dict[str, list[Outcome]], path: Path) -> None:
    """K/R against bits at equal error, one panel for each data set, one marker for each family."""
    import matplotlib

    matplotlib.use("Agg")
    matplotlib.rcParams["svg.hashsalt"] = "redundancy"  # the same file from the same numbers
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(1, len(outcomes), figsize=(4.5 * len(outcomes), 3.5), squeeze=False)
    for axis, (data, rows) in zip(axes[0], outcomes.items(), strict=True):
        for family, marker in zip(designs.RATIOS, "osD^", strict=True):
            own = [o for o in rows if o.design.startswith(family) and math.isfinite(o.bits)]
            axis.plot([o.ratio for o in own], [o.bits for o in own], marker, label=family)
        axis.set_xscale("log", base=2)
        axis.set_xlabel("K/R")
        axis.set_ylabel("bits at equal training error")
        axis.set_title(data)
    axes[0][0].legend()
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def _order(a: float, b: float) -> int:
    return int(a > b) - int(a < b)  # infinities compare, and do not subtract


def _own(data: str, name: str, certificates: dict[str, Certificate]) -> list[Certificate]:
    return [c for stem, c in certificates.items() if stem.startswith(f"{data}_{name}_d")]


if __name__ == "__main__":
    print(analyse(HERE))
