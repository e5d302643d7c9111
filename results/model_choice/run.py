"""Which small network has the shortest code? A trained posterior for each candidate, at equal gradient steps.

What is compared is the bound that the kl form gives to the noisy predictions and the KL of the posterior before it is
rounded: an estimate that ranks networks in a minute each, not a certificate. Candidates are written as in the table:
c4k5 a convolution of 4 channels and 5x5 kernels (p: padded to keep the size), R ReLU, A an average and M a maximum over
2x2 places, A3 an average over 3x3 places that overlap, F64 a hidden layer of 64, G the mean over all places, L logits.
"theta0 x 2" scales theta0, "first layer x 2" the steps of that layer. Augmented candidates see every training batch
"mirrored" (each image with probability 1/2) or "shifted" (by -1, 0 or 1 pixel each way); the risk is that of the plain
images all the same.
Rows go to DATA.json beside this file as they are finished; finished ones are skipped. --quick: two candidates, a few
steps, printed and not kept.
"""

import argparse
import json
import math
import re
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from pacbound.bounds.occam import occam_kl
from pacbound.data.preprocess import preprocessed
from pacbound.data.registry import load
from pacbound.models.architecture import MeanOverPlaces
from pacbound.networks.hypothesis import make_base, make_subspace
from pacbound.specs.specs import PreprocessSpec, ProjectorSpec
from pacbound.training.fit import Sample
from pacbound.training.progressive import Task, train_posterior
from pacbound.training.settings import PosteriorSettings
from pacbound.training.state import Checkpoint

FOLDER = Path(__file__).parent
SETTINGS = PosteriorSettings(warm_steps=200, smooth_steps=700, bounded_steps=1284, blocks=1, fisher_examples=3000)
OVERHEAD_BITS = 72
MNIST = (
    "c16k5-M-R-c32k5-M-R-F64-R-L",
    "c16k5-A-R-c32k5-A-R-F64-R-L",
    "c32k5-A-R-c64k5-A-R-L",
    "c16k5-A-R-c32k5-A-R-L",
    "c16k5-R-A-c32k5-R-A-L",
    "c16k5-R-A3-c32k5-R-A3-L",
    "c16k3p-R-A-c32k3p-R-A-L",
    "c8k5-R-A3-c32k5-R-A3-L",
    "c8k5-R-A3-c16k5-R-A3-L",
    "c8k5-R-A3-c16k5p-R-A3-c16k3p-R-A3-L",
    "c6k5-R-A3-c12k5-R-A3-L",
    "c4k5-R-A3-c12k5-R-A3-L",
    "c4k5-R-A3-c8k5-R-A3-L",
    "c4k5-R-A3-c12k5-R-A3-L theta0 x 0.5",
    "c4k5-R-A3-c12k5-R-A3-L theta0 x 2",
    "c4k5-R-A3-c12k5-R-A3-L first layer x 2",
    "c4k5-R-A3-c12k5-R-A3-L last layer x 2",
    "c4k5-R-A3-c12k5-R-A3-L shifted",
)
CIFAR = (
    "c16k5-M-R-c32k5-M-R-F64-R-L",
    "c16k5p-A-R-c32k5p-A-R-L",
    "c16k5p-R-A-c32k5p-R-A-c64k5p-R-G-L",
    "c16k5p-R-A-c32k5p-R-A-c64k5p-R-A-L",
    "c12k5p-R-A3-c24k5p-R-A3-c48k3p-R-A3-L",
    "c8k5p-R-A3-c16k5p-R-A3-c32k5p-R-A3-L",
    "c8k5p-R-A3-c16k5p-R-A3-c32k5p-R-A3-L mirrored",
    "c6k5p-R-A3-c12k5p-R-A3-c24k5p-R-A3-L",
)
FASHION = (MNIST[0], *MNIST[8:9], *MNIST[10:12], f"{MNIST[11]} mirrored")
CANDIDATES = {"mnist": MNIST, "fashion-mnist": FASHION, "cifar10": CIFAR}


@dataclass(frozen=True)
class Row:
    """One candidate: risk of noisy predictions in the last round, KL in bits, and the kl bound of the two."""

    network: str
    D: int
    d: int
    risk: float
    bits: float
    bound: float
    seconds: float


