"""Two ways of counting a layer whose kernels are a low-rank tensor, and the risk bound that the second one gives.

K kernels A_k of sizes l_1 x .. x l_N, each followed by weights B_k of P entries, act as W = sum_k A_k (outer) B_k. With
rank R along the output channels, A_k = sum_r H[k, r] At_r, so W = sum_r At_r (outer) Bt_r with Bt_r = sum_k H[k, r]
B_k: K disappears. What counting parameters sees and the sample does not is the redundancy.

Source: Huang, Si, Zheng, Li 2021, arXiv:2112.04857.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from flint import arb

from ...bounds.balls import IID, UNIT_LOSS, check, claim, empirical_risk, log_inverse, nats_of, working
from ...bounds.claims import Bound
from ...errors import BoundError, ModelError

RADIUS_STEPS = 8  # covering radii are 2^(-j/8)
SMALLEST_RADIUS = -60  # as a power of two


@dataclass(frozen=True)
class Counts:
    """naive: parameters written down, d#. dimension: those the sample complexity depends on, d_M."""

    naive: int
    dimension: int

    @property
    def redundancy(self) -> int:
        """d# - d_M."""
        return self.naive - self.dimension


def cnn_counts(sizes: Sequence[int], places: int, outputs: int) -> Counts:
    """Count a full layer: d# = K (l + P), d_M = K (l + P + 1), l = prod l_j.

    >>> cnn_counts((3, 3, 16), 49, 64)
    Counts(naive=12352, dimension=12416)

    Args: sizes: l_1..l_N of one kernel, input channels among them. places: P. outputs: K.
    """
    return Counts(outputs * (math.prod(sizes) + places), outputs * (math.prod(sizes) + places + 1))


def tucker_counts(sizes: Sequence[int], ranks: Sequence[int], places: int, outputs: int, rank: int) -> Counts:
    """Count a layer in Tucker form: d# - d_M = K R + (K - R) P.

    d# = R prod R_j + sum l_j R_j + K R + K P; d_M = R prod R_j + sum l_j R_j + R P.

    Args: sizes: l_1..l_N. ranks: R_1..R_N. places: P. outputs: K. rank: R along the output channels.
    Raises: ModelError where ranks and sizes do not match.
    """
    if len(sizes) != len(ranks) or any(not 1 <= r <= size for r, size in zip(ranks, sizes, strict=True)) or rank < 1:
        raise ModelError(
            f"tucker_counts: there is a rank for each mode, from 1 to its size, got sizes {tuple(sizes)}, "
            f"ranks {tuple(ranks)} and {rank}."
        )
    inside = rank * math.prod(ranks) + sum(size * r for size, r in zip(sizes, ranks, strict=True))
    return Counts(inside + outputs * rank + outputs * places, inside + rank * places)


def cp_counts(sizes: Sequence[int], places: int, outputs: int, rank: int) -> Counts:
    """Count a layer in CP form: d# = R (sum l_j + K) + K P, d_M = R (sum l_j + P).

    The paper takes the superdiagonal core for a full one and adds R^(N+1) to d_M; that is the looser count.

    Args: sizes: l_1..l_N. places: P. outputs: K. rank: R.
    """
    return Counts(rank * (sum(sizes) + outputs) + outputs * places, rank * (sum(sizes) + places))


def merged_numbers(outputs: int, rank: int, places: int) -> int:
    """Numbers saved by multiplying the K x R factor into the next linear map: K R + (K - R) P, 0 where R >= K.

    Exact where nothing nonlinear stands between the two.
    """
    return outputs * rank + (outputs - rank) * places if rank < outputs else 0


def gauge_saving_bits(outputs: int, rank: int, bits_per_number: int) -> int:
    """Bits saved by fixing the gauge At -> At M, H -> H M^-1 between two adjacent linear factors, rounded down.

    M makes R rows of H the identity: R^2 numbers need not be sent, but log2 C(K, R) bits must, to name the rows. Never
    to be added to the saving by exact merge, or to that by the order of the R inner channels: they overlap.

    Args: outputs: K rows of H. rank: R <= K columns. bits_per_number: of one coded number.
    Returns: bits, at least 0.
    Raises: ModelError where R > K.
    """
    if not 1 <= rank <= outputs:
        raise ModelError(
            f"gauge_saving_bits: H has no more columns than rows, got {outputs} x {rank}. Merge H into At first."
        )
    return max(0, bits_per_number * rank**2 - (math.comb(outputs, rank) - 1).bit_length())


