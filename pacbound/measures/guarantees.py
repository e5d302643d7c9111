"""Two bounds on the risk that follow from counting functions, of the trained network itself; usually vacuous.

They hold with probability 1 - delta, each by itself, and so are no measures. Everything read off the sample is rounded
up to a grid fixed before it, and its place there is paid for.
"""

import math
from collections.abc import Callable
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..bounds.claims import Bound
from ..errors import BoundError, ModelError
from . import Sample
from .covering.covering import family_of, log10_gain
from .covering.covers import Family, cover_nats, covering_risk
from .covering.symmetry import group_of
from .layers.agreement import steepest
from .layers.layers import layers_of
from .rademacher.margin_bound import grid_index, grid_value, margins, place_nats, ramp_sum
from .rademacher.rademacher import check_slope, logits_of
from .redundancy.sample_complexity import tucker_covering

DELTA: Final = 0.05
GAMMAS: Final = tuple(2.0**j for j in range(-8, 9))  # margins at which the ramp may reach 0
SHARES: Final = tuple(2.0**-j for j in range(3, 17))  # radii of the cover, as shares of gamma
BATCH: Final = 500
SLACK: Final = 1e-9  # of norms and ranges in floating point, before they are rounded up to the grid
PAID: Final = (
    "the margin gamma of the ramp loss, ranges and norms come from lists fixed before the sample, and are paid"
)
EXACT: Final = "architecture and fixed operations do not depend on the sample; the network computes with real numbers"


def covering_bound(model: nn.Module, data: Sample) -> Bound:
    """Bound the ramp loss, and so the 0-1 risk, of a plain chain by the covering number of its family.

    `covering_risk` with 2 / gamma, at the family of parameters, row sums and inputs at most as large as these. Paid:
    ln of each list (gamma, eps / gamma), and the place of each range on the grid 2^(a/4).

    Args: data: (x, y) as the network reads them, the training sample.
    Raises: ModelError where the network is no plain chain; BoundError where no radius has a finite cover.
    """
    x, y = data
    model = nn.Sequential(model) if type(model) is nn.Linear else model  # its symmetries are followed from outside
    layers = layers_of(model, x[:1])
    if layers.skipped:
        raise ModelError(f"covering_bound: all parameters are in the family, {layers.skipped[0].name} would not be.")
    behind = layers.behind_front()
    reach = _up(float(layers.entering(x).abs().max()))
    family = family_of(behind, reach, group_of(model, x[:1]))
    check_slope(steepest(model, x[:1])[1], log10_gain(layers))
    margin, n = _margins(model, x, y), len(y)
    nats = place_nats(grid_index(reach)) + _family_nats(family) + math.log(len(GAMMAS)) + math.log(len(SHARES))
    covers: dict[float, float] = {}
    found: list[tuple[Bound, float, float]] = []
    for gamma in GAMMAS:
        losses = ramp_sum(margin, gamma)
        for share in SHARES:
            eps = gamma * share
            if eps not in covers:
                covers[eps] = _nats_or_inf(family, eps)
            if math.isfinite(covers[eps]):
                bound = covering_risk(losses, n, covers[eps], eps, 2 / gamma, DELTA, nats * (1 + SLACK))
                found.append((bound, gamma, eps))
    if not found:
        raise BoundError("covering_bound: the network is too steep for a finite cover at every radius tried.")
    best, gamma, eps = min(found, key=lambda one: one[0].value)
    inside = (
        f"no input that can be drawn, as the first layer reads it, has a number above {reach:.6g} in absolute value"
    )
    said = f"{PAID} (gamma {gamma:g}, eps {eps:g})"
    return best.model_copy(update={"assumes": (*best.assumes, inside, said, EXACT)})


def tucker_bound(model: nn.Module, data: Sample) -> Bound:
    """Bound the ramp loss, and so the 0-1 risk, of a linear model by the dimension d_M of its tensor.

    The margin is min_j <Z_j, W> with ||Z_j|| <= sqrt 2 ||Z||, and a minimum moves by no more than one of its terms, so
    that `tucker_covering` holds with 1 / gamma and sqrt 2 ||Z||. One dense layer: W is (classes, inputs and bias), its
    rank their smaller number. A convolution and a dense layer: Z are the patches, W = sum_k A_k (outer) B_k has modes
    (inputs, rows, columns, places * classes) and rank at most K along the last. Ranks are those that no training
    exceeds: a numerical rank of trained weights would not be exact.

    Args: data: (x, y) as the network reads them, the training sample.
    Raises: ModelError for any other model than nn.Linear, perhaps behind nn.Flatten, or nn.Conv2d, nn.Flatten and
        nn.Linear without biases.
    """
    x, y = data
    refusal = layers_of(model, x[:1]).refusal
    if refusal:
        raise ModelError(f"tucker_bound: the model is one linear map, but {refusal}.")
    weight, patches = _linear(model, x[:1])
    ranks = _ranks(model, weight)
    largest = max(float(patches(x[i : i + BATCH].double()).norm(dim=1).max()) for i in range(0, len(x), BATCH))
    scales = _up(math.sqrt(2) * largest), _up(float(weight.norm()))
    nats = sum(place_nats(grid_index(scale)) for scale in scales) + math.log(len(GAMMAS))
    bits = math.ceil(nats / math.log(2) * (1 + SLACK))
    margin = _margins(model, x, y)
    found = [
        (
            tucker_covering(
                ramp_sum(margin, gamma), len(y), bits, DELTA, sizes=tuple(weight.shape), ranks=ranks,
                lipschitz=1 / gamma, data_norm=scales[0], weight_norm=scales[1],
            ),
            gamma,
        )
        for gamma in GAMMAS
    ]  # fmt: skip
    best, gamma = min(found, key=lambda one: one[0].value)
    inside = f"||W|| <= {scales[1]:.6g}, sqrt 2 ||Z|| <= {scales[0]:.6g}, Tucker ranks {ranks} of {tuple(weight.shape)}"
    return best.model_copy(update={"assumes": (*best.assumes, inside, f"{PAID} (gamma {gamma:g})", EXACT)})


