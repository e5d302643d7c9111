"""Excess capacity: how far the class of a task can be shrunk before the error moves (Graf et al. 2022).

LeNet is trained free, then inside balls at shares of the norms and distances it ended with. Writes DATA.json beside
this file: one row for each training, the excess at 0.5 points of error, and the environment. --quick: 3,000 examples
and 2 epochs, which checks the script and says nothing about the task.
"""

import argparse
import json
import platform
import time
from dataclasses import asdict
from pathlib import Path

import torch

from pacbound.data.preprocess import preprocessed
from pacbound.data.registry import load
from pacbound.models.reference import build, initialise
from pacbound.specs import PreprocessSpec
from pacbound.training.constrained import (
    ConstrainedPlan,
    excess_capacity,
    outcome,
    scaled_knobs,
    train_constrained,
)
from pacbound.training.fit import Sample

SHARES = (1.0, 0.7, 0.5, 0.35, 0.25)
TOLERANCE = 0.005


def samples(name: str, most: int | None) -> tuple[Sample, Sample, int]:
    """Training and test sample as the network reads them, and the number of classes."""
    made = []
    for split in ("train", "test"):
        examples = load(name, split=split)
        x = preprocessed(examples.x[:most], PreprocessSpec(name=examples.preprocess))
        made.append(Sample(x, examples.y[:most]))
    return made[0], made[1], examples.classes


def protocol(name: str, plan: ConstrainedPlan, most: int | None, pairs: list[tuple[float, float]]) -> dict[str, object]:
    train, test, classes = samples(name, most)
    module = build("lenet", train.x.shape[1:], classes)
    initialise(module, plan.seed)
    started = time.time()
    free = train_constrained(module, train, {}, plan)
    rows = [outcome("free", free, train, test)]
    print(rows[0], flush=True)
    for lipschitz, distance in pairs:
        knobs = scaled_knobs(free, train.x[:1], lipschitz, distance)
        trained = train_constrained(module, train, knobs, plan)
        rows.append(outcome(f"lipschitz {lipschitz:g}, distance {distance:g}", trained, train, test))
        print(rows[-1], flush=True)
    return {
        "data": name,
        "plan": asdict(plan),
        "tolerance": TOLERANCE,
        "excess": asdict(excess_capacity(rows[0], rows[1:], TOLERANCE)),
        "outcomes": [asdict(row) for row in rows],
        "environment": {
            "torch": torch.__version__, "python": platform.python_version(), "seconds": round(time.time() - started)
        },
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", default=["mnist", "fashion-mnist"])
    parser.add_argument("--quick", action="store_true")
    chosen = parser.parse_args()
    folder = Path(__file__).parent
    for name in chosen.names:
        if chosen.quick:
            result = protocol(name, ConstrainedPlan(epochs=2), 3000, [(0.5, 0.5)])
            print(json.dumps(result["excess"], indent=1))
            continue
        target = folder / f"{name}.json"
        if target.exists():
            print(f"{name}: finished, skipped", flush=True)
            continue
        pairs = [(a, b) for a in SHARES for b in SHARES]
        target.write_text(json.dumps(protocol(name, ConstrainedPlan(), None, pairs), indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