def tucker_covering(
    errors: float,
    n: int,
    bits: float,
    delta: float,
    *,
    sizes: Sequence[int],
    ranks: Sequence[int],
    lipschitz: float,
    data_norm: float,
    weight_norm: float,
) -> Bound:
    """Bound the risk of a linear predictor <Z, W> whose W has low Tucker ranks.

    risk <= r + 2 lam B_z B_w eps + sqrt((d_M ln(3 (q + 1) / eps) + bits ln 2 + ln(1/delta)) / (2n)), r = errors/n,
    d_M = prod R_j + sum l_j R_j over the q modes, eps the best of 2^(-j/8) <= 1.

    Reference: the covering number of tensors of given Tucker ranks, Rauhut, Schneider, Stojanac 2017, "Low rank tensor
    recovery via iterative hard thresholding", covering lemma, (3 (q + 1) / eps)^d_M; Hoeffding 1963, Theorem 1, at the
    centres. The statement is about the linear model of Huang et al. 2021 (arXiv:2112.04857), not about a network with
    activations.

    Args: errors: sum of losses in [0, 1]. n: examples. bits: of a message that names ranks and norms where they were
        chosen after the data; 0 where they were fixed before. delta: in (0, 1). sizes, ranks: of all q modes of W, the
        last being (P, R). lipschitz: lam, of the loss in the prediction. data_norm: B_z >= ||Z||_F. weight_norm: B_w >=
        ||W||_F.
    Raises: BoundError outside the ranges.

    Assumes: i.i.d. examples; loss in [0, 1] and lam-Lipschitz in <Z, W>; ||Z||_F <= B_z for every example that can be
        drawn; ranks and norms fixed before the sample, or named by the message. Linear activations.
    Rounds: up, in ball arithmetic. eps depends on n, d_M, delta and the norms alone, so it may be the best.
    """
    check("tucker_covering", errors, n, bits, delta)
    scale = (lipschitz, data_norm, weight_norm)
    if not all(math.isfinite(value) and value > 0 for value in scale):
        raise BoundError(f"tucker_covering: lipschitz, data_norm and weight_norm are positive and finite, got {scale}.")
    if not sizes or len(sizes) != len(ranks) or any(not 1 <= r <= s for r, s in zip(ranks, sizes, strict=True)):
        raise BoundError(
            f"tucker_covering: each mode has a rank from 1 to its size, got sizes {tuple(sizes)}, ranks {tuple(ranks)}."
        )
    dimension = math.prod(ranks) + sum(size * r for size, r in zip(sizes, ranks, strict=True))
    modes = len(sizes)

    def excess(exponent: int) -> arb:
        radius = (arb(exponent) / RADIUS_STEPS * arb(2).log()).exp()
        nats = dimension * (3 * (modes + 1) / radius).log() + nats_of(bits) + log_inverse(delta)
        return 2 * arb(lipschitz) * arb(data_norm) * arb(weight_norm) * radius + (nats / (2 * n)).sqrt()

    with working():
        best = min(range(SMALLEST_RADIUS * RADIUS_STEPS, 1), key=lambda exponent: float(excess(exponent).mid()))
        return claim(
            "tucker_covering",
            empirical_risk(errors, n) + excess(best),
            delta,
            "Rauhut, Schneider, Stojanac 2017, covering lemma; Hoeffding 1963, Theorem 1; model of arXiv:2112.04857",
            (
                IID,
                UNIT_LOSS,
                "the predictor is linear, <Z, W>, and the loss Lipschitz in it",
                "||Z|| and ||W|| are bounded as stated, for every example that can be drawn",
                "ranks and norms were fixed before the sample, or are named by the message",
            ),
        )
