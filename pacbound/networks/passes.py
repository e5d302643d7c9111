"""Ask a network about every input more than once, in other company each time: is it a function of one input?

A bound is about new inputs that come one at a time. A network that looks at its neighbours in a batch, at its place
there or at the size of the batch can look good on a sample and be wrong on every single input.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from ..errors import ModelError, first_line
from ..progress import hidden, tqdm
from ..subspace.random import permutation

Network = Callable[[Tensor], Tensor]
TIE = 1e-4  # logits within this share of the largest magnitude of their row count as tied
BATCH = 500
OTHER_BATCH = 384
ALONE = 1000  # inputs asked one by one
SEED = 0  # of the order of the second pass, and of the inputs asked one by one


@dataclass(frozen=True)
class Reading:
    """Logits (n, classes) of the inputs at `rows` (n,), asked `batch` at a time; `before`: what the first pass said."""

    rows: Tensor
    logits: Tensor
    before: Tensor
    batch: int


def readings(network: Network, x: Tensor, progress: bool = True) -> Iterator[Reading]:
    """Ask about inputs x (n, ...) three times: in order, in another order by another batch size, and one by one.

    The third pass asks about 1,000 inputs, all where n is smaller. Orders come from `subspace.random`, seed 0.

    Why half of a row's tie margin: let m = 1e-4 max |z| be the margin of a row's logits z, so that z counts as right
    only where its label leads by more than m. If no logit of another pass z' is further than m/2 from z, a lead above m
    in z is a lead above m - 2 (m/2) = 0 in z': the label wins there too. So a row that counts as right in every pass
    that saw it is right whichever of these ways it is asked; rounding moves logits by about 1e-6 of them and passes.

    Raises: ModelError where a row's logits differ by more than that, or are finite in one pass only, or where the
        network does not answer batches of some size.
    """
    n = len(x)
    first: list[Tensor] = []
    for rows in _batches(torch.arange(n), BATCH, "counting", progress):
        logits = _ask(network, x[rows])
        first.append(logits)
        yield Reading(rows, logits, logits, BATCH)
    known = torch.cat(first)
    order = torch.from_numpy(permutation(SEED, "networks/passes/order", n))
    alone = torch.from_numpy(permutation(SEED, "networks/passes/alone", n))[:ALONE]
    for chosen, batch in ((order, OTHER_BATCH), (alone, 1)):
        for rows in _batches(chosen, max(batch, OTHER_BATCH), "counting again", progress):
            logits, before = torch.cat([_ask(network, x[asked]) for asked in rows.split(batch)]), known[rows]
            _compare(before, logits)
            yield Reading(rows, logits, before, batch)


def check_deterministic(network: Network, x: Tensor) -> None:
    """Refuse early, on one batch x (n, ...), what is no function of one input. Raises: ModelError."""
    first = _ask(network, x)
    if not torch.allclose(first, _ask(network, x), rtol=0, atol=0, equal_nan=True):
        raise ModelError("evaluate: the network gives two answers to one input. Remove its randomness in eval mode.")
    _compare(first[:1], _ask(network, x[:1]))
    _compare(first, _ask(network, x.flip(0)).flip(0))


def _batches(rows: Tensor, batch: int, name: str, progress: bool) -> Iterator[Tensor]:
    yield from tqdm(rows.split(batch), desc=name, disable=hidden(progress), delay=2)


def _ask(network: Network, x: Tensor) -> Tensor:
    try:
        logits = network(x)
    except Exception as cause:  # whatever a user's own network raises
        raise ModelError(
            f"evaluate: the network answers batches of {BATCH}, of {OTHER_BATCH} and of 1, got for {len(x)} the error "
            f"{first_line(cause)!r}. Freeze batch statistics."
        ) from cause
    if logits.ndim != 2 or len(logits) != len(x):
        raise ModelError(
            f"evaluate: the network returns logits (batch, classes), got {tuple(logits.shape)} for a batch of "
            f"{len(x)}. Return one row an input."
        )
    return logits


def _compare(one: Tensor, other: Tensor) -> None:
    """Refuse two answers (batch, classes) to the same inputs that differ by more than half a tie margin."""
    finite = torch.isfinite(one).all(1)
    if one.shape == other.shape and torch.equal(finite, torch.isfinite(other).all(1)):
        here, there = one[finite].double(), other[finite].double()
        margin = TIE * torch.minimum(here.abs().amax(1), there.abs().amax(1))
        if bool(((here - there).abs().amax(1) <= margin / 2).all()):
            return
    raise ModelError(
        "evaluate: an answer depends on the other inputs of its batch: asked in other company, one input gets logits "
        f"that differ by more than {TIE / 2:g} of their largest magnitude. Freeze batch statistics, and let the "
        "network treat its inputs one by one."
    )
