"""What training minimises: a smooth or bounded stand-in for the error, and the price of the coefficients."""

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

Surrogate = Literal["cross_entropy", "error_probability"]


def cross_entropy(logits: Tensor, y: Tensor) -> Tensor:
    """Mean negative log-likelihood in nats."""
    return F.cross_entropy(logits, y)


def error_probability(logits: Tensor, y: Tensor) -> Tensor:
    """Mean of 1 - p(label): bounded, so that a hopeless example cannot buy bits."""
    return 1 - logits.softmax(1).gather(1, y[:, None]).mean()


SURROGATES: dict[Surrogate, Callable[[Tensor, Tensor], Tensor]] = {
    "cross_entropy": cross_entropy,
    "error_probability": error_probability,
}


def gaussian_nats(v: Tensor, log_scale: Tensor) -> Tensor:
    """-ln of the mass that N(0, e^(2 log_scale)) gives to [v - 1/2, v + 1/2], summed; v in lattice steps, (d,)."""
    scale = log_scale.exp()
    near = torch.special.log_ndtr((0.5 - v.abs()) / scale)
    far = torch.special.log_ndtr((-0.5 - v.abs()) / scale)
    return -(near + torch.log1p(-(far - near).exp())).sum()
