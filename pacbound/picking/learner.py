"""The deterministic learner: from an ordered list of examples to a network, and from nothing else."""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm

from ..errors import ModelError, RequestError
from ..networks.trained import training_mode
from ..specs.picks import RecipeSpec
from ..threads import one_thread
from .augment import AUGMENTATIONS

BETAS = (0.9, 0.99)
AVERAGED = 0.3  # of the steps, the last ones, whose weights are averaged
FEWEST, MOST = 10, 30  # batches that batch statistics are taken from


@contextmanager
def deterministic() -> Iterator[None]:
    """Run on one thread with algorithms that give the same bits every time, and put back what was set before."""
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(True)
    try:
        with one_thread(always=True):
            yield
    finally:
        torch.use_deterministic_algorithms(before)


def device_of(recipe: RecipeSpec) -> torch.device:
    """Return the device of a recipe. Raises: RequestError where this machine has none."""
    if recipe.device == "cuda" and not torch.cuda.is_available():
        raise RequestError("picks: the recipe learns on cuda, and this machine has no GPU that torch can use.")
    return torch.device(recipe.device)


def steps_of(recipe: RecipeSpec, t: int) -> int:
    """Return how many steps the learner takes for t picks."""
    return recipe.steps + recipe.epochs * t // recipe.batch


def ready(x: Tensor) -> Tensor:
    """Lay images out channels last, which convolutions on a CPU read two to three times faster."""
    return x.contiguous(memory_format=torch.channels_last) if x.ndim == 4 else x


def learn(
    module: nn.Module, x: Tensor, y: Tensor, recipe: RecipeSpec, on_step: Callable[[int], None] = lambda step: None
) -> None:
    """Train a module in place on the ordered picks x (t, ...), y (t,); it is left in eval mode.

    Adam at a constant rate goes through T, shuffled anew each time, in batches with the recipe's augmentation; what
    it leaves is the mean of the weights after the last steps, with batch statistics taken anew from T.

    Args: x: preprocessed float32, on the device of the module. on_step: called after every step with its number.
    Raises: ModelError where the weights do not stay finite.
    """
    t, steps = len(y), steps_of(recipe, len(y))
    digest = hashlib.sha256(f"{recipe.seed} {t}".encode()).digest()
    own, torchs = (int.from_bytes(digest[start : start + 7], "little") for start in (0, 8))
    batches = _Batches(x, y, recipe, Generator().manual_seed(own))
    trained = [parameter for parameter in module.parameters() if parameter.requires_grad]
    adam = torch.optim.Adam(trained, recipe.rate * 1e-6, betas=BETAS)
    first = steps - max(1, int(AVERAGED * steps))
    mean: list[Tensor] = []
    training_mode(module)
    with torch.random.fork_rng(devices=[]):
        seed = torch.manual_seed if x.is_cuda else torch.default_generator.manual_seed  # the former formats the stack
        seed(torchs)  # of dropout, in a network of the user's own
        for step in range(steps):
            inputs, labels = batches.draw()
            adam.zero_grad()
            F.cross_entropy(module(inputs), labels).backward()
            adam.step()
            if step >= first:
                _average(mean, trained, step - first)
            on_step(step)
        with torch.no_grad():
            for parameter, value in zip(trained, mean, strict=True):
                parameter.copy_(value)
            _take_statistics(module, batches)
    module.eval()
    if not all(bool(torch.isfinite(parameter).all()) for parameter in trained):
        raise ModelError(
            f"picks: a rate of {recipe.rate} millionths is too high for this network: its weights are no numbers any "
            "more. Give a lower --pick-rate."
        )


class _Batches:
    """Augmented batches of T without end: every example once, in a random order, before any comes again."""

    def __init__(self, x: Tensor, y: Tensor, recipe: RecipeSpec, noise: Generator) -> None:
        self.x, self.y, self.noise = x, y, noise
        self.size, self.augment = min(len(y), recipe.batch), AUGMENTATIONS[recipe.augmentation]
        self.left = torch.zeros(0, dtype=torch.int64)

    @property
    def number(self) -> int:
        """Batches that hold every example about once."""
        return len(self.y) // self.size

    def draw(self) -> tuple[Tensor, Tensor]:
        """Return the next batch."""
        if len(self.left) < self.size:
            self.left = torch.cat([self.left, torch.randperm(len(self.y), generator=self.noise)])
        rows, self.left = self.left[: self.size], self.left[self.size :]
        rows = rows.to(self.x.device)
        return ready(self.augment(self.x[rows], self.noise)), self.y[rows]


@torch.no_grad()
def _average(mean: list[Tensor], values: list[nn.Parameter], before: int) -> None:
    """Take the values into a mean of so many before them."""
    if not before:
        mean.extend(value.detach().clone() for value in values)
        return
    for average, value in zip(mean, values, strict=True):
        average.lerp_(value, 1 / (before + 1))


def _take_statistics(module: nn.Module, batches: _Batches) -> None:
    """Replace the statistics of batch norms, which are of other weights, by the mean over some batches of T."""
    norms = [part for part in module.modules() if isinstance(part, _BatchNorm)]
    norms = [norm for norm in norms if norm.track_running_stats and norm.training]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the plain mean
    for _ in range(max(FEWEST, min(MOST, batches.number)) if norms else 0):
        module(batches.draw()[0])
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
