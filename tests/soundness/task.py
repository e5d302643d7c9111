"""A task whose risk is known exactly: points of a finite grid, labels by a line, and noise of known rate."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

import pacbound as pb
from pacbound.networks.hypothesis import Hypothesis, make_base

SIDE = 21
TIE = 1e-4  # a label wins only by more than this share of the largest logit
DELTA = 0.05


@dataclass(frozen=True)
class Task:
    """Inputs uniform on the grid; the label is the side of the line, flipped with probability `noise`."""

    n: int
    noise: float

    def sample(self, repeat: int) -> tuple[Tensor, Tensor]:
        """Draw x (n, 2) and y (n,)."""
        generator = torch.Generator().manual_seed(repeat)
        x = grid()[torch.randint(SIDE * SIDE, (self.n,), generator=generator)]
        flipped = torch.rand(self.n, generator=generator) < self.noise
        y = side(x) ^ flipped.long()
        return x, y

    def risk(self, logits: Tensor) -> float:
        """Expected loss of a network with these logits on the grid, shape (SIDE^2, 2), summed over every outcome."""
        values = logits.double().numpy()
        tie = TIE * np.abs(values).max(1)
        lead = (values[:, 1] - values[:, 0]) * (2 * side(grid()).numpy() - 1)  # of the side over the other
        return float(((1 - self.noise) * (lead <= tie) + self.noise * (-lead <= tie)).mean())


def grid() -> Tensor:
    """All inputs there are, shape (SIDE^2, 2)."""
    axis = torch.linspace(-1, 1, SIDE)
    return torch.cartesian_prod(axis, axis)


def side(x: Tensor) -> Tensor:
    """Which side of a line through no grid point."""
    return (x[:, 0] + 0.7 * x[:, 1] > 0.013).long()


def network(repeat: int, hidden: int = 4) -> nn.Module:
    """A small network with a theta0 of its own for each repeat."""
    torch.default_generator.manual_seed(repeat)
    return nn.Sequential(nn.Linear(2, hidden), nn.ReLU(), nn.Linear(hidden, 2))


def certified(task: Task, repeat: int, request: pb.Request, hidden: int = 4) -> tuple[pb.Certificate, float]:
    """Run the whole pipeline on a fresh sample; return the certificate and the true risk of the decoded network."""
    module = network(repeat, hidden)
    request = request.model_copy(update={"base": "values"})  # a start of its own, fixed before the sample
    certificate = pb.certify(module, task.sample(repeat), request=request, progress=False)
    return certificate, task.risk(decode(certificate, module)(grid()))


def decode(certificate: pb.Certificate, module: nn.Module) -> Hypothesis:
    """Do what a receiver does."""
    return Hypothesis.unpack(certificate.payload(), certificate.hypothesis, make_base(module, None))
