"""The deterministic learner: from an ordered list of examples to a network, and from nothing else."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from ..errors import RequestError
from ..specs.picks import RecipeSpec


@contextmanager
def deterministic() -> Iterator[None]:
    """Run on one thread with algorithms that give the same bits every time, and put back what was set before."""
    threads, before = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before)
        torch.set_num_threads(threads)


def device_of(recipe: RecipeSpec) -> torch.device:
    """Return the device of a recipe. Raises: RequestError where this machine has none."""
    if recipe.device == "cuda" and not torch.cuda.is_available():
        raise RequestError("picks: the recipe learns on cuda, and this machine has no GPU that torch can use.")
    return torch.device(recipe.device)


def steps_of(recipe: RecipeSpec, t: int) -> int:
    """Return how many steps the learner takes for t picks."""
    return recipe.steps + recipe.epochs * t // recipe.batch


def learn(module: nn.Module, x: Tensor, y: Tensor, recipe: RecipeSpec) -> None:
    """Train a module in place on the ordered picks x (t, ...), y (t,); it is left in eval mode."""
    t = len(y)
    seed = int.from_bytes(hashlib.sha256(f"{recipe.seed} {t}".encode()).digest()[:7], "little")
    noise = Generator().manual_seed(seed)
    steps = steps_of(recipe, t)
    adam = torch.optim.Adam([p for p in module.parameters() if p.requires_grad], recipe.rate * 1e-6)
    module.train()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for step in range(steps):
            adam.param_groups[0]["lr"] = recipe.rate * 1e-6 * (1 - step / steps)
            rows = torch.randint(t, (min(t, recipe.batch),), generator=noise)
            adam.zero_grad()
            F.cross_entropy(module(x[rows]), y[rows]).backward()
            adam.step()
    module.eval()
