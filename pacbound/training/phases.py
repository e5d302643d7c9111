"""What one phase of training does to the coefficients before the network sees them, and for how long.

A relaxation turns the trained parameters into the coefficients w (d,) that the network is given, and into the
nats that they will cost. Parameters: `w` always; `log_scale` of the Gaussian rate; `centroids` of a codebook.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

import torch
from torch import Generator, Tensor

from .losses import Surrogate, gaussian_nats

Parameters = dict[str, Tensor]
Optimizer = Literal["adam", "sgd"]


class Relaxation(Protocol):
    """One verb: parameters -> (w as the network sees it, nats)."""

    def apply(self, parameters: Mapping[str, Tensor], generator: Generator) -> tuple[Tensor, Tensor]:
        """Return w (d,) and its price in nats (scalar); differentiable in the parameters."""
        ...


@dataclass(frozen=True)
class Continuous:
    """No quantization and no price."""

    def apply(self, parameters: Mapping[str, Tensor], generator: Generator) -> tuple[Tensor, Tensor]:
        """See Relaxation."""
        return parameters["w"], torch.zeros(())


@dataclass(frozen=True)
class UniformNoise:
    """w plus uniform noise of one lattice step (Balle et al. 2017, arXiv:1611.01704), priced by a Gaussian."""

    step: float

    def apply(self, parameters: Mapping[str, Tensor], generator: Generator) -> tuple[Tensor, Tensor]:
        """See Relaxation."""
        w = parameters["w"]
        noisy = w + self.step * (torch.rand(w.shape, generator=generator) - 0.5)
        return noisy, gaussian_nats(noisy / self.step, parameters["log_scale"])


@dataclass(frozen=True)
class StraightThrough:
    """w rounded to the lattice, with the gradient of the identity, priced by a Gaussian."""

    step: float

    def apply(self, parameters: Mapping[str, Tensor], generator: Generator) -> tuple[Tensor, Tensor]:
        """See Relaxation."""
        w = parameters["w"]
        rounded = w + (torch.round(w.detach() / self.step) * self.step - w.detach())
        return rounded, gaussian_nats(rounded / self.step, parameters["log_scale"])


@dataclass(frozen=True)
class NearestCentroid:
    """w replaced by its nearest centroid; gradients reach w by the identity and each centroid by its members."""

    def apply(self, parameters: Mapping[str, Tensor], generator: Generator) -> tuple[Tensor, Tensor]:
        """See Relaxation."""
        w, centroids = parameters["w"], parameters["centroids"]
        ordered = centroids.detach().sort()
        nearest = torch.bucketize(w.detach(), (ordered.values[1:] + ordered.values[:-1]) / 2)
        chosen = centroids[ordered.indices[nearest]]
        return chosen + w - w.detach(), torch.zeros(())


@dataclass(frozen=True)
class Phase:
    """Epochs under one relaxation; the loss is surrogate + beta * nats / n.

    rates: peak learning rate of each trained parameter; the others stay as they are. optimizer: of w; all else is
    trained by Adam.
    """

    name: str
    relaxation: Relaxation
    epochs: int
    rates: Mapping[str, float]
    surrogate: Surrogate = "cross_entropy"
    beta: float = 0.0
    optimizer: Optimizer = "adam"


def one_cycle(progress: float) -> tuple[float, float]:
    """Return (fraction of the peak rate, momentum: Adam's beta1) at a progress in [0, 1].

    Cosine rise from 1/25 over the first 30 %, cosine fall to 1/10000 after; momentum mirrors it between
    .95 and .85 (Smith and Topin 2018, arXiv:1708.07120).
    """
    rise = 0.3
    if progress < rise:
        height = (1 - math.cos(math.pi * progress / rise)) / 2
        return 1 / 25 + (1 - 1 / 25) * height, 0.95 - 0.1 * height
    height = (1 + math.cos(math.pi * (progress - rise) / (1 - rise))) / 2
    return 1e-4 + (1 - 1e-4) * height, 0.95 - 0.1 * height
