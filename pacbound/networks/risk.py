"""Count the errors of a decoded network over plain examples, in a way that survives other machines.

float32 on the CPU, eval mode, no augmentation. Where the largest two logits differ by less
than 1e-4 of the largest magnitude the example counts as an error, so that rounding elsewhere cannot add one. Each
example is asked in several batches (passes.py) and has its largest loss.
"""

import math
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..bounds.claims import TOP_K, RiskEstimate
from ..data.callables import find_named
from ..data.examples import Examples
from ..errors import ModelError, RequestError
from .hypothesis import Hypothesis
from .passes import TIE, Network, asking, batch_for, check_deterministic, readings

LossFunction = Callable[[Tensor, Tensor], Tensor]
CUSTOM = "custom"  # name of a user's own loss
LOSS_NOISE = 1e-5  # by which rounding may move a user's own loss of one example
GRAIN = 1000  # sums of fractional losses are kept to 1/1000, rounded up by at least that much


def zero_one(logits: Tensor, y: Tensor) -> Tensor:
    """1 where the label is not the clear winner, shape (batch,)."""
    return top_k(logits, y, 1)


def top_k(logits: Tensor, y: Tensor, k: int) -> Tensor:
    """1 where k or more other logits come near or above the label's, shape (batch,)."""
    margin = TIE * logits.abs().amax(1, keepdim=True)
    own = logits.gather(1, y[:, None])
    rivals = (logits >= own - margin).sum(1) - 1
    return ((rivals >= k) | ~torch.isfinite(logits).all(1)).to(torch.float64)


def error_probability(logits: Tensor, y: Tensor) -> Tensor:
    """1 - p(label), in [0, 1], shape (batch,); 1 where a logit is not finite."""
    loss = 1 - logits.double().softmax(1).gather(1, y[:, None])[:, 0]
    return torch.where(torch.isfinite(loss), loss, torch.ones_like(loss))


LOSSES: dict[str, LossFunction] = {
    "zero_one": zero_one,
    "error_probability": error_probability,
}


def loss_function(loss: str | LossFunction) -> tuple[str, LossFunction]:
    """Return (name, function): of LOSSES, or top_1 to top_9999, or your own function or module:function as `custom`.

    Raises: RequestError for any other.
    """
    if callable(loss):
        return CUSTOM, loss
    if ":" in loss:
        return CUSTOM, find_named(loss, RequestError)
    if counted := TOP_K.fullmatch(loss):
        return loss, partial(top_k, k=int(counted[1]))
    if loss not in LOSSES:
        raise RequestError(
            f"loss: one of {', '.join(LOSSES)} or top_K, got {loss!r}. "
            "Give a function (module:function) for another in [0, 1]."
        )
    return loss, LOSSES[loss]


def losses_of(name: str, function: LossFunction, logits: Tensor, y: Tensor) -> Tensor:
    """Return the losses (batch,), float64. Raises: RequestError where a user's own is not one number in [0, 1] each."""
    try:
        values = function(logits.clone(), y.clone()).double()  # it may write into what it is given
        fits = values.shape == y.shape and bool(((values >= 0) & (values <= 1)).all())
    except Exception as cause:  # whatever a user's own function raises
        raise RequestError(
            f"loss: {name} is a function of (logits, y), got {type(cause).__name__}: {cause}."
        ) from cause
    if not fits:
        raise RequestError(f"loss: {name} gives one number in [0, 1] an example, got something else for {len(y)}.")
    return values


def evaluate(
    hypothesis: Hypothesis, examples: Examples, loss: str | LossFunction = "zero_one", progress: bool = True
) -> RiskEstimate:
    """Sum a per-example loss in [0, 1] over all examples, of each the largest in several passes.

    Returns: errors (an integer for counted losses, else rounded up to 1/1000), n, the loss and the data's digest.
    Raises:
        ModelError: the network is no function of one input; or what was given is not a decoded Hypothesis.
        RequestError: the loss leaves [0, 1], or that of an example depends on others.
    """
    name, function = loss_function(loss)
    total = math.fsum(_worst(hypothesis, examples, name, function, progress).tolist())
    counted = name == "zero_one" or name.startswith("top_")
    errors = round(total) if counted else min(examples.n, (math.floor(total * GRAIN) + 2) / GRAIN)
    return RiskEstimate(errors=errors, n=examples.n, loss=name, data_digest=examples.digest())


def evaluate_apart(
    hypothesis: Hypothesis, examples: Examples, picked: NDArray[np.int64], progress: bool = True
) -> tuple[RiskEstimate, int]:
    """Count errors as `evaluate` does.

    Returns: the errors on all examples, and those among the ones that are not picked, (t,) indices.
    Raises: ModelError as `evaluate` does.
    """
    worst = _worst(hypothesis, examples, "zero_one", zero_one, progress)
    outside = torch.ones(examples.n, dtype=torch.bool)
    outside[torch.from_numpy(picked)] = False
    risk = RiskEstimate(errors=round(float(worst.sum())), n=examples.n, loss="zero_one", data_digest=examples.digest())
    return risk, round(float(worst[outside].sum()))


def _worst(hypothesis: Hypothesis, examples: Examples, name: str, function: LossFunction, progress: bool) -> Tensor:
    if not isinstance(hypothesis, Hypothesis):
        raise ModelError(f"evaluate: only a decoded Hypothesis is evaluated, got {type(hypothesis).__name__}.")
    with asking(hypothesis, examples.x):
        check_deterministic(hypothesis, examples.x)
        return worst_losses(hypothesis, examples, name, function, progress)


def worst_losses(
    network: Network, examples: Examples, name: str, function: LossFunction, progress: bool = True
) -> Tensor:
    """Return the largest loss of each example in any pass of `readings`, (n,) float64.

    1 where a logit is not finite, or the logits of two passes differ by more than those of a clear answer do.

    Raises: ModelError where the network, RequestError where the loss is no function of one example.
    """
    worst, first = torch.zeros(examples.n, dtype=torch.float64), torch.zeros(examples.n, dtype=torch.float64)
    for reading in readings(network, examples.x, progress, batch=batch_for(network, examples.x)):
        rows, y = reading.rows, examples.y[reading.rows]
        batch = reading.batch if name == CUSTOM else len(rows)  # losses of this package treat each row by itself
        if reading.before is reading.logits:
            # alone at first, so that a loss that remembers what it said has said it without company
            first[rows] = losses_by(1 if name == CUSTOM else batch, name, function, reading.logits, y)
        losses = losses_by(batch, name, function, reading.logits, y)
        if name == CUSTOM:
            # the very logits of the first pass in other company: what differs is the loss's own doing
            again = losses_by(batch, name, function, reading.before, y)
            if bool(((again - first[rows]).abs() > LOSS_NOISE).any()):
                raise RequestError(
                    "loss: that of an example depends on its own logits and label alone, got one that changes with the "
                    "other examples of its batch. Compute it row by row, without means or ranks over the batch."
                )
        certain = torch.isfinite(reading.logits).all(1) & ~reading.shaky
        worst[rows] = torch.maximum(worst[rows], torch.where(certain, losses, 1.0))
    return worst


def losses_by(batch: int, name: str, function: LossFunction, logits: Tensor, y: Tensor) -> Tensor:
    """Return the losses (n,) of logits (n, classes), which the loss is shown so many at a time, as `losses_of` does."""
    pairs = zip(logits.split(batch), y.split(batch), strict=True)
    return torch.cat([losses_of(name, function, some, labels) for some, labels in pairs])
