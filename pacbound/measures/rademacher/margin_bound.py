"""From a Rademacher complexity to a bound on the risk: data norm, margins, ramp losses, and the price of choosing.

The theorem is about a margin and a class fixed before the sample. Where they are read off a trained network, every
number is rounded up to a grid that was fixed beforehand, and its place on the grid is paid:
p(a) = (2/3) / ((|a| + 1)(|a| + 2)) for a in the integers, which sums to 1.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Final

import torch
from flint import arb
from torch import Tensor

from ...bounds.balls import claim, working
from ...bounds.claims import Bound
from ...errors import BoundError, DataError
from ...specs.powers import eighth_power
from .capacity import Limit, NetworkClass, Path
from .complexity import complexity

CHUNK_ROWS: Final = 1024
SUM_SLACK: Final = 1e-8  # relative; a float64 sum of 1024 rows of 10^6 numbers errs by less
GAMMAS: Final = range(-30, 31)  # margins 2^-j tried
ASSUMES: Final = (
    "the n examples are i.i.d., and the initialisation does not depend on them",
    "deterministic predictor: the network itself, a tie of the largest logits counted as an error",
)


@dataclass(frozen=True)
class Rounded:
    """A class on the grid, and ln(1 / p) of its place there."""

    network: NetworkClass
    nats: float


def data_norm(x: Tensor, preprocess: Callable[[Tensor], Tensor]) -> float:
    """||X||: square root of the sum of squares of all numbers that the network reads, rounded up.

    Args: x: (n, ...) stored examples. preprocess: what is done to a chunk (rows, ...) of them before the network.
    Raises: DataError where a number is not finite.
    """
    sums = []
    for start in range(0, x.shape[0], CHUNK_ROWS):
        sums.append(float(preprocess(x[start : start + CHUNK_ROWS]).to(torch.float64).square().sum()))
    total = math.fsum(sums)
    if not math.isfinite(total):
        raise DataError("data_norm: the preprocessed examples are finite, they hold NaN or infinity. Repair them.")
    return math.sqrt(total) * (1 + SUM_SLACK)


def margins(logits: Tensor, y: Tensor) -> Tensor:
    """v_y - max_{j != y} v_j in float64, shape (n,); -inf where a logit is not finite.

    Args: logits: (n, classes). y: (n,) labels.
    """
    values = logits.to(torch.float64)
    own = values.gather(1, y[:, None])[:, 0]
    rivals = values.scatter(1, y[:, None], -math.inf).amax(dim=1)
    finite = torch.isfinite(values).all(dim=1)
    return torch.where(finite, own - rivals, torch.full_like(own, -math.inf))


def ramp_sum(margin: Tensor, gamma: float) -> float:
    """Sum of the ramp losses: 1 for margins <= 0, 0 from gamma on, linear between; rounded up."""
    losses = (1 - margin / gamma).clamp(0.0, 1.0)
    total = math.fsum(losses.tolist())
    return min(float(len(margin)), total * (1 + 1e-12))


def rademacher_margin(losses: float, n: int, complexity: float, delta: float, choice_nats: float = 0.0) -> Bound:
    """Bound the 0-1 risk by r + 2 R + 3 sqrt((ln(2 / delta) + choice) / (2 n)), r = losses / n.

    Reference: Bartlett and Mendelson 2002, "Rademacher and Gaussian complexities", Theorem 8 with the empirical
    complexity; Graf et al. 2022, arXiv:2202.08070, for the class.

    Args: losses: sum of ramp losses at a margin gamma. n: examples. complexity: upper bound of R_S(F_gamma).
        delta: in (0, 1). choice_nats: ln(1 / p) of everything chosen after seeing the sample, on grids fixed before.
    Assumes: see `ASSUMES`; gamma and the class fixed before the sample or paid in choice_nats.
    Rounds: up, in ball arithmetic.
    Raises: BoundError outside the ranges.
    """
    for what, value, low in (("losses", losses, 0), ("complexity", complexity, 0), ("choice_nats", choice_nats, 0)):
        if math.isnan(value) or value < low:
            raise BoundError(f"rademacher_margin: {what} is >= 0, got {value!r}.")
    if n < 1 or losses > n:
        raise BoundError(f"rademacher_margin: losses lie between 0 and n, got {losses!r} of {n}.")
    if not 0 < delta < 1:
        raise BoundError(f"rademacher_margin: delta lies in (0, 1), got {delta!r}. The usual one is 0.05.")
    reference = "Graf et al. 2022, arXiv:2202.08070, in the tightened form; Bartlett and Mendelson 2002, Theorem 8"
    if math.isinf(complexity) or math.isinf(choice_nats):
        return claim("rademacher_margin", 1.0, delta, reference, ASSUMES)
    with working():
        tail = 3 * (((2 / arb(delta)).log() + arb(choice_nats)) / (2 * n)).sqrt()
        return claim("rademacher_margin", arb(losses) / n + 2 * arb(complexity) + tail, delta, reference, ASSUMES)


def post_hoc(network: NetworkClass, margin: Tensor, norm: float, delta: float) -> tuple[Bound, float]:
    """Bound the risk of a trained network: its own norms, rounded up to the grid, and the best margin; all paid.

    Args: network: measured class, from `class_of`. margin: (n,) margins on the sample. norm: ||X||. delta: in (0, 1).
    Returns: the bound and its gamma.
    Raises: BoundError outside the ranges.
    """
    n = len(margin)
    rounded = rounded_up_class(network)
    best: tuple[Bound, float] | None = None
    for j in GAMMAS:
        gamma = math.ldexp(1.0, -j)
        losses, price = ramp_sum(margin, gamma), rounded.nats + place_nats(j)
        if best is not None and rademacher_margin(losses, n, 0.0, delta, price).value >= best[0].value:
            continue  # whatever its complexity
        bound = rademacher_margin(losses, n, complexity(rounded.network, norm, n, gamma).value, delta, price)
        if best is None or bound.value < best[0].value:
            best = bound, gamma
    if best is None:
        raise BoundError("post_hoc: there is at least one margin on the grid.")
    return best


def rounded_up_class(network: NetworkClass) -> Rounded:
    """Round every limit up to 2^(a/4). A distance of 0 has a symbol of its own: half of the mass, the grid the rest."""
    nats = math.fsum(_limit_nats(limit) for limit in network.limits) * (1 + 1e-12)
    stages = tuple(
        replace(stage, main=_rounded(stage.main), shortcut=None if stage.shortcut is None else _rounded(stage.shortcut))
        for stage in network.stages
    )
    return Rounded(replace(network, stages=stages), nats)


def grid_index(value: float) -> int:
    """Smallest a with 2^(a/4) >= value, in the float64 that stands for 2^(a/4). Raises: BoundError."""
    if not (math.isfinite(value) and value > 0):
        raise BoundError(f"grid_index: only finite values > 0 are on the grid, got {value!r}.")
    a = 4 * math.frexp(value)[1] - 8
    while grid_value(a) < value:
        a += 1
    return a


def grid_value(a: int) -> float:
    """2^(a/4), the float64 of `powers.eighth_power`."""
    return eighth_power(2 * a)


def place_nats(a: int) -> float:
    """ln(1 / p(a)), rounded up."""
    return math.log(Fraction(3, 2) * (abs(a) + 1) * (abs(a) + 2)) * (1 + 1e-15)


def _limit_nats(limit: Limit) -> float:
    zero_or_not = math.log(2)
    own = place_nats(grid_index(limit.lipschitz)) + zero_or_not
    return own if limit.distance == 0 else own + place_nats(grid_index(limit.distance))


def _rounded(path: Path) -> Path:
    limits = tuple(
        replace(
            limit,
            lipschitz=grid_value(grid_index(limit.lipschitz)),
            distance=0.0 if limit.distance == 0 else grid_value(grid_index(limit.distance)),
        )
        for limit in path.limits
    )
    return replace(path, limits=limits)
