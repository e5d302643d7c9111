"""What a network loses against another one on the same symbols or examples: differences of two bounded losses.

Both networks are fixed before the text or sample, so that nothing is coded: 0 bits. A difference is negative where the
second network is worse, and its range is known beforehand from both losses' own.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..bounds.losses import LossSums, joined, loss_sums
from ..data.examples import Examples
from ..data.texts import Text
from ..errors import RequestError
from ..specs.language import TOLERANCE_BITS, PredictionSpec, difference_range
from ..threads import tick
from .passes import BATCH, TIE, Network, asking, check_deterministic
from .predictions import Predicted, predict, predicting
from .risk import LOSS_NOISE, LOSSES

Vector = NDArray[np.float64]


def difference_sums(
    network: nn.Module, reference: nn.Module, text: Text, prediction: PredictionSpec,
    tolerance: float = TOLERANCE_BITS, progress: bool = True, most: int | None = None,
) -> LossSums:  # fmt: skip
    """Sum up X_i = loss of `network` - loss of `reference` over the symbols of a stream, `tolerance` added to each.

    With p_alpha = (1 - alpha) p + alpha / V for both, X_i = log2 p_alpha(reference) - log2 p_alpha(network) of the
    symbol that came. The centre is 0 and the ceiling M_i the largest such difference over all symbols of the declared
    vocabulary at that position: both predictions are functions of the past, and so is it. It is at most
    `difference_range`, and far below where the networks agree.

    Args: network, reference: from ids (batch, T) to logits (batch, T, V), in eval mode. text: that none of them saw.
        prediction: smoothing and windows. most: symbols after which to stop.
    Raises: ModelError where one of them answers in another shape, or with something that is not finite.
    """
    size, alpha = text.alphabet.size, prediction.smoothing
    reach = difference_range(alpha, size)
    asked = ((network, progress), (reference, False))
    pairs = zip(*(predict(one, text, prediction, None, bar, most) for one, bar in asked), strict=True)
    parts = []
    with predicting(network, text, prediction, None):
        for made, other in pairs:
            x = _loss_beyond(made.own, other.own, alpha, size)
            ceilings = _ceilings(made, other, alpha, size)
            # no difference reaches beyond the range, so that rounding in a logarithm must not either
            x, ceilings = np.clip(x, -reach, reach), np.minimum(ceilings, reach)
            parts.append(loss_sums(x + tolerance, 0.0, np.maximum(ceilings, x) + 2 * tolerance, lowest=-reach))
            tick("differences")
    return joined(parts)


def _loss_beyond(p: Vector, other: Vector, alpha: float, size: int) -> Vector:
    """Loss by probabilities p minus that by the others, both smoothed, in bits."""
    floor = alpha / size
    return np.log2((1 - alpha) * other + floor) - np.log2((1 - alpha) * p + floor)


def _ceilings(made: Predicted, other: Predicted, alpha: float, size: int) -> Vector:
    """The largest difference at each position; 0 for symbols that neither network knows."""
    largest = _loss_beyond(made.tops, other.tops, alpha, size).max(1)
    return np.maximum(largest, 0) if made.tops.shape[1] < size else largest


@torch.no_grad()
def example_difference_sums(network: Network, reference: Network, examples: Examples, loss: str) -> LossSums:
    """Sum up X_i = loss of `network` - loss of `reference` over i.i.d. examples; centre 0, ceiling 1, lowest -1.

    A near-tie of the two largest logits counts as an error of `network` and as none of `reference`; a loss that is a
    number is moved by 1e-5 in the same sense, for machines that round otherwise.

    Args: network, reference: from inputs (batch, ...) to logits (batch, classes). examples: that none of them saw.
        loss: of risk.LOSSES.
    Raises: RequestError for another loss; ModelError where an answer is no function of one input.
    """
    if loss not in LOSSES:
        raise RequestError(f"differences: a loss is one of {', '.join(LOSSES)}, got {loss!r}. Choose one of them.")
    parts: list[LossSums] = []
    with asking(network, examples.x):
        for x, y in zip(examples.x.split(BATCH), examples.y.split(BATCH), strict=True):
            if not parts:
                check_deterministic(network, x)
                check_deterministic(reference, x)
            worst, least = LOSSES[loss](network(x), y), _least(reference(x), y, loss)
            if loss != "zero_one":
                worst = worst + LOSS_NOISE
            parts.append(loss_sums((worst - least).clamp(-1, 1).numpy(), 0.0, 1.0, lowest=-1.0))
            tick("differences")
    return joined(parts)


def _least(logits: Tensor, y: Tensor, loss: str) -> Tensor:
    """The least loss that rounding elsewhere could find, (batch,); 0 where a logit is not finite."""
    finite = torch.isfinite(logits).all(1)
    if loss == "zero_one":
        margin = TIE * logits.abs().amax(1, keepdim=True)
        least = (logits > logits.gather(1, y[:, None]) + margin).any(1).double()
    else:
        least = LOSSES[loss](logits, y) - LOSS_NOISE
    return torch.where(finite, least, 0.0)