def build(text: str, shape: tuple[int, ...]) -> nn.Sequential:
    """Build a candidate for images of (channels, height, width)."""
    layers: list[nn.Module] = []
    for word in text.split()[0].split("-"):
        convolution = re.fullmatch(r"c(\d+)k(\d+)(p?)", word)
        with torch.no_grad():
            sides = nn.Sequential(*layers)(torch.zeros(1, *shape)).shape[1:]
        if convolution:
            width, kernel = int(convolution[1]), int(convolution[2])
            layers.append(nn.Conv2d(sides[0], width, kernel, padding=kernel // 2 if convolution[3] else 0))
        elif word in ("L", "F64"):
            layers += [nn.Flatten(), nn.Linear(math.prod(sides), 10 if word == "L" else 64)]
        else:
            makers = {"R": nn.ReLU, "G": MeanOverPlaces}
            pools = {"A": nn.AvgPool2d(2), "A3": nn.AvgPool2d(3, 2), "M": nn.MaxPool2d(2)}
            layers.append(makers[word]() if word in makers else pools[word])
    return nn.Sequential(*layers)


def measure(text: str, sample: Sample, d: int, settings: PosteriorSettings) -> Row:
    """Train the posterior of one candidate."""
    started = time.monotonic()
    base = make_base(build(text, tuple(sample.x.shape[1:])), 0)
    subspace = make_subspace(base, ProjectorSpec(kind="fastfood", D=base.layout.D, d=d, seed=0), True)
    torch.manual_seed(0)  # of augmentation; everything else has generators of its own
    change = re.search(r" (theta0|first|last)\D* x ([\d.]+)", text)
    if change and change[1] == "theta0":
        subspace.theta0 *= float(change[2])
    elif change:
        slots = base.layout.slots[:2] if change[1] == "first" else base.layout.slots[-2:]
        assert subspace.scale is not None
        subspace.scale[slots[0].start : slots[-1].stop] *= float(change[2])
    plain = subspace.approximate
    for word in AUGMENTATIONS.keys() & set(text.split()):
        subspace.approximate = lambda w, x, change=AUGMENTATIONS[word]: plain(w, change(x))  # type: ignore[method-assign]
    posterior = train_posterior(Task(subspace, sample, settings, 0, Checkpoint(None, ""))).posterior
    risk = noisy_risk(subspace.call, posterior.draw, sample)
    bits = posterior.nats() / math.log(2)
    bound = occam_kl(risk * sample.n, sample.n, bits + OVERHEAD_BITS, 0.05).value
    return Row(text, base.layout.D, d, risk, bits, bound, round(time.monotonic() - started, 1))


def mirrored(x: Tensor) -> Tensor:
    """Turn half of the images (batch, channels, height, width), drawn by torch's own generator, left to right."""
    chosen = torch.rand(len(x)) < 0.5
    return torch.where(chosen[:, None, None, None], x.flip(-1), x)


def shifted(x: Tensor) -> Tensor:
    """Move the whole batch by -1, 0 or 1 pixel down and across; what leaves on one side enters on the other."""
    return x.roll(tuple(torch.randint(-1, 2, (2,)).tolist()), (-2, -1))


AUGMENTATIONS = {"mirrored": mirrored, "shifted": shifted}


@torch.no_grad()
def noisy_risk(call, draw, sample: Sample) -> float:  # type: ignore[no-untyped-def]
    """Share of errors when every batch of the sample is read by a draw of its own."""
    generator = torch.Generator().manual_seed(1)
    wrong = 0
    x: Tensor
    for x, y in zip(sample.x.split(1000), sample.y.split(1000), strict=True):
        wrong += int((call(draw(generator), x).argmax(1) != y).sum())
    return wrong / sample.n


def main() -> None:
    """Measure what is not measured yet."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="*", help=f"of {', '.join(CANDIDATES)}; by default all")
    parser.add_argument("--quick", action="store_true", help="two candidates and a few steps, printed and not kept")
    chosen = parser.parse_args()
    for name in chosen.data or CANDIDATES:
        file = FOLDER / f"{name}.json"
        rows = [] if chosen.quick or not file.exists() else json.loads(file.read_text())
        examples = load(name)
        x = preprocessed(examples.x, PreprocessSpec(name=examples.preprocess))
        sample = Sample(x if x.ndim == 4 else x[:, None], examples.y)
        settings = SETTINGS
        if chosen.quick:
            settings = SETTINGS.model_copy(
                update={"warm_steps": 2, "smooth_steps": 4, "bounded_steps": 4, "fisher_examples": 200}
            )
        for text in CANDIDATES[name][: 2 if chosen.quick else None]:
            if any(row["network"] == text for row in rows):
                continue
            rows.append(asdict(measure(text, sample, 64 if chosen.quick else 1024, settings)))
            print(name, rows[-1], flush=True)
            if not chosen.quick:
                file.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