GUARANTEES: Final[dict[str, Callable[[nn.Module, Sample], Bound]]] = {
    "covering_risk": covering_bound,
    "tucker_covering": tucker_bound,
}


def _linear(model: nn.Module, x: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
    """W, and what makes Z, (n, numbers), of inputs. Raises: ModelError."""
    parts = list(model) if type(model) is nn.Sequential else [model]
    kinds = [type(part) for part in parts]
    flat = all((part.start_dim, part.end_dim) == (1, -1) for part in parts if isinstance(part, nn.Flatten))
    conv, dense = parts[0], parts[-1]
    if isinstance(dense, nn.Linear) and flat and kinds == ([nn.Linear] if x.ndim == 2 else [nn.Flatten, nn.Linear]):
        matrix, ones = dense.weight.detach().double(), 0
        if dense.bias is not None:
            matrix, ones = torch.cat([matrix, dense.bias.detach().double()[:, None]], 1), 1
        return matrix, lambda z: functional.pad(z.flatten(1), (0, ones), value=1.0)
    if isinstance(conv, nn.Conv2d) and isinstance(dense, nn.Linear) and _plain(conv, dense, kinds) and flat:
        behind = dense.weight.detach().double().reshape(len(dense.weight), conv.out_channels, -1)
        whole = torch.einsum("kiab,ckp->iabpc", conv.weight.detach().double(), behind).flatten(3)
        patches = nn.Unfold(conv.kernel_size, conv.dilation, tuple(int(p) for p in conv.padding), conv.stride)
        return whole, lambda z: patches(z).flatten(1)
    names = ", ".join(type(part).__name__ for part in parts)
    raise ModelError(
        "tucker_bound: the model is an nn.Linear (behind nn.Flatten where inputs are no vectors), or an nn.Conv2d with "
        "one group and zeros around, an nn.Flatten and an nn.Linear, both without biases; found "
        f"{names if len(names) < 200 else type(model).__name__}."
    )


def _plain(conv: nn.Conv2d, dense: nn.Linear, kinds: list[type[nn.Module]]) -> bool:
    """No biases, groups, other padding than zeros of given numbers, or other modules between."""
    alone = kinds == [nn.Conv2d, nn.Flatten, nn.Linear] and conv.bias is None and dense.bias is None
    return alone and conv.groups == 1 and conv.padding_mode == "zeros" and not isinstance(conv.padding, str)


def _ranks(model: nn.Module, weight: Tensor) -> tuple[int, ...]:
    """The largest Tucker ranks that a tensor of this model can have: no more than sizes, channels, and other ranks."""
    sizes = list(weight.shape)
    for part in model.modules():
        if isinstance(part, nn.Conv2d):
            sizes[-1] = min(sizes[-1], part.out_channels)
    return tuple(min(size, math.prod(sizes) // size) for size in sizes)


def _margins(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    logits = logits_of(model, x)
    if logits.ndim != 2 or logits.shape[1] < 2:
        raise ModelError(f"bounds: a network has a logit for each of two or more classes, got {tuple(logits.shape)}.")
    return margins(logits, y)


def _family_nats(family: Family) -> float:
    """ln(1 / p) of the ranges: the parameters', and for each layer none or one on the grid."""
    rows = [layer.row_bound for layer in family.layers]
    own = math.fsum(place_nats(grid_index(row)) for row in rows if row is not None)
    return place_nats(grid_index(family.bound)) + own + len(rows) * math.log(2)


def _nats_or_inf(family: Family, eps: float) -> float:
    try:
        return cover_nats(family, eps).value
    except BoundError:
        return math.inf


def _up(value: float) -> float:
    """The next place on the grid, 2^(a/4)."""
    return grid_value(grid_index(value * (1 + SLACK)))
