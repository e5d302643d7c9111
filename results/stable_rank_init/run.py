"""Does the stable rank at initialisation change how fast an MLP learns? Loss against step on MNIST.

Every initialisation has the second moment of He's (||W||_F^2 = 2 n_out), so only the spectrum differs: He's Gaussian,
or flat spectra of stable rank 4, 16, 64 and a quarter of the width, which is what a square Gaussian has.

    python run.py            all runs, minutes on two cores; finished ones are skipped, so it can be stopped
    python run.py --quick    a handful of steps into a folder of their own, to see that everything works
"""

import argparse
import itertools
import json
import math
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import mean

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

sys.path[:0] = [str(Path(__file__).parents[2]), str(Path(__file__).parent)]
from analyse import WINDOW, Run, draw, finished, report  # noqa: E402

from pacbound.data.preprocess import preprocessed  # noqa: E402
from pacbound.data.registry import load  # noqa: E402
from pacbound.measures.stable_rank.stable_rank import measure_stable_rank, stable_rank_init_  # noqa: E402
from pacbound.models.reference import initialise  # noqa: E402
from pacbound.specs.specs import PreprocessSpec  # noqa: E402

WIDTH, HIDDEN, BATCH, MOMENTUM = 512, 4, 128, 0.9

Split = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class Plan:
    """What is run: every rank ("he" or a number) at every learning rate for every seed."""

    ranks: tuple[str, ...] = ("he", "4", "16", "64", "128")
    rates: tuple[float, ...] = (0.001, 0.01, 0.05)
    seeds: tuple[int, ...] = (0, 1, 2)
    steps: int = 1500


QUICK = Plan(ranks=("he", "4"), rates=(0.001, 0.05), seeds=(0,), steps=50)


def network() -> nn.Sequential:
    """Flatten, `HIDDEN` layers of `WIDTH` with ReLU, ten logits."""
    sides = [784, *[WIDTH] * HIDDEN]
    layers: list[nn.Module] = [nn.Flatten()]
    for entering, leaving in itertools.pairwise(sides):
        layers += [nn.Linear(entering, leaving), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(WIDTH, 10))


def mean_stable_rank(net: nn.Module, x: Tensor) -> float:
    """Mean over layers of the stable rank of the weights."""
    return next(m.value for m in measure_stable_rank(net, x[:1]) if m.name == "stable_rank_reshaped")


def train(rank: str, rate: float, seed: int, steps: int, train_data: Split, test: Split) -> Run:
    """Train one network by SGD with momentum; batches depend on the seed alone, so ranks see the same ones.

    Training ends where the loss is no longer finite: the run has diverged, and keeps the windows before that.
    """
    net = network()
    initialise(net, seed)
    if rank != "he":
        stable_rank_init_(net, float(rank), seed)
    x, y = train_data
    before = mean_stable_rank(net, x)
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.SGD(net.parameters(), lr=rate, momentum=MOMENTUM)
    losses: list[float] = []
    for _ in range(steps):
        chosen = torch.randint(len(x), (BATCH,), generator=generator)
        loss = cross_entropy(net(x[chosen]), y[chosen])
        if not math.isfinite(float(loss.detach())):
            return Run(rank, rate, seed, steps, windows_of(losses), True, None, before, None)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    with torch.no_grad():
        risk = float((net(test[0]).argmax(dim=1) != test[1]).double().mean())
    return Run(rank, rate, seed, steps, windows_of(losses), False, risk, before, mean_stable_rank(net, x))


def windows_of(losses: list[float]) -> list[float]:
    """Means over whole windows."""
    return [mean(losses[i : i + WINDOW]) for i in range(0, len(losses) - WINDOW + 1, WINDOW)]


def load_split(split: str) -> tuple[Tensor, Tensor]:
    """MNIST as the network reads it."""
    examples = load("mnist", split=split)
    return preprocessed(examples.x, PreprocessSpec(name=examples.preprocess)), examples.y


def run_all(plan: Plan, path: Path) -> list[Run]:
    """Run what is missing; the file is replaced after every run."""
    runs = finished(path)
    done = {(r.rank, r.rate, r.seed, r.steps) for r in runs}
    every = itertools.product(plan.ranks, plan.rates, plan.seeds)
    wanted = [key for key in every if (*key, plan.steps) not in done]
    if not wanted:
        return runs
    train_data, test = load_split("train"), load_split("test")
    for rank, rate, seed in wanted:
        runs.append(train(rank, rate, seed, plan.steps, train_data, test))
        text = json.dumps([asdict(r) for r in runs], indent=1)
        path.with_suffix(".part").write_text(text)
        path.with_suffix(".part").replace(path)
        print(f"rank {rank}, rate {rate}, seed {seed}: test risk {runs[-1].test_risk}", flush=True)
    return runs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a handful of steps, into a temporary folder")
    parser.add_argument("--output", type=Path, help="folder of runs.json and loss.svg; default: this one")
    options = parser.parse_args()
    plan = QUICK if options.quick else Plan()
    default = Path(tempfile.mkdtemp(prefix="stable_rank_init_")) if options.quick else Path(__file__).parent
    folder = options.output or default
    folder.mkdir(parents=True, exist_ok=True)
    run_all(plan, folder / "runs.json")
    draw(folder)
    print(report(folder))


if __name__ == "__main__":
    main()
