"""Views of an image over which a network takes its mean, and what stands before the first trained layer."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def views_of(x: Tensor, mirrored: bool, reach: int) -> list[Tensor]:
    """Return the images of a batch (batch, ..., h, w), their mirror images, and their shifts.

    A shift is of at most `reach` places, vertical and horizontal ones together; what comes in from outside an image has
    the value of the nearest place inside.
    """
    high, wide = x.shape[-2:]
    steps = range(-reach, reach + 1)
    places = [(reach + i, reach + j) for i in steps for j in steps if abs(i) + abs(j) <= reach]
    found = []
    for image in [x, x.flip(-1)] if mirrored else [x]:
        padded = F.pad(image, (reach,) * 4, mode="replicate")
        found += [padded[..., top : top + high, left : left + wide] for top, left in places]
    return found


def count_views(mirrored: bool, reach: int) -> int:
    """Return how many images `views_of` makes of one."""
    return (1 + mirrored) * (1 + 2 * reach * (reach + 1))


class MeanOverViews(nn.Module):
    """In eval mode the mean answer to the views of an image; in training that to the image alone."""

    def __init__(self, network: nn.Module, mirrored: bool, reach: int) -> None:
        """Args: network: from images (batch, ..., h, w) to logits (batch, classes)."""
        super().__init__()
        self.network, self.mirrored, self.reach = network, mirrored, reach

    def forward(self, x: Tensor) -> Tensor:
        """Average over the views."""
        if self.training:
            answer: Tensor = self.network(x)
            return answer
        return torch.stack([self.network(view) for view in views_of(x, self.mirrored, self.reach)]).mean(0)


class Front(nn.Module):
    """What is computed of an image before the first trained layer: (batch, ...) -> (batch, views, ...).

    Nothing in it has parameters, so that an encoder computes it once (networks/captured.py). In training the only view
    is the image itself.
    """

    def __init__(self, layers: nn.Module, mirrored: bool, reach: int) -> None:
        """Args: layers: from images (batch, ..., h, w) to what the first trained layer reads."""
        super().__init__()
        self.layers, self.mirrored, self.reach = layers, mirrored, reach

    def forward(self, x: Tensor) -> Tensor:
        """Compute the maps of every view."""
        views = [x] if self.training else views_of(x, self.mirrored, self.reach)
        return torch.stack([self.layers(view) for view in views], 1)


class MeanOfViews(nn.Module):
    """The mean answer to what `Front` makes of an image: (batch, views, ...) -> (batch, classes)."""

    def __init__(self, network: nn.Module, views: int) -> None:
        """Args: network: from the maps of one view to logits. views: how many there are in eval mode."""
        super().__init__()
        self.network, self.views = network, views

    def forward(self, x: Tensor) -> Tensor:
        """Average over the views."""
        if self.training or self.views == 1:
            answer: Tensor = self.network(x[:, 0])
            return answer
        return torch.stack([self.network(x[:, view]) for view in range(self.views)]).mean(0)
