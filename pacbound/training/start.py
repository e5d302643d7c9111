"""A better start: theta0 trained on the first examples of a split, by one recipe without options.

The certificate takes it on somebody's word that the recipe was fixed before the rest of the sample was seen; here it
is, so that a run of this package keeps that word.
"""

import torch
from torch import Generator, nn
from torch.nn import functional as F

from ..errors import ModelError, first_line
from ..networks.trained import training_mode
from ..progress import hidden, tqdm
from .fit import Sample
from .phases import one_cycle

EPOCHS = 20
RATE = 0.003  # peak of Adam's one cycle
BATCH, SMALLEST_BATCH, STEPS_AN_EPOCH = 250, 8, 20


def train_start(module: nn.Module, sample: Sample, seed: int, progress: bool = True) -> None:
    """Train every trainable parameter of a module in place by cross-entropy, its running statistics along with it.

    Args: module: left in eval mode. sample: the first examples of a split, and no other. seed: of their order and of
        whatever randomness the module has while it trains; torch's own generator is left as it was.
    Raises: ModelError where the loss is no longer finite, or the network cannot train on these batches.
    """
    batch = min(sample.n, max(SMALLEST_BATCH, min(BATCH, sample.n // STEPS_AN_EPOCH)))
    steps, total = sample.n // batch, EPOCHS * (sample.n // batch)
    adam = torch.optim.Adam([p for p in module.parameters() if p.requires_grad], RATE)
    bar = tqdm(total=total, desc="theta0", unit="step", disable=hidden(progress))
    training_mode(module)
    with bar, torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for epoch in range(EPOCHS):
            order = torch.randperm(sample.n, generator=Generator().manual_seed(seed * 1_000_003 + epoch))
            for k in range(steps):
                factor, momentum = one_cycle((epoch * steps + k) / total)
                adam.param_groups[0].update(lr=RATE * factor, betas=(momentum, 0.999))
                rows = order[k * batch : (k + 1) * batch]
                _step(module, adam, sample, rows)
                bar.update()
    module.eval()


def _step(module: nn.Module, adam: torch.optim.Adam, sample: Sample, rows: torch.Tensor) -> None:
    adam.zero_grad()
    try:
        loss = F.cross_entropy(module(sample.x[rows]), sample.y[rows])
    except (RuntimeError, ValueError) as cause:
        raise ModelError(
            f"train_start: the network trains on batches of {len(rows)}, got the error "
            f"{first_line(cause)!r}. Bring theta0 as a checkpoint instead."
        ) from cause
    if not torch.isfinite(loss):
        raise ModelError(f"train_start: the loss of theta0 became {float(loss.detach())}. Scale the inputs down.")
    loss.backward()
    adam.step()
