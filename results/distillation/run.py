"""Does a teacher help the encoder? The posterior on MNIST after its bounded stage, with and without one.

The teacher is a convolutional network of three widths, trained on the same sample under affine noise; what it says of
every training image takes the place of its label in the loss, or a share of it, at a temperature. Errors are counted on
the true labels. Rows are added to measured.csv: python results/distillation/run.py [ARM ...]
"""

import csv
import math
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

import pacbound as pb
from pacbound.picking.augment import AUGMENTATIONS
from pacbound.pipeline.capturing import with_captured
from pacbound.pipeline.encoding import plan_of
from pacbound.pipeline.preparation import prepare, sample_of
from pacbound.threads import one_thread
from pacbound.training import posterior, progressive
from pacbound.training.phases import one_cycle
from pacbound.training.state import Checkpoint

FOLDER = Path(__file__).parent
REQUEST = pb.Request(data="mnist", model="moments-edges1-c8k5-R-A4s3-L", projector="fastfood")
WIDTH, EPOCHS, BATCH, RATE, DECAY, DROPPED = 16, 5, 128, 0.004, 0.05, 0.2  # of the teacher
ASKED = 500


class Arm(NamedTuple):
    """The teacher's share of the cross-entropy, its temperature there, and its share of the bounded loss."""

    smooth: float
    temperature: float
    bounded: float


ARMS = {
    "labels": Arm(0.0, 1.0, 0.0),
    "smooth": Arm(0.7, 3.0, 0.0),
    "smooth_and_half_bounded": Arm(0.7, 3.0, 0.5),
    "teacher_alone": Arm(1.0, 1.0, 1.0),
}


class Ended(Exception):
    """The bounded stage is over; carries what is written down."""


def teacher() -> Tensor:
    """Train a teacher and return its logits of the training images, (n, 10)."""
    torch.manual_seed(0)
    whole = pb.load("mnist")
    x = ((whole.x.float() / 255 - 0.5) * 2).contiguous(memory_format=torch.channels_last)
    net = nn.Sequential(
        *_block(1, WIDTH), nn.MaxPool2d(2), *_block(WIDTH, 2 * WIDTH), *_block(2 * WIDTH, 2 * WIDTH), nn.MaxPool2d(2),
        *_block(2 * WIDTH, 4 * WIDTH), *_block(4 * WIDTH, 4 * WIDTH), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Dropout(DROPPED), nn.Linear(4 * WIDTH, 10),
    ).to(memory_format=torch.channels_last)  # fmt: skip
    adam, noise = torch.optim.AdamW(net.parameters(), RATE, weight_decay=DECAY), torch.Generator().manual_seed(1)
    steps = len(x) // BATCH
    for epoch in range(EPOCHS):
        order = torch.randperm(len(x), generator=noise)
        for k in range(steps):
            factor, momentum = one_cycle((epoch * steps + k) / (EPOCHS * steps))
            for group in adam.param_groups:
                group.update(lr=RATE * factor, betas=(momentum, 0.999))
            rows = order[k * BATCH : (k + 1) * BATCH]
            seen = AUGMENTATIONS["affine"](x[rows], noise).contiguous(memory_format=torch.channels_last)
            with torch.autocast("cpu", torch.bfloat16):
                logits = net(seen)
            adam.zero_grad()
            F.cross_entropy(logits.float(), whole.y[rows]).backward()
            adam.step()
    net.eval()
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        return torch.cat([net(part).float() for part in x.split(ASKED)])


def _block(inputs: int, outputs: int) -> list[nn.Module]:
    return [nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()]


def taught(logits: Tensor, arm: Arm) -> Callable[..., tuple[Tensor, int]]:
    """Return what takes the place of `batch_loss`."""
    soft = (logits / arm.temperature).softmax(1)

    def loss(subspace: object, sample: object, w: Tensor, rows: Tensor, surrogate: str) -> tuple[Tensor, int]:
        said, y, t = subspace.approximate(w, sample.x[rows]), sample.y[rows], soft[rows]
        if surrogate == "cross_entropy":
            told = -(t * (said / arm.temperature).log_softmax(1)).sum(1).mean() * arm.temperature**2
            value = (1 - arm.smooth) * F.cross_entropy(said, y) + arm.smooth * told
        else:
            p = said.softmax(1)
            value = 1 - (1 - arm.bounded) * p.gather(1, y[:, None]).mean() - arm.bounded * (p * t).sum(1).mean()
        return value, int((said.detach().argmax(1) != y).sum())

    return loss


def measured(arm: Arm, logits: Tensor) -> tuple[float, float, float]:
    """Return risk, bits and bound of the posterior of the last round of the bounded stage."""
    setup = with_captured(prepare(REQUEST.model, REQUEST.data, None, REQUEST, REQUEST.loss), None)
    settings = plan_of(setup, Checkpoint(None, ""))
    trained = progressive.train

    def train(*arguments: object) -> object:
        *others, on_round = arguments
        seen = []

        def again(state: object, found: object) -> None:
            seen.append(found)
            on_round(state, found)

        result = trained(*others, again)
        if others[3].name == "bounded":
            bits = seen[-1].nats / math.log(2)
            n = setup.train.n
            value = pb.bounds.occam_kl(seen[-1].risk * n, n, bits + settings.overhead_bits, 0.05).value
            raise Ended(seen[-1].risk, bits, value)
        return result

    posterior.batch_loss, progressive.train = taught(logits, arm), train
    try:
        progressive.encode_posterior(
            progressive.Task(setup.subspace(), sample_of(setup), settings, 0, Checkpoint(None, ""))
        )
    except Ended as ended:
        return ended.args
    finally:
        progressive.train = trained
    raise AssertionError("the bounded stage never ended")


if __name__ == "__main__":
    with one_thread(True), open(FOLDER / "measured.csv", "a", encoding="utf-8", newline="") as file:
        started = time.process_time()
        logits = teacher()
        print(f"teacher: {time.process_time() - started:.0f} s")
        for name in sys.argv[1:] or ARMS:
            started = time.process_time()
            risk, bits, value = measured(ARMS[name], logits)
            row = (name, f"{risk:.5f}", f"{bits:.0f}", f"{value:.5f}", f"{time.process_time() - started:.0f}")
            csv.writer(file).writerow(row)
