"""Excess capacity: how far the class of a task can be shrunk before the error moves (Graf et al. 2022).

LeNet is trained free, then inside balls at shares of the norms and distances it ended with. DATA.json beside this
file is rewritten after every training, so the script can be stopped; analyse.py and results/table.py read it.

    python results/excess_capacity/run.py                   Fashion-MNIST
    python results/excess_capacity/run.py mnist             another data set
    python results/excess_capacity/run.py --quick           a miniature in a temporary folder, which says nothing
"""

import argparse
import json
import platform
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from torch import nn

from pacbound.data.preprocess import preprocessed
from pacbound.data.registry import load
from pacbound.measures.layers.layers import layers_of
from pacbound.measures.rademacher.capacity import class_of
from pacbound.models.reference import build, initialise
from pacbound.specs.specs import PreprocessSpec
from pacbound.training.constrained import ConstrainedPlan, Knobs, outcome, train_constrained
from pacbound.training.fit import Sample

PLAN = ConstrainedPlan(epochs=6)
BOTH = (0.7, 0.6, 0.5, 0.35, 0.25, 0.18, 0.12)  # shares of norm and distance alike
ALONE = (0.5, 0.2)  # of one, the other left at what the free network needed
MIXED = ((0.5, 0.7), (0.4, 1.0))  # between those that keep the error
PAIRS = (*((a, a) for a in BOTH), *((a, 1.0) for a in ALONE), *((1.0, a) for a in ALONE), *MIXED)
FREE = "free"


@dataclass
class Record:
    """What is on file: one row for each finished training, and the norms and distances the free one ended with."""

    data: str
    plan: dict[str, object]
    examples: int
    limits: dict[str, tuple[float, float]] = field(default_factory=dict)
    outcomes: list[dict[str, object]] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=dict)

    def save(self, path: Path) -> None:
        """Replace the file in one step."""
        path.with_suffix(".part").write_text(json.dumps(asdict(self), indent=1) + "\n", "utf-8")
        path.with_suffix(".part").replace(path)


def samples(name: str, most: int | None) -> tuple[Sample, Sample, int]:
    """Training and test sample as the network reads them, and the number of classes."""
    made = []
    for split in ("train", "test"):
        examples = load(name, split=split)
        x = preprocessed(examples.x[:most], PreprocessSpec(name=examples.preprocess))
        made.append(Sample(x, examples.y[:most]))
    return made[0], made[1], examples.classes


def protocol(path: Path, plan: ConstrainedPlan, most: int | None, pairs: Sequence[tuple[float, float]]) -> None:
    """Train what is missing from the file. Raises: SystemExit where it is of another plan."""
    train, test, classes = samples(path.stem, most)
    start = build("lenet", train.x.shape[1:], classes)
    initialise(start, plan.seed)
    record = Record(path.stem, asdict(plan), train.n)
    if path.exists():
        record = Record(**json.loads(path.read_text("utf-8")))
        if record.plan != asdict(plan) or record.examples != train.n:
            raise SystemExit(f"{path.name} is of another plan: {record.plan}. Move it away first.")
    record.environment = {"torch": torch.__version__, "python": platform.python_version()}
    wanted = {FREE: (1.0, 1.0)} | {f"norm x {a:g}, distance x {b:g}": (a, b) for a, b in pairs}
    for label, shares in wanted.items():
        if label not in [row["label"] for row in record.outcomes]:
            began = time.process_time()
            row = _trained(label, shares, start, train, test, plan, record.limits)
            seconds = round(time.process_time() - began, 1)
            record.outcomes.append({**row, "shares": shares, "cpu_seconds": seconds})
            record.save(path)
            print(record.outcomes[-1], flush=True)


def _trained(
    label: str,
    shares: tuple[float, float],
    start: nn.Module,
    train: Sample,
    test: Sample,
    plan: ConstrainedPlan,
    limits: dict[str, tuple[float, float]],
) -> dict[str, object]:
    """Train once; the free training also fills in the limits that the others are shares of."""
    trained = train_constrained(start, train, {} if label == FREE else knobs(limits, *shares), plan)
    if label == FREE:
        ended = class_of(layers_of(trained.module, train.x[:1]), layers_of(trained.start, train.x[:1]))
        limits.update({limit.name: (limit.lipschitz, limit.distance) for limit in ended.limits})
    return asdict(outcome(label, trained, train, test))


def knobs(limits: Mapping[str, tuple[float, float]], lipschitz: float, distance: float) -> dict[str, Knobs]:
    """Shares of what the free network ended with, for every layer."""
    return {name: Knobs(s * lipschitz, b * distance) for name, (s, b) in limits.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", default=["fashion-mnist"])
    parser.add_argument("--quick", action="store_true")
    chosen = parser.parse_args()
    for name in chosen.names:
        if chosen.quick:
            with tempfile.TemporaryDirectory() as folder:
                protocol(Path(folder) / f"{name}.json", ConstrainedPlan(epochs=2), 3000, [(0.5, 0.5)])
        else:
            protocol(Path(__file__).parent / f"{name}.json", PLAN, None, PAIRS)


if __name__ == "__main__":
    main()
