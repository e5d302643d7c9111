"""A tiny original network in a file, a labelled sample, and unlabelled inputs apart from it."""

from functools import cache
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

import pacbound as pb
from tests.tiny import clouds, network, quick

N, M = 240, 150
SEED_OF_INPUTS = 7


@cache
def original(seed: int = 0) -> nn.Sequential:
    """A network that has been fitted to the labelled sample itself, which nobody may change."""
    module = network(seed)
    x, y = clouds(N)
    adam = torch.optim.Adam(module.parameters(), 0.03)
    for _ in range(15):
        adam.zero_grad()
        nn.functional.cross_entropy(module(x), y).backward()
        adam.step()
    return module


def save_original(folder: Path) -> Path:
    """Write its weights."""
    path = folder / "original.safetensors"
    save_file(original().state_dict(), path)
    return path


def unlabelled(m: int = M) -> Tensor:
    """Inputs of the same source, none of them in the sample."""
    return clouds(m, SEED_OF_INPUTS)[0]


def request(checkpoint: Path, **options: object) -> pb.Request:
    """A surrogate of a few dozen steps; the reference network mlp on six features."""
    chosen = {"surrogate": "mlp", "earlier_looks": 0, **options}
    return quick(method="surrogate", checkpoint=str(checkpoint), **{"epochs": 4, "batch": 60, "rate": 0.2, **chosen})


def certified(checkpoint: Path, inputs: object = None, train: object = None, **options: Any) -> pb.Certificate:
    """Run the method."""
    return pb.certify(
        network(), clouds(N) if train is None else train, unlabelled=unlabelled() if inputs is None else inputs,
        request=request(checkpoint, **options), progress=False,
    )  # fmt: skip


def arguments(checkpoint: Path) -> dict[str, object]:
    """What verify needs to count again."""
    return {"data": clouds(N), "model": network(), "checkpoint": checkpoint, "unlabelled": unlabelled()}
