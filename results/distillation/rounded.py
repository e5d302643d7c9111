"""What is left of a teacher in the certificate: whole runs with its probabilities in the place of labels, and without.

Digits and MNIST by the networks of `certify --data digits` and results/features. The teacher is trained on the same
sample by the plain training that a theta0 has: of digits the network that picks are taught to, of MNIST four
convolutions, both under affine noise. Its plain probabilities stand in the loss of every stage; survivors, refinement
and counts go by the true labels. Rows are added to rounded.csv: python results/distillation/rounded.py [DATA ...]
"""

import csv
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

import pacbound as pb
from pacbound.data.preprocess import preprocessed
from pacbound.models.reference import build, initialise
from pacbound.picking.augment import usual
from pacbound.pipeline.preparation import prepare
from pacbound.subspace.subspace import Subspace
from pacbound.threads import one_thread
from pacbound.training import posterior
from pacbound.training.fit import Sample
from pacbound.training.joint import _Known
from pacbound.training.start import StartPlan, train_start
from pacbound.training.state import Checkpoint

FOLDER = Path(__file__).parent
ASKED = 500


@dataclass(frozen=True)
class Case:
    """The network that is coded, its passes over the sample (None: the default), those of the teacher, and seeds."""

    model: str
    epochs: int | None
    teacher: str
    taught: int
    seeds: int


CASES = {
    "digits": Case("mlp", None, "V1-r32-L", 40, 3),
    "mnist": Case("moments-edges1-c8k5-R-A4s3-L", 8, "c16k3p1-R-M2-c32k3p1-R-c32k3p1-R-M2-c64k3p1-R-G-L", 5, 3),
}


@dataclass(frozen=True)
class Brief(StartPlan):
    """A training of so many passes."""

    passes: int = 1

    def epochs(self, n: int) -> int:
        return self.passes


def probabilities(data: str, case: Case) -> Tensor:
    """Train a teacher and return its class probabilities of the training examples, (n, classes)."""
    setup = prepare("auto", data, None, pb.Request(data=data, projector="fastfood"), "zero_one")
    x = preprocessed(setup.train.x, setup.preprocess)
    shape = tuple(x.shape[1:])
    network = build(case.teacher, shape, setup.train.classes)
    initialise(network, 0)
    plan = Brief(0, usual(shape, "affine"), passes=case.taught)
    train_start(network, Sample(x, setup.train.y), plan, Checkpoint(None, ""), progress=False)
    with torch.no_grad():
        return torch.cat([network(part) for part in x.split(ASKED)]).softmax(1)


@contextmanager
def told(answers: Tensor | None) -> Iterator[None]:
    """Let probabilities (n, classes) take the place of labels in the loss; None leaves the labels."""
    before = posterior.batch_loss
    if answers is not None:
        posterior.batch_loss = _by(answers)
    try:
        yield
    finally:
        posterior.batch_loss = before


def _by(answers: Tensor) -> Callable[..., tuple[Tensor, int]]:
    def loss(subspace: Subspace, sample: Sample, w: Tensor, rows: Tensor, surrogate: str) -> tuple[Tensor, int]:
        at = w.detach().requires_grad_()
        logits, t = subspace.approximate(at, sample.x[rows]), answers[rows]
        smooth = surrogate == "cross_entropy"
        value = F.cross_entropy(logits, t) if smooth else 1 - (logits.softmax(1) * t).sum(1).mean()
        (gradient,) = torch.autograd.grad(value, at)
        wrong = (logits.detach().argmax(1) != sample.y[rows]).sum()
        return _Known.apply(w, value.detach(), gradient), int(wrong)

    return loss


if __name__ == "__main__":
    with one_thread(True), open(FOLDER / "rounded.csv", "a", encoding="utf-8", newline="") as file:
        for data in sys.argv[1:] or CASES:
            case = CASES[data]
            started = time.process_time()
            answers = probabilities(data, case)
            print(f"{data}: teacher, {time.process_time() - started:.0f} s", flush=True)
            for seed in range(case.seeds):
                for arm, given in (("labels", None), ("teacher", answers)):
                    request = pb.Request(
                        data=data, model=case.model, epochs=case.epochs, seed=seed, projector="fastfood"
                    )
                    started = time.process_time()
                    with told(given):
                        made = pb.certify(request=request, progress=False)
                    spent = time.process_time() - started
                    row = (
                        data,
                        seed,
                        arm,
                        made.risk.errors,
                        made.risk.n,
                        made.ledger.bits,
                        f"{made.bound.value:.5f}",
                        f"{spent:.0f}",
                    )
                    csv.writer(file).writerow(row)
                    file.flush()
